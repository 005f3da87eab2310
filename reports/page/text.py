"""Text of a table made fit for a page: nothing in it is markup, nothing in it is invisible."""

from datetime import datetime
from itertools import groupby

from markupsafe import Markup, escape

from reports.inputs.times import moment_text
from reports.states.values import value_to_text
from reports.unseen import escaped, is_seen, visible
from stream_core.attribute_values import AttributeValue

_LONGEST_VALUE, _SHOWN_OF_IT = 240, 160
_TYPES = {
    "S": "text",
    "N": "number",
    "B": "binary",
    "BOOL": "boolean",
    "NULL": "null",
    "SS": "set of texts",
    "NS": "set of numbers",
    "BS": "set of binaries",
    "L": "list",
    "M": "map",
}


def shown(value: object) -> Markup:
    """Any value as it is shown: escaped, and what cannot be seen spelled out and set apart.

    Control characters, unusual spaces, marks that turn the direction of writing, and letters
    without ink are written as Python would: a page must not look other than what is in the table.
    """
    if isinstance(value, Markup):
        return value
    pieces = []
    for is_visible, characters in groupby(str(value), key=is_seen):
        text = "".join(characters)
        if not is_visible:
            pieces.append(Markup('<span class="code">{}</span>').format(escaped(text)))
        else:
            pieces.append(escape(text))
    return Markup("").join(pieces)


def plain(value: object) -> Markup:
    """The same for places that hold no markup, such as a title."""
    return escape(visible(str(value)))


def value_html(value: AttributeValue | None) -> Markup:
    """An attribute value with its type; a large one is shortened and its length given."""
    if value is None:
        return Markup('<span class="none">absent</span>')
    ((tag, content),) = value.items()
    if tag == "NULL":
        return Markup('<span class="none">NULL</span>')
    text = value_to_text(value)
    body = Markup('<span class="none">empty</span>') if content in ("", b"") else _body(text)
    size = f" {len(content):,} bytes" if tag == "B" else ""
    if len(text) > _LONGEST_VALUE and tag != "B":
        size = f" {len(text):,} characters"
    return Markup('<span class="value">{}</span> <span class="type">{}{}</span>').format(
        body, _TYPES[tag], size
    )


def when(moment: datetime | None, unknown: str = "not known") -> Markup:
    """A moment in UTC as far as it is known, on one line."""
    if moment is None:
        return Markup('<span class="none">{}</span>').format(unknown)
    return Markup('<span class="when">{}</span>').format(moment_text(moment))


def count_of(number: int, noun: str) -> str:
    """So many of something."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _body(text: str) -> Markup:
    if len(text) <= _LONGEST_VALUE:
        return shown(text)
    return shown(text[:_SHOWN_OF_IT]) + Markup('<span class="none">…</span>')
