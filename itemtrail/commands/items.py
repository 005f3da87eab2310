"""The commands that ask about one item: history, as-of, diff, blame, timeline."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain, pairwise

import click

from itemtrail.exit_status import NOTHING_FOUND
from itemtrail.options.kinds import TimeType
from itemtrail.options.target import (
    Target,
    actor_attribute_option,
    key_argument,
    output_option,
    target_options,
)
from itemtrail.output.answer import Answer, Counted, chosen_form, give, tell
from itemtrail.output.progress import Waiting
from itemtrail.records import items as records
from itemtrail.records import kinds as record_kinds
from itemtrail.tables import items as tables
from reports.inputs.keys import key_text
from reports.inputs.paths import Path
from reports.states.timeline import ItemState
from stream_core.history_row import HistoryRow


@click.command(short_help="Every recorded version of an item, oldest first.")
@key_argument()
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
    with Waiting() as waiting:
        answer = Answer(
            record_kinds.VERSION,
            (records.version(row, following) for row, following in _followed(rows)),
            tables.version_blocks(keys, rows),
        )
        give(answer, form, waiting)
    if not rows.count:
        tell(f"nothing is recorded of {key_text(keys)}")
    return 0 if rows.count else NOTHING_FOUND


@click.command("as-of", short_help="An item as it was at an instant, and how sure that is.")
@key_argument()
@click.option("--at", type=TimeType(), required=True, help="The instant, e.g. 2026-01-31T18:46Z.")
@click.option("--certain", is_flag=True, help="Fail (exit 2) rather than give a weaker answer.")
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
    record = records.state(state)
    give(Answer(record_kinds.STATE, [record], [tables.state(state)], lambda: record), form)
    return 0 if state.exists else NOTHING_FOUND


@click.command(short_help="What differs in an item between two instants.")
@key_argument()
@click.option("--from", "start", type=TimeType(), required=True, help="The earlier instant.")
@click.option(
    "--to", "end", type=TimeType(), default="now", help="The later instant; now by default."
)
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
    old, new, found = trail.differences(trail.key_schema.key_of_text(key), start, end)
    answer = Answer(
        record_kinds.DIFFERENCE_LINE,
        records.difference_lines(old, new, found),
        [tables.comparison(old, new, found)],
        lambda: records.comparison(old, new, found),
    )
    give(answer, form)
    return 0


@click.command(short_help="Since when each attribute is what it is, and by whom.")
@key_argument()
@click.option(
    "--at", type=TimeType(), default="now", help="The item as of this instant; now by default."
)
@actor_attribute_option
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
    where writers leave their name in an attribute of the item, --actor-attribute tells which.
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
        record_kinds.BLAME,
        (records.blame(keys, one) for one in blames),
        tables.blame_blocks(state, blames),
    )
    give(answer, form)
    if not state.exists:
        tell(f"there was no {key_text(keys)} then ({state.certainty}: {state.reason})")
    return 0 if state.exists else NOTHING_FOUND


@click.command(short_help="An item's whole life, with what is missing of it.")
@key_argument()
@target_options
@output_option
def timeline(key: tuple[str, ...], output: str | None, target: Target) -> int:
    """Show an item's whole life: when it existed, for how long, what changed, and the gaps.

    KEY is a plain value, NAME=VALUE pairs, or JSON. Unlike `history`, which lists what is recorded,
    this tells the time before the first record, the time since the last one, and what is missing
    in between. Exits with 1 if the item never existed, as far as is known.

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

    with Waiting() as waiting:
        states = watched()
        answer = Answer(
            record_kinds.SPAN,
            map(records.span, states),
            tables.timeline_blocks(keys, states, datetime.now(UTC)),
        )
        give(answer, form, waiting)
    if not lived:
        tell(f"nothing is known of {key_text(keys)}")
    return 0 if lived else NOTHING_FOUND


def _followed(rows: Iterable[HistoryRow]) -> Iterator[tuple[HistoryRow, HistoryRow | None]]:
    """Each row with the one after it."""
    for row, following in pairwise(chain(rows, [None])):
        if row is not None:
            yield row, following
