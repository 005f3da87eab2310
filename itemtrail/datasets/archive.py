"""What `archive` does, once it is known that a query engine is installed."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import RenderableType
from rich.table import Column

from itemtrail.exit_status import CLEAN, FINDINGS
from itemtrail.options.kinds import asked_at
from itemtrail.options.target import TargetTables
from itemtrail.output import json_and_csv as writers
from itemtrail.output.answer import Answer, give, tell
from itemtrail.output.progress import ProgressBar
from itemtrail.records import kinds as record_kinds
from itemtrail.records.kinds import Record
from itemtrail.records.verify import finding_record, verification_record
from itemtrail.tables import cells
from itemtrail.tables.layout import Row, folded, notes, summary_line, table_of, titled
from itemtrail.tables.verify import verdict_line, verification_blocks
from reports.access.clients import dynamodb_client
from reports.access.machine import Machine
from reports.states.watermark import NoWatermark, Watermark, declared_watermark
from reports.verification.gaps import read_gaps
from reports.verification.verdicts import Verdict
from stream_core.errors import ItemtrailError
from stream_core.history_row import time_text
from stream_core.retry import Retry, classify
from warehouse.archive.export_request import SHORTEST, Destination
from warehouse.archive.update import (
    Archived,
    ArchivedExport,
    HistoryFacts,
    archive,
    archive_exports,
)
from warehouse.check import check, key_schema
from warehouse.dataset.manifest import Dataset
from warehouse.engines.duck import DuckEngine

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_COUNTS = ("rows_read", "rows_added", "already_there")
_EXPORT_COLUMNS = (
    Column("export", width=len("incremental")),
    folded("since (UTC)"),
    folded("until (UTC)"),
    *(Column(name, justify="right", width=9) for name in ("read", "added", "there")),
)


@dataclass(frozen=True)
class Archive:
    """A dataset, and where its history table and the exports of it are."""

    folder: Path
    s3: "S3Client"
    tables: TargetTables | None
    machine: Machine = field(default_factory=Machine)

    def ingest(self, places: Sequence[str], recorded_until: datetime | None, form: str) -> None:
        """Ingest exports that are there, and print what was done."""
        declared = declared_watermark(recorded_until, asked_at()) or NoWatermark()
        with ProgressBar() as progress:
            archived = archive_exports(
                self.folder,
                places,
                self.s3,
                facts=None if self.tables is None else self._facts(self.tables),
                watermark=declared,
                progress=progress,
            )
        _give(archived, form)

    def bring_up_to_date(self, tables: TargetTables, to: Destination, form: str) -> None:
        """Have DynamoDB export what is missing, and print what was done."""
        _give(self._updated(tables, to), form)

    def keep_up_to_date(
        self, tables: TargetTables, to: Destination, every: timedelta, form: str
    ) -> None:
        """The same in rounds, until an interrupt."""
        while True:
            began = self.machine.clock()
            try:
                _give_round(self._updated(tables, to), form)
            except (ItemtrailError, ClientError, BotoCoreError) as error:
                if not _may_pass(error):
                    raise
                tell(f"this is tried again in the next round: {' '.join(str(error).split())}")
            remaining_s = every.total_seconds() - (self.machine.clock() - began)
            self.machine.sleep(max(0.0, remaining_s))

    def _updated(self, tables: TargetTables, to: Destination) -> Archived:
        with ProgressBar() as progress:
            return archive(
                self.folder,
                self._facts(tables),
                to,
                dynamodb_client(tables.session, tables.endpoint_url),
                self.s3,
                # Each round asks anew.
                find_watermark=lambda: tables.open(self.machine).watermark,
                machine=self.machine,
                progress=progress,
            )

    def _facts(self, tables: TargetTables) -> HistoryFacts:
        dynamodb = dynamodb_client(tables.session, tables.endpoint_url)
        return HistoryFacts.read(dynamodb, self.s3, tables.history_table, tables.source_table)


def destination(
    place: str, owner: str | None, kms_key: str | None, every: timedelta | None
) -> Destination:
    """Where exports go, and that they can be made so often.

    Raises:
        DatasetError: that is no such place.
        UsageError: they cannot.
    """
    if every is not None and every < SHORTEST:
        raise click.UsageError(
            f"an export covers {SHORTEST.seconds // 60} minutes at least: give --every 15m or more",
            click.get_current_context(),
        )
    return Destination.read(place, owner=owner, kms_key=kms_key)


def check_dataset(folder: Path, gaps_file: Path | None, form: str) -> int:
    """Check a dataset, and give what is wrong with it; the exit status."""
    with DuckEngine(Dataset.open(folder)) as engine, ProgressBar() as progress:
        schema = key_schema(engine)
        gaps = read_gaps(gaps_file, schema) if gaps_file and schema else []
        verification = check(engine, gaps, now=datetime.now(UTC), progress=progress)
        is_clean = verification.integrity is Verdict.HOLDS and verification.is_explained
        answer = Answer(
            record_kinds.FINDING,
            map(finding_record, verification.findings),
            verification_blocks(verification, f"Check of {folder}"),
            lambda: verification_record(verification) | {"clean": is_clean},
        )
        give(answer, form, progress)
    if form not in ("table", "json"):
        tell(verdict_line(verification))
    return CLEAN if is_clean else FINDINGS


def _give(archived: Archived, form: str) -> None:
    answer = Answer(
        record_kinds.ARCHIVED_EXPORT,
        map(_export_record, archived.exports),
        _blocks(archived),
        lambda: _record(archived),
    )
    give(answer, form)
    if form != "table":
        tell(_summary(archived))
    if form not in ("table", "json"):
        for note in archived.notes:
            tell(note)


def _give_round(archived: Archived, form: str) -> None:
    """Print one round of many, line by line: an answer has no end here."""
    if form == "jsonl":
        writers.write_jsonl(map(_export_record, archived.exports))
        sys.stdout.flush()
    at = cells.when(datetime.now(UTC))
    for text in (_summary(archived), *archived.notes):
        tell(f"{at} {text}")


def _blocks(archived: Archived) -> Iterator[RenderableType]:
    title = f"{archived.dataset.folder}, of {archived.dataset.history_table}"
    rows = map(_export_row, archived.exports)
    yield titled(title, table_of(_EXPORT_COLUMNS, rows) if archived.exports else "")
    yield summary_line(_summary(archived), good=bool(archived.exports))
    yield from notes(archived.notes)
    yield ""


def _export_row(archived_export: ArchivedExport) -> Row:
    since = archived_export.export.since
    return (
        archived_export.export.kind.partition("_")[0].lower(),
        "" if since is None else cells.when(since),
        cells.when(archived_export.export.time),
        *(f"{count:,}" for count in _counts(archived_export).values()),
    )


def _summary(archived: Archived) -> str:
    counts = _totals(archived)
    return (
        f"{cells.count_of(counts['rows_read'], 'row')} read, {counts['rows_added']:,} added, "
        f"{counts['already_there']:,} already there; the dataset has "
        f"{cells.count_of(archived.dataset.rows, 'row')} and is complete until "
        f"{time_text(archived.dataset.complete_until)}{_recorded(archived.dataset.watermark)}"
    )


def _recorded(watermark: Watermark | None) -> str:
    if watermark is None:
        return ""
    return f"; every change is in it until {time_text(watermark.at)} ({watermark.basis})"


def _record(archived: Archived) -> Record:
    dataset = archived.dataset
    return {
        "dataset": str(dataset.folder),
        "history_table": dataset.history_table,
        "horizon": dataset.horizon,
        "complete_until": dataset.complete_until,
        "recorded_until": dataset.watermark and dataset.watermark.at,
        "basis": dataset.watermark and dataset.watermark.basis,
        "rows": dataset.rows,
        **_totals(archived),
        "exports": list(map(_export_record, archived.exports)),
        "notes": list(archived.notes),
    }


def _export_record(archived_export: ArchivedExport) -> Record:
    return {
        "export": archived_export.export.arn,
        "kind": archived_export.export.kind.value,
        "since": archived_export.export.since,
        "until": archived_export.export.time,
        **_counts(archived_export),
    }


def _totals(archived: Archived) -> dict[str, int]:
    counts = list(map(_counts, archived.exports))
    return {name: sum(exported[name] for exported in counts) for name in _COUNTS}


def _counts(archived_export: ArchivedExport) -> dict[str, int]:
    return {name: getattr(archived_export.rows, name) for name in _COUNTS}


def _may_pass(error: BaseException | None) -> bool:
    """Whether an error is the network's or a busy service's, of its own or below it."""
    if isinstance(error, ClientError | BotoCoreError):
        return classify(error) is Retry.TRANSIENT
    return error is not None and _may_pass(error.__cause__)
