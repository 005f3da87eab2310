"""The command that brings back what was: restore."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TextIO

import click
from rich.text import Text

from itemtrail.commands.kept_plan import (
    carried_out,
    keep_and_ask,
    kept_plan,
    outcome_summary,
    plan_maker,
    planned_tables,
    report_unplanned,
    show_kept,
)
from itemtrail.commands.restore_table import is_table_plan, kept_table, restored_table
from itemtrail.exit_status import CLEAN, FINDINGS
from itemtrail.options.keys import KeyedCommand, given_keys, keys_file_option, require_one_way
from itemtrail.options.kinds import TimeType
from itemtrail.options.operation_target import (
    OperationTarget,
    rate_option,
    source_target_options,
)
from itemtrail.options.plan import (
    PlanChoice,
    atomic_option,
    each_option,
    plan_options,
    resolved_arguments,
)
from itemtrail.options.stamps import require_no_key, set_option
from itemtrail.options.table_order import TableChoice, table_options
from itemtrail.options.target import key_argument, output_option
from itemtrail.output.answer import Answer, chosen_form, give, instant, noted
from itemtrail.output.approval import Approval, Stakes, require_approval
from itemtrail.output.progress import ProgressBar
from itemtrail.records.kinds import RESTORE
from itemtrail.records.restore import (
    planned_restore_records,
    restore_outcome,
    restore_records,
)
from itemtrail.tables import cells
from itemtrail.tables.layout import summary_line
from itemtrail.tables.restore import (
    planned_restore_blocks,
    restore_blocks,
)
from operations.deployed_tables import DeployedTables
from operations.execution.atomic_runner import require_together
from operations.execution.item_run import ItemRun
from operations.execution.pace import Pace
from operations.execution.plan_file import Plan, PlanAction
from operations.recovery.plan_items import restored_items, restored_results, unplanned_restore
from operations.recovery.restore_items import (
    ItemPlan,
    ItemResult,
    plan_restore,
)
from operations.recovery.stamps import Stamps
from reports.access.table_description import TableDescription, describe
from reports.inputs.times import TimeRole
from stream_core.attribute_values import Item
from stream_core.history_row import time_text


@click.command(cls=KeyedCommand, short_help="Items, or a whole table, back to an instant.")
@key_argument(required=False)
@keys_file_option
@click.option(
    "--at",
    type=TimeType(),
    help="The instant, e.g. 2026-01-31T18:46Z, with the changes of its second; a day is its end.",
)
@click.option(
    "--before",
    type=TimeType(TimeRole.START),
    help="Instead of --at: without the changes of this second, as undo has them; a day is its "
    "start.",
)
@table_options
@click.option(
    "--allow-uncertain", is_flag=True, help="Also where it is not certain what an item was."
)
@set_option
@atomic_option
@each_option
@rate_option
@plan_options("most", has_run=True)
@source_target_options
@output_option
def restore(  # noqa: PLR0913 - an option each
    *,
    key: tuple[str, ...],
    keys_file: TextIO | None,
    at: datetime | None,
    before: datetime | None,
    into: TableChoice | None,
    rate: float | None,
    output: str | None,
    target: OperationTarget,
    allow_uncertain: bool,
    stamps: Stamps,
    atomic: bool,
    is_each: bool,
    plan: PlanChoice,
) -> int:
    """Bring items, or with --into the whole table, back to what they were at an instant.

    A dry run unless --apply, which shows the plan and asks before it writes; then an item is
    written only if it still is what was shown. Exits with 1 if one is not, if it is not certain
    what it was, if it could not be written, or if neither the table nor its history knows a key.
    What was stamped in the second of --at is included, what was in that of --before is not.

    \b
    Example:
      itemtrail restore 42 --at 2026-03-03T18:40Z --stack employee-trail
      itemtrail restore 42 --at 2026-03-03T18:40Z --stack employee-trail --apply --yes
      itemtrail restore --keys-file keys.txt --at 2026-03-03T18:40Z --stack employee-trail \\
        --output jsonl
      itemtrail restore 42 --before 2026-03-03T18:40Z --stack employee-trail
      itemtrail restore 42 --at 2026-03-03T18:40Z --stack employee-trail --plan-out restore.plan
      itemtrail restore --plan restore.plan --apply --stack employee-trail
      itemtrail restore --into Employee-march --at 2026-03-03T18:40Z --stack employee-trail \\
        --apply --yes
      itemtrail restore --into Employee-open --where status = open --at 2026-03-03T18:40Z \\
        --stack employee-trail
    """  # noqa: D301
    form, kept = chosen_form(output), kept_plan(plan)
    if kept is not None and is_table_plan(kept):
        return kept_table(kept, target, plan, form, rate)
    if kept is not None and not plan.apply:
        return show_kept(kept, form, is_each=is_each)
    if kept is not None:
        deployment, _ = planned_tables(kept, "restore", target)
        at = datetime.fromisoformat(kept.header.arguments["at"])
        order = _RestoreOrder(deployment, at, form, rate, is_each, plan)
        return max(order.carry_out(kept, joins=plan.joins), report_unplanned(kept))
    moment = _instant(at, before)
    require_one_way(key, keys_file)
    if into is not None:
        _require_of_table(key, stamps, atomic=atomic)
        into = replace(into, allows_uncertain=allow_uncertain)
        return restored_table(target, into, moment, keys_file, plan, form, rate)
    if not (key or keys_file):
        raise click.UsageError(
            "restore what? give KEY or --keys-file, or --into for the whole table",
            click.get_current_context(),
        )
    deployment, _ = target.find()
    order = _RestoreOrder(deployment, moment, form, rate, is_each, plan)
    require_no_key(stamps, deployment.reader.key_schema)
    keys = given_keys(deployment.reader.key_schema, key, keys_file) or []
    return order.items(keys, stamps, allow_uncertain=allow_uncertain, atomic=atomic)


def _require_of_table(key: tuple[str, ...], stamps: Stamps, *, atomic: bool) -> None:
    """Refuse what is for items, beside what is for a table."""
    problems = {
        "KEY is for an item: with --into a file names them (--keys-file)": bool(key),
        "--set is for items: with --into all is restored as it was": bool(stamps),
        "--atomic is for items: a whole table has no room in a transaction": atomic,
    }
    for problem, is_so in problems.items():
        if is_so:
            raise click.UsageError(problem, click.get_current_context())


def _instant(at: datetime | None, before: datetime | None) -> datetime:
    """The instant meant: the last one before a second, where that is what was named."""
    if at is not None and before is None:
        return at
    if before is not None and at is None:
        return before.replace(microsecond=0) - timedelta(microseconds=1)
    raise click.UsageError(
        "as of when? give just one of --at and --before", click.get_current_context()
    )


@dataclass(frozen=True)
class _RestoreOrder:
    """What was asked for."""

    deployment: DeployedTables
    at: datetime
    form: str
    rate: float | None
    is_each: bool
    choice: PlanChoice

    def items(
        self, keys: list[Item], stamps: Stamps, *, allow_uncertain: bool, atomic: bool
    ) -> int:
        """Restore items; returns the exit status."""
        with ProgressBar() as progress:
            plans = plan_restore(
                self.deployment,
                keys,
                self.at,
                allow_uncertain=allow_uncertain,
                stamps=stamps,
                pace=Pace(self.rate, progress=progress),
            )
        if atomic:
            require_together(sum(plan.is_in_plan for plan in plans))
        planned = tuple(ItemResult(plan, reason=plan.refusal or plan.doubt) for plan in plans)
        choice = self.choice
        if not choice.apply and choice.plan_out is None:
            return self._give(planned, len(plans))
        plan = self._plan(plans)
        keep_and_ask(lambda: plan, choice, lambda: self._require_approval(planned, choice.approval))
        if not choice.apply:
            return self._give(planned, len(plans))
        with ProgressBar() as progress:
            pace = Pace(self.rate, progress=progress)
            is_kept = choice.plan_out is not None
            run = carried_out(self.deployment, plan, is_kept=is_kept, pace=pace)
            with closing(run) as results:
                return self._give(restored_results(plans, results), len(plans), progress)

    def carry_out(self, plan: Plan, *, joins: bool) -> int:
        """Do what a plan says that was kept, and show what became of it as it comes."""
        passed = list[ItemRun]()

        def summary() -> Iterator[Text]:
            outcomes = [
                (result.outcome.value, result.item.action is PlanAction.DELETE) for result in passed
            ]
            good = all(result.is_clean for result in passed)
            yield summary_line(outcome_summary(outcomes, applied=True), good=good)

        with ProgressBar() as progress:
            pace = Pace(self.rate, progress=progress)
            with closing(carried_out(self.deployment, plan, joins=joins, pace=pace)) as results:
                passing = noted(results, passed)
                title = self._title(len(plan.items))
                answer = Answer(
                    RESTORE,
                    planned_restore_records(passing, self.at),
                    planned_restore_blocks(passing, title, is_each=self.is_each),
                    summary=summary(),
                    times=instant(self.at),
                )
                give(answer, self.form, progress)
        return CLEAN if all(result.is_clean for result in passed) else FINDINGS

    def _give(
        self, items: Iterable[ItemResult], count: int, progress: ProgressBar | None = None
    ) -> int:
        """Show what it came to, as it comes; returns the exit status."""
        is_applied, passed = self.choice.apply, list[ItemResult]()
        passing = noted(items, passed)

        def summary() -> Iterator[Text]:
            outcomes = [(restore_outcome(item), item.plan.is_delete) for item in passed]
            text = outcome_summary(outcomes, applied=is_applied)
            good = is_applied and all(item.is_clean for item in passed)
            yield summary_line(text, good=good)

        answer = Answer(
            RESTORE,
            restore_records(passing, self.at),
            restore_blocks(passing, self._title(count), is_each=self.is_each),
            summary=summary(),
            times=instant(self.at),
        )
        give(answer, self.form, progress)
        return CLEAN if all(item.is_clean for item in passed) else FINDINGS

    def _require_approval(self, planned: Sequence[ItemResult], approval: Approval) -> None:
        plans = [item.plan for item in planned if item.plan.is_in_plan]
        deletes = sum(plan.is_delete for plan in plans)
        stakes = Stakes.of_items(
            self.deployment.source_table, len(plans) - deletes, deletes, size=self._size
        )
        title = f"Plan: {self._title(len(planned))}"
        blocks = restore_blocks(planned, title, is_each=self.is_each)
        require_approval(blocks, self.form, stakes, approval)

    def _plan(self, plans: list[ItemPlan]) -> Plan:
        arguments = resolved_arguments() | {"at": time_text(self.at)}
        header = plan_maker().header(self.deployment, "restore", arguments, self._table(), Pace())
        return Plan(replace(header, counts=unplanned_restore(plans)), restored_items(plans))

    def _size(self) -> int | None:
        return self._table().items

    def _table(self) -> TableDescription:
        return describe(self.deployment.dynamodb, self.deployment.source_table)

    def _title(self, count: int) -> str:
        return f"{cells.count_of(count, 'item')} back to {cells.zoned(self.at)}"
