"""The commands that start on a living table: enable, backfill."""

from collections.abc import Collection
from pathlib import Path

import click

from itemtrail.exit_status import FINDINGS
from itemtrail.options.operation_target import (
    OperationTarget,
    apply_option,
    backfill_target_options,
    consumers_meant,
    consumers_there,
    place_options,
    rate_option,
    segments_option,
)
from itemtrail.options.target import Target, output_option
from itemtrail.output.answer import Answer, chosen_form, give, tell
from itemtrail.output.dry_run import dry_run
from itemtrail.output.progress import Waiting
from itemtrail.records import backfill as operation_records
from itemtrail.records import kinds as record_kinds
from itemtrail.tables import backfill as operation_tables
from itemtrail.tables import cells
from itemtrail.tables import cells as cells_tables
from operations import enable as enabling
from operations.backfill import plan as backfilling
from operations.backfill.plan import Backfill
from operations.enable import Stream
from reports.access.clients import CONCURRENCY
from reports.deployment.stack import Consumer

_MOST_SEGMENTS = 256


@click.command(short_help="Turn a table's stream on, with both images.")
@click.argument("table")
@apply_option
@place_options
@output_option
def enable(table: str, output: str | None, target: Target, *, apply: bool) -> int:
    """Turn the stream of TABLE on, with old and new images, as the deployment needs it.

    A dry run unless --apply. A stream that is on with another view type has readers that need to
    know first: it is left as it is, and the way out is told (exit 2).

    \b
    Example:
      itemtrail enable Employee
      itemtrail enable Employee --apply
    """  # noqa: D301
    form, session = chosen_form(output), target.session()
    found = enabling.enable(session, target.endpoint_url, table, apply=apply)
    summary = _stream_summary(found)
    record = operation_records.stream(found)
    good = found.was_on or found.applied
    answer = Answer(
        record_kinds.STREAM,
        [record],
        operation_tables.stream_blocks(found, cells_tables.closing(summary, good=good)),
        lambda: record,
    )
    give(answer, form)
    if form != "table":
        tell(summary)
    return 0


@click.command(short_help="Existing items into the history and the replica.")
@segments_option(CONCURRENCY, _MOST_SEGMENTS)
@rate_option
@click.option(
    "--state",
    "state_path",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where it is kept how far it is; .itemtrail-backfill-TABLE.json by default.",
)
@click.option("--no-history", is_flag=True, help="Leave the history alone.")
@click.option("--no-replica", is_flag=True, help="Leave the replica alone.")
@click.option(
    "--from-export",
    "export",
    metavar="PLACE",
    help="Take the items from a full export in DYNAMODB_JSON, s3://BUCKET/PREFIX/AWSDynamoDB/ID or "
    "a copy of that folder, which takes no capacity of the table.",
)
@apply_option
@backfill_target_options
@output_option
def backfill(  # noqa: PLR0913 - an option each
    *,
    segments: int,
    rate: float | None,
    state_path: Path | None,
    export: str | None,
    output: str | None,
    target: OperationTarget,
    no_history: bool,
    no_replica: bool,
    apply: bool,
) -> int:
    """Bring the items of a table that is in use into its history and its replica.

    Items of which the history has no beginning get a baseline (SNAPSHOT); the replica is made
    equal. Of a stack that has only one of the two, that one is done. A dry run unless --apply. Run
    again it adds nothing; interrupted, the same command with the same --state goes on from there.
    Exits with 1 if something could not be done.

    \b
    Example:
      itemtrail backfill --stack employee-trail
      itemtrail backfill --stack employee-trail --rate 500 --state backfill.json --apply
      itemtrail backfill --no-replica --stack employee-trail --apply --output json
      itemtrail backfill --from-export ./export/AWSDynamoDB/01693685827463-2d8752fd \\
        --stack employee-trail
    """  # noqa: D301
    if no_history and no_replica:
        raise click.UsageError(
            "--no-history and --no-replica leave nothing to do: give one of them at most",
            click.get_current_context(),
        )
    form, (deployment, stack) = chosen_form(output), target.find()
    left_out = {Consumer.HISTORY_WRITER: no_history, Consumer.REPLICA_WRITER: no_replica}
    asked = [one for one in Consumer if not left_out[one]] if any(left_out.values()) else []
    consumers = consumers_meant(asked, consumers_there(deployment, stack), stack)
    state = state_path or _default_state(deployment.source_table)
    try:
        with Waiting() as waiting:
            found = backfilling.backfill(
                deployment,
                export=export,
                segments=segments,
                apply=apply,
                state_path=state,
                rate=rate,
                history=Consumer.HISTORY_WRITER in consumers,
                replica=Consumer.REPLICA_WRITER in consumers,
                progress=waiting,
            )
    except KeyboardInterrupt:
        if apply and state.exists():
            tell(f"interrupted: run the same command again, it goes on from {state}")
        raise
    _give_backfill(found, consumers, deployment.source_table, form)
    return 0 if _is_clean(found) else FINDINGS


def _default_state(source_table: str) -> Path:
    # A table may be named by its ARN.
    return Path(f".itemtrail-backfill-{source_table.rpartition('/')[2]}.json")


def _is_clean(found: Backfill) -> bool:
    return found.finished and not found.problems and not found.unfinished


def _give_backfill(
    found: Backfill, consumers: Collection[Consumer], source_table: str, form: str
) -> None:
    summary = _backfill_summary(found, consumers)
    good = found.applied and _is_clean(found)
    answer = Answer(
        record_kinds.PROBLEM,
        operation_records.backfill_problems(found),
        operation_tables.backfill_blocks(
            found, consumers, source_table, cells_tables.closing(summary, good=good)
        ),
        lambda: operation_records.backfill(found),
    )
    give(answer, form)
    if form != "table":
        tell(summary)
    if form not in ("table", "json") and found.gap is not None:
        tell(f"for verify --gaps: {operation_tables.gap_text(found)}")


def _backfill_summary(found: Backfill, consumers: Collection[Consumer]) -> str:
    left = [
        f"{len(problems):,} {what}"
        for problems, what in (
            (found.problems, "refused for good"),
            (found.unfinished, "not done"),
        )
        if problems
    ]
    would = "" if found.applied else "would be "
    parts = {
        Consumer.HISTORY_WRITER: f"{cells.count_of(found.counts.baselines, 'baseline')} {would}"
        "written",
        Consumer.REPLICA_WRITER: f"{cells.count_of(found.counts.settled, 'item')} {would}settled "
        "in the replica",
    }
    done = [parts[one] for one in consumers]
    if not found.applied:
        return ", ".join([dry_run(" and ".join(done)), *left])
    word = "done" if found.finished else "not finished"
    go_on = f"; {found.go_on}" if found.go_on else ""
    return f"{word}: {', '.join([*done, *left])}{go_on}"


def _stream_summary(found: Stream) -> str:
    if found.was_on:
        return f"the stream of {found.table} is on already, with both images: nothing was changed"
    if found.applied:
        return f"the stream of {found.table} is on now, with both images"
    if found.arn is not None:
        return f"somebody else has just turned the stream of {found.table} on, with both images"
    return dry_run(f"the stream of {found.table}, which is off, would be on with both images")
