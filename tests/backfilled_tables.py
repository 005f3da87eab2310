"""A source, a history and a replica in memory, and a deployment whose parts use them."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from history_writer.overflow_bucket import OverflowBucket
from history_writer.writer import HistoryWriter
from operations.deployed_tables import DeployedTables
from replica_writer.settle import Settler
from replica_writer.tables import ReplicaTable, SourceTable
from reports.access.machine import Machine
from reports.access.row_reader import RowReader
from stream_core.history_row import HistoryRow
from stream_core.item_id import CONTROL_ID
from tests.factories import change, complete
from tests.fake_tables import FakeTables
from tests.fake_tables import describe as describe_table
from tests.fakes import FakeS3

SOURCE, HISTORY, REPLICA, OVERFLOW = "Employee", "History", "Replica", "overflow"
REGION = "eu-west-1"
ARN = f"arn:aws:dynamodb:{REGION}:123456789012:table/{SOURCE}"
STREAM = f"{ARN}/stream/2026-11-01T10:00:00.000"
BEGAN = datetime(2026, 11, 1, 10, tzinfo=UTC)
NOW = datetime(2026, 11, 25, 12, 0, 0, 250_000, tzinfo=UTC)
ROW_KEY = ("Id", "ApproximateCreationDateTime")


def describe(name, key_names):
    """A table as DescribeTable tells it, with a stream."""
    return describe_table(name, key_names) | {
        "TableArn": ARN,
        "TableId": "12345a12-abcd-123a-ab12-1234abc12345",
        "CreationDateTime": BEGAN,
        "StreamSpecification": {"StreamEnabled": True},
        "LatestStreamArn": STREAM,
    }


class BackfilledTables:
    """The tables, a deployment on them, and a machine whose time is told.

    Attributes:
        now: the time of day.
        pauses_s: how long was slept, one by one; sleeping lets the time pass.
    """

    def __init__(self, key_names=("Id",)):
        self.tables = FakeTables(
            {
                SOURCE: describe(SOURCE, key_names),
                REPLICA: describe(REPLICA, key_names),
                HISTORY: describe(HISTORY, ROW_KEY),
            },
            page=100,
            # A page of a query ends after two rows, whether the filter lets them through or not.
            rows=2,
        )
        self.tables.meta.region_name = REGION
        self.s3 = FakeS3()
        self.now = NOW
        self.pauses_s = []
        self.machine = Machine(
            now=lambda: self.now,
            clock=self._seconds,
            sleep=self._sleep,
        )
        self.deployment = DeployedTables(
            SOURCE,
            session=SimpleNamespace(region_name=REGION),
            history_table=HISTORY,
            time_shards=4,
            overflow_bucket=OVERFLOW,
            replica_table=REPLICA,
            replica_region="eu-central-1",
        )
        pool, tables = self.deployment.pool, self.tables
        bucket = OverflowBucket(self.s3, OVERFLOW)
        self.deployment.dynamodb = self.deployment.replica_client = tables
        self.deployment.s3 = self.s3
        self.deployment.reader = complete(RowReader(tables, self.s3, HISTORY, SOURCE))
        self.deployment.history_writer = HistoryWriter(tables, bucket, HISTORY, 4, pool)
        self.deployment.settler = Settler(
            ReplicaTable(tables, REPLICA), SourceTable(tables, SOURCE), pool
        )

    def close(self):
        self.deployment.pool.shutdown()

    def put(self, *items):
        """Have items in the source."""
        for item in items:
            self.tables.put(SOURCE, item)

    def record(self, old, new, *, sequence, before_s=60):
        """Have a change of the past in the history."""
        at = (NOW - timedelta(seconds=before_s)).replace(microsecond=0).timestamp()
        row = HistoryRow.from_change(change(old, new, sequence=sequence, at=at))
        self.tables.put(HISTORY, row.to_item(4))

    def rows(self, identifier=None):
        """Rows of the history in their order, of one item or of all; no control rows."""
        items = (item for item in self.tables.items(HISTORY) if item["Id"]["S"] != CONTROL_ID)
        stored = map(HistoryRow.from_item, items)
        rows = [row for row in stored if identifier in (None, row.id)]
        return sorted(rows, key=lambda row: (row.id, row.sort_key))

    def controls(self):
        """What the history says of itself."""
        return self.deployment.reader.control_rows()

    def source(self):
        return self.tables.items(SOURCE)

    def replica(self):
        return self.tables.items(REPLICA)

    def calls(self, operation, table):
        """How many calls of an operation were about a table."""
        return sum(
            table in json.dumps(request, default=str) for request in self.tables.requests(operation)
        )

    def _seconds(self):
        return (self.now - NOW).total_seconds()

    def _sleep(self, seconds):
        self.pauses_s.append(seconds)
        self.now += timedelta(seconds=seconds)
