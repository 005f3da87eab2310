"""What tables for people are made of: values, times and verdicts as short texts."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from rich.text import Text

from itemtrail.time_zone import time_zone
from reports.inputs.keys import key_text
from reports.inputs.paths import path_text
from reports.inputs.times import moment_text
from reports.states.actor import Actor
from reports.states.differences import Difference, changes_of
from reports.states.global_tables import is_replication_only
from reports.states.timeline import Certainty, ItemState
from reports.states.values import brief_text
from reports.unseen import visible
from stream_core.attribute_values import AttributeValue, Item
from stream_core.history_row import HistoryRow

_WIDEST_VALUE = 60
_WIDEST_ITEM = 200
_MOST_CHANGES = 8
_MARKS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}
CERTAINTY_COLOURS = {
    Certainty.EXACT: "green",
    Certainty.BOUNDED: "yellow",
    Certainty.UNKNOWN: "red",
}
_UNITS = (("day", "days", 86_400), ("h", "h", 3_600), ("min", "min", 60), ("s", "s", 1))
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
# Developer Guide, "Working with expired items": the principal of a deletion by TTL.
_TTL = "dynamodb.amazonaws.com"
WHEN_WIDTH = len("2018-03-03 18:46:00")
EVENT_WIDTH = len("SNAPSHOT")
CERTAINTY_WIDTH = max(map(len, Certainty))


def plain(text: str) -> Text:
    """Text that came from a table, every character of it to be seen and none obeyed."""
    return Text(visible(text))


def when(moment: datetime) -> str:
    """A time as clocks show it; stamps are whole seconds, times that people give need not be."""
    return moment_text(moment, time_zone())


def zoned(moment: datetime) -> str:
    """A time, and what clock shows it."""
    return f"{when(moment)} {time_zone()}"


def when_after(moment: datetime | None, previous: datetime | None) -> Text:
    """A time below another: within a second only the order of the lines tells the order."""
    if moment is None:
        return Text("not recorded", style="dim")
    if moment == previous:
        return Text("same second", style="dim")
    return Text(when(moment))


def lasting(span: timedelta) -> str:
    """How long, in two units at most: `3 days 4 h`."""
    rest = int(span.total_seconds())
    words: list[str] = []
    for singular, plural, seconds in _UNITS:
        count, rest = divmod(rest, seconds)
        if count or words:
            words.append(f"{count} {singular if count == 1 else plural}" if count else "")
        if len(words) == 2:  # noqa: PLR2004
            break
    return " ".join(filter(None, words)) or "0 s"


def count_of(number: int, singular: str) -> str:
    """A number of things: `1 item`, `1,234 items`."""
    return f"{number:,} {singular if number == 1 else f'{singular}s'}"


def event(row: HistoryRow) -> str:
    """What happened, an expiry told apart from a delete."""
    name = row.change.event_name.value
    return f"{name} (TTL)" if row.change.user_identity else name


def changes(row: HistoryRow, *, most: int = _MOST_CHANGES, hidden: Iterable[str] = ()) -> Text:
    """What a row's change did, an attribute path a line; first, what else to know of the row.

    Args:
        row: the row.
        most: no more lines than this.
        hidden: top-level attributes to leave out, because the key is told beside it.
    """
    left_out = set(hidden)
    shown = [difference for difference in changes_of(row) if difference.path[0] not in left_out]
    lines = [] if row.fault is None else [Text(f"! {visible(row.fault)}", style="red")]
    lines += [by_run(row)] if row.run else []
    if is_replication_only(row):
        return Text("\n").join([*lines, Text("only aws:rep:*, by the global table", style="dim")])
    lines += [change_line(difference) for difference in shown[:most]]
    if len(shown) > most:
        lines.append(more(len(shown) - most))
    return Text("\n").join(lines)


def by_run(row: HistoryRow) -> Text:
    """Which run of this program made a change: `by run 0123456789ab (ada)`."""
    return Text(f"by run {row.run} ({visible(row.run_by or '?')})", style="cyan")


def more(number: int) -> Text:
    """That a list goes on."""
    return Text(f"… and {number:,} more", style="dim")


def change_line(difference: Difference) -> Text:
    """One attribute path: `~ Name: old → new`."""
    line = Text.assemble(mark(difference), " ", plain(path_text(difference.path)), ": ")
    values = [brief(value) for value in (difference.old, difference.new) if value is not None]
    return line.append_text(Text(" → ").join(values))


def mark(difference: Difference) -> Text:
    """`+` added, `-` removed, `~` changed."""
    text, colour = _MARKS[difference.kind]
    return Text(text, style=colour)


def brief(value: AttributeValue | None, *, widest: int = _WIDEST_VALUE) -> Text:
    """A value in a few words; a long one is cut, and its size told."""
    return Text("") if value is None else plain(brief_text(value, widest))


def item_cell(state: ItemState) -> Text:
    """An item in a few lines, without its key, which is told beside it."""
    if state.image is None:
        return Text("no such item", style="dim")
    return attributes(state.image, state.keys)


def attributes(item: Item, keys: Item) -> Text:
    """The attributes of an item in a few lines, without those of its key."""
    parts = [
        Text.assemble((visible(f"{path_text((name,))}: "), "dim"), brief(value))
        for name, value in sorted(item.items())
        if name not in keys
    ]
    if not parts:
        return Text("nothing but its key", style="dim")
    text = Text("  ").join(parts)
    if len(text) > _WIDEST_ITEM:
        text.truncate(_WIDEST_ITEM, overflow="ellipsis")
    return text


def key_cell(keys: Item) -> Text:
    """A key, without its attribute's name where there is only one."""
    return plain(key_text(keys))


def certainty(state: ItemState) -> Text:
    """How sure an answer is, what that rests on, and why."""
    basis = f" ({state.basis})" if state.basis else ""
    return Text.assemble(certainty_word(state.certainty), f"{basis}: {visible(state.reason)}")


def certainty_word(word: Certainty) -> Text:
    """How sure an answer is, in the colour of it."""
    return Text(word.value, style=CERTAINTY_COLOURS[word])


class Footnotes:
    """Remarks on cells, each told once under the table."""

    def __init__(self) -> None:
        """Begin without any."""
        self._numbers: dict[str, int] = {}

    def mark(self, remark: str) -> Text:
        """What to put behind the cell that a remark is about."""
        number = self._numbers.setdefault(remark, len(self._numbers) + 1)
        return Text(f" {number}".translate(_RAISED), style="yellow")

    def lines(self) -> Iterator[Text]:
        """The remarks so far, a line each."""
        for remark, number in self._numbers.items():
            yield Text.assemble((f"{number} ".translate(_RAISED), "yellow"), visible(remark))


def actor_cell(actor: Actor, footnotes: Footnotes) -> Text:
    """Who made a change, with the caveat there is about it."""
    name = Text("?", style="dim") if actor.name is None else plain(actor.name)
    if actor.source == "userIdentity" and actor.name == _TTL:
        name = Text("TTL", style="cyan")
    return name.append_text(footnotes.mark(actor.caveat)) if actor.caveat else name
