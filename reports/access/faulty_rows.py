"""Rows that are not what was written, read as far as they can be. Pure.

One of them must not end an audit: it is marked with its fault, the reading goes on, and what rests
on it is not exact.
"""

import re
import shlex
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from reports.errors import KeyShapeError
from reports.inputs.keys import KeySchema, key_text
from stream_core.attribute_values import Item
from stream_core.change import Change, EventName
from stream_core.errors import IntegrityError, MalformedRecordError
from stream_core.history_row import FORMAT, ID, SORT_KEY, HistoryRow
from stream_core.item_id import item_id

# Of a row whose sort key is no time; none can be older than DynamoDB.
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
_TWO = re.compile(r"((?:[^\\|]|\\.)*)\|((?:[^\\|]|\\.)*)", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class RowFault:
    """A row that is not what was written.

    Attributes:
        keys: the item's key in wire form; the row's `Id` where nothing else is known of it.
        sort_key: where the row stands.
        fault: what is wrong with it, in words.
        is_foreign: whether it is of another table, and may be just what was written there.
    """

    keys: Item
    sort_key: str
    fault: str
    is_foreign: bool = False

    @property
    def advice(self) -> str:
        """What to ask next."""
        words = [key_text({name: value}) for name, value in self.keys.items()]
        return f"itemtrail verify {shlex.join(words)}"


def unloaded_row(item: Item) -> HistoryRow:
    """A stored item as a row, for its place: without its images, if they are elsewhere."""
    try:
        return HistoryRow.from_item(item)
    except IntegrityError as error:
        return faulty_row(item, str(error), None)


def faulty_row(item: Item, fault: str, schema: KeySchema | None) -> HistoryRow:
    """A stored item as a row, with all that can still be read of it, marked.

    Args:
        item: as it is stored; its own key is there, whatever else is not.
        fault: what is wrong with it.
        schema: the source table's key, None where it is not known.
    """
    # What a name means in a format of tomorrow is not known.
    is_known = _content(item, "Format", "N") == FORMAT
    old_image, new_image = (
        _content(item, name, "M") if is_known else None for name in ("OldImage", "NewImage")
    )
    identifier, sort_key = item[ID]["S"], item[SORT_KEY]["S"]
    change = Change(
        item_id=identifier,
        event_id=_content(item, "EventId", "S"),
        event_name=_event_name(item, old_image, new_image),
        event_source_arn=_content(item, "EventSourceARN", "S") or "",
        aws_region=_content(item, "AwsRegion", "S"),
        sequence_number=_content(item, "SequenceNumber", "S") or "",
        created_at=_time_of(sort_key),
        size_bytes=None,
        keys=_content(item, "Keys", "M") or {},
        old_image=old_image,
        new_image=new_image,
    )
    return marked(HistoryRow(sort_key, change, digest=b""), fault, schema)


def marked(row: HistoryRow, fault: str, schema: KeySchema | None) -> HistoryRow:
    """The row with its fault, under the key that its `Id` stands for."""
    keys = row.change.keys
    if not _stands_for(row.id, keys):
        keys = _keys_of(row.id, schema) or {ID: {"S": row.id}}
    return replace(row, change=replace(row.change, keys=keys), fault=fault)


def _stands_for(identifier: str, keys: Item) -> bool:
    try:
        return item_id(keys) == identifier
    except MalformedRecordError:
        return False


def _keys_of(identifier: str, schema: KeySchema | None) -> Item | None:
    """The key whose `Id` is a text, see `item_id`; None where it cannot be told."""
    if schema is None:
        return None
    names = sorted(schema.types)
    texts = [identifier]
    if len(names) > 1:
        parts = _TWO.fullmatch(identifier)
        texts = [_ESCAPED.sub(r"\1", part) for part in parts.groups()] if parts else []
    if len(texts) != len(names):
        return None
    try:
        keys = schema.key_of(
            {name: {schema.types[name]: text} for name, text in zip(names, texts, strict=True)}
        )
    except KeyShapeError:
        return None
    return keys if _stands_for(identifier, keys) else None


def _event_name(item: Item, old_image: Item | None, new_image: Item | None) -> EventName:
    name = _content(item, "EventName", "S")
    for event_name in EventName:
        if event_name == name and event_name is not EventName.UNREADABLE:
            return event_name
    # The images say it too.
    match old_image, new_image:
        case None, None:
            return EventName.UNREADABLE
        case None, _:
            return EventName.INSERT
        case _, None:
            return EventName.REMOVE
    return EventName.MODIFY


def _time_of(sort_key: str) -> datetime:
    try:
        return datetime.fromisoformat(sort_key.partition("#")[0]).astimezone(UTC)
    except (ValueError, OverflowError):
        return _NO_TIME


def _content(item: Item, name: str, tag: str) -> Any:
    """What is in an attribute of a type; None where there is none of that type."""
    return item.get(name, {}).get(tag)
