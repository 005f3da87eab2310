"""What is known of every item of a table around a span of time, from one reading of all of it.

Order matters. The live items are read first, then the history, then what the index has gained in
the meantime: a change that shows in a live item has had all that time to be recorded, so what is
not recorded then is missing, or still on its way.
"""

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from more_itertools import constrained_batches

from reports.access.progress import Progress
from reports.access.row_reader import MOST_A_CALL, RowReader
from reports.access.table_description import describe
from reports.access.table_scan import scan
from reports.states.evidence import Evidence
from reports.table.live_table import LiveTable
from stream_core.attribute_values import Item
from stream_core.change import EventName
from stream_core.history_row import ID, SORT_KEY, sort_key_after, time_text
from stream_core.item_id import CONTROL_ID, item_id

# Clocks differ, and rows arrive a little later than they are stamped.
_MARGIN = timedelta(minutes=10)
# In a place after all changes of its second, where it belongs only if there are none.
_BASELINE = "#~"
_MARKED = (ID, SORT_KEY, "EventName")


class Span(NamedTuple):
    """A span of time as bounds between sort keys.

    Attributes:
        first: a row before the span has a smaller sort key.
        last: a row after the span has a greater sort key.
    """

    first: str
    last: str

    @classmethod
    def instant(cls, at: datetime) -> "Span":
        """No time at all: rows stamped `at` are before it, later ones after."""
        return cls(sort_key_after(at), sort_key_after(at))

    @classmethod
    def range(cls, start: datetime, end: datetime) -> "Span":
        """Rows stamped from `start` to `end` are within."""
        return cls(time_text(start), sort_key_after(end))


@dataclass(slots=True)
class KnownItem:
    """What is known of one item around a span of time.

    Attributes:
        before: the sort key of its newest row before the span.
        within: how many rows it has within.
        after: the sort key of its oldest row after the span, in the sense of
            `RowReader.oldest_after`.
        live: the item in the source table, None where it is not there or there is none.
        read_at: when it was read, by the service's clock; None: it was not, or nothing tells.
    """

    identifier: str
    before: str | None = None
    within: int = 0
    after: str | None = None
    live: Item | None = None
    read_at: datetime | None = None

    @property
    def weight(self) -> int:
        """How many rows there are to read."""
        return (self.before is not None) + self.within + (self.after is not None)


class RowMarks:
    """For every item the rows next to a span of time, and nothing else of its history.

    The memory this takes depends on how many items there ever were, not on their rows.
    """

    def __init__(self, span: Span) -> None:
        """No row yet."""
        self._span = span
        self._items: dict[str, KnownItem] = {}

    def __len__(self) -> int:
        return len(self._items)

    def add(self, identifier: str, sort_key: str, event_name: str) -> None:
        """Take note of a row, in whatever order they come."""
        known = self._items.get(identifier)
        if known is None:
            known = self._items[identifier] = KnownItem(identifier)
        if sort_key < self._span.first:
            if known.before is None or sort_key > known.before:
                known.before = sort_key
        elif sort_key <= self._span.last:
            known.within += 1
        else:
            if event_name == EventName.SNAPSHOT:
                sort_key = sort_key.replace("#", _BASELINE)
            if known.after is None or sort_key < known.after:
                known.after = sort_key

    def take(self, identifier: str) -> KnownItem:
        """What is known of an item; it is forgotten here."""
        known = self._items.pop(identifier, None)
        return KnownItem(identifier) if known is None else _unmarked(known)

    def take_all(self) -> Iterator[KnownItem]:
        """Every item that is left, one by one."""
        while self._items:
            yield _unmarked(self._items.popitem()[1])


def _unmarked(known: KnownItem) -> KnownItem:
    known.after = known.after and known.after.replace(_BASELINE, "#")
    return known


def known_items(
    reader: RowReader, span: Span, now: datetime, progress: Progress
) -> Generator[KnownItem, None, None]:
    """What is known of every item that is live or has rows, first the live ones.

    Args:
        reader: reads both tables, and the index for the rows that arrive meanwhile.
        span: the span of time.
        now: the present.
        progress: is called with the live items, rows and hours read, then the items handed out.
    """
    # Before the rows: one that is stored meanwhile must not count as read.
    _ = reader.watermark, reader.lives
    begun = time.monotonic()
    live = None if reader.source_table is None else LiveTable(reader, progress)
    marks = RowMarks(span)
    _mark_all(reader, marks, progress)
    with closing(reader.by_time.entries(now - _MARGIN, present(now, begun), progress)) as entries:
        for entry in entries:
            marks.add(entry.identifier, entry.sort_key, entry.event_name)
    total = max(len(marks), live.count if live else 0)
    for done, known in enumerate(_joined(reader, live, marks), 1):
        yield known
        progress("items", done, max(done, total))


def present(now: datetime, begun: float) -> datetime:
    """A moment surely later than every row written until this call.

    Args:
        now: what the time was when the work began.
        begun: what `time.monotonic` gave then.
    """
    return now + timedelta(seconds=time.monotonic() - begun) + _MARGIN


def keys_of(reader: RowReader, item: Item) -> Item:
    """The key of an item of the source table."""
    return {name: item[name] for name in reader.key_schema.types}


def in_batches(items: Iterable[KnownItem]) -> Iterator[tuple[KnownItem, ...]]:
    """Items in groups whose rows one call can read."""
    return constrained_batches(
        items, MOST_A_CALL, MOST_A_CALL, get_len=lambda item: item.weight, strict=False
    )


def evidence_of_each(
    reader: RowReader, items: Sequence[KnownItem], at: datetime, now: datetime
) -> Iterator[Evidence]:
    """The evidence on items from the rows before and after the span, read by one call.

    Rows within are not looked at: of an item that has no others, and is not live, the `keys` are
    left empty.
    """
    row_keys = [
        (item.identifier, key) for item in items for key in (item.before, item.after) if key
    ]
    rows = dict(zip(row_keys, reader.fetch(row_keys) if row_keys else [], strict=True))
    for item in items:
        before, after = (
            rows[item.identifier, key] if key else None for key in (item.before, item.after)
        )
        row = before or after
        # A scan takes its time: the present of an item is when its page was read.
        is_of_now = at == now and after is None and item.read_at is not None
        read_at = item.read_at if is_of_now else None
        yield Evidence(
            keys=row.change.keys if row else keys_of(reader, item.live) if item.live else {},
            at=read_at or at,
            now=read_at or now,
            horizon=reader.horizon,
            before=before,
            after=after,
            live_was_read=reader.source_table is not None,
            live=item.live,
            watermark=reader.watermark,
            lives=reader.lives,
            provenance=reader.provenance,
        )


def _mark_all(reader: RowReader, marks: RowMarks, progress: Progress) -> None:
    expected = describe(reader.dynamodb, reader.history_table).items or 0
    done = 0
    for page in scan(reader.dynamodb, reader.history_table, _MARKED):
        for row in page:
            if row[ID]["S"] == CONTROL_ID:
                continue
            # One that is no history row, without an event, is refused when it is read.
            marks.add(row[ID]["S"], row[SORT_KEY]["S"], row.get("EventName", {}).get("S", ""))
        done += len(page)
        progress("history rows", done, max(expected, done))


def _joined(reader: RowReader, live: LiveTable | None, marks: RowMarks) -> Iterator[KnownItem]:
    for item, read_at in live.items() if live else ():
        known = marks.take(item_id(keys_of(reader, item)))
        known.live, known.read_at = item, read_at
        yield known
    yield from marks.take_all()
