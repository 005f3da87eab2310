"""A source, a history and a replica in memory, and a deployment whose parts use them.

Beside what the writers call, the tables are scanned in segments, queried by `Id` and described, as
far as operations do. What is asked can be disturbed as with `tests.fakes`.
"""

import json
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

from history_writer.overflow_bucket import OverflowBucket
from history_writer.writer import HistoryWriter
from operations.deployed_tables import DeployedTables
from replica_writer.settle import Settler
from replica_writer.tables import ReplicaTable, SourceTable
from reports.access.machine import Machine
from reports.access.row_reader import RowReader
from stream_core.history_row import HistoryRow
from tests.factories import change
from tests.fakes import FakeDynamoDB, FakeS3, client_error

SOURCE, HISTORY, REPLICA, OVERFLOW = "Employee", "History", "Replica", "overflow"
REGION = "eu-west-1"
ARN = f"arn:aws:dynamodb:{REGION}:123456789012:table/{SOURCE}"
STREAM = f"{ARN}/stream/2026-11-01T10:00:00.000"
BEGAN = datetime(2026, 11, 1, 10, tzinfo=UTC)
NOW = datetime(2026, 11, 25, 12, 0, 0, 250_000, tzinfo=UTC)
ROW_KEY = ("Id", "ApproximateCreationDateTime")


class FakeTables(FakeDynamoDB):
    """Tables that can be scanned, queried and described as well.

    Attributes:
        facts: fields of the source's description that are other than usual.
        date: tells the time of the service, for the headers of its answers.
    """

    def __init__(self, key_names=("Id",)):
        super().__init__(**{SOURCE: key_names, REPLICA: key_names, HISTORY: ROW_KEY})
        self.facts = {}
        self.date = None
        self.meta = SimpleNamespace(region_name=REGION, endpoint_url="https://dynamodb.example")

    def describe_table(self, **request):
        return self._call("describe_table", request, self._with_date(self._describe))

    def scan(self, **request):
        return self._call("scan", request, self._with_date(self._scan))

    def query(self, **request):
        return self._call("query", request, self._with_date(self._query))

    def get_item(self, **request):
        return self._call("get_item", request, self._with_date(self._get))

    def _with_date(self, carry_out):
        def answer(**request):
            headers = {"date": format_datetime(self.date(), usegmt=True)} if self.date else {}
            return carry_out(**request) | {"ResponseMetadata": {"HTTPHeaders": headers}}

        return answer

    def get_paginator(self, operation):
        """As botocore's: goes on while there is more."""

        def paginate(**request):
            while True:
                page = getattr(self, operation)(**request)
                yield page
                if "LastEvaluatedKey" not in page:
                    return
                request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

        return SimpleNamespace(paginate=paginate)

    def _describe(self, TableName):  # noqa: N803 - names of the API
        if TableName not in self.tables:
            raise client_error("ResourceNotFoundException")
        names = self.key_names[TableName]
        table = {
            "TableName": TableName,
            "TableArn": ARN,
            "TableId": "12345a12-abcd-123a-ab12-1234abc12345",
            "CreationDateTime": BEGAN,
            "ItemCount": len(self.tables[TableName]),
            "KeySchema": [{"AttributeName": one, "KeyType": "HASH"} for one in names],
            "AttributeDefinitions": [{"AttributeName": one, "AttributeType": "S"} for one in names],
            "StreamSpecification": {"StreamEnabled": True},
            "LatestStreamArn": STREAM,
        }
        return {"Table": table | self.facts} if TableName == SOURCE else {"Table": table}

    def _scan(self, **request):
        table, limit = request["TableName"], request.get("Limit", 100)
        assert request["ConsistentRead"] is True
        mine = [
            (key, found)
            for key, found in sorted(self.tables[table].items())
            if zlib.crc32(key) % request["TotalSegments"] == request["Segment"]
        ]
        if "ExclusiveStartKey" in request:
            start = self._key(table, request["ExclusiveStartKey"])
            mine = [(key, found) for key, found in mine if key > start]
        page = [_copy(found) for _, found in mine[:limit]]
        # Whether anything follows is not known before it is looked for.
        last = self.key_names[table] if len(page) == limit else ()
        more = {"LastEvaluatedKey": {name: page[-1][name] for name in last}} if last else {}
        return {"Items": page, **more}

    def _query(self, **request):
        assert request["ConsistentRead"] is True
        identifier = request["ExpressionAttributeValues"][":id"]
        rows = sorted(
            (row for row in self.tables[HISTORY].values() if row["Id"] == identifier),
            key=lambda row: row[ROW_KEY[1]]["S"],
        )
        start = request.get("ExclusiveStartKey")
        if start:
            rows = [row for row in rows if row[ROW_KEY[1]]["S"] > start[ROW_KEY[1]]["S"]]
        # A page ends after two rows read, whether the filter lets them through or not.
        page, rest = rows[: request.get("Limit", 2)], rows[request.get("Limit", 2) :]
        more = {"LastEvaluatedKey": {name: page[-1][name] for name in ROW_KEY}} if rest else {}
        if "FilterExpression" in request:
            wanted = request["ExpressionAttributeValues"][":snapshot"]
            page = [row for row in page if row["EventName"] == wanted]
        return {"Items": [_copy(row) for row in page], **more}

    def _get(self, TableName, Key, ConsistentRead):  # noqa: N803 - names of the API
        assert ConsistentRead is True
        found = self.tables[TableName].get(self._key(TableName, Key))
        return {} if found is None else {"Item": _copy(found)}


def _copy(value):
    """What goes over a wire shares nothing."""
    if isinstance(value, dict):
        return {name: _copy(one) for name, one in value.items()}
    return list(map(_copy, value)) if isinstance(value, list) else value


class World:
    """The tables, a deployment on them, and a machine whose time is told.

    Attributes:
        now: the time of day.
        pauses_s: how long was slept, one by one; sleeping lets the time pass.
    """

    def __init__(self, key_names=("Id",)):
        self.tables = FakeTables(key_names)
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
        self.deployment.dynamodb = tables
        self.deployment.s3 = self.s3
        self.deployment.reader = RowReader(tables, self.s3, HISTORY, SOURCE)
        self.deployment.history_writer = HistoryWriter(tables, bucket, HISTORY, 4, pool)
        self.deployment.settler = Settler(
            ReplicaTable(tables, REPLICA), SourceTable(tables, SOURCE), pool
        )

    def close(self):
        self.deployment.pool.shutdown()

    def put(self, *items):
        """Have items in the source."""
        for one in items:
            self.tables.put(SOURCE, one)

    def record(self, old, new, *, sequence, before_s=60):
        """Have a change of the past in the history."""
        at = (NOW - timedelta(seconds=before_s)).replace(microsecond=0).timestamp()
        row = HistoryRow.from_change(change(old, new, sequence=sequence, at=at))
        self.tables.put(HISTORY, row.to_item(4))

    def rows(self, identifier=None):
        """Rows of the history in their order, of one item or of all."""
        found = map(HistoryRow.from_item, self.tables.items(HISTORY))
        rows = [row for row in found if identifier in (None, row.id)]
        return sorted(rows, key=lambda row: (row.id, row.sort_key))

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
