"""Start on a living table: its items into the history, as baselines, and into the replica.

The table is read segment by segment, the segments side by side, while it is written to. What was
changed since the deployment is in the history already, and its INSERT or its old images tell what
was there before; of everything else a baseline is taken. The replica is settled, so that what
changes or is deleted meanwhile ends in the source's state. A page is done with when all of that
has succeeded; then the state file has the place to go on from.
"""

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from operations.backfill.baselines import Baselines
from operations.backfill.journal import Journal
from operations.backfill.mark import MarkResult, MarkWriter
from operations.backfill.results import Counts, Problem
from operations.backfill.run import PATIENCE_S, BackfillRun
from operations.backfill.source_facts import SourceFacts
from operations.deployed_tables import DeployedTables
from operations.errors import RefusedError
from operations.execution.guard import DeleteBrake, require_followed
from operations.execution.pace import Pace
from operations.execution.service_clock import ServiceClock
from operations.execution.state_file import StateFile
from reports.access.clients import CONCURRENCY
from reports.access.table_description import TableDescription, describe
from reports.deployment.stack import Stack
from reports.exports.export import Export
from stream_core.history_row import time_text

_MOST_SEGMENTS = 256
# Where nothing is deleted.
_NO_BRAKE = DeleteBrake("", 0, is_lifted=True)
_GO_ON = "run the same command again: it goes on from {}"


@dataclass(frozen=True)
class Backfill:
    """What a backfill did, or without `applied` what it would do.

    Attributes:
        applied: whether anything was written.
        finished: whether all of the table was done with, by this run and those it went on from.
        counts: what became of the items.
        problems: items that the history or the replica refuses; trying again does not help.
        unfinished: items that could not be done with now.
        go_on: how to go on, in words; None: there is nothing left to do.
        ended: why this run ended before all was done; None: it did not.
        gap: a declaration for `verify --gaps`: what was changed or deleted before its baseline
            has no beginning in the history, and never will. None: not all baselines are written.
        mark: what became of the mark of a finished backfill; None: the history was left alone.
        export_id: of the export that the items were taken from, whatever its place; None: of none.
    """

    applied: bool
    finished: bool
    counts: Counts
    problems: list[Problem]
    unfinished: list[Problem]
    go_on: str | None
    gap: dict[str, str] | None
    mark: MarkResult | None
    ended: str | None = None
    export_id: str | None = None


def backfill(  # noqa: PLR0913 - what people may choose
    deployment: DeployedTables,
    *,
    stack: Stack | None = None,
    export: str | Path | None = None,
    export_id: str | None = None,
    segments: int = CONCURRENCY,
    apply: bool = False,
    state_path: str | Path | None = None,
    deletes: str | None = None,
    history: bool = True,
    replica: bool = True,
    pace: Pace,
) -> Backfill:
    """Bring the items of a table into its history and its replica; run again, it adds nothing.

    Args:
        deployment: the tables.
        stack: that they are of; it shows since when changes are recorded, and without it the
            history gets no mark that the backfill was finished.
        export: take the items from a full export by DynamoDB (`s3://BUCKET/PREFIX/AWSDynamoDB/ID`,
            or the path of a copy), which takes no capacity of the table; only the replica is
            still settled against the table itself.
        export_id: which export that has to be, as an earlier `Backfill` has it; None: any.
        segments: how many parts of the table, or files of the export, to work on side by side.
        apply: write; otherwise what would be written is counted.
        state_path: where to keep how far it is. When it is interrupted the same call goes on.
        deletes: the replica's name, given to have items deleted from it however many they are.
        history: write baselines.
        replica: settle the replica.
        pace: how fast, how long a page is tried, what is called with the items done.

    Raises:
        RefusedError: it would do harm, or there is nothing to do; the history or the stack is
            another table's; the export is another one.
        StateFileError: the state file is of another run, or cannot be used.
        ExportError: the export is damaged, or not a full one in DYNAMODB_JSON.
        OperationError: a table does not answer; go on later.
        TableNotFoundError: there is no such table.
    """
    plan = _Plan(
        deployment,
        stack,
        segments=segments,
        apply=apply,
        history=history,
        replica=replica,
        pace=pace,
        clock=ServiceClock(pace.machine.now),
    )
    plan.require_sense(state_path)
    plan = dataclasses.replace(
        plan, brake=plan.brake_on(require_followed(deployment, pace), deletes)
    )
    facts = SourceFacts.read(deployment, plan.clock)
    full_export = None if export is None else Export.read(export, deployment.s3)
    if full_export is not None:
        _require_same(full_export, export_id)
        _require_fit(full_export, facts, deployment.reader.horizon if history else None)
    if not apply or state_path is None:
        return plan.carry_out(facts, full_export, None)
    file = StateFile(state_path, plan.about(facts, full_export))
    with file.alone():
        return plan.carry_out(facts, full_export, file)


