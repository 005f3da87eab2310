"""The command that brings the items of a living table in: backfill."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from rich.console import RenderableType

from itemtrail.commands.kept_plan import (
    approve_kept,
    kept_and_approved,
    kept_plan,
    plan_maker,
    planned_tables,
    report_unplanned,
    show_kept,
)
from itemtrail.exit_status import CLEAN, FINDINGS
from itemtrail.options.operation_target import (
    OperationTarget,
    backfill_target_options,
    consumers_meant,
    consumers_there,
    default_state,
    segments_option,
)
from itemtrail.options.plan import PlanChoice, plan_options
from itemtrail.output.answer import Answer, give, tell
from itemtrail.output.approval import Stakes, require_approval
from itemtrail.output.dry_run import dry_run
from itemtrail.output.progress import ProgressBar
from itemtrail.records.backfill import backfill_record, problem_records
from itemtrail.records.kinds import PROBLEM
from itemtrail.tables import cells
from itemtrail.tables.backfill import backfill_blocks, gap_text, outline_blocks
from itemtrail.tables.layout import summary_line
from itemtrail.tables.plan import plan_blocks
from operations.backfill.mark import MarkOutcome, MarkResult
from operations.backfill.plan import Backfill
from operations.backfill.plan import backfill as backfill_table
from operations.deployed_tables import DeployedTables
from operations.errors import RefusedError
from operations.execution.pace import Pace
from operations.execution.plan_file import Plan
from operations.execution.plan_header import by_reason, require_same_table
from reports.access.clients import CONCURRENCY
from reports.access.table_description import TableDescription, describe
from reports.deployment.stack import Consumer, Stack
from stream_core.history_row import time_text

_MOST_SEGMENTS = 256


@click.command(short_help="Existing items into the history and the replica.")
@segments_option(CONCURRENCY, _MOST_SEGMENTS)
@click.option(
    "--state",
    "state_path",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File that keeps how far the backfill is; by default backfill-TABLE-REGION.json in "
    "~/.local/state/itemtrail.",
)
@click.option("--no-history", is_flag=True, help="Leave the history alone.")
@click.option("--no-replica", is_flag=True, help="Leave the replica alone.")
@click.option(
    "--from-export",
    "export",
    metavar="PLACE",
    help="Take the items from a full export in DYNAMODB_JSON, s3://BUCKET/PREFIX/AWSDynamoDB/ID or "
    "a copy of that folder, which takes no capacity of the table.",
)
@plan_options("deletes", has_items=False)
@backfill_target_options
def backfill(  # noqa: PLR0913 - an option each
    *,
    segments: int,
    state_path: Path | None,
    export: str | None,
    target: OperationTarget,
    no_history: bool,
    no_replica: bool,
    plan: PlanChoice,
) -> int:
    """Bring the items of a table that is in use into its history and its replica.

    Items of which the history has no beginning get a baseline (SNAPSHOT); the replica is made
    equal. Of a stack that has only one of the two, that one is done. A dry run unless --apply,
    which asks before it writes. Run again it adds nothing; interrupted, the same command with the
    same --state goes on from there. Exits with 1 if something could not be done.

    \b
    Example:
      itemtrail backfill --stack employee-trail
      itemtrail backfill --stack employee-trail --rate 500 --state backfill.json --apply --yes
      itemtrail backfill --no-replica --stack employee-trail --apply --yes --output json
      itemtrail backfill --stack employee-trail --plan-out backfill.plan
      itemtrail backfill --plan backfill.plan --apply --stack employee-trail
      itemtrail backfill --from-export ./export/AWSDynamoDB/01693685827463-2d8752fd \\
        --stack employee-trail
    """  # noqa: D301
    kept = kept_plan(plan)
    if kept is not None and not plan.apply:
        return show_kept(kept, plan, plan_blocks(kept))
    if kept is None:
        deployment, stack = target.find()
        what = _what(no_history=no_history, no_replica=no_replica, segments=segments, export=export)
    else:
        deployment, stack = planned_tables(kept, "backfill", target)
        what = kept.header.arguments
    order = _BackfillOrder(
        deployment,
        stack,
        consumers_meant(
            list(map(Consumer, what["consumers"])), consumers_there(deployment, stack), stack
        ),
        what,
        state_path or default_state("backfill", deployment.source_table, deployment),
        plan,
    )
    if kept is None:
        return order.follow()
    return max(order.follow_kept(kept), report_unplanned(kept))


def _what(
    *, no_history: bool, no_replica: bool, segments: int, export: str | None
) -> Mapping[str, Any]:
    """What is asked for, as the arguments of a plan."""
    left_out = {Consumer.HISTORY_WRITER: no_history, Consumer.REPLICA_WRITER: no_replica}
    if all(left_out.values()):
        raise click.UsageError(
            "--no-history and --no-replica leave nothing to do: give one of them at most",
            click.get_current_context(),
        )
    asked_for = [consumer for consumer in Consumer if not left_out[consumer]]
    if export is not None and "://" not in export:
        # The same place from wherever the plan is carried out.
        export = str(Path(export).absolute())
    consumers = asked_for if any(left_out.values()) else []
    what = {"consumers": consumers, "segments": segments, "export": export}
    return {name: value for name, value in what.items() if value is not None}


@dataclass(frozen=True)
class _BackfillOrder:
    """What was asked for.

    Attributes:
        consumers: for which the items are brought in.
        what: the same, the segments and the export, as the arguments of a plan.
    """

    deployment: DeployedTables
    stack: Stack | None
    consumers: Collection[Consumer]
    what: Mapping[str, Any]
    state: Path
    choice: PlanChoice

    def follow(self) -> int:
        """Count what would be done, keep it as a plan, or do it; returns the exit status.

        It is not counted only to be asked for: to count is to read the whole table, as to do it is.
        """
        if self.choice.apply and self.choice.plan_out is None:
            self._approve(self._outline())
            return self._give(self._carried_out(apply=True))
        counted = self._carried_out(apply=False)
        blocks = backfill_blocks(counted, self.consumers, self.deployment.source_table)
        with kept_and_approved(
            lambda: self._plan(counted), self.choice, lambda: self._approve(blocks)
        ):
            if not self.choice.apply:
                return self._give(counted)
            return self._give(self._carried_out(apply=True, export_id=counted.export_id))

    def follow_kept(self, plan: Plan) -> int:
        """Do what a plan says that was kept; returns the exit status.

        Raises:
            RefusedError: it is for another replica, or not approved.
        """
        if Consumer.REPLICA_WRITER in self.consumers:
            planned = plan.header.arguments["replica"]
            require_same_table(planned["arn"], planned["id"], self._replica())
        approve_kept(self.choice, self._stakes, plan_blocks(plan))
        # A plan that does not say which export it is of fits none.
        export_id = plan.header.arguments.get("export_id", "") if "export" in self.what else None
        return self._give(self._carried_out(apply=True, export_id=export_id))

    def _carried_out(self, *, apply: bool, export_id: str | None = None) -> Backfill:
        try:
            with ProgressBar() as progress:
                return backfill_table(
                    self.deployment,
                    stack=self.stack,
                    export=self.what.get("export"),
                    export_id=export_id,
                    segments=self.what["segments"],
                    apply=apply,
                    state_path=self.state,
                    deletes=self.choice.approval.deletes,
                    history=Consumer.HISTORY_WRITER in self.consumers,
                    replica=Consumer.REPLICA_WRITER in self.consumers,
                    pace=Pace(self.choice.rate, progress=progress),
                )
        except KeyboardInterrupt:
            if apply and self.state.exists():
                tell(f"interrupted: run the same command again, it goes on from {self.state}")
            raise

    def _plan(self, counted: Backfill) -> Plan:
        """The plan of what was counted.

        Raises:
            RefusedError: not all of the table was.
        """
        if not counted.finished:
            raise RefusedError(
                "no plan was kept: not all of the table could be read"
                + ("" if counted.ended is None else f" ({counted.ended})")
            )
        arguments = {**self.what, "consumers": list(self.consumers)}
        if counted.export_id is not None:
            arguments["export_id"] = counted.export_id
        if Consumer.REPLICA_WRITER in self.consumers:
            replica = self._replica()
            arguments["replica"] = {"arn": replica.arn, "id": replica.table_id}
        header = plan_maker(self.deployment).header(
            self.deployment, "backfill", arguments, self._source(), Pace()
        )
        totals = {
            Consumer.HISTORY_WRITER: ("baselines in the history", counted.counts.baselines),
            Consumer.REPLICA_WRITER: ("items settled in the replica", counted.counts.settled),
        }
        refused = (("refused", problem.reason) for problem in counted.problems)
        return Plan(
            replace(
                header,
                counts=by_reason(refused),
                totals=dict(totals[consumer] for consumer in self.consumers),
            ),
            (),
        )

    def _outline(self) -> Iterator[RenderableType]:
        """What would be done, uncounted."""
        deployment = self.deployment
        tables = {
            Consumer.HISTORY_WRITER: deployment.history_table,
            Consumer.REPLICA_WRITER: deployment.replica_table,
        }
        return outline_blocks(
            deployment.source_table,
            self.what.get("export"),
            self._source().items,
            {consumer: str(tables[consumer]) for consumer in self.consumers},
        )

    def _approve(self, blocks: Iterable[RenderableType]) -> None:
        """Show what would be done, and return only if it is approved."""
        require_approval(blocks, self.choice.form, self._stakes, self.choice.approval)

    @property
    def _stakes(self) -> Stakes:
        deployment = self.deployment
        parts = {
            Consumer.HISTORY_WRITER: f"baselines would be added to the history "
            f"{deployment.history_table}",
            Consumer.REPLICA_WRITER: "its items would be written into the replica "
            f"{deployment.replica_table} where they differ",
        }
        text = " and ".join(parts[consumer] for consumer in self.consumers)
        return Stakes(deployment.source_table, f"of {deployment.source_table} {text}")

    def _give(self, result: Backfill) -> int:
        """Show what it came to; returns the exit status."""
        form, is_clean = self.choice.form, _is_clean(result)
        good = result.applied and is_clean
        answer = Answer(
            PROBLEM,
            problem_records(result),
            backfill_blocks(result, self.consumers, self.deployment.source_table),
            lambda: backfill_record(result),
            [
                *([] if result.ended is None else [summary_line(result.ended, good=False)]),
                *(
                    []
                    if result.mark is None
                    else [summary_line(_mark_text(result.mark), good=good)]
                ),
                summary_line(_backfill_summary(result, self.consumers), good=good),
            ],
            is_applied=result.applied,
        )
        give(answer, form)
        if form not in ("table", "json") and result.gap is not None:
            tell(f"for verify --gaps: {gap_text(result)}")
        return CLEAN if is_clean else FINDINGS

    def _source(self) -> TableDescription:
        return describe(self.deployment.dynamodb, self.deployment.source_table)

    def _replica(self) -> TableDescription:
        return describe(self.deployment.replica_client, str(self.deployment.replica_table))


def _is_clean(result: Backfill) -> bool:
    return result.finished and not result.problems and not result.unfinished


def _backfill_summary(result: Backfill, consumers: Collection[Consumer]) -> str:
    problems = [
        f"{len(group):,} {what}"
        for group, what in (
            (result.problems, "refused for good"),
            (result.unfinished, "not done"),
        )
        if group
    ]
    would = "" if result.applied else "would be "
    parts = {
        Consumer.HISTORY_WRITER: f"{cells.count_of(result.counts.baselines, 'baseline')} {would}"
        "written",
        Consumer.REPLICA_WRITER: f"{cells.count_of(result.counts.settled, 'item')} {would}settled "
        "in the replica",
    }
    done = [parts[consumer] for consumer in consumers]
    if not result.applied:
        return ", ".join([dry_run(" and ".join(done)), *problems])
    word = "done" if result.finished else "not finished"
    go_on = f"; {result.go_on}" if result.go_on else ""
    return f"{word}: {', '.join([*done, *problems])}{go_on}"


def _mark_text(mark: MarkResult) -> str:
    """What became of the mark that lets answers rest on there being no row."""
    since = "" if mark.since is None else time_text(mark.since)
    return {
        MarkOutcome.WRITTEN: f"the history is marked as complete since {since}",
        MarkOutcome.PLANNED: f"the history would be marked as complete since {since}",
        MarkOutcome.THERE: f"the history is marked as complete since {since} already",
        MarkOutcome.REFUSED: f"the history gets no mark that it is complete: {mark.reason}",
    }[mark.outcome]
