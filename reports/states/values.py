"""Wire values as Python values and as text; nothing rounded, nothing guessed."""

import base64
import json
from collections.abc import Callable, Iterable
from decimal import Context, Decimal, Inexact
from typing import Any

from stream_core.attribute_values import AttributeValue, Item


def to_python(item: Item, *, coerce: bool = False) -> dict[str, Any]:
    """An item as Python values.

    `N` becomes an exact `Decimal`, `B` bytes, `SS`, `NS` and `BS` sets, `NULL` None, `L` a list
    and `M` a dict. An absent attribute is absent, so it cannot be taken for a `NULL`.

    With `coerce`, values are what plots and plain code expect, and no longer exact: `N` becomes a
    `float` (about 16 of its 38 digits), `B` base64 text, a set a sorted list.
    """
    return {name: value_to_python(value, coerce=coerce) for name, value in item.items()}


def value_to_python(value: AttributeValue, *, coerce: bool = False) -> Any:
    """One attribute value as a Python value; see `to_python`."""
    ((tag, content),) = value.items()
    match tag:
        case "L":
            return [value_to_python(member, coerce=coerce) for member in content]
        case "M":
            return to_python(content, coerce=coerce)
    convert = (_COERCED if coerce else _PYTHON).get(tag)
    return convert(content) if convert else content


def value_to_text(value: AttributeValue) -> str:
    """One attribute value in one line, for a person to read."""
    ((tag, content),) = value.items()
    # A type of tomorrow is shown as it is stored.
    return _TEXT.get(tag, json.dumps)(content)


def brief_text(value: AttributeValue, widest: int) -> str:
    """One attribute value in a few words; a long one is cut, and its size told."""
    text = value_to_text(value)
    if len(text) <= widest:
        return text
    if "B" in value:
        # Nobody reads base64; its beginning tells one photo from another.
        return f"{text[: widest // 2]}… ({len(value['B']):,} bytes)"
    return f"{text[:widest]}… ({len(text):,} characters)"


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


_PYTHON: dict[str, Callable[[Any], Any]] = {
    # The constructor is exact, whatever the precision of the current context.
    "N": Decimal,
    "NULL": lambda _content: None,
    "SS": set,
    "NS": lambda content: set(map(Decimal, content)),
    "BS": set,
}
_COERCED: dict[str, Callable[[Any], Any]] = {
    "N": float,
    "NULL": lambda _content: None,
    "B": _base64,
    "SS": sorted,
    "NS": lambda content: sorted(map(float, content)),
    "BS": lambda content: sorted(map(_base64, content)),
}


def _binary_text(content: bytes) -> str:
    return f"base64:{_base64(content)}"


def _braces(texts: Iterable[str]) -> str:
    return f"{{{', '.join(texts)}}}"


_TEXT: dict[str, Callable[[Any], str]] = {
    "S": str,
    "N": str,
    "B": _binary_text,
    "BOOL": lambda content: str(content).lower(),
    "NULL": lambda _content: "NULL",
    "SS": lambda content: _braces(sorted(content)),
    "NS": lambda content: _braces(sorted(content, key=Decimal)),
    "BS": lambda content: _braces(sorted(map(_binary_text, content))),
    "L": lambda content: f"[{', '.join(map(value_to_text, content))}]",
    "M": lambda content: _braces(
        f"{name}: {value_to_text(value)}" for name, value in content.items()
    ),
}


# From 1E-130 to 9.99E+125 there are 256 places; the rest is for carries. More would raise.
_CONTEXT = Context(prec=300, traps=[Inexact])


def total(values: Iterable[Any]) -> Decimal:
    """The exact sum of numbers; None and `pandas.NA` (a NULL, an absent value) count for nothing.

    Example:
        >>> total(frame["new"])
    """
    result = Decimal(0)
    for value in values:
        if value is not None and type(value).__name__ != "NAType":
            result = _CONTEXT.add(result, value)
    return result


def delta(old: Decimal, new: Decimal) -> Decimal:
    """The exact difference of two numbers."""
    return _CONTEXT.subtract(new, old)
