"""One of two tables that are compared: its pages and its items, read until there is an answer."""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from more_itertools import chunked

from operations.errors import NoAnswerError, OperationError, RefusedError
from operations.execution.pace import Pace
from operations.execution.request import answer_to
from replica_writer.tables import MAX_READS, Keys
from reports.access.table_description import TableDescription
from reports.inputs.keys import KeySchema
from stream_core.attribute_values import Item
from stream_core.item_id import item_id
from stream_core.retry import Patience, error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# A megabyte, which an answer may have, holds ten thousand small items. So many of each segment
# are in memory.
PAGE_ITEMS = 1_000
_GIVE_UP_AFTER_S = 60.0


class Place(NamedTuple):
    """Where a scan goes on: a segment of so many, and the last key read of it."""

    segment: int
    segments: int
    start: Any = None


class Page(NamedTuple):
    """Some items of a segment, and where its next ones are; None at its end."""

    items: list[Item]
    following: Place | None


@dataclass(frozen=True)
class ComparedTable:
    """A table, read consistently.

    Attributes:
        role: `source` or `replica`, for messages.
        scanning: the client for pages.
        reading: the client for items by key.
        pace: how many items a second, and by which clock to try again.
    """

    role: str
    description: TableDescription
    scanning: "DynamoDBClient"
    reading: "DynamoDBClient"
    pace: Pace

    @property
    def name(self) -> str:
        """The table's name."""
        return self.description.name

    @cached_property
    def key(self) -> KeySchema:
        """Its key, the partition key first."""
        return self.description.key_schema

    def page(self, place: Place, *, keys_only: bool) -> Page:
        """The next items of a segment.

        Raises:
            OperationError: the table cannot be read.
        """
        request: dict[str, Any] = {
            "TableName": self.name,
            "ConsistentRead": True,
            "Limit": self._most(PAGE_ITEMS),
            "Segment": place.segment,
            "TotalSegments": place.segments,
        }
        request |= self._projection() if keys_only else {}
        request |= {} if place.start is None else {"ExclusiveStartKey": place.start}
        answer = self._answer(lambda: self.scanning.scan(**request))
        self.pace.rate.take(len(answer["Items"]))
        last = answer.get("LastEvaluatedKey")
        return Page(answer["Items"], None if last is None else place._replace(start=last))

    def read(self, keys: Keys, *, keys_only: bool = False) -> dict[str, Item | None]:
        """What items are, by id, None for an absent one; any number of them, 100 a call.

        Raises:
            OperationError: the table cannot be read.
        """
        items: dict[str, Item | None] = dict.fromkeys(keys)
        projection = self._projection() if keys_only else {}

        def attempt(wanted: list[Item]) -> list[Item]:
            request: Any = {self.name: {"Keys": wanted, "ConsistentRead": True, **projection}}
            answer = self._answer(lambda: self.reading.batch_get_item(RequestItems=request))
            for item in answer["Responses"].get(self.name, []):
                items[item_id(self.key_of(item))] = item
            # What is beyond the 16 MB of an answer, or was throttled.
            remaining = answer.get("UnprocessedKeys", {}).get(self.name)
            return list(remaining["Keys"]) if remaining else []

        for portion in chunked(keys.values(), self._most(MAX_READS)):
            self.pace.rate.take(len(portion))
            if self._patience().work_off(portion, attempt):
                raise NoAnswerError(
                    f"'{self.name}' gives no more items: try again later, or slower"
                )
        return items

    def key_of(self, item: Item) -> Item:
        """An item's key."""
        return {name: item[name] for name in self.key.types}

    def _answer(self, request: Callable[[], Any]) -> Any:
        try:
            return answer_to(request, self._patience(), self.name)
        except (ClientError, BotoCoreError) as error:
            raise unreadable(self.role, self.name, self.reading, error) from error

    def _patience(self) -> Patience:
        return self.pace.machine.patience(_GIVE_UP_AFTER_S)

    def _most(self, items: int) -> int:
        """No more than a second's worth at once: a slow rate is an even one, and soon ended."""
        per_second = self.pace.per_second
        return items if per_second is None else min(items, math.ceil(per_second))

    def _projection(self) -> dict[str, Any]:
        names = {f"#k{number}": name for number, name in enumerate(self.key.types)}
        return {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}


def unreadable(
    role: str,
    name: str,
    client: "DynamoDBClient",
    error: ClientError | BotoCoreError,
    needed: str = "DescribeTable, Scan and BatchGetItem",
) -> OperationError:
    """That a table cannot be read, and what to look at; the service's text may quote keys."""
    return OperationError(
        f"the {role} table '{name}' in {client.meta.region_name} cannot be read "
        f"({error_code(error)}): check its name, its region, and that you are allowed {needed} "
        "on it"
    )


Result = TypeVar("Result")

# API reference, Scan.
_MOST_SEGMENTS = 1_000_000


def require_segments(segments: int) -> None:
    """Refuse what DynamoDB would.

    Raises:
        RefusedError: a table cannot be split into so many segments.
    """
    if not 1 <= segments <= _MOST_SEGMENTS:
        raise RefusedError(
            f"{segments} segments are not possible: give a number from 1 to {_MOST_SEGMENTS:,}"
        )


def work_off_segments(
    executor: Executor,
    segments: int,
    at_once: int,
    step: Callable[[Place], tuple[Result, Place | None]],
) -> Iterator[Result]:
    """What `step` makes of each page of each segment, in no order.

    The next page of a segment is begun when the one before is taken, so that no more than
    `at_once` results exist. When the caller stops early, what has not begun is dropped.

    Args:
        executor: what runs the steps.
        segments: into how many the table is split.
        at_once: how many are worked off side by side.
        step: works off one page; also returns where the next page of the segment is.
    """
    waiting = iter(range(segments))
    under_way: set[Future[tuple[Result, Place | None]]] = {
        executor.submit(step, Place(segment, segments)) for segment in islice(waiting, at_once)
    }
    try:
        while under_way:
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                result, following = future.result()
                under_way.remove(future)
                if following is None and (segment := next(waiting, None)) is not None:
                    following = Place(segment, segments)
                if following is not None:
                    under_way.add(executor.submit(step, following))
                yield result
    finally:
        for future in under_way:
            future.cancel()
