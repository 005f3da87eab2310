"""Redrive: bring back what was kept aside when it failed, into the history and the replica.

Both consumers are idempotent and indifferent to order, and so is this: in any order, any number of
times, interrupted anywhere. An object leaves its place only when everything in it is delivered.
"""

from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from contextlib import closing, nullcontext
from functools import partial
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from operations.deployed_tables import DeployedTables
from operations.errors import OperationError, RefusedError
from operations.execution.guard import require_followed
from operations.execution.pace import Pace
from operations.redrive.bucket import FailureBucket, UnmovedError
from operations.redrive.contents import Load, Unpacker
from operations.redrive.courier import Courier, open_courier
from operations.redrive.delivery import Cause
from operations.redrive.result import Redriven, RedriveTotals
from operations.redrive.stream_reader import StreamReader
from reports.access.bounded import MOST_KEPT_BYTES, OversizeError, read_at_most
from reports.access.clients import CONCURRENCY
from reports.access.parallel import in_order
from reports.access.table_description import TableDescription
from reports.deployment.stack import Consumer, Stack
from reports.states.provenance import Provenance
from stream_core.clients import CLIENT_CONFIG
from stream_core.retry import error_code

# What is delivered together: enough to keep requests under way side by side.
_MOST_RECORDS = 100
_MOST_BYTES = 8 * 1024 * 1024


def names_of(stack: Stack) -> dict[str, Consumer]:
    """By what a stack's consumers are known to Lambda: their mappings and functions."""
    outputs = {
        "HistoryWriterMappingId": Consumer.HISTORY_WRITER,
        "HistoryWriterFunctionName": Consumer.HISTORY_WRITER,
        "ReplicaWriterMappingId": Consumer.REPLICA_WRITER,
        "ReplicaWriterFunctionName": Consumer.REPLICA_WRITER,
    }
    # Deployed with one consumer it has its names only; deployed long ago it may lack any.
    return {
        stack.outputs[output]: consumer
        for output, consumer in outputs.items()
        if output in stack.outputs
    }


def redrive(  # noqa: PLR0913 - the whole order, as it is given
    deployment: DeployedTables,
    *,
    apply: bool = False,
    consumers: Collection[Consumer] = tuple(Consumer),
    deployed: Collection[Consumer] = tuple(Consumer),
    names: Mapping[str, Consumer] | None = None,
    files: Collection[Path] = (),
    stream_arn: str | None = None,
    state_path: str | Path | None = None,
    pace: Pace,
) -> Redriven:
    """Bring back quarantined records and failed batches; harmless to repeat.

    A record of the history writer becomes a row, if it is not one yet and the stream has it; one
    that is older than the stream becomes a row that says where it came from. A record of the
    replica writer only says which item to look at: that is made equal to the source as it is now.
    Batches of which only the place in the stream is known are read from it again, for as long as it
    has them; what it has no more is reported as lost. A record that cannot be read stays, and so
    does the object it is in; the item it is about is healed in the replica by a repair.

    Args:
        deployment: the tables and the bucket; what is not asked for need not be named.
        apply: without it nothing is written or moved, only read and listed.
        consumers: whose failures to bring back.
        deployed: those that there are; what is not known to be of one goes to all of them.
        names: see `names_of`.
        files: invocation records of an older set-up, or messages with them, or what `get-records`
            printed, on this machine.
        stream_arn: an older stream of the table, whose records are brought back as well.
        state_path: where to keep which items are being settled, for the next redrive to settle
            again if this one is killed; None: nowhere.
        pace: how many records and items a second, read or written; for how long nothing may
            succeed, or a page of the stream be tried; what is called with the objects done.

    Raises:
        RefusedError: a table, a bucket or a consumer is not named; the history or the stack is
            another table's.
        StateFileError: the state file is of another run, or cannot be used.
        OperationError: a file cannot be read.
        ClientError, BotoCoreError: the bucket cannot be listed.
    """
    if not consumers:
        raise RefusedError("redrive for which consumer? name one, or leave it out for both")
    bucket = _bucket(deployment, files)
    # Made now, so that what is not named is missed before anything is asked.
    opened = open_courier(deployment, consumers, state_path, pace) if apply else nullcontext()
    with opened as courier:
        source = require_followed(deployment, pace)
        unpacker = Unpacker(
            source,
            _streams(deployment, source, stream_arn),
            consumers,
            deployed,
            names or {},
            _stream_reader(deployment, pace),
            pace.machine,
            deployment.quarantine_bucket,
            lambda: deployment.caller,
        )
        loads = _loads(bucket, files, unpacker)
        if courier is None:
            return _totals(loads, None, None, pace).result(applied=False)
        courier.settle_again()
        totals = _totals(loads, bucket, courier, pace)
    return totals.result(applied=True)


