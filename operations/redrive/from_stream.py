"""Redrive from the stream: what it has and the history lacks, while it has it.

What Lambda gave up on and could not keep is in no bucket; the stream has it for 24 hours. Every
record is looked for in the history, and what has no row goes through the writer's own code.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from more_itertools import chunked

from operations.deployed_tables import DeployedTables
from operations.errors import RefusedError
from operations.execution.guard import require_history_of
from operations.execution.pace import Pace
from operations.execution.request import answer_to
from operations.redrive.contents import Load, Lost
from operations.redrive.courier import Courier, open_courier
from operations.redrive.delivery import Cause, Undelivered
from operations.redrive.evidence import STREAM_KEEPS
from operations.redrive.objects import StreamRange
from operations.redrive.result import Redriven, RedriveTotals, StreamReading
from operations.redrive.stream_reader import ShardCursor, StreamReader
from operations.redrive.whole_stream import StreamOutline, StreamShard, outline_of, pages_of
from operations.stored_rows import MOST_ROWS, MissingRecord, RowKey, StoredRows
from reports.access.table_description import TableDescription, describe
from reports.deployment.stack import Consumer
from reports.states.provenance import Provenance
from stream_core.batch import Delivery
from stream_core.change import read_record
from stream_core.clients import CLIENT_CONFIG
from stream_core.errors import MalformedRecordError, ViewTypeError
from stream_core.history_row import HistoryRow

_MOST_LISTED = 10_000
_EARLIEST = datetime.min.replace(tzinfo=UTC)


def redrive_from_stream(  # noqa: PLR0913 - the whole order, as it is given
    deployment: DeployedTables,
    *,
    apply: bool = False,
    consumers: Collection[Consumer] = tuple(Consumer),
    stream_arn: str | None = None,
    since: datetime | None = None,
    state_path: str | Path | None = None,
    pace: Pace,
) -> Redriven:
    """Bring back what the stream has and the history lacks; harmless to repeat, at any time.

    The whole stream is read, a parent shard before its children, up to when the reading began. A
    record without a row is written by the history writer's own code. For the replica a record only
    says which item to look at: that is made equal to the source as it is now.

    Args:
        deployment: the tables; what is not asked for need not be named.
        apply: without it nothing is written, only read and listed.
        consumers: whose tables to bring it to.
        stream_arn: an older stream of the table, for the history alone; by default the one that
            the stack follows, and without a stack the table's latest.
        since: only changes made then or later; by default all that the stream has.
        state_path: where to keep which items are being settled, for the next redrive to settle
            again if this one is killed; None: nowhere.
        pace: how many records and items a second, read or written; for how long nothing may
            succeed, or a page of the stream be tried; what is called with the records read.

    Raises:
        RefusedError: a table or a consumer is not named; the history or the stream is another
            table's, or is too old for what is asked.
        StateFileError: the state file is of another run, or cannot be used.
        StreamUnreadableError: the stream cannot be read now.
        OperationError: the history does not answer.
    """
    if not consumers:
        raise RefusedError("redrive for which consumer? name one, or leave it out for both")
    if since is not None and since < pace.machine.now() - STREAM_KEEPS:
        raise RefusedError("a stream keeps 24 hours: give --since within them, or leave it out")
    arn = _stream_to_read(deployment, consumers, stream_arn, pace)
    streams = deployment.session.client(
        "dynamodbstreams", endpoint_url=deployment.endpoint_url, config=CLIENT_CONFIG
    )
    reader = StreamReader(streams, pace.patience)
    outline = outline_of(reader, arn, pace.machine.now)
    rows = None
    if Consumer.HISTORY_WRITER in consumers:
        rows = StoredRows(deployment.reader, pace.patience)
    order = _Order(arn, frozenset(consumers), outline, since or _EARLIEST, pace)
    run = _StreamRun(order, reader, rows)
    if not apply:
        run.read_all(None)
        run.look_again()
        return run.result(applied=False)
    with open_courier(deployment, consumers, state_path, pace) as courier:
        courier.settle_again()
        run.read_all(courier)
    return run.result(applied=True)


@dataclass(frozen=True)
class _Order:
    """What to read, and for whom."""

    stream_arn: str
    consumers: frozenset[Consumer]
    outline: StreamOutline
    since: datetime
    pace: Pace


@dataclass
class _StreamRun:
    """The reading of a stream, and what it has come to so far."""

    order: _Order
    reader: StreamReader
    rows: StoredRows | None
    totals: RedriveTotals = field(default_factory=RedriveTotals)
    shards: int = 0
    stored: int = 0
    missing_records: int = 0
    missing: dict[RowKey, MissingRecord] = field(default_factory=dict)
    items: set[str] = field(default_factory=set)

    def read_all(self, courier: Courier | None) -> None:
        """Read shard after shard; without a courier nothing is written."""
        for shard in self.order.outline.shards:
            cursor = ShardCursor(self.reader, self.order.stream_arn, shard.shard_id)
            self._read_shard(shard, cursor, courier)
            self.shards += 1
            if cursor.is_trimmed:
                self.totals.lost.append(_expired(cursor))
            if self.totals.ended is not None:
                return

    def look_again(self) -> None:
        """Ask once more for what was missing: it may have been on its way."""
        for keys in chunked(list(self.missing), MOST_ROWS):
            for key in self._stored(keys):
                del self.missing[key]
                self.missing_records -= 1
                self.stored += 1

    def result(self, *, applied: bool) -> Redriven:
        """What it has come to."""
        reading = StreamReading(
            self.order.stream_arn,
            self.shards,
            None if self.rows is None else self.stored,
            tuple(self.missing.values()),
            self.missing_records,
            len(self.items),
        )
        return self.totals.result(applied=applied, stream=reading)

    def _read_shard(self, shard: StreamShard, cursor: ShardCursor, courier: Courier | None) -> None:
        """Read a shard to its end, or to a change that was made after the reading began."""
        pace = self.order.pace
        for page in pages_of(shard, cursor, pace.machine):
            for records in chunked(page, MOST_ROWS):
                pace.rate.take(len(records))
                load = Load(shard.shard_id, None, 0)
                is_later = self._sort(load, records)
                if courier is not None:
                    self.totals.counts += courier.deliver([load])
                    self.totals.ended = courier.standstill.reason
                self.totals.leftovers += load.leftovers
                pace.progress("records", self.totals.records, None)
                if is_later or self.totals.ended is not None:
                    return

    def _sort(self, load: Load, records: Iterable[Any]) -> bool:
        """Fill a load with what is to be delivered; whether a record was later than all that."""
        due: list[Delivery] = []
        is_later = False
        for record in records:
            try:
                change = read_record(record, self.order.stream_arn)
            except (MalformedRecordError, ViewTypeError) as error:
                self.totals.records += 1
                why = Cause.VIEW_TYPE if isinstance(error, ViewTypeError) else Cause.MALFORMED
                load.leave_record(record, Undelivered(why, str(error)))
                continue
            is_later |= change.created_at > self.order.outline.begun
            if self.order.since <= change.created_at <= self.order.outline.begun:
                self.totals.records += 1
                due.append(Delivery(record, change))
        self._add_missing(load, due)
        self._add_items(load, due)
        return is_later

    def _add_missing(self, load: Load, due: Iterable[Delivery]) -> None:
        if self.rows is None:
            return
        rows = [(delivery, HistoryRow.from_change(delivery.change)) for delivery in due]
        stored = self._stored([_row_key(row) for _, row in rows])
        for delivery, row in rows:
            key = _row_key(row)
            if key not in stored:
                self._miss(key, load.where, delivery)
                load.deliveries.append((delivery, frozenset({Consumer.HISTORY_WRITER})))
            elif stored[key] == row.digest:
                self.stored += 1
            else:
                conflict = f"the stored row {row.sort_key} has another digest"
                load.leave_record(
                    delivery.record,
                    Undelivered(Cause.CONFLICT, conflict),
                    Consumer.HISTORY_WRITER,
                )

    def _add_items(self, load: Load, due: Iterable[Delivery]) -> None:
        if Consumer.REPLICA_WRITER not in self.order.consumers:
            return
        for delivery in due:
            identifier, made = delivery.change.item_id, delivery.change.created_at
            # It was settled after this change, whose second is over.
            if identifier not in self.items or made >= self.order.outline.begun:
                self.items.add(identifier)
                load.deliveries.append((delivery, frozenset({Consumer.REPLICA_WRITER})))

    def _miss(self, key: RowKey, shard_id: str, delivery: Delivery) -> None:
        self.missing_records += 1
        if len(self.missing) < _MOST_LISTED:
            change = delivery.change
            self.missing[key] = MissingRecord(
                shard_id, change.sequence_number, change.keys, change.created_at
            )

    def _stored(self, keys: list[RowKey]) -> dict[RowKey, bytes]:
        # A call that names a row twice is refused.
        distinct = list(dict.fromkeys(keys))
        return self.rows.digests(distinct) if self.rows is not None and keys else {}


def _stream_to_read(
    deployment: DeployedTables,
    consumers: Collection[Consumer],
    stream_arn: str | None,
    pace: Pace,
) -> str:
    """The stream, once it is known to be the source's, and the history to be of that too."""
    name = deployment.source_table
    source = describe(deployment.dynamodb, name, lambda ask: answer_to(ask, pace.patience(), name))
    arn = stream_arn or deployment.stream_arn or source.stream_arn
    if arn is None:
        raise RefusedError(f"'{name}' has no stream, and never had one")
    if not Provenance(source.arn or name).is_followed(arn):
        raise RefusedError(f"{arn} is not a stream of '{name}'")
    if Consumer.REPLICA_WRITER in consumers:
        _require_latest(source, arn)
    require_history_of(deployment, source, pace)
    return arn


def _require_latest(source: TableDescription, stream_arn: str) -> None:
    """See that a stream is what the table writes now: what it was before may be another table."""
    if not source.has_stream or source.stream_arn != stream_arn:
        raise RefusedError(
            f"{stream_arn} is not the stream that '{source.name}' has now: it can be read for the "
            "history alone (--consumer history_writer); the replica is healed by repair"
        )


def _expired(cursor: ShardCursor) -> Lost:
    place = StreamRange(cursor.stream_arn, cursor.shard_id, "0", cursor.last or "0", None)
    return Lost(cursor.stream_arn, place, 0, "its oldest records expired while it was read")


def _row_key(row: HistoryRow) -> RowKey:
    return row.id, row.sort_key
