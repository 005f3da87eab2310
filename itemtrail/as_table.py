"""Answers for people: tables."""

import sys
from collections.abc import Sequence
from datetime import datetime

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from reports.differences import Difference, differences
from reports.keys import key_text
from reports.paths import path_text
from reports.python_values import value_to_text
from reports.timeline import Certainty, ItemState, state_before, weaker_of
from stream_core.attribute_values import AttributeValue, Item
from stream_core.history_row import HistoryRow

_WIDEST_VALUE = 60
_MOST_CHANGES = 8
_MARKS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}
_COLOURS = {Certainty.EXACT: "green", Certainty.BOUNDED: "yellow", Certainty.UNKNOWN: "red"}


def print_table(answer: Group) -> None:
    """Print an answer."""
    Console(file=sys.stdout, highlight=False).print(answer)


def versions(keys: Item, rows: Sequence[HistoryRow]) -> Group:
    """The versions of an item, oldest first."""
    table = _table()
    table.add_column("#", justify="right", style="dim")
    table.add_column("when (UTC)", no_wrap=True)
    table.add_column("event", no_wrap=True)
    table.add_column("what changed", overflow="fold")
    moment = None
    for number, row in enumerate(rows, start=1):
        # Stamps are whole seconds: within one, the order of the lines is the order of events.
        again = row.change.created_at == moment
        moment = row.change.created_at
        shown = Text("same second", style="dim") if again else Text(_when(moment))
        table.add_row(str(number), shown, _event(row), _changes(row))
    return Group(_plain(f"History of {key_text(keys)}"), table)


def state(of: ItemState) -> Group:
    """An item as of an instant."""
    title = _plain(f"{key_text(of.keys)} as of {_when(of.at)} UTC")
    return Group(title, _attributes(of.image), *_validity(of), _certainty(of))


def comparison(old: ItemState, new: ItemState, found: Sequence[Difference]) -> Group:
    """What differs between two states."""
    title = _plain(f"{key_text(old.keys)} from {_when(old.at)} to {_when(new.at)} UTC")
    table = _table()
    table.add_column("", no_wrap=True)
    for name in ("attribute", "old", "new"):
        table.add_column(name, overflow="fold")
    for one in found:
        mark, colour = _MARKS[one.kind]
        attribute = _plain(path_text(one.path))
        table.add_row(Text(mark, style=colour), attribute, _brief(one.old), _brief(one.new))
    return Group(
        title, table if found else Text("\nnothing differs\n"), _certainty(weaker_of(old, new))
    )


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, pad_edge=False)


def _plain(text: str) -> Text:
    """Text that came from a table: shown as it is, but no control of the terminal."""
    return Text(
        "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    )


def _event(row: HistoryRow) -> str:
    name = row.change.event_name.value
    return f"{name} (TTL)" if row.change.user_identity else name


def _changes(row: HistoryRow) -> Text:
    found = differences(state_before(row), row.change.new_image)
    lines = [_change(one) for one in found[:_MOST_CHANGES]]
    if len(found) > _MOST_CHANGES:
        lines.append(Text(f"… and {len(found) - _MOST_CHANGES} more", style="dim"))
    return Text("\n").join(lines)


def _change(one: Difference) -> Text:
    mark, colour = _MARKS[one.kind]
    line = Text.assemble((mark, colour), " ", _plain(path_text(one.path)), ": ")
    values = [_brief(value) for value in (one.old, one.new) if value is not None]
    return line.append_text(Text(" → ").join(values))


def _brief(value: AttributeValue | None) -> Text:
    if value is None:
        return Text("")
    text = value_to_text(value)
    if len(text) <= _WIDEST_VALUE:
        return _plain(text)
    size = f"{len(value['B']):,} bytes" if "B" in value else f"{len(text):,} characters"
    return _plain(f"{text[:_WIDEST_VALUE]}… ({size})")


def _attributes(image: Item | None) -> Table | Text:
    if image is None:
        return Text("\nno such item\n")
    table = _table()
    table.add_column("attribute", overflow="fold")
    table.add_column("type", style="dim")
    table.add_column("value", overflow="fold")
    for name, value in sorted(image.items()):
        table.add_row(_plain(name), next(iter(value)), _plain(value_to_text(value)))
    return table


def _validity(of: ItemState) -> list[Text]:
    if of.valid_from is None and of.valid_to is None:
        return []
    since = "deleted" if of.image is None and of.valid_from else "valid"
    start = _when(of.valid_from) if of.valid_from else "an unknown time"
    end = _when(of.valid_to) if of.valid_to else "now"
    return [Text(f"{since} from {start} to {end}")]


def _certainty(of: ItemState) -> Text:
    return Text.assemble((of.certainty.value, _COLOURS[of.certainty]), f": {of.reason}")


def _when(moment: datetime) -> str:
    text = f"{moment:%Y-%m-%d %H:%M:%S}"
    return f"{text}.{moment.microsecond:06d}".rstrip("0") if moment.microsecond else text
