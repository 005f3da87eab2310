"""Keeping the plan of a command in a file, and coming back to it."""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

from rich.console import RenderableType

from itemtrail.exit_status import CLEAN, FINDINGS
from itemtrail.options.operation_target import OperationTarget
from itemtrail.options.plan import PlanChoice
from itemtrail.output.answer import Answer, give, tell
from itemtrail.output.dry_run import dry_run
from itemtrail.records.kinds import PLAN_ITEM
from itemtrail.records.plan import plan_item_records, plan_record
from itemtrail.tables import cells
from itemtrail.tables.layout import summary_line
from itemtrail.tables.plan import plan_blocks
from operations.deployed_tables import DeployedTables
from operations.errors import RefusedError
from operations.execution.item_run import ItemRun
from operations.execution.operator_name import operator_name
from operations.execution.pace import Pace
from operations.execution.plan_file import Plan, read_plan, write_plan
from operations.execution.plan_header import PlanMaker, require_fit, unplanned_text
from operations.execution.run import PlanRun, RunChoice
from reports.access.table_description import describe
from reports.deployment.stack import Stack


def plan_maker() -> PlanMaker:
    """Who is at this machine, and what program this is."""
    return PlanMaker(operator_name(), f"itemtrail {version('itemtrail')}")


def keep(path: Path, plan: Plan) -> None:
    """Keep a plan, and tell how to come back to it."""
    digest = write_plan(path, plan)
    command = f"itemtrail {plan.header.command} --plan {path}"
    tell(f"the plan is in {path}: {digest}; look at it with {command} --show")
    tell(f"and have it carried out with {command} --apply --approve {digest}")


def keep_and_ask(plan: Callable[[], Plan], choice: PlanChoice, ask: Callable[[], None]) -> None:
    """Keep a plan where that is wanted, and have it approved where it is to be carried out.

    A plan that is kept stays so, whatever is answered.

    Args:
        plan: makes the plan, where it is kept.
        choice: what is to become of it.
        ask: returns only if it is approved.
    """
    if choice.plan_out is not None:
        keep(choice.plan_out, plan())
    if not choice.apply:
        return
    try:
        ask()
    except (RefusedError, OSError, KeyboardInterrupt):
        if choice.plan_out is not None:
            tell(f"the plan is still in {choice.plan_out}")
        raise


def planned_tables(
    plan: Plan, command: str, target: OperationTarget
) -> tuple[DeployedTables, Stack | None]:
    """The tables that a plan was made for, as they have to be: the source is written or read.

    Raises:
        RefusedError: the plan is of another command, or for other tables.
    """
    deployment, stack = target.find()
    table = describe(deployment.dynamodb, deployment.source_table)
    require_fit(plan, command, table, deployment)
    return deployment, stack


def kept_plan(choice: PlanChoice) -> Plan | None:
    """The plan that is given, whose digest is as it has to be; None: none is given.

    Raises:
        PlanFileError: it cannot be read, was cut or edited, or is of another version.
        RefusedError: it is another one than was approved.
    """
    if choice.plan_file is None:
        return None
    plan = read_plan(choice.plan_file)
    if choice.digest not in (None, plan.digest):
        raise RefusedError(
            f"nothing was written: the plan {choice.plan_file} is {plan.digest}, which is not what "
            f"was approved ({choice.digest})"
        )
    return plan


def carried_out(
    deployment: DeployedTables,
    plan: Plan,
    *,
    is_kept: bool = True,
    joins: bool = False,
    pace: Pace,
) -> Generator[ItemRun, None, None]:
    """Carry a plan out; what became of each item, as it comes.

    Who interrupts it, or ends it early, is told how it stands; the journal stays where it is, so
    that the same plan says again what became of it. A plan without items is no run.

    Args:
        deployment: the table that is written, and its history.
        plan: what to do.
        is_kept: whether the plan is in a file, so that it can be gone on with.
        joins: also where somebody else has begun it.
        pace: how fast, and how long nothing may be answered.
    """
    if not plan.items:
        return
    choice = RunChoice(is_kept=is_kept, may_join=joins, tell=tell)
    run = PlanRun(deployment, plan, pace, plan_maker(), choice)
    tell(f"run {run.run}")
    try:
        with closing(run.results()) as results:
            for done, result in enumerate(results, 1):
                pace.progress("items", done, len(plan.items))
                yield result
        if run.journal is not None:
            tell(f"run {run.run} has ended; its journal is {run.journal.path}")
    except (KeyboardInterrupt, GeneratorExit):
        tell(f"interrupted: {run.how_it_stands()}")
        raise


def report_unplanned(plan: Plan) -> int:
    """Say what a plan has no line for, as conflicts; returns the exit status that this makes."""
    unplanned = unplanned_text(plan.header.counts)
    if not unplanned:
        return CLEAN
    tell(f"{unplanned}, when the plan was made: the command without --plan lists them")
    return FINDINGS


def show_kept(
    plan: Plan,
    form: str,
    blocks: Iterable[RenderableType] | None = None,
    *,
    is_each: bool = False,
) -> int:
    """Show a plan that was kept; returns the exit status.

    Args:
        plan: what to show.
        form: of the answer.
        blocks: it as tables for people; None: an item a line.
        is_each: list every item.
    """
    text = f"{dry_run(_would(plan))}; the plan is {plan.digest}"
    answer = Answer(
        PLAN_ITEM,
        plan_item_records(plan),
        plan_blocks(plan, is_each=is_each) if blocks is None else blocks,
        lambda: plan_record(plan),
        [summary_line(text, good=not plan.header.counts)],
    )
    give(answer, form)
    return report_unplanned(plan)


def _would(plan: Plan) -> str:
    """What would be done, of which a whole table has no line an item."""
    totals = plan.header.totals
    if totals:
        parts = " and ".join(f"{number:,} {what}" for what, number in totals.items())
        return f"there would be {parts}"
    writes = len(plan.items) - plan.deletes
    return f"{cells.count_of(writes, 'item')} would be written and {plan.deletes:,} deleted"


def outcome_summary(outcomes: Sequence[tuple[str, bool]], *, applied: bool) -> str:
    """How many items came to what.

    Args:
        outcomes: a word for each item, and whether it is deleted.
        applied: whether anything was written; else it would be.
    """
    done = "written" if applied else "planned"
    writes, deletes = (outcomes.count((done, is_delete)) for is_delete in (False, True))
    words = Counter(outcome for outcome, _ in outcomes if outcome != done)
    rest = [f"{number:,} {outcome}" for outcome, number in sorted(words.items())]
    would = "" if applied else "would be "
    text = f"{cells.count_of(writes, 'item')} {would}written"
    text += f" and {deletes:,} deleted" if deletes else ""
    return ", ".join([text if applied else dry_run(text), *rest])
