"""The state of an item at an instant, and how sure it is. Pure.

`exact` means two things. The evidence agrees from both sides of the instant, so that one missing
record would have shown: the row before and the row after fit each other, or the row before fits
the live item, or a finished backfill vouches that an item without a row was not there. And the
instant lies before the watermark, so that no change of then can still arrive; or it is the
present, and the live item was read.

Missing records that lead from a state back to the same state leave no trace. A baseline is no
evidence here where a change of its second follows; `verify` holds it against that whole second.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from reports.states import reasons
from reports.states.evidence import Evidence
from reports.states.lives import Boundary, Crossing
from reports.states.row_states import begins_known, state_before
from reports.states.values import to_python
from reports.states.watermark import Basis, Watermark
from stream_core.attribute_values import Item, same_item
from stream_core.change import EventName
from stream_core.history_row import HistoryRow


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
        may_be_older: whether it may have been so before `valid_from`, which is when the history
            began: no row tells of its beginning.
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
    may_be_older: bool = False

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
    for known in (watermark, evidence.lives.proven):
        if isinstance(known, Watermark) and known.covers(end):
            return replace(state, basis=known.basis)
    reason = f"{state.reason}, but {watermark.doubt(evidence.now)}"
    return replace(state, certainty=Certainty.BOUNDED, reason=reason)


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


def _of_now(evidence: Evidence) -> ItemState:
    last, live = evidence.before, evidence.live
    fits = same_item(last.change.new_image if last else None, live)
    row = last if fits else None
    if (arn := evidence.other_table) is not None:
        row, fits, reason = None, False, f"the live item: its newest row is of another table, {arn}"
    elif last is not None and last.fault is not None:
        reason = f"the live item; the last row {reasons.fault_of(last)}"
    elif row is not None:
        reason = "the live item, which is as the last row left it"
    elif fits:
        reason = "neither a row nor a live item"
    elif evidence.last_by_time is not None:
        reason = f"the live item: {reasons.DISORDER}, and the last row in neither order left it"
    else:
        reason = "the live item: the change that made it so is not recorded yet, or is missing"
    return ItemState(
        evidence.keys,
        evidence.at,
        live,
        Certainty.EXACT,
        reason,
        valid_from=(evidence.since or row.change.created_at) if row else None,
        row=row,
        basis=Basis.LIVE,
        is_contradicted=last is not None and not fits,
    )


def _by_the_rows(evidence: Evidence) -> ItemState:
    state = _next_to(evidence)
    if (arn := evidence.other_table) is None:
        return state
    reason = f"a row next to the instant is of another table, {arn}: see what verify finds"
    return replace(state, certainty=Certainty.UNKNOWN, reason=reason, is_contradicted=False)


def _next_to(evidence: Evidence) -> ItemState:
    if evidence.before is not None:
        crossing = evidence.crossing
        if crossing is not None and evidence.at <= evidence.now:
            return _across(evidence, evidence.before, crossing)
        return _after_a_row(evidence, evidence.before)
    if evidence.after is not None:
        return _before_a_row(evidence, evidence.after)
    return _without_rows(evidence)


def _after_a_row(evidence: Evidence, before: HistoryRow) -> ItemState:
    after = evidence.after
    image, certainty, reason, is_contradicted = _left_by(evidence, before)
    return ItemState(
        evidence.keys,
        evidence.at,
        image,
        certainty,
        reason,
        valid_from=evidence.since or before.change.created_at,
        valid_to=(evidence.until or after.change.created_at) if after else None,
        row=before,
        is_contradicted=is_contradicted,
    )


def _left_by(evidence: Evidence, before: HistoryRow) -> tuple[Item | None, Certainty, str, bool]:
    """The state after a row, how sure it is and why, and whether something contradicts it."""
    if evidence.at > evidence.now:
        return before.change.new_image, Certainty.UNKNOWN, "the time lies in the future", False
    if evidence.fault is not None:
        image, is_known, reason = reasons.beside_a_fault(evidence, before, evidence.fault)
        return image, Certainty.BOUNDED if is_known else Certainty.UNKNOWN, reason, False
    return before.change.new_image, *_by_both_sides(evidence), not evidence.fits


def _by_both_sides(evidence: Evidence) -> tuple[Certainty, str]:
    after = evidence.after
    if not evidence.fits:
        reason = reasons.of_a_gap(evidence, after) if after else reasons.of_a_later_change(evidence)
        return Certainty.BOUNDED, reason
    if after is None and not evidence.live_was_read:
        reason = "no later row, and no source table was given to confirm the last one"
        return Certainty.UNKNOWN, reason
    if evidence.is_disordered:
        return Certainty.BOUNDED, reasons.DISORDER
    reason = (
        "the rows before and after fit each other" if after else "the last row fits the live item"
    )
    return Certainty.EXACT, reason


def _across(evidence: Evidence, before: HistoryRow, crossing: Crossing) -> ItemState:
    """The state between two rows, or the last one and the live item, of different streams."""
    image, after = before.change.new_image, evidence.after
    start = evidence.since or before.change.created_at
    next_at = None if after is None else evidence.until or after.change.created_at
    fits, is_gone = same_item(image, evidence.following), evidence.following is None
    reason = crossing.reason(start, next_at or evidence.now, is_gone=is_gone)
    ended_by = evidence.ended_by
    if ended_by is not None and evidence.at >= ended_by:
        state = _by_the_rows(replace(evidence, before=None))
        certainty = state.certainty
        if crossing.boundary is Boundary.UNCLEAR and certainty is Certainty.EXACT:
            certainty = Certainty.BOUNDED
        reason = f"{reason}; {state.reason}"
        return replace(state, certainty=certainty, reason=reason, valid_from=ended_by)
    is_other = crossing.boundary is Boundary.OTHER_TABLE and image is not None
    certainty, vouched = beginnings(evidence.complete_since, evidence.at)
    if not fits or is_other or certainty is not Certainty.EXACT:
        certainty, vouched = Certainty.BOUNDED, ""
    return ItemState(
        evidence.keys,
        evidence.at,
        image,
        certainty,
        f"the rows before and after fit each other, {vouched}" if vouched else reason,
        valid_from=start,
        valid_to=next_at if ended_by is None else min(ended_by, next_at or ended_by),
        row=before,
        is_contradicted=not fits and not is_other,
    )


def _before_a_row(evidence: Evidence, after: HistoryRow) -> ItemState:
    ends = evidence.until or after.change.created_at
    if evidence.at < evidence.horizon:
        return replace(_before_the_history(evidence, state_before(after), ends), row=after)
    certainty, reason = Certainty.BOUNDED, "the first row has no baseline before it"
    if evidence.fault is not None:
        certainty = Certainty.BOUNDED if begins_known(after) else Certainty.UNKNOWN
        reason = evidence.fault
    elif evidence.is_disordered:
        reason = reasons.DISORDER
    elif after.change.event_name is EventName.INSERT:
        certainty, why = beginnings(evidence.complete_since, evidence.at)
        reason = f"the first row inserts the item, {why}"
    return ItemState(
        evidence.keys,
        evidence.at,
        state_before(after),
        certainty,
        reason,
        valid_from=evidence.horizon,
        valid_to=ends,
        row=after,
        may_be_older=True,
    )


def _before_the_history(evidence: Evidence, image: Item | None, ends: datetime) -> ItemState:
    """What was before the history began: nothing tells, whatever the first row found later."""
    return ItemState(
        evidence.keys,
        evidence.at,
        image,
        Certainty.UNKNOWN,
        reasons.of_the_horizon(evidence),
        valid_to=min(ends, evidence.horizon),
    )


def _without_rows(evidence: Evidence) -> ItemState:
    if evidence.at < evidence.horizon:
        return _before_the_history(evidence, evidence.live, evidence.horizon)
    certainty, reason = Certainty.UNKNOWN, "no row, and no source table was given"
    if evidence.at > evidence.now:
        reason = "the time lies in the future"
    elif evidence.live_was_read and evidence.live is None:
        certainty, why = beginnings(evidence.complete_since, evidence.at)
        reason = f"neither a row nor a live item, {why}"
    elif evidence.live_was_read:
        certainty, reason = Certainty.BOUNDED, "no row: the live item, as far as is recorded"
    return ItemState(
        evidence.keys,
        evidence.at,
        evidence.live,
        certainty,
        reason,
        valid_from=evidence.horizon,
        may_be_older=True,
    )
