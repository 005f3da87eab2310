"""Answers for people about what is written back: the plan, and the result."""

from collections.abc import Iterable, Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from itemtrail.records.recovery import UNDECIDED, restore_outcome, undo_outcome
from itemtrail.tables import cells
from itemtrail.tables.cells import Line, counted
from operations.recovery.conflicts import Conflict
from operations.recovery.restore_items import ItemResult, Restored
from operations.recovery.restore_table import TableRestored
from operations.recovery.undo import ItemUndone, Undone
from reports.inputs.paths import path_text
from reports.states.differences import Difference
from stream_core.attribute_values import AttributeValue, Item

_MOST_LINES = 12
_MOST_LISTED = 20
_OUTCOME_WIDTH = len("undecided")
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


def restore_blocks(
    of: Restored, title: str, summary: Text | None = None
) -> Iterator[RenderableType]:
    """What is done to items, from what they are to what they were."""
    yield from _item_blocks(title, map(_restore_row, of.items), summary)


def undo_blocks(of: Undone, title: str, summary: Text | None = None) -> Iterator[RenderableType]:
    """What is taken back, item by item, and what cannot be."""
    undecided = [
        (cells.key_cell(one.keys), "undecided", Text(f"{one.event_name.value}: {UNDECIDED}"))
        for one in of.undecided
    ]
    yield from _item_blocks(title, [*map(_undo_row, of.items), *undecided], summary)


def table_restore_blocks(of: TableRestored, title: str, summary: Text) -> Iterator[RenderableType]:
    """What a new table has, or would have."""
    would = "" if of.applied else "would be "
    lines = [
        Line(of.items, f"items {would}in the new table", "green"),
        Line(len(of.unwritten), "items that it did not take", "red"),
        Line(of.uncertain.total(), "items of which it is not certain what they were", "yellow"),
    ]
    reasons = [Line(number, reason) for reason, number in of.uncertain.most_common()]
    yield cells.titled(title, counted(lines), "")
    if reasons:
        yield from (Text("not certain, because", style="yellow"), counted(reasons), "")
    rows = [
        *((cells.key_cell(one.keys), "unwritten", cells.plain(one.reason)) for one in of.unwritten),
        *((cells.key_cell(one.keys), "uncertain", cells.plain(one.reason)) for one in of.listed),
    ]
    if rows:
        yield from _tables(rows[:_MOST_LISTED], "why")
        if len(rows) > _MOST_LISTED:
            yield Text(f"… and {len(rows) - _MOST_LISTED:,} more", style="dim")
        yield ""
    yield Text(f"by {of.method}: {of.reason}", style="dim")
    for note in of.notes:
        yield Text.assemble(("note ", "yellow"), cells.printable(note))
    yield summary


_Row = tuple[Text, str, Text]


def _item_blocks(
    title: str, rows: Iterable[_Row], summary: Text | None
) -> Iterator[RenderableType]:
    yield cells.titled(title)
    is_empty = True
    for table in _tables(rows):
        yield table
        is_empty = False
    if not is_empty:
        yield ""
    if summary is not None:
        yield summary


def _tables(rows: Iterable[_Row], last: str = "what changes") -> Iterator[Table]:
    is_first = True
    for block in cells.blocks(rows):
        table = cells.new_table(header=is_first)
        table.add_column("key", overflow="fold", ratio=2)
        table.add_column("it is", width=_OUTCOME_WIDTH)
        table.add_column(last, overflow="fold", ratio=5)
        for key, outcome, what in block:
            table.add_row(key, Text(outcome, style=_LOOKS.get(outcome, "yellow")), what)
        yield table
        is_first = False


def _restore_row(one: ItemResult) -> _Row:
    changes = one.plan.differences
    if changes and one.plan.then.exists != one.plan.now.exists:
        whole = {str(each.path[0]): each.new or each.old for each in changes}
        value = {"M": whole}
        new = one.plan.then.exists
        changes = (Difference((), None if new else value, value if new else None),)
    lines = [_change(found, one.plan.keys) for found in changes]
    what = _lines(lines, one.conflicts, one.reason)
    return cells.key_cell(one.plan.keys), restore_outcome(one), what


def _undo_row(one: ItemUndone) -> _Row:
    lines = [_change(edit, one.keys) for edit in one.edits]
    return cells.key_cell(one.keys), undo_outcome(one), _lines(lines, one.conflicts, one.reason)


def _lines(changes: Sequence[Text], conflicts: Sequence[Conflict], reason: str) -> Text:
    lines = [*changes[:_MOST_LINES], *map(_conflict, conflicts[:_MOST_LINES])]
    left_out = len(changes) + len(conflicts) - len(lines)
    if left_out:
        lines.append(Text(f"… and {left_out} more", style="dim"))
    if reason:
        lines.append(cells.plain(reason))
    return Text("\n").join(lines)


def _change(one: Difference, keys: Item) -> Text:
    if one.path:
        return cells.change_line(one)
    return Text("\n").join(
        Text.assemble(mark, f" {what}: ", _whole(value, keys))
        for mark, what, value in (
            (("-", "red"), "the item", one.old),
            (("+", "green"), "the item", one.new),
        )
        if value is not None
    )


def _conflict(one: Conflict) -> Text:
    where = path_text(one.path) if one.path else "the item"
    parts: list[Text | tuple[str, str]] = [("! ", "red"), cells.plain(where), Text(" is ")]
    parts += [_value(one, one.actual), Text(", not "), _value(one, one.expected)]
    parts += [Text("; wanted "), _value(one, one.wanted)]
    if one.reason:
        parts.append(Text(f" ({cells.printable(one.reason)})"))
    return Text.assemble(*parts)


def _value(one: Conflict, value: AttributeValue | None) -> Text:
    if value is None:
        return Text("absent", style="dim")
    return cells.brief(value) if one.path else _whole(value, one.keys)


def _whole(value: AttributeValue, keys: Item) -> Text:
    return cells.attributes(value["M"], keys)
