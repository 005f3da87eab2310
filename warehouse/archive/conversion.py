"""Data files of an export to Parquet, one at a time, in processes of their own if there are many.

Python reads a history row, checks it and spells it anew: that takes by far the longest of an
ingest, and it is all that these processes do. What needs a client is left to the one that began
them: files of a bucket are copied first, rows that point to an overflow object are handed back.
"""

import gzip
import json
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from reports.access.parallel import in_order
from reports.access.private_files import new_path
from reports.access.progress import Progress
from reports.exports.export import Export, ExportFile
from reports.exports.export_folder import LocalFolder
from stream_core.attribute_values import Item, read_item, wire_json
from stream_core.control_row import read_control_row
from stream_core.errors import IntegrityError
from stream_core.history_row import ID, HistoryRow
from stream_core.item_id import CONTROL_ID
from warehouse.archive.export_rows import loaded_row, stored_items, stored_row
from warehouse.dataset.schema import MONTH, ROWS, month_of, row_of
from warehouse.errors import DatasetError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

STAGED = ROWS.append(pa.field(MONTH, pa.string()))
"""A row on its way: with its partition, which is not a column of a file of the dataset."""

# Few: Python looks through what is alive again and again, which takes longer than the rows do.
_MOST_ROWS, _MOST_BYTES = 4_000, 16 * 1024 * 1024
_COPIED_AT_ONCE = 1024 * 1024


@dataclass(frozen=True)
class Staged:
    """A data file after its conversion.

    Attributes:
        rows: how many rows are in `path`.
        pending: how many rows are left in a file beside it, because their images are elsewhere.
        controls: the control rows, which are no rows of items.
    """

    path: Path
    rows: int
    pending: int = 0
    controls: tuple[Item, ...] = ()


def convert(
    export: Export, file: ExportFile, path: Path, report: Callable[[int], None] | None = None
) -> Staged:
    """Convert a data file.

    Args:
        export: that it belongs to.
        file: what is read.
        path: the Parquet file to write; there is none if it would have no row.
        report: called with how many rows more are done.

    Raises:
        ExportError: the file is damaged, or is not of a history table.
        IntegrityError: a row is not what was written.
    """
    pending, controls = 0, []
    with (
        _RowFile(path, report) as rows,
        gzip.open(new_path(_beside(path)), "wb", 1) as pending_rows,
    ):
        for stored in stored_items(export, file):
            try:
                if stored.item[ID]["S"] == CONTROL_ID:
                    read_control_row(stored.item)
                    controls.append(stored.item)
                    continue
                row = stored_row(stored.item)
            except IntegrityError as error:
                raise _placed(export, file, stored.line, error) from error
            if row.overflow is None:
                rows.add(row, stored.written_at)
                continue
            pending += 1
            written_at = stored.written_at and stored.written_at.isoformat()
            fields = {"line": stored.line, "item": stored.item, "written_at": written_at}
            pending_rows.write(wire_json(fields) + b"\n")
    return Staged(path, rows.count, pending, tuple(controls))


def convert_pending(
    export: Export,
    file: ExportFile,
    staged: Staged,
    s3: "S3Client",
    report: Callable[[int], None] | None = None,
) -> Staged:
    """Convert the rows that a conversion left because their images are elsewhere.

    Raises:
        IntegrityError: a row or an overflow object is not what was written, or that is gone.
    """

    def load(line: bytes) -> tuple[HistoryRow, datetime | None]:
        fields = json.loads(line)
        item: Item = read_item(fields["item"])
        at = fields["written_at"]
        try:
            row = loaded_row(stored_row(item), s3)
            return row, None if at is None else datetime.fromisoformat(at)
        except IntegrityError as error:
            raise _placed(export, file, fields["line"], error) from error

    path = staged.path.with_suffix(".overflow.parquet")
    with gzip.open(_beside(staged.path)) as lines, _RowFile(path, report) as rows:
        for row, written_at in in_order(load, lines):
            rows.add(row, written_at)
    return Staged(path, rows.count)


