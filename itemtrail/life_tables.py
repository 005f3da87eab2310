"""Answers for people about one item's life: its timeline, and since when each value is so."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from itemtrail import cells
from itemtrail.records import began_with
from reports.blame import Blame
from reports.keys import key_text
from reports.paths import path_text
from reports.timeline import Certainty, ItemState
from stream_core.attribute_values import Item
from stream_core.history_row import HistoryRow

_LONGEST_SPAN = len("364 days 23 h")
_WIDEST_STATE = len("not known")
_SURE = {Certainty.EXACT: "green", Certainty.BOUNDED: "yellow", Certainty.UNKNOWN: "red"}
# A number of 21 digits or more is known by its last ones.
_LAST_DIGITS = 6
_WIDEST_CHANGE = len("SNAPSHOT …123456")


def timeline_blocks(
    keys: Item, states: Iterable[ItemState], now: datetime
) -> Iterator[RenderableType]:
    """The whole life of an item as it arrives, from before the first record to now."""
    is_first = True
    moment: datetime | None = None
    weak = 0
    for block in cells.blocks(states):
        table = cells.new_table(header=is_first)
        table.add_column("", width=1)
        table.add_column("since (UTC)", width=cells.WHEN_WIDTH)
        table.add_column("for", width=_LONGEST_SPAN)
        table.add_column("state", width=_WIDEST_STATE)
        table.add_column("what changed", overflow="fold", ratio=1)
        for state in block:
            word, sign = _existence(state)
            since = cells.when_after(state.valid_from, moment)
            moment = state.valid_from
            weak += state.certainty is not Certainty.EXACT
            table.add_row(Text(*sign), since, _span(state, now), Text(word, sign[1]), _what(state))
        yield cells.titled(f"Timeline of {key_text(keys)}", table) if is_first else table
        is_first = False
    yield ""
    if weak:
        yield Text(f"{cells.count_of(weak, 'span')} not exact: told beside each", style="yellow")
    else:
        yield Text.assemble(cells.certainty_word(Certainty.EXACT), " throughout")
    yield ""


def blame_blocks(of: ItemState, blames: Sequence[Blame]) -> Iterator[RenderableType]:
    """For every attribute path of an item its value, since when, and by which change."""
    title = f"Blame of {key_text(of.keys)} as of {cells.when(of.at)} UTC"
    footnotes = cells.Footnotes()
    table = _blame_table(blames, footnotes) if of.exists else Text("no such item")
    yield cells.titled(title, table, "", *footnotes.told(), cells.certainty(of), "")


def _blame_table(blames: Sequence[Blame], footnotes: cells.Footnotes) -> Table:
    with_actors = any(one.actor.name or one.actor.caveat for one in blames)
    table = cells.new_table()
    table.add_column("path", overflow="fold", ratio=5)
    table.add_column("value", overflow="fold", ratio=5)
    table.add_column("since (UTC)", width=cells.WHEN_WIDTH)
    table.add_column("by change", width=_WIDEST_CHANGE)
    if with_actors:
        table.add_column("by", overflow="fold", ratio=4)
    for one in blames:
        line = [
            cells.plain(path_text(one.path)),
            cells.brief(one.value),
            _since(one, footnotes),
            _change(one),
        ]
        if with_actors:
            line.append(cells.actor_cell(one.actor, footnotes) if one.row else Text(""))
        table.add_row(*line)
    return table


def _existence(of: ItemState) -> tuple[str, tuple[str, str]]:
    """A word for whether the item was there, and a sign in the colour of how sure that is."""
    colour = _SURE[of.certainty]
    if of.certainty is Certainty.UNKNOWN and of.valid_from is None:
        return "not known", ("?", colour)
    if of.exists:
        return "exists" if of.is_current else "existed", ("●", colour)
    return "deleted" if of.valid_from else "not there", ("○", colour)


def _span(of: ItemState, now: datetime) -> Text:
    if of.valid_from is None:
        return Text("")
    if of.valid_to is None:
        return Text.assemble(cells.lasting(now - of.valid_from), ("\nso far", "dim"))
    span = of.valid_to - of.valid_from
    return Text(cells.lasting(span) if span else "under 1 s")


def _what(of: ItemState) -> Text:
    """What the change did that began a state, and why the state is not exact."""
    parts = []
    if of.row is not None and began_with(of, of.row):
        parts.append(_change_that_began(of.row, of))
    elif of.exists:
        parts.append(Text("as the first change found it" if of.row else "as it is now"))
    if of.certainty is not Certainty.EXACT:
        parts.append(cells.certainty(of))
    return Text("\n").join(part for part in parts if part)


def _change_that_began(row: HistoryRow, of: ItemState) -> Text:
    if of.exists:
        return cells.changes(row, hidden=of.keys)
    # What was removed is the state on the line before.
    return Text("expired (TTL)" if row.change.user_identity else "")


def _since(one: Blame, footnotes: cells.Footnotes) -> Text:
    if one.row is not None:
        return Text(cells.when(one.row.change.created_at))
    return Text("not recorded").append_text(footnotes.mark(one.reason))


def _change(one: Blame) -> Text:
    if one.row is None:
        return Text("")
    change = one.row.change
    number = change.sequence_number.lstrip("0") or "0"
    short = number if len(number) <= _LAST_DIGITS else f"…{number[-_LAST_DIGITS:]}"
    return Text.assemble(change.event_name.value, (f" {short}", "dim"))
