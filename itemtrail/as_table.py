"""Answers for people about one item: its history, its state, a comparison."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from itemtrail import cells
from reports.differences import Difference
from reports.keys import key_text
from reports.paths import path_text
from reports.timeline import ItemState, weaker_of
from stream_core.attribute_values import Item
from stream_core.history_row import HistoryRow

# A page of text: who wants more of a value wants it in a file.
_WIDEST = 1000


def versions(keys: Item, rows: Sequence[HistoryRow]) -> Group:
    """The versions of an item, oldest first."""
    return Group(*version_blocks(keys, rows))


def version_blocks(keys: Item, rows: Iterable[HistoryRow]) -> Iterator[RenderableType]:
    """The versions of an item as they arrive, oldest first."""
    number = 0
    moment: datetime | None = None
    for block in cells.blocks(rows):
        table = cells.new_table(header=number == 0)
        table.add_column("#", justify="right", style="dim", width=5)
        table.add_column("when (UTC)", width=cells.WHEN_WIDTH)
        table.add_column("event", width=len("REMOVE (TTL)"))
        table.add_column("what changed", overflow="fold", ratio=1)
        for row in block:
            number += 1
            when = cells.when_after(row.change.created_at, moment)
            moment = row.change.created_at
            table.add_row(str(number), when, cells.event(row), cells.changes(row))
        is_first = number == len(block)
        yield cells.titled(f"History of {key_text(keys)}", table) if is_first else table
    if number:
        yield ""


def state(of: ItemState) -> Group:
    """An item as of an instant."""
    title = f"{key_text(of.keys)} as of {cells.when(of.at)} UTC"
    return cells.titled(title, _attributes(of), "", *_validity(of), cells.certainty(of), "")


def comparison(old: ItemState, new: ItemState, found: Sequence[Difference]) -> Group:
    """What differs between two states."""
    title = f"{key_text(old.keys)} from {cells.when(old.at)} to {cells.when(new.at)} UTC"
    table = cells.new_table()
    table.add_column("", width=1)
    for name in ("attribute", "old", "new"):
        table.add_column(name, overflow="fold", ratio=1)
    for one in found:
        attribute = cells.plain(path_text(one.path))
        table.add_row(cells.mark(one), attribute, cells.brief(one.old), cells.brief(one.new))
    differs = table if found else Text("nothing differs")
    return cells.titled(title, differs, "", cells.certainty(weaker_of(old, new)), "")


def _attributes(of: ItemState) -> Table | Text:
    if of.image is None:
        return Text("no such item")
    table = cells.new_table()
    table.add_column("attribute", overflow="fold", ratio=1)
    table.add_column("type", style="dim", width=4)
    table.add_column("value", overflow="fold", ratio=3)
    for name, value in sorted(of.image.items()):
        table.add_row(
            cells.plain(path_text((name,))), next(iter(value)), cells.brief(value, widest=_WIDEST)
        )
    return table


def _validity(of: ItemState) -> list[Text]:
    if of.valid_from is None and of.valid_to is None:
        return []
    since = "deleted" if of.image is None and of.valid_from else "valid"
    start = cells.when(of.valid_from) if of.valid_from else "an unknown time"
    end = cells.when(of.valid_to) if of.valid_to else "now"
    return [Text(f"{since} from {start} to {end}")]
