"""An export of a table by DynamoDB itself, in DYNAMODB_JSON, checked before it is believed.

Source: Developer Guide, "DynamoDB table export output format". Beside the summary there are a list
of the data files, a checksum of either, and the folder `data`; wherever all of it was copied to,
the names within it stay. The guide calls the checksums `.checksum`; DynamoDB writes `.md5`.
Incremental exports share one folder `data` beside theirs.
"""

import base64
import gzip
import hashlib
import io
import json
import re
import zlib
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from more_itertools import constrained_batches, ilen

from reports.access.bounded import OversizeError, read_at_most
from reports.exports.export_folder import (
    BESIDE,
    SUMMARY,
    ExportError,
    ExportFolder,
    MissingFileError,
    folder_of,
)
from reports.inputs.keys import KeySchema
from stream_core.attribute_values import Item, read_item
from stream_core.errors import MalformedRecordError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_FILES = "manifest-files.json"
_CHECKSUMS = (".md5", ".checksum")
_FORMAT = "DYNAMODB_JSON"
# The folder of all exports under a prefix.
_ROOT = "AWSDynamoDB"
_DATA = "data"
# No characters that mean anything to a path, on any system.
_FILE_NAME = re.compile(r"(?a)\w[\w.-]*")
# More than three images of 400 KB take as JSON: a null in a list has 1 byte there, and 14 here.
_MOST_LINE_BYTES = 64 * 1024 * 1024
# A file takes a line of some 300 bytes in the list, and a table has a million files at most.
_MOST_MANIFEST_BYTES = 512 * 1024 * 1024
_MOST_CHECKSUM_BYTES = 1024
# As much as a page of a scan.
_BATCH_BYTES = 1024 * 1024


class ExportKind(StrEnum):
    """What an export shows."""

    FULL = "FULL_EXPORT"
    """Every item of the table as it was at one time."""
    INCREMENTAL = "INCREMENTAL_EXPORT"
    """What was written in a span of time, each item once, as it was at the end."""


@dataclass(frozen=True)
class ExportFile:
    """A file of items, or of changes.

    Attributes:
        name: within the export's folder.
        items: how many it has.
        md5: of the file as it is, in base64.
    """

    name: str
    items: int
    md5: str


