"""A whole dataset held against itself: every row what was written, every row following the last."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from reports.access.progress import Progress, silent
from reports.inputs.keys import KeySchema
from reports.states.provenance import CLOCK_TOLERANCE, Provenance
from reports.states.watermark import TICK
from reports.verification.continuity import INTEGRITY, MISSING, Finding, FindingKind
from reports.verification.gaps import Gap, declare
from reports.verification.row_checks import RowChecks
from reports.verification.verdicts import Verdict, Verification
from stream_core.change import Change, EventName
from stream_core.control_row import REDRIVE, REDRIVE_LASTS, BackfillMark, RunRow
from stream_core.errors import IntegrityError
from stream_core.history_row import ID, HistoryRow, time_text
from warehouse.dataset.manifest import Dataset
from warehouse.dataset.origin import provenance_of
from warehouse.dataset.schema import MONTH, checked_row, image_of, month_of
from warehouse.engines.engine import Engine
from warehouse.questions.continuity_sql import FINDINGS, finding_line

# A stream keeps a record for 24 hours: what is written later did not come from it. The hour more
# is for the last invocation and for clocks.
LATEST_WRITE = timedelta(hours=25)
FAULTS = FINDINGS.append(pa.field("declared", pa.string()))
"""Findings of rows, each with what explains it, if anything does."""
_COUNTS = """
SELECT COUNT(DISTINCT id) AS items, COUNT(*) AS "rows", COUNT(overflow) AS overflow_objects
FROM rows
"""
_NO_LIVE_ITEM = (
    "the last row of each item is not held against the live item, nor is an overflow object read "
    "again: itemtrail verify does both"
)


def key_schema(engine: Engine) -> KeySchema | None:
    """The key of the source table, as a row shows it; None: there is no row."""
    for line in lines_of(engine.sql("SELECT keys FROM rows LIMIT 1")):
        return KeySchema.of_keys(image_of(line["keys"]) or {})
    return None


def check(
    engine: Engine, gaps: Sequence[Gap] = (), *, now: datetime, progress: Progress = silent
) -> Verification:
    """Check every file and every row of a dataset, and that each row follows from the last.

    A file has to be the bytes that were written. Of a row that is its digest, its place, its
    columns, and that it was written while its record was in the stream. Completeness is
    `unproven` at best: no live item is looked at.

    Args:
        engine: what asks the dataset; of this process, where there is progress to show.
        gaps: findings of which the cause is known.
        now: rows stamped later are from the future.
        progress: called with the rows that are done.

    Raises:
        DatasetError: the dataset cannot be read.
    """
    rows = engine.dataset.rows
    dataset = engine.dataset
    judge = check_of(now, KnownRuns.of_dataset(dataset), provenance_of(dataset))
    done = 0

    def counted(batch: pa.RecordBatch) -> pa.RecordBatch:
        nonlocal done
        faulty = judge(batch)
        done += batch.num_rows
        progress("rows", done, rows)
        return faulty

    altered = list(_findings(engine.map_rows(counted, FAULTS)))
    missing = list(_findings(engine.findings()))
    altered_files = engine.dataset.altered_files(progress)
    (counts,) = lines_of(engine.sql(_COUNTS))
    findings = declare([*altered, *missing], gaps)
    broken = {finding.kind for finding in findings if finding.declared is None}
    # A verdict on nothing would hold for a dataset that was emptied.
    intact = Verdict.HOLDS if counts["rows"] else Verdict.UNPROVEN
    return Verification(
        sorted(findings, key=_place),
        **counts,
        integrity=Verdict.BROKEN if broken & INTEGRITY or altered_files else intact,
        completeness=Verdict.BROKEN if broken & MISSING else Verdict.UNPROVEN,
        notes=[*_notes(altered_files, rows)],
    )


def _notes(altered_files: Iterable[str], rows: int) -> Iterator[str]:
    for name in altered_files:
        yield (
            f"{name} has other bytes than were written: put the file back, or ingest the exports "
            "into a new folder"
        )
    yield _NO_LIVE_ITEM if rows else "there is no row to look at"


def lines_of(batches: Iterable[pa.RecordBatch]) -> Iterator[dict[str, Any]]:
    """The lines of an answer, as dictionaries."""
    for batch in batches:
        yield from batch.to_pylist()


def _findings(batches: Iterable[pa.RecordBatch]) -> Iterator[Finding]:
    for line in lines_of(batches):
        yield Finding(
            FindingKind(line["found"]),
            image_of(line["keys"]) or {},
            _utc(line["since"]),
            _utc(line["until"]),
            line["sort_key"],
            line["detail"],
            line.get("declared"),
        )


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)


def _place(finding: Finding) -> tuple[str, str, str]:
    return str(finding.keys), finding.sort_key or "", finding.kind.value


Check = Callable[[pa.RecordBatch], pa.RecordBatch]


@dataclass(frozen=True)
class KnownRuns:
    """What explains that a row was written long after its own time.

    Attributes:
        backfills: they write baselines; from an export those of when that was made.
        redrives: they bring records back, however old.
    """

    backfills: Sequence[BackfillMark] = ()
    redrives: Sequence[RunRow] = ()

    @classmethod
    def of_dataset(cls, dataset: Dataset) -> "KnownRuns":
        """Those that the history tells of."""
        rows = dataset.control_rows
        runs = (row for row in rows if isinstance(row, RunRow))
        return cls(
            [row for row in rows if isinstance(row, BackfillMark)],
            [run for run in runs if run.command == REDRIVE],
        )

    def wrote(self, change: Change, at: datetime | None, after: datetime | None) -> bool:
        """Whether a finished backfill wrote the baseline that a row is.

        Args:
            change: of the row.
            at: when it was written; None: not known.
            after: when it was not there yet.
        """
        earliest = at or after
        if earliest is None or change.event_name is not EventName.SNAPSHOT:
            return False
        return any(
            mark.finished + TICK >= earliest and (at is None or mark.started <= at)
            for mark in self.backfills
        )

    def redrive_of(self, change: Change, at: datetime | None) -> RunRow | None:
        """The redrive in whose time a change was written; None: there was none."""
        if at is None or change.event_name is EventName.SNAPSHOT:
            return None
        for run in self.redrives:
            if run.started - CLOCK_TOLERANCE <= at <= run.started + REDRIVE_LASTS:
                return run
        return None


def check_of(
    now: datetime,
    runs: KnownRuns = KnownRuns(),
    provenance: Provenance = Provenance(),  # noqa: B008 - it is frozen
) -> Check:
    """A function from rows of the dataset to what is wrong with them, as `FAULTS`.

    A line is made a history row again; its digest, its place, and the columns that follow from
    its images have to be those of the row, and it has to have been written in time. Engines run
    the function where the rows are.

    Args:
        now: rows stamped later are from the future.
        runs: what explains that a row was written late.
        provenance: what the rows have to be of.
    """

    def check(batch: pa.RecordBatch) -> pa.RecordBatch:
        rows = batch.to_pylist()
        faults = [line for row in rows for line in _faults(row, now, runs, provenance)]
        return pa.RecordBatch.from_pylist(faults, schema=FAULTS)

    return check


def _faults(
    line: dict[str, Any], now: datetime, runs: KnownRuns, provenance: Provenance
) -> Iterator[dict[str, Any]]:
    declared = None
    try:
        row = checked_row(line)
    except IntegrityError as error:
        faults = {FindingKind.DIGEST_MISMATCH: [str(error)]}
        keys, at, sort_key = {ID: {"S": line["id"]}}, _time_of(line), line["sort_key"]
    else:
        faults = _misplaced(row, now, provenance)
        created_at = row.change.created_at
        if line[MONTH] != month_of(created_at):
            faults.setdefault(FindingKind.KEY_MISMATCH, []).append(
                f"it lies in the files of another month, {line[MONTH]}"
            )
        if (late := _late_write(line, row.change, runs)) is not None:
            faults[FindingKind.BACKDATED] = [late]
            declared = _redriven(runs.redrive_of(row.change, line["written_at"]))
        keys, at, sort_key = row.change.keys, row.change.created_at, row.sort_key
    for kind, details in faults.items():
        finding = Finding(kind, keys, at, at, sort_key, "; ".join(details))
        cause = declared if kind is FindingKind.BACKDATED else None
        yield finding_line(line["id"], finding) | {"declared": cause}


def _redriven(run: RunRow | None) -> str | None:
    if run is None:
        return None
    by = f" by {run.who}" if run.who else ""
    return f"written while {run.run} brought records back{by}, from {time_text(run.started)} on"


def _late_write(line: dict[str, Any], change: Change, runs: KnownRuns) -> str | None:
    """What tells that a row was written when its record was in no stream any more."""
    at, after = line["written_at"], line["written_after"]
    earliest = at or after
    if earliest is None or earliest - change.created_at <= LATEST_WRITE:
        return None
    if runs.wrote(change, at, after):
        return None
    when = f"{'at' if at else 'after'} {time_text(earliest)}"
    return f"it was written into the history {when}, long after the change that it records"


def _time_of(line: dict[str, Any]) -> datetime | None:
    at = line["created_at"]
    return None if at is None else at.astimezone(UTC)


def _misplaced(
    row: HistoryRow, now: datetime, provenance: Provenance
) -> dict[FindingKind, list[str]]:
    # As `verify` looks at a stored row. The images are in it, so that nothing has to be fetched.
    stored = replace(row, overflow=None).to_item(1)
    return RowChecks(HistoryRow.from_item, row.id, None, provenance, now).check(stored).faults
