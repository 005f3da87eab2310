"""A dataset: a folder of Parquet files, and the manifest that says which of them belong to it.

    FOLDER/manifest.json
    FOLDER/rows/month=2026-11/NAME.parquet

The manifest is replaced as a whole and as the last step of an ingest: a file that it does not
list, whatever its name, is no part of the dataset. It says of itself and of every file what they
are, and an answer is given only where that agrees: with itself, and with the files' own footers.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from more_itertools import duplicates_everseen

from reports.access.private_files import mode_kept, path_within, replace_file
from reports.access.progress import Progress, silent
from reports.states.lives import Lives
from reports.states.watermark import Basis, NoWatermark, Watermark
from stream_core.attribute_values import Item, read_item, wire_json
from stream_core.control_row import ControlRow, label_of, read_control_row
from stream_core.errors import MalformedRecordError
from stream_core.history_row import time_text
from warehouse.dataset.schema import MONTH, ROWS, month_of
from warehouse.errors import DatasetError

MANIFEST = "manifest.json"
ROWS_FOLDER = "rows"
Kind = Literal["FULL_EXPORT", "INCREMENTAL_EXPORT"]

# 1 had no digests, no times of files and no times of writing.
_FORMAT = 2
_READERS = 8
# No characters that mean anything to a path, or to an engine that is given it.
_FILE_NAME = re.compile(rf"(?a){ROWS_FOLDER}/{MONTH}=\d{{4}}-\d\d/\w[\w.-]*\.parquet")
_CREATED_AT = ROWS.get_field_index("created_at")


@dataclass(frozen=True)
class Ingested:
    """An export whose rows are in the dataset.

    Attributes:
        since: the start of an incremental export, included; None for a full one.
        until: what the history table held then, or right before it if incremental, is known.
        items: how many it had.
        rows: how many of them the dataset did not have: they are in the files that came with it.
        md5: of its list of data files, in base64.
    """

    arn: str
    kind: Kind
    table_id: str
    since: datetime | None
    until: datetime
    items: int
    rows: int
    md5: str


@dataclass(frozen=True)
class DataFile:
    """A file of rows.

    Attributes:
        name: within the dataset's folder, with slashes.
        bytes: how large it is.
        first: when the first change in it was made, UTC.
        last: when the last one was made, UTC.
        sha256: of its bytes, in hexadecimal.
        export: the ARN of the export that it came with.
    """

    name: str
    rows: int
    bytes: int
    first: datetime
    last: datetime
    sha256: str
    export: str

    @classmethod
    def from_file(cls, folder: Path, name: str, export: str) -> "DataFile":
        """A file that was just written.

        Raises:
            OSError, pa.ArrowException: it cannot be read.
        """
        path = folder / name
        with pq.ParquetFile(path) as content:
            rows, span = content.metadata.num_rows, _span(content.metadata)
        if span is None:
            raise pa.ArrowInvalid(f"{path} does not say of which time its rows are")
        return cls(name, rows, path.stat().st_size, *span, _sha256(path), export)

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
        watermark: up to when every change was in the table that is here; None: not known.
        streams: the ARNs of the streams that told of the rows.
        controls: the control rows of the table, in wire form.
        disordered: the `id` of every item of which the sequence numbers of a stream contradict
            the times; None: an earlier version of this program did not look for them.
        source_table: the table that the history follows, by its ARN or name; None: not known.
    """

    folder: Path
    history_table: str
    horizon: datetime | None
    complete_until: datetime
    exports: tuple[Ingested, ...]
    files: tuple[DataFile, ...]
    watermark: Watermark | None = None
    streams: tuple[str, ...] = ()
    controls: tuple[Item, ...] = ()
    disordered: tuple[str, ...] | None = None
    source_table: str | None = None

    @classmethod
    def open(cls, folder: str | Path) -> "Dataset":
        """Read the manifest, and see that every file that it lists is there as it was written.

        Of a file that is its size and its footer: how many rows it has, with which columns, and
        of which time. `altered_files` reads them whole.

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
        """What the manifest says, if it agrees with itself; no other file is looked at.

        Raises:
            DatasetError: there is none, or it is damaged.
        """
        path = folder / MANIFEST
        try:
            content = json.loads(path.read_bytes())
        except FileNotFoundError as error:
            raise DatasetError(
                f"{folder} is no dataset: it has no {MANIFEST}; ingest an export of the history "
                "table into it"
            ) from error
        except OSError as error:
            raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
        except (ValueError, RecursionError):
            content = None
        try:
            dataset = cls._from_content(folder, content)
        except (KeyError, TypeError, ValueError, AttributeError, MalformedRecordError) as error:
            raise DatasetError(
                f"{path} is not the manifest of a dataset of this program and version: ingest the "
                "exports into a new folder, or have the table exported into one"
            ) from error
        for fault in dataset._faults():  # noqa: SLF001 - one's own
            raise _damaged(path, fault)
        return dataset

    @property
    def paths(self) -> list[str]:
        """The absolute paths of the files that make up the dataset."""
        return self.paths_of(self.files)

    @property
    def complete_since(self) -> datetime | None:
        """When the first finished backfill of the newest stream began; None: there is none.

        A stream that was made anew ends what the marks of the one before it say.
        """
        rows = self.control_rows
        streams = {*self.streams, *(row.stream_arn for row in rows)}
        mark = Lives.read(rows, None).mark(max(streams, key=label_of, default=None))
        return None if mark is None else mark.started

    @property
    def control_rows(self) -> list[ControlRow]:
        """What the history says of itself."""
        return [row for row in map(read_control_row, self.controls) if row is not None]

    @property
    def rows(self) -> int:
        """How many history rows it has."""
        return sum(file.rows for file in self.files)

    def paths_of(self, files: Iterable[DataFile]) -> list[str]:
        """The absolute paths of some of the files."""
        folder = self.folder.absolute()
        return [str(folder / file.name) for file in files]

    def altered_files(self, progress: Progress = silent) -> list[str]:
        """The names of the files whose bytes are not those that were written.

        Args:
            progress: called with the files that are done.

        Raises:
            DatasetError: a file cannot be read.
        """
        altered = []
        paths = map(Path, self.paths)
        with ThreadPoolExecutor(_READERS) as pool:
            try:
                for done, digest in enumerate(pool.map(_sha256, paths), 1):
                    file = self.files[done - 1]
                    if digest != file.sha256:
                        altered.append(file.name)
                    progress("files", done, len(self.files))
            except OSError as error:
                raise DatasetError(f"{error.filename} cannot be read: {error.strerror}") from error
        return altered

    def recorded_until(self, watermark: Watermark | NoWatermark) -> "Dataset":
        """The same, every change up to a moment being in it, if that is known.

        Raises:
            DatasetError: it is complete until an earlier moment.
        """
        if isinstance(watermark, NoWatermark):
            return self
        if watermark.at > self.complete_until:
            raise DatasetError(
                f"{self.folder} is complete until {time_text(self.complete_until)}, so that no "
                f"change can be known to be in it until {time_text(watermark.at)}: give an earlier "
                "--recorded-until"
            )
        return replace(self, watermark=watermark)

    def save(self) -> None:
        """Make this the dataset: replace the manifest, in one step that survives a power failure.

        Raises:
            DatasetError: it cannot be written; the dataset is as before.
        """
        fields = asdict(self)
        del fields["folder"]
        fields["controls"] = [json.loads(wire_json(item)) for item in self.controls]
        fields = json.loads(json.dumps(fields, default=datetime.isoformat))
        sealed = {"format": _FORMAT, "sha256": _content_digest(fields), **fields}
        content = json.dumps(sealed, indent=1) + "\n"
        try:
            path = self.folder / MANIFEST
            replace_file(path, content.encode("ascii"), mode_kept(path))
        except OSError as error:
            raise DatasetError(
                f"{self.folder / MANIFEST} cannot be written: {error.strerror}"
            ) from error

    @classmethod
    def _from_content(cls, folder: Path, content: Any) -> "Dataset":
        if content.pop("format") != _FORMAT:
            raise ValueError
        if content.pop("sha256") != _content_digest(content):
            raise _damaged(folder / MANIFEST, "is not as this program wrote it")
        return cls(
            folder,
            history_table=str(content["history_table"]),
            horizon=_time_or_none(content["horizon"]),
            complete_until=_time(content["complete_until"]),
            exports=tuple(
                Ingested(
                    **fields
                    | {"since": _time_or_none(fields["since"]), "until": _time(fields["until"])}
                )
                for fields in content["exports"]
            ),
            files=tuple(
                DataFile(
                    **fields | {"first": _time(fields["first"]), "last": _time(fields["last"])}
                )
                for fields in content["files"]
            ),
            watermark=_watermark(content["watermark"]),
            streams=tuple(content["streams"]),
            controls=tuple(map(read_item, content["controls"])),
            disordered=None if (items := content.get("disordered")) is None else tuple(items),
            source_table=content.get("source_table"),
        )

    def _faults(self) -> Iterator[str]:
        """In what the manifest does not agree with itself."""
        for file in self.files:
            if not _FILE_NAME.fullmatch(file.name):
                yield f"lists {file.name}, which is no place of a file of rows"
            if {month_of(file.first), month_of(file.last)} != {file.month}:
                yield f"lists {file.name}, which has changes of another month"
        for file in duplicates_everseen(self.files, key=attrgetter("sha256")):
            yield f"lists {file.name} twice, under whatever name"
        yield from self._miscounted()
        if self.complete_until != max((export.until for export in self.exports), default=None):
            yield "is complete until another time than its exports"
        if self.watermark is not None and self.watermark.at > self.complete_until:
            yield "has all changes until later than it is complete"

    def _miscounted(self) -> Iterator[str]:
        """Whose rows are more or fewer than came with an export."""
        listed = Counter[str]()
        for file in self.files:
            listed[file.export] += file.rows
        for export in self.exports:
            if (rows := listed.pop(export.arn, 0)) != export.rows:
                yield f"lists {rows} rows of {export.arn}, which brought {export.rows}"
        for arn in listed:
            yield f"lists rows of {arn}, and not that export"

    def _check(self, file: DataFile) -> None:
        path = self.folder / file.name
        try:
            path_within(self.folder, file.name)
            size = path.stat().st_size
            with pq.ParquetFile(path) as content:
                footer, schema = content.metadata, content.schema_arrow
        except FileNotFoundError as error:
            raise _damaged(path, "is not there") from error
        except PermissionError as error:
            raise _damaged(path, f"cannot be read: {error.strerror}") from error
        except (OSError, pa.ArrowException) as error:
            raise _damaged(path, "cannot be read as Parquet") from error
        if footer.num_rows != file.rows:
            raise _damaged(path, f"has {footer.num_rows} rows, not {file.rows}")
        if size != file.bytes:
            raise _damaged(path, f"has {size} bytes, not {file.bytes}")
        if not schema.equals(ROWS):
            raise _damaged(path, "has other columns than history rows have here")
        if _span(footer) != (file.first, file.last):
            raise _damaged(path, "has changes of another time than when it was written")


def _damaged(path: Path, what: str) -> DatasetError:
    return DatasetError(
        f"{path} {what}: the dataset is damaged; put the file back, or ingest the exports into a "
        "new folder"
    )


def _span(footer: pq.FileMetaData) -> tuple[datetime, datetime] | None:
    """When the first and the last change in a file were made; None: its footer does not say."""
    spans = [
        footer.row_group(group).column(_CREATED_AT).statistics
        for group in range(footer.num_row_groups)
    ]
    if not spans or not all(span is not None and span.has_min_max for span in spans):
        return None
    first, last = min(span.min for span in spans), max(span.max for span in spans)
    return first.astimezone(UTC), last.astimezone(UTC)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _content_digest(fields: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode("ascii")).hexdigest()


def _watermark(fields: Any) -> Watermark | None:
    if fields is None:
        return None
    return Watermark(_time(fields["at"]), Basis(fields["basis"]), str(fields["reason"]))


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment.astimezone(UTC)


def _time_or_none(text: str | None) -> datetime | None:
    return None if text is None else _time(text)