@dataclass(frozen=True)
class Export:
    """A table as it was at one time, or what changed in it until then.

    Attributes:
        table_id: of the table, which a new one of the same name does not have; empty: not given.
        since: the start of an incremental export, included; None for a full one.
        time: when the table was so; for an incremental export its end, excluded.
        files_md5: of the list of the data files, in base64.
    """

    folder: ExportFolder
    arn: str
    table_arn: str
    table_id: str
    kind: ExportKind
    since: datetime | None
    time: datetime
    items: int
    files: tuple[ExportFile, ...]
    files_md5: str

    @property
    def content_id(self) -> str:
        """What no export of other items has, wherever it was copied to."""
        return f"{self.arn} {self.files_md5}"

    @classmethod
    def read(
        cls,
        location: str | Path,
        s3: "S3Client | None",
        kinds: Collection[ExportKind] = (ExportKind.FULL,),
    ) -> "Export":
        """Read what an export says of itself; its data files are checked when they are read.

        Args:
            location: `s3://BUCKET/PREFIX/AWSDynamoDB/ID`, or the path of a copy of that folder.
            s3: the client for a bucket.
            kinds: what it may be.

        Raises:
            ExportError: it is damaged, not of these kinds, or not in DYNAMODB_JSON.
        """
        folder = folder_of(location, s3)
        summary = _summary(folder)
        kind = _kind(folder, summary, kinds)
        full = kind is ExportKind.FULL
        listed = _checked(folder, _FILES)
        export = cls(
            folder,
            arn=_field(folder, SUMMARY, summary, "exportArn", str),
            table_arn=_field(folder, SUMMARY, summary, "tableArn", str),
            table_id=str(summary.get("tableId") or ""),
            kind=kind,
            since=None if full else _time(folder, summary, "exportFromTime"),
            time=_time(folder, summary, "exportTime" if full else "exportToTime"),
            items=_field(folder, SUMMARY, summary, "itemCount", int),
            files=tuple(_export_files(folder, listed)),
            files_md5=_md5_of(io.BytesIO(listed)),
        )
        export._require_all_files()
        return export

    def _require_all_files(self) -> None:
        listed = sum(file.items for file in self.files)
        if listed != self.items:
            raise ExportError(
                f"{self.folder.where(_FILES)} lists {listed} items, and the summary {self.items}: "
                "export the table again"
            )
        names = [file.name for file in self.files]
        if len(set(names)) != len(names):
            raise ExportError(
                f"{self.folder.where(_FILES)} lists a file twice: export the table again"
            )

    def batches(self, file: ExportFile, key_schema: KeySchema, most: int) -> Iterator[list[Item]]:
        """The items of a file, up to `most` of them at a time.

        The whole file is checked before the first of them.

        Raises:
            ExportError: the file is missing or damaged, or has items of another table.
        """
        batches = constrained_batches(
            self.lines(file), _BATCH_BYTES, most, get_len=lambda line: len(line[1]), strict=False
        )
        for batch in batches:
            yield [self._item(file, number, line, key_schema) for number, line in batch]

    def lines(self, file: ExportFile) -> Iterator[tuple[int, bytes]]:
        """The lines of a file with their numbers, from 1; the whole file is checked before.

        Raises:
            ExportError: the file is missing or damaged.
        """
        with closing(self.folder.open(file.name)) as content:
            self._check(file, content)
            yield from enumerate(self._lines(file, content), 1)

    def damaged(self, file: ExportFile, what: str) -> ExportError:
        """The error for a file that is not what was exported."""
        return ExportError(
            f"{self.folder.where(file.name)} is not what was exported: {what}; copy it again, or "
            "export the table again"
        )

    def _check(self, file: ExportFile, content: IO[bytes]) -> None:
        md5 = _md5_of(content)
        if md5 != file.md5:
            raise self.damaged(file, f"its MD5 is {md5}, not {file.md5}")
        # Few bytes can be made many lines: no more are wanted than were listed.
        items = ilen(islice(self._lines(file, content), file.items + 1))
        if items > file.items:
            raise self.damaged(file, f"it has more than {file.items} items")
        if items < file.items:
            raise self.damaged(file, f"it has {items} items, not {file.items}")

    def _lines(self, file: ExportFile, content: IO[bytes]) -> Iterator[bytes]:
        content.seek(0)
        try:
            # Only b"\n" ends a line: texts may hold what else Python takes for the end of one.
            with gzip.GzipFile(fileobj=content) as lines:
                for line in iter(partial(lines.readline, _MOST_LINE_BYTES), b""):
                    if len(line) == _MOST_LINE_BYTES:
                        raise self.damaged(file, "a line is longer than any item")
                    if line.strip():
                        yield line
        except (OSError, EOFError, zlib.error) as error:
            raise self.damaged(file, f"it cannot be decompressed ({error})") from error

    def _item(self, file: ExportFile, number: int, line: bytes, key_schema: KeySchema) -> Item:
        try:
            item = read_item(json.loads(line)["Item"])
        except (ValueError, TypeError, KeyError, RecursionError, MalformedRecordError) as error:
            # The error's own text may quote the item.
            raise self.damaged(file, f"line {number} is no item") from error
        for name, kind in key_schema.types.items():
            if kind not in item.get(name, {}):
                raise self.damaged(file, f"line {number} lacks the key attribute {name} ({kind})")
        return item


