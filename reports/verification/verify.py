"""Whether a history is complete and unaltered: every row, every link, every live item."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from reports.access.machine import Machine
from reports.access.parallel import in_order
from reports.access.progress import Progress, silent
from reports.access.row_reader import RowReader
from reports.access.table_description import describe
from reports.access.table_scan import scan
from reports.verification.gaps import Gap
from reports.verification.index_check import ROW_PLACE, BucketSums, IndexCheck, indexed
from reports.verification.item_checks import (
    ItemChecks,
    ItemReport,
    LiveSighting,
    Subject,
    stored_rows,
)
from reports.verification.lives import altered_controls
from reports.verification.verdicts import Verification, VerificationTally
from stream_core.attribute_values import Item
from stream_core.history_row import ID
from stream_core.item_id import CONTROL_ID, item_id

# A record takes a second or so to become a row.
_PATIENCE = timedelta(seconds=10)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 4.0
# By then the pauses alone are longer than that, even if the clock was set back meanwhile.
_MOST_ROUNDS = 6


def verify(
    reader: RowReader,
    keys: Sequence[Item] | None = None,
    gaps: Sequence[Gap] = (),
    progress: Progress = silent,
    *,
    machine: Machine | None = None,
) -> Verification:
    """Look at the whole history of some items or of all.

    Whatever a row on its way would explain is looked at again before it counts, for about ten
    seconds, and the live item as it was read is looked for among the rows that arrived since: a
    table that is written all the time gives no false finding.

    Rows that lead from a state back to the same state leave no trace when they are missing; nor
    do the last rows of an item when no source table was given.

    Args:
        reader: reads the history, its overflow objects, and the source table if there is one.
        keys: the items in wire form; None: all that have a row or are live.
        gaps: what is known to be missing.
        progress: is called with how many items are done.
        machine: the machine to run on.

    Raises:
        TableNotFoundError: there is no such table, or it is no history table.
    """
    # A wrong table must not pass for a history without rows.
    _ = reader.horizon
    # Asked before anything is read: what is stored meanwhile does not count as missing.
    tally = VerificationTally(reader.source, reader.by_time.shards, reader.watermark)
    run = _Inspection(reader, ItemChecks(reader), progress, machine or Machine(), tally)
    run.look_at_controls()
    if keys is None:
        run.look_at_all()
    else:
        run.look_at([Subject(item_id(key), key) for key in keys])
    run.look_again()
    run.look_at_index(keys)
    return tally.conclude(gaps, whole_table=keys is None)


@dataclass
class _Inspection:
    """The looking; memory grows with the items and the findings, not with the rows."""

    reader: RowReader
    checks: ItemChecks
    progress: Progress
    machine: Machine
    tally: VerificationTally
    pending: list[ItemReport] = field(default_factory=list)
    table: BucketSums | None = None

    def look_at_controls(self) -> None:
        """Look at what the history says of itself, whatever items are asked for."""
        findings = altered_controls(self.reader.control_items())
        self.tally.findings += [(CONTROL_ID, finding) for finding in findings]
        # Before any row is looked at: a mark speaks of rows that were there when it was set.
        _ = self.reader.lives

    def look_at(self, subjects: Iterable[Subject]) -> None:
        """Look at some items, each once."""
        distinct = list({subject.identifier: subject for subject in subjects}.values())
        for report in self._examine_all("items", distinct, len(distinct)):
            self._take(report)

    def look_at_all(self) -> None:
        """Look at every item that has a row, then at every live item that has none."""
        identifiers = self._identifiers()
        unnamed: dict[str, ItemReport] = {}
        recorded = map(Subject, sorted(identifiers))
        for report in self._examine_all("items", recorded, len(identifiers)):
            if report.subject.keys is None:
                # No row says whose it is; the live item of that `Id`, if there is one, does.
                unnamed[report.subject.identifier] = report
                identifiers.discard(report.subject.identifier)
            else:
                self._take(report)
        if self.reader.source_table is not None:
            live = self._live_without_rows(self.reader.source_table, identifiers)
            for report in self._examine_all("live items without rows", live, None):
                unnamed.pop(report.subject.identifier, None)
                # One that was deleted since the scan, without a row so far, is none any more.
                if report.rows or report.findings:
                    self._take(report)
        for report in unnamed.values():
            self._take(report)

    def look_again(self) -> None:
        """Look again at what a row on its way would explain, until it came or is overdue."""
        first_looks = {report.subject.identifier: report.at for report in self.pending}
        pause_s = _FIRST_PAUSE_S
        for _ in range(_MOST_ROUNDS):
            if not self.pending:
                return
            self.progress("items waited for", 0, len(self.pending))
            self.machine.sleep(pause_s)
            pause_s = min(_LONGEST_PAUSE_S, 2 * pause_s)
            reports, self.pending = self.pending, []
            sightings = {report.subject.identifier: report.sighting for report in reports}
            subjects = [report.subject for report in reports]
            for report in self._examine_all(
                "items looked at again", subjects, len(subjects), sightings
            ):
                waited = report.at - first_looks[report.subject.identifier]
                if waited < _PATIENCE and report.may_pass():
                    self.pending.append(report)
                else:
                    self.tally.add(report)
        for report in self.pending:
            self.tally.add(report)

    def look_at_index(self, keys: Sequence[Item] | None) -> None:
        """See that the index has what the table has: of some items, or of all."""
        check = IndexCheck(self.reader, self.machine, self.progress)
        if self.table is not None:
            check.compare_all(self.table)
        for identifier in dict.fromkeys(map(item_id, keys or ())):
            check.compare(indexed(stored_rows(self.reader, identifier)))
        self.tally.findings += check.findings
        self.tally.index_notes += dict.fromkeys(check.notes)

    def _examine_all(
        self,
        what: str,
        subjects: Iterable[Subject],
        total: int | None,
        sightings: dict[str, LiveSighting | None] | None = None,
    ) -> Iterator[ItemReport]:
        known = sightings or {}

        def examine(subject: Subject) -> ItemReport:
            sighting = known.get(subject.identifier)
            return self.checks.examine(subject, self.machine.now(), sighting)

        for done, report in enumerate(in_order(examine, subjects), 1):
            yield report
            self.progress(what, done, total)

    def _identifiers(self) -> set[str]:
        """The `Id` of every row, read from the table: an index could have lost some."""
        table = self.reader.history_table
        total = describe(self.reader.dynamodb, table).items
        identifiers: set[str] = set()
        done = 0
        self.table = BucketSums.until(self.machine.now())
        for page in scan(self.reader.dynamodb, table, ROW_PLACE):
            identifiers.update(item[ID]["S"] for item in page)
            self.table.add(page)
            done += len(page)
            # The service counts anew every six hours or so.
            self.progress("rows listed", done, None if total is None else max(total, done))
        return identifiers - {CONTROL_ID}

    def _live_without_rows(self, table: str, identifiers: set[str]) -> Iterator[Subject]:
        names = tuple(self.reader.key_schema.types)
        for page in scan(self.reader.dynamodb, table, names):
            for key in page:
                if (identifier := item_id(key)) not in identifiers:
                    yield Subject(identifier, key)

    def _take(self, report: ItemReport) -> None:
        if report.may_pass():
            self.pending.append(report)
        else:
            self.tally.add(report)
