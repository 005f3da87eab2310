"""Wire attribute values: validate, decode binary, canonical form, digest, size and depth.

A value stays what DynamoDB calls it (`{"N": "1.50"}`) from the stream to the table; nothing on
the write path turns it into a Python number or set, because both known deserialisers raise on
legal numbers and bend binary (boto3 issue 2500, Powertools issue 4845).
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, TypeAlias

from stream_core.errors import MalformedRecordError

AttributeValue: TypeAlias = dict[str, Any]
"""One type tag to its content, as in the DynamoDB API; `B` and `BS` hold bytes."""
Item: TypeAlias = dict[str, Any]
"""Attribute names to attribute values."""

# Developer Guide, "Constraints": documents nest at most 32 levels, the attribute itself counted.
MAX_CONTAINERS = 31
# Developer Guide, "Number": 38 significant digits, magnitudes from 1E-130 to 9.99E+125.
_MAX_DIGITS = 38
_GLOBAL_TABLE_PREFIX = "aws:rep:"
_MIN_MAGNITUDE, _MAX_MAGNITUDE = -130, 125
_NUMBER = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,9}))?", re.ASCII)


def read_item(raw: object) -> Item:
    """Validate an item in wire form and decode its binary values.

    Args:
        raw: the item from a Lambda event (`B` is base64 text) or from the API (`B` is bytes).

    Raises:
        MalformedRecordError: the item breaks a rule of DynamoDB; the message holds no data.
    """
    if not isinstance(raw, dict):
        raise MalformedRecordError("not a map of attribute names to values")
    return _read_map(raw, 0)


def own_attributes(item: Item | None) -> Item | None:
    """An item without what a global table of version 2017.11.29 adds, which is not its owner's.

    Where there is nothing of that, it is the item itself.
    """
    # One search through all names: nearly no item has them, and every image is asked.
    if item is None or _GLOBAL_TABLE_PREFIX not in "\n".join(item):
        return item
    return {name: item[name] for name in item if not name.startswith(_GLOBAL_TABLE_PREFIX)}


@lru_cache(maxsize=8192)
def canonical_number(text: str) -> str:
    """The one plain-decimal spelling of a number, as DynamoDB itself normalises it.

    Raises:
        MalformedRecordError: the text is no number, or one DynamoDB cannot hold.
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise MalformedRecordError("N is not a number")
    sign, whole, fraction, exponent = match.groups(default="")
    if not whole and not fraction:
        raise MalformedRecordError("N is not a number")
    digits = (whole + fraction).lstrip("0")
    significant = digits.rstrip("0")
    if not significant:
        return "0"
    power = int(exponent or 0) - len(fraction) + len(digits) - len(significant)
    magnitude = len(significant) + power - 1
    if len(significant) > _MAX_DIGITS:
        raise MalformedRecordError("N has more than 38 significant digits")
    if not _MIN_MAGNITUDE <= magnitude <= _MAX_MAGNITUDE:
        raise MalformedRecordError("N is out of range")
    return ("-" if sign == "-" else "") + _plain_decimal(significant, power)


def canonical_json(item: Item) -> bytes:
    """The canonical form of an item: equal items, and only they, have equal bytes.

    ASCII JSON without spaces; names sorted by code point, numbers normalised, set members
    sorted, binary as base64. ASCII escapes keep lone surrogates, which streams can carry.
    """
    return _CANONICAL_JSON.encode(_canonical_map(item)).encode("ascii")


def digest(item: Item) -> bytes:
    """SHA-256 over the canonical form of an item."""
    return hashlib.sha256(canonical_json(item)).digest()


def same_item(first: Item | None, second: Item | None) -> bool:
    """Whether two items hold the same attributes, whatever the order and spelling."""
    if first is None or second is None:
        return first is second
    return first == second or canonical_json(first) == canonical_json(second)


def same_value(first: AttributeValue | None, second: AttributeValue | None) -> bool:
    """Whether two values are the same, whatever the order and spelling; None: there is none."""
    if first is None or second is None:
        return first is second
    return same_item({"": first}, {"": second})


def wire_json(value: object, *, sort_keys: bool = True) -> bytes:
    """Wire values as JSON text in UTF-8, binary as base64, everything else exactly as it is."""
    text = (_SORTED_WIRE_JSON if sort_keys else _WIRE_JSON).encode(value)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        # Lone surrogates, which streams can carry, have no UTF-8: they stay JSON's escapes.
        return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text).encode("utf-8")


def item_size(item: Item) -> int:
    """Bytes of an item as DynamoDB counts them, never too few.

    Source: Developer Guide, "DynamoDB item sizes and formats"; the size of a number is given
    there only approximately, so this is its upper bound.
    """
    return sum(_text_size(name) + _value_size(value) for name, value in item.items())


def containers(item: Item) -> int:
    """The number of lists and maps around the deepest value of an item."""
    return max((_value_containers(value) for value in item.values()), default=0)


def _read_map(raw: dict[str, Any], outer: int) -> Item:
    if "" in raw:
        raise MalformedRecordError("an attribute name is empty")
    # Texts, which most values are, stay as they are: a call for each would double the time.
    return {
        name: value
        if type(value) is dict and len(value) == 1 and type(value.get("S")) is str
        else _read_value(value, outer)
        for name, value in raw.items()
    }


def _read_value(raw: object, outer: int) -> AttributeValue:
    if not isinstance(raw, dict) or len(raw) != 1:
        raise MalformedRecordError("a value does not have exactly one type tag")
    ((tag, content),) = raw.items()
    reader = _READERS.get(tag)
    if reader is None:
        # A type that DynamoDB may have one day.
        return raw
    read = reader(content, outer)
    return raw if read is content else {tag: read}


