"""What the commands have a run do, without the commands: a plan is carried out as they do it."""

from collections import Counter
from dataclasses import dataclass, replace

from itemtrail.commands.kept_plan import carried_out, plan_maker
from itemtrail.options.plan import PlanChoice
from itemtrail.output.approval import Approval
from operations.execution.pace import Pace
from operations.execution.plan_file import Plan
from operations.recovery.plan_items import (
    restored_items,
    restored_results,
    undone_items,
    undone_results,
)
from operations.recovery.restore_items import ItemResult
from reports.access.table_description import describe


@dataclass
class Restored:
    """What became of the items of a restore."""

    items: list[ItemResult]

    @property
    def is_clean(self):
        return all(one.is_clean for one in self.items)


def carried_out_restore(deployment, plans, pace):
    """What became of each item of a restore."""
    with _carried_out(deployment, "restore", restored_items(plans), pace) as results:
        return Restored(list(restored_results(plans, results)))


def carried_out_undo(deployment, planned, pace, stamps=None):
    """What became of each item of an undo."""
    items = undone_items(planned.items)
    with _carried_out(deployment, "undo", items, pace, stamps) as results:
        items = tuple(undone_results(planned.items, results))
    return replace(planned, applied=True, items=items)


def outcomes_of(result):
    """How many items of a restore or an undo were written, in conflict, and so on."""
    return Counter(item.outcome for item in result.items if item.outcome is not None)


def _carried_out(deployment, command, items, pace, stamps=None):
    table = describe(deployment.dynamodb, deployment.source_table)
    header = plan_maker(deployment).header(deployment, command, {}, table, Pace())
    header = replace(header, stamps=stamps or {})
    choice = PlanChoice(True, Approval(), "table", None)
    return carried_out(deployment, Plan(header, items), choice, pace=pace)
