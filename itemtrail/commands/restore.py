"""The command that brings back what was: restore."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import click
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
from itemtrail.commands.restore_table import is_table_plan, kept_table, restored_table
from itemtrail.exit_status import CLEAN, FINDINGS
from itemtrail.options.keys import GivenKeys, KeyedCommand, keys_options
from itemtrail.options.kinds import TimeType
from itemtrail.options.operation_target import OperationTarget, source_target_options
from itemtrail.options.plan import PlanChoice, atomic_option, plan_options, resolved_arguments
from itemtrail.options.stamps import require_no_key, set_option
from itemtrail.options.table_order import TableChoice, table_options
from itemtrail.output.answer import Answer, give, instant, noted
from itemtrail.output.approval import require_approval
from itemtrail.output.progress import ProgressBar
from itemtrail.records.kinds import RESTORE
from itemtrail.records.restore import planned_restore_records, restore_outcome, restore_records
from itemtrail.tables import cells
from itemtrail.tables.layout import summary_line
from itemtrail.tables.restore import planned_restore_blocks, restore_blocks
from operations.deployed_tables import DeployedTables
from operations.execution.atomic_runner import require_together
from operations.execution.item_run import ItemRun
from operations.execution.pace import Pace
from operations.execution.plan_file import Plan, PlanAction
from operations.execution.plan_header import by_reason
from operations.recovery.plan_items import (
    left_out_of_restore,
    restored_items,
    restored_results,
)
from operations.recovery.restore_items import ItemPlan, ItemResult, plan_restore
from operations.recovery.stamps import Stamps
from reports.access.table_description import describe
from reports.inputs.times import TimeRole
from stream_core.attribute_values import Item
from stream_core.history_row import time_text


@click.command(cls=KeyedCommand, short_help="Items, or a whole table, back to an instant.")
@keys_options
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
@plan_options("most", has_run=True)
@source_target_options
def restore(  # noqa: PLR0913 - an option each
    *,
    keys: GivenKeys,
    at: datetime | None,
    before: datetime | None,
    into: TableChoice | None,
    target: OperationTarget,
    allow_uncertain: bool,
    stamps: Stamps,
    atomic: bool,
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
    kept = kept_plan(plan)
    if kept is not None:
        restored = kept_table if is_table_plan(kept) else _kept_restore
        return restored(kept, plan, target)
    moment = _instant(at, before)
    if into is not None:
        _require_of_table(keys, stamps, atomic=atomic)
        into = replace(into, allows_uncertain=allow_uncertain)
        return restored_table(target, into, moment, keys, plan)
    if not keys:
        raise click.UsageError(
            "restore what? give KEY or --keys-file, or --into for the whole table",
            click.get_current_context(),
        )
    deployment, _ = target.find()
    schema = deployment.key_schema
    require_no_key(stamps, schema)
    order = _RestoreOrder(deployment, moment, plan)
    return order.items(
        keys.read(schema) or [], stamps, allow_uncertain=allow_uncertain, atomic=atomic
    )


def _kept_restore(plan: Plan, choice: PlanChoice, target: OperationTarget) -> int:
    """Show, or carry out, a plan of items that was kept; returns the exit status."""

    def carry_out(deployment: DeployedTables) -> int:
        at = datetime.fromisoformat(plan.header.arguments["at"])
        return _RestoreOrder(deployment, at, choice).carry_out(plan)

    return kept_items(plan, "restore", choice, target, carry_out)


def _require_of_table(keys: GivenKeys, stamps: Stamps, *, atomic: bool) -> None:
    """Refuse what is for items, beside what is for a table."""
    problems = {
        "KEY is for an item: with --into a file names them (--keys-file)": bool(keys.key),
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
    choice: PlanChoice

    def items(
        self, keys: list[Item], stamps: Stamps, *, allow_uncertain: bool, atomic: bool
    ) -> int:
        """Restore items; returns the exit status."""
        choice = self.choice
        with ProgressBar() as progress:
            plans = plan_restore(
                self.deployment,
                keys,
                self.at,
                allow_uncertain=allow_uncertain,
                stamps=stamps,
                pace=Pace(choice.rate, progress=progress),
            )
        if atomic:
            require_together(sum(plan.is_in_plan for plan in plans))
        planned = tuple(ItemResult(plan, reason=plan.refusal or plan.doubt) for plan in plans)
        if not choice.apply and choice.plan_out is None:
            return self._give(planned, len(plans))
        plan = self._plan(plans)
        with kept_and_approved(lambda: plan, choice, lambda: self._approve(planned, plan)):
            if not choice.apply:
                return self._give(planned, len(plans))
            with ProgressBar() as progress, self._carried_out(plan, progress) as results:
                return self._give(restored_results(plans, results), len(plans), progress)

    def carry_out(self, plan: Plan) -> int:
        """Do what a plan says that was kept, and show what became of it as it comes."""
        passed = list[ItemRun]()

        def summary() -> Iterator[Text]:
            outcomes = [
                (result.outcome.value, result.item.action is PlanAction.DELETE) for result in passed
            ]
            good = all(result.is_clean for result in passed)
            yield summary_line(outcome_summary(outcomes, applied=True), good=good)

        with ProgressBar() as progress, self._carried_out(plan, progress) as results:
            passing = noted(results, passed)
            title = self._title(len(plan.items))
            answer = Answer(
                RESTORE,
                planned_restore_records(passing, self.at),
                planned_restore_blocks(passing, title, is_each=self.choice.is_each),
                summary=summary(),
                times=instant(self.at),
                is_applied=True,
            )
            give(answer, self.choice.form, progress)
        return CLEAN if all(result.is_clean for result in passed) else FINDINGS

    def _carried_out(
        self, plan: Plan, progress: ProgressBar
    ) -> AbstractContextManager[Iterator[ItemRun]]:
        pace = Pace(self.choice.rate, progress=progress)
        return carried_out(self.deployment, plan, self.choice, pace=pace)

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
            restore_blocks(passing, self._title(count), is_each=self.choice.is_each),
            summary=summary(),
            times=instant(self.at),
            is_applied=is_applied,
        )
        give(answer, self.choice.form, progress)
        return CLEAN if all(item.is_clean for item in passed) else FINDINGS

    def _approve(self, planned: Sequence[ItemResult], plan: Plan) -> None:
        """Show the plan, and return only if it is approved."""
        title = f"Plan: {self._title(len(planned))}"
        blocks = restore_blocks(planned, title, is_each=self.choice.is_each)
        stakes = stakes_of(plan, self.deployment)
        require_approval(blocks, self.choice.form, stakes, self.choice.approval)

    def _plan(self, plans: list[ItemPlan]) -> Plan:
        arguments = resolved_arguments() | {"at": time_text(self.at)}
        table = describe(self.deployment.dynamodb, self.deployment.source_table)
        header = plan_maker(self.deployment).header(
            self.deployment, "restore", arguments, table, pace_of_plan()
        )
        left_out = left_out_of_restore(plans)
        counts = by_reason((item.outcome, item.reason) for item in left_out)
        return Plan(replace(header, counts=counts), restored_items(plans), left_out)

    def _title(self, count: int) -> str:
        return f"{cells.count_of(count, 'item')} back to {cells.zoned(self.at)}"
