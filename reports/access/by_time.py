"""Everything that changed within a range of time, through the index `ByTime`; never a scan.

The index says which rows there are, the table then says consistently what is in them. AWS brings
an index up to date within about a second: a change of the last second may not be in it yet.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from heapq import merge
from typing import Any, NamedTuple, TypeAlias

from reports.access.clients import CONCURRENCY
from reports.access.parallel import batches, in_order
from reports.access.progress import Progress, silent
from reports.access.row_reader import MOST_A_CALL, RowReader
from reports.errors import ReportError
from reports.states.selection import Selection
from stream_core.attribute_values import Item
from stream_core.change import EventName
from stream_core.errors import IntegrityError
from stream_core.history_row import ID, SORT_KEY, HistoryRow, sort_key_after, time_text

INDEX = "ByTime"
MOST_SHARDS = 100
_HOUR = timedelta(hours=1)
_HOUR_LENGTH = len("2018-03-03T18")
# Entries a page: a hundred busy partitions, two pages each, still fit into memory.
_PAGE = 1000
_REQUEST: dict[str, Any] = {
    "IndexName": INDEX,
    "KeyConditionExpression": "#bucket = :bucket AND #time BETWEEN :start AND :end",
    "ProjectionExpression": "#id, #time, #event",
    "ExpressionAttributeNames": {
        "#bucket": "TimeBucket",
        "#id": ID,
        "#time": SORT_KEY,
        "#event": "EventName",
    },
    "Limit": _PAGE,
}


class IndexEntry(NamedTuple):
    """What the index tells of a row; entries sort by time, then by `Id`."""

    sort_key: str
    identifier: str
    event_name: EventName


_IndexPage: TypeAlias = tuple[list[IndexEntry], Any]
"""Entries, and where the next page begins, None after the last."""


class ByTime:
    """The index of a history table: a partition for every hour and shard."""

    def __init__(self, reader: RowReader, time_shards: int | None) -> None:
        """Read the index of the reader's history table; nothing is sent yet.

        Args:
            reader: reads the history table.
            time_shards: partitions an hour has, the stack's output `TimeShards`: the largest
                number there ever was. Unknown, all of the hundred possible ones are asked.

        Raises:
            ReportError: there cannot be so many.
        """
        if time_shards is not None and not 1 <= time_shards <= MOST_SHARDS:
            raise ReportError(
                f"{time_shards} time shards: give 1 to {MOST_SHARDS}, as the stack's output "
                "TimeShards says, or leave it out"
            )
        self.shards = MOST_SHARDS if time_shards is None else time_shards
        self._reader = reader

    def entries(
        self, start: datetime, end: datetime, progress: Progress = silent
    ) -> Generator[IndexEntry, None, None]:
        """The rows stamped from `start` to `end`, both included, in the order of time.

        One query for every hour and shard, however little is in it, side by side and some of them
        ahead: a range of years takes its time, and `progress` tells the hours done. What is held
        in memory does not grow with the range.

        Raises:
            ReportError: the range ends before it starts.
        """
        check_range(start, end)
        return self._entries(start, end, progress)

    def _entries(
        self, start: datetime, end: datetime, progress: Progress
    ) -> Generator[IndexEntry, None, None]:
        bounds = {":start": {"S": time_text(start)}, ":end": {"S": sort_key_after(end)}}
        hours = count_hours(start, end)
        most_ahead = max(1, 2 * CONCURRENCY // self.shards)
        partitions: deque[list[_Partition]] = deque()
        pool = ThreadPoolExecutor(CONCURRENCY)
        try:
            for hour in range(hours + most_ahead):
                if hour < hours:
                    partitions.append(self._partitions(pool, _hour(start) + hour * _HOUR, bounds))
                if hour >= most_ahead:
                    yield from merge(*(partition.entries() for partition in partitions.popleft()))
                    progress("hours", hour - most_ahead + 1, hours)
        finally:
            pool.shutdown(cancel_futures=True)

    def _partitions(
        self, pool: ThreadPoolExecutor, hour: datetime, bounds: dict[str, Any]
    ) -> list["_Partition"]:
        text = time_text(hour)[:_HOUR_LENGTH]
        return [
            _Partition(
                pool, partial(self._page, {":bucket": {"S": f"{text}#{shard:02d}"}, **bounds})
            )
            for shard in range(self.shards)
        ]

    def _page(self, values: dict[str, Any], place: Any) -> _IndexPage:
        begin = {} if place is None else {"ExclusiveStartKey": place}
        answer = self._reader.dynamodb.query(
            TableName=self._reader.history_table,
            ExpressionAttributeValues=values,
            **_REQUEST,
            **begin,
        )
        return list(map(_entry, answer["Items"])), answer.get("LastEvaluatedKey")


def _entry(item: Item) -> IndexEntry:
    try:
        return IndexEntry(item[SORT_KEY]["S"], item[ID]["S"], EventName(item["EventName"]["S"]))
    except (KeyError, ValueError) as error:
        raise IntegrityError(
            f"in the index {INDEX} is something that is no history row: verify says what"
        ) from error


class _Partition:
    """The entries of one partition; the page after the one being consumed is under way."""

    def __init__(self, pool: ThreadPoolExecutor, read: Callable[[Any], _IndexPage]) -> None:
        self._pool = pool
        self._read = read
        self._next: Future[_IndexPage] | None = pool.submit(read, None)

    def entries(self) -> Iterator[IndexEntry]:
        """In the order of time and `Id`.

        An index is sorted by its sort key alone. Baselines of many items share theirs, so those
        of a page's last sort key wait for the rest of them on the next.
        """
        held: list[IndexEntry] = []
        while self._next is not None:
            page, place = self._next.result()
            self._next = None if place is None else self._pool.submit(self._read, place)
            held = sorted([*held, *page])
            if held and self._next is not None:
                ready = bisect_left(held, (held[-1].sort_key,))
                yield from held[:ready]
                held = held[ready:]
        yield from held


def changed_rows(  # noqa: PLR0913 - the whole question, as it is asked
    reader: RowReader,
    by_time: ByTime,
    start: datetime,
    end: datetime,
    where: Selection,
    *,
    identifier: str | None = None,
    progress: Progress = silent,
    undecided: Callable[[HistoryRow], object] = lambda _row: None,
) -> Generator[HistoryRow, None, None]:
    """The changes made from `start` to `end`, both included, in the order of time, streamed.

    A change of the last second may be missing: AWS brings the index up to date a little later.

    Args:
        reader: reads the rows, consistently.
        by_time: finds the rows.
        start: the first moment.
        end: the last moment.
        where: which changes are asked for.
        identifier: of this item only; its own rows are read then, and not the index.
        progress: is told the hours of the index that are done.
        undecided: is called with every change that `where` leaves out only because nothing names
            who made it: all deletes, where an actor is asked for.

    Raises:
        ReportError: the range ends before it starts.
        IntegrityError: a row is in the index and not in the table, or is not what was written.
    """
    check_range(start, end)
    if identifier is None:
        rows = _rows_of_all(reader, by_time.entries(start, end, progress), where)
    else:
        rows = _rows_of_one(reader, identifier, start, end)
    return _accepted(rows, where, undecided)


def check_range(start: datetime, end: datetime) -> None:
    """See that a range of time does not end before it starts.

    Raises:
        ReportError: it does.
    """
    if start > end:
        raise ReportError(
            f"the range from {time_text(start)} ends before it starts, at {time_text(end)}: "
            "give the earlier time first"
        )


def count_hours(start: datetime, end: datetime) -> int:
    """How many hours of the clock a range of time touches."""
    return (_hour(end) - _hour(start)) // _HOUR + 1


def _hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _rows_of_all(
    reader: RowReader, entries: Generator[IndexEntry, None, None], where: Selection
) -> Generator[HistoryRow, None, None]:
    keys = (
        (entry.identifier, entry.sort_key) for entry in entries if where.takes(entry.event_name)
    )
    # Closed by hand, here and below: left to the interpreter, threads might outlive an error.
    with closing(entries), closing(in_order(reader.fetch, batches(keys, MOST_A_CALL))) as fetched:
        for rows in fetched:
            yield from rows


def _rows_of_one(
    reader: RowReader, identifier: str, start: datetime, end: datetime
) -> Generator[HistoryRow, None, None]:
    yield from reader.rows(identifier, after=time_text(start), until=sort_key_after(end))


def _accepted(
    rows: Generator[HistoryRow, None, None],
    where: Selection,
    undecided: Callable[[HistoryRow], object],
) -> Generator[HistoryRow, None, None]:
    with closing(rows):
        for row in rows:
            if where.accepts(row):
                yield row
            elif where.undecided(row):
                undecided(row)
