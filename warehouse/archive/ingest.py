"""From exports of the history table to a dataset, once each, all of one or nothing of it.

What is made lies in a folder `.ingest-NAME` of the dataset until it is complete; its files then
go to their places, and the manifest that lists them is replaced last. Whatever an interrupted run
leaves carries its NAME, so that the next one knows what to clear away.
"""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from reports.access.file_lock import locked
from reports.access.private_files import make_folder, mode_kept, move_file, path_within
from reports.access.progress import Progress, silent
from reports.exports.export import Export, ExportKind
from reports.states.watermark import Watermark
from stream_core.attribute_values import Item
from warehouse.archive.conversion import Conversion
from warehouse.archive.merge import Merge, Written, earliest
from warehouse.dataset.coverage import (
    begun,
    extended,
    is_there,
    later_wholes,
    until,
    with_controls,
)
from warehouse.dataset.manifest import (
    MANIFEST,
    ROWS_FOLDER,
    DataFile,
    Dataset,
    Ingested,
)
from warehouse.dataset.schema import MONTH, months_around
from warehouse.errors import DatasetError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# A process takes a second to begin: that is worth it for so many rows.
_ROWS_A_PROCESS = 50_000
_MOST_PROCESSES = 4
# What DuckDB may take, beside the 100 MB or so of each process.
_MERGE_MEMORY = "2GB"
_WORK = ".ingest-"
_LOCK = ".lock"


@dataclass(frozen=True)
class IngestResult:
    """What an ingest did.

    Attributes:
        rows_read: history rows that were read from the export now.
        rows_added: those that the dataset did not have.
        already_there: rows of the export that it had, each of them the same.
        files: those that were added.
        late_change: when the first change was made that came although every change of its time was
            held to be there; None: there was none.
    """

    rows_read: int
    rows_added: int
    already_there: int
    files: tuple[DataFile, ...] = ()
    late_change: datetime | None = None


def ingest(  # noqa: PLR0913 - named options
    dataset_folder: str | Path,
    export_location: str | Path,
    s3: "S3Client",
    *,
    horizon: datetime | None = None,
    source_table: str | None = None,
    progress: Progress = silent,
) -> IngestResult:
    """Add the rows of an export of the history table to a dataset, which is made if need be.

    Many rows are converted in processes, which start this program's main module anew: it must do
    nothing when it is imported.

    Args:
        dataset_folder: the dataset.
        export_location: `s3://BUCKET/PREFIX/AWSDynamoDB/ID`, or the path of a copy of that folder.
        s3: the client for its bucket, and for the overflow bucket.
        horizon: when the history table was created.
        source_table: the table that the history follows, by its ARN or name.
        progress: called with the rows that are done.

    Raises:
        ExportError: the export is damaged, or none of a history table.
        DatasetError: the export does not belong into the dataset, or leaves a gap before it.
        IntegrityError: a history row is not what was written, was changed, or was removed.
    """
    export = Export.read(export_location, s3, tuple(ExportKind))
    folder = Path(dataset_folder)
    with _alone(folder):
        _clear_away(folder)
        known = Dataset.open(folder) if (folder / MANIFEST).exists() else None
        dataset = extended(known, export, horizon) if known else begun(folder, export, horizon)
        dataset = replace(dataset, source_table=source_table or dataset.source_table)
        if known is not None and is_there(known, export):
            if dataset != known:
                dataset.save()
            return IngestResult(0, 0, export.items)
        written_after = None
        if known is not None and known.complete_until < export.time:
            # What the table held by then is here: a row that is not was written later.
            written_after = known.complete_until
        return _Ingest(dataset, export, s3, written_after, progress).run()


def vouch(dataset_folder: str | Path, watermark: Watermark) -> Dataset:
    """Keep with a dataset up to when every change is in it, unless a later moment is known.

    Raises:
        DatasetError: there is no dataset, or it is complete until an earlier moment.
    """
    folder = Path(dataset_folder)
    with _alone(folder):
        dataset = Dataset.described(folder)
        if dataset.watermark is None or dataset.watermark.at < watermark.at:
            dataset = dataset.recorded_until(watermark)
            dataset.save()
        return dataset


