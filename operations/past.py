"""What the history knows of an item's past, with regard to one state of it. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from replica_writer.tables import own_attributes
from reports.timeline import state_before
from stream_core.attribute_values import Item, same_item
from stream_core.change import EventName
from stream_core.history_row import HistoryRow

# So many of an item's newest rows are read; few items have as many.
MOST_ROWS = 10_000


@dataclass(frozen=True)
class Past:
    """An item's rows, held against one state.

    Attributes:
        rows: how many were read.
        changes: how many of them are changes, not baselines.
        last: the state after the newest row.
        had_it: whether the item was in the state, as far as was read.
        changes_since: how many changes there were since it was left last; with `had_it`.
        left_at: when it was left last; None where it is the last state.
        is_whole: each row goes on where the one before it ended.
        begins_with_birth: the oldest row is the item's INSERT, so that nothing came before.
        is_all: no older row was left out.
    """

    rows: int = 0
    changes: int = 0
    last: Item | None = None
    had_it: bool = False
    changes_since: int = 0
    left_at: datetime | None = None
    is_whole: bool = True
    begins_with_birth: bool = False
    is_all: bool = True


def past_of(newest_first: Iterable[HistoryRow], state: Item | None) -> Past:
    """Go back through an item's rows until it was in a state; no more is read than that takes.

    Args:
        newest_first: the item's rows.
        state: an image, or None for an item that is not there.
    """
    rows = iter(newest_first)
    reading = _Reading(own_attributes(state))
    for row in islice(rows, MOST_ROWS):
        reading.go_back(row)
        if reading.had_it:
            break
    return reading.past(is_all=reading.had_it or next(rows, None) is None)


class _Reading:
    """How far back the rows were read."""

    def __init__(self, state: Item | None) -> None:
        self._state = state
        self._newest: HistoryRow | None = None
        self._newer: HistoryRow | None = None
        self._rows = 0
        self._changes = 0
        self._left_at: datetime | None = None
        self._is_whole = True
        self.had_it = False

    def go_back(self, row: HistoryRow) -> None:
        newer = self._newer
        self._rows += 1
        self._newest = self._newest or row
        if self._is_state(row.change.new_image):
            self.had_it = True
            self._left_at = None if newer is None else newer.change.created_at
            return
        is_baseline = row.change.event_name is EventName.SNAPSHOT
        if newer is not None and is_baseline and newer.change.created_at == row.change.created_at:
            # Stamped with its second and sorted first in it: it shows some moment within.
            return
        if newer is not None and not _same(row.change.new_image, state_before(newer)):
            self._is_whole = False
        self._newer = row
        if is_baseline:
            return
        self._changes += 1
        if self._is_state(row.change.old_image):
            self.had_it, self._left_at = True, row.change.created_at

    def past(self, *, is_all: bool) -> Past:
        if self._newest is None:
            return Past()
        oldest = self._newer or self._newest
        return Past(
            rows=self._rows,
            changes=self._changes,
            last=own_attributes(self._newest.change.new_image),
            had_it=self.had_it,
            changes_since=self._changes if self.had_it else 0,
            left_at=self._left_at,
            is_whole=self._is_whole,
            begins_with_birth=oldest.change.event_name is EventName.INSERT,
            is_all=is_all,
        )

    def _is_state(self, image: Item | None) -> bool:
        return _same(image, self._state)


def _same(one: Item | None, other: Item | None) -> bool:
    return same_item(own_attributes(one), own_attributes(other))
