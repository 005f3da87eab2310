"""The commands that find and heal drift of the replica: compare, repair."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import click
from rich.console import RenderableType
from rich.text import Text

from itemtrail.commands.kept_plan import (
    approve_kept,
    kept_and_approved,
    kept_plan,
    plan_maker,
    show_kept,
)
from itemtrail.exit_status import CLEAN, FINDINGS
from itemtrail.options.keys import GivenKeys, KeyedCommand, keys_options
from itemtrail.options.kinds import ShareType
from itemtrail.options.operation_target import (
    GOES_ON,
    OperationTarget,
    default_state,
    rate_option,
    replica_target_options,
    segments_option,
    source_key_schema,
    state_option,
)
from itemtrail.options.plan import PlanChoice, plan_options, resolved_arguments
from itemtrail.options.target import output_option
from itemtrail.output.answer import Answer, chosen_form, give, tell
from itemtrail.output.approval import Stakes, require_approval
from itemtrail.output.dry_run import dry_run
from itemtrail.output.progress import ProgressBar
from itemtrail.output.terminal import draw
from itemtrail.records.kinds import DISCREPANCY, REPAIR_LINE
from itemtrail.records.replica import discrepancy_record, repair_line_records, repair_record
from itemtrail.tables import cells
from itemtrail.tables.layout import summary_line
from itemtrail.tables.plan import plan_blocks
from itemtrail.tables.replica import discrepancy_blocks, repair_blocks
from operations.deployed_tables import DeployedTables
from operations.execution.pace import Pace
from operations.execution.plan_file import Plan, PlanItem
from operations.execution.plan_header import require_fit
from operations.replica.compare import SEGMENTS, Comparison
from operations.replica.compare import compare as compare_tables
from operations.replica.discrepancies import Discrepancy, DiscrepancyKind
from operations.replica.repair import Repaired
from operations.replica.repair import repair as repair_items
from reports.access.table_description import TableDescription, describe
from reports.inputs.keys import key_text
from reports.unseen import visible
from stream_core.attribute_values import Item

_MOST_SEGMENTS = 1_000_000
_MOST_KEYS_LISTED = 10
_segments_option = segments_option(SEGMENTS, _MOST_SEGMENTS)


@click.command(short_help="Whether the replica is as the source, and why not.")
@click.option(
    "--sample",
    metavar="SHARE",
    type=ShareType(),
    help="Compare only this share of the items, chosen at random, e.g. 1% or 0.01; the answer says "
    "what follows for all of them.",
)
@click.option(
    "--seed",
    metavar="N",
    type=int,
    help="With --sample: compare the same items as the comparison that printed this number.",
)
@_segments_option
@rate_option
@replica_target_options
@output_option
def compare(  # noqa: PLR0913 - an option each
    *,
    sample: float | None,
    seed: int | None,
    segments: int,
    rate: float | None,
    output: str | None,
    target: OperationTarget,
) -> int:
    """Compare the source and its replica, both ways, while they are in use; nothing is written.

    A difference counts when it lasts. The history says why: LAGGING (a past state), CORRUPT (it
    never was so), FOREIGN_WRITE (a key that the history does not know), LOST_EVENT (a change that
    reached no writer), NOT_BACKFILLED. Exits with 1 if anything differs.

    \b
    Example:
      itemtrail compare --stack employee-trail
      itemtrail compare --sample 1% --rate 500 --stack employee-trail --output jsonl
      itemtrail compare --source-table Employee --replica-table employee-trail-replica \\
        --replica-region us-west-2 --output csv > differences.csv
    """  # noqa: D301
    if seed is not None and sample is None:
        raise click.UsageError(
            "--seed chooses a sample: give its --sample too", click.get_current_context()
        )
    form, (deployment, _) = chosen_form(output), target.find()
    with ProgressBar() as progress:
        comparison = compare_tables(
            deployment,
            segments=segments,
            sample=sample,
            seed=seed,
            pace=Pace(rate, progress=progress),
        )
        answer = Answer(
            DISCREPANCY,
            map(discrepancy_record, comparison),
            discrepancy_blocks(_title(deployment), comparison),
            summary=_comparison_summary(comparison),
        )
        give(answer, form, progress)
    return CLEAN if comparison.summary.is_clean else FINDINGS


@click.command(cls=KeyedCommand, short_help="Heal items of the replica that differ.")
@keys_options
@_segments_option
@partial(state_option, operation="repair")
@plan_options("most", "deletes")
@replica_target_options
def repair(
    *,
    keys: GivenKeys,
    segments: int,
    state_path: Path | None,
    target: OperationTarget,
    plan: PlanChoice,
) -> int:
    """Make items of the replica equal to the source: one, some, or all that `compare` finds.

    Nothing that was read before is ever written: the source is asked what an item is, and asked
    again after the write, so that no newer write is undone. A dry run unless --apply, which shows
    the plan and asks before it writes. Without a key both tables are compared first. What the
    source has no more is deleted from the replica. Exits with 1 if something differs and is not
    healed.

    \b
    Example:
      itemtrail repair --stack employee-trail
      itemtrail repair --stack employee-trail --rate 500 --apply --yes \\
        --deletes employee-trail-replica
      itemtrail repair 42 --stack employee-trail --apply --yes
      itemtrail repair --keys-file keys.txt --stack employee-trail --output json
      itemtrail repair --stack employee-trail --plan-out repair.plan
      itemtrail repair --plan repair.plan --apply --stack employee-trail \\
        --deletes employee-trail-replica
    """  # noqa: D301
    kept = kept_plan(plan)
    if kept is not None and not plan.apply:
        return show_kept(kept, plan, plan_blocks(kept, is_each=plan.is_each))
    deployment, _ = target.find()
    state = state_path or default_state("repair", str(deployment.replica_table), deployment)
    if kept is not None:
        require_fit(kept, "repair", _replica(deployment), deployment)
        of_plan = [item.keys for item in kept.items]
        return _RepairOrder(deployment, of_plan, False, state, plan).follow_kept(kept)
    named = keys.read(source_key_schema(deployment)) if keys else None
    wanted = _compared(deployment, segments, plan) if named is None else named
    return _RepairOrder(deployment, wanted, named is not None, state, plan).follow()


def _compared(deployment: DeployedTables, segments: int, plan: PlanChoice) -> list[Item]:
    """The keys of what differs, or changed all the time, shown to a person as they are found.

    Not in a pager: who leaves it would have left out what was still to be found.
    """
    keys: list[Item] = []
    with ProgressBar() as progress:
        pace = Pace(plan.rate, progress=progress)
        comparison = compare_tables(deployment, segments=segments, pace=pace)

        def noted() -> Iterator[Discrepancy]:
            for discrepancy in comparison:
                keys.append(discrepancy.keys)
                yield discrepancy

        summary = _comparison_summary(comparison)
        if plan.form == "table":
            draw(chain(discrepancy_blocks(_title(deployment), noted()), summary), sys.stdout)
        else:
            for _ in noted():
                pass
    if plan.form != "table":
        for line in summary:
            tell(line.plain)
    return [*keys, *comparison.summary.restless]


@dataclass(frozen=True)
class _RepairOrder:
    """What was asked for.

    Attributes:
        are_named: somebody has named the keys.
    """

    deployment: DeployedTables
    keys: list[Item]
    are_named: bool
    state: Path
    choice: PlanChoice

    def follow(self) -> int:
        """Show what would be done, keep it, or do exactly that; returns the exit status."""
        planned = self._carried_out(apply=False, deletes=self.choice.approval.deletes)
        with kept_and_approved(
            lambda: self._plan(planned), self.choice, lambda: self._approve(planned)
        ):
            if not self.choice.apply:
                return self._give(planned)
            # So many deletes were shown, and the replica's name was typed for them.
            is_named = planned.ended is not None
            deletes = self._name if is_named else self.choice.approval.deletes
            repaired = self._carried_out(apply=True, deletes=deletes, planned=planned.plan)
            return self._give(repaired)

    def follow_kept(self, plan: Plan) -> int:
        """Do what a plan says that was kept; returns the exit status."""
        stakes = self._stakes(len(plan.items) - plan.deletes, plan.deletes)
        approve_kept(self.choice, stakes, plan_blocks(plan, is_each=self.choice.is_each))
        deletes = self.choice.approval.deletes
        return self._give(self._carried_out(apply=True, deletes=deletes, planned=plan.items))

    def _carried_out(
        self, *, apply: bool, deletes: str | None, planned: Iterable[PlanItem] | None = None
    ) -> Repaired:
        """Repair, or plan to; of a plan only what it says."""
        try:
            with ProgressBar() as progress:
                return repair_items(
                    self.deployment,
                    self.keys,
                    apply=apply,
                    deletes=deletes,
                    state_path=self.state,
                    planned=planned,
                    are_named=self.are_named,
                    pace=Pace(self.choice.rate, progress=progress),
                )
        except KeyboardInterrupt:
            if apply:
                tell(GOES_ON)
            raise

    def _plan(self, planned: Repaired) -> Plan:
        arguments, table = resolved_arguments(), _replica(self.deployment)
        header = plan_maker(self.deployment).header(
            self.deployment, "repair", arguments, table, Pace()
        )
        return Plan(header, planned.plan)

    def _approve(self, planned: Repaired) -> None:
        """Show what would be done, and return only if it is approved."""
        deletes = planned.differing.get(DiscrepancyKind.EXTRANEOUS, 0)
        stakes = self._stakes(sum(planned.differing.values()) - deletes, deletes)
        blocks = list(self._blocks(planned, f"Plan: repair of {self._name}"))
        if planned.ended is not None:
            blocks += [Text(visible(planned.ended), style="red"), ""]
        require_approval(blocks, self.choice.form, stakes, self.choice.approval)

    def _stakes(self, writes: int, deletes: int) -> Stakes:
        def size() -> int | None:
            return _replica(self.deployment).items

        return Stakes.of_items(self._name, writes, deletes, named_deletes=True, size=size)

    def _give(self, repaired: Repaired) -> int:
        """Show what it came to; returns the exit status."""
        good = repaired.applied and repaired.is_clean
        answer = Answer(
            REPAIR_LINE,
            repair_line_records(repaired),
            self._blocks(repaired, f"Repair of {self._name}"),
            lambda: repair_record(repaired),
            [
                *([] if repaired.ended is None else [summary_line(repaired.ended, good=False)]),
                summary_line(_repair_summary(repaired), good=good),
            ],
            is_applied=repaired.applied,
        )
        give(answer, self.choice.form)
        return CLEAN if repaired.is_clean else FINDINGS

    def _blocks(self, repaired: Repaired, title: str) -> Iterator[RenderableType]:
        return repair_blocks(repaired, title, is_each=self.choice.is_each)

    @property
    def _name(self) -> str:
        return str(self.deployment.replica_table)


def _replica(deployment: DeployedTables) -> TableDescription:
    return describe(deployment.replica_client, str(deployment.replica_table))


def _title(deployment: DeployedTables) -> str:
    return f"{deployment.source_table} and its replica {deployment.replica_table}"


def _comparison_summary(comparison: Comparison) -> Iterator[Text]:
    """What a comparison came to, once all of it has passed."""
    summary = comparison.summary
    yield summary_line(summary.statement, good=summary.is_clean)
    if summary.restless:
        keys = ", ".join(map(key_text, summary.restless[:_MOST_KEYS_LISTED]))
        more = " and others" if len(summary.restless) > _MOST_KEYS_LISTED else ""
        yield summary_line(f"changed all the time: {keys}{more}", good=False)
    if summary.sample < 1:
        option_text = f"--sample {summary.sample:g} --seed {summary.seed}"
        yield summary_line(f"the same items again: {option_text}", good=False)


def _repair_summary(repaired: Repaired) -> str:
    differing = sum(repaired.differing.values())
    if not repaired.applied:
        deletes = repaired.differing.get(DiscrepancyKind.EXTRANEOUS, 0)
        written = f"{cells.count_of(differing - deletes, 'item')} of the replica would be written"
        would = written + (f" and {deletes:,} deleted from it" if deletes else "")
        # As long as the brake holds, all of it would be refused.
        return dry_run(
            would if repaired.ended is None else f"and the replica's name (--deletes) {would}"
        )
    remaining = repaired.looked_at - repaired.equal - repaired.healed
    return f"{repaired.healed:,} of {differing:,} as in the source now" + (
        f", {remaining:,} not: repair again when the cause is removed" if remaining else ""
    )
