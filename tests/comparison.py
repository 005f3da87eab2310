"""A source, its history and its replica in memory, as an operation sees them, and a clock.

Nothing really waits: a pause takes its length of the clock, every request a little. Whatever is
to happen meanwhile is done by `World.happens`, which is called at every request.
"""

import heapq
import re
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import RLock
from types import SimpleNamespace
from zlib import crc32

from operations.deployed_tables import DeployedTables
from replica_writer.tables import SourceTable
from reports.access.machine import Machine
from stream_core.attribute_values import canonical_json, same_item
from stream_core.change import EventName
from stream_core.history_row import ID, SORT_KEY, HistoryRow
from tests.factories import NOON, change, text
from tests.fakes import FakeDynamoDB, client_error

HISTORY, SOURCE, REPLICA = "EmployeeHistory", "Employee", "EmployeeReplica"
REQUEST_S = 0.005
_BEGAN = datetime.fromtimestamp(NOON, UTC) - timedelta(days=1)
_RANGE = re.compile(r"(#\w+) = (:\w+) AND (#\w+) BETWEEN (:\w+) AND (:\w+)")


class PairTables(FakeDynamoDB):
    """Also describes, scans and queries; tells a world of every request.

    Attributes:
        descriptions: what DescribeTable answers, by name.
        page: how many items an answer of Scan holds at most; stands for its megabyte.
        batch: how many keys BatchGetItem works off; the others come back unprocessed.
        tick: called before a request is carried out.
    """

    def __init__(self, *, page=1000, batch=100, **key_names):
        super().__init__(**key_names)
        self.descriptions = {name: describe(name, names) for name, names in key_names.items()}
        self.page, self.batch = page, batch
        self.tick = lambda: None
        self.meta = SimpleNamespace(region_name="us-east-1", endpoint_url="http://memory")

    def describe_table(self, **request):
        return self._call("describe_table", request, self._describe)

    def scan(self, **request):
        return self._call("scan", request, self._scan)

    def get_paginator(self, operation):
        assert operation == "query"
        return SimpleNamespace(
            paginate=lambda **request: [self._call("query", request, self._query)]
        )

    def get(self, table, item):
        return deepcopy(self.tables[table].get(self._key(table, item)))

    def _call(self, operation, request, carry_out):
        self.tick()
        return super()._call(operation, request, carry_out)

    def _describe(self, TableName):  # noqa: N803 - names of the API, here and below
        if TableName not in self.descriptions:
            raise client_error("ResourceNotFoundException")
        return {"Table": self.descriptions[TableName]}

    def _scan(self, TableName, ConsistentRead, Segment, TotalSegments, Limit, **request):  # noqa: N803
        assert ConsistentRead
        partition = self.key_names[TableName][0]
        start = request.get("ExclusiveStartKey")
        after = b"" if start is None else self._key(TableName, start)
        stored = self.tables[TableName]
        keys = [
            key
            for key in sorted(stored)
            if key > after
            and crc32(canonical_json({"": stored[key][partition]})) % TotalSegments == Segment
        ]
        size = min(Limit, self.page)
        names = request.get("ExpressionAttributeNames", {}).values()
        items = [deepcopy(stored[key]) for key in keys[:size]]
        answer = {
            "Items": [{n: one[n] for n in names if n in one} if names else one for one in items]
        }
        # As DynamoDB does: at the limit it does not know yet that there is no more.
        if len(keys) >= size > 0:
            last = stored[keys[size - 1]]
            answer["LastEvaluatedKey"] = {name: last[name] for name in self.key_names[TableName]}
        return answer

    def _query(self, TableName, KeyConditionExpression, ScanIndexForward, **request):  # noqa: N803
        names, values = request["ExpressionAttributeNames"], request["ExpressionAttributeValues"]
        assert request["ConsistentRead"]
        partition, value, sort, low, high = _RANGE.fullmatch(KeyConditionExpression).groups()
        found = [
            item
            for item in self.tables[TableName].values()
            if item[names[partition]] == values[value]
            and values[low]["S"] <= item[names[sort]]["S"] <= values[high]["S"]
        ]
        found.sort(key=lambda item: item[names[sort]]["S"], reverse=not ScanIndexForward)
        return {"Items": deepcopy(found[: request["PaginationConfig"].get("MaxItems")])}

    def _get_all(self, RequestItems):  # noqa: N803
        ((table, request),) = RequestItems.items()
        assert request["ConsistentRead"]
        super()._get_all(RequestItems)  # It refuses what the service does.
        keys = request["Keys"]
        answer = super()._get_all({table: request | {"Keys": keys[: self.batch]}})
        if keys[self.batch :]:
            answer["UnprocessedKeys"] = {table: request | {"Keys": keys[self.batch :]}}
        return answer


