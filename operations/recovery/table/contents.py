"""What a table has already that an earlier run has begun to fill."""

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

    def __init__(self) -> None:
        """There is nothing."""
        self._digests: dict[str, bytes] = {}

    @classmethod
    def read(cls, client: "DynamoDBClient", table: str, keys: KeySchema) -> "Contents":
        """What a table has now, read consistently."""
        contents = cls()
        for page in scan(client, table):
            for item in page:
                identifier = item_id({name: item[name] for name in keys.types})
                contents._digests[identifier] = digest(item)
        return contents

    @property
    def remaining(self) -> int:
        """How many items were not taken."""
        return len(self._digests)

    def take(self, identifier: str, image: Item | None) -> bool | None:
        """Whether an item is as it was; None: it is not there. It is forgotten here."""
        there = self._digests.pop(identifier, None)
        return None if there is None else there == digest(own_attributes(image) or {})