class Conversion:
    """Converts the data files of an export into a folder.

    Attributes:
        controls: the control rows that were there so far.
    """

    def __init__(self, export: Export, folder: Path, s3: "S3Client", progress: Progress) -> None:
        """Convert an export.

        Args:
            export: what is read.
            folder: where the Parquet files go.
            s3: the client for the images of rows that have them elsewhere.
            progress: called with the rows that are done.
        """
        self._export = export
        self._folder = folder
        self._s3 = s3
        self._progress = progress
        self._done = 0
        self.controls: list[Item] = []

    def run(self, processes: int) -> Iterator[Staged]:
        """Convert every data file; only what has rows is handed out.

        Raises:
            ExportError: a file is damaged, or is not one of a history table.
            IntegrityError: a row is not what was written, or its overflow object is gone.
            DatasetError: a process ended before its time.
        """
        for file, staged in self._here() if processes <= 1 else self._in_processes(processes):
            self.controls += staged.controls
            if staged.rows:
                yield staged
            if staged.pending:
                yield convert_pending(self._export, file, staged, self._s3, self._report)

    def _here(self) -> Iterator[tuple[ExportFile, Staged]]:
        for number, file in enumerate(self._export.files):
            yield file, convert(self._export, file, self._path(number), self._report)

    def _in_processes(self, processes: int) -> Iterator[tuple[ExportFile, Staged]]:
        under_way: deque[tuple[ExportFile, Future[Staged]]] = deque()
        # Not forked: threads of this process may hold locks that would never be released there.
        pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"))
        try:
            for number, file in enumerate(self._export.files):
                local = self._local(number, file)
                job = pool.submit(convert, local, file, self._path(number))
                under_way.append((file, job))
                if len(under_way) > processes:
                    yield self._finished(*under_way.popleft())
            while under_way:
                yield self._finished(*under_way.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _finished(self, file: ExportFile, job: Future[Staged]) -> tuple[ExportFile, Staged]:
        try:
            staged = job.result()
        except BrokenProcessPool as error:
            raise DatasetError(
                "a process that converts rows ended before its time: try again, with more memory "
                "or one process only"
            ) from error
        self._report(staged.rows)
        return file, staged

    def _local(self, number: int, file: ExportFile) -> Export:
        """The export as another process can read this file of it."""
        folder = self._export.folder
        if isinstance(folder, LocalFolder):
            return self._export
        path = self._path(number).with_suffix(".json.gz")
        with closing(folder.open(file.name)) as content, new_path(path).open("wb") as copy:
            shutil.copyfileobj(content, copy, _COPIED_AT_ONCE)
        return replace(self._export, folder=_Copied(path, folder.where(file.name)), files=(file,))

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.parquet"

    def _report(self, rows: int) -> None:
        self._done += rows
        self._progress("rows", self._done, self._export.items)


@dataclass(frozen=True)
class _Copied:
    """The folder of an export of which one data file was copied to this machine."""

    path: Path
    called: str

    def open(self, _name: str) -> IO[bytes]:
        return self.path.open("rb")

    def where(self, _name: str) -> str:
        return self.called


class _RowFile:
    """A Parquet file that rows are added to, a bounded number of them in memory."""

    def __init__(self, path: Path, report: Callable[[int], None] | None) -> None:
        self.count = 0
        self._path = path
        self._report = report
        self._lines: list[dict[str, Any]] = []
        self._size = 0
        self._writer: pq.ParquetWriter | None = None

    def add(self, row: HistoryRow, written_at: datetime | None) -> None:
        line = row_of(row)
        line["written_at"] = written_at
        line[MONTH] = month_of(row.change.created_at)
        self._lines.append(line)
        self._size += len(line["old_image"] or "") + len(line["new_image"] or "")
        if len(self._lines) >= _MOST_ROWS or self._size >= _MOST_BYTES:
            self._flush()

    def _flush(self) -> None:
        if not self._lines:
            return
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                new_path(self._path), STAGED, compression="lz4", write_statistics=False
            )
        self._writer.write_batch(pa.RecordBatch.from_pylist(self._lines, schema=STAGED))
        self.count += len(self._lines)
        if self._report is not None:
            self._report(len(self._lines))
        self._lines, self._size = [], 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            if self._writer is not None:
                self._writer.close()


def _beside(path: Path) -> Path:
    return path.with_suffix(".pending.gz")


def _placed(export: Export, file: ExportFile, number: int, error: IntegrityError) -> IntegrityError:
    return IntegrityError(f"{export.folder.where(file.name)} line {number}: {error}")
