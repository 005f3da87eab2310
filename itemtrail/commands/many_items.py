"""The commands that ask about many items: changes, between, table-as-of."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import click
from rich.text import Text

from itemtrail.exit_status import CLEAN, NOTHING_FOUND
from itemtrail.options.keys import KeyedCommand
from itemtrail.options.kinds import TimeType, asked_at
from itemtrail.options.selection import selection_options
from itemtrail.options.target import (
    Period,
    Target,
    indexed_target_options,
    key_argument,
    output_option,
    period_options,
    strict_option,
)
from itemtrail.output.answer import Answer, Counted, chosen_form, give, instant, span, tell
from itemtrail.output.faults import judged
from itemtrail.output.progress import ProgressBar
from itemtrail.records.items import span_record, state_record
from itemtrail.records.kinds import CHANGE, SPAN, STATE
from itemtrail.records.many_items import change_record
from itemtrail.tables import cells
from itemtrail.tables.many_items import change_blocks, item_blocks, version_blocks
from reports import HistoryTable
from reports.inputs.keys import key_text
from reports.states.actor import actor_of
from reports.states.named_paths import NamedPaths
from reports.states.selection import Selection
from reports.states.timeline import Certainty, ItemState
from reports.states.watermark import NoWatermark, Watermark
from reports.table.as_of import TableAsOf
from stream_core.attribute_values import Item
from stream_core.change import EventName


@click.command(cls=KeyedCommand, short_help="The changes made in a range of time, and by whom.")
@key_argument(required=False)
@period_options
@selection_options
@strict_option
@indexed_target_options
@output_option
def changes(
    key: tuple[str, ...], period: Period, where: Selection, output: str | None, target: Target
) -> int:
    """Show the changes made in a range of time, of one item or of all, in the order of time.

    Without KEY the whole table is asked, through its index by time: what it costs depends on the
    range, not on the history. A stream does not record who makes a change: where writers leave
    their name in an attribute of the item, --actor-attribute names it. A delete leaves none. Exits
    with 1 if nothing is known of KEY, or no change of the range knows an attribute that is named.

    \b
    Example:
      itemtrail changes --since '1h ago' --stack employee-trail
      itemtrail changes 42 --since 2026-03-01 --stack employee-trail --output jsonl
      itemtrail changes --since '1d ago' --event remove --stack employee-trail --output json
      itemtrail changes --since '1d ago' --attribute status --from open --to closed \\
        --stack employee-trail --output csv > closed.csv
      itemtrail changes --since '1d ago' --actor ada --actor-attribute updated_by \\
        --stack employee-trail
    """  # noqa: D301
    form, trail = chosen_form(output), target.open()
    # It speaks of the rows that are read after it was asked.
    item, watermark = _item(trail, key), trail.watermark
    named_by = where.actor_path
    undecided: Counter[EventName] = Counter()
    named = NamedPaths.of_selection(where)
    with ProgressBar() as progress:
        rows = Counted(
            trail.changed_rows(
                *period,
                where,
                item,
                progress=progress,
                undecided=lambda row: undecided.update([row.change.event_name]),
                examined=named.note,
            )
        )
        answer = Answer(
            CHANGE,
            (change_record(row, actor_of(row, named_by)) for row in rows),
            change_blocks(f"Changes{_of_item(item)} from {_range(period)}", rows, named_by),
            times=span(*period),
        )
        give(answer, form, progress)
    if not rows.count:
        tell(f"no such change{_of_item(item)} from {_range(period)}")
    if undecided:
        tell(_undecided_remark(undecided, where.actor))
    for unknown in named.unknown():
        tell(unknown)
    is_known = not named.unknown() and (rows.count or _is_known(trail, item))
    _tell_of_what_is_not_recorded(trail, watermark, period)
    return judged(trail, CLEAN if is_known else NOTHING_FOUND)


@click.command(cls=KeyedCommand, short_help="The versions that were active in a range of time.")
@key_argument(required=False)
@period_options
@strict_option
@indexed_target_options
@output_option
def between(key: tuple[str, ...], period: Period, output: str | None, target: Target) -> int:
    """Show the versions that were active in a range of time, of one item or of all.

    A version is active from its change until the next one: unlike `changes`, this also shows what
    existed all along. KEY is a plain value, NAME=VALUE pairs, or JSON; without it the whole history
    table is read. Exits with 1 if nothing is known of KEY.

    \b
    Example:
      itemtrail between 42 --since '1d ago' --stack employee-trail
      itemtrail between --since '2h ago' --until now --stack employee-trail --output jsonl
      itemtrail between --since '1d ago' --stack employee-trail --output parquet > versions.parquet
    """  # noqa: D301
    form, trail = chosen_form(output), target.open()
    item, watermark = _item(trail, key), trail.watermark
    with ProgressBar() as progress:
        states = Counted(trail.versions(*period, item, progress=progress))
        answer = Answer(
            SPAN,
            map(span_record, states),
            version_blocks(f"Versions{_of_item(item)} active from {_range(period)}", states),
            times=span(*period),
        )
        give(answer, form, progress)
    if not states.count:
        tell(f"no recorded version{_of_item(item)} was active from {_range(period)}")
    is_known = states.count or _is_known(trail, item)
    _tell_of_what_is_not_recorded(trail, watermark, period)
    return judged(trail, CLEAN if is_known else NOTHING_FOUND)


@click.command("table-as-of", short_help="The whole table as it was at an instant.")
@click.option(
    "--at",
    type=TimeType(),
    required=True,
    help="The instant, e.g. 2026-01-31T18:46Z; a day is its end.",
)
@click.option("--certain", is_flag=True, help="Fail (exit 2) at the first answer that is weaker.")
@strict_option
@indexed_target_options
@output_option
def table_as_of(at: datetime, output: str | None, target: Target, *, certain: bool) -> int:
    """Show the whole table as it was at an instant, and how sure each item is.

    Either all of the history is read, or the live table is rewound by what has changed since,
    whichever is cheaper; the last line says which. An item that may have existed is shown too.
    Changes stamped at the instant are included.

    \b
    Example:
      itemtrail table-as-of --at '1 min ago' --stack employee-trail
      itemtrail table-as-of --at now --certain --stack employee-trail --output jsonl
      itemtrail table-as-of --at 2026-03-03T18:46Z --stack employee-trail --output csv > march.csv
    """  # noqa: D301
    form, trail = chosen_form(output), target.open()
    with ProgressBar() as progress:
        whole = _Whole(trail.table_states(at, certain=certain, progress=progress))
        answer = Answer(
            STATE,
            map(state_record, whole.states()),
            item_blocks(f"All items as of {cells.zoned(at)}", whole.states()),
            summary=whole.summary(),
            times=instant(at),
        )
        give(answer, form, progress)
    return judged(trail, CLEAN)


@dataclass
class _Whole:
    """A table as of an instant, counted as it passes."""

    table: TableAsOf
    items: int = field(default=0, init=False)
    weak: int = field(default=0, init=False)
    bases: set[str] = field(default_factory=set, init=False)

    def states(self) -> Iterator[ItemState]:
        for state in self.table.states:
            self.items += state.exists
            self.weak += state.certainty is not Certainty.EXACT
            self.bases |= {state.basis} if state.basis else set()
            yield state

    def summary(self) -> Iterator[Text]:
        """What it came to, once all have passed."""
        weak = f", {self.weak:,} of the answers not exact" if self.weak else ""
        if self.bases:
            remainder = "the others exact" if self.weak else "all exact"
            weak += f", {remainder} ({', '.join(sorted(self.bases))})"
        text = (
            f"{cells.count_of(self.items, 'item')}{weak}; by {self.table.method}: "
            f"{self.table.reason}"
        )
        yield Text(text, style="yellow" if self.weak else "")


def _undecided_remark(events: Counter[EventName], actor: str | None) -> str:
    """What has to be known of an answer for which changes were chosen by who made them."""
    deletes = events[EventName.REMOVE]
    changes = events.total() - deletes
    counts = [
        cells.count_of(number, name)
        for number, name in ((deletes, "delete"), (changes, "other change"))
        if number
    ]
    return (
        f"the history does not say who made {' and '.join(counts)} in the range: any of them may "
        f"be by {actor}; leave --actor out to see them"
    )


def _item(trail: HistoryTable, key: tuple[str, ...]) -> Item | None:
    return trail.key_schema.key_of_text(key) if key else None


def _is_known(trail: HistoryTable, item: Item | None) -> bool:
    """Whether anything is known of the item that was asked for; it is said if nothing is."""
    if item is None:
        return True
    state = trail.as_of(item, asked_at())
    if state.exists or state.row is not None or state.is_contradicted:
        return True
    tell(f"there is neither a row nor a live item of {key_text(item)}: is it the right key?")
    return False


def _of_item(item: Item | None) -> str:
    return f" of {key_text(item)}" if item else ""


def _range(period: Period) -> str:
    return f"{cells.when(period.since)} to {cells.zoned(period.until)}"


def _tell_of_what_is_not_recorded(
    trail: HistoryTable, watermark: Watermark | NoWatermark, period: Period
) -> None:
    """Say at which end of its range an answer may lack what happened."""
    if period.since < trail.horizon:
        tell(f"the history began at {cells.zoned(trail.horizon)}: nothing before is known")
    if not watermark.covers(period.until):
        tell(watermark.doubt(asked_at()))
