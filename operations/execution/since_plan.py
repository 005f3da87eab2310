"""What happened to an item between its plan and its write. Pure.

A place that holds what the plan saw in it may have held something else meanwhile: one job's work is
taken back by another run, a good change brings the same value again, and to write it now would undo
the good change. So what anybody has written since the plan is a conflict, whatever is there now.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from operations.execution.decision import (
    MAY_BE_WRITTEN,
    Decided,
    PlanTerms,
    Write,
    conflicts_of_plan,
    write_of,
)
from operations.execution.item_writer import WriteOutcome
from operations.execution.plan_file import PlanItem, state_digest
from operations.recovery.conflicts import Conflict
from operations.recovery.places import overlap
from operations.recovery.touches import touch_of
from reports.inputs.paths import Path
from reports.states.own_writes import LATEST
from reports.states.stream_order import in_stream_order
from stream_core.announcement import OwnWrite
from stream_core.attribute_values import Item, own_attributes
from stream_core.change import EventName
from stream_core.control_row import RunRow
from stream_core.errors import IntegrityError
from stream_core.history_row import HistoryRow, time_text

_WRITTEN_SINCE = "it was written since the plan was made, and is again what it was"
_TAKEN_BACK = {"undo": "taken back", "restore": "restored"}


@dataclass(frozen=True, slots=True)
class LaterChange:
    """A change of an item that was made since its plan.

    Attributes:
        run: the run that made it; None: another writer did.
    """

    row: HistoryRow
    run: RunRow | None = None

    @property
    def reason(self) -> str:
        """Why nothing is written over it."""
        if self.run is None:
            return _WRITTEN_SINCE
        verb = _TAKEN_BACK.get(self.run.command, "written")
        return f"{verb} by run {self.run.run} of {self.run.who} since the plan was made"


def pending_reason(write: OwnWrite, over_at: datetime | None) -> str:
    """Why an item is not written that another process was about to write.

    Args:
        write: what it has announced.
        over_at: a plan that is made later need not mind it; None: nor when the history is complete.
    """
    ends = (
        f"once the history is complete until {time_text(write.at + LATEST)} (see `status`)"
        if over_at is None
        else f"make the plan anew after {time_text(over_at)}"
    )
    return (
        f"run {write.run} was about to write it at {time_text(write.at)}, and the history does not "
        f"show what came of it: try again when it does, or {ends}"
    )


def rows_since_plan(item: PlanItem, rows: Iterable[HistoryRow]) -> list[HistoryRow]:
    """The changes of an item that the plan has not seen, in their order.

    What was on its way to the history when the plan was made has led to what the plan saw.

    Args:
        item: the item of the plan.
        rows: its rows by time, from some minutes before the last one that the plan saw.

    Raises:
        IntegrityError: that row is gone.
    """
    ordered = list(in_stream_order(rows))
    seen = [place for place, row in enumerate(ordered) if row.sort_key == item.seen]
    if item.seen is not None and not seen:
        raise IntegrityError(f"the row {item.seen} that the plan rests on is gone")
    start = seen[0] + 1 if seen else 0
    changes = [row for row in ordered[start:] if row.change.event_name is not EventName.SNAPSHOT]
    if not changes:
        return []
    first = ordered[seen[0]].change.new_image if seen else changes[0].change.old_image
    states = [first, *(row.change.new_image for row in changes)]
    passed = [place for place, image in enumerate(states) if _digest(image) == item.before]
    return changes[passed[0] :] if passed else changes


def is_behind(item: PlanItem, live: Item | None, rows: Sequence[HistoryRow]) -> bool:
    """Whether an item is something else than its last row left it.

    Args:
        item: the item of the plan.
        live: its own attributes as they are.
        rows: its changes since the plan.
    """
    last = _digest(rows[-1].change.new_image) if rows else item.before
    return state_digest(live) != last


def undisturbed(
    item: PlanItem, step: Write, changes: Sequence[LaterChange], terms: PlanTerms
) -> Write | Decided:
    """What of a write nobody has touched since the plan was made.

    Args:
        item: the item of the plan.
        step: what would be written, by what the item is.
        changes: those since the plan, in their order.
        terms: on what terms the plan is carried out.
    """
    if not changes:
        return step
    if terms.is_strict:
        return Decided(WriteOutcome.CONFLICT, _reason(changes))
    reasons = {
        edit.path: reason
        for edit in step.edits
        if not terms.is_stamp(edit) and (reason := _reason_at(edit.path, changes))
    }
    if not reasons:
        return step
    if step.repeats is not None:
        # Of the same name only the same can be written.
        return Decided(
            WriteOutcome.CONFLICT,
            MAY_BE_WRITTEN,
            conflicts_of_plan(item, step.before),
            needs_proof=True,
        )
    return _without(item, step, reasons, terms)


def _without(
    item: PlanItem, step: Write, reasons: Mapping[Path, str], terms: PlanTerms
) -> Write | Decided:
    """A write without some places of it, each with the reason."""
    conflicts = tuple(
        Conflict(item.keys, edit.path, edit.old, edit.old, edit.new, reasons[edit.path])
        for edit in step.edits
        if edit.path in reasons
    )
    edits = [edit for edit in step.edits if edit.path not in reasons]
    return write_of(item, step.before, edits, (*step.conflicts, *conflicts), terms)


def _reason_at(path: Path, changes: Sequence[LaterChange]) -> str | None:
    """Why nothing is written at a place; None: nobody has written there."""
    touching = [
        change
        for change in changes
        if any(overlap(step.path, path) for step in touch_of(change.row, is_bad=False).steps)
    ]
    return _reason(touching) if touching else None


def _reason(changes: Sequence[LaterChange]) -> str:
    """What a run of this program did says more than what others did."""
    by_run = [change for change in changes if change.run is not None]
    return (by_run or changes)[0].reason


def _digest(image: Item | None) -> str | None:
    return state_digest(own_attributes(image))
