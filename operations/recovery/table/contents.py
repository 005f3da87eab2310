"""What a table has already that an earlier run has begun to fill."""

from collections.abc import Generator
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING

from reports.access.table_scan import scan
from reports.inputs.keys import KeySchema
from stream_core.attribute_values import Item, digest, own_attributes
from stream_core.item_id import item_id

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Contents:
    """The items of a table by id, each by its digest: what it takes of memory is little for each.

    Keys alone would cost as much to read, and not show an item that is not as it was.
    """

    def __init__(self, client: "DynamoDBClient", table: str, keys: KeySchema) -> None:
        """Nothing is read yet, as of a table that is not there.

        Args:
            client: reads the table, consistently.
            table: the table's name.
            keys: its key.
        """
        self._client, self._table, self._keys = client, table, keys
        self._digests: dict[str, bytes] = {}

    def read(self) -> None:
        """Read what it has now."""
        with closing(self._items()) as items:
            for key, item in items:
                self._digests[item_id(key)] = digest(item)

    @property
    def remaining(self) -> int:
        """How many items were not taken."""
        return len(self._digests)

    def remaining_keys(self, most: int) -> tuple[Item, ...]:
        """The keys of the first of those; they are read once more, as an id is no key."""
        if not self._digests:
            return ()
        with closing(self._items()) as items:
            return tuple(islice((key for key, _ in items if item_id(key) in self._digests), most))

    def take(self, identifier: str, image: Item | None) -> bool | None:
        """Whether an item is as it was; None: it is not there. It is forgotten here."""
        there = self._digests.pop(identifier, None)
        return None if there is None else there == digest(own_attributes(image) or {})

    def _items(self) -> Generator[tuple[Item, Item], None, None]:
        """The items, each with its key first."""
        with closing(scan(self._client, self._table)) as pages:
            for page in pages:
                for item in page:
                    yield {name: item[name] for name in self._keys.types}, item
