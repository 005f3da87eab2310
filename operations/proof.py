"""Holding the stream against the history, record by record: up to when the history is complete.

Every record that the stream still has is looked for in the history by its key. Of a shard that is
closed that is all of it. An open one is read until it shows a change made after the proof began, or
gives three empty pages within two minutes: one alone does not prove that there is nothing more.
What is older than the stream is no longer on its way, but for what is kept aside.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from operations.control_rows import write_control_row
from operations.deployed_tables import DeployedTables
from operations.errors import RefusedError
from operations.execution.pace import Pace
from operations.execution.service_clock import ServiceClock
from operations.redrive.stream_reader import StreamReader, StreamUnreadableError
from operations.stored_rows import MOST_ROWS, MissingRecord, RowKey, StoredRows
from reports.access.parallel import in_order
from reports.access.row_reader import RowReader
from reports.access.service_date import date_of
from reports.states.watermark import TICK, Basis, NoWatermark, Watermark
from stream_core.change import Change, read_record
from stream_core.control_row import ProofMark
from stream_core.errors import MalformedRecordError
from stream_core.history_row import HistoryRow
from stream_core.retry import error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient

_LOOKS, _PAUSE_S = 3, 60.0
# Stamps may step back a little.
_MARGIN = timedelta(minutes=1)
_TRIMMED, _EXPIRED = "TrimmedDataAccessException", "ExpiredIteratorException"


@dataclass(frozen=True)
class Proof:
    """What the comparison came to.

    Attributes:
        stream_arn: the stream that was read.
        shards, records: how many were.
        missing: what the history lacks, also when it was asked again in the end.
        watermark: up to when the history is complete.
    """

    stream_arn: str
    shards: int
    records: int
    missing: tuple[MissingRecord, ...]
    watermark: Watermark | NoWatermark


@dataclass
class _Shard:
    """A shard, and how far it was read."""

    shard_id: str
    iterator: str | None = None
    last: str | None = None
    is_done: bool = False
    records: int = 0
    missing: dict[RowKey, MissingRecord] = field(default_factory=dict)
    unreadable: list[MissingRecord] = field(default_factory=list)


def prove(
    streams: "DynamoDBStreamsClient",
    stream_arn: str,
    reader: RowReader,
    kept_aside: Callable[[], Sequence[datetime | None]],
    pace: Pace,
) -> Proof:
    """Read the whole stream, and look for each record in the history.

    Args:
        streams: the client for the stream, of which this is a third reader: it gives way.
        stream_arn: the stream that the history writer follows.
        reader: reads the history.
        kept_aside: the earliest arrival that each object kept aside names, None for no name.
        pace: how long each call is tried, what is called with the shards read, whose clock it is.

    Raises:
        StreamUnreadableError: the stream cannot be read now.
        OperationError: the history cannot.
    """
    rows = StoredRows(reader, pace.patience)
    comparison = _Comparison(StreamReader(streams, pace.patience), stream_arn, rows)
    shards = comparison.shards(pace.machine.now)
    for look in range(_LOOKS):
        waiting = [shard for shard in shards if not shard.is_done]
        if look and waiting:
            pace.machine.sleep(_PAUSE_S)
        for done, _ in enumerate(in_order(comparison.read, waiting), 1):
            pace.progress("shards", done, len(waiting))
    missing = comparison.still_missing(shards)
    return Proof(
        stream_arn,
        len(shards),
        sum(shard.records for shard in shards),
        tuple(missing),
        _watermark(comparison.begun, missing, kept_aside()),
    )


def keep(proof: Proof, deployment: DeployedTables, pace: Pace) -> ProofMark:
    """Write into the history up to when it was found to be complete, and what that rests on.

    Args:
        proof: what the comparison came to.
        deployment: the source table and its history.
        pace: how long to go on trying, and whose clock it is.

    Raises:
        RefusedError: it shows nothing, or not of the stream that the table has now.
        OperationError: the history does not answer; go on later.
        ClientError: it may not be written.
    """
    if isinstance(proof.watermark, NoWatermark):
        raise RefusedError(proof.watermark.reason)
    life = deployment.reader.current_life
    if life is None or life.stream_arn != proof.stream_arn:
        raise RefusedError(
            f"the history writer reads {proof.stream_arn}, which is not the table's latest stream"
        )
    dynamodb, table = deployment.dynamodb, deployment.source_table
    _, _, finished = ServiceClock(pace.machine.now).ask(
        lambda: dynamodb.describe_table(TableName=table)
    )
    mark = ProofMark(
        proof.stream_arn,
        life.table_id,
        proof.watermark.at,
        finished,
        proof.shards,
        proof.records,
        f"itemtrail {version('itemtrail')}",
    )
    write_control_row(dynamodb, deployment.reader.history_table, mark, pace.patience())
    return mark


def _watermark(
    begun: datetime, missing: Sequence[MissingRecord], kept_aside: Sequence[datetime | None]
) -> Watermark | NoWatermark:
    moments = [*(record.created_at for record in missing), *kept_aside]
    if None in moments:
        return NoWatermark("a record is missing or kept aside that does not say of when it is")
    known = (moment - TICK for moment in moments if moment is not None)
    until = min([begun - _MARGIN, *known])
    return Watermark(until, Basis.COMPARED, "every record of the stream until then is a row")


@dataclass
class _Comparison:
    stream: StreamReader
    stream_arn: str
    rows: StoredRows
    begun: datetime = field(init=False)

    def shards(self, now: Callable[[], datetime]) -> list[_Shard]:
        """Every shard of the stream; whatever is made after this is later than the proof."""
        shards: list[_Shard] = []
        place: dict[str, Any] = {}
        while True:
            answer = self._call("describe_stream", StreamArn=self.stream_arn, **place)
            if not place:
                self.begun = date_of(answer) or now().replace(microsecond=0)
            description = answer["StreamDescription"]
            shards += [_Shard(shard["ShardId"]) for shard in description["Shards"]]
            if "LastEvaluatedShardId" not in description:
                return shards
            place = {"ExclusiveStartShardId": description["LastEvaluatedShardId"]}

    def read(self, shard: _Shard) -> None:
        """Read a shard on, up to an empty page, its end, or a change that is later."""
        while not shard.is_done:
            page = self._page(shard)
            for start in range(0, len(page), MOST_ROWS):
                self._compare(shard, page[start : start + MOST_ROWS])
            if not page:
                return

    def still_missing(self, shards: Sequence[_Shard]) -> list[MissingRecord]:
        """What was missing and still is: a record may have been on its way."""
        records = {key: record for shard in shards for key, record in shard.missing.items()}
        keys = list(records)
        absent = {
            key
            for start in range(0, len(keys), MOST_ROWS)
            for key in self._absent(keys[start : start + MOST_ROWS])
        }
        unreadable = [record for shard in shards for record in shard.unreadable]
        return [*(record for key, record in records.items() if key in absent), *unreadable]

    def _page(self, shard: _Shard) -> list[Any]:
        iterator = shard.iterator or self._iterator(shard)
        try:
            answer = self.stream.call("get_records", ShardIterator=iterator)
        except ClientError as error:
            if error_code(error) not in (_TRIMMED, _EXPIRED):
                raise StreamUnreadableError(
                    f"the stream refuses to be read: {error_code(error)}"
                ) from error
            if error_code(error) == _TRIMMED:
                shard.last = None
            answer = self._call("get_records", ShardIterator=self._iterator(shard))
        shard.iterator = answer.get("NextShardIterator")
        shard.is_done = shard.iterator is None
        page: list[Any] = answer["Records"]
        return page

    def _iterator(self, shard: _Shard) -> str:
        place = (
            {"ShardIteratorType": "TRIM_HORIZON"}
            if shard.last is None
            else {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": shard.last}
        )
        answer = self._call(
            "get_shard_iterator", StreamArn=self.stream_arn, ShardId=shard.shard_id, **place
        )
        iterator: str = answer["ShardIterator"]
        return iterator

    def _compare(self, shard: _Shard, records: Sequence[Any]) -> None:
        rows: dict[RowKey, MissingRecord] = {}
        for record in records:
            shard.records += 1
            shard.last = number = str(record["dynamodb"]["SequenceNumber"])
            try:
                change: Change = read_record(record | {"eventSourceARN": self.stream_arn})
            except MalformedRecordError:
                shard.unreadable.append(MissingRecord(shard.shard_id, number, None, None))
                continue
            # What is later than the proof says nothing but that all before it was seen.
            shard.is_done |= change.created_at > self.begun
            row = HistoryRow.from_change(change)
            if change.created_at <= self.begun:
                rows[row.id, row.sort_key] = MissingRecord(
                    shard.shard_id, number, change.keys, change.created_at
                )
        if rows:
            absent = self._absent(list(rows))
            shard.missing |= {key: rows[key] for key in absent}

    def _absent(self, keys: Sequence[RowKey]) -> set[RowKey]:
        """Which of at most 100 rows the history lacks."""
        return set(keys) - self.rows.digests(keys).keys()

    def _call(self, operation: str, **request: Any) -> Any:
        try:
            return self.stream.call(operation, **request)
        except ClientError as error:
            raise StreamUnreadableError(
                f"the stream refuses to be read: {error_code(error)}"
            ) from error
