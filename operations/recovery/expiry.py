"""Whether DynamoDB will delete an item again that is brought back, because its time is over."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from stream_core.attribute_values import Item
from stream_core.history_row import time_text
from stream_core.retry import error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Developer Guide, "Using time to live": what is older is taken for a mistake, and kept.
_TOO_OLD = timedelta(days=5 * 365)
_ON = frozenset({"ENABLED", "ENABLING"})


@dataclass(frozen=True)
class TimeToLive:
    """The time to live of a table's items; it is read when it is first needed.

    Attributes:
        table: the table that items are brought back into.
        now: the present, UTC.
    """

    client: "DynamoDBClient"
    table: str
    now: datetime

    def note(self, item: Item) -> str | None:
        """What to know about an item that is brought back; None: it stays."""
        attribute, problem = self._setting
        if problem:
            return f"whether it will expire again is not known: DescribeTimeToLive, {problem}"
        expiry = None if attribute is None else _moment(item, attribute)
        if expiry is None or not self.now - _TOO_OLD < expiry <= self.now:
            return None
        return (
            f"it will expire again: its time to live ({attribute}) ended at {time_text(expiry)}, "
            "and DynamoDB deletes it within days"
        )

    @cached_property
    def _setting(self) -> tuple[str | None, str]:
        """The attribute that says when an item expires, and why it is not known, if so."""
        try:
            answer = self.client.describe_time_to_live(TableName=self.table)
        except (ClientError, BotoCoreError) as error:
            return None, error_code(error)
        setting = answer["TimeToLiveDescription"]
        is_on = setting.get("TimeToLiveStatus") in _ON
        return setting.get("AttributeName") if is_on else None, ""


def _moment(item: Item, attribute: str) -> datetime | None:
    """When an item expires; None: it never does."""
    seconds = item.get(attribute, {}).get("N")
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(int(Decimal(seconds)), UTC)
    except (OverflowError, ValueError, OSError):
        # A moment that no clock will show.
        return None
