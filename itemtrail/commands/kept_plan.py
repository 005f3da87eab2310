"""Keeping the plan of a command in a file, and coming back to it."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from importlib.metadata import version
from pathlib import Path

from rich.console import RenderableType

from itemtrail.exit_status import CLEAN, FINDINGS
from itemtrail.options.command_line import command_text, with_target
from itemtrail.options.kinds import asked_at
from itemtrail.options.operation_target import OperationTarget
from itemtrail.options.plan import PlanChoice
from itemtrail.output.answer import Answer, give, tell
from itemtrail.output.approval import Approval, Stakes, can_ask, require_approval
from itemtrail.output.dry_run import dry_run
from itemtrail.records.kinds import PLAN_ITEM
from itemtrail.records.plan import plan_item_records, plan_record
from itemtrail.tables import cells
from itemtrail.tables.layout import summary_line
from itemtrail.tables.plan import plan_blocks
from operations.deployed_tables import DeployedTables
from operations.errors import OperationError, RefusedError
from operations.execution.item_run import ItemRun
from operations.execution.pace import Pace
from operations.execution.plan_file import Plan, read_plan, write_plan
from operations.execution.plan_header import PlanMaker, require_fit, unplanned_lines
from operations.execution.run import PlanRun, RunChoice
from reports.access.machine import Machine
from reports.access.table_description import describe
from reports.deployment.stack import Stack


def plan_maker(deployment: DeployedTables) -> PlanMaker:
    """Who is at work, and what program this is."""
    return PlanMaker(deployment.caller, f"itemtrail {version('itemtrail')}")


def pace_of_plan() -> Pace:
    """By its clock a plan is made when it was asked for, before anything was read."""
    return Pace(machine=Machine(now=asked_at))


def command_of_plan(plan: Plan, path: Path, *, is_approved: bool = False) -> str:
    """The command line that carries out a plan in a file, or goes on with that.

    Args:
        plan: what is in the file.
        path: the file.
        is_approved: nobody is asked, as its digest is given.
    """
    words = [plan.header.command, "--plan", str(path), "--apply"]
    return with_target(*words, *(["--approve", plan.digest] if is_approved else []))


@contextmanager
def kept_and_approved(
    make: Callable[[], Plan], choice: PlanChoice, ask: Callable[[], None]
) -> Iterator[None]:
    """Within it a plan is kept, where that is wanted, and approved, where it is carried out.

    A plan that is kept stays so, whatever is answered. What is to be copied from the screen, if it
    is not carried out, is told at the end.

    Args:
        make: makes the plan, where it is kept.
        choice: what is to become of it.
        ask: returns only if it is approved.
    """
    path, plan = choice.plan_out, None
    if path is not None:
        plan = make()
        write_plan(path, plan)
    if choice.apply:
        try:
            ask()
        except (RefusedError, OSError, KeyboardInterrupt):
            if path is not None:
                tell(f"the plan is still in {path}")
            raise
    try:
        yield
    finally:
        if plan is not None and path is not None and not choice.apply:
            show = command_text([plan.header.command, "--plan", str(path), "--show"])
            tell(f"the plan is in {path}: {plan.digest}")
            tell(f"look at it: {show}")
            _tell_how_to_carry_out(plan, path)


def _tell_how_to_carry_out(plan: Plan, path: Path) -> None:
    if plan.is_empty:
        tell("it has no items: there is nothing to carry out")
    else:
        tell(f"carry it out: {command_of_plan(plan, path, is_approved=True)}")


def approve_kept(choice: PlanChoice, stakes: Stakes, blocks: Iterable[RenderableType]) -> None:
    """Return only if a plan that was kept is approved: at a terminal like one just made.

    Its digest approves it, and where nobody can be asked that it was kept does; `--most` holds.

    Args:
        choice: what the command line says about it.
        stakes: what it would do.
        blocks: the plan, shown before it is asked about.

    Raises:
        RefusedError: it is not approved.
    """
    approval = choice.approval
    if can_ask() and choice.digest is None:
        require_approval(blocks, choice.form, stakes, approval)
        return
    most = stakes.changes if approval.most is None else approval.most
    approval = Approval(yes=True, most=most, deletes=stakes.table)
    require_approval((), choice.form, stakes, approval)


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


def stakes_of(plan: Plan, deployment: DeployedTables) -> Stakes:
    """What a plan of items would do to the source table."""

    def size() -> int | None:
        return describe(deployment.dynamodb, deployment.source_table).items

    writes = len(plan.items) - plan.deletes
    return Stakes.of_items(deployment.source_table, writes, plan.deletes, size=size)


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


@contextmanager
def carried_out(
    deployment: DeployedTables, plan: Plan, choice: PlanChoice, *, pace: Pace
) -> Iterator[Iterator[ItemRun]]:
    """Within it a plan is carried out: what became of each item, as it comes.

    Who interrupts it, or ends it early, is told how it stands; the journal stays where it is, so
    that the same plan says again what became of it. A plan without items is no run.

    Args:
        deployment: the table that is written, and its history.
        plan: what to do.
        choice: in which file it is, and whether somebody else may have begun it.
        pace: how fast, and how long nothing may be answered.
    """
    if not plan.items:
        yield iter(())
        return
    path = choice.plan_file or choice.plan_out
    go_on = None if path is None else command_of_plan(plan, path)
    run_choice = RunChoice(None, go_on, choice.joins, tell)
    run = PlanRun(deployment, plan, pace, plan_maker(deployment), run_choice)
    tell(f"run {run.run}")
    try:
        with closing(run.results()) as results:
            yield _counted(results, len(plan.items), pace)
    except OperationError:
        # It says itself how far it is.
        raise
    except BaseException:
        tell(f"interrupted: {run.how_it_stands()}")
        tell(run.how_to_go_on())
        raise
    if run.journal is not None:
        tell(f"run {run.run} has ended; its journal is {run.journal.path}")


def _counted(results: Iterable[ItemRun], total: int, pace: Pace) -> Iterator[ItemRun]:
    for done, result in enumerate(results, 1):
        pace.progress("items", done, total)
        yield result


def report_unplanned(plan: Plan) -> int:
    """Say what a plan leaves out, as conflicts; returns the exit status that this makes."""
    unplanned = unplanned_lines(plan.header.counts)
    if not unplanned:
        return CLEAN
    listed = "--show lists the items" if plan.left_out else "the command without --plan lists them"
    tell(f"left out when the plan was made ({listed}):")
    for line in unplanned:
        tell(f"  {line}")
    return FINDINGS


def show_kept(plan: Plan, choice: PlanChoice, blocks: Iterable[RenderableType]) -> int:
    """Show a plan that was kept; returns the exit status.

    Args:
        plan: what to show.
        choice: the file that it is in, and how to show it.
        blocks: it as tables for people.
    """
    text = f"{dry_run(_would(plan))}; the plan is {plan.digest}"
    answer = Answer(
        PLAN_ITEM,
        plan_item_records(plan),
        blocks,
        lambda: plan_record(plan),
        [summary_line(text, good=not plan.header.counts)],
    )
    give(answer, choice.form)
    status = report_unplanned(plan)
    if choice.plan_file is not None:
        _tell_how_to_carry_out(plan, choice.plan_file)
    return status


def kept_items(
    plan: Plan,
    command: str,
    choice: PlanChoice,
    target: OperationTarget,
    carry_out: Callable[[DeployedTables], int],
) -> int:
    """Show a plan of items that was kept, or have it carried out; returns the exit status.

    Args:
        plan: what was kept.
        command: the command that is to do it.
        choice: what is to become of it.
        target: names the tables.
        carry_out: does it, once it is approved; returns the exit status.

    Raises:
        RefusedError: it is not approved, is of another command, or for other tables.
    """
    blocks = plan_blocks(plan, is_each=choice.is_each)
    if not choice.apply:
        return show_kept(plan, choice, blocks)
    deployment, _ = planned_tables(plan, command, target)
    approve_kept(choice, stakes_of(plan, deployment), blocks)
    return max(carry_out(deployment), report_unplanned(plan))


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
