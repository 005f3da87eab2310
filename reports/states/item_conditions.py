"""What must be true of an item's values, as a command line says it. Pure."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Any

from reports.inputs.paths import Path, path_text, value_at
from reports.inputs.values import wire_value
from reports.states.selection import value_test
from stream_core.attribute_values import AttributeValue, Item, canonical_number
from stream_core.errors import MalformedRecordError


class Operator(StrEnum):
    """How a value is compared."""

    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    GREATER = ">"
    AT_LEAST = ">="
    BEGINS_WITH = "begins_with"


_ORDERED: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.LESS: operator.lt,
    Operator.AT_MOST: operator.le,
    Operator.GREATER: operator.gt,
    Operator.AT_LEAST: operator.ge,
    Operator.BEGINS_WITH: lambda value, beginning: (
        isinstance(value, bytes) and value.startswith(beginning)
    ),
}


@dataclass(frozen=True)
class ItemCondition:
    """One thing that must be true of an item.

    A value is text that fits what is spelled so, or a wire value, as in `Selection`. Numbers are
    compared as numbers, texts and binary byte by byte as DynamoDB sorts them; values of two types
    have no order, and only differ.

    Attributes:
        path: where the value is.
        operator: how it is compared; `!=` also accepts an item that has no such value.
        value: what it is compared with.

    Raises:
        ReportError: the value has the form of a wire value, and is none.
    """

    path: Path
    operator: Operator
    value: str

    def __post_init__(self) -> None:
        _ = self._exact

    def __str__(self) -> str:
        return f"{path_text(self.path)} {self.operator} {self.value}"

    def accepts(self, item: Item) -> bool:
        """Whether it is true of an item."""
        value = value_at(item, self.path)
        match self.operator:
            case Operator.EQUAL:
                return self._equals(value)
            case Operator.NOT_EQUAL:
                return not self._equals(value)
        sides = None if value is None else self._sides(value)
        return sides is not None and _ORDERED[self.operator](*sides)

    @cached_property
    def _exact(self) -> AttributeValue | None:
        return wire_value(self.value)

    @cached_property
    def _equals(self) -> Callable[[AttributeValue | None], bool]:
        return value_test(self.value)

    def _sides(self, value: AttributeValue) -> tuple[Any, Any] | None:
        """Both sides as what has an order; None: they have none."""
        ((tag, content),) = value.items()
        exact = {tag: self.value} if self._exact is None else self._exact
        if exact.keys() != {tag}:
            return None
        match tag, exact[tag]:
            case "N", str(wanted):
                return _numbers(content, wanted)
            case "S", str(wanted):
                return _bytes(content), _bytes(wanted)
            case "B", bytes(wanted):
                return content, wanted
        return None


def _numbers(content: str, wanted: str) -> tuple[Decimal, Decimal] | None:
    try:
        return Decimal(content), Decimal(canonical_number(wanted))
    except MalformedRecordError:
        return None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
