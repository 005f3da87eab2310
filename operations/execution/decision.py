"""What a run does with an item of its plan, from what it finds. Pure.

DECISIONS D3: a write that is recorded is not made again, whatever became of the item since, and one
that may have been made is at most repeated by its name. Else, an item that is what was wanted is
done; one that is what the plan saw is written; every other one is a conflict. A plan that is not
strict writes where its places still hold what the plan saw in them: the rest of the item belongs to
others. What is written beside, such as who undoes, is written over whatever is there, and never
alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from operations.execution.item_writer import WriteOutcome
from operations.execution.plan_file import PlanAction, PlanItem, state_digest
from operations.recovery.conditions import is_guarded_in_part
from operations.recovery.conflicts import Conflict
from operations.recovery.stamps import StampError, Stamps, is_stamped, stamped
from operations.recovery.touches import is_within, steps_between
from reports.inputs.paths import Path, value_at
from reports.states.differences import Difference
from reports.states.own_writes import state_digest as own_digest
from stream_core.announcement import OwnWrite
from stream_core.attribute_values import AttributeValue, Item, own_attributes, same_value

_SET_BACK = "this run wrote it, and another writer has set it back since"
_CHANGED_SINCE = "written by this run, and changed by another writer since"
_AS_WANTED = "it was what was wanted already"
_OTHER = "it is no longer what the plan saw"
MAY_BE_WRITTEN = (
    "this run may have written it, which the history does not show yet: the same command looks "
    "again"
)
NO_PROOF = "it is what was wanted; nothing shows yet that this run made it so"


@dataclass(frozen=True)
class PlanTerms:
    """On what terms the items of a plan are written.

    Attributes:
        is_strict: nothing of an item may have changed since the plan was made.
        stamps: what is written beside, to items that are changed.
    """

    is_strict: bool = False
    stamps: Stamps = field(default_factory=dict)

    def is_stamp(self, edit: Difference) -> bool:
        """Whether an edit writes nothing but what is written beside."""
        if is_stamped(edit.path, self.stamps):
            return True
        inner = {
            path[len(edit.path) :]: value
            for path, value in self.stamps.items()
            if edit.path and is_within(path, edit.path)
        }
        is_made = edit.old is None and edit.new is not None and "M" in edit.new
        return bool(inner) and is_made and same_value({"M": stamped({}, inner)}, edit.new)


@dataclass(frozen=True, slots=True)
class Write:
    """That an item is to be written.

    Attributes:
        edits: those of the plan whose places hold what the plan saw there.
        before, after: the item as it is, and with the edits.
        conflicts: where the others of the plan are stuck.
        repeats: when the write was begun that this one repeats, by its name; None: it is another.
        is_as_planned: that the plan's digests stand for the states before and after.
    """

    edits: tuple[Difference, ...]
    before: Item | None
    after: Item | None
    conflicts: tuple[Conflict, ...] = ()
    repeats: datetime | None = None
    is_as_planned: bool = False


@dataclass(frozen=True, slots=True)
class Decided:
    """That nothing is to be written.

    Attributes:
        needs_proof: the history has to show that this run wrote it, before that is said.
    """

    outcome: WriteOutcome
    reason: str
    conflicts: tuple[Conflict, ...] = ()
    needs_proof: bool = False


def decide(
    item: PlanItem, live: Item | None, terms: PlanTerms, *, is_tried: bool
) -> Write | Decided:
    """What is to be done with an item of which the history shows no write of this run.

    Args:
        item: the item of the plan.
        live: its own attributes as they are.
        terms: on what terms the plan is carried out.
        is_tried: whether this run was about to write it before.
    """
    now = state_digest(live)
    if now == item.after:
        reason = NO_PROOF if is_tried else _AS_WANTED
        return Decided(WriteOutcome.UNNEEDED, reason, needs_proof=is_tried)
    if now == item.before:
        after = edited(live, item.edits)
        if state_digest(after) == item.after:
            # An announcement leaves out what a global table adds; the plan's digests do not.
            is_as_planned = own_attributes(after) is after
            return Write(item.edits, live, after, is_as_planned=is_as_planned)
        return Decided(WriteOutcome.REFUSED, "the plan's edits do not lead to what it shows")
    if terms.is_strict or item.action is not PlanAction.UPDATE or live is None:
        return Decided(WriteOutcome.CONFLICT, _OTHER, conflicts_of_plan(item, live))
    return _where_it_holds(item, live, terms)


def after_attempt(
    item: PlanItem, step: Write, attempt: OwnWrite, doubt: str, *, is_repeatable: bool
) -> Write | Decided:
    """What is to be done with an item that was perhaps written already, and set back since.

    The same request of the same name is carried out once; one of another name might be the second.

    Args:
        item: the item of the plan.
        step: what would be done, had there been no attempt.
        attempt: the latest one, of which nothing shows what it came to.
        doubt: why it is left alone, where it cannot be repeated.
        is_repeatable: whether the service still knows a request by the attempt's name.
    """
    if is_repeatable and states_of(item, step) == (attempt.before, attempt.after):
        return replace(step, repeats=attempt.at)
    conflicts = conflicts_of_plan(item, step.before)
    return Decided(WriteOutcome.CONFLICT, doubt, conflicts, needs_proof=True)


def states_of(item: PlanItem, step: Write) -> tuple[bytes | None, bytes | None]:
    """What stands for the states before and after a write in its announcement."""
    if not step.is_as_planned:
        return own_digest(step.before), own_digest(step.after)
    return _bytes_of(item.before), _bytes_of(item.after)


def _bytes_of(digest: str | None) -> bytes | None:
    return None if digest is None else bytes.fromhex(digest)


def taken_at_least(item: PlanItem, attempts: Iterable[OwnWrite]) -> Item | None:
    """What a write that may have been made took with it; None: it left what others added."""
    if item.action is PlanAction.UPDATE:
        return {} if is_guarded_in_part(item.keys, item.edits, {}, {}) else None
    return planned_delete(item, attempts)


def planned_delete(item: PlanItem, attempts: Iterable[OwnWrite]) -> Item | None:
    """All that a plan saw of an item, if that is what the run was about to delete."""
    if item.action is not PlanAction.DELETE or not item.edits or item.edits[0].old is None:
        return None
    seen: Item = item.edits[0].old["M"]
    latest = max(attempts, key=lambda attempt: attempt.at)
    return seen if latest.before == own_digest(seen) else None


def decided_of_recorded(item: PlanItem, live: Item | None) -> Decided:
    """What is said of an item that this run has written, by what it is now."""
    now = state_digest(live)
    if now == item.before:
        return Decided(WriteOutcome.CONFLICT, _SET_BACK, conflicts_of_plan(item, live))
    return Decided(WriteOutcome.WRITTEN, "" if now == item.after else _CHANGED_SINCE)


def _where_it_holds(item: PlanItem, live: Item, terms: PlanTerms) -> Write | Decided:
    edits = [edit for edit in item.edits if _holds(live, edit)]
    asked_for = replace(item, edits=_asked_for(item.edits, item, terms))
    return write_of(item, live, edits, conflicts_of_plan(asked_for, live), terms)


def write_of(
    item: PlanItem,
    live: Item | None,
    edits: Sequence[Difference],
    conflicts: tuple[Conflict, ...],
    terms: PlanTerms,
) -> Write | Decided:
    """The write of a part of an item's edits, with what is written beside.

    Args:
        item: the item of the plan.
        live: its own attributes as they are.
        edits: the part that can be written.
        conflicts: where the others are stuck.
        terms: on what terms the plan is carried out.
    """
    asked_for = _asked_for(edits, item, terms)
    if not asked_for:
        if conflicts:
            return Decided(WriteOutcome.CONFLICT, _OTHER, conflicts)
        return Decided(WriteOutcome.UNNEEDED, _AS_WANTED)
    changed = edited(live, asked_for)
    try:
        after = stamped(changed, terms.stamps)
    except StampError:
        # What it was in is gone since.
        after = changed
    beside = [replace(step, old=_value(live, step.path)) for step in steps_between(changed, after)]
    return Write((*asked_for, *beside), live, after, conflicts)


def _asked_for(
    edits: Iterable[Difference], item: PlanItem, terms: PlanTerms
) -> tuple[Difference, ...]:
    """Edits but for what is written beside, unless that is all that was asked for."""
    if all(map(terms.is_stamp, item.edits)):
        return tuple(edits)
    return tuple(edit for edit in edits if not terms.is_stamp(edit))


def conflicts_of_plan(item: PlanItem, live: Item | None) -> tuple[Conflict, ...]:
    """Where a plan can no longer be carried out; not where all is as was wanted."""
    conflicts = (
        Conflict(item.keys, edit.path, edit.old, _value(live, edit.path), edit.new)
        for edit in item.edits
        if not _holds(live, edit)
    )
    return tuple(
        conflict for conflict in conflicts if not same_value(conflict.actual, conflict.wanted)
    )


def _holds(live: Item | None, edit: Difference) -> bool:
    """Whether a place holds what was seen there, and what is to be there can be put there."""
    if not same_value(_value(live, edit.path), edit.old):
        return False
    parent = edit.path[:-1]
    return edit.old is not None or not parent or "M" in (_value(live, parent) or {})


def _value(item: Item | None, path: Path) -> AttributeValue | None:
    if not path:
        return None if item is None else {"M": item}
    return value_at(item, path)


def edited(item: Item | None, edits: Iterable[Difference]) -> Item | None:
    """An item with some changes; none, if the whole of it is taken away."""
    whole: AttributeValue | None = None if item is None else {"M": item}
    for edit in edits:
        whole = _with(whole, edit.path, edit.new)
    return None if whole is None else whole["M"]


def _with(
    value: AttributeValue | None, path: Path, new: AttributeValue | None
) -> AttributeValue | None:
    if not path:
        return new
    members = dict((value or {"M": {}})["M"])
    inner = _with(members.get(str(path[0])), path[1:], new)
    members.pop(str(path[0]), None)
    return {"M": members | ({} if inner is None else {str(path[0]): inner})}
