"""What `restore --into` does: a whole table, or a selection of it, into a new one."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from rich.console import RenderableType

from itemtrail.commands.kept_plan import approve_kept, kept_and_approved, plan_maker, show_kept
from itemtrail.exit_status import CLEAN, FINDINGS
from itemtrail.options.command_line import command_text, given_words
from itemtrail.options.keys import GivenKeys
from itemtrail.options.operation_target import OperationTarget
from itemtrail.options.plan import PlanChoice
from itemtrail.options.table_order import TableChoice
from itemtrail.output.answer import Answer, give, instant, tell
from itemtrail.output.approval import Approval, Stakes, require_approval
from itemtrail.output.dry_run import dry_run
from itemtrail.output.progress import ProgressBar
from itemtrail.records.kinds import TABLE_RESTORE_LINE
from itemtrail.records.table_restore import table_restore_line_records, table_restore_record
from itemtrail.tables import cells
from itemtrail.tables.layout import summary_line, titled
from itemtrail.tables.plan import made_lines
from itemtrail.tables.table_restore import setup_blocks, table_restore_blocks
from operations.deployed_tables import DeployedTables
from operations.execution.pace import Pace
from operations.execution.plan_file import Plan
from operations.execution.plan_header import by_reason, require_fit
from operations.recovery.restore_items import UNKNOWN_KEY
from operations.recovery.table.kept_order import (
    is_order,
    order_arguments,
    order_in,
    settings_in,
)
from operations.recovery.table.order import TableOrder
from operations.recovery.table.plan import (
    TablePlan,
    plan_table,
    read_table,
    source_of,
    table_key,
)
from operations.recovery.table.restore import restore_table
from operations.recovery.table.results import TableRestored
from operations.recovery.table.selection import ItemSelection
from operations.recovery.table.settings import TableSettings
from stream_core.history_row import time_text

_UNCERTAIN = "of which it is not certain what they were"


def restored_table(
    target: OperationTarget, choice: TableChoice, at: datetime, keys: GivenKeys, plan: PlanChoice
) -> int:
    """Restore a table, or show what that would come to; returns the exit status."""
    deployment, _ = target.find()
    named = keys.read(table_key(deployment, choice.key_schema, choice.new_table)) if keys else None
    selection = ItemSelection(
        None if named is None else tuple(named), choice.prefixes, choice.conditions
    )
    order = TableOrder(
        choice.new_table,
        at,
        selection,
        choice.key_schema,
        choice.with_ttl,
        choice.allows_uncertain,
    )
    table_plan = plan_table(deployment, order, pace=Pace(plan.rate))
    run = _Run(deployment, table_plan, plan, _resolved_command(at))
    with kept_and_approved(run.as_file, plan, lambda: run.ask(plan.approval)):
        return run.applied() if plan.apply else run.give(run.planned)


def is_table_plan(plan: Plan) -> bool:
    """Whether a plan is of a whole table, and not of items."""
    return is_order(plan.header.arguments)


def kept_table(plan: Plan, choice: PlanChoice, target: OperationTarget) -> int:
    """Show, or carry out, the plan of a table that was kept; returns the exit status."""
    order = order_in(plan.header.arguments)
    settings, left_out = settings_in(plan.header.arguments)
    blocks = _plan_blocks(plan, order, settings, left_out)
    if not choice.apply:
        status = show_kept(plan, choice, blocks)
        is_certain = not any(total.startswith(_UNCERTAIN) for total in plan.header.totals)
        return status if is_certain else FINDINGS
    deployment, _ = target.find()
    require_fit(plan, "restore", source_of(deployment, Pace()), deployment)
    table_plan = plan_table(deployment, order, settings, pace=Pace(choice.rate))
    run = _Run(deployment, table_plan, choice, command_text(given_words()))
    approve_kept(choice, run.stakes, blocks)
    return run.applied()


def _plan_blocks(
    plan: Plan, order: TableOrder, settings: TableSettings, left_out: Iterable[str]
) -> Iterator[RenderableType]:
    yield titled(f"Plan: {plan.header.table.arn} {_of_order(order)} into {order.new_table}")
    yield from setup_blocks(settings, left_out)
    yield from made_lines(plan.header)


@dataclass(frozen=True)
class _Run:
    """What was asked for, on the tables as they are.

    Attributes:
        command: what goes on with it when it is interrupted, with its times resolved.
    """

    deployment: DeployedTables
    plan: TablePlan
    choice: PlanChoice
    command: str

    @property
    def _order(self) -> TableOrder:
        return self.plan.order

    @property
    def _what(self) -> str:
        return f"{self.deployment.source_table} {_of_order(self._order)}"

    @property
    def stakes(self) -> Stakes:
        """What is going to be done."""
        name = self._order.new_table
        text = f"{self._what} would be written into the new table {name}"
        if self.plan.standing.is_begun:
            text = f"{self._what} was begun in {name}, and what is missing would be written"
        return Stakes(name, text)

    def ask(self, approval: Approval) -> None:
        """Show what is going to be done, and return only if it is approved."""
        blocks = [titled(f"Plan: {self._what}"), *self._setup()]
        require_approval(blocks, self.choice.form, self.stakes, approval)

    def applied(self) -> int:
        """Carry it out; returns the exit status."""
        tell(f"whatever ends it sooner, this goes on with it: {self.command}")
        return self.give(self._carried_out(apply=True))

    @cached_property
    def planned(self) -> TableRestored:
        """What it would come to, for which as much is read as to do it."""
        return self._carried_out(apply=False)

    def _carried_out(self, *, apply: bool) -> TableRestored:
        with ProgressBar() as progress:
            return restore_table(
                self.deployment,
                self.plan,
                apply=apply,
                command=self.command,
                tell=tell,
                pace=Pace(self.choice.rate, progress=progress),
            )

    def give(self, restored: TableRestored) -> int:
        """Show what it came to; returns the exit status."""
        go_on = self.command if restored.applied and restored.may_go_on else None
        good = restored.applied and restored.is_clean
        answer = Answer(
            TABLE_RESTORE_LINE,
            table_restore_line_records(restored),
            table_restore_blocks(restored, f"{self._what} into {restored.new_table}"),
            lambda: table_restore_record(restored, self._order.at, go_on),
            [summary_line(_summary(restored), good=good)],
            times=instant(self._order.at),
            is_applied=restored.applied,
        )
        give(answer, self.choice.form)
        if go_on is not None:
            tell(f"to go on with it: {go_on}")
        return CLEAN if restored.is_clean else FINDINGS

    def as_file(self) -> Plan:
        """The plan as it is kept."""
        planned = self.planned
        totals = {f"items in {planned.new_table}": planned.items}
        left_out = Counter(planned.reasons)
        if planned.allows_uncertain:
            totals |= {f"{_UNCERTAIN}, {why}": number for why, number in left_out.items()}
            left_out.clear()
        plan = self.plan
        arguments = order_arguments(self._order, plan.keys, plan.settings, planned.left_out)
        table = read_table(self.deployment)
        header = plan_maker(self.deployment).header(
            self.deployment, "restore", arguments, table, Pace()
        )
        problems = (
            *(("unknown", UNKNOWN_KEY) for _ in planned.unknown),
            *(("unwritten", item.reason) for item in planned.unwritten),
            *(("uncertain", why) for why in left_out.elements()),
        )
        return Plan(replace(header, counts=by_reason(problems), totals=totals), ())

    def _setup(self) -> Iterator[RenderableType]:
        if self.plan.standing.is_made_for_it:
            return setup_blocks(self.plan.settings, self.plan.left_out)
        return iter(())


def _of_order(order: TableOrder) -> str:
    selected = f", {order.selection}" if order.selection else ""
    return f"as of {cells.zoned(order.at)}{selected}"


def _resolved_command(at: datetime) -> str:
    """The command line that means the same at any time."""
    resolved: list[str] = []
    arriving = iter(given_words())
    for word in arriving:
        name, sign, _ = word.partition("=")
        if name in ("--at", "--before"):
            if not sign:
                next(arriving, None)
            resolved += ["--at", time_text(at)]
        else:
            resolved.append(word)
    return command_text(resolved)


def _uncertain_word(restored: TableRestored) -> str:
    left_out = "" if restored.allows_uncertain else " and left out without --allow-uncertain"
    return f"uncertain{left_out}"


def _summary(restored: TableRestored) -> str:
    items = cells.count_of(restored.items, "item")
    problems = [
        f"{number:,} {what}"
        for number, what in (
            (restored.already_there, "there before"),
            (len(restored.unwritten), "not taken"),
            (restored.extraneous, "there that are not in the order"),
            (len(restored.unknown), "unknown"),
            (restored.uncertain.total(), _uncertain_word(restored)),
        )
        if number
    ]
    text = (
        f"{items} in {restored.new_table}"
        if restored.applied
        else dry_run(f"{items} would be in {restored.new_table}")
    )
    ended = [] if restored.ended is None else [f"ended: {restored.ended}"]
    return ", ".join([text, *problems, *ended])