def _streams(deployment: DeployedTables, source: TableDescription, older: str | None) -> list[str]:
    """The streams whose records are brought back: the one that is followed, and one named."""
    followed = deployment.stream_arn or source.stream_arn
    if followed is None:
        raise RefusedError(f"'{source.name}' has no stream, and never had one")
    if older is None:
        return [followed]
    if not Provenance(source.arn or source.name).is_followed(older):
        raise RefusedError(f"{older} is not a stream of '{source.name}'")
    return [followed, older]


def _totals(
    loads: Generator[Load, None, None],
    bucket: FailureBucket | None,
    courier: Courier | None,
    pace: Pace,
) -> RedriveTotals:
    """What becomes of all loads; without a courier nothing does."""
    totals = RedriveTotals()
    with closing(loads):
        for group in _groups(loads):
            totals.objects += len(group)
            records = sum(len(load.deliveries) for load in group)
            totals.records += records
            pace.rate.take(records)
            if courier:
                totals.counts += courier.deliver(group)
            else:
                totals.plan(group)
            for load in _put_away(bucket, group):
                totals.leftovers += load.leftovers
                totals.lost += load.lost
                totals.done += [load.where] if load.is_finished_with else []
            pace.progress("objects", totals.objects, None)
            if courier and (reason := courier.standstill.reason) is not None:
                totals.ended = reason
                break
    return totals


def _bucket(deployment: DeployedTables, files: Collection[Path]) -> FailureBucket | None:
    if deployment.quarantine_bucket is not None:
        return FailureBucket(deployment.s3, deployment.quarantine_bucket)
    if not files:
        raise RefusedError("which quarantine bucket? give --stack, or --quarantine-bucket NAME")
    return None


def _stream_reader(deployment: DeployedTables, pace: Pace) -> StreamReader:
    streams = deployment.session.client(
        "dynamodbstreams", endpoint_url=deployment.endpoint_url, config=CLIENT_CONFIG
    )
    return StreamReader(streams, pace.patience)


def _loads(
    bucket: FailureBucket | None, files: Iterable[Path], unpacker: Unpacker
) -> Generator[Load, None, None]:
    for path in files:
        body = _content(path)
        load = Load(str(path), None, len(body))
        if unpacker.unpack(load, body):
            yield load
    if bucket is not None:
        yield from _object_loads(bucket, unpacker)


def _object_loads(bucket: FailureBucket, unpacker: Unpacker) -> Iterator[Load]:
    keys = filter(unpacker.concerns, bucket.waiting())
    with closing(in_order(partial(_read, bucket), keys, ahead=CONCURRENCY)) as loads:
        for load in filter(None, loads):
            # What could not be read has no source.
            if load.source is None or unpacker.unpack(load, load.source.body):
                yield load


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return read_at_most(file, MOST_KEPT_BYTES)
    except OversizeError as error:
        raise OperationError(f"the file {path} is too large: {error}; divide it") from error
    except OSError as error:
        raise OperationError(f"the file {path} cannot be read: {error.strerror}") from error


def _read(bucket: FailureBucket, key: str) -> Load | None:
    """An object, or why it cannot be read; None if it is no longer there."""
    try:
        source = bucket.read(key)
    except OversizeError as error:
        return _unread(key, f"it is larger than any record or batch: {error}")
    except (ClientError, BotoCoreError) as error:
        return _unread(key, f"the bucket answers {error_code(error)}")
    return None if source is None else Load(key, source, len(source.body))


def _unread(key: str, reason: str) -> Load:
    load = Load(key, None, 0)
    load.leave(Cause.UNREADABLE, reason)
    return load


def _groups(loads: Iterable[Load]) -> Iterator[list[Load]]:
    group: list[Load] = []
    records = size = 0
    for load in loads:
        group.append(load)
        records += len(load.deliveries)
        size += load.size
        if records >= _MOST_RECORDS or size >= _MOST_BYTES:
            yield group
            group, records, size = [], 0, 0
    if group:
        yield group


def _put_away(bucket: FailureBucket | None, group: list[Load]) -> Iterator[Load]:
    """The loads of a group, the objects that are finished with put away if there is a bucket."""

    def put_away(load: Load) -> Load:
        if bucket and load.source and load.is_finished_with:
            try:
                bucket.put_away(load.source)
            except UnmovedError as error:
                load.leave(Cause.UNMOVED, str(error))
            except (ClientError, BotoCoreError) as error:
                load.leave(Cause.UNMOVED, f"the bucket answers {error_code(error)}")
        return load

    return in_order(put_away, group)
