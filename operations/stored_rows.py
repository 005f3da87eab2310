"""Which records of a stream the history has a row of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from operations.errors import OperationError
from reports.access.row_reader import RowReader
from stream_core.attribute_values import Item
from stream_core.history_row import DIGEST, ID, SORT_KEY
from stream_core.retry import Patience

RowKey: TypeAlias = tuple[str, str]
"""`Id` and sort key."""
MOST_ROWS = 100
"""So many rows are asked for at once (API reference, BatchGetItem)."""
_KEYS_AND_DIGESTS = {
    "ProjectionExpression": "#id, #time, #digest",
    "ExpressionAttributeNames": {"#id": ID, "#time": SORT_KEY, "#digest": DIGEST},
}


@dataclass(frozen=True)
class MissingRecord:
    """A record of the stream that the history lacks.

    Attributes:
        keys: the item's key; None where the record cannot be read.
        created_at: when the change was made; None where the record cannot be read.
    """

    shard_id: str
    sequence_number: str
    keys: Item | None
    created_at: datetime | None


@dataclass(frozen=True)
class StoredRows:
    """The rows of a history, asked for by their keys.

    Attributes:
        reader: reads the history.
        patience: makes the patience for one call.
    """

    reader: RowReader
    patience: Callable[[], Patience]

    def digests(self, keys: Sequence[RowKey]) -> dict[RowKey, bytes]:
        """The digests of those of at most 100 rows that the history has, by their keys.

        Raises:
            OperationError: the history is throttled for too long.
            ClientError, BotoCoreError: it refuses to be read.
        """
        table, stored = self.reader.history_table, dict[RowKey, bytes]()

        def attempt(wanted: list[Item]) -> list[Item]:
            request: Any = {table: {"Keys": wanted, "ConsistentRead": True, **_KEYS_AND_DIGESTS}}
            answer = self.reader.dynamodb.batch_get_item(RequestItems=request)
            for row in answer["Responses"].get(table, []):
                stored[row[ID]["S"], row[SORT_KEY]["S"]] = row.get(DIGEST, {}).get("B", b"")
            unprocessed: Any = answer.get("UnprocessedKeys", {}).get(table)
            return list(unprocessed["Keys"]) if unprocessed else []

        wanted = [{ID: {"S": identifier}, SORT_KEY: {"S": key}} for identifier, key in keys]
        if self.patience().work_off(wanted, attempt):
            raise OperationError(f"'{table}' is throttled: try again later, or raise its capacity")
        return stored
