"""Reading the source and writing the replica, 25 items a call, accounting for every item."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, SSLError

from stream_core.answer_budget import Allowance, LargeAnswerError
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
# DynamoDB's words for a key that is not the table's: no item is at fault, the table is another one.
_OTHER_KEY = re.compile("key element does not match|Missing the key|Type mismatch for key")
_SERVER_ERROR = 500

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

    def after(self, error: Exception, ids: list[str]) -> tuple[list[str], list[list[str]]]:
        """Account for the items of a failed call.

        Returns:
            The ids worth another attempt, and portions to be tried each by itself: one bad item
            has the whole call refused, so it is halved until that item stands alone.
        """
        self.errors[error_code(error)] += 1
        match _retry(error):
            case Retry.TRANSIENT:
                return ids, []
            case Retry.UNKNOWN:
                self.unstored.update(ids)
                return [], []
        if len(ids) > 1:
            middle = len(ids) // 2
            return [], [ids[:middle], ids[middle:]]
        self.refused[ids[0]] = RefusedRecordError(error_code(error), str(error))
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

    def read(self, ids: list[str], keys: Keys, problems: Problems, allowance: Allowance) -> Read:
        """What up to 100 items are now, read consistently in one call."""
        wanted = [keys[identifier] for identifier in ids]
        try:
            with allowance.of_this_call():
                answer = self.client.batch_get_item(
                    RequestItems={self.name: {"Keys": wanted, "ConsistentRead": True}}
                )
            unread = [
                item_id(key)
                for key in answer["UnprocessedKeys"].get(self.name, {"Keys": []})["Keys"]
            ]
            # An answer that does not speak of the table would pass for one of absent items.
            items = answer["Responses"][self.name] if len(unread) < len(ids) else []
        except LargeAnswerError:
            return Read({}, [], [ids])
        except Exception as error:  # noqa: BLE001 - what is not an answer is no answer
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
            unprocessed = answer["UnprocessedItems"].get(self.name, [])
        except Exception as error:  # noqa: BLE001 - what is not an answer is no answer
            if _may_take_effect(error):
                problems.lost.update(ids)
            to_retry, portions = problems.after(error, ids)
            for portion in portions:
                to_retry += self._write_once(portion, wanted, keys, problems)
            return to_retry
        if unprocessed:
            problems.errors["UnprocessedItems"] += len(unprocessed)
        names = keys[ids[0]].keys()
        return [item_id(_key_of(request, names)) for request in unprocessed]


def own_attributes(item: Item | None) -> Item | None:
    """An item without what global tables add to it."""
    if item is None:
        return None
    return {name: item[name] for name in item if not name.startswith(_GLOBAL_TABLE_PREFIX)}


def _retry(error: Exception) -> Retry:
    if not isinstance(error, ClientError | BotoCoreError):
        return Retry.UNKNOWN
    retry = classify(error)
    if retry is Retry.PERMANENT and _is_of_the_deployment(error):
        return Retry.UNKNOWN
    return retry


def _is_of_the_deployment(refusal: ClientError | BotoCoreError) -> bool:
    """Whether a refusal is about the role or the table rather than about an item."""
    if isinstance(refusal, ClientError) and refusal.operation_name == "AssumeRole":
        return True
    return _OTHER_KEY.search(str(refusal)) is not None


def _may_take_effect(error: Exception) -> bool:
    """Whether a write that ended so may have been carried out, or may be later."""
    if isinstance(error, ClientError):
        # A server error without a name is of a gateway, which does not know either.
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= _SERVER_ERROR and not error_code(error).isalpha()
    # Of botocore's own errors all others come before anything is sent.
    return isinstance(error, HTTPClientError | SSLError) or not isinstance(error, BotoCoreError)


def _write_request(key: Item, item: Item | None) -> "WriteRequestTypeDef":
    if item is None:
        return {"DeleteRequest": {"Key": key}}
    return {"PutRequest": {"Item": item}}


def _key_of(request: Any, names: Iterable[str]) -> Item:
    if "DeleteRequest" in request:
        return dict(request["DeleteRequest"]["Key"])
    return {name: request["PutRequest"]["Item"][name] for name in names}
