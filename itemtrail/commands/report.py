"""The command that makes an audit report, one HTML page: report."""

import pathlib
import shlex
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Any

import click

from itemtrail.exit_status import CLEAN, FINDINGS
from itemtrail.options.keys import KeyedCommand
from itemtrail.options.kinds import TimeType, asked_at
from itemtrail.options.target import (
    Target,
    TargetTables,
    actor_attribute_option,
    gaps_option,
    indexed_target_options,
    key_argument,
    strict_option,
)
from itemtrail.output.answer import tell
from itemtrail.output.json_and_csv import write_utf8
from itemtrail.output.progress import ProgressBar
from itemtrail.tables.verify import verdict_line
from itemtrail.time_zone import time_zone_option
from reports.access.private_files import replace_file
from reports.deployment.doctor import examine
from reports.deployment.stack import Stack
from reports.inputs.paths import Path
from reports.inputs.times import TimeRole
from reports.page import report as html_report
from reports.page.activity_chart import Activity
from reports.verification.gaps import read_gaps
from reports.verification.verdicts import Verification
from stream_core.attribute_values import Item

# Every hour of it is a query or several.
_DRAWN = timedelta(days=30)


@dataclass(frozen=True)
class _Wanted:
    """What is to be in the report."""

    at: datetime | None
    since: datetime | None
    actor_attribute: Path | None
    gaps_file: pathlib.Path | None


@click.command(
    cls=KeyedCommand, short_help="An audit report on an item or a table, as one HTML page."
)
@key_argument(required=False)
@click.option("--at", type=TimeType(), help="With KEY: the item as of this instant; else now.")
@click.option(
    "--since",
    type=TimeType(TimeRole.START),
    help="Without KEY: draw the activity since then; else of the last 30 days.",
)
@actor_attribute_option
@gaps_option
@click.option(
    "--file",
    type=click.Path(dir_okay=False, writable=True, path_type=pathlib.Path),
    help="Write the page into this file instead of standard output.",
)
@strict_option
@indexed_target_options
@time_zone_option
def report(key: tuple[str, ...], file: pathlib.Path | None, target: Target, **wanted: Any) -> int:
    """Make an audit report on an item, or on the whole table, as one HTML page.

    On an item: what it is, its timeline, every change with who made it, since when each value is
    so, and both verdicts on its history. On the table: the verdicts, the findings and the activity.
    The page needs nothing else, no network either. Exits with 1 unless both verdicts hold.

    \b
    Example:
      itemtrail report 42 --actor-attribute updated_by --stack employee-trail > item-42.html
      itemtrail report --since '7d ago' --stack employee-trail --file audit.html
    """  # noqa: D301
    chosen = _Wanted(**wanted)
    _check(key, file, chosen)
    tables = target.tables()
    with ProgressBar() as progress:
        verification, page = (
            _on_item(tables, target, chosen, tables.open().key_schema.key_of_text(key), progress)
            if key
            else _on_table(tables, target, chosen, progress)
        )
    if file is None:
        # As the page says itself.
        write_utf8()
        sys.stdout.write(page)
    else:
        replace_file(file, page.encode("utf-8", "backslashreplace"))
    tell(verdict_line(verification))
    return CLEAN if verification.clean else FINDINGS


def _check(key: tuple[str, ...], file: pathlib.Path | None, wanted: _Wanted) -> None:
    problem = None
    if file is None and sys.stdout.isatty():
        problem = (
            "a report is a page for a browser: send it into a file, > audit.html or --file PATH"
        )
    elif key and wanted.since:
        problem = "--since is for a report on the whole table; a report on an item has all its life"
    elif not key and (wanted.at or wanted.actor_attribute):
        problem = "--at and --actor-attribute are for a report on one item: give its KEY"
    if problem is not None:
        raise click.UsageError(problem, click.get_current_context())


def _on_item(
    tables: TargetTables, target: Target, wanted: _Wanted, keys: Item, progress: ProgressBar
) -> tuple[Verification, str]:
    trail, now = tables.open(), asked_at()
    gaps = read_gaps(wanted.gaps_file, trail.key_schema) if wanted.gaps_file else []
    state, blames = trail.blames(keys, wanted.at or now, actor_attribute=wanted.actor_attribute)
    verification = trail.verify([keys], gaps, progress=progress)
    page = html_report.item_report(
        _about(tables, target, trail.horizon, now),
        state,
        states=list(trail.states(keys)),
        rows=list(trail.rows(keys)),
        blames=blames,
        verification=verification,
        actor_attribute=wanted.actor_attribute,
    )
    return verification, page


def _on_table(
    tables: TargetTables, target: Target, wanted: _Wanted, progress: ProgressBar
) -> tuple[Verification, str]:
    trail, now = tables.open(), asked_at()
    gaps = read_gaps(wanted.gaps_file, trail.key_schema) if wanted.gaps_file else []
    since = wanted.since or max(trail.horizon, now - _DRAWN)
    activity = Activity.counted(since, now, trail.entries(since, now, progress=progress))
    verification = trail.verify(None, gaps, progress=progress)
    advice = None
    if target.stack is not None:
        stack = Stack.read(tables.session, target.stack, tables.endpoint_url)
        advice = examine(tables.session, stack, tables.endpoint_url)
    about = _about(tables, target, trail.horizon, now)
    return verification, html_report.table_report(
        about, verification, activity, gaps=gaps, advice=advice
    )


def _about(
    tables: TargetTables, target: Target, horizon: datetime, now: datetime
) -> html_report.About:
    words = click.get_current_context().find_root().obj or []
    return html_report.About(
        question=shlex.join(["itemtrail", *words]),
        made_at=now,
        history_table=tables.history_table,
        source_table=tables.source_table,
        horizon=horizon,
        region=tables.session.region_name,
        stack=target.stack,
        endpoint_url=tables.endpoint_url,
        version=version("itemtrail"),
    )
