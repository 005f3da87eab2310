"""What the commands about many items show: changes, between, table-as-of."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from rich.console import RenderableType
from rich.table import Column
from rich.text import Text

from itemtrail.tables import cells
from itemtrail.tables.layout import Row, folded, listing
from reports.inputs.paths import Path
from reports.states.actor import actor_of
from reports.states.timeline import Certainty, ItemState
from stream_core.history_row import HistoryRow

_MOST_CHANGES = 5
_CHANGE_COLUMNS = (
    Column("when (UTC)", width=cells.WHEN_WIDTH),
    folded("key", 2),
    Column("event", width=cells.EVENT_WIDTH),
    folded("what changed", 5),
)
_ACTOR_COLUMN = folded("by", 2)
_VERSION_COLUMNS = (
    folded("key", 2),
    Column("valid (UTC)", width=cells.WHEN_WIDTH + 2),
    folded("item", 5),
    Column("certainty", width=cells.CERTAINTY_WIDTH + 2),
)
_ITEM_COLUMNS = (folded("key", 2), folded("item", 7))


def change_blocks(
    title: str, rows: Iterable[HistoryRow], actor_attribute: Path | None
) -> Iterator[RenderableType]:
    """Changes as they arrive, in the order of time."""
    footnotes = cells.Footnotes()
    with_actors = actor_attribute is not None
    columns = (*_CHANGE_COLUMNS, _ACTOR_COLUMN) if with_actors else _CHANGE_COLUMNS
    yield from listing(columns, _change_rows(rows, actor_attribute, footnotes), title)
    yield from footnotes.lines()


def version_blocks(title: str, states: Iterable[ItemState]) -> Iterator[RenderableType]:
    """Versions that were active in a range, as they arrive."""
    return listing(_VERSION_COLUMNS, map(_version_row, states), title)


def item_blocks(title: str, states: Iterable[ItemState]) -> Iterator[RenderableType]:
    """Items as of an instant as they arrive; how sure each is stands where it is not exact."""
    return listing(_ITEM_COLUMNS, map(_item_row, states), title)


def _change_rows(
    rows: Iterable[HistoryRow], actor_attribute: Path | None, footnotes: cells.Footnotes
) -> Iterator[Row]:
    moment: datetime | None = None
    for row in rows:
        when = cells.when_after(row.change.created_at, moment)
        moment = row.change.created_at
        what = cells.changes(row, most=_MOST_CHANGES, hidden=row.change.keys)
        line = [when, cells.key_cell(row.change.keys), _event(row), what]
        if actor_attribute is not None:
            line.append(cells.actor_cell(actor_of(row, actor_attribute), footnotes))
        yield line


def _version_row(state: ItemState) -> Row:
    return (
        cells.key_cell(state.keys),
        _validity(state),
        cells.item_cell(state),
        cells.certainty_word(state.certainty),
    )


def _item_row(state: ItemState) -> Row:
    item = cells.item_cell(state)
    if state.certainty is not Certainty.EXACT:
        item = Text("\n").join([item, cells.certainty(state)])
    return cells.key_cell(state.keys), item


def _event(row: HistoryRow) -> Text:
    # On a second line, because most tables have no expiry at all.
    return Text(cells.event(row).replace(" ", "\n"))


def _validity(state: ItemState) -> Text:
    start = (
        Text(cells.when(state.valid_from))
        if state.valid_from
        else Text("not recorded", style="dim")
    )
    if state.valid_to is None:
        lasts = state.is_current and state.certainty is not Certainty.UNKNOWN
        end = Text("now" if lasts else "not recorded", style="dim")
    elif state.valid_to == state.valid_from:
        end = Text("same second", style="dim")
    else:
        end = Text(cells.when(state.valid_to))
    return Text.assemble(start, "\n→ ", end)
