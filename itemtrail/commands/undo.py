"""The command that takes back a bad job: undo."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import click
from rich.console import RenderableType
from rich.text import Text

from itemtrail.commands.kept_plan import (
    carried_out,
    kept_and_approved,
    kept_items,
    kept_plan,
    outcome_summary,
    pace_of_plan,
    plan_maker,
    stakes_of,
)
from itemtrail.exit_status import CLEAN, FINDINGS
from itemtrail.options.keys import GivenKeys, KeyedCommand, keys_options
from itemtrail.options.kinds import PathType, asked_at
from itemtrail.options.operation_target import OperationTarget, source_target_options
from itemtrail.options.plan import PlanChoice, atomic_option, plan_options, resolved_arguments
from itemtrail.options.selection import selection_options
from itemtrail.options.stamps import by_option, require_no_key, set_option
from itemtrail.options.target import Period, fixed_period_options
from itemtrail.output.answer import Answer, give, noted, span
from itemtrail.output.approval import require_approval
from itemtrail.output.progress import ProgressBar
from itemtrail.records.kinds import UNDO
from itemtrail.records.undo import undo_outcome, undo_records
from itemtrail.tables import cells
from itemtrail.tables.layout import summary_line, to_copy
from itemtrail.tables.undo import undo_blocks
from operations.deployed_tables import DeployedTables
from operations.execution.atomic_runner import require_together
from operations.execution.pace import Pace
from operations.execution.plan_file import Plan
from operations.recovery.bad_changes import Selected, select_bad
from operations.recovery.compensation import Terms
from operations.recovery.plan_items import (
    left_out_of_undo,
    undone_items,
    undone_results,
    unplanned_undo,
)
from operations.recovery.run_changes import RunChanges, select_run
from operations.recovery.stamps import Stamps, is_stamped
from operations.recovery.undo import ItemUndone, Undone, plan_undo
from reports.access.table_description import describe
from reports.inputs.paths import Path
from reports.states.selection import Selection
from stream_core.attribute_values import Item
from stream_core.history_row import time_text

_RANGE = ("since", "until")


@click.command(cls=KeyedCommand, short_help="Take back one bad job, and lose no good write.")
@keys_options
@fixed_period_options
@selection_options
@click.option("--all", "everything", is_flag=True, help="Every change of the range, by any writer.")
@click.option(
    "--counter",
    "counters",
    type=PathType(),
    multiple=True,
    help="A number that everyone only adds to (ADD, SET n = n + :x): what was added is taken off, "
    "also where others added since; may be repeated.",
)
@click.option(
    "--run",
    metavar="ID",
    is_eager=True,
    help="All that this run of undo or restore has written, and nothing else; needs no range.",
)
@set_option
@by_option
@click.option(
    "--wait",
    is_flag=True,
    help="Wait until every change of the range is known to be in the history; else refused.",
)
@atomic_option
@plan_options("most", has_run=True)
@source_target_options
def undo(  # noqa: PLR0913 - an option each
    *,
    keys: GivenKeys,
    period: Period | None,
    run: str | None,
    where: Selection,
    target: OperationTarget,
    everything: bool,
    counters: tuple[Path, ...],
    stamps: Stamps,
    by: str,
    wait: bool,
    atomic: bool,
    plan: PlanChoice,
) -> int:
    """Take back the changes of a range of time that are chosen, and no other.

    Where something was written since, by another, it is left as it is and listed as a conflict;
    changes to other attributes stay. With --attribute only what became of that value is taken back;
    items that were inserted or deleted with it stay as they are unless --event names that. A dry
    run unless --apply, which shows the plan and asks before it writes. It is refused while changes
    of the range may still be on their way into the history; --wait waits for them. What it writes
    carries, with --actor-attribute, your name there and none that it finds. Exits with 1 if there
    are conflicts, changes whose author the history does not name, or names that it does not know.

    \b
    Example:
      itemtrail undo --since 2026-03-03T18:40Z --until 2026-03-03T18:46Z \\
        --actor payroll --actor-attribute updated_by --stack employee-trail
      itemtrail undo --since 2026-03-03T18:40Z --until 2026-03-03T18:46Z \\
        --attribute status --to closed --stack employee-trail --apply --yes
      itemtrail undo --since 2026-03-03T18:40Z --until 2026-03-03T18:46Z \\
        --attribute status --plan-out undo.plan --stack employee-trail
      itemtrail undo --plan undo.plan --show
      itemtrail undo --plan undo.plan --apply --stack employee-trail
      itemtrail undo 42 --since 2026-03-03T18:40Z --until 2026-03-03T18:46Z \\
        --stack employee-trail --output json
    """  # noqa: D301
    kept = kept_plan(plan)
    if kept is not None:
        return _kept_undo(kept, plan, target)
    chosen = bool(keys or where.event_names or where.attribute or where.actor)
    if run is None:
        _require_choice(chosen, everything)
    elif chosen or everything or wait or period is not None:
        raise click.UsageError(
            "--run says which changes: leave out what chooses others", click.get_current_context()
        )
    deployment, _ = target.find()
    schema = deployment.key_schema
    stamps = _stamps(stamps, where.actor_path, by)
    require_no_key(stamps, schema)
    if period is None:
        changes = _changes_of_run(deployment, str(run), plan.rate)
        period, selected = Period(changes.since, changes.until), changes.selected
    else:
        period = _over(period)
        selected = _selected(deployment, period, where, keys.read(schema), plan.rate, wait=wait)
    order = _UndoOrder(deployment, period, plan, Terms(counters, stamps), run)
    planned = order.planned(selected)
    if atomic:
        require_together(sum(item.is_in_plan for item in planned.items))
    return order.follow(planned)


def _kept_undo(plan: Plan, choice: PlanChoice, target: OperationTarget) -> int:
    """Show, or carry out, a plan that was kept; returns the exit status."""

    def carry_out(deployment: DeployedTables) -> int:
        period = Period(*(datetime.fromisoformat(plan.header.arguments[name]) for name in _RANGE))
        order = _UndoOrder(deployment, period, choice, Terms())
        return order.carry_out(plan, Undone(True, (), ()))

    return kept_items(plan, "undo", choice, target, carry_out)


def _over(period: Period) -> Period:
    """A range without the second that is not over yet: changes stamped with it may still come."""
    last = asked_at().replace(microsecond=0) - timedelta(microseconds=1)
    if period.since > last:
        raise click.UsageError(
            "--since is in the second of now, which is not over: give an earlier time",
            click.get_current_context(),
        )
    return period._replace(until=min(period.until, last))


def _require_choice(chosen: bool, everything: bool) -> None:  # noqa: FBT001 - the two words
    if chosen == everything:
        raise click.UsageError(
            "--all and a choice exclude each other: leave one of them out"
            if everything
            else "this would take back every change of the range, the good ones too: choose by KEY,"
            " --keys-file, --event, --attribute or --actor, or give --all",
            click.get_current_context(),
        )


def _selected(  # noqa: PLR0913 - all that chooses
    deployment: DeployedTables,
    period: Period,
    where: Selection,
    keys: list[Item] | None,
    rate: float | None,
    *,
    wait: bool,
) -> Selected:
    with ProgressBar() as progress:
        return select_bad(
            deployment,
            since=period.since,
            until=period.until,
            where=where,
            keys=keys,
            wait=wait,
            pace=Pace(rate, progress=progress),
        )


def _changes_of_run(deployment: DeployedTables, run: str, rate: float | None) -> RunChanges:
    with ProgressBar() as progress:
        return select_run(deployment, run, pace=Pace(rate, progress=progress))


def _stamps(stamps: Stamps, actor_path: Path | None, by: str) -> Stamps:
    """What is to be written beside, and who undoes where every writer leaves its name."""
    if actor_path is None or is_stamped(actor_path, stamps):
        return stamps
    return {**stamps, actor_path: {"S": by}}


@dataclass(frozen=True)
class _UndoOrder:
    """What was asked for."""

    deployment: DeployedTables
    period: Period
    choice: PlanChoice
    terms: Terms
    run: str | None = None

    def planned(self, selected: Selected) -> Undone:
        """What would be done."""
        with ProgressBar() as progress:
            return plan_undo(
                self.deployment,
                selected,
                terms=self.terms,
                pace=Pace(self.choice.rate, progress=progress),
            )

    def follow(self, planned: Undone) -> int:
        """Show what would be done, keep it, or do it, as was asked; returns the exit status."""
        if not self.choice.apply and self.choice.plan_out is None:
            return self._give(planned, planned.items)
        plan = self._plan(planned)
        with kept_and_approved(lambda: plan, self.choice, lambda: self._approve(planned, plan)):
            if self.choice.apply:
                return self.carry_out(plan, planned)
            return self._give(planned, planned.items)

    def carry_out(self, plan: Plan, planned: Undone) -> int:
        """Do what a plan says, and show what became of it as it comes.

        Args:
            plan: what to do.
            planned: what else there is to show: items of which nothing is written.
        """
        with ProgressBar() as progress:
            pace = Pace(self.choice.rate, progress=progress)
            with carried_out(self.deployment, plan, self.choice, pace=pace) as results:
                items = undone_results(planned.items, results)
                return self._give(replace(planned, applied=True), items, progress)

    def _plan(self, planned: Undone) -> Plan:
        """The same as a plan, which can be kept."""
        times = dict(zip(_RANGE, map(time_text, self.period), strict=True))
        arguments = resolved_arguments() | times
        table = describe(self.deployment.dynamodb, self.deployment.source_table)
        header = plan_maker(self.deployment).header(
            self.deployment, "undo", arguments, table, pace_of_plan()
        )
        header = replace(header, counts=unplanned_undo(planned), stamps=self.terms.stamps)
        return Plan(header, undone_items(planned.items), left_out_of_undo(planned))

    def _approve(self, planned: Undone, plan: Plan) -> None:
        """Show the plan, and return only if it is approved."""
        title = f"Plan: {self._title}"
        blocks = self._blocks(planned.items, planned, title)
        stakes = stakes_of(plan, self.deployment)
        require_approval(blocks, self.choice.form, stakes, self.choice.approval)

    def _give(
        self, planned: Undone, items: Iterable[ItemUndone], progress: ProgressBar | None = None
    ) -> int:
        """Show what it came to, as it comes; returns the exit status."""
        passed: list[ItemUndone] = []
        passing = noted(items, passed)

        def summary() -> Iterator[Text]:
            undone = replace(planned, items=tuple(passed))
            good = undone.applied and undone.is_clean
            if undone.items and not undone.applied and self.run is None:
                # A relative time is another one when the command is run again.
                since, until = map(time_text, self.period)
                yield to_copy(f"the same range again: --since {since} --until {until}")
            yield summary_line(self._summary(undone), good=good)

        answer = Answer(
            UNDO,
            undo_records(passing, planned.undecided),
            self._blocks(passing, planned, self._title),
            summary=summary(),
            times=span(*self.period),
            is_applied=planned.applied,
        )
        give(answer, self.choice.form, progress)
        return CLEAN if replace(planned, items=tuple(passed)).is_clean else FINDINGS

    def _blocks(
        self, items: Iterable[ItemUndone], planned: Undone, title: str
    ) -> Iterator[RenderableType]:
        return undo_blocks(items, planned.undecided, title, is_each=self.choice.is_each)

    @property
    def _title(self) -> str:
        if self.run is not None:
            return f"Undo of run {self.run}"
        since, until = self.period
        return f"Undo of changes from {cells.when(since)} to {cells.zoned(until)}"

    def _summary(self, undone: Undone) -> str:
        outcomes = [(undo_outcome(item), item.is_delete) for item in undone.items]
        outcomes += [("undecided", False)] * len(undone.undecided)
        if not outcomes:
            nothing = "there is no such change: nothing to take back"
            if self.choice.plan_file is not None:
                nothing = "the plan has no items: nothing was written"
            return "; ".join([nothing, *self._notes(undone)])
        summary = outcome_summary(outcomes, applied=undone.applied)
        conflicts = len(undone.conflicts)
        if conflicts:
            summary += f"; {cells.count_of(conflicts, 'place')} in conflict"
        return "; ".join([summary, *self._notes(undone)])

    def _notes(self, undone: Undone) -> list[str]:
        """What was not found, and what was passed over."""
        notes = list(undone.unknown)
        if undone.whole_items:
            passed_over = (
                f"{cells.count_of(undone.whole_items, 'change')} of whole items passed over"
            )
            notes.append(f"{passed_over}: --event INSERT or --event REMOVE takes such back")
        return notes
