"""Attribute paths: from the outside of an item to a value within. Pure."""

import json
import re
from collections.abc import Iterator
from typing import Any, TypeAlias

from reports.errors import PathFormatError, shown
from stream_core.attribute_values import AttributeValue, Item

Path: TypeAlias = tuple[str | int, ...]
"""Attribute names and list positions from the outside in."""

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
# Read leniently: also `order-id`, `größe`, `2fa`. What other languages write differently is none:
# `lines.0` for a list's first member, 'a' for a name in quotes.
_BARE_NAME = r"""(?!\d+(?:[.\[]|$))[^\s.\[\]"'](?:[^.\[\]"']*[^\s.\[\]"'])?"""
_STEP = re.compile(rf'\.?(?:({_BARE_NAME})|("(?:[^"\\]|\\.)*"))|\[(\d+)\]', re.ASCII)


def path_text(path: Path) -> str:
    """A path as one unambiguous text: `a.b[0]`, but `"a.b"` for an attribute of that name."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
            continue
        name = step if _PLAIN_NAME.fullmatch(step) else _quoted(step)
        text += f".{name}" if text else name
    return text


def _quoted(name: str) -> str:
    # What no encoding takes, a lone surrogate, JSON spells in ASCII as Python does.
    text = json.dumps(name, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def read_path(text: str) -> Path:
    """The path that `path_text` spells so; a name with no dot, bracket or quote needs no quotes.

    Raises:
        PathFormatError: it spells none.
    """
    path: list[str | int] = []
    place = 0
    while place < len(text):
        step = _STEP.match(text, place)
        # A dot stands between two names, and only there.
        if step is None or (step[0][0] == ".") != (bool(path) and step[3] is None):
            break
        name, quoted, position = step.groups()
        try:
            path.append(int(position) if position else name or json.loads(quoted))
        except ValueError:
            break
        place = step.end()
    if not path or place < len(text) or isinstance(path[0], int):
        raise PathFormatError(f"{shown(text)} is not an attribute path: {_FORMS}")
    return tuple(path)


_FORMS = (
    'write e.g. status, address.city, lines[0].price, or "a.b" in quotes for an attribute of that '
    "name, which a shell takes as '\"a.b\"'"
)


def as_path(path: Any, argument: str) -> Path | None:
    """A path as it was given: as text, or as names and positions; None where none was.

    Args:
        path: text, or its steps.
        argument: what it was given as, for the error.

    Raises:
        PathFormatError: it is none.
    """
    if path is None:
        return None
    try:
        steps = read_path(path) if isinstance(path, str) else tuple(path)
    except (PathFormatError, TypeError):
        steps = ()
    if not steps or not isinstance(steps[0], str) or not all(map(_is_step, steps)):
        raise PathFormatError(f"{argument}: {shown(path)} is not an attribute path: {_FORMS}")
    return steps


def _is_step(step: object) -> bool:
    return isinstance(step, str | int) and not isinstance(step, bool)


def value_at(item: Item | None, path: Path) -> AttributeValue | None:
    """The value at a path, None where there is none."""
    value: AttributeValue | None = {"M": item or {}}
    for step in path:
        match value, step:
            case {"M": dict(members)}, str(name):
                value = members.get(name)
            case {"L": list(members)}, int(position) if position < len(members):
                value = members[position]
            case _:
                return None
    return value


def leaves(item: Item) -> Iterator[tuple[Path, AttributeValue]]:
    """Every value of an item that holds no other, in the order of names, with its path.

    An empty list or map is a leaf; a set is one too.
    """
    return _leaves((), {"M": item}) if item else iter(())


def _leaves(path: Path, value: AttributeValue) -> Iterator[tuple[Path, AttributeValue]]:
    match value:
        case {"M": dict(members)} if members:
            for name in sorted(members):
                yield from _leaves((*path, name), members[name])
        case {"L": list(members)} if members:
            for position, member in enumerate(members):
                yield from _leaves((*path, position), member)
        case _:
            yield path, value
