"""What the source table is, as DescribeTable says."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from operations.backfill.observation import tick_of
from operations.deployed_tables import DeployedTables
from operations.execution.service_clock import ServiceClock
from reports.access.table_description import describe
from reports.inputs.keys import KeySchema
from stream_core.attribute_values import Item


@dataclass(frozen=True)
class SourceFacts:
    """A source table.

    Attributes:
        key_schema: its key attributes, the partition key first.
        table_id: its own even among tables of one name; empty where the engine gives none.
        event_source_arn: its stream's, or its own where it has no stream.
        created_at: when it was made, UTC.
        expected: how many items it has, counted now and then.
        tick: how exactly its changes are stamped.
    """

    name: str
    key_schema: KeySchema
    arn: str
    table_id: str
    event_source_arn: str
    region: str
    created_at: datetime
    expected: int
    tick: timedelta

    @classmethod
    def read(cls, deployment: DeployedTables, clock: ServiceClock) -> "SourceFacts":
        """Ask for the source table.

        Raises:
            TableNotFoundError: there is no such table.
        """
        client, name = deployment.dynamodb, deployment.source_table
        table = describe(client, name, lambda request: clock.ask(request)[0])
        stream_arn = table.stream_arn if table.has_stream else None
        return cls(
            name=table.name,
            key_schema=table.key_schema,
            arn=table.arn,
            table_id=table.table_id,
            # The ARN of a stream is still given when it is long off.
            event_source_arn=stream_arn or table.arn,
            region=client.meta.region_name,
            created_at=table.created_at,
            expected=table.items or 0,
            tick=tick_of(table.arn),
        )

    def key_of(self, item: Item) -> Item:
        """An item's key."""
        return {name: item[name] for name in self.key_schema.types}