def _read_string(content: object, _outer: int) -> str:
    if not isinstance(content, str):
        raise MalformedRecordError("S is not a text")
    return content


def _read_number(content: object, _outer: int) -> str:
    if not isinstance(content, str):
        raise MalformedRecordError("N is not a number")
    canonical_number(content)
    return content


def _read_binary(content: object, _outer: int) -> bytes:
    if isinstance(content, bytes):
        return content
    try:
        decoded = binascii.a2b_base64(content, strict_mode=True)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        decoded = None
    # Strict mode still lets stray bits in the last character pass: two texts, one value.
    if decoded is None or _base64_text(decoded) != content:
        raise MalformedRecordError("B is not strict base64") from None
    return decoded


def _read_boolean(content: object, _outer: int) -> bool:
    if not isinstance(content, bool):
        raise MalformedRecordError("BOOL is not true or false")
    return content


def _read_null(content: object, _outer: int) -> bool:
    if content is not True:
        raise MalformedRecordError("NULL is not true")
    return True


def _read_list(content: object, outer: int) -> list[AttributeValue]:
    if not isinstance(content, list):
        raise MalformedRecordError("L is not a list")
    return [_read_value(value, _deeper(outer)) for value in content]


def _read_nested_map(content: object, outer: int) -> Item:
    if not isinstance(content, dict):
        raise MalformedRecordError("M is not a map")
    return _read_map(content, _deeper(outer))


def _deeper(outer: int) -> int:
    if outer >= MAX_CONTAINERS:
        raise MalformedRecordError("a value is nested deeper than 32 levels")
    return outer + 1


def _set_reader(
    read: Callable[[object, int], Any], identity: Callable[[Any], Any]
) -> Callable[[object, int], list[Any]]:
    def read_set(content: object, outer: int) -> list[Any]:
        if not isinstance(content, list) or not content:
            raise MalformedRecordError("a set is empty or not a list")
        members = [read(member, outer) for member in content]
        if len({identity(member) for member in members}) != len(members):
            raise MalformedRecordError("a set repeats a member")
        return members

    return read_set


def _same(value: Any) -> Any:
    return value


_READERS: dict[str, Callable[[object, int], Any]] = {
    "S": _read_string,
    "N": _read_number,
    "B": _read_binary,
    "BOOL": _read_boolean,
    "NULL": _read_null,
    "L": _read_list,
    "M": _read_nested_map,
    "SS": _set_reader(_read_string, _same),
    "NS": _set_reader(_read_number, canonical_number),
    "BS": _set_reader(_read_binary, _same),
}


def _plain_decimal(significant: str, power: int) -> str:
    if power >= 0:
        return significant + "0" * power
    point = len(significant) + power
    if point > 0:
        return f"{significant[:point]}.{significant[point:]}"
    return "0." + "0" * -point + significant


def _canonical_map(item: Item) -> Item:
    # As above: a text is canonical as it is.
    return {
        name: value if "S" in value else _canonical_value(value) for name, value in item.items()
    }


def _canonical_value(value: AttributeValue) -> AttributeValue:
    ((tag, content),) = value.items()
    form = _CANONICAL.get(tag)
    if form is None:
        return value
    canonical = form(content)
    return value if canonical is content else {tag: canonical}


def _base64_text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


_CANONICAL: dict[str, Callable[[Any], Any]] = {
    "N": canonical_number,
    "B": _base64_text,
    "SS": sorted,
    "NS": lambda content: sorted(map(canonical_number, content)),
    "BS": lambda content: sorted(map(_base64_text, content)),
    "L": lambda content: [_canonical_value(member) for member in content],
    "M": _canonical_map,
}
# Values are trees: to look for circles takes a fifth of the time.
_COMPACT: Any = {"separators": (",", ":"), "check_circular": False}
_CANONICAL_JSON = json.JSONEncoder(sort_keys=True, **_COMPACT)
_WIRE: Any = {"ensure_ascii": False, "default": _base64_text, **_COMPACT}
_WIRE_JSON = json.JSONEncoder(**_WIRE)
_SORTED_WIRE_JSON = json.JSONEncoder(sort_keys=True, **_WIRE)
_SURROGATE = re.compile("[\ud800-\udfff]")


def _text_size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _number_size(text: str) -> int:
    digits = canonical_number(text).lstrip("-").replace(".", "").strip("0")
    return (len(digits) + 1) // 2 + 3


def _members_size(members: Iterable[int]) -> int:
    sizes = list(members)
    return 3 + len(sizes) + sum(sizes)


def _value_size(value: AttributeValue) -> int:
    ((tag, content),) = value.items()
    size = _SIZE.get(tag)
    return len(wire_json(content)) if size is None else size(content)


def _value_containers(value: AttributeValue) -> int:
    ((tag, content),) = value.items()
    if tag == "L":
        return 1 + max(map(_value_containers, content), default=0)
    if tag == "M":
        return 1 + containers(content)
    return 0


_SIZE: dict[str, Callable[[Any], int]] = {
    "S": _text_size,
    "N": _number_size,
    "B": len,
    "BOOL": lambda _content: 1,
    "NULL": lambda _content: 1,
    "SS": lambda content: sum(map(_text_size, content)),
    "NS": lambda content: sum(map(_number_size, content)),
    "BS": lambda content: sum(map(len, content)),
    "L": lambda content: _members_size(map(_value_size, content)),
    "M": lambda content: _members_size(_text_size(n) + _value_size(v) for n, v in content.items()),
}
