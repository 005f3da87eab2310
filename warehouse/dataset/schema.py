"""A history row as a line of the dataset, and back, without loss. Pure.

Texts are stored as Parquet takes them, in UTF-8. What DynamoDB calls a text may hold half of a
surrogate pair, which has no UTF-8: `stored_text` says how such a text is spelled here.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from reports.states.differences import changed_paths
from stream_core.attribute_values import Item, canonical_json, read_item
from stream_core.change import Change, EventName, UserIdentity
from stream_core.errors import IntegrityError, MalformedRecordError
from stream_core.history_row import FORMAT, HistoryRow, OverflowPointer

# Half of a SHA-256, as `verify` compares states: still there are no two states that share one.
STATE_BYTES = 16
MONTH = "month"
"""The partition: `month_of` a row; in the names of folders, not in the files."""

ROWS = pa.schema(
    [
        ("id", pa.string()),
        ("sort_key", pa.string()),
        ("created_at", pa.timestamp("us", tz="UTC")),
        ("sequence_number", pa.string()),
        ("event_name", pa.string()),
        ("keys", pa.string()),
        ("old_image", pa.string()),
        ("new_image", pa.string()),
        ("old_hash", pa.binary(STATE_BYTES)),
        ("new_hash", pa.binary(STATE_BYTES)),
        ("changed", pa.list_(pa.string())),
        ("event_id", pa.string()),
        ("event_source_arn", pa.string()),
        ("aws_region", pa.string()),
        ("size_bytes", pa.int64()),
        ("user_identity", pa.string()),
        ("digest", pa.binary(hashlib.sha256().digest_size)),
        ("format", pa.int32()),
        ("overflow", pa.string()),
        ("written_at", pa.timestamp("us", tz="UTC")),
        ("written_after", pa.timestamp("us", tz="UTC")),
    ]
)
"""The columns of a file, one line a history row.

