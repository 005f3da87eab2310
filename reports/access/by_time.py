"""Everything that changed within a range of time, through the index `ByTime`.

The index says which rows there are, the table then says consistently what is in them. AWS brings
an index up to date within about a second: a change of the last second may not be in it yet.

Which partitions an hour has is not believed but found out: too small a number would lose changes
without a word.
"""

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from heapq import merge
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from reports.access.clients import CONCURRENCY
from reports.access.progress import Progress, silent
from reports.access.table_scan import scan
from reports.errors import ReportError
from stream_core.attribute_values import Item
from stream_core.change import EventName
from stream_core.history_row import ID, SORT_KEY, sort_key_after, time_text

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

INDEX = "ByTime"
MOST_SHARDS = 100
"""Partitions that an hour can have at most."""
_HOUR = timedelta(hours=1)
_HOUR_LENGTH = len("2018-03-03T18")
# Entries a page: a hundred busy partitions, two pages each, still fit into memory.
_PAGE = 1000
# A page of so many entries costs about as much, in time and in units, as so many empty queries.
_QUERIES_A_PAGE = 4
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


class _Hour(NamedTuple):
    """The partitions to ask for the rows of one hour."""

    text: str
    buckets: list[str]


class ByTime:
    """The index of a history table: a partition for every hour and shard."""

    def __init__(
        self, dynamodb: "DynamoDBClient", history_table: str, time_shards: int | None
    ) -> None:
        """Read the index of a history table; nothing is sent yet.

        Args:
            dynamodb: the client to read with.
            history_table: the table's name.
            time_shards: partitions an hour has, the stack's output `TimeShards`: the largest
                number there ever was. Rows are held against it; reading does not rely on it.

        Raises:
            ReportError: there cannot be so many.
        """
        if time_shards is not None and not 1 <= time_shards <= MOST_SHARDS:
            raise ReportError(
                f"{time_shards} time shards: give 1 to {MOST_SHARDS}, as the stack's output "
                "TimeShards says, or leave it out"
            )
        self.shards = MOST_SHARDS if time_shards is None else time_shards
        self._dynamodb = dynamodb
        self._history_table = history_table

    def entries(
        self, start: datetime, end: datetime, progress: Progress = silent
    ) -> Generator[IndexEntry, None, None]:
        """The rows stamped from `start` to `end`, both included, in the order of time.

        The partitions that have rows are listed first, and only these are asked: what it takes
        grows with the rows that there are, not with the range. An index so large that asking each
        of the hundred partitions that an hour can have is cheaper is read in that way. What is
        held in memory grows with the partitions, and not with the rows.

        Raises:
            ReportError: the range ends before it starts.
        """
        check_range(start, end)
        return self._entries(start, end, progress)

    def _entries(
        self, start: datetime, end: datetime, progress: Progress
    ) -> Generator[IndexEntry, None, None]:
        first, last = time_text(start), sort_key_after(end)
        listed = self._listed(first, last, most_pages=_most_pages(start, end))
        hours = _all_hours(start, end) if listed is None else iter(listed)
        total = count_hours(start, end) if listed is None else len(listed)
        ahead: deque[list[_Partition]] = deque()
        pool = ThreadPoolExecutor(CONCURRENCY)
        try:
            for done in range(1, total + 1):
                while not ahead or sum(map(len, ahead)) < 2 * CONCURRENCY:
                    if (hour := next(hours, None)) is None:
                        break
                    ahead.append(self._partitions(pool, hour, first, last))
                yield from merge(*(partition.entries() for partition in ahead.popleft()))
                progress("hours", done, total)
        finally:
            pool.shutdown(cancel_futures=True)

    def _listed(self, first: str, last: str, most_pages: int) -> list[_Hour] | None:
        """The hours that have rows, with their partitions; None where the index is too large.

        Rows are told by their own time, so that one under the bucket of another hour is not lost.
        """
        buckets: dict[str, set[str]] = defaultdict(set)
        names = ("TimeBucket", SORT_KEY)
        options = {"IndexName": INDEX, "ConsistentRead": False, "Limit": _PAGE}
        pages = scan(self._dynamodb, self._history_table, names, **options)
        with closing(pages):
            for number, page in enumerate(pages, 1):
                for row in page:
                    if first <= (sort_key := row[SORT_KEY]["S"]) <= last:
                        buckets[sort_key[:_HOUR_LENGTH]].add(row["TimeBucket"]["S"])
                if number > most_pages:
                    return None
        return [_Hour(hour, sorted(names)) for hour, names in sorted(buckets.items())]

    def _partitions(
        self, pool: ThreadPoolExecutor, hour: _Hour, first: str, last: str
    ) -> list["_Partition"]:
        bounds = {
            ":start": {"S": max(first, hour.text)},
            # After all that is stamped within the hour.
            ":end": {"S": min(last, f"{hour.text}~")},
        }
        return [
            _Partition(pool, partial(self._page, {":bucket": {"S": bucket}, **bounds}))
            for bucket in hour.buckets
        ]

    def _page(self, values: dict[str, Any], place: Any) -> _IndexPage:
        begin = {} if place is None else {"ExclusiveStartKey": place}
        answer = self._dynamodb.query(
            TableName=self._history_table,
            ExpressionAttributeValues=values,
            **_REQUEST,
            **begin,
        )
        return list(map(_entry, answer["Items"])), answer.get("LastEvaluatedKey")


def _entry(item: Item) -> IndexEntry:
    try:
        event_name = EventName(item["EventName"]["S"])
    except (KeyError, ValueError):
        # What is no history row is told when it is read.
        event_name = EventName.UNREADABLE
    return IndexEntry(item[SORT_KEY]["S"], item[ID]["S"], event_name)


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


def expected_requests(start: datetime, end: datetime, rows: int, within: int) -> int:
    """About how many requests it takes to read a range, where rows are spread evenly.

    Args:
        start: the first moment.
        end: the last moment.
        rows: how many rows there are.
        within: how many of them are within the range.
    """
    listing = min(_most_pages(start, end), CONCURRENCY + rows // _PAGE)
    return listing + min(within, count_hours(start, end) * MOST_SHARDS)


def _most_pages(start: datetime, end: datetime) -> int:
    """How many pages may be read to list the partitions; with more, asking them all is cheaper."""
    return max(CONCURRENCY, count_hours(start, end) * MOST_SHARDS // _QUERIES_A_PAGE)


def _all_hours(start: datetime, end: datetime) -> Iterator[_Hour]:
    """Every hour of the clock with all the partitions that it can have."""
    for number in range(count_hours(start, end)):
        text = time_text(_hour(start) + number * _HOUR)[:_HOUR_LENGTH]
        yield _Hour(text, [f"{text}#{shard:02d}" for shard in range(MOST_SHARDS)])


def _hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
