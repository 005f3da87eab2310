"""Converted rows held against a dataset, and what it does not have yet as files of it.

DuckDB compares and sorts, on disk where memory does not suffice; the files are written here, so
that their columns are those of the schema.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from reports.access.private_files import new_path
from stream_core.change import EventName
from stream_core.errors import IntegrityError
from stream_core.item_id import key_digest
from warehouse.archive.conversion import STAGED
from warehouse.dataset.schema import MONTH, ROWS, original_text
from warehouse.questions.placement import DISORDERED

# As many rows together as a reader wants to skip or to read at once.
_GROUP_ROWS, _GROUP_BYTES = 65_536, 64 * 1024 * 1024
_FILE_ROWS, _FILE_BYTES = 4_000_000, 1024 * 1024 * 1024
# Few: a row may have two images of 400 KB, which JSON makes larger.
_FETCHED_AT_ONCE = 512
_REPEATED = ["id", "keys", "event_name", "event_source_arn", "aws_region", "user_identity"]
# A file has no other place for when its first and its last change were made.
_SKIPPED_BY = ["id", "sort_key", "created_at", "event_name"]


@dataclass(frozen=True)
class Written:
    """A file of new rows, not yet within the dataset.

    Attributes:
        first_change: when the first change in it was made, baselines aside; None: it has none.
    """

    path: Path
    month: str
    rows: int
    first_change: datetime | None


class Merge:
    """The rows of one export, `staged`, beside those of a dataset, `present`."""

    def __init__(self, staged: Sequence[Path], spill: Path, memory_limit: str) -> None:
        """Compare files.

        Args:
            staged: those of the export, converted.
            spill: the folder for what memory does not hold.
            memory_limit: what DuckDB may take, as `2GB`.
        """
        self._database = duckdb.connect(
            config={
                "memory_limit": memory_limit,
                "temp_directory": str(spill),
                "preserve_insertion_order": False,
            }
        )
        self._database.execute("SET TimeZone = 'UTC'")
        self._view("staged", [str(path) for path in staged], STAGED)
        self._view("present", [], ROWS)

    def __enter__(self) -> Self:
        """Use the database until the end of the block."""
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _where: TracebackType | None,
    ) -> None:
        """Close the database."""
        self._database.close()

    @property
    def months(self) -> frozenset[str]:
        """The partitions that the export has rows of."""
        months = self._database.execute("SELECT DISTINCT month FROM staged").fetchall()
        return frozenset(month for (month,) in months)

    @property
    def streams(self) -> frozenset[str]:
        """The streams that the export's rows were told by."""
        streams = self._database.execute("SELECT DISTINCT event_source_arn FROM staged").fetchall()
        return frozenset(original_text(stream) for (stream,) in streams)

    def beside(self, present: Sequence[str]) -> None:
        """Compare with these files of the dataset."""
        self._view("present", present, ROWS)

    def require_once(self) -> None:
        """Make sure that the export shows every history row once.

        Raises:
            IntegrityError: it shows one twice.
        """
        self._refuse_any(
            "SELECT id, sort_key FROM staged GROUP BY ALL HAVING count(*) > 1",
            "the export shows it twice: export the table again",
        )

    def require_unaltered(self) -> None:
        """Make sure that what the export and the dataset both have is the same.

        Raises:
            IntegrityError: a row has another digest in the export.
        """
        self._refuse_any(
            "SELECT id, sort_key FROM staged JOIN present USING (id, sort_key)"
            " WHERE staged.digest <> present.digest",
            "it has another digest in the export than in the dataset: it was written again; find "
            "out who did it",
        )

    def require_none_lost(self) -> None:
        """Make sure that the export has all that the dataset has.

        Raises:
            IntegrityError: it lacks a row.
        """
        self._refuse_any(
            "SELECT id, sort_key FROM present ANTI JOIN staged USING (id, sort_key)",
            "the dataset has it, and this later export of the whole table does not: it was "
            "removed from the table; find out who did it",
        )

    def require_none_new(self) -> None:
        """Make sure that the dataset has all that the export has.

        Raises:
            IntegrityError: it lacks a row.
        """
        self._refuse_any(
            "SELECT id, sort_key FROM staged ANTI JOIN present USING (id, sort_key)",
            "a later export of the whole table, which the dataset has, does not show it: it was "
            "removed from the table in between; find out who did it",
        )

    def disordered(self, present: Sequence[str], *, only_staged: bool) -> frozenset[str]:
        """The items of which the sequence numbers of a stream contradict the times.

        Args:
            present: the files of the dataset that may hold rows next to those of the export.
            only_staged: look at the items of the export alone.
        """
        self._view("present", present, ROWS)
        columns = "id, sort_key, event_name, event_source_arn, sequence_number"
        which = "WHERE id IN (SELECT id FROM staged)" if only_staged else ""
        self._database.execute(
            f"CREATE OR REPLACE TEMP VIEW rows AS SELECT {columns} FROM staged"  # noqa: S608
            f" UNION ALL SELECT {columns} FROM present {which}"
        )
        return frozenset(item for (item,) in self._database.execute(DISORDERED).fetchall())

    def write_new(
        self, folder: Path, name: str, written_after: datetime | None
    ) -> Iterator[Written]:
        """Write the rows that the dataset does not have, in files by month.

        Args:
            folder: where the files go.
            name: what their names begin with.
            written_after: a time at which the history table did not have them yet, if one is
                known; a row of which the export tells when it was written needs none.
        """
        new: MonthFile | None = None
        rows = self._database.sql(
            "SELECT * REPLACE (CASE WHEN written_at IS NULL THEN $after::TIMESTAMPTZ END"
            " AS written_after) FROM staged ANTI JOIN present USING (id, sort_key)"
            " ORDER BY month, id, sort_key",
            params={"after": written_after},
        ).to_arrow_reader(_FETCHED_AT_ONCE)
        number = 0
        for month, batch in _by_month(rows):
            if new is not None and (new.month != month or new.is_full):
                yield new.finish()
                new = None
            if new is None:
                new = MonthFile(folder / f"{name}-{number:05d}.parquet", month)
                number += 1
            new.add(batch)
        if new is not None:
            yield new.finish()

    def _view(self, name: str, paths: Sequence[str], schema: pa.Schema) -> None:
        relation = (
            self._database.read_parquet(list(paths), hive_partitioning=False)
            if paths
            else self._database.from_arrow(schema.empty_table())
        )
        relation.create_view(name, replace=True)

    def _refuse_any(self, rows: str, what: str) -> None:
        count, first = self._database.sql(
            f"SELECT count(*), min(row(sort_key, id)) FROM ({rows})"  # noqa: S608
        ).fetchall()[0]
        if count:
            sort_key, identifier = first
            more = f" (and {count - 1} more)" if count > 1 else ""
            raise IntegrityError(
                f"history row {original_text(sort_key)} of the item with the digest "
                f"{key_digest(original_text(identifier))}{more}: {what}"
            )


