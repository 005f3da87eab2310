"""Writing an item only if it still is what it was seen to be.

A write is a transaction, of this one item or of some, with a token: should its answer get lost and
the request be sent again, it succeeds without being carried out a second time. Without that, a
delete that is repeated would take with it what another writer has put there in between.

A condition can name attributes and what they hold; it cannot say that there are no others. So an
attribute that another writer adds at the same moment is never in it. An update leaves it where it
is. A delete takes it along, and does not say so: what was there is in the history.

Where a condition has no room for all of an item, a transaction would guard it in part, and say
nothing of what it took: such an item is deleted or replaced by a plain request, whose answer has
what was there. If that was more than was seen, it is put back. Such a request has no token, and is
not made again where its answer is lost.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from botocore.exceptions import BotoCoreError, ClientError

from operations.errors import OperationError
from operations.execution.live_items import live_items
from operations.execution.request import answer_to
from operations.execution.write_request import NO_REASON, Cancelled, SentWrite, together
from operations.recovery.conditions import (
    UnwritableError,
    delete_request,
    is_guarded_in_part,
    put_request,
    replace_request,
    update_request,
)
from reports.inputs.paths import value_at
from reports.states.differences import Difference
from stream_core.attribute_values import Item, own_attributes, same_item, same_value
from stream_core.item_id import item_id
from stream_core.retry import CallError, Patience, Retry, classify, classify_code, error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_FORGOTTEN = (
    "whether it was written is not known, and it is too late to ask by repeating it: the same "
    "command looks again"
)
_CHANGED = "it has changed meanwhile"
_UNMET = frozenset({"ConditionalCheckFailed", "ConditionalCheckFailedException"})
# Any fixed UUID will do: it keeps our tokens apart from those of others.
_NAMESPACE = UUID("8e6f4a30-7c0e-4c2b-9c39-0f0a1d6c7e55")


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
        is_void: every request for it was answered, and none was or will be carried out.
    """

    outcome: WriteOutcome
    item: Item | None = None
    reason: str = ""
    is_void: bool = False


@dataclass(frozen=True, slots=True)
class ItemWrite:
    """A write that is to be made.

    Attributes:
        keys: the item's key.
        edits: what to change, each with the value it takes the place of.
        before: the item as it was seen; None: there was none.
        after: the same with the changes; None: it is deleted.
        name: what tells this write from all others, and is the same when it is repeated.
        guards_rest: an update is made only if what it does not change is as it was seen, too.
        tells_rest: should there be more in the item after an update than was seen, that is told.
        is_repeat: it may have been made already, by the same name.
        is_still_known: whether the service knows it by that name, if it was made.
    """

    keys: Item
    edits: tuple[Difference, ...]
    before: Item | None
    after: Item | None
    name: str
    guards_rest: bool = True
    tells_rest: bool = False
    is_repeat: bool = False
    is_still_known: Callable[[], bool] = lambda: True

    @property
    def reports_rest(self) -> bool:
        """Whether there may be more in the item after it, and that is to be told."""
        return self.tells_rest and self.before is not None and self.after is not None

    @property
    def token(self) -> str:
        """What the service knows a repeated request by, for ten minutes."""
        return str(uuid5(_NAMESPACE, self.name))


