"""A history in memory that tests write, and damage, and the real readers read."""

import io
from dataclasses import replace
from datetime import timedelta

from history_writer.overflow_bucket import OverflowBucket
from reports.access.row_reader import RowReader
from stream_core.change import EventName
from stream_core.history_row import ID, SORT_KEY, HistoryRow
from tests.factories import FIRST_SEQUENCE, NOON, change, complete
from tests.fakes import client_error
from tests.unit.memory_tables import HISTORY, SOURCE, MemoryTables, describe, moment

BUCKET = "overflow"
SHARDS = 8
DAY_S = 86400
LATER = moment(0) + timedelta(days=1)
"""When the histories of tests are looked at."""


class History:
    """A history table, its source table and its overflow bucket.

    Attributes:
        tables: the DynamoDB client.
        objects: the S3 client.
        reader: the real reader of both.
    """

    def __init__(self, *rows, live=(), source=True, began_s=-DAY_S):
        self.tables = MemoryTables(
            **{
                HISTORY: describe(HISTORY, [ID, SORT_KEY], began_s),
                SOURCE: describe(SOURCE, ["Id"], began_s),
            },
            page=5,
        )
        self.objects = OverflowObjects()
        self.reader = complete(
            RowReader(self.tables, self.objects, HISTORY, SOURCE if source else None)
        )
        for row in rows:
            self.store(row.to_item(SHARDS))
        for item in live:
            self.put(item)

    def store(self, item):
        """Store a row as it is, whatever was there."""
        self.tables.put(HISTORY, item)

    def stored(self, identifier="1"):
        """The stored rows of an item, in order."""
        rows = (row for row in self.tables.items[HISTORY].values() if row[ID]["S"] == identifier)
        return sorted(rows, key=lambda row: row[SORT_KEY]["S"])

    def lose(self, item):
        """Take a stored row away."""
        self.tables.remove(HISTORY, item)

    def put(self, live_item):
        """Put a live item, without a record."""
        self.tables.put(SOURCE, live_item)

    def overflow(self, row):
        """The row with its images in the overflow bucket, as the writer puts them there."""
        return OverflowBucket(self.objects, BUCKET).put(row)


class OverflowObjects:
    """The overflow bucket: bodies by key and version."""

    def __init__(self):
        self.bodies = {}
        self.error = None

    def put_object(self, Bucket, Key, Body, **_options):  # noqa: N803 - names of the API
        assert Bucket == BUCKET
        version = f"version-{len(self.bodies)}"
        self.bodies[Key, version] = Body
        return {"VersionId": version}

    def get_object(self, Bucket, Key, VersionId):  # noqa: N803
        if self.error is not None:
            raise self.error
        if Bucket != BUCKET or (Key, VersionId) not in self.bodies:
            raise client_error("NoSuchVersion", 404)
        return {"Body": io.BytesIO(self.bodies[Key, VersionId])}


def row_of(old, new, at_s=0, place=0, **options):
    """The row of a change, `place` telling its order."""
    sequence = FIRST_SEQUENCE + 10 * place
    return HistoryRow.from_change(change(old, new, at=NOON + at_s, sequence=sequence, **options))


def rows_of(*states, first=None, step_s=60):
    """Rows of an item that goes through some states, oldest first."""
    return [
        row_of(old, new, step_s * place, place)
        for place, (old, new) in enumerate(zip([first, *states], states, strict=False))
    ]


def baseline_of(state, at_s=0):
    """The row that a backfill records of an item it finds, stamped with a second."""
    insert = change(None, state, at=NOON + at_s)
    return HistoryRow.from_change(
        replace(insert, event_name=EventName.SNAPSHOT, sequence_number="0")
    )


def resealed(row, **changed):
    """The row with parts of its change replaced and a digest that fits: a careful forgery.

    Its place stays as it is unless the time or the sequence number are replaced.
    """
    return HistoryRow.from_change(replace(row.change, **changed))


class StillClock:
    """Time that passes only by waiting."""

    def __init__(self, now=LATER):
        self.time = now
        self.pauses_s = []
        self.while_waiting = lambda: None

    def now(self):
        return self.time

    def sleep(self, seconds):
        self.pauses_s.append(seconds)
        self.time += timedelta(seconds=seconds)
        self.while_waiting()