`keys`, `old_image` and `new_image` are canonical JSON, ASCII, the images inlined wherever the row
keeps them. `old_hash` and `new_hash` stand for the states right before and right after the
change; null: no item. `written_at` is when the row came into the history table, where an export
tells; else `written_after` is a time at which it was not there yet, where one is known.
"""

_ESCAPED = "json:"
_NO_UTF8 = re.compile("[\ud800-\udfff]")


def row_of(row: HistoryRow) -> dict[str, Any]:
    """A history row, its images loaded, as a line of the dataset."""
    change = row.change
    old_image, new_image = _json_of(change.old_image), _json_of(change.new_image)
    # A baseline changes nothing: the state before it is the one that it shows.
    before = new_image if change.event_name is EventName.SNAPSHOT else old_image
    return {
        "id": stored_text(row.id),
        "sort_key": stored_text(row.sort_key),
        "created_at": change.created_at,
        "sequence_number": stored_text(change.sequence_number),
        "event_name": change.event_name.value,
        "keys": _json_of(change.keys),
        "old_image": old_image,
        "new_image": new_image,
        "old_hash": _hash_of(before),
        "new_hash": _hash_of(new_image),
        "changed": [_NO_UTF8.sub(_escape, path) for path in changed_paths(row)],
        "event_id": _stored(change.event_id),
        "event_source_arn": stored_text(change.event_source_arn),
        "aws_region": _stored(change.aws_region),
        "size_bytes": change.size_bytes,
        "user_identity": _identity_text(change.user_identity),
        "digest": row.digest,
        "format": int(FORMAT),
        "overflow": _pointer_text(row.overflow),
    }


def history_row(line: Mapping[str, Any]) -> HistoryRow:
    """The history row that a line of the dataset was made of, its digest not yet checked.

    Raises:
        IntegrityError: the line is not one of a history row.
    """
    try:
        sort_key = original_text(line["sort_key"])
        return HistoryRow(
            sort_key, _change_of(line, sort_key), line["digest"], _pointer_of(line["overflow"])
        )
    except (KeyError, ValueError, TypeError, AttributeError, MalformedRecordError) as error:
        # The error's own text may quote the item.
        raise IntegrityError(f"no line of a history row: {type(error).__name__}") from error


def checked_row(line: Mapping[str, Any]) -> HistoryRow:
    """The history row of a line, its digest checked, and every column that follows from it.

    Raises:
        IntegrityError: the row is not what was written, or a column is not that of the row.
    """
    row = history_row(line)
    row.check()
    for name, value in row_of(row).items():
        if name not in line or line[name] != value:
            raise IntegrityError(f"{name} is not that of the history row {row.sort_key}")
    return row


def month_of(created_at: datetime) -> str:
    """The partition that a row belongs to: the month of its change in UTC, as `2026-11`."""
    return created_at.astimezone(UTC).isoformat()[: len("2026-11")]


def months_around(months: Iterable[str]) -> frozenset[str]:
    """Partitions, with the one before and the one after each."""
    places = {int(month[:-3]) * 12 + int(month[-2:]) - 1 for month in months}
    around = {place + by for place in places for by in (-1, 0, 1)}
    return frozenset(f"{place // 12:04d}-{place % 12 + 1:02d}" for place in around)


def stored_text(text: str) -> str:
    """A text as the dataset spells it: as it is or, where UTF-8 cannot, `json:` and a JSON text.

    What already looks so is spelled in that way too, so that different texts stay different.
    """
    if text.startswith(_ESCAPED) or _NO_UTF8.search(text):
        return _ESCAPED + json.dumps(text)
    return text


def original_text(text: str) -> str:
    """The text that `stored_text` spells so."""
    return str(json.loads(text.removeprefix(_ESCAPED))) if text.startswith(_ESCAPED) else text


def _stored(text: str | None) -> str | None:
    return None if text is None else stored_text(text)


def _original(text: str | None) -> str | None:
    return None if text is None else original_text(text)


def image_of(text: str | None) -> Item | None:
    """An image, or a key, in wire form."""
    return None if text is None else read_item(json.loads(text))


def _json_of(image: Item | None) -> str | None:
    return None if image is None else canonical_json(image).decode("ascii")


def _hash_of(image: str | None) -> bytes | None:
    return None if image is None else hashlib.sha256(image.encode("ascii")).digest()[:STATE_BYTES]


def _escape(half: re.Match[str]) -> str:
    # Names that are not plain are quoted in a path as in JSON, where this means the same.
    return f"\\u{ord(half[0]):04x}"


def _change_of(line: Mapping[str, Any], sort_key: str) -> Change:
    return Change(
        item_id=original_text(line["id"]),
        event_id=_original(line["event_id"]),
        event_name=EventName(line["event_name"]),
        event_source_arn=original_text(line["event_source_arn"]),
        aws_region=_original(line["aws_region"]),
        sequence_number=original_text(line["sequence_number"]),
        created_at=datetime.fromisoformat(sort_key.partition("#")[0]),
        size_bytes=line["size_bytes"],
        keys=read_item(json.loads(line["keys"])),
        old_image=image_of(line["old_image"]),
        new_image=image_of(line["new_image"]),
        user_identity=_identity_of(line["user_identity"]),
    )


def _identity_text(identity: UserIdentity | None) -> str | None:
    if identity is None:
        return None
    return json.dumps({"type": identity.type, "principalId": identity.principal_id})


def _identity_of(text: str | None) -> UserIdentity | None:
    if text is None:
        return None
    fields = json.loads(text)
    return UserIdentity(fields["type"], fields["principalId"])


def _pointer_text(pointer: OverflowPointer | None) -> str | None:
    if pointer is None:
        return None
    fields = {
        "Bucket": pointer.bucket,
        "Key": pointer.key,
        "SHA256": pointer.sha256,
        "Bytes": pointer.size,
        "VersionId": pointer.version_id,
    }
    return json.dumps({name: value for name, value in fields.items() if value is not None})


def _pointer_of(text: str | None) -> OverflowPointer | None:
    if text is None:
        return None
    fields = json.loads(text)
    return OverflowPointer(
        fields["Bucket"], fields["Key"], fields["SHA256"], fields["Bytes"], fields.get("VersionId")
    )
