"""Attribute values as people give them: as text, or in DynamoDB's own form. Pure."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from reports.errors import ReportError, shown
from stream_core.attribute_values import AttributeValue, read_item
from stream_core.errors import MalformedRecordError

_TAGS = frozenset({"S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS"})
_FORMS = 'write e.g. {"N": "1"} or {"SS": ["a", "b"]}'


class _Number(str):
    """A number as it is spelled: as a float it would be another one."""

    __slots__ = ()


def wire_value(expected: str | Mapping[str, Any]) -> AttributeValue | None:
    """A value in DynamoDB's own form, as that or as its JSON text; None: any other text.

    Raises:
        ReportError: it has that form, and is no value.
    """
    raw = _wire_form(expected) if isinstance(expected, str) else dict(expected)
    if raw is None:
        return None
    try:
        value: AttributeValue = read_item({"value": raw})["value"]
    except MalformedRecordError as error:
        raise ReportError(f"not an attribute value: {error}: {_FORMS}") from None
    return value


def read_value(text: str) -> AttributeValue:
    """The value that a text spells: a JSON number, `true`, `false`, `null`, or as `wire_value`.

    Any other text is a text.

    Raises:
        ReportError: it is no value, as a number of more than 38 digits or a JSON list.
    """
    wire = wire_value(text)
    if wire is not None:
        return wire
    match _json(text, _Number):
        case _Number() as number:
            return wire_value({"N": str(number)}) or {}
        case bool(flag):
            return {"BOOL": flag}
        case None if text.strip() == "null":
            return {"NULL": True}
        case list() | dict():
            raise ReportError(f"{shown(text)} is not an attribute value: {_FORMS}")
    return {"S": text}


def _wire_form(text: str) -> dict[str, Any] | None:
    """The wire value that a text spells, right or wrong; any other text is a text."""
    raw = _json(text, float)
    return dict(raw) if isinstance(raw, dict) and len(raw) == 1 and raw.keys() <= _TAGS else None


def _json(text: str, number: Callable[[str], Any]) -> Any:
    """What a text spells in JSON, None where it is none."""
    try:
        return json.loads(text, parse_int=number, parse_float=number, parse_constant=str)
    except (ValueError, RecursionError):
        return None
