"""Reading all that a stream still has, shard by shard, a parent before its children."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from operations.errors import RefusedError
from operations.execution.rate import Rate
from operations.redrive.stream_reader import (
    GONE,
    MOST_EMPTY_PAGES,
    ShardCursor,
    StreamReader,
    StreamUnreadableError,
    unreadable,
)
from reports.access.machine import Machine
from reports.access.service_date import date_of
from stream_core.change import VIEW_TYPE
from stream_core.retry import error_code

# A shard allows for five, and the mappings of two consumers make four each when they can.
_CALLS_A_SECOND = 2.0


@dataclass(frozen=True)
class StreamShard:
    """A shard as it was described; one that is closed gets no more records.

    Attributes:
        first, last: the least and the greatest sequence number in it, as far as that is told.
    """

    shard_id: str
    parent: str | None
    is_closed: bool
    first: int = 0
    last: int | None = None

    def may_have(self, number: int) -> bool:
        """Whether a sequence number can be one of its records'."""
        return self.first <= number and (self.last is None or number <= self.last)


@dataclass(frozen=True)
class StreamOutline:
    """A stream as it was described.

    Attributes:
        shards: all of them, a parent before its children.
        begun: when it was described, by the service's clock; whatever is in a shard that was made
            since is later than that.
    """

    shards: tuple[StreamShard, ...]
    begun: datetime


def outline_of(reader: StreamReader, stream_arn: str, now: Callable[[], datetime]) -> StreamOutline:
    """The shards of a stream.

    Args:
        reader: asks for them.
        stream_arn: the stream.
        now: the time, where the answer does not tell it.

    Raises:
        RefusedError: its records do not show both images.
        StreamUnreadableError: it is no longer there, or cannot be read now.
    """
    try:
        answers = list(reader.descriptions(stream_arn))
    except ClientError as error:
        if error_code(error) != GONE:
            raise unreadable(error) from error
        raise StreamUnreadableError(
            f"the stream {stream_arn} is not there: one that was switched off is kept for 24 hours"
        ) from error
    view = answers[0]["StreamDescription"].get("StreamViewType", VIEW_TYPE)
    if view != VIEW_TYPE:
        raise RefusedError(f"the stream's view type is {view}, of which no row can be made")
    shards = [
        _shard(shard) for answer in answers for shard in answer["StreamDescription"]["Shards"]
    ]
    begun = date_of(answers[0]) or now().replace(microsecond=0)
    return StreamOutline(tuple(_by_lineage(shards)), begun)


def _shard(described: Any) -> StreamShard:
    numbers = described.get("SequenceNumberRange", {})
    last = numbers.get("EndingSequenceNumber")
    return StreamShard(
        described["ShardId"],
        described.get("ParentShardId"),
        is_closed=last is not None,
        first=int(numbers.get("StartingSequenceNumber", 0)),
        last=None if last is None else int(last),
    )


def pages_of(shard: StreamShard, cursor: ShardCursor, machine: Machine) -> Iterator[list[Any]]:
    """The records of a shard, a page at a time and not too fast.

    A closed shard is read to its end, an open one until some pages in a row had nothing. One that
    has expired altogether has no records.

    Raises:
        StreamUnreadableError: it cannot be read now.
    """
    rate = Rate(_CALLS_A_SECOND, machine.clock, machine.sleep)
    empty_pages = 0
    while not cursor.ended and (shard.is_closed or empty_pages <= MOST_EMPTY_PAGES):
        rate.take(1)
        try:
            page = cursor.read()
        except ClientError as error:
            if error_code(error) != GONE:
                raise unreadable(error) from error
            return
        empty_pages = 0 if page else empty_pages + 1
        if page:
            yield page


def _by_lineage(shards: list[StreamShard]) -> Iterator[StreamShard]:
    """A parent before its children; one whose parent has expired stands for itself."""
    waiting = {shard.shard_id: shard for shard in shards}
    while waiting:
        # A circle, which cannot be, would leave none: then all come as they are.
        ready = [shard for shard in waiting.values() if shard.parent not in waiting]
        for shard in ready or list(waiting.values()):
            yield waiting.pop(shard.shard_id)
