"""Everything that changed within a range of time, through the index `ByTime`; never a scan.

The index says which rows there are, the table then says consistently what is in them. AWS brings
an index up to date within about a second: a change of the last second may not be in it yet.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from heapq import merge
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from reports.access.clients import CONCURRENCY
from reports.access.progress import Progress, silent
from reports.errors import ReportError
from stream_core.attribute_values import Item
from stream_core.change import EventName
from stream_core.errors import IntegrityError
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

    def __init__(
        self, dynamodb: "DynamoDBClient", history_table: str, time_shards: int | None
    ) -> None:
        """Read the index of a history table; nothing is sent yet.

        Args:
            dynamodb: the client to read with.
            history_table: the table's name.
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
        self._dynamodb = dynamodb
        self._history_table = history_table

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
        answer = self._dynamodb.query(
            TableName=self._history_table,
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
