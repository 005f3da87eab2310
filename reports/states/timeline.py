"""The state of an item at an instant, and how sure it is. Pure.

`exact` means two things. The evidence agrees from both sides of the instant, so that one missing
record would have shown: the row before and the row after fit each other, or the row before fits
the live item, or a finished backfill vouches that an item without a row was not there. And the
instant lies before the watermark, so that no change of then can still arrive; or it is the
present, and the live item was read.

Missing records that lead from a state back to the same state leave no trace, and no evidence shows
them. A baseline is no evidence here where a change of its second follows; `verify` holds it against
that whole second.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain, pairwise
from typing import Any

from reports.states.global_tables import without_replication
from reports.states.provenance import Provenance
from reports.states.values import to_python
from reports.states.watermark import (
    Basis,
    NoWatermark,
    Watermark,
    may_arrive_after,
)
from stream_core.attribute_values import Item, same_item
from stream_core.change import EventName
from stream_core.history_row import HistoryRow, time_text


class Certainty(StrEnum):
    """How sure an answer is."""

    EXACT = "exact"
    BOUNDED = "bounded"
    """A change is missing, or may still be on its way: known are states before and after."""
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
        basis: what `exact` rests on; None where the answer is not exact.
        is_contradicted: whether the rows, or the last row and the live item, do not fit each
            other; asking again tells whether a change was recorded in between.
    """

    keys: Item
    at: datetime
    image: Item | None
    certainty: Certainty
    reason: str
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    row: HistoryRow | None = None
    basis: Basis | None = None
    is_contradicted: bool = False

    @property
    def exists(self) -> bool:
        """Whether there was such an item."""
        return self.image is not None

    @property
    def is_current(self) -> bool:
        """Whether the item is so still, as far as is recorded."""
        is_live = self.basis is Basis.LIVE or not self.is_contradicted
        return self.exists and self.valid_to is None and is_live

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
        watermark: up to when the history is complete, or why that is not known.
        complete_since: when the first finished backfill began that still holds: an item that was
            there then has a row; None without one.
        provenance: what rows of this history have to be of.
    """

    keys: Item
    at: datetime
    now: datetime
    horizon: datetime
    before: HistoryRow | None = None
    after: HistoryRow | None = None
    live_was_read: bool = False
    live: Item | None = None
    watermark: Watermark | NoWatermark = NoWatermark()  # noqa: RUF009 - it is frozen
    complete_since: datetime | None = None
    provenance: Provenance = Provenance()  # noqa: RUF009 - it is frozen

    @property
    def other_table(self) -> str | None:
        """The other table that one of the rows is of, if any is: it tells nothing of this one."""
        rows = (row for row in (self.before, self.after) if row is not None)
        return next(filter(None, map(self.provenance.other_table, rows)), None)

    @property
    def is_of_now(self) -> bool:
        """Whether the present was asked for, and the live item tells it."""
        return self.live_was_read and self.at == self.now


def judge(evidence: Evidence) -> ItemState:
    """The state at the instant that the evidence speaks for, and how sure it is."""
    if evidence.is_of_now:
        return _of_now(evidence)
    return _until(evidence.at, _by_the_rows(evidence), evidence)


def judge_span(evidence: Evidence, until: datetime | None = None) -> ItemState:
    """The same state, and how sure it is for as long as it lasted.

    The live item tells what is, not what was all the time until now: here the end of the state,
    or `until` (the instant, by default) where none is recorded, has to lie before the watermark.
    """
    state = _by_the_rows(evidence)
    return _until(state.valid_to or until or evidence.at, state, evidence)


def _until(end: datetime, state: ItemState, evidence: Evidence) -> ItemState:
    """What the rows make exact stays so up to the watermark: the one place of this rule."""
    watermark = evidence.watermark
    if state.certainty is not Certainty.EXACT:
        return state
    if isinstance(watermark, Watermark) and watermark.covers(end):
        return replace(state, basis=watermark.basis)
    reason = f"{state.reason}, but {watermark.doubt(evidence.now)}"
    return replace(state, certainty=Certainty.BOUNDED, reason=reason)


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
        one begins. Changes of one second give states that last no time by the clock. Where the
        evidence is of now and the last row does not fit the live item, one more: the live item,
        of which it is not known since when it is so.
    """
    of_the_past = replace(newest, live_was_read=False, live=None)
    for row in spoken_for(rows):
        if previous is None:
            at = min(newest.horizon, row.change.created_at - timedelta(microseconds=1))
        else:
            at = previous.change.created_at
        state = judge_span(replace(of_the_past, at=at, before=previous, after=row))
        is_first = previous is None and at == newest.horizon
        yield _since_the_horizon(state, at) if is_first else state
        previous = row
    newest = replace(newest, before=previous)
    last = previous.change.new_image if previous else None
    is_behind = newest.is_of_now and newest.after is None and not same_item(last, newest.live)
    if previous is not None or not is_behind:
        # Without an end it lasts until now, also where a range ended earlier.
        yield judge_span(newest, until=max(newest.at, newest.now))
    if is_behind:
        yield _live_span(judge(newest))


