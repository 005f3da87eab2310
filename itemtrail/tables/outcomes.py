"""What becomes of items that are written back, as `restore` and `undo` show it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from rich.console import RenderableType
from rich.table import Column
from rich.text import Text

from itemtrail.tables import cells
from itemtrail.tables.layout import Row, folded, listing, titled
from operations.recovery.conflicts import Conflict
from reports.inputs.paths import path_text
from reports.states.differences import Difference
from stream_core.attribute_values import AttributeValue, Item

OutcomeRow: TypeAlias = tuple[Text, str, Text]
"""A key, a word for what became of its item, and the changes and reasons."""

_MOST_LINES = 12
_LOOKS = {
    "planned": "cyan",
    "written": "green",
    "unneeded": "dim",
    "mixed": "yellow",
    "conflict": "red",
    "refused": "red",
    "unsent": "red",
    "undecided": "yellow",
}


def outcome_blocks(title: str, rows: Iterable[OutcomeRow]) -> Iterator[RenderableType]:
    """What is done to each item, or would be."""
    yield titled(title)
    yield from listing(outcome_columns("what changes"), map(outcome_cells, rows))


def outcome_columns(last: str) -> tuple[Column, ...]:
    """The columns of outcomes; what the last one is about depends."""
    return folded("key", 2), Column("it is", width=len("undecided")), folded(last, 5)


def outcome_cells(row: OutcomeRow) -> Row:
    """An outcome in its colour."""
    key, outcome, what = row
    return key, Text(outcome, style=_LOOKS.get(outcome, "yellow")), what


def outcome_lines(
    changes: Iterable[Difference], keys: Item, conflicts: Sequence[Conflict], reason: str
) -> Text:
    """What changes in an item, a line each, then the conflicts and the reason."""
    texts = [_change(change, keys) for change in changes]
    lines = [*texts[:_MOST_LINES], *map(_conflict, conflicts[:_MOST_LINES])]
    left_out = len(texts) + len(conflicts) - len(lines)
    if left_out:
        lines.append(cells.more(left_out))
    if reason:
        lines.append(cells.plain(reason))
    return Text("\n").join(lines)


def _change(change: Difference, keys: Item) -> Text:
    if change.path:
        return cells.change_line(change)
    return Text("\n").join(
        Text.assemble(mark, " the item: ", _whole(value, keys))
        for mark, value in ((("-", "red"), change.old), (("+", "green"), change.new))
        if value is not None
    )


def _conflict(conflict: Conflict) -> Text:
    where = path_text(conflict.path) if conflict.path else "the item"
    parts: list[Text | tuple[str, str]] = [("! ", "red"), cells.plain(where), Text(" is ")]
    parts += [_value(conflict, conflict.actual), Text(", not ")]
    parts += [_value(conflict, conflict.expected), Text("; wanted ")]
    parts.append(_value(conflict, conflict.wanted))
    if conflict.reason:
        parts.append(Text(f" ({cells.printable(conflict.reason)})"))
    return Text.assemble(*parts)


def _value(conflict: Conflict, value: AttributeValue | None) -> Text:
    if value is None:
        return Text("absent", style="dim")
    return cells.brief(value) if conflict.path else _whole(value, conflict.keys)


def _whole(value: AttributeValue, keys: Item) -> Text:
    return cells.attributes(value["M"], keys)
