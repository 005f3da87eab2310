"""What the stream itself says of records that were kept aside, while it has them.

Who puts an object where failures are kept could else write history with it. A record of the last
24 hours has to be in the stream, and as it is there; of an older one nothing can be said.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from itertools import product

from botocore.exceptions import ClientError

from operations.errors import OperationError
from operations.redrive.delivery import Cause, Undelivered
from operations.redrive.stream_reader import GONE, ShardCursor, StreamReader, unreadable
from operations.redrive.whole_stream import StreamOutline, StreamShard, outline_of
from reports.access.machine import Machine
from stream_core.change import Change, StreamRecord, read_record
from stream_core.errors import ItemtrailError
from stream_core.history_row import HistoryRow
from stream_core.retry import error_code

STREAM_KEEPS = timedelta(hours=24)
# What an engine answers to a sequence number that the shard does not have.
_NOT_THERE = frozenset({GONE, "ValidationException"})
_FORGED = Undelivered(
    Cause.CONTRADICTED,
    "the stream has no record of its number, though it keeps 24 hours: it may be forged",
)
_OTHERWISE = Undelivered(
    Cause.CONTRADICTED, "the stream has another record of its number: it may be forged"
)
_TOO_NEW = Undelivered(
    Cause.UNREADABLE, "it was made after the stream was looked at: redrive it again"
)


@dataclass(frozen=True)
class _Page:
    """The records of a shard from one number to another, as they were read last."""

    first: int
    last: float
    records: dict[int, StreamRecord]


@dataclass
class StreamEvidence:
    """Holds records against one stream, which is described when that is needed first."""

    reader: StreamReader
    stream_arn: str
    machine: Machine
    _pages: dict[str, _Page] = field(default_factory=dict)

    def judge(self, changes: Sequence[Change]) -> list[Undelivered | bool]:
        """For each change whether the stream vouches for it, or why it is not to be believed.

        False: the stream cannot say, because it has the record no more or cannot be read in it.
        """
        young = [change for change in changes if change.created_at > self._horizon]
        try:
            recorded = self._find(int(change.sequence_number) for change in young) if young else {}
        except OperationError as error:
            refusal = Undelivered(Cause.UNREADABLE, str(error))
            return [change.created_at > self._horizon and refusal for change in changes]
        return [
            self._verdict(change, recorded.get(int(change.sequence_number)))
            if change.created_at > self._horizon
            else False
            for change in changes
        ]

    @cached_property
    def _outline(self) -> StreamOutline | OperationError:
        try:
            return outline_of(self.reader, self.stream_arn, self.machine.now)
        except OperationError as error:
            return error

    @cached_property
    def _begun(self) -> datetime:
        """When the stream was looked at, by the service's clock where it answers."""
        outline = self._outline
        return outline.begun if isinstance(outline, StreamOutline) else self.machine.now()

    @property
    def _horizon(self) -> datetime:
        return self._begun - STREAM_KEEPS

    def _verdict(self, change: Change, record: StreamRecord | None) -> Undelivered | bool:
        if record is None:
            return _TOO_NEW if change.created_at > self._begun else _FORGED
        try:
            recorded = read_record(record, self.stream_arn)
        except ItemtrailError:
            # It was mended by hand: of what cannot be read nothing can be said.
            return False
        is_same = HistoryRow.from_change(recorded).digest == HistoryRow.from_change(change).digest
        return True if is_same else _OTHERWISE

    def _find(self, numbers: Iterable[int]) -> dict[int, StreamRecord]:
        """The records of some sequence numbers, looked for in every shard that may have them.

        Raises:
            OperationError: the stream cannot be read.
        """
        outline, records = self._outline, dict[int, StreamRecord]()
        if isinstance(outline, OperationError):
            raise outline
        for shard, number in product(outline.shards, sorted(set(numbers))):
            if number not in records and shard.may_have(number):
                page = self._page_at(shard, number)
                records |= {number: page.records[number]} if number in page.records else {}
        return records

    def _page_at(self, shard: StreamShard, number: int) -> _Page:
        """The page of a shard that has a number, or shows that the shard does not have it."""
        page = self._pages.get(shard.shard_id)
        if page is None or not page.first <= number <= page.last:
            page = self._pages[shard.shard_id] = self._read(shard, number)
        return page

    def _read(self, shard: StreamShard, number: int) -> _Page:
        cursor = ShardCursor(self.reader, self.stream_arn, shard.shard_id, str(number))
        try:
            records = self.reader.page(cursor)
        except ClientError as error:
            if error_code(error) not in _NOT_THERE:
                raise unreadable(error) from error
            return _Page(number, number, {})
        if records is None:
            return _Page(number, math.inf, {})
        by_number = {int(record["dynamodb"]["SequenceNumber"]): record for record in records}
        return _Page(number, max(by_number), by_number)
