"""Writing an item only if it still is what it was seen to be.

A condition can name attributes and what they hold; it cannot say that there are no others. So an
attribute that another writer adds at the same moment is never in it. Changes are therefore made by
`UpdateItem`, which leaves it where it is. A delete takes it along, and so does a put, which has to
stand in where one update cannot express all: what they return is compared with what was seen, and
if there was more, the item is put back as it was.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from operations.errors import OperationError
from operations.execution.request import answer_to
from operations.recovery.conditions import (
    UnwritableError,
    delete_request,
    put_request,
    replace_request,
    update_request,
)
from reports.inputs.paths import value_at
from reports.states.differences import Difference
from stream_core.attribute_values import Item, own_attributes, same_item, same_value
from stream_core.retry import Patience, Retry, classify, error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_UNMET = "ConditionalCheckFailedException"


class WriteOutcome(StrEnum):
    """What became of a write."""

    WRITTEN = "written"
    """The item is what was wanted."""
    UNNEEDED = "unneeded"
    """The item is what was wanted, and nothing shows that this write made it so."""
    MIXED = "mixed"
    """Written; another writer changed other attributes at the same moment, which are kept."""
    CONFLICT = "conflict"
    """The item is no longer what was seen, and was left as it is."""
    REFUSED = "refused"
    """The table refuses it."""
    UNSENT = "unsent"
    """It may or may not have been written: throttled, unreachable, not allowed."""


@dataclass(frozen=True, slots=True)
class WriteResult:
    """The answer to a write.

    Attributes:
        item: the item after it, as far as that was asked.
        reason: why it was not written, or what to know about it; no item data.
    """

    outcome: WriteOutcome
    item: Item | None = None
    reason: str = ""


@dataclass(frozen=True)
class ConditionalWriter:
    """Writes items of one table, each on a condition.

    Attributes:
        read: reads an item consistently.
        patience: makes the patience for one item.
    """

    client: "DynamoDBClient"
    table: str
    read: Callable[[Item], Item | None]
    patience: Callable[[], Patience]

    def write(
        self,
        keys: Item,
        edits: Sequence[Difference],
        before: Item | None,
        after: Item | None,
        *,
        whole: bool,
    ) -> WriteResult:
        """Put an item that is not there, delete or change one that is.

        Args:
            keys: the item's key.
            edits: what to change, each with the value it takes the place of.
            before: the item as it was seen.
            after: the same with the changes.
            whole: what is not changed has to be as it was seen, too.
        """
        if before is None and after is not None:
            return self._put(keys, put_request(keys, after), after)
        if before is None or after is None:
            return self._delete(keys, before or {})
        return self._change(keys, edits, before, after, whole=whole)

    def _change(
        self, keys: Item, edits: Sequence[Difference], before: Item, after: Item, *, whole: bool
    ) -> WriteResult:
        try:
            request = update_request(keys, edits, before if whole else {})
        except UnwritableError:
            return self._replace(keys, before, after)
        answer = self._send("update_item", {**request, "ReturnValues": "ALL_NEW"})
        if isinstance(answer, WriteResult):
            written = self._judged(keys, answer, lambda current: _has_all(current, edits))
        else:
            written = WriteResult(WriteOutcome.WRITTEN, own_attributes(answer.get("Attributes")))
        if (
            written.outcome is not WriteOutcome.WRITTEN
            or not whole
            or same_item(written.item, after)
        ):
            return written
        mixed = "other attributes were changed at the same moment, and are kept"
        return WriteResult(WriteOutcome.MIXED, written.item, mixed)

    def _delete(self, keys: Item, seen: Item) -> WriteResult:
        """Delete an item that is what was seen, and nothing more."""
        request = delete_request(keys, seen) | {"ReturnValues": "ALL_OLD"}
        answer = self._send("delete_item", request)
        if isinstance(answer, WriteResult):
            return self._judged(keys, answer, lambda current: current is None)
        deleted = answer.get("Attributes")
        if same_item(own_attributes(deleted), seen):
            return WriteResult(WriteOutcome.WRITTEN)
        return self._put_back(keys, put_request(keys, deleted), deleted)

    def _replace(self, keys: Item, before: Item, after: Item) -> WriteResult:
        """Put an item in the place of another: where no update can express so much."""
        request = replace_request(keys, before, after) | {"ReturnValues": "ALL_OLD"}
        answer = self._send("put_item", request)
        if isinstance(answer, WriteResult):
            return self._judged(keys, answer, lambda current: same_item(current, after))
        replaced = answer.get("Attributes")
        if same_item(own_attributes(replaced), before):
            return WriteResult(WriteOutcome.WRITTEN, after)
        return self._put_back(keys, replace_request(keys, after, replaced), replaced)

    def _put(self, keys: Item, request: dict[str, Any], image: Item) -> WriteResult:
        answer = self._send("put_item", request)
        if isinstance(answer, WriteResult):
            own = own_attributes(image)
            return self._judged(keys, answer, lambda current: same_item(current, own))
        return WriteResult(WriteOutcome.WRITTEN, own_attributes(image))

    def _put_back(self, keys: Item, request: dict[str, Any], taken: Item) -> WriteResult:
        """Make up for a write that took more away than was seen."""
        restored = self._put(keys, request, taken)
        if restored.outcome is WriteOutcome.WRITTEN:
            back = "it was changed at the same moment, and was put back with that change"
            return WriteResult(WriteOutcome.CONFLICT, restored.item, back)
        return WriteResult(
            restored.outcome if restored.outcome is WriteOutcome.UNSENT else WriteOutcome.CONFLICT,
            restored.item,
            "it was changed at the same moment, and that change could not be put back: see its "
            "history",
        )

    def _judged(
        self, keys: Item, answer: WriteResult, is_as_wanted: Callable[[Item | None], bool]
    ) -> WriteResult:
        """What a write that was not carried out says, with what the item is now."""
        if answer.outcome is WriteOutcome.REFUSED:
            return answer
        try:
            current = own_attributes(self.read(keys))
        except (ClientError, BotoCoreError) as error:
            return WriteResult(WriteOutcome.UNSENT, reason=f"the table answers {error_code(error)}")
        # An answer that got lost has the request sent again, and its own effect refuses it.
        if is_as_wanted(current):
            return WriteResult(WriteOutcome.WRITTEN, current)
        return WriteResult(answer.outcome, current, answer.reason)

    def _send(self, operation: str, request: dict[str, Any]) -> Any:
        """The table's answer, or why there is none."""
        send = partial(getattr(self.client, operation), TableName=self.table, **request)
        try:
            return answer_to(send, self.patience(), self.table)
        except OperationError as error:
            return WriteResult(WriteOutcome.UNSENT, reason=str(error))
        except (ClientError, BotoCoreError) as error:
            return _refused(error)


def _has_all(current: Item | None, edits: Sequence[Difference]) -> bool:
    return current is not None and all(
        same_value(value_at(current, edit.path), edit.new) for edit in edits
    )


def _refused(error: ClientError | BotoCoreError) -> WriteResult:
    code = error_code(error)
    if code == _UNMET:
        return WriteResult(WriteOutcome.CONFLICT, reason="it has changed meanwhile")
    if classify(error) is Retry.PERMANENT:
        return WriteResult(WriteOutcome.REFUSED, reason=f"the table answers {code}")
    return WriteResult(WriteOutcome.UNSENT, reason=f"the table answers {code}")
