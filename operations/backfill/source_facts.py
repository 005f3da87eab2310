"""What the source table is, as DescribeTable says."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from botocore.exceptions import ClientError

from operations.backfill.dating import tick_of
from operations.backfill.service_clock import ServiceClock
from operations.deployed_tables import DeployedTables
from reports.errors import TableNotFoundError
from reports.inputs.keys import KeySchema
from stream_core.attribute_values import Item
from stream_core.retry import error_code


@dataclass(frozen=True)
class SourceFacts:
    """A source table.

    Attributes:
        key_schema: its key attributes, the partition key first.
        table_id: its own even among tables of one name; empty where the engine gives none.
        event_source_arn: its stream's, or its own where it has no stream.
        expected: how many items it has, counted now and then.
        tick: how exactly its changes are stamped.
    """

    name: str
    key_schema: KeySchema
    arn: str
    table_id: str
    event_source_arn: str
    region: str
    expected: int
    tick: timedelta

    @classmethod
    def read(cls, deployment: DeployedTables, clock: ServiceClock) -> "SourceFacts":
        """Ask for the source table.

        Raises:
            TableNotFoundError: there is no such table.
        """
        client, name = deployment.dynamodb, deployment.source_table
        try:
            answer, _, _ = clock.ask(lambda: client.describe_table(TableName=name))
        except ClientError as error:
            if error_code(error) != "ResourceNotFoundException":
                raise
            where = f"{client.meta.region_name} at {client.meta.endpoint_url}"
            raise TableNotFoundError(
                f"no table '{name}' in {where}: check its name, the region and the endpoint"
            ) from error
        return cls._from_description(answer["Table"], client.meta.region_name)

    @classmethod
    def _from_description(cls, table: Any, region: str) -> "SourceFacts":
        types = {
            attribute["AttributeName"]: attribute["AttributeType"]
            for attribute in table["AttributeDefinitions"]
        }
        names = [attribute["AttributeName"] for attribute in table["KeySchema"]]
        arn = table["TableArn"]
        # The ARN of a stream is still given when it is long off.
        has_stream = table.get("StreamSpecification", {}).get("StreamEnabled", False)
        return cls(
            name=table["TableName"],
            key_schema=KeySchema({name: types[name] for name in names}),
            arn=arn,
            table_id=table.get("TableId", ""),
            event_source_arn=table["LatestStreamArn"] if has_stream else arn,
            region=region,
            expected=table.get("ItemCount", 0),
            tick=tick_of(arn),
        )

    def key_of(self, item: Item) -> Item:
        """An item's key."""
        return {name: item[name] for name in self.key_schema.types}
