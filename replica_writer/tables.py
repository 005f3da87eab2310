"""Reading the source and writing the replica, 25 items a call, accounting for every item."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from stream_core.answer_budget import Allowance, LargeAnswerError
from stream_core.attribute_values import Item, own_attributes
from stream_core.errors import RefusedRecordError
from stream_core.item_id import item_id
from stream_core.retry import CallError, Patience, Retry

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import WriteRequestTypeDef

# API reference, BatchWriteItem and BatchGetItem. What does not fit into the 16 MB of an answer
# comes back as unprocessed.
MAX_WRITES, MAX_READS = 25, 100
Keys: TypeAlias = Mapping[str, Item]
"""Items' keys by id."""
States: TypeAlias = Mapping[str, Item | None]
"""Items by id, None for an absent one."""


@dataclass
class Problems:
    """What went wrong with some items, by id.

    Attributes:
        unstored: ids to try again later.
        lost: ids of which a write had no answer: it may still take effect, whatever came after it.
        refused: ids that the replica refuses for good, and its answer.
        errors: codes of the errors met, for the log.
    """

    unstored: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    refused: dict[str, RefusedRecordError] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Problems") -> None:
        """Take over what went wrong with some other items."""
        self.unstored |= other.unstored
        self.lost |= other.lost
        self.refused |= other.refused
        self.errors += other.errors

    def after(self, error: CallError, ids: list[str]) -> tuple[list[str], list[list[str]]]:
        """Account for the items of a failed call.

        Returns:
            The ids worth another attempt, and portions to be tried each by itself: one bad item
            has the whole call refused, so it is halved until that item stands alone.
        """
        self.errors[error.code] += 1
        match error.retry:
            case Retry.TRANSIENT:
                return ids, []
            case Retry.UNKNOWN:
                self.unstored.update(ids)
                return [], []
        if len(ids) > 1:
            middle = len(ids) // 2
            return [], [ids[:middle], ids[middle:]]
        self.refused[ids[0]] = RefusedRecordError(error.code, str(error))
        return [], []


@dataclass(frozen=True)
class Read:
    """What came of a call that reads.

    Attributes:
        states: the items that were read.
        unread: ids worth another attempt.
        portions: ids to be read by calls of their own.
    """

    states: States
    unread: list[str]
    portions: list[list[str]]


@dataclass(frozen=True)
class SourceTable:
    """The table that says what items are."""

    client: "DynamoDBClient"
    name: str

    def read(
        self,
        ids: list[str],
        keys: Keys,
        patience: Patience,
        problems: Problems,
        allowance: Allowance,
    ) -> Read:
        """What up to 100 items are now, read consistently in one call."""
        wanted = [keys[identifier] for identifier in ids]

        def request() -> tuple[list[str], list[Item]]:
            with allowance.of_this_call():
                answer = self.client.batch_get_item(
                    RequestItems={self.name: {"Keys": wanted, "ConsistentRead": True}}
                )
            pending = answer["UnprocessedKeys"].get(self.name, {"Keys": []})["Keys"]
            # An answer that does not speak of the table would pass for one of absent items.
            items = answer["Responses"][self.name] if len(pending) < len(ids) else []
            return list(map(item_id, pending)), list(items)

        try:
            unread, items = patience.call(request)
        except CallError as error:
            if isinstance(error.__cause__, LargeAnswerError):
                return Read({}, [], [ids])
            return Read({}, *problems.after(error, ids))
        if unread:
            problems.errors["UnprocessedKeys"] += len(unread)
        names = keys[ids[0]].keys()
        by_id = {item_id({name: item[name] for name in names}): item for item in items}
        return Read(
            {
                identifier: own_attributes(by_id.get(identifier))
                for identifier in ids
                if identifier not in unread
            },
            unread,
            [],
        )


@dataclass(frozen=True)
class ReplicaTable:
    """The table that is made equal to the source."""

    client: "DynamoDBClient"
    name: str

    def write(self, ids: list[str], wanted: States, keys: Keys, patience: Patience) -> Problems:
        """Put or delete up to 25 items; those in no trouble are acknowledged."""
        problems = Problems()
        remaining = patience.work_off(
            ids, lambda pending: self._write_once(pending, wanted, keys, patience, problems)
        )
        problems.unstored.update(remaining)
        return problems

    def _write_once(
        self,
        ids: list[str],
        wanted: States,
        keys: Keys,
        patience: Patience,
        problems: Problems,
    ) -> list[str]:
        """Write items in one call; returns the ids worth another attempt."""
        requests = [_write_request(keys[identifier], wanted[identifier]) for identifier in ids]
        names = keys[ids[0]].keys()

        def request() -> list[str]:
            answer = self.client.batch_write_item(RequestItems={self.name: requests})
            unprocessed = answer["UnprocessedItems"].get(self.name, [])
            return [item_id(_key_of(write, names)) for write in unprocessed]

        try:
            unwritten = patience.call(request)
        except CallError as error:
            if not error.is_answered:
                problems.lost.update(ids)
            unwritten, portions = problems.after(error, ids)
            for portion in portions:
                unwritten += self._write_once(portion, wanted, keys, patience, problems)
            return unwritten
        if unwritten:
            problems.errors["UnprocessedItems"] += len(unwritten)
        return unwritten


def _write_request(key: Item, item: Item | None) -> "WriteRequestTypeDef":
    if item is None:
        return {"DeleteRequest": {"Key": key}}
    return {"PutRequest": {"Item": item}}


def _key_of(request: Any, names: Iterable[str]) -> Item:
    if "DeleteRequest" in request:
        return dict(request["DeleteRequest"]["Key"])
    return {name: request["PutRequest"]["Item"][name] for name in names}
