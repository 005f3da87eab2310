"""Answers for people about one item: its history, its state, a comparison."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from itemtrail.records.items import began_with
from itemtrail.tables import cells
from reports.inputs.keys import key_text
from reports.inputs.paths import path_text
from reports.states.blame import Blame
from reports.states.differences import Difference
from reports.states.timeline import Certainty, ItemState, weaker_of
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
