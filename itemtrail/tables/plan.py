"""A plan that was kept, as it is shown."""

from collections.abc import Iterator
from itertools import chain

from rich.console import RenderableType
from rich.text import Text

from itemtrail.tables import cells
from itemtrail.tables.outcomes import left_out_row, outcome_blocks, planned_row
from operations.execution.plan_file import Plan, PlanHeader
from reports.unseen import visible
from stream_core.attribute_values import wire_json


def plan_blocks(plan: Plan, *, is_each: bool = False) -> Iterator[RenderableType]:
    """What is done to items, which are left out, and on what that rests."""
    header = plan.header
    rows = chain(map(planned_row, plan.items), map(left_out_row, plan.left_out))
    yield from outcome_blocks(
        f"Plan: {header.command} of {header.table.arn}", rows, is_each=is_each
    )
    for name, value in header.arguments.items():
        yield Text.assemble((f"{name}: ", "dim"), cells.plain(_text(value)))
    yield from made_lines(header)


def made_lines(header: PlanHeader) -> Iterator[RenderableType]:
    """Who made a plan, and on what it rests."""
    made = f"made {cells.zoned(header.made_at)} by {header.made_by} with {header.tool}"
    yield Text(visible(made), style="dim")
    if header.watermark is not None:
        yield Text(f"the history was complete until {cells.zoned(header.watermark)}", style="dim")
    yield ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else wire_json(value).decode("utf-8")