def _since_the_horizon(state: ItemState, horizon: datetime) -> ItemState:
    """The state before the first row; how sure it is, it is only since the history began."""
    began = f"{horizon:%Y-%m-%dT%H:%M:%SZ}"
    return replace(state, reason=f"{state.reason}; nothing is known of before {began}")


def spoken_for(rows: Iterable[HistoryRow]) -> Iterator[HistoryRow]:
    """The rows without those baselines that a change of the same second follows.

    A baseline is stamped with its second and sorts first in it, but shows a moment somewhere
    within: that of the change is known better. What a global table does on its own is part of the
    change before.
    """
    return without_replication(
        row
        for row, following in pairwise(chain(rows, [None]))
        if row is not None and not is_superseded(row, following)
    )


def is_superseded(row: HistoryRow, following: HistoryRow | None) -> bool:
    """Whether a row is a baseline that a change of the same second follows."""
    return (
        row.change.event_name is EventName.SNAPSHOT
        and following is not None
        and following.change.created_at == row.change.created_at
    )


def weaker_of(first: ItemState, second: ItemState) -> ItemState:
    """The state that is less certain; of two exact ones the one that is not the live item."""
    strength = list(Certainty)

    def weakness(state: ItemState) -> tuple[int, bool]:
        return strength.index(state.certainty), state.basis is not Basis.LIVE

    return max(first, second, key=weakness)


def beginnings(complete_since: datetime | None, at: datetime) -> tuple[Certainty, str]:
    """How sure it is that an item that was there at an instant has a row of then, and why.

    Args:
        complete_since: as `Evidence` has it.
        at: the instant.
    """
    if complete_since is None:
        why = "but no finished backfill vouches that every item has a beginning"
        return Certainty.BOUNDED, why
    began = f"that began at {complete_since:%Y-%m-%dT%H:%M:%SZ}"
    if complete_since <= at:
        return Certainty.EXACT, f"and the backfill {began} gave every item a row"
    why = f"but the backfill {began}, after the time asked for, vouches for nothing before"
    return Certainty.BOUNDED, why


def state_before(row: HistoryRow) -> Item | None:
    """The item right before a row's change. A snapshot changes nothing."""
    if row.change.event_name is EventName.SNAPSHOT:
        return row.change.new_image
    return row.change.old_image


