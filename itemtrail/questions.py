"""The commands that read: history, as-of, diff."""

from datetime import datetime
from typing import Any

import click

from itemtrail import as_json, as_table
from itemtrail.options import (
    Target,
    TimeType,
    chosen_output,
    key_argument,
    output_option,
    target_options,
)
from reports.keys import key_text

# Also for a state that does not exist, so that a script can tell.
_NOTHING_FOUND = 1


@click.command()
@key_argument
@target_options
@output_option
def history(key: tuple[str, ...], output: str | None, **target: Any) -> int:
    """Show every recorded version of an item, oldest first.

    KEY is a plain value, NAME=VALUE pairs, or JSON. Exits with 1 if nothing is recorded.

    \b
    Example:
      itemtrail history 42 --stack employee-trail
      itemtrail history Artist=Acme Title=Blue --history-table music-history --output jsonl
    """  # noqa: D301 - click's mark for a block that keeps its lines
    trail = Target(**target).open()
    keys = trail.key_schema.key_of_text(key)
    rows = list(trail.rows(keys))
    match chosen_output(output):
        case "json":
            as_json.print_json(as_json.versions(rows))
        case "jsonl":
            as_json.print_jsonl(as_json.versions(rows))
        case _ if rows:
            as_table.print_table(as_table.versions(keys, rows))
    if not rows:
        click.echo(f"nothing is recorded of {key_text(keys)}", err=True)
    return 0 if rows else _NOTHING_FOUND


@click.command("as-of")
@key_argument
@click.option("--at", type=TimeType(), required=True, help="The instant, e.g. 2026-01-31T18:46Z.")
@click.option("--certain", is_flag=True, help="Fail (exit 2) rather than give a weaker answer.")
@target_options
@output_option
def as_of(
    key: tuple[str, ...], at: datetime, output: str | None, *, certain: bool, **target: Any
) -> int:
    """Show an item as it was at an instant, and how sure that is.

    Changes stamped at the instant are included; stamps are whole seconds. KEY is a plain value,
    NAME=VALUE pairs, or JSON. Exits with 1 if the item did not exist then, as far as is known:
    use --certain where only the exit status is read.

    \b
    Example:
      itemtrail as-of 42 --at 2026-03-03T18:46:00Z --stack employee-trail
      itemtrail as-of 42 --at '2h ago' --certain --stack employee-trail --output json
    """  # noqa: D301
    trail = Target(**target).open()
    state = trail.as_of(trail.key_schema.key_of_text(key), at, certain=certain)
    match chosen_output(output):
        case "json":
            as_json.print_json(as_json.state(state))
        case "jsonl":
            as_json.print_jsonl([as_json.state(state)])
        case _:
            as_table.print_table(as_table.state(state))
    return 0 if state.exists else _NOTHING_FOUND


@click.command()
@key_argument
@click.option("--from", "start", type=TimeType(), required=True, help="The earlier instant.")
@click.option(
    "--to", "end", type=TimeType(), default="now", help="The later instant; now by default."
)
@target_options
@output_option
def diff(
    key: tuple[str, ...], start: datetime, end: datetime, output: str | None, **target: Any
) -> int:
    """Show what differs in an item between two instants, by attribute path.

    KEY is a plain value, NAME=VALUE pairs, or JSON. Attributes are marked + added, - removed,
    ~ changed.

    \b
    Example:
      itemtrail diff 42 --from 2026-03-01 --to 2026-03-31 --stack employee-trail
      itemtrail diff 42 --from '1d ago' --stack employee-trail --output json
    """  # noqa: D301
    if start > end:
        raise click.UsageError("--from is later than --to: swap them")
    trail = Target(**target).open()
    old, new, found = trail.differences(trail.key_schema.key_of_text(key), start, end)
    match chosen_output(output):
        case "json":
            as_json.print_json(as_json.comparison(old, new, found))
        case "jsonl":
            as_json.print_jsonl(as_json.differences(old, new, found))
        case _:
            as_table.print_table(as_table.comparison(old, new, found))
    return 0
