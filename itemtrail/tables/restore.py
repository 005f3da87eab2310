"""What `restore` shows: the plan, and the result."""

from collections.abc import Iterable, Iterator

from rich.console import RenderableType

from itemtrail.records.restore import restore_outcome
from itemtrail.tables.outcomes import OutcomeRow, outcome_blocks, outcome_row
from operations.execution.item_run import ItemRun
from operations.recovery.restore_items import ItemPlan, ItemResult
from reports.states.differences import Difference


def restore_blocks(
    items: Iterable[ItemResult], title: str, *, is_each: bool = False
) -> Iterator[RenderableType]:
    """What is done to items, from what they are to what they were."""
    return outcome_blocks(title, map(_outcome_row, items), is_each=is_each)


def planned_restore_blocks(
    results: Iterable[ItemRun], title: str, *, is_each: bool = False
) -> Iterator[RenderableType]:
    """What was done to the items of a plan that was kept."""
    return outcome_blocks(title, map(_planned_row, results), is_each=is_each)


def _planned_row(result: ItemRun) -> OutcomeRow:
    item, outcome = result.item, result.outcome.value
    reason, notes = result.reason, item.notes
    return outcome_row(item.keys, outcome, item.edits, result.conflicts, reason=reason, notes=notes)


def _outcome_row(result: ItemResult) -> OutcomeRow:
    plan, outcome = result.plan, restore_outcome(result)
    changes, conflicts, reason = _changes(plan), result.conflicts, result.reason
    return outcome_row(plan.keys, outcome, changes, conflicts, reason=reason, notes=plan.notes)


def _changes(plan: ItemPlan) -> tuple[Difference, ...]:
    """What changes, attribute by attribute; an item that comes or goes does so as a whole."""
    if not plan.differences or plan.then.exists == plan.now.exists:
        return plan.differences
    item = {
        "M": {
            str(difference.path[0]): difference.new or difference.old
            for difference in plan.differences
        }
    }
    return (Difference((), None, item) if plan.then.exists else Difference((), item, None),)
