"""A full export of a table by DynamoDB itself, in DYNAMODB_JSON, checked before it is believed.

Source: Developer Guide, "DynamoDB table export output format". Beside the summary there are a list
of the data files, a checksum of either, and the folder `data`; wherever all of it was copied to,
the names within it stay. The guide calls the checksums `.checksum`; DynamoDB writes `.md5`.
"""

import base64
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from operations.export_folder import (
    SUMMARY,
    ExportError,
    ExportFolder,
    MissingFileError,
    folder_of,
)
from reports.keys import KeySchema
from stream_core.attribute_values import Item, read_item
from stream_core.failures import MalformedRecordError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_FILES = "manifest-files.json"
_CHECKSUMS = (".md5", ".checksum")
_FORMAT, _KIND = "DYNAMODB_JSON", "FULL_EXPORT"
# As much as a page of a scan.
_BATCH_BYTES = 1024 * 1024


@dataclass(frozen=True)
class DataFile:
    """A file of items.

    Attributes:
        name: within the export's folder.
        items: how many items it has.
        md5: of the file as it is, in base64.
    """

    name: str
    items: int
    md5: str


@dataclass(frozen=True)
class Export:
    """A table as it was at one time.

    Attributes:
        table_id: of the table, which a new one of the same name does not have; empty: not told.
        time: when the table was so.
    """

    folder: ExportFolder
    arn: str
    table_arn: str
    table_id: str
    time: datetime
    items: int
    files: tuple[DataFile, ...]

    @classmethod
    def read(cls, location: str | Path, s3: "S3Client") -> "Export":
        """Read what an export says of itself; its data files are checked when they are read.

        Args:
            location: `s3://BUCKET/PREFIX/AWSDynamoDB/ID`, or the path of a copy of that folder.
            s3: the client for a bucket.

        Raises:
            ExportError: it is damaged or not a full export in DYNAMODB_JSON.
        """
        folder = folder_of(location, s3)
        summary = _summary(folder)
        files = tuple(_data_files(folder))
        export = cls(
            folder,
            arn=_field(folder, SUMMARY, summary, "exportArn", str),
            table_arn=_field(folder, SUMMARY, summary, "tableArn", str),
            table_id=str(summary.get("tableId") or ""),
            time=_time(folder, summary),
            items=_field(folder, SUMMARY, summary, "itemCount", int),
            files=files,
        )
        listed = sum(file.items for file in files)
        if listed != export.items:
            raise ExportError(
                f"{folder.where(_FILES)} lists {listed} items, and the summary {export.items}: "
                "export the table again"
            )
        return export

    def batches(self, file: DataFile, key_schema: KeySchema, most: int) -> Iterator[list[Item]]:
        """The items of a file, up to `most` of them at a time.

        The whole file is checked before the first of them.

        Raises:
            ExportError: the file is missing or damaged, or has items of another table.
        """
        with closing(self.folder.open(file.name)) as content:
            self._check(file, content)
            batch: list[Item] = []
            size = 0
            for number, line in enumerate(self._lines(file, content), 1):
                batch.append(self._item(file, number, line, key_schema))
                size += len(line)
                if len(batch) >= most or size >= _BATCH_BYTES:
                    yield batch
                    batch, size = [], 0
            if batch:
                yield batch

    def _check(self, file: DataFile, content: IO[bytes]) -> None:
        md5 = _md5_of(content)
        if md5 != file.md5:
            raise self._damaged(file, f"its MD5 is {md5}, not {file.md5}")
        items = sum(1 for _ in self._lines(file, content))
        if items != file.items:
            raise self._damaged(file, f"it has {items} items, not {file.items}")

    def _lines(self, file: DataFile, content: IO[bytes]) -> Iterator[bytes]:
        content.seek(0)
        try:
            # Only b"\n" ends a line: texts may hold what else Python takes for the end of one.
            with gzip.GzipFile(fileobj=content) as lines:
                yield from (line for line in lines if line.strip())
        except (OSError, EOFError, zlib.error) as error:
            raise self._damaged(file, f"it cannot be decompressed ({error})") from error

    def _item(self, file: DataFile, number: int, line: bytes, key_schema: KeySchema) -> Item:
        try:
            item = read_item(json.loads(line)["Item"])
        except (ValueError, TypeError, KeyError, RecursionError, MalformedRecordError) as error:
            # The error's own text may quote the item.
            raise self._damaged(file, f"line {number} is no item") from error
        for name, kind in key_schema.types.items():
            if kind not in item.get(name, {}):
                raise self._damaged(file, f"line {number} lacks the key attribute {name} ({kind})")
        return item

    def _damaged(self, file: DataFile, what: str) -> ExportError:
        return ExportError(
            f"{self.folder.where(file.name)} is not what was exported: {what}; copy it again, or "
            "export the table again"
        )


def _summary(folder: ExportFolder) -> dict[str, Any]:
    try:
        content = _checked(folder, SUMMARY)
    except MissingFileError as error:
        raise MissingFileError(
            f"{error}: give the folder AWSDynamoDB/ID of an export that is finished"
        ) from error
    summary = _object(folder, SUMMARY, content)
    kind = summary.get("exportType") or _KIND
    if kind != _KIND:
        raise ExportError(
            f"{folder.where(SUMMARY)} is of an {kind}: that shows changes, not the table; give a "
            f"{_KIND}"
        )
    if summary.get("outputFormat") != _FORMAT:
        raise ExportError(
            f"{folder.where(SUMMARY)} is of an export in {summary.get('outputFormat')}: export "
            f"the table again, in {_FORMAT}"
        )
    return summary


def _data_files(folder: ExportFolder) -> Iterator[DataFile]:
    for line in _checked(folder, _FILES).split(b"\n"):
        if not line.strip():
            continue
        entry = _object(folder, _FILES, line)
        key = PurePosixPath(_field(folder, _FILES, entry, "dataFileS3Key", str))
        yield DataFile(
            # In the bucket it was exported to it may have another prefix than where it is now.
            name=f"{key.parent.name}/{key.name}",
            items=_field(folder, _FILES, entry, "itemCount", int),
            md5=_field(folder, _FILES, entry, "md5Checksum", str),
        )


def _checked(folder: ExportFolder, name: str) -> bytes:
    """A small file that has a checksum file beside it."""
    with closing(folder.open(name)) as file:
        content = file.read()
    md5 = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest())
    if md5 != _checksum(folder, name).strip():
        raise ExportError(
            f"{folder.where(name)} does not fit its checksum: copy it again, or export the table "
            "again"
        )
    return content


def _checksum(folder: ExportFolder, name: str) -> bytes:
    stem = name.removesuffix(".json")
    for ending in _CHECKSUMS:
        try:
            with closing(folder.open(stem + ending)) as file:
                return file.read()
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
        found = json.loads(text)
    except ValueError as error:
        raise ExportError(f"{folder.where(name)} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ExportError(f"{folder.where(name)} is not what an export has there")
    return found


def _field(
    folder: ExportFolder, name: str, fields: dict[str, Any], field: str, kind: type[Any]
) -> Any:
    value = fields.get(field)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ExportError(
            f"{folder.where(name)} has no {field}: it is not what an export has there"
        )
    return value


def _time(folder: ExportFolder, summary: dict[str, Any]) -> datetime:
    text = _field(folder, SUMMARY, summary, "exportTime", str)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ExportError(f"{folder.where(SUMMARY)} has no time: {text}") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
