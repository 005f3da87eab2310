"""Why an item of the replica is not as in the source, by what the history knows of it. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import islice

from reports.states.row_states import state_before
from stream_core.attribute_values import Item, own_attributes, same_item
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


def _same(first: Item | None, second: Item | None) -> bool:
    return same_item(own_attributes(first), own_attributes(second))


class Reason(StrEnum):
    """Why an item differs.

    `last` is the state after the item's newest row in the history. The reasons are tried in this
    order: NOT_BACKFILLED or FOREIGN_WRITE where there is no row, LOST_EVENT, LAGGING,
    NOT_BACKFILLED, LOST_EVENT where a row is missing, CORRUPT.
    """

    LAGGING = "LAGGING"
    """`last` is the source's state, and the replica's is one that the item had before: any image of
    a row, old or new. To be absent is a state too: before an INSERT, after a REMOVE."""
    CORRUPT = "CORRUPT"
    """`last` is the source's state, every row goes on where the one before it ended, and the item
    was never as the replica has it."""
    FOREIGN_WRITE = "FOREIGN_WRITE"
    """The item is in the replica, and neither in the source nor in any row."""
    LOST_EVENT = "LOST_EVENT"
    """`last` is not the source's state, or a row does not go on where the one before it ended and
    the replica's state is in none: a change reached not even the history."""
    NOT_BACKFILLED = "NOT_BACKFILLED"
    """The item is in the source, and either there is no row of it, or there are only baselines and
    it is absent from the replica: no change that was recorded should have brought it there."""


@dataclass(frozen=True)
class Explanation:
    """Why an item differs, in words too.

    Attributes:
        reason: None where nothing tells.
        meaning: what that means.
        to_do: what to do about it.
        changes_behind: with LAGGING, how many changes have not reached the replica.
        behind_since: with LAGGING, when the state that the replica has ended; as exact as the
            stamps of the changes, which are whole seconds.
    """

    reason: Reason | None
    meaning: str
    to_do: str
    changes_behind: int | None = None
    behind_since: datetime | None = None


def explain(source: Item | None, replica: Item | None, past: Past) -> Explanation:
    """Why an item differs.

    Args:
        source: what it is in the source, where it has come to rest.
        replica: what it is in the replica.
        past: its rows, held against the replica's state.
    """
    if past.rows == 0:
        return _without_rows(source, replica)
    if not same_item(past.last, own_attributes(source)):
        return _lost_event()
    if past.had_it:
        return _lagging(replica, past)
    return _never_so(replica, past)


def unexplained(why: str) -> Explanation:
    """That nothing tells why an item differs."""
    return Explanation(None, why, "`repair` heals it whatever the reason")


def _without_rows(source: Item | None, replica: Item | None) -> Explanation:
    if source is None:
        return Explanation(
            Reason.FOREIGN_WRITE,
            "neither the source nor the history knows the item: something else writes to the "
            "replica, or it was deleted before the history began",
            "find out who may write to the replica besides the replica writer; `repair` deletes "
            "the item",
        )
    if replica is None:
        return Explanation(
            Reason.NOT_BACKFILLED,
            "the history has no row of the item: it has not changed since the history began and "
            "was never backfilled, or its change reached neither of the two writers",
            "`backfill` copies all such items and gives them a baseline; `repair` copies this one",
        )
    return Explanation(
        Reason.NOT_BACKFILLED,
        "the history has no row of the item, so nothing says where the replica's state comes "
        "from: perhaps from a copy made before the history began",
        "`backfill` gives such items a baseline and makes the replica equal; `repair` does the "
        "latter for this one",
    )


def _lost_event() -> Explanation:
    return Explanation(
        Reason.LOST_EVENT,
        "what the source has is not what the history recorded last: a change reached neither of "
        "the two writers. Both are behind, or the stream was off or its records expired before "
        "they were read",
        "`status` shows whether the writers are behind: if so, compare again when they are not. If "
        "not, `redrive` what failed, then `repair` the replica and `backfill` the history, which "
        "cannot be given the change itself any more; `verify` shows where it is missing",
    )


def _lost_row() -> Explanation:
    return Explanation(
        Reason.LOST_EVENT,
        "the history lacks a change of the item, and it was never as the replica has it in those "
        "that are there: that may be what it was in between",
        "`redrive` what failed and look at `verify` for the item; `repair` makes the replica equal",
    )


def _lagging(replica: Item | None, past: Past) -> Explanation:
    since, number = past.left_at, past.changes_since
    until = "a moment not recorded" if since is None else f"{since:%Y-%m-%dT%H:%M:%SZ}"
    changes = f"{number:,} change{'' if number == 1 else 's'}"
    has, other = "has the item as it was", "put an old state back"
    if replica is None:
        # Before its insert it was not there either: the rows tell no delete there from a delay.
        has, other = "lacks the item as it did", "deleted it there"
    return Explanation(
        Reason.LAGGING,
        f"the replica {has} until {until}, {changes} ago: its "
        f"writer is behind or failed on them, or another writer {other}",
        "`status` shows whether the replica writer is behind and whether anything failed: `redrive`"
        " brings that back; `repair` makes the item equal now",
        number,
        since,
    )


def _never_so(replica: Item | None, past: Past) -> Explanation:
    if replica is None and past.changes == 0:
        return _only_baselines()
    if not past.is_all:
        return unexplained(f"the replica's state is not among the last {MOST_ROWS:,} of the item")
    return _corrupt(replica, past) if past.is_whole else _lost_row()


def _only_baselines() -> Explanation:
    return Explanation(
        Reason.NOT_BACKFILLED,
        "the history has a baseline of the item and no change, so only a backfill could have "
        "brought it to the replica: that did not happen, or another writer deleted it there",
        "`backfill` with the replica copies all such items; `repair` copies this one",
    )


def _corrupt(replica: Item | None, past: Past) -> Explanation:
    seen = "was never absent" if replica is None else "was never as the replica has it"
    reach = "" if past.begins_with_birth else ", as far back as the history goes"
    return Explanation(
        Reason.CORRUPT,
        f"the history is whole and the item {seen}{reach}: something else writes to the replica",
        "find out who may write to the replica besides the replica writer; `repair` makes the item "
        "equal",
    )
