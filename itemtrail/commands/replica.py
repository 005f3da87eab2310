"""The commands that find and heal drift of the replica: compare, repair."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TextIO

import click
from rich.text import Text

from itemtrail.commands.kept_plan import keep_and_ask, kept_plan, plan_maker, show_kept
from itemtrail.exit_status import CLEAN, FINDINGS
from itemtrail.options.keys import KeyedCommand, given_keys, keys_file_option, require_one_way
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
from itemtrail.options.plan import PlanChoice, each_option, plan_options, resolved_arguments
from itemtrail.options.target import key_argument, output_option
from itemtrail.output.answer import Answer, chosen_form, give, tell
from itemtrail.output.approval import Approval, Stakes, require_approval
from itemtrail.output.dry_run import dry_run
from itemtrail.output.progress import ProgressBar
from itemtrail.output.terminal import show
from itemtrail.records.kinds import DISCREPANCY, UNHEALED
from itemtrail.records.replica import discrepancy_record, repair_record, unhealed_records
from itemtrail.tables import cells
from itemtrail.tables.layout import summary_line
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
@key_argument(required=False)
@keys_file_option
@_segments_option
@partial(state_option, operation="repair")
@each_option
@rate_option
@plan_options("most", "deletes")
@replica_target_options
@output_option
def repair(  # noqa: PLR0913 - an option each
    *,
    key: tuple[str, ...],
    keys_file: TextIO | None,
    segments: int,
    state_path: Path | None,
    rate: float | None,
    output: str | None,
    target: OperationTarget,
    is_each: bool,
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
    form, kept = chosen_form(output), kept_plan(plan)
    if kept is not None and not plan.apply:
        return show_kept(kept, form, is_each=is_each)
    require_one_way(key, keys_file)
    deployment, _ = target.find()
    if kept is None:
        named = given_keys(source_key_schema(deployment), key, keys_file)
        keys = _compared(deployment, segments, rate, form) if named is None else named
    else:
        require_fit(kept, "repair", _replica(deployment), deployment)
        named, keys = None, [item.keys for item in kept.items]
    state = state_path or default_state("repair", str(deployment.replica_table))
    order = _RepairOrder(deployment, keys, named is not None, rate, state, plan.approval.deletes)
    if kept is None:
        repaired = _planned(order, form, plan, is_each=is_each)
    else:
        repaired = order.carried_out(apply=True, planned=kept.items)
    good = repaired.applied and repaired.is_clean
    answer = Answer(
        UNHEALED,
        unhealed_records(repaired),
        repair_blocks(repaired, f"Repair of {deployment.replica_table}", is_each=is_each),
        lambda: repair_record(repaired),
        [
            *([] if repaired.ended is None else [summary_line(repaired.ended, good=False)]),
            summary_line(_repair_summary(repaired), good=good),
        ],
    )
    give(answer, form)
    return CLEAN if repaired.is_clean else FINDINGS


def _planned(order: "_RepairOrder", form: str, choice: PlanChoice, *, is_each: bool) -> Repaired:
    """What would be done; and, where that is approved, what became of exactly that."""
    planned, deployment = order.carried_out(apply=False), order.deployment

    def plan() -> Plan:
        arguments, table = resolved_arguments(), _replica(deployment)
        return Plan(
            plan_maker().header(deployment, "repair", arguments, table, Pace()), planned.plan
        )

    def ask() -> None:
        _require_approval(deployment, planned, form, choice.approval, is_each=is_each)

    keep_and_ask(plan, choice, ask)
    if not choice.apply:
        return planned
    if planned.ended is not None:
        # So many deletes were shown, and the replica's name was typed for them.
        order = replace(order, deletes=str(order.deployment.replica_table))
    return order.carried_out(apply=True, planned=planned.plan)


def _compared(
    deployment: DeployedTables, segments: int, rate: float | None, form: str
) -> list[Item]:
    """The keys of what differs, or changed all the time, shown to a person as they are found."""
    keys: list[Item] = []
    with ProgressBar() as progress:
        pace = Pace(rate, progress=progress)
        comparison = compare_tables(deployment, segments=segments, pace=pace)

        def noted() -> Iterator[Discrepancy]:
            for discrepancy in comparison:
                keys.append(discrepancy.keys)
                yield discrepancy

        summary = _comparison_summary(comparison)
        if form == "table":
            show(chain(discrepancy_blocks(_title(deployment), noted()), summary), progress)
        else:
            for _ in noted():
                pass
    if form != "table":
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
    rate: float | None
    state: Path
    deletes: str | None

    def carried_out(self, *, apply: bool, planned: Iterable[PlanItem] | None = None) -> Repaired:
        """Repair, or plan to; of a plan only what it says."""
        try:
            with ProgressBar() as progress:
                return repair_items(
                    self.deployment,
                    self.keys,
                    apply=apply,
                    deletes=self.deletes,
                    state_path=self.state,
                    planned=planned,
                    are_named=self.are_named,
                    pace=Pace(self.rate, progress=progress),
                )
        except KeyboardInterrupt:
            if apply:
                tell(GOES_ON)
            raise


def _require_approval(
    deployment: DeployedTables,
    planned: Repaired,
    form: str,
    approval: Approval,
    *,
    is_each: bool,
) -> None:
    """Show what a repair would do, and return only if it is approved."""
    replica = str(deployment.replica_table)
    deletes = planned.differing.get(DiscrepancyKind.EXTRANEOUS, 0)
    writes = sum(planned.differing.values()) - deletes

    def size() -> int | None:
        return _replica(deployment).items

    stakes = Stakes.of_items(replica, writes, deletes, named_deletes=True, size=size)
    plan = list(repair_blocks(planned, f"Plan: repair of {replica}", is_each=is_each))
    if planned.ended is not None:
        plan += [Text(cells.printable(planned.ended), style="red"), ""]
    require_approval(plan, form, stakes, approval)


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
        return dry_run(written + (f" and {deletes:,} deleted from it" if deletes else ""))
    remaining = repaired.looked_at - repaired.equal - repaired.healed
    return f"{repaired.healed:,} of {differing:,} as in the source now" + (
        f", {remaining:,} not: repair again when the cause is removed" if remaining else ""
    )
