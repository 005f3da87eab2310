"""The commands that start on a living table: enable, backfill."""

from collections.abc import Collection
from pathlib import Path

import click

from itemtrail.exit_status import CLEAN, FINDINGS
from itemtrail.options.operation_target import (
    OperationTarget,
    apply_option,
    backfill_target_options,
    consumers_meant,
    consumers_there,
    default_state,
    place_options,
    rate_option,
    segments_option,
)
from itemtrail.options.plan import approval_options
from itemtrail.options.target import Target, output_option
from itemtrail.output.answer import Answer, chosen_form, give, tell
from itemtrail.output.approval import Approval, Stakes, require_approval
from itemtrail.output.dry_run import dry_run
from itemtrail.output.progress import ProgressBar
from itemtrail.records.backfill import backfill_record, problem_records, stream_record
from itemtrail.records.kinds import PROBLEM, STREAM
from itemtrail.tables import cells
from itemtrail.tables.backfill import backfill_blocks, gap_text, stream_blocks
from itemtrail.tables.layout import summary_line, titled
from operations.backfill.mark import MarkOutcome, MarkResult
from operations.backfill.plan import Backfill
from operations.backfill.plan import backfill as backfill_table
from operations.deployed_tables import DeployedTables
from operations.enable import Stream
from operations.enable import enable as enable_stream
from operations.execution.pace import Pace
from reports.access.clients import CONCURRENCY
from reports.deployment.stack import Consumer
from stream_core.history_row import time_text

_MOST_SEGMENTS = 256


@click.command(short_help="Turn a table's stream on, with both images.")
@click.argument("table")
@click.option(
    "--history-table",
    metavar="NAME",
    help="Its history, where there is one already: told that the stream is of this very table.",
)
@apply_option
@place_options
@output_option
def enable(table: str, output: str | None, target: Target, *, apply: bool) -> int:
    """Turn the stream of TABLE on, with old and new images, as the deployment needs it.

    A dry run unless --apply. A stream that is on with another view type has readers that need to
    know first: it is left as it is, and the message says what to do instead (exit 2). Where the
    stream of a table was off that has a history already, name that with --history-table.

    \b
    Example:
      itemtrail enable Employee
      itemtrail enable Employee --apply
    """  # noqa: D301
    form, session = chosen_form(output), target.session()
    stream = enable_stream(
        session,
        target.endpoint_url,
        table,
        history_table=target.history_table,
        apply=apply,
        pace=Pace(),
    )
    record = stream_record(stream)
    summary = summary_line(_stream_summary(stream), good=stream.was_on or stream.applied)
    give(Answer(STREAM, [record], stream_blocks(stream), lambda: record, [summary]), form)
    return CLEAN


