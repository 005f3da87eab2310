"""What the commands about one item show: history, as-of, diff, blame, timeline."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from itemtrail.records.items import began_with
from itemtrail.tables import cells
from itemtrail.tables.layout import Row, folded, listing, table_of, titled
from reports.inputs.keys import key_text
from reports.inputs.paths import path_text
from reports.states.blame import Blame
from reports.states.differences import Difference
from reports.states.timeline import Certainty, ItemState, weaker_of
from reports.unseen import visible
from stream_core.attribute_values import Item
from stream_core.history_row import HistoryRow

# A page of text: who wants more of a value wants it in a file.
_WIDEST = 1000
# A number of 21 digits or more is known by its last ones.
_LAST_DIGITS = 6
_VERSION_COLUMNS = (
    Column("#", justify="right", style="dim", width=5),
    Column("when (UTC)", width=cells.WHEN_WIDTH),
    Column("event", width=len("REMOVE (TTL)")),
    folded("what changed"),
)
_ATTRIBUTE_COLUMNS = (
    folded("attribute"),
    Column("type", style="dim", width=4),
    folded("value", 3),
)
_COMPARISON_COLUMNS = (Column("", width=1), folded("attribute"), folded("old"), folded("new"))
_TIMELINE_COLUMNS = (
    Column("", width=1),
    Column("since (UTC)", width=cells.WHEN_WIDTH),
    Column("for", width=len("364 days 23 h")),
    Column("state", width=len("not known")),
    folded("what changed"),
)
_BLAME_COLUMNS = (
    folded("path", 5),
    folded("value", 5),
    Column("since (UTC)", width=cells.WHEN_WIDTH),
    Column("by change", width=len("SNAPSHOT …123456")),
)
_ACTOR_COLUMN = folded("by", 4)


def version_blocks(keys: Item, rows: Iterable[HistoryRow]) -> Iterator[RenderableType]:
    """The versions of an item as they arrive, oldest first."""
    return listing(_VERSION_COLUMNS, _version_rows(rows), f"History of {key_text(keys)}")


def _version_rows(rows: Iterable[HistoryRow]) -> Iterator[Row]:
    moment: datetime | None = None
    for number, row in enumerate(rows, start=1):
        when = cells.when_after(row.change.created_at, moment)
        moment = row.change.created_at
        yield str(number), when, cells.event(row), cells.changes(row)


def state_table(state: ItemState) -> Group:
    """An item as of an instant."""
    title = f"{key_text(state.keys)} as of {cells.zoned(state.at)}"
    return titled(title, _attributes(state), "", *_validity(state), cells.certainty(state), "")


def comparison_table(old: ItemState, new: ItemState, differences: Sequence[Difference]) -> Group:
    """What differs between two states."""
    title = f"{key_text(old.keys)} from {cells.when(old.at)} to {cells.zoned(new.at)}"
    table = table_of(_COMPARISON_COLUMNS, map(_difference_row, differences))
    differs = table if differences else Text("nothing differs")
    return titled(title, differs, "", cells.certainty(weaker_of(old, new)), "")


def _difference_row(difference: Difference) -> Row:
    path = cells.plain(path_text(difference.path))
    return cells.mark(difference), path, cells.brief(difference.old), cells.brief(difference.new)


def _attributes(state: ItemState) -> Table | Text:
    if state.image is None:
        return Text("no such item")
    return table_of(
        _ATTRIBUTE_COLUMNS,
        (
            (cells.plain(path_text((name,))), next(iter(value)), cells.brief(value, widest=_WIDEST))
            for name, value in sorted(state.image.items())
        ),
    )


def _validity(state: ItemState) -> list[Text]:
    began = None if state.may_be_older else state.valid_from
    if began is None and state.valid_to is None:
        return []
    is_deleted = state.image is None and state.certainty is not Certainty.UNKNOWN
    since = "deleted" if is_deleted and began else "valid"
    start = cells.when(began) if began else "an unknown time"
    end = cells.when(state.valid_to) if state.valid_to else "now"
    return [Text(f"{since} from {start} to {end}")]


def timeline_blocks(
    keys: Item, states: Iterable[ItemState], now: datetime
) -> Iterator[RenderableType]:
    """The whole life of an item as it arrives, from before the first record to now."""
    weak = 0

    def rows() -> Iterator[Row]:
        nonlocal weak
        moment: datetime | None = None
        for state in states:
            weak += state.certainty is not Certainty.EXACT
            yield _timeline_row(state, moment, now)
            moment = state.valid_from

    yield from listing(_TIMELINE_COLUMNS, rows(), f"Timeline of {key_text(keys)}")
    if weak:
        yield Text(
            f"{cells.count_of(weak, 'span')} not exact: the reason stands beside each",
            style="yellow",
        )
    else:
        yield Text.assemble(cells.certainty_word(Certainty.EXACT), " throughout")
    yield ""


def _timeline_row(state: ItemState, previous: datetime | None, now: datetime) -> Row:
    word, sign = _existence(state)
    since = cells.when_after(state.valid_from, previous)
    return Text(*sign), since, _span(state, now), Text(word, sign[1]), _what(state)


def blame_blocks(state: ItemState, blames: Sequence[Blame]) -> Iterator[RenderableType]:
    """For every attribute path of an item its value, since when, and by which change."""
    title = f"Blame of {key_text(state.keys)} as of {cells.zoned(state.at)}"
    footnotes = cells.Footnotes()
    table = _blame_table(blames, footnotes) if state.exists else Text("no such item")
    how_sure = Text("the item's state: ").append_text(cells.certainty(state))
    yield titled(title, table, "", *footnotes.lines(), how_sure)
    # All changes that are recorded are as sure as the state was until then.
    unsure = (blame for blame in blames if blame.row and blame.certainty is not Certainty.EXACT)
    for blame in islice(unsure, 1):
        word = cells.certainty_word(blame.certainty)
        yield Text.assemble("since when and by whom: ", word, f": {visible(blame.reason)}")
    yield ""


def _blame_table(blames: Sequence[Blame], footnotes: cells.Footnotes) -> Table:
    with_actors = any(blame.actor.name or blame.actor.caveat for blame in blames)
    columns = (*_BLAME_COLUMNS, _ACTOR_COLUMN) if with_actors else _BLAME_COLUMNS
    return table_of(columns, (_blame_row(blame, footnotes)[: len(columns)] for blame in blames))


def _blame_row(blame: Blame, footnotes: cells.Footnotes) -> Row:
    return (
        cells.plain(path_text(blame.path)),
        cells.brief(blame.value),
        _since(blame, footnotes),
        _change(blame),
        cells.actor_cell(blame.actor, footnotes) if blame.row else Text(""),
    )


def _existence(state: ItemState) -> tuple[str, tuple[str, str]]:
    """A word for whether the item was there, and a sign in the colour of how sure that is."""
    colour = cells.CERTAINTY_COLOURS[state.certainty]
    is_unknown = state.certainty is Certainty.UNKNOWN
    if is_unknown and (state.valid_from is None or not state.exists):
        return "not known", ("?", colour)
    if state.exists:
        return "exists" if state.is_current else "existed", ("●", colour)
    has_ended = state.valid_from is not None and not state.may_be_older
    return "deleted" if has_ended else "not there", ("○", colour)


def _span(state: ItemState, now: datetime) -> Text:
    if state.valid_from is None:
        return Text("")
    if state.valid_to is None:
        return Text.assemble(cells.lasting(now - state.valid_from), ("\nso far", "dim"))
    span = state.valid_to - state.valid_from
    return Text(cells.lasting(span) if span else "under 1 s")


def _what(state: ItemState) -> Text:
    """What the change did that began a state, and why the state is not exact."""
    parts = []
    if state.row is not None and began_with(state):
        parts.append(_change_that_began(state.row, state))
    elif state.exists:
        parts.append(Text("as the first change found it" if state.row else "as it is now"))
    if state.certainty is not Certainty.EXACT:
        parts.append(cells.certainty(state))
    return Text("\n").join(part for part in parts if part)


def _change_that_began(row: HistoryRow, state: ItemState) -> Text:
    if state.exists:
        return cells.changes(row, hidden=state.keys)
    # What was removed is the state on the line before.
    return Text("expired (TTL)" if row.change.user_identity else "")


def _since(blame: Blame, footnotes: cells.Footnotes) -> Text:
    if blame.row is not None:
        return Text(cells.when(blame.row.change.created_at))
    return Text("not recorded").append_text(footnotes.mark(blame.reason))


def _change(blame: Blame) -> Text:
    if blame.row is None:
        return Text("")
    change = blame.row.change
    number = change.sequence_number.lstrip("0") or "0"
    short = number if len(number) <= _LAST_DIGITS else f"…{number[-_LAST_DIGITS:]}"
    made = Text.assemble(change.event_name.value, (f" {short}", "dim"))
    # Who that was stands beside it.
    return made.append(f"\nrun {blame.row.run}", "cyan") if blame.row.run else made