def _summary(folder: ExportFolder) -> dict[str, Any]:
    try:
        content = _checked(folder, SUMMARY)
    except MissingFileError as error:
        raise MissingFileError(
            f"{error}: give the folder AWSDynamoDB/ID of an export that is finished"
        ) from error
    summary = _object(folder, SUMMARY, content)
    if summary.get("outputFormat") != _FORMAT:
        raise ExportError(
            f"{folder.where(SUMMARY)} is of an export in {summary.get('outputFormat')}: export "
            f"the table again, in {_FORMAT}"
        )
    for name, value in summary.items():
        # Since 2026 an export may leave out what a filter does not match, items and attributes.
        if value and "filter" in name.lower():
            raise ExportError(
                f"{folder.where(SUMMARY)} is of an export with a filter: that shows a part of the "
                "table; export it without"
            )
    return summary


def _kind(
    folder: ExportFolder, summary: dict[str, Any], kinds: Collection[ExportKind]
) -> ExportKind:
    # Summaries of the first years have none: there was one kind only.
    kind = summary.get("exportType") or ExportKind.FULL
    if kind in kinds:
        return ExportKind(kind)
    what = "that shows changes, not the table; " if kind == ExportKind.INCREMENTAL else ""
    raise ExportError(
        f"{folder.where(SUMMARY)} is of an {kind}: {what}give a {' or an '.join(kinds)}"
    )


def _export_files(folder: ExportFolder, listed: bytes) -> Iterator[ExportFile]:
    for line in listed.split(b"\n"):
        if not line.strip():
            continue
        entry = _object(folder, _FILES, line)
        key = PurePosixPath(_field(folder, _FILES, entry, "dataFileS3Key", str))
        if key.parent.name != _DATA or not _FILE_NAME.fullmatch(key.name):
            raise ExportError(
                f"{folder.where(_FILES)} lists {key}, which is no data file of an export: export "
                "the table again"
            )
        name = f"{_DATA}/{key.name}"
        yield ExportFile(
            # In the bucket it was exported to it may have another prefix than where it is now.
            name=f"{BESIDE}{name}" if key.parent.parent.name == _ROOT else name,
            items=_field(folder, _FILES, entry, "itemCount", int),
            md5=_field(folder, _FILES, entry, "md5Checksum", str),
        )


def _checked(folder: ExportFolder, name: str) -> bytes:
    """A small file that has a checksum file beside it."""
    content = _small_file(folder, name, _MOST_MANIFEST_BYTES)
    md5 = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest())
    if md5 != _checksum(folder, name).strip():
        raise ExportError(
            f"{folder.where(name)} does not fit its checksum: copy it again, or export the table "
            "again"
        )
    return content


def _small_file(folder: ExportFolder, name: str, most: int) -> bytes:
    with closing(folder.open(name)) as file:
        try:
            return read_at_most(file, most)
        except OversizeError as error:
            raise ExportError(
                f"{folder.where(name)} is not what an export has there: {error}"
            ) from error


def _checksum(folder: ExportFolder, name: str) -> bytes:
    stem = name.removesuffix(".json")
    for ending in _CHECKSUMS:
        try:
            return _small_file(folder, stem + ending, _MOST_CHECKSUM_BYTES)
        except MissingFileError:
            continue
    raise MissingFileError(
        f"{folder.where(name)} has no checksum {stem}{_CHECKSUMS[0]} beside it: copy the whole "
        "folder of the export"
    )


def _md5_of(content: IO[bytes]) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    while chunk := content.read(_BATCH_BYTES):
        digest.update(chunk)
    return base64.b64encode(digest.digest()).decode("ascii")


def _object(folder: ExportFolder, name: str, text: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise ExportError(f"{folder.where(name)} is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise ExportError(f"{folder.where(name)} is not what an export has there")
    return fields


def _field(
    folder: ExportFolder, name: str, fields: dict[str, Any], field: str, kind: type[Any]
) -> Any:
    value = fields.get(field)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ExportError(
            f"{folder.where(name)} has no {field}: it is not what an export has there"
        )
    return value


def _time(folder: ExportFolder, summary: dict[str, Any], field: str) -> datetime:
    text = _field(folder, SUMMARY, summary, field, str)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ExportError(f"{folder.where(SUMMARY)} has no time: {text}") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
