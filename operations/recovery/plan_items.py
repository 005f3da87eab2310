"""What a restore or an undo would write, as items of a plan, and what came of those. Pure."""

from collections.abc import Iterable, Iterator
from itertools import count
from typing import TypeVar

from more_itertools import partition

from operations.execution.item_run import ItemRun
from operations.execution.item_writer import WriteOutcome
from operations.execution.left_out import LeftOut
from operations.execution.plan_file import PlanItem, action_on, state_digest
from operations.execution.plan_header import by_reason
from operations.recovery.bad_changes import UNDECIDED
from operations.recovery.restore_items import ItemPlan, ItemResult
from operations.recovery.undo import ItemUndone, Undone
from stream_core.item_id import item_id

_Planned = TypeVar("_Planned", ItemPlan, ItemUndone)
_UNNEEDED = "it is what it was"
_OTHER_VALUE = "another value is there"


def restored_items(plans: Iterable[ItemPlan]) -> tuple[PlanItem, ...]:
    """The items of a restore: those that are not what they were, and may be written."""
    numbers = count(1)
    return tuple(
        _planned(next(numbers), plan, state_digest(plan.now.image), state_digest(plan.wanted))
        for plan in plans
        if plan.is_in_plan
    )


def _planned(number: int, plan: ItemPlan, before: str | None, after: str | None) -> PlanItem:
    notes = (*filter(None, [plan.doubt]), *plan.notes)
    action = action_on(before, after)
    return PlanItem(
        number,
        plan.keys,
        action,
        plan.edits,
        before,
        after,
        notes=notes,
        seen=plan.seen,
        certainty=plan.then.certainty,
    )


def undone_items(items: Iterable[ItemUndone]) -> tuple[PlanItem, ...]:
    """The items of an undo: those of which something is taken back."""
    numbers = count(1)
    return tuple(
        PlanItem(
            next(numbers),
            item.keys,
            action_on(item.before, item.after),
            item.edits,
            item.before,
            item.after,
            item.changes,
            item.notes,
            item.seen,
        )
        for item in items
        if item.is_in_plan
    )


def unplanned_undo(undone: Undone) -> dict[str, dict[str, int]]:
    """How much of an undo is in no plan though it is not as it should be: what it is, and why."""
    refused = (
        (item.outcome.value, item.reason)
        for item in undone.items
        if item.outcome and not item.is_clean
    )
    conflicts = (("conflict", conflict.reason or _OTHER_VALUE) for conflict in undone.conflicts)
    undecided = (("undecided", UNDECIDED) for _ in undone.undecided)
    unknown = (("unknown", sentence) for sentence in undone.unknown)
    return by_reason([*refused, *conflicts, *undecided, *unknown])


def left_out_of_undo(undone: Undone) -> tuple[LeftOut, ...]:
    """The items of an undo that are not clean, and the changes of which nobody is named."""
    items = (
        LeftOut(
            item.keys,
            "conflict" if item.outcome is None else item.outcome.value,
            item.reason,
            item.conflicts,
            item.changes,
        )
        for item in undone.items
        if not item.is_clean
    )
    undecided = (
        LeftOut(
            change.keys,
            "undecided",
            f"{change.event_name.value}: {UNDECIDED}",
            because=(change.sort_key,),
        )
        for change in undone.undecided
    )
    return (*items, *undecided)


def left_out_of_restore(plans: Iterable[ItemPlan]) -> tuple[LeftOut, ...]:
    """The items of a restore that it must not write, or does not know."""
    return tuple(
        LeftOut(plan.keys, WriteOutcome.REFUSED.value, plan.refusal)
        for plan in plans
        if plan.refusal
    )


def restored_results(plans: Iterable[ItemPlan], results: Iterable[ItemRun]) -> Iterator[ItemResult]:
    """What became of each item of a restore; first those of which nothing was to be written.

    Args:
        plans: all of its items.
        results: what became of those of `restored_items`, in any order.
    """
    planned, unwritten = _parted(plans)
    for plan in unwritten:
        reason = plan.refusal or plan.doubt or ("" if plan.is_needed else _UNNEEDED)
        yield ItemResult(plan, reason=reason)
    for result in results:
        plan = planned[item_id(result.item.keys)]
        yield ItemResult(plan, result.outcome, result.reason or plan.doubt, result.conflicts)


def undone_results(items: Iterable[ItemUndone], results: Iterable[ItemRun]) -> Iterator[ItemUndone]:
    """What became of each item of an undo; first those of which nothing was to be written.

    Args:
        items: all of its items; of a plan that was kept, none is known.
        results: what became of those of `undone_items`, in any order.
    """
    planned, unwritten = _parted(items)
    yield from unwritten
    for result in results:
        yield _undone(result, planned.get(item_id(result.item.keys)))


def _parted(items: Iterable[_Planned]) -> tuple[dict[str, _Planned], list[_Planned]]:
    """The items that are to be written, by id, and the others."""
    unwritten, planned = partition(lambda item: item.is_in_plan, items)
    return {item_id(item.keys): item for item in planned}, list(unwritten)


def _undone(result: ItemRun, planned: ItemUndone | None) -> ItemUndone:
    """What was done to an item, beside what could not be planned for it."""
    item, is_needed = result.item, result.outcome is not WriteOutcome.UNNEEDED
    return ItemUndone(
        item.keys,
        item.because,
        item.edits if is_needed else (),
        (*(planned.conflicts if planned else ()), *result.conflicts),
        result.outcome,
        result.reason,
        notes=item.notes,
    )
