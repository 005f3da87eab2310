"""History rows as an export shows them, each checked as far as it can be without a client."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from reports.access.overflow import overflow_body
from reports.exports.export import Export, ExportFile, ExportKind
from reports.exports.export_folder import ExportError
from reports.verification.row_format import has_its_images, surplus
from stream_core.attribute_values import Item, read_item, same_item
from stream_core.errors import IntegrityError, MalformedRecordError
from stream_core.history_row import ID, SORT_KEY, HistoryRow, OverflowPointer
from stream_core.overflow_object import unpack
from stream_core.retry import error_code
from warehouse.errors import DatasetError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


_NO_ITEM = (
    *(ValueError, TypeError, KeyError, OverflowError, RecursionError),
    MalformedRecordError,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class StoredItem:
    """An item of the history table as an export shows it.

    Attributes:
        line: the number of its line in the data file.
        written_at: when it was last written, UTC; None: the export does not tell.
    """

    line: int
    item: Item
    written_at: datetime | None


def stored_items(export: Export, file: ExportFile) -> Iterator[StoredItem]:
    """The items of the history table in a data file.

    Raises:
        ExportError: the file is missing or damaged, or is not of a history table.
        IntegrityError: an incremental export shows that a row was changed or removed.
    """
    for number, line in export.lines(file):
        try:
            fields = json.loads(line)
            item = read_item(fields["Item" if export.kind is ExportKind.FULL else "Keys"])
            if export.kind is ExportKind.INCREMENTAL:
                item = _written(export, file, number, fields, item)
            written_at = _write_time(fields, export.kind)
        except _NO_ITEM as error:
            # The error's own text may quote the item.
            raise export.damaged(file, f"line {number} is no item") from error
        if not ({ID, SORT_KEY} <= item.keys()):
            raise ExportError(
                f"{export.folder.where(file.name)} line {number} is no history row: give an "
                f"export of a history table, not of {export.table_arn}"
            )
        yield StoredItem(number, item, written_at)


def _write_time(fields: Any, kind: ExportKind) -> datetime | None:
    # Developer Guide, "DynamoDB table export output format": incremental exports have it.
    if kind is ExportKind.FULL and "Metadata" not in fields:
        return None
    micros = int(fields["Metadata"]["WriteTimestampMicros"]["N"])
    return _EPOCH + timedelta(microseconds=micros)


def stored_row(item: Item) -> HistoryRow:
    """The history row in an item; its digest is checked if its images are in it.

    Raises:
        IntegrityError: it is not what a writer writes.
    """
    row = HistoryRow.from_item(item)
    if row.change.created_at.tzinfo is None:
        raise IntegrityError("not a history row: its sort key does not begin with a time in UTC")
    # What the digest does not cover must not hold what would get lost here.
    if fault := surplus(row, item, row.sort_key):
        raise IntegrityError(fault)
    if row.overflow is None:
        _require_images(row)
        row.check()
    return row


def loaded_row(row: HistoryRow, s3: "S3Client") -> HistoryRow:
    """A row with its images from the overflow bucket, its digest checked.

    Raises:
        IntegrityError: the row or its overflow object is not what was written, or that is gone.
        DatasetError: the object cannot be read for now.
    """
    if row.overflow is None:
        return row
    body = _overflow_body(s3, row.overflow)
    loaded = row.with_images(*unpack(row.overflow, body))
    _require_images(loaded)
    loaded.check()
    return loaded


def _overflow_body(s3: "S3Client", pointer: OverflowPointer) -> bytes:
    try:
        return overflow_body(s3, pointer)
    except (ClientError, BotoCoreError) as error:
        raise DatasetError(
            f"overflow object {pointer.key} cannot be read: {error_code(error)}; try again later"
        ) from error


def _written(export: Export, file: ExportFile, number: int, fields: Any, keys: Item) -> Item:
    """The item that an incremental export shows to be new."""
    if "OldImage" in fields or "NewImage" not in fields:
        what = "changed" if "NewImage" in fields else "removed"
        name = keys.get(SORT_KEY, {}).get("S", "without a sort key")
        raise IntegrityError(
            f"{export.folder.where(file.name)} line {number}: the history row {name} was {what} "
            "in the table; a history row is written once: find out who did it"
        )
    item = read_item(fields["NewImage"])
    if not same_item({name: item[name] for name in keys}, keys):
        raise MalformedRecordError("NewImage has another key than Keys")
    return item


def _require_images(row: HistoryRow) -> None:
    if not has_its_images(row):
        name = row.change.event_name
        raise IntegrityError(f"no row of the format: the {name} {row.sort_key} has other images")
