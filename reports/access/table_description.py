"""What DynamoDB says of a table, read in one way."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from reports.errors import TableNotFoundError
from reports.inputs.keys import KeySchema
from stream_core.history_row import ID, SORT_KEY
from stream_core.retry import error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import DescribeTableOutputTypeDef as Answer

NOT_FOUND = "ResourceNotFoundException"
"""DynamoDB's word for a table that is not there."""


@dataclass(frozen=True)
class TableDescription:
    """A table's description; an engine may leave out what is not asked of it here.

    Attributes:
        fields: as DescribeTable names them.
    """

    fields: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The table's name."""
        return str(self.fields["TableName"])

    @property
    def arn(self) -> str:
        """The table's ARN; empty where the engine gives none."""
        return str(self.fields.get("TableArn", ""))

    @property
    def table_id(self) -> str:
        """Its own even among tables of one name; empty where the engine gives none."""
        return str(self.fields.get("TableId", ""))

    @property
    def status(self) -> str:
        """DynamoDB's word, e.g. `ACTIVE`."""
        return str(self.fields["TableStatus"])

    @property
    def created_at(self) -> datetime:
        """When the table was made, UTC."""
        created_at: datetime = self.fields["CreationDateTime"]
        return created_at.astimezone(UTC)

    @property
    def items(self) -> int | None:
        """How many items it has, as AWS counts them about every six hours."""
        return self.fields.get("ItemCount")

    @property
    def size_bytes(self) -> int | None:
        """The size of its items, from the same count."""
        return self.fields.get("TableSizeBytes")

    @property
    def key(self) -> tuple[tuple[str, str], ...]:
        """Name and type of its key attributes, the partition key first."""
        types = {
            attribute["AttributeName"]: attribute["AttributeType"]
            for attribute in self.fields["AttributeDefinitions"]
        }
        # HASH sorts before RANGE.
        parts = sorted(self.fields["KeySchema"], key=lambda part: str(part["KeyType"]))
        return tuple((part["AttributeName"], types[part["AttributeName"]]) for part in parts)

    @property
    def key_schema(self) -> KeySchema:
        """Its key, the partition key first."""
        return KeySchema(dict(self.key))

    @property
    def has_stream(self) -> bool:
        """Whether its stream is on."""
        return bool(self.fields.get("StreamSpecification", {}).get("StreamEnabled"))

    @property
    def view_type(self) -> str | None:
        """What the records of its stream show."""
        view_type: str | None = self.fields.get("StreamSpecification", {}).get("StreamViewType")
        return view_type

    @property
    def stream_arn(self) -> str | None:
        """The ARN of its latest stream, also of one that is long off; None: it never had one."""
        return self.fields.get("LatestStreamArn")


def describe(
    dynamodb: "DynamoDBClient",
    table: str,
    ask: "Callable[[Callable[[], Answer]], Answer]" = lambda request: request(),
) -> TableDescription:
    """A table's description.

    Args:
        dynamodb: the client to ask.
        table: the table's name.
        ask: makes the request, once by default.

    Raises:
        TableNotFoundError: there is no such table.
    """
    try:
        return TableDescription(ask(lambda: dynamodb.describe_table(TableName=table))["Table"])
    except ClientError as error:
        if error_code(error) != NOT_FOUND:
            raise
        where = f"{dynamodb.meta.region_name} at {dynamodb.meta.endpoint_url}"
        raise TableNotFoundError(
            f"no table '{table}' in {where}: check its name, the region and the endpoint"
        ) from error


def require_history(table: TableDescription) -> None:
    """See that a table is one of history rows.

    Raises:
        TableNotFoundError: it is another one.
    """
    names = [name for name, _ in table.key]
    if names != [ID, SORT_KEY]:
        raise TableNotFoundError(
            f"table '{table.name}' is not a history table: its key is "
            f"{' and '.join(names)}, not {ID} and {SORT_KEY}"
        )
