"""Reading the source and writing the replica, 25 items a call, accounting for every item."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from botocore.exceptions import BotoCoreError, ClientError

from stream_core.attribute_values import Item
from stream_core.errors import RefusedRecordError
from stream_core.item_id import item_id
from stream_core.retry import Patience, Retry, classify, error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import WriteRequestTypeDef

# API reference, BatchWriteItem and BatchGetItem. What does not fit into the 16 MB of an answer
# comes back as unprocessed.
MAX_WRITES, MAX_READS = 25, 100
# Attributes that a global table of version 2017.11.29 adds to items; not the owner's data.
_GLOBAL_TABLE_PREFIX = "aws:rep:"

Keys: TypeAlias = Mapping[str, Item]
"""Items' keys by id."""
States: TypeAlias = Mapping[str, Item | None]
"""Items by id, None for an absent one."""


@dataclass
class Problems:
    """What went wrong with some items, by id.

    Attributes:
        unstored: ids to try again later.
        refused: ids that the replica refuses for good, and its answer.
        errors: codes of the errors met, for the log.
    """

    unstored: set[str] = field(default_factory=set)
    refused: dict[str, RefusedRecordError] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Problems") -> None:
        """Take over what went wrong with some other items."""
        self.unstored |= other.unstored
        self.refused |= other.refused
        self.errors += other.errors

    def after(
        self,
        error: ClientError | BotoCoreError,
        ids: list[str],
        attempt: Callable[[list[str]], list[str]],
    ) -> list[str]:
        """Account for the items of a failed call; returns the ids worth another attempt.

        One bad item has the whole call refused: `attempt` is then made of either half, until the
        item stands alone.
        """
        self.errors[error_code(error)] += 1
        match classify(error):
            case Retry.TRANSIENT:
                return ids
            case Retry.UNKNOWN:
                self.unstored.update(ids)
                return []
        if len(ids) > 1:
            middle = len(ids) // 2
            return attempt(ids[:middle]) + attempt(ids[middle:])
        self.refused[ids[0]] = RefusedRecordError(error_code(error), str(error))
        return []


@dataclass(frozen=True)
class SourceTable:
    """The table that says what items are."""

    client: "DynamoDBClient"
    name: str

    def read(
        self, ids: list[str], keys: Keys, patience: Patience
    ) -> tuple[dict[str, Item | None], Problems]:
        """What up to 100 items are now, read consistently; those in trouble are left out."""
        states: dict[str, Item | None] = {}
        problems = Problems()
        remaining = patience.work_off(
            ids, lambda pending: self._read_once(pending, keys, states, problems)
        )
        problems.unstored.update(remaining)
        return states, problems

    def _read_once(
        self, ids: list[str], keys: Keys, states: dict[str, Item | None], problems: Problems
    ) -> list[str]:
        """Read items in one call; returns the ids worth another attempt."""
        try:
            answer = self.client.batch_get_item(
                RequestItems={
                    self.name: {
                        "Keys": [keys[identifier] for identifier in ids],
                        "ConsistentRead": True,
                    }
                }
            )
        except (ClientError, BotoCoreError) as error:
            return problems.after(
                error, ids, lambda half: self._read_once(half, keys, states, problems)
            )
        unread: list[str] = []
        if self.name in answer["UnprocessedKeys"]:
            unread = [item_id(key) for key in answer["UnprocessedKeys"][self.name]["Keys"]]
            problems.errors["UnprocessedKeys"] += len(unread)
        names = keys[ids[0]].keys()
        items = {
            item_id({name: item[name] for name in names}): item
            for item in answer["Responses"].get(self.name, [])
        }
        states |= {
            identifier: own_attributes(items.get(identifier))
            for identifier in ids
            if identifier not in unread
        }
        return unread


@dataclass(frozen=True)
class ReplicaTable:
    """The table that is made equal to the source."""

    client: "DynamoDBClient"
    name: str

    def write(self, ids: list[str], wanted: States, keys: Keys, patience: Patience) -> Problems:
        """Put or delete up to 25 items; those in no trouble are acknowledged."""
        problems = Problems()
        remaining = patience.work_off(
            ids, lambda pending: self._write_once(pending, wanted, keys, problems)
        )
        problems.unstored.update(remaining)
        return problems

    def _write_once(
        self, ids: list[str], wanted: States, keys: Keys, problems: Problems
    ) -> list[str]:
        """Write items in one call; returns the ids worth another attempt."""
        requests = [_write_request(keys[identifier], wanted[identifier]) for identifier in ids]
        try:
            answer = self.client.batch_write_item(RequestItems={self.name: requests})
        except (ClientError, BotoCoreError) as error:
            return problems.after(
                error, ids, lambda half: self._write_once(half, wanted, keys, problems)
            )
        unprocessed = answer["UnprocessedItems"].get(self.name, [])
        if unprocessed:
            problems.errors["UnprocessedItems"] += len(unprocessed)
        names = keys[ids[0]].keys()
        return [item_id(_key_of(request, names)) for request in unprocessed]


def own_attributes(item: Item | None) -> Item | None:
    """An item without what global tables add to it."""
    if item is None:
        return None
    return {name: item[name] for name in item if not name.startswith(_GLOBAL_TABLE_PREFIX)}


def _write_request(key: Item, item: Item | None) -> "WriteRequestTypeDef":
    if item is None:
        return {"DeleteRequest": {"Key": key}}
    return {"PutRequest": {"Item": item}}


def _key_of(request: Any, names: Iterable[str]) -> Item:
    if "DeleteRequest" in request:
        return dict(request["DeleteRequest"]["Key"])
    return {name: request["PutRequest"]["Item"][name] for name in names}
