"""The state of an item at an instant, and how sure it is. Pure.

`exact` means that the evidence agrees from both sides of the instant, so that one missing record
would have shown: the row before and the row after fit each other, or the row before fits the
live item, or nothing before an INSERT fits nothing recorded.

Two things leave no trace, and no evidence shows them: missing records that lead from a state back
to the same state, and an item from before the history that has no baseline and whose deletion,
with all before it, is missing. A backfill at the start rules the second one out. A baseline is no
evidence here where a change of its second follows; `verify` holds it against that whole second.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain, pairwise
from typing import Any

from reports.states.values import to_python
from stream_core.attribute_values import Item, same_item
from stream_core.change import EventName
from stream_core.history_row import HistoryRow


class Certainty(StrEnum):
    """How sure an answer is."""

    EXACT = "exact"
    BOUNDED = "bounded"
    """A change is missing: the states at both ends are known, the moment in between is not."""
    UNKNOWN = "unknown"
    """Nothing vouches for the answer."""


@dataclass(frozen=True)
class ItemState:
    """An item as of an instant.

    Attributes:
        keys: the item's key in wire form.
        at: the instant asked for, UTC.
        image: the item in wire form, None where it did not exist.
        certainty: how sure the answer is.
        reason: why it is no surer, or what it rests on, in words.
        valid_from: since when the item was so, UTC; None where that is not known.
        valid_to: until when, exclusive, UTC; None where it still is, or is not known.
        row: the history row the answer rests on; None where it is the live item, or nothing.
    """

    keys: Item
    at: datetime
    image: Item | None
    certainty: Certainty
    reason: str
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    row: HistoryRow | None = None

    @property
    def exists(self) -> bool:
        """Whether there was such an item."""
        return self.image is not None

    @property
    def is_current(self) -> bool:
        """Whether the item is so still, as far as is recorded."""
        return self.exists and self.valid_to is None

    @property
    def is_contradicted(self) -> bool:
        """Whether the rows, or the last row and the live item, do not fit each other.

        A state that is weak only for want of evidence has no beginning, or is unknown.
        """
        return self.certainty is Certainty.BOUNDED and self.valid_from is not None

    @property
    def item(self) -> dict[str, Any] | None:
        """The item as Python values: numbers as `Decimal`, binary as bytes, sets as sets."""
        return None if self.image is None else to_python(self.image)


@dataclass(frozen=True)
class Evidence:
    """What is known around an instant.

    Attributes:
        before: the newest row stamped at or before the instant.
        after: the oldest row stamped later.
        live_was_read: whether the source table was asked; `live` is its answer.
        now: when the evidence was gathered.
        horizon: when the history began.
    """

    keys: Item
    at: datetime
    now: datetime
    horizon: datetime
    before: HistoryRow | None = None
    after: HistoryRow | None = None
    live_was_read: bool = False
    live: Item | None = None


def judge(evidence: Evidence) -> ItemState:
    """The state that the evidence speaks for, and how sure it is."""
    if evidence.before is not None:
        return _after_a_row(evidence, evidence.before)
    if evidence.after is not None:
        return _before_a_row(evidence, evidence.after)
    return _without_rows(evidence)


def timeline(
    rows: Iterable[HistoryRow], newest: Evidence, previous: HistoryRow | None = None
) -> Iterator[ItemState]:
    """The states of an item in order, the one before the first row included.

    Args:
        rows: its rows, oldest first.
        newest: what is known at the end; `before` is the last of `rows`.
        previous: the row before the first of `rows`, where they do not start the history.

    Yields:
        A state for the time before the first row and one for each row; each lasts until the next
        one begins. Changes of one second give states that last no time by the clock.
    """
    for row in spoken_for(rows):
        if previous is None:
            at = min(newest.horizon, row.change.created_at - timedelta(microseconds=1))
        else:
            at = previous.change.created_at
        yield judge(
            Evidence(newest.keys, at, newest.now, newest.horizon, before=previous, after=row)
        )
        previous = row
    yield judge(replace(newest, before=previous))


def spoken_for(rows: Iterable[HistoryRow]) -> Iterator[HistoryRow]:
    """The rows without those baselines that a change of the same second follows.

    A baseline is stamped with its second and sorts first in it, but shows a moment somewhere
    within: that of the change is known better.
    """
    for row, following in pairwise(chain(rows, [None])):
        if row is not None and not is_superseded(row, following):
            yield row


def is_superseded(row: HistoryRow, following: HistoryRow | None) -> bool:
    """Whether a row is a baseline that a change of the same second follows."""
    return (
        row.change.event_name is EventName.SNAPSHOT
        and following is not None
        and following.change.created_at == row.change.created_at
    )


def weaker_of(first: ItemState, second: ItemState) -> ItemState:
    """The state that is less certain."""
    strength = list(Certainty)
    return max(first, second, key=lambda state: strength.index(state.certainty))


def state_before(row: HistoryRow) -> Item | None:
    """The item right before a row's change. A snapshot changes nothing."""
    if row.change.event_name is EventName.SNAPSHOT:
        return row.change.new_image
    return row.change.old_image


def _after_a_row(evidence: Evidence, before: HistoryRow) -> ItemState:
    image, after = before.change.new_image, evidence.after
    certainty = Certainty.EXACT
    reason = "the rows before and after fit each other"
    if evidence.at > evidence.now:
        certainty, reason = Certainty.UNKNOWN, "the time lies in the future"
    elif after is not None:
        if not same_item(image, state_before(after)):
            certainty = Certainty.BOUNDED
            reason = "a change is missing between the rows before and after"
    elif not evidence.live_was_read:
        certainty = Certainty.UNKNOWN
        reason = "no later row, and no source table was given to confirm the last one"
    elif same_item(image, evidence.live):
        reason = "the last row fits the live item"
    else:
        certainty = Certainty.BOUNDED
        reason = "the live item has changed since the last row: that change is not recorded yet"
    return ItemState(
        evidence.keys,
        evidence.at,
        image,
        certainty,
        reason,
        valid_from=before.change.created_at,
        valid_to=after.change.created_at if after else None,
        row=before,
    )


def _before_a_row(evidence: Evidence, after: HistoryRow) -> ItemState:
    certainty, reason = Certainty.BOUNDED, "the first row has no baseline before it"
    if evidence.at < evidence.horizon:
        certainty, reason = Certainty.UNKNOWN, _horizon_reason(evidence)
    elif after.change.event_name is EventName.INSERT:
        certainty, reason = Certainty.EXACT, "the first row inserts the item"
    return ItemState(
        evidence.keys,
        evidence.at,
        state_before(after),
        certainty,
        reason,
        valid_to=after.change.created_at,
        row=after,
    )


def _without_rows(evidence: Evidence) -> ItemState:
    certainty, reason = Certainty.UNKNOWN, "no row, and no source table was given"
    if evidence.at > evidence.now:
        reason = "the time lies in the future"
    elif evidence.at < evidence.horizon:
        reason = _horizon_reason(evidence)
    elif evidence.live_was_read and evidence.live is None:
        certainty, reason = Certainty.EXACT, "neither a row nor a live item"
    elif evidence.live_was_read:
        certainty, reason = Certainty.BOUNDED, "no row: the live item, as far as is recorded"
    return ItemState(evidence.keys, evidence.at, evidence.live, certainty, reason)


def _horizon_reason(evidence: Evidence) -> str:
    return f"the history began at {evidence.horizon:%Y-%m-%dT%H:%M:%SZ}, after the time asked for"
