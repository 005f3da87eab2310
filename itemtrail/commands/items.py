"""The commands that ask about one item: history, as-of, diff, blame, timeline."""

from collections.abc import Iterator
from datetime import datetime

import click

from itemtrail.exit_status import CLEAN, NOTHING_FOUND
from itemtrail.options.keys import KeyedCommand
from itemtrail.options.kinds import TimeType, asked_at
from itemtrail.options.target import (
    Target,
    actor_attribute_option,
    key_argument,
    output_option,
    strict_option,
    target_options,
)
from itemtrail.output.answer import Answer, Counted, chosen_form, give, instant, span, tell
from itemtrail.output.faults import judged
from itemtrail.output.progress import ProgressBar
from itemtrail.records.items import (
    blame_record,
    comparison_record,
    difference_line_records,
    span_record,
    state_record,
    version_record,
)
from itemtrail.records.kinds import BLAME, DIFFERENCE_LINE, SPAN, STATE, VERSION
from itemtrail.tables.items import (
    blame_blocks,
    comparison_table,
    state_table,
    timeline_blocks,
    version_blocks,
)
from reports.inputs.keys import key_text
from reports.inputs.paths import Path
from reports.inputs.times import TimeRole
from reports.states.stream_order import in_their_time
from reports.states.timeline import ItemState, weaker_of


@click.command(cls=KeyedCommand, short_help="Every recorded version of an item, oldest first.")
@key_argument()
@strict_option
@target_options
@output_option
def history(key: tuple[str, ...], output: str | None, target: Target) -> int:
    """Show every recorded version of an item, oldest first.

    KEY is a plain value, NAME=VALUE pairs, or JSON. Exits with 1 if nothing is recorded.

    \b
    Example:
      itemtrail history 42 --stack employee-trail
      itemtrail history Id=42 --stack employee-trail --output jsonl
      itemtrail history '{"Id": 42}' --history-table employee-trail-history --output csv
    """  # noqa: D301 - click's mark for a block that keeps its lines
    form, trail = chosen_form(output), target.open()
    keys = trail.key_schema.key_of_text(key)
    rows = Counted(trail.rows(keys))
    with ProgressBar() as progress:
        answer = Answer(
            VERSION,
            (version_record(*version) for version in in_their_time(rows)),
            version_blocks(keys, rows),
        )
        give(answer, form, progress)
    if not rows.count:
        tell(f"nothing is recorded of {key_text(keys)}")
    return judged(trail, CLEAN if rows.count else NOTHING_FOUND)


@click.command(
    "as-of", cls=KeyedCommand, short_help="An item as it was at an instant, and how sure that is."
)
@key_argument()
@click.option(
    "--at",
    type=TimeType(),
    required=True,
    help="The instant, e.g. 2026-01-31T18:46Z; a day is its end.",
)
@click.option("--certain", is_flag=True, help="Fail (exit 2) rather than give a weaker answer.")
@strict_option
@target_options
@output_option
def as_of(
    key: tuple[str, ...], at: datetime, output: str | None, target: Target, *, certain: bool
) -> int:
    """Show an item as it was at an instant, and how sure that is.

    Changes stamped at the instant are included; stamps are whole seconds. KEY is a plain value,
    NAME=VALUE pairs, or JSON. Exits with 1 if the item did not exist then, as far as is known:
    use --certain where only the exit status is read.

    \b
    Example:
      itemtrail as-of 42 --at 2026-03-03T18:46:00Z --stack employee-trail
      itemtrail as-of 42 --at now --certain --stack employee-trail --output json
    """  # noqa: D301
    form, trail = chosen_form(output), target.open()
    state = trail.as_of(trail.key_schema.key_of_text(key), at, certain=certain)
    record = state_record(state)
    give(Answer(STATE, [record], [state_table(state)], lambda: record), form)
    return judged(trail, CLEAN if state.exists else NOTHING_FOUND)


