"""What becomes of items that are written back, as `restore` and `undo` show it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rich.console import RenderableType
from rich.table import Column
from rich.text import Text

from itemtrail.tables import cells
from itemtrail.tables.layout import Row, folded, listing, titled
from operations.execution.left_out import LeftOut
from operations.execution.plan_file import PlanAction, PlanItem
from operations.recovery.conflicts import Conflict
from reports.inputs.keys import key_text
from reports.inputs.paths import path_text
from reports.states.differences import Difference
from reports.unseen import visible
from stream_core.attribute_values import AttributeValue, Item, wire_json

OutcomeLine: TypeAlias = tuple[Text, str, Text]
"""Whose outcome it is, a word for it, and the changes and reasons."""

_MOST_LINES = 12
# Of items to which the same is done; fewer are listed each.
_EXAMPLES = 3
# What came to anything else has to be looked at, item by item.
_GOOD = frozenset({"planned", "to delete", "written", "deleted", "unneeded"})
_OF_A_REPLICA = {
    PlanAction.UPDATE: "made as it is in the source",
    PlanAction.PUT: "written as it is in the source",
    PlanAction.DELETE: "deleted from the replica: the source does not have it",
}
# What is deleted is called so.
_OF_DELETES = {"planned": "to delete", "written": "deleted"}
_LOOKS = {
    "planned": "cyan",
    "to delete": "red",
    "written": "green",
    "deleted": "magenta",
    "unneeded": "dim",
    "mixed": "yellow",
    "conflict": "red",
    "refused": "red",
    "unsent": "red",
    "undecided": "yellow",
}


@dataclass(frozen=True)
class OutcomeRow:
    """What becomes of an item.

    Attributes:
        outcome: a word for it.
        what: the changes and reasons.
        kind: the same for items to which the same is done.
    """

    keys: Item
    outcome: str
    what: Text
    kind: bytes


def outcome_row(  # noqa: PLR0913 - all that is told of an item
    keys: Item,
    outcome: str,
    changes: Sequence[Difference],
    conflicts: Sequence[Conflict] = (),
    *,
    is_delete: bool = False,
    reason: str = "",
    notes: Sequence[str] = (),
) -> OutcomeRow:
    """What becomes of an item: what changes in it, then the conflicts, the reason and notes."""
    if is_delete:
        outcome = _OF_DELETES.get(outcome, outcome)
    what = _lines(changes, keys, conflicts, [*filter(None, [reason]), *notes])
    alike = [
        outcome,
        [[change.path, _other(change.old, keys), _other(change.new, keys)] for change in changes],
        [
            [
                conflict.path,
                *(
                    _other(value, keys)
                    for value in (conflict.expected, conflict.actual, conflict.wanted)
                ),
                conflict.reason,
            ]
            for conflict in conflicts
        ],
        reason,
        *notes,
    ]
    return OutcomeRow(keys, outcome, what, wire_json(alike))


def planned_row(item: PlanItem) -> OutcomeRow:
    """What is to be done to an item of a plan; one without values is of a replica."""
    return outcome_row(
        item.keys,
        "planned",
        item.edits,
        is_delete=item.action is PlanAction.DELETE,
        reason="" if item.edits else _OF_A_REPLICA[item.action],
        notes=item.notes,
    )


def left_out_row(left_out: LeftOut) -> OutcomeRow:
    """An item that a plan leaves out, and why."""
    return outcome_row(
        left_out.keys, left_out.outcome, (), left_out.conflicts, reason=left_out.reason
    )


def outcome_blocks(
    title: str, rows: Iterable[OutcomeRow], *, is_each: bool = False
) -> Iterator[RenderableType]:
    """What is done to items, or would be: to each, or to those alike to which the same is done."""
    yield titled(title)
    yield from outcome_listing(rows, is_each=is_each)


def outcome_listing(
    rows: Iterable[OutcomeRow], *, is_each: bool = False
) -> Iterator[RenderableType]:
    """The same without a title."""
    lines = map(_line, rows) if is_each else _grouped(rows)
    yield from listing(outcome_columns("what changes"), map(outcome_cells, lines))


def _grouped(rows: Iterable[OutcomeRow]) -> Iterator[OutcomeLine]:
    groups: dict[bytes, list[OutcomeRow]] = {}
    for row in rows:
        groups.setdefault(row.kind, []).append(row)
    for group in groups.values():
        if len(group) <= _EXAMPLES or group[0].outcome not in _GOOD:
            yield from map(_line, group)
            continue
        examples = ", ".join(key_text(row.keys) for row in group[:_EXAMPLES])
        text = f"{cells.count_of(len(group), 'item')}: {examples}, …"
        yield cells.plain(text), group[0].outcome, group[0].what


def _line(row: OutcomeRow) -> OutcomeLine:
    return cells.key_cell(row.keys), row.outcome, row.what


def _other(value: AttributeValue | None, keys: Item) -> AttributeValue | None:
    """A value without the key that it may hold: whole items differ in that."""
    match value:
        case {"M": dict(attributes)}:
            return {"M": {name: attributes[name] for name in attributes if name not in keys}}
    return value


def outcome_columns(last: str) -> tuple[Column, ...]:
    """The columns of outcomes; what the last one is about depends."""
    return folded("key", 2), Column("it is", width=len("undecided")), folded(last, 5)


def outcome_cells(line: OutcomeLine) -> Row:
    """An outcome in its colour."""
    key, outcome, what = line
    return key, Text(outcome, style=_LOOKS.get(outcome, "yellow")), what


def _lines(
    changes: Iterable[Difference], keys: Item, conflicts: Sequence[Conflict], notes: Iterable[str]
) -> Text:
    texts = [_change(change, keys) for change in changes]
    lines = [*texts[:_MOST_LINES], *map(_conflict, conflicts[:_MOST_LINES])]
    left_out = len(texts) + len(conflicts) - len(lines)
    if left_out:
        lines.append(cells.more(left_out))
    lines += map(cells.plain, notes)
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
        parts.append(Text(f" ({visible(conflict.reason)})"))
    return Text.assemble(*parts)


def _value(conflict: Conflict, value: AttributeValue | None) -> Text:
    if value is None:
        return Text("absent", style="dim")
    return cells.brief(value) if conflict.path else _whole(value, conflict.keys)


def _whole(value: AttributeValue, keys: Item) -> Text:
    return cells.attributes(value["M"], keys)