class _Ingest:
    """One export on its way into a dataset."""

    def __init__(
        self,
        dataset: Dataset,
        export: Export,
        s3: "S3Client",
        written_after: datetime | None,
        progress: Progress,
    ) -> None:
        self._dataset = dataset
        self._export = export
        self._written_after = written_after
        self._s3 = s3
        self._progress = progress
        self._name = f"{export.time.astimezone(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
        self._work = dataset.folder / f"{_WORK}{self._name}"

    def run(self) -> IngestResult:
        folder = self._dataset.folder
        try:
            make_folder(self._work)
            return self._ingest()
        except (OSError, duckdb.Error, pa.ArrowException) as error:
            what = str(error).partition("\n")[0]
            raise DatasetError(f"nothing was ingested into {folder}: {what}") from error
        finally:
            _clear_away(folder)

    def _ingest(self) -> IngestResult:
        conversion = Conversion(self._export, self._work, self._s3, self._progress)
        staged = list(conversion.run(_processes(self._export)))
        read = sum(file.rows for file in staged)
        items = read + len(conversion.controls)
        if items != self._export.items:
            raise DatasetError(
                f"{self._export.arn} has {self._export.items} items, and {items} were read"
            )
        controls = with_controls(self._dataset, self._export, conversion.controls)
        streams, disordered, written = self._merge([file.path for file in staged])
        files = tuple(map(self._place, written))
        first = earliest(*(file.first_change for file in written))
        watermark = self._dataset.watermark
        late_change = None
        if watermark is not None and first is not None and first <= watermark.at:
            late_change = first.astimezone(UTC)
            self._dataset = replace(self._dataset, watermark=replace(watermark, at=late_change))
        self._dataset = replace(
            self._dataset,
            streams=tuple(sorted(streams.union(self._dataset.streams))),
            disordered=tuple(sorted(disordered.union(self._dataset.disordered or ()))),
        )
        self._commit(files, controls)
        added = sum(file.rows for file in files)
        return IngestResult(read, added, read - added, files, late_change)

    def _merge(self, staged: list[Path]) -> tuple[frozenset[str], frozenset[str], list[Written]]:
        """The streams and the disordered items of an export, and the files of its new rows."""
        known, export = self._dataset, self._export
        with Merge(staged, self._work / "spill", _MERGE_MEMORY) as merge:
            merge.require_once()
            if export.kind is ExportKind.FULL:
                merge.beside(known.paths_of(until(known, export.time)))
                merge.require_none_lost()
            months = merge.months
            merge.beside(known.paths_of(file for file in known.files if file.month in months))
            merge.require_unaltered()
            if later_wholes(known, export):
                merge.require_none_new()
            written = list(merge.write_new(self._work, self._name, self._written_after))
            return merge.streams, self._disordered(merge), written

    def _disordered(self, merge: Merge) -> frozenset[str]:
        known = self._dataset
        if known.disordered is None:
            # An earlier version of this program did not look for any.
            return merge.disordered(known.paths, only_staged=False)
        months = months_around(merge.months)
        near = known.paths_of(file for file in known.files if file.month in months)
        return merge.disordered(near, only_staged=True)

    def _place(self, written: Written) -> DataFile:
        name = f"{ROWS_FOLDER}/{MONTH}={written.month}/{written.path.name}"
        folder = self._dataset.folder
        path, mode = path_within(folder, name), mode_kept(folder / MANIFEST)
        # Who may read a file may look for it.
        make_folder(path.parent, mode | (mode & 0o444) >> 2)
        move_file(written.path, path, mode)
        return DataFile.from_file(folder, name, self._export.arn)

    def _commit(self, files: tuple[DataFile, ...], controls: tuple[Item, ...]) -> None:
        export = self._export
        ingested = Ingested(
            arn=export.arn,
            kind=export.kind.value,
            table_id=export.table_id,
            since=export.since,
            until=export.time,
            items=export.items,
            rows=sum(file.rows for file in files),
            md5=export.files_md5,
        )
        replace(
            self._dataset,
            exports=(*self._dataset.exports, ingested),
            files=(*self._dataset.files, *files),
            controls=controls,
        ).save()


def _processes(export: Export) -> int:
    worth = export.items // _ROWS_A_PROCESS
    return max(1, min(worth, len(export.files), os.cpu_count() or 1, _MOST_PROCESSES))


def _clear_away(folder: Path) -> None:
    """Delete what ingests have left, and nothing that the manifest lists."""
    listed: set[Path] = set()
    if (folder / MANIFEST).exists():
        listed = {folder / file.name for file in Dataset.described(folder).files}
    for work in folder.glob(f"{_WORK}*"):
        name = work.name.removeprefix(_WORK)
        for path in (folder / ROWS_FOLDER).glob(f"{MONTH}=*/{name}-*.parquet"):
            if path not in listed and path.resolve().is_relative_to(folder.resolve()):
                path.unlink()
        shutil.rmtree(work)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other ingests out of the dataset."""
    with contextlib.ExitStack() as stack:
        try:
            make_folder(folder)
            stack.enter_context(locked(folder / _LOCK))
        except BlockingIOError as error:
            raise DatasetError(
                f"{folder} is in use by another ingest: wait for it to end"
            ) from error
        except OSError as error:
            raise DatasetError(f"{folder} cannot be written: {error.strerror}") from error
        yield
