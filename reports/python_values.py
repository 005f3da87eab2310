"""Wire values as Python values and as text; nothing rounded, nothing guessed."""

import base64
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from stream_core.attribute_values import AttributeValue, Item


def to_python(item: Item) -> dict[str, Any]:
    """An item as Python values.

    `N` becomes an exact `Decimal`, `B` bytes, `SS`, `NS` and `BS` sets, `NULL` None, `L` a list
    and `M` a dict. An absent attribute is absent, so it cannot be taken for a `NULL`.
    """
    return {name: value_to_python(value) for name, value in item.items()}


def value_to_python(value: AttributeValue) -> Any:
    """One attribute value as a Python value."""
    ((tag, content),) = value.items()
    convert = _PYTHON.get(tag)
    return convert(content) if convert else content


def value_to_text(value: AttributeValue) -> str:
    """One attribute value in one line, for a person to read."""
    ((tag, content),) = value.items()
    return _TEXT[tag](content)


_PYTHON: dict[str, Callable[[Any], Any]] = {
    # The constructor is exact, whatever the precision of the current context.
    "N": Decimal,
    "NULL": lambda _content: None,
    "SS": set,
    "NS": lambda content: set(map(Decimal, content)),
    "BS": set,
    "L": lambda content: list(map(value_to_python, content)),
    "M": to_python,
}


def _binary_text(content: bytes) -> str:
    return f"base64:{base64.b64encode(content).decode('ascii')}"


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
    "M": lambda content: _braces(f"{n}: {value_to_text(v)}" for n, v in content.items()),
}