@dataclass(frozen=True)
class ItemWriter:
    """Writes items of one table, each on a condition.

    Attributes:
        read: reads an item consistently.
        patience: makes the patience for one item.
    """

    client: "DynamoDBClient"
    table: str
    read: Callable[[Item], Item | None]
    patience: Callable[[], Patience]

    def write(self, write: ItemWrite) -> WriteResult:
        """Put an item that is not there, delete or change one that is."""
        keys, before, after = write.keys, write.before, write.after
        if before is None and after is not None:
            action = put_request(keys, after)
            return self._transact("Put", action, write, lambda item: same_item(item, after))
        if before is None or after is None:
            return self._delete(write, before or {})
        try:
            action = update_request(keys, write.edits, before if write.guards_rest else {})
        except UnwritableError:
            return self._replace(write, before, after)
        written = self._transact("Update", action, write, lambda item: has_all(item, write.edits))
        return self._written([write])[0] if written.outcome is WriteOutcome.WRITTEN else written

    def _written(self, writes: Sequence[ItemWrite]) -> Sequence[WriteResult]:
        """What writes are that were carried out, with what an update has left: none tells that."""
        keys = [write.keys for write in writes if write.reports_rest]
        images: Mapping[str, Item] = {}
        # Where they cannot be read they are written, whatever else is in them.
        with suppress(ClientError, BotoCoreError, OperationError):
            images = live_items(self.client, self.table, keys, self.patience()) if keys else {}
        return [
            _with_the_rest(write, own_attributes(images.get(item_id(write.keys))))
            if write.reports_rest
            else WriteResult(WriteOutcome.WRITTEN, write.after)
            for write in writes
        ]

    def write_together(self, writes: Sequence[ItemWrite]) -> Sequence[WriteResult | None]:
        """Make some writes, none of which is guarded in part, by one transaction, or none of them.

        Returns:
            What became of each; None: it would have been made, but for another one.
        """
        first = writes[0]
        actions = [{kind: action} for kind, action in map(self._action, writes)]
        answer = self._send(
            partial(together, self._in_time(first)),
            TransactItems=actions,
            # The name of the first write is one of no other transaction.
            ClientRequestToken=replace(first, name=f"{first.name}/together").token,
        )
        if isinstance(answer, Cancelled):
            pairs = zip(writes, answer.codes, strict=True)
            return [self._unmet(write, code, is_void=answer.is_void) for write, code in pairs]
        if isinstance(answer, WriteResult):
            return [answer] * len(writes)
        return self._written(writes)

    def _action(self, write: ItemWrite) -> tuple[str, dict[str, Any]]:
        """The kind of a write, and its request, as a part of a transaction."""
        keys, before, after = write.keys, write.before, write.after
        if after is None:
            kind, action = "Delete", delete_request(keys, before or {})
        elif before is None:
            kind, action = "Put", put_request(keys, after)
        else:
            seen = before if write.guards_rest else {}
            kind, action = "Update", update_request(keys, write.edits, seen)
        return kind, {"TableName": self.table, **action}

    def _unmet(self, write: ItemWrite, code: str, *, is_void: bool) -> WriteResult | None:
        """What a write says of which a transaction was cancelled, by its reason."""
        if code in _UNMET:
            refused = WriteResult(WriteOutcome.CONFLICT, None, _CHANGED, is_void)
            return self._judged(write.keys, refused, lambda _item: False)
        if code == NO_REASON or classify_code(code) is Retry.TRANSIENT:
            return None
        return WriteResult(WriteOutcome.REFUSED, None, f"the table answers {code}", is_void)

    def put_back(
        self, keys: Item, taken: Item, name: str, put: dict[str, Any] | None = None
    ) -> WriteResult:
        """Make up for a write that took more away than was seen.

        Args:
            keys: the item's key.
            taken: the item as it was before the write.
            name: the name of that write: to put back what it took has a name, too.
            put: what to put it back with; by default where there is no item.
        """
        own = own_attributes(taken)
        write = ItemWrite(keys, (), None, own, f"{name}/back")
        action = put or put_request(keys, taken)
        restored = self._transact("Put", action, write, lambda item: same_item(item, own))
        if restored.outcome in (WriteOutcome.WRITTEN, WriteOutcome.UNNEEDED):
            back = "it was changed at the same moment, and was put back with that change"
            return WriteResult(WriteOutcome.CONFLICT, restored.item, back)
        return WriteResult(
            restored.outcome if restored.outcome is WriteOutcome.UNSENT else WriteOutcome.CONFLICT,
            restored.item,
            "it was changed at the same moment, and that change could not be put back: see its "
            "history",
        )

    def _transact(
        self,
        kind: str,
        action: dict[str, Any],
        write: ItemWrite,
        is_as_wanted: Callable[[Item | None], bool],
    ) -> WriteResult:
        answer = self._send(
            self._in_time(write),
            TransactItems=[{kind: {"TableName": self.table, **action}}],
            ClientRequestToken=write.token,
        )
        if isinstance(answer, WriteResult):
            return self._judged(write.keys, answer, is_as_wanted)
        return WriteResult(WriteOutcome.WRITTEN, write.after)

    def _in_time(self, write: ItemWrite) -> Callable[..., object]:
        """What sends a transaction, and repeats it only while its name is known."""
        sent = count(int(write.is_repeat))

        def transact(**request: Any) -> object:
            # A machine that slept goes on as if no time had passed.
            if next(sent) and not write.is_still_known():
                return WriteResult(WriteOutcome.UNSENT, reason=_FORGOTTEN)
            return self.client.transact_write_items(**request)

        return transact

    def _delete(self, write: ItemWrite, seen: Item) -> WriteResult:
        """Delete an item that is what was seen, and nothing more."""
        action = delete_request(write.keys, seen)
        if not is_guarded_in_part(write.keys, (), seen, None):
            return self._transact("Delete", action, write, lambda item: item is None)
        answer = self._send(
            partial(_unrepeated, self.client.delete_item),
            TableName=self.table,
            ReturnValues="ALL_OLD",
            **action,
        )
        if isinstance(answer, WriteResult):
            return self._judged(write.keys, answer, lambda item: item is None)
        deleted = answer.get("Attributes")
        if same_item(own_attributes(deleted), seen):
            return WriteResult(WriteOutcome.WRITTEN)
        return self.put_back(write.keys, deleted, write.name)

    def _replace(self, write: ItemWrite, before: Item, after: Item) -> WriteResult:
        """Put an item in the place of another: where no update can express so much."""
        keys = write.keys
        action = replace_request(keys, before, after)
        answer = self._send(
            partial(_unrepeated, self.client.put_item),
            TableName=self.table,
            ReturnValues="ALL_OLD",
            **action,
        )
        if isinstance(answer, WriteResult):
            return self._judged(keys, answer, lambda item: same_item(item, after))
        replaced = answer.get("Attributes")
        if same_item(own_attributes(replaced), before):
            return WriteResult(WriteOutcome.WRITTEN, after)
        put = replace_request(keys, after, replaced)
        return self.put_back(keys, replaced, write.name, put)

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
        if is_as_wanted(current):
            reason = "it is what was wanted; nothing shows that this write made it so"
            return WriteResult(WriteOutcome.UNNEEDED, current, reason)
        return replace(answer, item=current)

    def _send(self, operation: Callable[..., Any], **request: Any) -> Any:
        """The table's answer, or why there is none."""
        sent = SentWrite(operation, request)
        try:
            answer = answer_to(sent.once, self.patience(), self.table)
            is_cancelled = isinstance(answer, Cancelled)
            return replace(answer, is_void=sent.is_answered) if is_cancelled else answer
        except OperationError as error:
            result = WriteResult(WriteOutcome.UNSENT, reason=str(error))
        except (ClientError, BotoCoreError) as error:
            result = _refused(error)
        return replace(result, is_void=sent.is_answered)


