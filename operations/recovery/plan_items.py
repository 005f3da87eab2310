"""What a restore or an undo would write, as the items of a plan that can be kept. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import count

from operations.execution.plan_file import PlanAction, PlanItem, action_on, state_digest
from operations.recovery.conditions import edits_at, is_guarded_in_part
from operations.recovery.conflicts import as_value
from operations.recovery.restore_items import ItemPlan
from operations.recovery.undo import ItemUndone
from reports.states.differences import Difference
from stream_core.attribute_values import Item, same_value

GUARDED_IN_PART = (
    "guarded in part: it has more than a condition can name, and what another writer changes at "
    "the same moment is put back"
)


def restored_items(plans: Iterable[ItemPlan]) -> tuple[PlanItem, ...]:
    """The items of a restore: those that are not what they were, and may be written."""
    numbers = count(1)
    return tuple(
        _with_guard(
            _planned(
                next(numbers),
                plan.keys,
                plan.now.image,
                plan.wanted,
                notes=(*filter(None, [plan.doubt]), *plan.notes),
            )
        )
        for plan in plans
        if plan.is_needed and plan.refusal is None
    )


def undone_items(items: Iterable[ItemUndone]) -> tuple[PlanItem, ...]:
    """The items of an undo: those of which something is taken back."""
    numbers = count(1)
    return tuple(
        _with_guard(
            PlanItem(
                next(numbers),
                item.keys,
                action_on(item.before, item.after),
                item.edits,
                item.before,
                item.after,
                item.changes,
                item.notes,
            )
        )
        for item in items
        if item.edits and item.outcome is None
    )


def _with_guard(item: PlanItem) -> PlanItem:
    """The same item, with a note where no condition can name all that its write takes with it."""
    whole, action = item.edits[0].old or {"M": {}}, item.action
    before: Item | None = None if action is PlanAction.PUT else whole.get("M", {})
    after: Item | None = None if action is PlanAction.DELETE else {}
    if is_guarded_in_part(item.keys, item.edits, before, after):
        return replace(item, notes=(*item.notes, GUARDED_IN_PART))
    return item


def _planned(
    number: int, keys: Item, before: Item | None, after: Item | None, notes: tuple[str, ...]
) -> PlanItem:
    edits = tuple(_edits(before, after))
    digests = state_digest(before), state_digest(after)
    return PlanItem(number, keys, action_on(*digests), edits, *digests, (), notes)


def _edits(before: Item | None, after: Item | None) -> Iterator[Difference]:
    if before is None or after is None:
        yield Difference((), as_value(before), as_value(after))
        return
    for edit in edits_at(((name,) for name in {**before, **after}), before, after):
        if not same_value(edit.old, edit.new):
            yield edit
