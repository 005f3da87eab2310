"""Reading history rows and live items: queries, overflow objects, digests; no judgement."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from reports.errors import ReportError, TableNotFoundError
from reports.keys import KeySchema
from stream_core.attribute_values import Item
from stream_core.failures import IntegrityError, error_code
from stream_core.history_row import ID, SORT_KEY, HistoryRow, sort_key_after
from stream_core.item_id import item_id
from stream_core.overflow import unpack

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TableDescriptionTypeDef
    from mypy_boto3_s3 import S3Client

_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "NoSuchBucket", "404"})


class RowReader:
    """Reads one history table, its overflow bucket, and the source table if there is one."""

    def __init__(
        self,
        dynamodb: "DynamoDBClient",
        s3: "S3Client",
        history_table: str,
        source_table: str | None,
    ) -> None:
        """Read with these clients; nothing is sent yet."""
        self._dynamodb = dynamodb
        self._s3 = s3
        self.history_table = history_table
        self.source_table = source_table

    def key_schema(self) -> KeySchema:
        """The source table's key: from the table or, without it, from a history row."""
        if self.source_table is not None:
            table = self._describe(self.source_table)
            types = {
                one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]
            }
            names = [one["AttributeName"] for one in table["KeySchema"]]
            return KeySchema({name: types[name] for name in names})
        items = self._dynamodb.scan(TableName=self.history_table, Limit=1)["Items"]
        if not items:
            raise ReportError(
                f"the history table '{self.history_table}' is empty: name the source table too, "
                "so that its keys are known"
            )
        return KeySchema.of_keys(HistoryRow.from_item(items[0]).change.keys)

    def horizon(self) -> datetime:
        """When the history began: nothing earlier was recorded.

        Raises:
            TableNotFoundError: there is no such table, or it is no history table.
        """
        table = self._describe(self.history_table)
        names = [one["AttributeName"] for one in table["KeySchema"]]
        if names != [ID, SORT_KEY]:
            raise TableNotFoundError(
                f"table '{self.history_table}' is not a history table: its key is "
                f"{' and '.join(names)}, not {ID} and {SORT_KEY}"
            )
        return table["CreationDateTime"].astimezone(UTC)

    def rows(self, keys: Item) -> Iterator[HistoryRow]:
        """All rows of an item, oldest first, page by page."""
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self.history_table,
            KeyConditionExpression="#id = :id",
            ExpressionAttributeNames={"#id": ID},
            ExpressionAttributeValues={":id": {"S": item_id(keys)}},
            ConsistentRead=True,
        )
        for page in pages:
            for item in page["Items"]:
                yield self._load(item)

    def newest_until(self, keys: Item, at: datetime) -> HistoryRow | None:
        """The newest row stamped at or before an instant; reads one row."""
        return self._nearest(keys, "<=", at, forward=False)

    def oldest_after(self, keys: Item, at: datetime) -> HistoryRow | None:
        """The oldest row stamped after an instant; reads one row."""
        return self._nearest(keys, ">", at, forward=True)

    def live(self, keys: Item) -> Item | None:
        """The item in the source table now, read consistently."""
        if self.source_table is None:
            raise ReportError("no source table was given")
        answer = self._dynamodb.get_item(TableName=self.source_table, Key=keys, ConsistentRead=True)
        return answer.get("Item")

    def _nearest(
        self, keys: Item, comparison: str, at: datetime, *, forward: bool
    ) -> HistoryRow | None:
        answer = self._dynamodb.query(
            TableName=self.history_table,
            KeyConditionExpression=f"#id = :id AND #time {comparison} :time",
            ExpressionAttributeNames={"#id": ID, "#time": SORT_KEY},
            ExpressionAttributeValues={
                ":id": {"S": item_id(keys)},
                ":time": {"S": sort_key_after(at)},
            },
            ScanIndexForward=forward,
            Limit=1,
            ConsistentRead=True,
        )
        return self._load(answer["Items"][0]) if answer["Items"] else None

    def _load(self, item: Item) -> HistoryRow:
        """A stored row with its images, its digest checked."""
        row = HistoryRow.from_item(item)
        if row.overflow is not None:
            row = row.with_images(*unpack(row.overflow, self._overflow_body(row)))
        row.check()
        return row

    def _overflow_body(self, row: HistoryRow) -> bytes:
        pointer = row.overflow
        if pointer is None:
            raise ReportError(f"the history row {row.sort_key} has no overflow object")
        where: dict[str, Any] = {"Bucket": pointer.bucket, "Key": pointer.key}
        if pointer.version_id is not None:
            where["VersionId"] = pointer.version_id
        try:
            return self._s3.get_object(**where)["Body"].read()
        except ClientError as error:
            if error_code(error) not in _GONE:
                raise
            raise IntegrityError(
                f"overflow object {pointer.key} of the history row {row.sort_key} is missing"
            ) from error

    def _describe(self, table: str) -> "TableDescriptionTypeDef":
        try:
            return self._dynamodb.describe_table(TableName=table)["Table"]
        except ClientError as error:
            if error_code(error) != "ResourceNotFoundException":
                raise
            where = f"{self._dynamodb.meta.region_name} at {self._dynamodb.meta.endpoint_url}"
            raise TableNotFoundError(
                f"no table '{table}' in {where}: check its name, the region and the endpoint"
            ) from error