def _with_the_rest(write: ItemWrite, current: Item | None) -> WriteResult:
    """What an update is, by what the item is now; None: it is not there, or was not read."""
    if current is None or not has_all(current, write.edits):
        return WriteResult(WriteOutcome.WRITTEN, current or write.after)
    if same_item(current, write.after):
        return WriteResult(WriteOutcome.WRITTEN, current)
    mixed = "other attributes were changed at the same moment, and are kept"
    return WriteResult(WriteOutcome.MIXED, current, mixed)


def has_all(current: Item | None, edits: Sequence[Difference]) -> bool:
    """Whether an item is as some changes leave it, wherever they change it."""
    return current is not None and all(
        same_value(value_at(current, edit.path), edit.new) for edit in edits
    )


def _unrepeated(operation: Callable[..., Any], **request: Any) -> Any:
    """The answer to a plain request; one that may have been carried out is not made again.

    Raises:
        ClientError, BotoCoreError: it was not carried out.
    """
    try:
        return operation(**request)
    except (ClientError, BotoCoreError) as error:
        if CallError.after(error).is_answered:
            raise
        reason = f"the table did not answer ({error_code(error)})"
        return WriteResult(WriteOutcome.UNSENT, reason=reason)


def _refused(error: ClientError | BotoCoreError) -> WriteResult:
    code = error_code(error)
    if code in _UNMET:
        return WriteResult(WriteOutcome.CONFLICT, reason=_CHANGED)
    if classify(error) is Retry.PERMANENT:
        return WriteResult(WriteOutcome.REFUSED, reason=f"the table answers {code}")
    return WriteResult(WriteOutcome.UNSENT, reason=f"the table answers {code}")
