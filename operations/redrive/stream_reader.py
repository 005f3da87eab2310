"""Reading a part of a stream again, by shard and sequence numbers, while the stream still has it.

A third reader of a shard takes from the two that a stream allows for, so it gives way: whatever is
throttled is tried again later. What has expired is said to be missing, and never passed over.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from operations.errors import OperationError
from operations.execution.request import answer_to
from operations.redrive.objects import StreamRange
from stream_core.change import StreamRecord
from stream_core.retry import Patience, error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient

# API reference, GetRecords.
_MOST_RECORDS = 1000
MOST_EMPTY_PAGES = 8
"""An open shard at rest gives empty pages for ever; between records there are few."""
# Fresh iterators for one page. They last 15 minutes, and the horizon moves all the time.
_MOST_ITERATORS = 5
_TRIMMED, _EXPIRED = "TrimmedDataAccessException", "ExpiredIteratorException"
GONE = "ResourceNotFoundException"
"""What a stream answers of a shard, or of itself, that is no longer there."""


class StreamUnreadableError(OperationError):
    """The stream refused to be read or did not answer for too long; nothing is said to be lost."""


@dataclass(frozen=True)
class Refetched:
    """What a stream still has of a range.

    Attributes:
        records: in the order of the stream, in the streams API's own shape.
        missing: what it has not, in words; None where the range is whole.
    """

    records: list[StreamRecord]
    missing: str | None


@dataclass
class _RangeSearch:
    """A range, and what was found of it so far."""

    place: StreamRange
    records: list[StreamRecord] = field(default_factory=list)
    has_start: bool = False
    has_end: bool = False
    is_trimmed: bool = False
    shard_is_gone: bool = False

    def take(self, page: list[Any]) -> bool:
        """Keep what is in the range; whether the page goes beyond its end."""
        start, end = int(self.place.start), int(self.place.end)
        for record in page:
            # As integers: sequence numbers differ in length.
            sequence = int(record["dynamodb"]["SequenceNumber"])
            if start <= sequence <= end:
                self.records.append(record)
            self.has_start |= sequence == start
            self.has_end |= sequence == end
            if sequence >= end:
                return True
        return False

    @property
    def missing(self) -> str | None:
        count, expected = len(self.records), self.place.batch_size or 0
        if self.has_start and self.has_end and count >= expected:
            return None
        if self.shard_is_gone:
            return "the shard, or the stream, is no longer there"
        if self.is_trimmed:
            return "its oldest records have expired" if count else "its records have expired"
        if count < expected:
            return f"the stream has {count} of {expected} records"
        return "the stream does not have both ends of it"


@dataclass(frozen=True)
class StreamReader:
    """Reads ranges of streams.

    Attributes:
        patience: makes the patience for one page; an answer without records is one to be patient
            with as well.
    """

    streams: "DynamoDBStreamsClient"
    patience: Callable[[], Patience]

    def refetch(self, place: StreamRange) -> Refetched:
        """The records of a range, as far as the stream still has them.

        A batch is of one shard; only when that ends before the range does, its children are read
        as well, and theirs.

        Raises:
            StreamUnreadableError: the stream cannot be read now.
        """
        search, waiting = _RangeSearch(place), [place.shard_id]
        for shard_id in waiting:
            if self._read(shard_id, search) or search.has_end:
                continue
            waiting += [
                child
                for child in self._children(place.stream_arn, shard_id)
                if child not in waiting
            ]
        return Refetched(search.records, search.missing)

    def _read(self, shard_id: str, search: _RangeSearch) -> bool:
        """Read a shard until it ends, or goes beyond the range; whether it does the latter."""
        try:
            return any(search.take(page) for page in self._pages(shard_id, search))
        except ClientError as error:
            if error_code(error) != GONE:
                raise unreadable(error) from error
            search.shard_is_gone |= shard_id == search.place.shard_id
            return False

    def _pages(self, shard_id: str, search: _RangeSearch) -> Iterator[list[Any]]:
        start = search.place.start if shard_id == search.place.shard_id else None
        cursor = ShardCursor(self, search.place.stream_arn, shard_id, start)
        try:
            while (page := self.page(cursor)) is not None:
                yield page
        finally:
            search.is_trimmed |= cursor.is_trimmed

    def page(self, cursor: "ShardCursor") -> list[Any] | None:
        """The next records, or None where no more are to be had.

        Raises:
            ClientError: it is refused.
            StreamUnreadableError: it failed for too long.
        """
        pages: list[list[Any]] = []
        pauses = 0

        def attempt(pending: list[None]) -> list[None]:
            nonlocal pauses
            page = None if cursor.ended else cursor.read()
            if page:
                pages.append(page)
            pauses += 1
            return [] if page or cursor.ended or pauses > MOST_EMPTY_PAGES else pending

        self.patience().work_off([None], attempt)
        return pages[0] if pages else None

    def _children(self, stream_arn: str, shard_id: str) -> list[str]:
        try:
            return [
                shard["ShardId"]
                for description in self.descriptions(stream_arn)
                for shard in description["StreamDescription"]["Shards"]
                if shard.get("ParentShardId") == shard_id
            ]
        except ClientError as error:
            if error_code(error) != GONE:
                raise unreadable(error) from error
            return []

    def descriptions(self, stream_arn: str) -> Iterator[Any]:
        """What DescribeStream answers, page by page.

        Raises:
            ClientError: it is refused.
            StreamUnreadableError: it failed for too long.
        """
        place: dict[str, Any] = {}
        while True:
            answer = self.call("describe_stream", StreamArn=stream_arn, **place)
            yield answer
            description = answer["StreamDescription"]
            if "LastEvaluatedShardId" not in description:
                return
            place = {"ExclusiveStartShardId": description["LastEvaluatedShardId"]}

    def call(self, operation: str, **request: Any) -> Any:
        """Send a request, and again while it fails for a passing reason.

        Raises:
            ClientError: it is refused.
            StreamUnreadableError: it failed for too long.
        """
        send = partial(getattr(self.streams, operation), **request)
        try:
            return answer_to(send, self.patience(), "the stream")
        except OperationError as error:
            raise StreamUnreadableError(str(error)) from error


@dataclass
class ShardCursor:
    """A place in a shard, kept when iterators expire and when the horizon overtakes it.

    Attributes:
        start: sequence number of the first record to read; None: the oldest that there is.
        last: sequence number of the last record that was read.
        ended: whether the shard is closed, and read to its end.
        is_trimmed: whether records expired before they were read.
    """

    reader: StreamReader
    stream_arn: str
    shard_id: str
    start: str | None = None
    last: str | None = None
    ended: bool = False
    is_trimmed: bool = False
    _iterator: str | None = None

    def read(self) -> list[Any]:
        """What one request gives, which may be nothing though more is to come.

        Raises:
            ClientError: it is refused.
            StreamUnreadableError: it failed for too long.
        """
        iterator = self._iterator or self._fresh()
        for _ in range(_MOST_ITERATORS):
            try:
                answer = self.reader.call(
                    "get_records", ShardIterator=iterator, Limit=_MOST_RECORDS
                )
            except ClientError as error:
                iterator = self._after(error)
                continue
            self._iterator = answer.get("NextShardIterator")
            self.ended = self._iterator is None
            page: list[Any] = answer["Records"]
            if page:
                self.last = page[-1]["dynamodb"]["SequenceNumber"]
            return page
        raise StreamUnreadableError("the stream's iterators expire at once: try again later")

    def _after(self, error: ClientError) -> str:
        """An iterator to go on with after one was refused."""
        if error_code(error) == _EXPIRED:
            return self._fresh()
        if error_code(error) == _TRIMMED:
            self.is_trimmed = True
            return self._fresh_from_horizon()
        raise error

    def _fresh(self) -> str:
        if self.last is not None:
            where = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": self.last}
        elif self.start is not None:
            where = {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": self.start}
        else:
            return self._fresh_from_horizon()
        try:
            return self._ask(**where)
        except ClientError as error:
            if error_code(error) != _TRIMMED:
                raise
            self.is_trimmed = True
            return self._fresh_from_horizon()

    def _fresh_from_horizon(self) -> str:
        return self._ask(ShardIteratorType="TRIM_HORIZON")

    def _ask(self, **where: str) -> str:
        answer = self.reader.call(
            "get_shard_iterator", StreamArn=self.stream_arn, ShardId=self.shard_id, **where
        )
        iterator: str = answer["ShardIterator"]
        return iterator


def unreadable(error: ClientError) -> StreamUnreadableError:
    """What a refusal of the stream means: nothing is known of what it holds."""
    return StreamUnreadableError(f"the stream refuses to be read: {error_code(error)}")
