"""The mark of a finished backfill: when it may be set, and that it is there.

It says that whatever was in the table when the backfill was begun has a row. What was deleted
before its segment was read is known by its REMOVE only, so that the history writer has to have
read the stream from before that moment; the stack tells.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from importlib.metadata import version
from typing import Any, TypeGuard

from operations.backfill.journal import Journal
from operations.backfill.source_facts import SourceFacts
from operations.control_rows import write_control_row
from operations.deployed_tables import DeployedTables
from operations.execution.request import answer_to
from operations.execution.service_clock import ServiceClock
from reports.deployment.stack import Consumer, Stack
from reports.deployment.stack_reader import UNREADABLE, StackReader, reason_of
from stream_core.control_row import BackfillMark, ControlRow, TableLife, label_of
from stream_core.history_row import time_text
from stream_core.retry import Patience

_ONCE_MORE = "run it once more"


class MarkOutcome(StrEnum):
    """What became of the mark."""

    WRITTEN = "written"
    PLANNED = "planned"
    """Nothing is written in a dry run."""
    THERE = "there"
    """An earlier backfill of the same table and stream has set it."""
    REFUSED = "refused"
    """It would say more than is known."""


@dataclass(frozen=True)
class MarkResult:
    """What became of the mark, in words too.

    Attributes:
        since: from when on "no row" means that there was no item; None where it is refused.
        reason: why it is refused, and what to do.
    """

    outcome: MarkOutcome
    since: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True)
class MarkWriter:
    """Writes the control rows of a backfill.

    Attributes:
        stack: None: nothing shows since when changes are recorded.
        facts: the source as it was when this run began.
    """

    deployment: DeployedTables
    stack: Stack | None
    clock: ServiceClock
    facts: SourceFacts

    def conclude(
        self, journal: Journal, method: str, patience: Patience, *, apply: bool
    ) -> MarkResult:
        """Say which table the stream is of, and set the mark if the backfill may vouch for it.

        Args:
            journal: what was done.
            method: `scan` or `export`.
            patience: how long to go on trying.
            apply: whether to write.
        """
        if not journal.is_finished or journal.undone:
            return MarkResult(MarkOutcome.REFUSED, reason="the backfill is not finished")
        if apply:
            self._write_life(patience)
        if (there := self._there(patience)) is not None:
            return MarkResult(MarkOutcome.THERE, there.started)
        problem = self._problem(journal)
        if problem is not None:
            return MarkResult(MarkOutcome.REFUSED, reason=problem)
        if not apply:
            return MarkResult(MarkOutcome.PLANNED, journal.started)
        mark = BackfillMark(
            self.facts.event_source_arn,
            self.facts.table_id,
            journal.started,
            self.clock.latest(),
            method,
            journal.counts.as_json(),
            secrets.token_hex(8),
            f"itemtrail {version('itemtrail')}",
        )
        self._write(mark, patience)
        return MarkResult(MarkOutcome.WRITTEN, mark.started)

    def _write_life(self, patience: Patience) -> None:
        facts = self.facts
        if label_of(facts.event_source_arn):
            life = TableLife(facts.event_source_arn, facts.table_id, facts.created_at)
            self._write(life, patience)

    def _there(self, patience: Patience) -> BackfillMark | None:
        reader = self.deployment.reader
        rows = answer_to(reader.control_rows, patience, reader.history_table)
        marks = (row for row in rows if self._is_of_this(row))
        return min(marks, key=lambda mark: mark.started, default=None)

    def _is_of_this(self, row: ControlRow) -> TypeGuard[BackfillMark]:
        return (
            isinstance(row, BackfillMark)
            and row.stream_arn == self.facts.event_source_arn
            and row.table_id == self.facts.table_id
        )

    def _problem(self, journal: Journal) -> str | None:
        if journal.refused:
            return f"{len(journal.refused):,} items were refused: the history lacks their beginning"
        if self.stack is None:
            return (
                "no stack was named, so nothing shows since when changes are recorded: "
                f"{_ONCE_MORE} with --stack NAME"
            )
        now = SourceFacts.read(self.deployment, self.clock)
        if (now.table_id, now.event_source_arn) != (
            self.facts.table_id,
            self.facts.event_source_arn,
        ):
            return f"the table or its stream became another one meanwhile: {_ONCE_MORE}"
        return self._recording_problem(self.stack, journal.started)

    def _recording_problem(self, stack: Stack, started: datetime) -> str | None:
        deployment = self.deployment
        try:
            with StackReader(deployment.session, stack, deployment.endpoint_url) as reader:
                mapping = reader.mapping(Consumer.HISTORY_WRITER)
        except UNREADABLE as error:
            return f"the history writer's mapping cannot be read ({reason_of(error)}): {_ONCE_MORE}"
        return recording_problem(mapping, self.facts.event_source_arn, started)

    def _write(self, row: ControlRow, patience: Patience) -> None:
        writer = self.deployment.history_writer
        write_control_row(writer.dynamodb, writer.history_table, row, patience)


def recording_problem(mapping: Mapping[str, Any], stream_arn: str, started: datetime) -> str | None:
    """Why a mapping may not have read all of a stream since before a time; None: it has.

    Args:
        mapping: as Lambda describes it.
        stream_arn: the stream.
        started: the time.
    """
    name = "the history writer's mapping"
    read = mapping.get("EventSourceArn")
    if read != stream_arn:
        return f"{name} reads {read}, and the table's stream is {stream_arn}: deploy with that"
    if mapping.get("State") != "Enabled":
        return f"{name} is {mapping.get('State')}: enable it, then {_ONCE_MORE}"
    if mapping.get("FilterCriteria", {}).get("Filters"):
        return f"{name} has a filter, which leaves changes out: take it away, then {_ONCE_MORE}"
    if mapping.get("StartingPosition") != "TRIM_HORIZON":
        return (
            f"{name} began at {mapping.get('StartingPosition')}, so that nothing shows which "
            "changes it read first: doctor says how to have it made anew, to begin at TRIM_HORIZON"
        )
    modified = mapping.get("LastModified")
    if modified is None or modified >= started:
        at = "at a time that is not told" if modified is None else f"at {time_text(modified)}"
        return (
            f"{name} was made or changed {at}, not before the backfill began at "
            f"{time_text(started)}: {_ONCE_MORE}, which only reads"
        )
    return None