class MonthFile:
    """One file of the dataset while it is written."""

    def __init__(self, path: Path, month: str) -> None:
        """Write a file of rows of one month, given in order."""
        self.month = month
        self._path = path
        self._rows = self._bytes = self._group_bytes = self._group_rows = 0
        self._group: list[pa.Table] = []
        self._first_change: datetime | None = None
        self._writer = pq.ParquetWriter(
            new_path(path),
            ROWS,
            compression="zstd",
            use_dictionary=_REPEATED,
            write_statistics=_SKIPPED_BY,
        )

    @property
    def is_full(self) -> bool:
        """Whether it is as large as a file should be."""
        return self._rows >= _FILE_ROWS or self._bytes >= _FILE_BYTES

    def add(self, rows: pa.Table) -> None:
        """Add rows."""
        self._group.append(rows)
        changes = rows.filter(pc.not_equal(rows["event_name"], EventName.SNAPSHOT.value))
        self._first_change = earliest(self._first_change, pc.min(changes["created_at"]).as_py())
        self._group_rows += rows.num_rows
        self._group_bytes += rows.nbytes
        if self._group_rows >= _GROUP_ROWS or self._group_bytes >= _GROUP_BYTES:
            self._flush()

    def finish(self) -> Written:
        """The file, complete."""
        self._flush()
        self._writer.close()
        return Written(self._path, self.month, self._rows, self._first_change)

    def _flush(self) -> None:
        if self._group:
            group = pa.concat_tables(self._group)
            self._writer.write_table(group, row_group_size=group.num_rows)
            self._rows += self._group_rows
            self._bytes += self._group_bytes
        self._group, self._group_rows, self._group_bytes = [], 0, 0


def earliest(*moments: datetime | None) -> datetime | None:
    """The earliest of moments, of which any may be unknown."""
    return min(filter(None, moments), default=None)


def _by_month(rows: pa.RecordBatchReader) -> Iterator[tuple[str, pa.Table]]:
    """Rows in the order of their months, each part of one month, with the columns of a file."""
    for batch in rows:
        table = pa.Table.from_batches([batch])
        months = table[MONTH]
        for month in pc.unique(months).to_pylist():
            yield month, table.filter(pc.equal(months, month)).drop_columns([MONTH]).cast(ROWS)
