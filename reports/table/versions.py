"""The versions of items that were active within a range of time."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime

from reports.access.by_time import check_range
from reports.access.clients import CONCURRENCY
from reports.access.own_writes import find_own_writes
from reports.access.parallel import in_order
from reports.access.progress import Progress
from reports.access.row_reader import MOST_A_CALL, RowReader
from reports.states.evidence import Evidence
from reports.states.spans import timeline
from reports.states.stream_order import earliest_before
from reports.states.timeline import ItemState
from reports.table.known_items import (
    KnownItem,
    Span,
    evidence_of_each,
    in_batches,
    keys_of,
    known_items,
)
from stream_core.attribute_values import Item
from stream_core.history_row import HistoryRow, time_text


def item_versions(
    reader: RowReader, keys: Item, start: datetime, end: datetime, now: datetime
) -> Iterator[ItemState]:
    """The versions of one item that were active from `start` to `end`, oldest first.

    A version is active from the moment it began until just before it ended. One that lasted no
    time by the clock, with another change in the same second, was active at that moment.

    Raises:
        ReportError: the range ends before it starts.
    """
    check_range(start, end)
    versions = _item_versions(reader, keys, start, end, now)
    return map(find_own_writes(reader).noted_state, versions)


def table_versions(
    reader: RowReader, start: datetime, end: datetime, now: datetime, progress: Progress
) -> Generator[ItemState, None, None]:
    """The versions of all items that were active from `start` to `end`.

    Items come in no order, the versions of each together and oldest first.

    Raises:
        ReportError: the range ends before it starts.
    """
    check_range(start, end)
    return _table_versions(reader, start, end, now, progress)


def _item_versions(
    reader: RowReader, keys: Item, start: datetime, end: datetime, now: datetime
) -> Iterator[ItemState]:
    newest = reader.evidence(keys, end, now)
    end = newest.at
    before = newest.before
    previous = before
    rows: Iterator[HistoryRow] = iter(())
    last = newest.last_sort_key
    if before is not None and last is not None and last >= time_text(start):
        # What was made within may be stamped before.
        since = earliest_before(start)
        previous = _newest_before(reader, before.id, since)
        # Not further than the evidence goes: a row that arrives just now would not fit it.
        rows = reader.rows(before.id, after=time_text(since), until=last)
    newest = _as_of_the_end(newest, before, start, end)
    for state in timeline(rows, newest, previous):
        if _is_active(state, start, end):
            yield state


def _newest_before(reader: RowReader, identifier: str, start: datetime) -> HistoryRow | None:
    # Every row stamped `start` has something after that text.
    items = reader.items(identifier, until=time_text(start), newest_first=True, limit=1)
    return next(map(reader.read, items), None)


def _as_of_the_end(
    newest: Evidence, last: HistoryRow | None, start: datetime, end: datetime
) -> Evidence:
    """The evidence for the last moment of a range: what comes after the present is not known.

    A row proves that its time has come, whatever this machine's clock says.
    """
    now = max(newest.now, last.change.created_at) if last else newest.now
    return replace(newest, now=now, at=min(end, max(start, now)))


def _is_active(state: ItemState, start: datetime, end: datetime) -> bool:
    begun, ended = state.valid_from, state.valid_to
    if not state.exists or (begun is not None and begun > end):
        return False
    return ended is None or ended > start or (begun == ended and ended == start)


def _table_versions(
    reader: RowReader, start: datetime, end: datetime, now: datetime, progress: Progress
) -> Generator[ItemState, None, None]:
    noted = find_own_writes(reader).noted_state

    def of_one(keys: Item) -> Iterator[ItemState]:
        return _item_versions(reader, keys, start, end, now)

    def of_batch(batch: Sequence[KnownItem]) -> list[ItemState]:
        active = []
        for known, evidence in zip(batch, evidence_of_each(reader, batch, end, now), strict=True):
            states = _between_neighbours(reader, known, evidence, start, end)
            if any(state.is_contradicted for state in states):
                states = list(of_one(states[0].keys))
            active += [noted(state) for state in states if _is_active(state, start, end)]
        return active

    long_lives: list[KnownItem] = []
    known = known_items(reader, Span.range(start, end), now, progress)
    batches = in_batches(_without(long_lives, known))
    with closing(known), closing(in_order(of_batch, batches, ahead=CONCURRENCY)) as active:
        for states in active:
            yield from states
    for item in long_lives:
        yield from map(noted, of_one(_keys(reader, item)))


def _between_neighbours(
    reader: RowReader, known: KnownItem, evidence: Evidence, start: datetime, end: datetime
) -> list[ItemState]:
    """The states of an item from the row before a range to the row after it."""
    if not known.within:
        newest = _as_of_the_end(evidence, evidence.before, start, evidence.at)
        return list(timeline((), newest, previous=evidence.before))
    within = Span.range(start, end)
    rows = list(reader.rows(known.identifier, after=within.first, until=within.last))
    newest = replace(evidence, keys=rows[-1].change.keys)
    newest = _as_of_the_end(newest, rows[-1], start, evidence.at)
    return list(timeline(rows, newest, previous=evidence.before))


def _without(long_lives: list[KnownItem], items: Iterable[KnownItem]) -> Iterator[KnownItem]:
    """Put items aside whose versions, all at once, might be too many for the memory."""
    for item in items:
        if item.within > MOST_A_CALL:
            long_lives.append(item)
        else:
            yield item


def _keys(reader: RowReader, known: KnownItem) -> Item:
    if known.live is not None:
        return keys_of(reader, known.live)
    (item,) = reader.items(known.identifier, limit=1)
    return HistoryRow.from_item(item).change.keys
