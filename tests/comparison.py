"""A source, its history and its replica in memory, as an operation sees them, and a clock.

Nothing really waits: a pause takes its length of the clock, every request a little. Whatever is
to happen meanwhile is done by `ComparedTables.happens`, which is called at every request.
"""

import heapq
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from threading import RLock

from operations.deployed_tables import DeployedTables
from replica_writer.tables import SourceTable
from reports.access.machine import Machine
from stream_core.attribute_values import same_item
from stream_core.change import EventName
from stream_core.history_row import ID, SORT_KEY, HistoryRow
from tests.factories import NOON, change, text
from tests.fake_tables import FakeTables, describe

HISTORY, SOURCE, REPLICA = "EmployeeHistory", "Employee", "EmployeeReplica"
REQUEST_S = 0.005


class ComparedTables:
    """Three tables and what is done to them.

    Attributes:
        happens: called at every request, with the time passed so far.
        lag_s: how long the two writers take, after which a change is in history and replica.
        rows: the rows recorded, in order.
    """

    def __init__(self, *key_names, history=True, **options):
        self.key_names = key_names or ("Id",)
        names = {HISTORY: (ID, SORT_KEY), SOURCE: self.key_names, REPLICA: self.key_names}
        self.client = FakeTables(
            {name: describe(name, keys) for name, keys in names.items()}, **options
        )
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

    def items(self, table):
        """A table's items, by key."""
        return self.client.items(table)

    def record(self, row):
        self.client.put(HISTORY, row.to_item(4))
        self.rows.append(row)

    def baseline(self, identifier):
        """Record what a backfill finds."""
        insert = change(None, self.client.get(SOURCE, {"Id": text(identifier)}), at=int(NOON))
        row = replace(insert, event_name=EventName.SNAPSHOT, sequence_number="0")
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
    world = ComparedTables(*key_names, **options)
    try:
        yield world
    finally:
        world.close()


def keys_of(discrepancies):
    """The keys of what a comparison finds, as it finds it."""
    return (discrepancy.keys for discrepancy in discrepancies)
