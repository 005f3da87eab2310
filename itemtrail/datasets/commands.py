"""The commands for histories larger than one machine: archive, query.

What they do is imported when they run: it takes long, and needs what may not be installed.
"""

import contextlib
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import click

from itemtrail.exit_status import CLEAN
from itemtrail.extras import load
from itemtrail.options.kinds import DurationType, PathType, TimeType
from itemtrail.options.target import (
    BASIS,
    RECORDED_UNTIL,
    WHERE,
    Command,
    Target,
    TargetTables,
    actor_attribute_option,
    gaps_option,
    output_option,
    stack_option,
    targeted,
)
from itemtrail.output.answer import chosen_form
from reports.access.clients import CLIENT_CONFIG
from reports.inputs.paths import Path as AttributePath
from reports.inputs.times import TimeRole

_ENGINES = ("duckdb", "spark", "athena")
# What DuckDB makes of a KeyboardInterrupt.
_INTERRUPTED = "Query interrupted"
# An answer that never ends has no other form.
_ENDLESS = ("table", "jsonl")


def _history_options(command: Command) -> Command:
    history = click.option(
        "--history-table",
        metavar="NAME",
        envvar="ITEMTRAIL_HISTORY_TABLE",
        show_envvar=True,
        help="History table, instead of a stack's.",
    )
    options = (stack_option(required=False), history, RECORDED_UNTIL, BASIS, *WHERE)
    return targeted(command, options)


@click.command(short_help="A history as a dataset, from exports of its table.")
@click.argument("dataset", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--from-export",
    "exports",
    metavar="PLACE",
    multiple=True,
    help="Ingest an export that is there, s3://BUCKET/PREFIX/AWSDynamoDB/ID or a copy of that "
    "folder; may be given again, in any order.",
)
@click.option("--to", metavar="s3://BUCKET/PREFIX", help="Where DynamoDB is to put new exports.")
@click.option("--bucket-owner", metavar="ACCOUNT", help="Of that bucket, if not this account's.")
@click.option("--kms-key", metavar="ID", help="Key to encrypt new exports with; S3's by default.")
@click.option("--every", type=DurationType(), help="Go on, so often, e.g. 24h, until interrupted.")
@click.option("--check", is_flag=True, help="Check what is in the dataset instead.")
@gaps_option
@_history_options
@output_option
def archive(  # noqa: PLR0913 - an option each
    *,
    dataset: Path,
    exports: tuple[str, ...],
    to: str | None,
    bucket_owner: str | None,
    kms_key: str | None,
    every: timedelta | None,
    check: bool,
    gaps_file: Path | None,
    output: str | None,
    target: Target,
) -> int:
    """Bring a history into DATASET, a folder of Parquet files that `query` asks.

    DynamoDB exports the history table, as a whole first, later what was written since. An export
    is ingested as a whole and once; every row is checked. Interrupted, the same command goes on.
    Up to when the dataset's answers can be exact is found out from the stack, or is your word:
    --recorded-until, of exports that are there up to when they have every change.
    With --check the digest of every row in the dataset is checked again, and that each follows
    from the one before it: exits with 1 if something is found.

    \b
    Example:
      itemtrail archive ./trail --to s3://my-exports/trail --stack employee-trail
      itemtrail archive ./trail --to s3://my-exports/trail --every 24h --stack employee-trail
      itemtrail archive ./trail --from-export ./export/AWSDynamoDB/01693685827463-2d8752fd
      itemtrail archive ./trail --check --output json
    """  # noqa: D301
    _require_one_way({"--from-export": exports, "--to": to, "--check": check})
    of_exports: dict[str, object] = {"--every": every, "--basis": target.basis}
    of_exports |= {"--bucket-owner": bucket_owner, "--kms-key": kms_key}
    _require_fitting(of_exports, "--to", is_set=to)
    _require_fitting({"--gaps": gaps_file}, "--check", is_set=check)
    form = _endless_form(output) if every else chosen_form(output)
    dataset_archive = load(f"{__package__}.archive")
    if check:
        with _interruptible():
            status: int = dataset_archive.check_dataset(dataset, gaps_file, form)
        return status
    session = target.session()
    s3 = session.client("s3", endpoint_url=target.endpoint_url, config=CLIENT_CONFIG)
    is_named = target.stack is not None or target.history_table is not None
    tables: TargetTables | None = target.tables() if is_named or to else None
    work = dataset_archive.Archive(dataset, s3, tables)
    with _interruptible():
        if exports:
            work.ingest(exports, target.recorded_until, form)
            return CLEAN
        place = dataset_archive.destination(to, bucket_owner, kms_key, every)
        if every:
            work.keep_up_to_date(tables, place, every, form)
        work.bring_up_to_date(tables, place, form)
    return CLEAN


