"""A dataset: a folder of Parquet files, and the manifest that says which of them belong to it.

    FOLDER/manifest.json
    FOLDER/rows/month=2026-11/NAME.parquet

The manifest is replaced as a whole and as the last step of an ingest: a file that it does not
list, whatever its name, is no part of the dataset.
"""

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from reports.access.durable_file import READABLE, replace_file
from warehouse.dataset.schema import MONTH, ROWS
from warehouse.errors import DatasetError

MANIFEST = "manifest.json"
ROWS_FOLDER = "rows"
Kind = Literal["FULL_EXPORT", "INCREMENTAL_EXPORT"]

_FORMAT = 1
_READERS = 8


@dataclass(frozen=True)
class Ingested:
    """An export whose rows are in the dataset.

    Attributes:
        since: the start of an incremental export, included; None for a full one.
        until: what the history table held then, or right before it if incremental, is known.
        items: how many it had.
        md5: of its list of data files, in base64.
    """

    arn: str
    kind: Kind
    table_id: str
    since: datetime | None
    until: datetime
    items: int
    md5: str


@dataclass(frozen=True)
class DataFile:
    """A file of rows.

    Attributes:
        name: within the dataset's folder, with slashes.
        bytes: how large it is.
        export: the ARN of the export that it came with.
    """

    name: str
    rows: int
    bytes: int
    export: str

    @property
    def month(self) -> str:
        """The partition that it belongs to."""
        return PurePosixPath(self.name).parent.name.removeprefix(f"{MONTH}=")


@dataclass(frozen=True)
class Dataset:
    """The rows of one history table, as far as its exports show them.

    Attributes:
        history_table: the table's ARN.
        horizon: when the history began; None: unknown.
        complete_until: what the table held by then is here, without a gap.
        exports: in the order in which they were ingested.
    """

    folder: Path
    history_table: str
    horizon: datetime | None
    complete_until: datetime
    exports: tuple[Ingested, ...]
    files: tuple[DataFile, ...]

    @classmethod
    def open(cls, folder: str | Path) -> "Dataset":
        """Read the manifest, and see that every file that it lists is there as it was written.

        Raises:
            DatasetError: there is no dataset, or it is damaged.
        """
        dataset = cls.described(Path(folder))
        with ThreadPoolExecutor(_READERS) as pool:
            for _ in pool.map(dataset._check, dataset.files):  # noqa: SLF001 - one's own
                pass
        return dataset

    @classmethod
    def described(cls, folder: Path) -> "Dataset":
        """What the manifest says; no other file is looked at.

        Raises:
            DatasetError: there is none, or it is damaged.
        """
        try:
            content = json.loads((folder / MANIFEST).read_bytes())
        except FileNotFoundError as error:
            raise DatasetError(
                f"{folder} is no dataset: it has no {MANIFEST}; ingest an export of the history "
                "table into it"
            ) from error
        except OSError as error:
            raise DatasetError(f"{folder / MANIFEST} cannot be read: {error.strerror}") from error
        except ValueError:
            content = None
        try:
            return cls._from_content(folder, content)
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(
                f"{folder / MANIFEST} is not the manifest of a dataset of this program: ingest "
                "the exports into a new folder"
            ) from error

    @property
    def paths(self) -> list[str]:
        """The absolute paths of the files that make up the dataset."""
        return self.paths_of(self.files)

    @property
    def rows(self) -> int:
        """How many history rows it has."""
        return sum(file.rows for file in self.files)

    def paths_of(self, files: Iterable[DataFile]) -> list[str]:
        """The absolute paths of some of the files."""
        folder = self.folder.absolute()
        return [str(folder / file.name) for file in files]

    def save(self) -> None:
        """Make this the dataset: replace the manifest, in one step that survives a power failure.

        Raises:
            DatasetError: it cannot be written; the dataset is as before.
        """
        fields = asdict(self) | {"format": _FORMAT}
        del fields["folder"]
        content = json.dumps(fields, indent=1, default=datetime.isoformat) + "\n"
        try:
            # Spark, which reads it too, may run under another account.
            replace_file(self.folder / MANIFEST, content.encode("ascii"), READABLE)
        except OSError as error:
            raise DatasetError(
                f"{self.folder / MANIFEST} cannot be written: {error.strerror}"
            ) from error

    @classmethod
    def _from_content(cls, folder: Path, content: Any) -> "Dataset":
        if content["format"] != _FORMAT:
            raise ValueError
        return cls(
            folder,
            history_table=str(content["history_table"]),
            horizon=_time(content["horizon"]),
            complete_until=datetime.fromisoformat(content["complete_until"]).astimezone(UTC),
            exports=tuple(
                Ingested(
                    **{**fields, "since": _time(fields["since"]), "until": _time(fields["until"])}
                )
                for fields in content["exports"]
            ),
            files=tuple(DataFile(**fields) for fields in content["files"]),
        )

    def _check(self, file: DataFile) -> None:
        path = self.folder / file.name
        try:
            size = path.stat().st_size
            with pq.ParquetFile(path) as content:
                rows, schema = content.metadata.num_rows, content.schema_arrow
        except FileNotFoundError as error:
            raise self._damaged(path, "is not there") from error
        except (OSError, pa.ArrowException) as error:
            raise self._damaged(path, "cannot be read as Parquet") from error
        if rows != file.rows:
            raise self._damaged(path, f"has {rows} rows, not {file.rows}")
        if size != file.bytes:
            raise self._damaged(path, f"has {size} bytes, not {file.bytes}")
        if not schema.equals(ROWS):
            raise self._damaged(path, "has other columns than history rows have here")

    def _damaged(self, path: Path, what: str) -> DatasetError:
        return DatasetError(
            f"{path} {what}: the dataset is damaged; put the file back, or ingest the exports "
            "into a new folder"
        )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
