"""What `restore` shows: the plan, and the result."""

from collections.abc import Iterable, Iterator

from rich.console import RenderableType

from itemtrail.records.restore import restore_outcome
from itemtrail.tables.outcomes import OutcomeRow, outcome_blocks, outcome_row
from operations.execution.item_run import ItemRun
from operations.execution.plan_file import PlanAction
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
    item = result.item
    return outcome_row(
        item.keys,
        result.outcome.value,
        item.edits,
        result.conflicts,
        is_delete=item.action is PlanAction.DELETE,
        reason=result.reason,
        notes=item.notes,
    )


def _outcome_row(result: ItemResult) -> OutcomeRow:
    plan = result.plan
    return outcome_row(
        plan.keys,
        restore_outcome(result),
        _changes(plan),
        result.conflicts,
        is_delete=plan.is_delete,
        reason=result.reason,
        notes=plan.notes,
    )


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