@click.command(short_help="SQL over a dataset: its rows, and views such as table_as_of.")
@click.argument("sql", required=False)
@click.option(
    "--dataset",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="The dataset that `archive` made.",
)
@click.option("--list", "is_list", is_flag=True, help="List the views and their columns.")
@click.option(
    "--engine",
    type=click.Choice(_ENGINES),
    default=_ENGINES[0],
    show_default=True,
    help="What answers; athena: its statements are printed, and nothing is asked.",
)
@click.option("--at", type=TimeType(), help="The instant of table_as_of; the dataset's last one.")
@click.option(
    "--since", type=TimeType(TimeRole.START), help="The first instant of changes and of diff."
)
@click.option("--until", type=TimeType(TimeRole.END), help="The last one.")
@RECORDED_UNTIL
@actor_attribute_option
@click.option("--attribute", type=PathType(), help="The attribute of the view dwell, e.g. status.")
@click.option(
    "--memory", metavar="SIZE", help="How much DuckDB may take, e.g. 8GB; 4GB by default."
)
@click.option(
    "--location", metavar="s3://BUCKET/PREFIX", help="Where a copy of the dataset is, for athena."
)
@output_option
def query(  # noqa: PLR0913 - an option each
    *,
    sql: str | None,
    dataset: Path,
    is_list: bool,
    engine: str,
    at: datetime | None,
    since: datetime | None,
    until: datetime | None,
    recorded_until: datetime | None,
    actor_attribute: AttributePath | None,
    attribute: AttributePath | None,
    memory: str | None,
    location: str | None,
    output: str | None,
) -> int:
    """Ask a dataset in SQL, in DuckDB's dialect: one SELECT over `rows` and the views.

    The views are named after the questions: table_as_of, versions, changes, diff, findings and
    others; --list shows them, docs/warehouse.md explains them. Nothing but the dataset can be read.

    \b
    Example:
      itemtrail query --dataset ./trail --list
      itemtrail query "SELECT certainty, COUNT(*) AS items FROM table_as_of GROUP BY certainty" \\
        --dataset ./trail --at 2026-03-03T18:46Z
      itemtrail query "SELECT * FROM changes_per_day" --dataset ./trail --output csv > days.csv
      itemtrail query "SELECT * FROM versions" --dataset ./trail --output parquet > versions.parquet
    """  # noqa: D301
    _require_fitting({"--memory": memory}, "--engine duckdb", is_set=engine == "duckdb")
    _require_fitting({"--location": location}, "--engine athena", is_set=engine == "athena")
    form = chosen_form(output)
    dataset_query = load(f"{__package__}.query")
    views = dataset_query.Views(at, since, until, actor_attribute, attribute)
    if engine == "athena" and location is None:
        raise _usage("where will Athena find the dataset? give --location s3://BUCKET/PREFIX")
    opened = dataset_query.open_dataset(dataset, recorded_until)
    if engine == "athena":
        dataset_query.print_athena(sql, opened, location, views)
        return CLEAN
    answering = dataset_query.open_engine(engine, opened, memory)
    with _interruptible():
        if is_list or sql is None:
            dataset_query.list_views(answering, views, form)
            return CLEAN
        status: int = dataset_query.run_query(answering, sql, views, form)
    return status


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C within DuckDB is what it is everywhere."""
    try:
        yield
    except RuntimeError as error:
        if str(error) != _INTERRUPTED:
            raise
        raise KeyboardInterrupt from error


def _endless_form(output: str | None) -> str:
    form = output or ("table" if sys.stdout.isatty() else "jsonl")
    if form not in _ENDLESS:
        raise _usage(f"--every has no end, and {form} needs one: give --output jsonl")
    return form


def _require_one_way(ways: dict[str, object]) -> None:
    chosen = [name for name, value in ways.items() if value]
    if not chosen:
        raise _usage(f"what to do? give one of {', '.join(ways)}")
    if len(chosen) > 1:
        raise _usage(f"use just one of {' and '.join(chosen)}")


def _require_fitting(options: dict[str, object], what: str, *, is_set: object) -> None:
    for name, value in options.items():
        if value and not is_set:
            raise _usage(f"{name} goes with {what} only")


def _usage(text: str) -> click.UsageError:
    return click.UsageError(text, click.get_current_context())
