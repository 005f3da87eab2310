"""A line of a plan in a file, and values in it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from stream_core.attribute_values import AttributeValue, read_item, wire_json


def plan_line(content: Mapping[str, Any]) -> bytes:
    """What a line says, in the one form that it has."""
    return wire_json(content, sort_keys=False) + b"\n"


def read_value(path: Sequence[object], value: AttributeValue | None) -> AttributeValue | None:
    """A value that a line has at a path of an item; None: there is none."""
    if value is None:
        return None
    if not path:
        # A whole item, which is no map within one: it would be a level too deep.
        return {"M": read_item(value["M"])}
    return read_item({"value": value})["value"]  # type: ignore[no-any-return]
