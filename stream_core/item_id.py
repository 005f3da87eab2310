"""From an item's key to its `Id`, the history table's partition key."""

import base64
import hashlib
import re
from typing import Final

from stream_core.attribute_values import Item, canonical_number, read_item
from stream_core.errors import MalformedRecordError

# Developer Guide, "Constraints": a partition key value has at most 2048 bytes.
_MAX_ID_BYTES = 2048
_MAX_KEY_ATTRIBUTES = 2
CONTROL_ID: Final = "!itemtrail"
"""The `Id` of control rows (see `control_row`); no item has it."""
_NEAR_CONTROL_ID = re.compile("!+itemtrail")


def item_id(keys: Item) -> str:
    r"""Canonical text of an item's key; different items of one table never share it.

    One key attribute gives its value: `S` as it is, `N` in plain decimal, `B` as base64. Two
    give both, in the order of their names (a stream record does not say which is the partition
    key), each with `\` and `|` escaped by `\`, joined by `|`. A text longer than a partition
    key may be is replaced by `sha256:` and its digest in hex. That cannot meet another id: a
    single `S` key is never too long, base64 has no colon, and two attributes always hold `|`.
    Control rows have the id `!itemtrail`: a key of that text, or of more exclamation marks, gets
    one more of them.

    Raises:
        MalformedRecordError: `keys` is not one or two of `S`, `N`, `B`.
    """
    if not 1 <= len(keys) <= _MAX_KEY_ATTRIBUTES:
        raise MalformedRecordError("Keys does not have one or two attributes")
    texts = [_key_text(value) for _, value in sorted(keys.items())]
    text = texts[0] if len(texts) == 1 else "|".join(map(_escape, texts))
    if _NEAR_CONTROL_ID.fullmatch(text):
        text = f"!{text}"
    encoded = text.encode("utf-8", "surrogatepass")
    if len(encoded) > _MAX_ID_BYTES:
        return f"sha256:{hashlib.sha256(encoded).hexdigest()}"
    return text


def key_digest(identifier: str) -> str:
    """A short digest of an `Id`, for logs: keys are item data and are never logged."""
    return hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _key_text(value: Item) -> str:
    match value:
        case {"S": str(text)}:
            return text
        case {"N": str(text)}:
            return canonical_number(text)
        case {"B": bytes(data)}:
            return base64.b64encode(data).decode("ascii")
        case _:
            raise MalformedRecordError("a key attribute is not of type S, N or B")


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|")


def read_key(raw: object) -> Item:
    """Validate an item's key in wire form and decode its binary values.

    Raises:
        MalformedRecordError: no table can have such a key.
    """
    keys = read_item(raw)
    item_id(keys)
    return keys