@dataclass(frozen=True)
class _Plan:
    """What was asked for."""

    deployment: DeployedTables
    stack: Stack | None
    segments: int
    apply: bool
    history: bool
    replica: bool
    pace: Pace
    clock: ServiceClock
    brake: DeleteBrake = _NO_BRAKE

    def brake_on(self, source: TableDescription, deletes: str | None) -> DeleteBrake:
        """What holds deletes from the replica, where there are any."""
        deployment = self.deployment
        if not self.replica or not self.apply:
            return _NO_BRAKE
        replica = describe(deployment.replica_client, deployment.replica.name)
        return DeleteBrake.on(deployment, source, replica, deletes, self.pace)

    def require_sense(self, state_path: str | Path | None) -> None:
        """Refuse what would do harm, and what would do nothing."""
        if not self.history and not self.replica:
            raise RefusedError("neither the history nor the replica: there is nothing to do")
        if not 0 < self.segments <= _MOST_SEGMENTS:
            raise RefusedError(
                f"{self.segments} segments: give at least 1 and at most {_MOST_SEGMENTS}"
            )
        if self.replica and self._replica_is_source():
            raise RefusedError("the replica is the source table itself: name another table")
        if self.apply and state_path is None:
            raise RefusedError(
                "which state file shall keep how far the backfill is? name one: without it, an "
                "item deleted while the backfill is interrupted could stay in the replica"
            )
        if self.history:
            # Raises unless it is a history table: a wrong one must not pass for an empty one.
            _ = self.deployment.reader.horizon

    def about(self, facts: SourceFacts, export: Export | None) -> dict[str, Any]:
        """What a state file has to be about to be gone on from."""
        deployment = self.deployment
        replica = [deployment.replica_region, deployment.replica_table, deployment.replica_role_arn]
        return {
            "operation": "backfill",
            "source": facts.arn,
            "source id": facts.table_id,
            "history": deployment.history_table if self.history else None,
            "replica": replica if self.replica else None,
            "export": None if export is None else export.arn,
            # The parts of an export are its files.
            "segments": self.segments if export is None else len(export.files),
        }

    def carry_out(
        self, facts: SourceFacts, export: Export | None, file: StateFile | None
    ) -> Backfill:
        """Go as far as it gets."""
        if export is not None and self.brake.doubt:
            # What is in the export and not in the source would be deleted.
            self.brake.require(export.items)
        parts = self.segments if export is None else len(export.files)
        expected = facts.expected if export is None else export.items
        started = self.clock.latest() if export is None else export.time
        journal = Journal(parts, file, started, expected, self.pace.progress)
        run = self._run(facts, journal)
        marks = MarkWriter(self.deployment, self.stack, self.clock, facts)
        if run.settle_again():
            self._work(run, facts, export)
        mark = None
        if self.history:
            method = "scan" if export is None else "export"
            patience = self.pace.patience(PATIENCE_S)
            mark = marks.conclude(journal, method, patience, apply=self.apply)
        journal.close()
        until = self.clock.latest() if export is None else export.time
        has_gap = self.apply and self.history and journal.is_finished
        return Backfill(
            applied=self.apply,
            finished=journal.is_finished,
            counts=journal.counts,
            problems=journal.refused,
            unfinished=journal.undone,
            go_on=None if journal.is_finished or file is None else _GO_ON.format(file.path),
            gap=_gap(facts, until) if has_gap else None,
            mark=mark,
            ended=journal.ended,
            export_id=None if export is None else export.content_id,
        )

    def _work(self, run: BackfillRun, facts: SourceFacts, export: Export | None) -> None:
        if export is None:
            self._tune(facts)
            run.side_by_side(run.segment, self.segments)
        else:
            run.side_by_side(lambda number: run.file(export, number), self.segments)

    def _run(self, facts: SourceFacts, journal: Journal) -> BackfillRun:
        return BackfillRun(
            facts,
            self.deployment.dynamodb,
            journal,
            baselines=self._baselines(facts) if self.history else None,
            settler=self.deployment.settler if self.replica and self.apply else None,
            brake=self.brake,
            replica=self.replica,
            apply=self.apply,
            pace=self.pace,
            clock=self.clock,
        )

    def _tune(self, facts: SourceFacts) -> None:
        """Learn the service's time, if anything is to be dated by it."""
        if self.apply and self.history:
            client, sleep = self.deployment.dynamodb, self.pace.machine.sleep
            self.clock.tune(lambda: client.describe_table(TableName=facts.name), sleep)

    def _baselines(self, facts: SourceFacts) -> Baselines:
        deployment = self.deployment
        return Baselines(
            facts,
            deployment.dynamodb,
            deployment.history_writer,
            self.clock,
            self.pace.machine.sleep,
        )

    def _replica_is_source(self) -> bool:
        deployment = self.deployment
        here = deployment.session.region_name
        return (
            deployment.replica_table == deployment.source_table
            and not deployment.replica_role_arn
            and (deployment.replica_region or here) == here
        )


def _require_same(export: Export, planned: str | None) -> None:
    """Refuse an export that was put where a plan has another one."""
    if planned not in (None, export.content_id):
        raise RefusedError(
            f"the export is another one than was planned: {export.content_id}, not {planned}: put "
            "that one back, or make the plan anew"
        )


def _require_fit(export: Export, facts: SourceFacts, horizon: datetime | None) -> None:
    """Refuse an export that says nothing about the table as its history knows it."""
    if export.table_arn != facts.arn:
        raise RefusedError(f"the export is of {export.table_arn}, not of {facts.arn}")
    if export.table_id and facts.table_id and export.table_id != facts.table_id:
        raise RefusedError(
            f"the export is of an older table of the name '{facts.name}', which was deleted: "
            "export the table anew"
        )
    if horizon is not None and export.time < horizon:
        raise RefusedError(
            f"the export shows the table at {time_text(export.time)}, before the history began at "
            f"{time_text(horizon)}: what changed in between was never recorded; export the table "
            "anew"
        )


def _gap(facts: SourceFacts, until: datetime) -> dict[str, str]:
    return {
        "class": "MISSING_START",
        "to": time_text(until),
        "cause": f"'{facts.name}' was backfilled: this item was changed or deleted after the "
        "deployment and before its baseline could be taken",
    }
