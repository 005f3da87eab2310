"""A change of one item, and the one reading of a stream record.

The same record comes in two shapes: Lambda's JSON (`userIdentity.principalId`, seconds as a
float, base64 text) and the streams API's Python objects (`PrincipalId`, `datetime`, `bytes`,
no `eventSourceARN`). Both read to equal `Change`s.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TypeAlias

from stream_core.attribute_values import Item, read_item, same_item
from stream_core.errors import MalformedRecordError, ViewTypeError
from stream_core.item_id import item_id

StreamRecord: TypeAlias = Mapping[str, Any]
"""A record as it was delivered, in either shape; nothing about it is certain yet."""

# API reference, StreamRecord: 21 to 40 digits; emulators also give fewer.
MAX_SEQUENCE_DIGITS = 40
# Far more than two images of 400 KB, and sure to fit into a number.
_MAX_SIZE_BYTES = 2**53
VIEW_TYPE: Final = "NEW_AND_OLD_IMAGES"
"""What a stream's records have to show."""


class EventName(StrEnum):
    """What happened to the item."""

    INSERT = "INSERT"
    MODIFY = "MODIFY"
    REMOVE = "REMOVE"
    SNAPSHOT = "SNAPSHOT"
    """No change: the state a backfill found."""
    UNREADABLE = "UNREADABLE"
    """A stored row that does not tell what happened; none is written."""


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """Who made the change, when it was DynamoDB itself (an expiry by TTL), as far as recorded."""

    type: str | None
    principal_id: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """One stream record, read and validated.

    Attributes:
        item_id: canonical text of `keys`.
        sequence_number: decimal digits as in the record; compare as integers.
        created_at: ApproximateCreationDateTime, UTC; rounded down by the service to the second.

    What only says where a change comes from (`event_id`, `aws_region`, `size_bytes`,
    `user_identity`) is None where a record lacks it.
    """

    item_id: str
    event_id: str | None
    event_name: EventName
    event_source_arn: str
    aws_region: str | None
    sequence_number: str
    created_at: datetime
    size_bytes: int | None
    keys: Item
    old_image: Item | None
    new_image: Item | None
    user_identity: UserIdentity | None = None


def read_record(record: StreamRecord, event_source_arn: str | None = None) -> Change:
    """Read a stream record of either shape.

    Args:
        record: the record as delivered.
        event_source_arn: the stream's ARN, which records of the streams API do not carry.

    Raises:
        ViewTypeError: the stream is not `NEW_AND_OLD_IMAGES`.
        MalformedRecordError: the record breaks DynamoDB's rules; the message holds no data.
    """
    body = _body(record)
    _require_both_images(body)
    event_name = _event_name(record, body)
    keys = _item(body, "Keys")
    return Change(
        item_id=item_id(keys),
        event_id=_optional(record, "eventID", str) or None,
        event_name=event_name,
        event_source_arn=event_source_arn or _text(record, "eventSourceARN"),
        aws_region=_optional(record, "awsRegion", str),
        sequence_number=read_sequence_number(record),
        created_at=_created_at(body),
        size_bytes=_size_bytes(body),
        keys=keys,
        old_image=_image(body, "OldImage", keys, expected=event_name is not EventName.INSERT),
        new_image=_image(body, "NewImage", keys, expected=event_name is not EventName.REMOVE),
        user_identity=_user_identity(record),
    )


def read_keys(record: StreamRecord) -> Item:
    """The key of the item that a record is about, whatever else is wrong with the record.

    Raises:
        MalformedRecordError: the key itself cannot be read.
    """
    keys = _item(_body(record), "Keys")
    item_id(keys)
    return keys


def read_sequence_number(record: StreamRecord) -> str:
    """The record's sequence number, which names it towards Lambda.

    Raises:
        MalformedRecordError: there is none, or it is not made of at most 40 digits.
    """
    text = _body(record).get("SequenceNumber")
    if (
        not isinstance(text, str)
        or not (text.isascii() and text.isdigit())
        or len(text) > MAX_SEQUENCE_DIGITS
    ):
        raise MalformedRecordError("SequenceNumber is not a number of at most 40 digits")
    return text


def _body(record: StreamRecord) -> Mapping[str, Any]:
    # Nothing about a record is certain: not even that it is a map.
    body = record.get("dynamodb") if isinstance(record, dict) else None
    if not isinstance(body, Mapping):
        raise MalformedRecordError("the record has no dynamodb part")
    return body


def _require_both_images(body: Mapping[str, Any]) -> None:
    # Any other view type leaves an image out silently: what it delivers looks whole and is not.
    view_type = body.get("StreamViewType", VIEW_TYPE)
    if view_type != VIEW_TYPE:
        raise ViewTypeError(
            f"the stream's view type is {view_type}, not {VIEW_TYPE}: disable the stream, "
            f"enable it with {VIEW_TYPE} and deploy again with its new ARN"
        )


def _event_name(record: StreamRecord, body: Mapping[str, Any]) -> EventName:
    name = record.get("eventName")
    if name in (EventName.INSERT, EventName.MODIFY, EventName.REMOVE):
        return EventName(name)
    # The images say it too.
    match body.get("OldImage"), body.get("NewImage"):
        case None, None:
            raise MalformedRecordError("there is neither an image nor a known eventName")
        case None, _:
            return EventName.INSERT
        case _, None:
            return EventName.REMOVE
    return EventName.MODIFY


def _item(body: Mapping[str, Any], field: str) -> Item:
    try:
        return read_item(body.get(field))
    except MalformedRecordError as error:
        raise MalformedRecordError(f"{field}: {error}") from None


def _image(body: Mapping[str, Any], field: str, keys: Item, *, expected: bool) -> Item | None:
    if body.get(field) is None:
        if expected:
            raise MalformedRecordError(f"{field} is missing")
        return None
    if not expected:
        raise MalformedRecordError(f"{field} does not belong to this event")
    image = _item(body, field)
    if not same_item({name: image[name] for name in keys if name in image}, keys):
        raise MalformedRecordError(f"{field} has another key than Keys")
    return image


def _created_at(body: Mapping[str, Any]) -> datetime:
    value = body.get("ApproximateCreationDateTime")
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value, UTC)
        except (OverflowError, OSError, ValueError):
            pass
    raise MalformedRecordError("ApproximateCreationDateTime is not a time in seconds")


def _user_identity(record: StreamRecord) -> UserIdentity | None:
    identity = record.get("userIdentity")
    if not isinstance(identity, Mapping):
        return None
    fields = {str(name).lower(): value for name, value in identity.items()}
    user = UserIdentity(_optional(fields, "type", str), _optional(fields, "principalid", str))
    return None if user == UserIdentity(None, None) else user


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise MalformedRecordError(f"{name} is missing or not a text")
    return value


def _size_bytes(body: Mapping[str, Any]) -> int | None:
    size: int | None = _optional(body, "SizeBytes", int)
    return size if size is not None and 0 <= size <= _MAX_SIZE_BYTES else None


def _optional(fields: Mapping[str, Any], name: str, kind: type[Any]) -> Any:
    """A field that a record need not have; None where it has nothing of that type."""
    value = fields.get(name)
    return value if isinstance(value, kind) and not isinstance(value, bool) else None