def _of_now(evidence: Evidence) -> ItemState:
    last, live = evidence.after or evidence.before, evidence.live
    fits = same_item(last.change.new_image if last else None, live)
    row = last if fits else None
    if (arn := evidence.other_table) is not None:
        row, fits, reason = None, False, f"the live item: its newest row is of another table, {arn}"
    elif row is not None:
        reason = "the live item, which is as the last row left it"
    elif fits:
        reason = "neither a row nor a live item"
    else:
        reason = "the live item: the change that made it so is not recorded yet, or is missing"
    return ItemState(
        evidence.keys,
        evidence.at,
        live,
        Certainty.EXACT,
        reason,
        valid_from=row.change.created_at if row else None,
        row=row,
        basis=Basis.LIVE,
        is_contradicted=last is not None and not fits,
    )


def _live_span(state: ItemState) -> ItemState:
    """The live item as the last state of a timeline: it is so now, it is not known since when."""
    return replace(state, certainty=Certainty.BOUNDED, basis=None, is_contradicted=False)


def _by_the_rows(evidence: Evidence) -> ItemState:
    state = _next_to(evidence)
    if (arn := evidence.other_table) is None:
        return state
    reason = f"a row next to the instant is of another table, {arn}: see what verify finds"
    return replace(state, certainty=Certainty.UNKNOWN, reason=reason, is_contradicted=False)


def _next_to(evidence: Evidence) -> ItemState:
    if evidence.before is not None:
        return _after_a_row(evidence, evidence.before)
    if evidence.after is not None:
        return _before_a_row(evidence, evidence.after)
    return _without_rows(evidence)


def _after_a_row(evidence: Evidence, before: HistoryRow) -> ItemState:
    image, after = before.change.new_image, evidence.after
    certainty = Certainty.EXACT
    reason = "the rows before and after fit each other"
    is_contradicted = False
    if evidence.at > evidence.now:
        certainty, reason = Certainty.UNKNOWN, "the time lies in the future"
    elif after is not None:
        if not same_item(image, state_before(after)):
            certainty, is_contradicted = Certainty.BOUNDED, True
            reason = _gap_reason(evidence, after)
    elif not evidence.live_was_read:
        certainty = Certainty.UNKNOWN
        reason = "no later row, and no source table was given to confirm the last one"
    elif same_item(image, evidence.live):
        reason = "the last row fits the live item"
    else:
        certainty, is_contradicted = Certainty.BOUNDED, True
        reason = (
            "the live item has changed since the last row: that change "
            f"{_on_its_way(evidence)}, or it is missing"
        )
    return ItemState(
        evidence.keys,
        evidence.at,
        image,
        certainty,
        reason,
        valid_from=before.change.created_at,
        valid_to=after.change.created_at if after else None,
        row=before,
        is_contradicted=is_contradicted,
    )


def _before_a_row(evidence: Evidence, after: HistoryRow) -> ItemState:
    certainty, reason = Certainty.BOUNDED, "the first row has no baseline before it"
    if evidence.at < evidence.horizon:
        certainty, reason = Certainty.UNKNOWN, _horizon_reason(evidence)
    elif after.change.event_name is EventName.INSERT:
        certainty, why = beginnings(evidence.complete_since, evidence.at)
        reason = f"the first row inserts the item, {why}"
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
        certainty, why = beginnings(evidence.complete_since, evidence.at)
        reason = f"neither a row nor a live item, {why}"
    elif evidence.live_was_read:
        certainty, reason = Certainty.BOUNDED, "no row: the live item, as far as is recorded"
    return ItemState(evidence.keys, evidence.at, evidence.live, certainty, reason)


def _gap_reason(evidence: Evidence, after: HistoryRow) -> str:
    if after.change.created_at > may_arrive_after(evidence.watermark, evidence.now):
        return "a change between the rows before and after is still on its way, or is missing"
    return "a change is missing between the rows before and after"


def _on_its_way(evidence: Evidence) -> str:
    watermark = evidence.watermark
    if isinstance(watermark, Watermark):
        return f"was made after {time_text(watermark.at)} and is still on its way"
    return "is still on its way"


def _horizon_reason(evidence: Evidence) -> str:
    return f"the history began at {evidence.horizon:%Y-%m-%dT%H:%M:%SZ}, after the time asked for"
