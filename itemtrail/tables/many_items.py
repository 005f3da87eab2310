"""Answers for people about many items: what changed, what was active, how it all was."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from itemtrail.tables import cells
from reports.inputs.paths import Path
from reports.states.actor import actor_of
from reports.states.timeline import Certainty, ItemState
from stream_core.history_row import HistoryRow

_MOST_CHANGES = 5


def change_blocks(
    title: str, rows: Iterable[HistoryRow], actor_attribute: Path | None
) -> Iterator[RenderableType]:
    """Changes as they arrive, in the order of time."""
    footnotes = cells.Footnotes()
    moment: datetime | None = None
    is_first = True
    for block in cells.blocks(rows):
        table = _change_table(header=is_first, with_actors=actor_attribute is not None)
        for row in block:
            when = cells.when_after(row.change.created_at, moment)
            moment = row.change.created_at
            what = cells.changes(row, most=_MOST_CHANGES, hidden=row.change.keys)
            line = [when, cells.key_cell(row.change.keys), _event(row), what]
            if actor_attribute is not None:
                line.append(cells.actor_cell(actor_of(row, actor_attribute), footnotes))
            table.add_row(*line)
        yield cells.titled(title, table) if is_first else table
        is_first = False
    if not is_first:
        yield ""
    yield from footnotes.told()


def version_blocks(title: str, states: Iterable[ItemState]) -> Iterator[RenderableType]:
    """Versions that were active in a range, as they arrive."""
    is_first = True
    for block in cells.blocks(states):
        table = cells.new_table(header=is_first)
        table.add_column("key", overflow="fold", ratio=2)
        table.add_column("valid (UTC)", width=cells.WHEN_WIDTH + 2)
        table.add_column("item", overflow="fold", ratio=5)
        table.add_column("certainty", width=cells.CERTAINTY_WIDTH + 2)
        for state in block:
            table.add_row(
                cells.key_cell(state.keys),
                _validity(state),
                cells.summary(state),
                cells.certainty_word(state.certainty),
            )
        yield cells.titled(title, table) if is_first else table
        is_first = False
    if not is_first:
        yield ""


def item_blocks(title: str, states: Iterable[ItemState]) -> Iterator[RenderableType]:
    """Items as of an instant as they arrive; how sure each is is told where it is not exact."""
    is_first = True
    for block in cells.blocks(states):
        table = cells.new_table(header=is_first)
        table.add_column("key", overflow="fold", ratio=2)
        table.add_column("item", overflow="fold", ratio=7)
        for state in block:
            item = cells.summary(state)
            if state.certainty is not Certainty.EXACT:
                item = Text("\n").join([item, cells.certainty(state)])
            table.add_row(cells.key_cell(state.keys), item)
        yield cells.titled(title, table) if is_first else table
        is_first = False
    if not is_first:
        yield ""


def _change_table(*, header: bool, with_actors: bool) -> Table:
    table = cells.new_table(header=header)
    table.add_column("when (UTC)", width=cells.WHEN_WIDTH)
    table.add_column("key", overflow="fold", ratio=2)
    table.add_column("event", width=cells.EVENT_WIDTH)
    table.add_column("what changed", overflow="fold", ratio=5)
    if with_actors:
        table.add_column("by", overflow="fold", ratio=2)
    return table


def _event(row: HistoryRow) -> Text:
    # On a second line, because most tables have no expiry at all.
    return Text(cells.event(row).replace(" ", "\n"))


def _validity(of: ItemState) -> Text:
    start = Text(cells.when(of.valid_from)) if of.valid_from else Text("not recorded", style="dim")
    if of.valid_to is None:
        end = Text("now" if of.certainty is Certainty.EXACT else "not recorded", style="dim")
    elif of.valid_to == of.valid_from:
        end = Text("same second", style="dim")
    else:
        end = Text(cells.when(of.valid_to))
    return Text.assemble(start, "\n→ ", end)