def describe(name, key_names, tag="S"):
    """A table as DescribeTable tells it."""
    return {
        "TableName": name,
        "TableId": f"id-{name}",
        "KeySchema": [
            {"AttributeName": key, "KeyType": kind}
            for key, kind in zip(key_names, ("HASH", "RANGE"), strict=False)
        ],
        "AttributeDefinitions": [
            {"AttributeName": key, "AttributeType": tag} for key in sorted(key_names)
        ],
        "CreationDateTime": _BEGAN,
        "ItemCount": 0,
    }


class World:
    """Three tables and what is done to them.

    Attributes:
        happens: called at every request, with the time passed so far.
        lag_s: how long the two writers take, after which a change is in history and replica.
        rows: the rows recorded, in order.
    """

    def __init__(self, *key_names, history=True, **options):
        self.key_names = key_names or ("Id",)
        tables = {HISTORY: (ID, SORT_KEY), SOURCE: self.key_names, REPLICA: self.key_names}
        self.client = PairTables(**tables, **options)
        self.client.tick = self._tick
        self.happens = lambda _now: None
        self.lag_s = 0.0
        self.now = 0.0
        self.pauses_s = []
        self.rows = []
        self._due = []
        self._order = count()
        self._lock = RLock()
        self.deployment = DeployedTables(
            SOURCE, session=None, history_table=HISTORY if history else None, replica_table=REPLICA
        )
        self.use(self.client)
        self.machine = Machine(
            now=lambda: datetime.fromtimestamp(NOON + self.now, UTC),
            clock=lambda: self.now,
            sleep=self.sleep,
        )

    def use(self, client):
        """Have the deployment's parts made with a client."""
        self.deployment.dynamodb = client
        self.deployment.replica_client = client
        self.deployment.source = SourceTable(client, SOURCE)
        self.deployment.s3 = None

    def close(self):
        self.deployment.pool.shutdown()

    def sleep(self, seconds):
        with self._lock:
            self.pauses_s.append(seconds)
            self._pass(seconds)

    def write(self, item, *, recorded=True, replicated=True):
        """Put an item into the source; its change is recorded and replicated after the lag."""
        self._change({name: item[name] for name in self.key_names}, item, recorded, replicated)

    def delete(self, identifier, *, recorded=True, replicated=True):
        self._change({"Id": text(identifier)}, None, recorded, replicated)

    def put(self, table, *items):
        """Put items behind everybody's back."""
        for item in items:
            self.client.put(table, item)

    def of(self, table):
        """A table's items, by key."""
        return self.client.items(table)

    def record(self, row):
        self.client.put(HISTORY, row.to_item(4))
        self.rows.append(row)

    def baseline(self, identifier):
        """Record what a backfill finds."""
        found = change(None, self.client.get(SOURCE, {"Id": text(identifier)}), at=int(NOON))
        row = replace(found, event_name=EventName.SNAPSHOT, sequence_number="0")
        self.record(HistoryRow.from_change(row))

    def forget(self, row):
        self.client.remove(HISTORY, row.to_item(4))

    def _change(self, key, new, recorded, replicated):
        with self._lock:
            old = self.client.get(SOURCE, key)
            if same_item(old, new):
                return
            self._store(SOURCE, key, new)
            row = HistoryRow.from_change(
                change(old, new, keys=key, at=int(NOON + self.now), sequence=next(self._order) + 1)
            )
            if recorded:
                self._later(lambda: self.record(row))
            if replicated:
                # As the replica writer does: the source says what the item is.
                self._later(lambda: self._store(REPLICA, key, self.client.get(SOURCE, key)))
            self._pass(0)

    def _store(self, table, key, item):
        if item is None:
            self.client.remove(table, key)
        else:
            self.client.put(table, item)

    def _later(self, act):
        heapq.heappush(self._due, (self.now + self.lag_s, next(self._order), act))

    def _tick(self):
        with self._lock:
            self._pass(REQUEST_S)
            self.happens(self.now)

    def _pass(self, seconds):
        end = self.now + seconds
        while self._due and self._due[0][0] <= end:
            self.now, _, act = heapq.heappop(self._due)
            act()
        self.now = max(self.now, end)


@contextmanager
def a_world(*key_names, **options):
    """A world for as long as a `with` block lasts."""
    world = World(*key_names, **options)
    try:
        yield world
    finally:
        world.close()


def keys_of(discrepancies):
    """The keys of what a comparison finds, as it finds it."""
    return (discrepancy.keys for discrepancy in discrepancies)
