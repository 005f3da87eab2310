"""Bringing a dataset up to date: by exports that are there, or by exports that DynamoDB makes."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from reports.access.machine import Machine
from reports.access.progress import Progress, silent
from reports.access.row_reader import RowReader
from reports.access.table_description import describe
from reports.errors import TableNotFoundError
from reports.exports.export import Export, ExportKind
from reports.exports.export_folder import ExportError, MissingFileError
from reports.states.watermark import NoWatermark, Watermark
from stream_core.history_row import time_text
from warehouse.archive.export_request import (
    SHORTEST,
    Destination,
    ExportClient,
    ExportRequests,
    Step,
    Window,
)
from warehouse.archive.ingest import IngestResult, ingest, vouch
from warehouse.dataset.coverage import in_order
from warehouse.dataset.manifest import MANIFEST, Dataset
from warehouse.errors import DatasetError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

_KINDS = tuple(ExportKind)


@dataclass(frozen=True)
class ArchivedExport:
    """An export, and what became of its rows."""

    export: Export
    rows: IngestResult


@dataclass(frozen=True)
class Archived:
    """What has been done.

    Attributes:
        dataset: as it is now.
        exports: those that were ingested, in this order.
        notes: what else there is to know, in words.
    """

    dataset: Dataset
    exports: tuple[ArchivedExport, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class HistoryFacts:
    """What the table itself shows of a history.

    Attributes:
        horizon: when it was created: nothing earlier was recorded.
        source_table: the table that it follows, by its ARN or name; None: not known.
    """

    arn: str
    horizon: datetime
    source_table: str | None = None

    @classmethod
    def read(
        cls,
        dynamodb: "DynamoDBClient",
        s3: "S3Client",
        history_table: str,
        source_table: str | None = None,
    ) -> "HistoryFacts":
        """Ask a history table.

        Raises:
            TableNotFoundError: there is no such table, or it is no history table.
        """
        reader = RowReader(dynamodb, s3, history_table, source_table)
        horizon = reader.horizon
        # A table that is gone has no ARN any more; its rows still have its name in theirs.
        with suppress(TableNotFoundError):
            source_table = reader.provenance.table
        return cls(describe(dynamodb, history_table).arn, horizon, source_table)


_NO_HORIZON = (
    "it is unknown when the history began: name --stack or --history-table once, so that answers "
    "about the time before its first row are as sure as they can be"
)


def archive_exports(  # noqa: PLR0913 - named options
    folder: str | Path,
    places: Sequence[str | Path],
    s3: "S3Client",
    *,
    facts: HistoryFacts | None = None,
    watermark: Watermark | NoWatermark = NoWatermark(),  # noqa: B008 - it is frozen
    progress: Progress = silent,
) -> Archived:
    """Ingest exports that are there, given in any order.

    Each is ingested as a whole or not at all; what was ingested before one that cannot be stays.

    Args:
        folder: the dataset, which is made if need be.
        places: of the exports, as `ingest` takes them.
        s3: the client for their bucket, and for the overflow bucket.
        facts: of the history table, where it can be asked.
        watermark: up to when every change was recorded as the exports show the table. What can be
            found out now tells nothing of then: it is declared.
        progress: called with the rows that are done.

    Raises:
        ExportError: an export is damaged, or none of a history table.
        DatasetError: one does not belong into the dataset, or leaves a gap before it.
        IntegrityError: a history row is not what was written, was changed, or was removed.
    """
    run = _Run(Path(folder), facts, s3, progress)
    exports = {Export.read(place, s3, _KINDS): place for place in places}
    horizon = None if facts is None else facts.horizon
    for export in in_order(exports, run.complete_until, horizon):
        run.ingest(export, exports[export])
    if isinstance(watermark, Watermark):
        vouch(run.folder, watermark)
    if run.dataset.horizon is None:
        run.notes.append(_NO_HORIZON)
    return run.result()


def archive(  # noqa: PLR0913 - named options
    folder: str | Path,
    facts: HistoryFacts,
    to: Destination,
    dynamodb: "DynamoDBClient",
    s3: "S3Client",
    *,
    find_watermark: Callable[[], Watermark | NoWatermark] = NoWatermark,
    machine: Machine | None = None,
    progress: Progress = silent,
) -> Archived:
    """Have DynamoDB export what a dataset lacks, and ingest it.

    The first export is a full one; those that follow have what was written since, a day at most
    each. Interrupted while DynamoDB exports, the next call waits for that export.

    Args:
        folder: the dataset, which is made if need be.
        facts: of the history table.
        to: where DynamoDB puts the exports.
        dynamodb: the client of the table's account and region.
        s3: the client for that bucket, and for the overflow bucket.
        find_watermark: finds out up to when the history is complete. What was recorded by then
            has to be in the exports, so that point-in-time recovery is waited for, some minutes.
        machine: its clock, and how it waits.
        progress: called with rows, and with seconds of waiting.

    Raises:
        DatasetError: the table has no point-in-time recovery, an export failed, or does not
            belong into the dataset.
        ExportError: what DynamoDB wrote is damaged.
        IntegrityError: a history row is not what was written, was changed, or was removed.
        ClientError: AWS refuses to export, or to describe an export.
    """
    run = _Run(Path(folder), facts, s3, progress)
    run.require_table()
    machine = machine or Machine()
    client = ExportClient(dynamodb, machine, progress)
    requests = ExportRequests(client, facts.arn, run.folder, to)
    if requests.is_pending and (location := requests.resume()) is not None:
        run.ingest_new(requests, location)
    known_at, watermark = machine.now(), find_watermark()
    window = requests.window()
    if isinstance(watermark, Watermark) and window.step_from(run.complete_until):
        window = requests.window_reaching(known_at)
    while step := window.step_from(run.complete_until):
        run.note(step, window)
        run.ingest_new(requests, requests.ask(step))
        run.require_progress(step)
        window = requests.window()
    if not run.done:
        run.notes.append(
            f"no export was made: one covers {SHORTEST.seconds // 60} minutes at least, and the "
            f"table can be exported until {time_text(window.latest)}"
        )
    if isinstance(watermark, Watermark) and run.dataset.complete_until >= known_at:
        vouch(run.folder, watermark)
    return run.result()


_NO_WATERMARK = (
    "it is not known up to when every change was recorded, so that no answer is exact: name "
    "--stack where DynamoDB makes the exports, or give --recorded-until, here or to query"
)


@dataclass
class _Run:
    """What is done to a dataset, export by export."""

    folder: Path
    facts: HistoryFacts | None
    s3: "S3Client"
    progress: Progress
    done: list[ArchivedExport] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def dataset(self) -> Dataset:
        """The dataset as it is now."""
        return Dataset.described(self.folder)

    @property
    def complete_until(self) -> datetime | None:
        """Until when it is complete; None: there is none yet."""
        return self.dataset.complete_until if (self.folder / MANIFEST).exists() else None

    def result(self) -> Archived:
        """What has been done."""
        dataset = self.dataset
        notes = self.notes if dataset.watermark else [*self.notes, _NO_WATERMARK]
        return Archived(dataset, tuple(self.done), tuple(notes))

    def ingest(self, export: Export, place: str | Path) -> None:
        """Ingest an export.

        Raises:
            DatasetError: it is of another table than the one whose horizon is known.
        """
        if self.facts is not None and export.table_arn != self.facts.arn:
            raise DatasetError(
                f"{export.arn} is of {export.table_arn}, not of {self.facts.arn}: name the stack "
                "or the table that it was exported from, or none"
            )
        rows = ingest(
            self.folder,
            place,
            self.s3,
            horizon=None if self.facts is None else self.facts.horizon,
            source_table=None if self.facts is None else self.facts.source_table,
            progress=self.progress,
        )
        self.done.append(ArchivedExport(export, rows))
        if rows.late_change is not None:
            self.notes.append(
                f"{export.arn} brought a change of {time_text(rows.late_change)} although every "
                "change of then was held to be there: answers are exact until then only, and some "
                "that were called exact before were not; archive --check says what it can of it"
            )

    def ingest_new(self, requests: ExportRequests, location: str) -> None:
        """Ingest an export that DynamoDB has just made.

        Raises:
            ExportError: it is damaged, and will not be waited for again.
        """
        try:
            self.ingest(Export.read(location, self.s3, _KINDS), location)
        except ExportError as error:
            if _is_damaged(error):
                requests.forget()
            raise
        requests.forget()

    def require_table(self) -> None:
        """See that the dataset is of the table, before an export of it is paid for.

        Raises:
            DatasetError: it is of another one.
        """
        if self.facts is None or self.complete_until is None:
            return
        if self.dataset.history_table != self.facts.arn:
            raise DatasetError(
                f"{self.folder} is of {self.dataset.history_table}, not of {self.facts.arn}: a "
                "dataset is of one table; name another folder"
            )

    def note(self, step: Step, window: Window) -> None:
        """Say why a dataset that is there gets a full export."""
        if step.kind is ExportKind.FULL and self.complete_until is not None:
            self.notes.append(
                f"the dataset was complete until {time_text(self.complete_until)}, and "
                f"point-in-time recovery reaches back to {time_text(window.earliest)} only: a "
                "full export was made"
            )

    def require_progress(self, step: Step) -> None:
        """See that an export has what it was to have: otherwise there would be no end of them.

        Raises:
            DatasetError: it ends before.
        """
        if self.complete_until is None or self.complete_until < step.until:
            export = self.done[-1].export
            raise DatasetError(
                f"{export.arn} ends at {time_text(export.time)}, and was asked for until "
                f"{time_text(step.until)}: try again later"
            )


def _is_damaged(error: ExportError) -> bool:
    """Whether files are missing or damaged, and not only out of reach for now."""
    if isinstance(error, MissingFileError):
        return True
    return not isinstance(error.__cause__, ClientError | BotoCoreError)