@click.command(short_help="Existing items into the history and the replica.")
@segments_option(CONCURRENCY, _MOST_SEGMENTS)
@rate_option
@click.option(
    "--state",
    "state_path",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File that keeps how far the backfill is; .itemtrail-backfill-TABLE.json by default.",
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
@approval_options("deletes")
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
    approval: Approval,
) -> int:
    """Bring the items of a table that is in use into its history and its replica.

    Items of which the history has no beginning get a baseline (SNAPSHOT); the replica is made
    equal. Of a stack that has only one of the two, that one is done. A dry run unless --apply,
    which asks before it writes. Run again it adds nothing; interrupted, the same command with the
    same --state goes on from there. Exits with 1 if something could not be done.

    \b
    Example:
      itemtrail backfill --stack employee-trail
      itemtrail backfill --stack employee-trail --rate 500 --state backfill.json --apply --yes
      itemtrail backfill --no-replica --stack employee-trail --apply --yes --output json
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
    requested = (
        [consumer for consumer in Consumer if not left_out[consumer]]
        if any(left_out.values())
        else []
    )
    consumers = consumers_meant(requested, consumers_there(deployment, stack), stack)
    state = state_path or default_state("backfill", deployment.source_table)
    if apply:
        _require_approval(deployment, consumers, form, approval)
    try:
        with ProgressBar() as progress:
            result = backfill_table(
                deployment,
                stack=stack,
                export=export,
                segments=segments,
                apply=apply,
                state_path=state,
                deletes=approval.deletes,
                history=Consumer.HISTORY_WRITER in consumers,
                replica=Consumer.REPLICA_WRITER in consumers,
                pace=Pace(rate, progress=progress),
            )
    except KeyboardInterrupt:
        if apply and state.exists():
            tell(f"interrupted: run the same command again, it goes on from {state}")
        raise
    _give_backfill(result, consumers, deployment.source_table, form)
    return CLEAN if _is_clean(result) else FINDINGS


def _require_approval(
    deployment: DeployedTables, consumers: Collection[Consumer], form: str, approval: Approval
) -> None:
    """Show what a backfill would do, and return only if it is approved.

    It is not counted first: to count is to read the whole table, as to do it is.
    """
    source, replica = deployment.source_table, deployment.replica_table
    parts = {
        Consumer.HISTORY_WRITER: f"baselines would be added to the history "
        f"{deployment.history_table}",
        Consumer.REPLICA_WRITER: f"its items would be written into the replica {replica} where "
        "they differ",
    }
    text = " and ".join(parts[consumer] for consumer in consumers)
    plan = [titled(f"Plan: backfill of {source}")]
    require_approval(plan, form, Stakes(source, f"of {source} {text}"), approval)


def _is_clean(result: Backfill) -> bool:
    return result.finished and not result.problems and not result.unfinished


def _give_backfill(
    result: Backfill, consumers: Collection[Consumer], source_table: str, form: str
) -> None:
    good = result.applied and _is_clean(result)
    answer = Answer(
        PROBLEM,
        problem_records(result),
        backfill_blocks(result, consumers, source_table),
        lambda: backfill_record(result),
        [
            *([] if result.ended is None else [summary_line(result.ended, good=False)]),
            *([] if result.mark is None else [summary_line(_mark_text(result.mark), good=good)]),
            summary_line(_backfill_summary(result, consumers), good=good),
        ],
    )
    give(answer, form)
    if form not in ("table", "json") and result.gap is not None:
        tell(f"for verify --gaps: {gap_text(result)}")


def _backfill_summary(result: Backfill, consumers: Collection[Consumer]) -> str:
    problems = [
        f"{len(group):,} {what}"
        for group, what in (
            (result.problems, "refused for good"),
            (result.unfinished, "not done"),
        )
        if group
    ]
    would = "" if result.applied else "would be "
    parts = {
        Consumer.HISTORY_WRITER: f"{cells.count_of(result.counts.baselines, 'baseline')} {would}"
        "written",
        Consumer.REPLICA_WRITER: f"{cells.count_of(result.counts.settled, 'item')} {would}settled "
        "in the replica",
    }
    done = [parts[consumer] for consumer in consumers]
    if not result.applied:
        return ", ".join([dry_run(" and ".join(done)), *problems])
    word = "done" if result.finished else "not finished"
    go_on = f"; {result.go_on}" if result.go_on else ""
    return f"{word}: {', '.join([*done, *problems])}{go_on}"


def _mark_text(mark: MarkResult) -> str:
    """What became of the mark that lets answers rest on there being no row."""
    since = "" if mark.since is None else time_text(mark.since)
    return {
        MarkOutcome.WRITTEN: f"the history is marked as complete since {since}",
        MarkOutcome.PLANNED: f"the history would be marked as complete since {since}",
        MarkOutcome.THERE: f"the history is marked as complete since {since} already",
        MarkOutcome.REFUSED: f"the history gets no mark that it is complete: {mark.reason}",
    }[mark.outcome]


def _stream_summary(stream: Stream) -> str:
    if stream.was_on:
        return f"the stream of {stream.table} is on already, with both images: nothing was changed"
    if stream.applied:
        return f"the stream of {stream.table} is on now, with both images"
    if stream.arn is not None:
        return f"another program has just turned the stream of {stream.table} on, with both images"
    return dry_run(f"the stream of {stream.table}, which is off, would be on with both images")