@click.command(cls=KeyedCommand, short_help="What differs in an item between two instants.")
@key_argument()
@click.option(
    "--from",
    "start",
    type=TimeType(TimeRole.BEFORE),
    required=True,
    help="The earlier instant; a day is the instant before it.",
)
@click.option(
    "--to",
    "end",
    type=TimeType(),
    default="now",
    help="The later instant, a day is its end; now by default.",
)
@strict_option
@target_options
@output_option
def diff(
    key: tuple[str, ...], start: datetime, end: datetime, output: str | None, target: Target
) -> int:
    """Show what differs in an item between two instants, by attribute path.

    KEY is a plain value, NAME=VALUE pairs, or JSON. Attributes are marked + added, - removed,
    ~ changed.

    \b
    Example:
      itemtrail diff 42 --from 2026-03-01 --stack employee-trail
      itemtrail diff 42 --from '1d ago' --to now --stack employee-trail --output json
      itemtrail diff 42 --from '1d ago' --stack employee-trail --output csv > changes-of-42.csv
    """  # noqa: D301
    if start > end:
        raise click.UsageError("--from is later than --to: swap them", click.get_current_context())
    form, trail = chosen_form(output), target.open()
    old, new, differences = trail.differences(trail.key_schema.key_of_text(key), start, end)
    answer = Answer(
        DIFFERENCE_LINE,
        difference_line_records(old, new, differences),
        [comparison_table(old, new, differences)],
        lambda: comparison_record(old, new, differences),
        times=span(start, end),
    )
    give(answer, form)
    if not differences:
        # Without a line nothing else would say how sure that is.
        state = weaker_of(old, new)
        tell(f"nothing differs ({state.certainty}: {state.reason})")
    return judged(trail, CLEAN)


@click.command(cls=KeyedCommand, short_help="Since when each attribute is what it is, and by whom.")
@key_argument()
@click.option(
    "--at", type=TimeType(), default="now", help="The item as of this instant; now by default."
)
@actor_attribute_option
@strict_option
@target_options
@output_option
def blame(
    key: tuple[str, ...],
    at: datetime,
    actor_attribute: Path | None,
    output: str | None,
    target: Target,
) -> int:
    """Show since when each attribute of an item is what it is, and by which change.

    KEY is a plain value, NAME=VALUE pairs, or JSON. A stream does not record who makes a change:
    where writers leave their name in an attribute of the item, --actor-attribute names it.
    Exits with 1 if the item did not exist then.

    \b
    Example:
      itemtrail blame 42 --stack employee-trail
      itemtrail blame 42 --actor-attribute updated_by --stack employee-trail
      itemtrail blame 42 --at now --stack employee-trail --output csv > blame-of-42.csv
    """  # noqa: D301
    form, trail = chosen_form(output), target.open()
    keys = trail.key_schema.key_of_text(key)
    state, blames = trail.blames(keys, at, actor_attribute=actor_attribute)
    answer = Answer(
        BLAME,
        (blame_record(keys, path_blame) for path_blame in blames),
        blame_blocks(state, blames),
        times=instant(at),
    )
    give(answer, form)
    if not state.exists:
        tell(f"there was no {key_text(keys)} then ({state.certainty}: {state.reason})")
    return judged(trail, CLEAN if state.exists else NOTHING_FOUND)


@click.command(cls=KeyedCommand, short_help="An item's whole life, with what is missing of it.")
@key_argument()
@strict_option
@target_options
@output_option
def timeline(key: tuple[str, ...], output: str | None, target: Target) -> int:
    """Show an item's whole life: when it existed, for how long, what changed, and the gaps.

    KEY is a plain value, NAME=VALUE pairs, or JSON. Unlike `history`, which lists what is recorded,
    this shows the time before the first record, from when the history began, the time since the
    last one, and what is missing in between. Exits with 1 if the item never existed, as far as is
    known.

    \b
    Example:
      itemtrail timeline 42 --stack employee-trail
      itemtrail timeline 42 --stack employee-trail --output jsonl
    """  # noqa: D301
    form, trail = chosen_form(output), target.open()
    keys = trail.key_schema.key_of_text(key)
    lived = False

    def watched() -> Iterator[ItemState]:
        nonlocal lived
        for state in trail.states(keys):
            lived = lived or state.exists
            yield state

    with ProgressBar() as progress:
        states = watched()
        answer = Answer(
            SPAN,
            map(span_record, states),
            timeline_blocks(keys, states, asked_at()),
        )
        give(answer, form, progress)
    if not lived:
        tell(f"nothing is known of {key_text(keys)}")
    return judged(trail, CLEAN if lived else NOTHING_FOUND)
