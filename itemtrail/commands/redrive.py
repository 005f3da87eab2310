"""The command that brings failures back: redrive."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

import click
from rich.text import Text

from itemtrail.exit_status import CLEAN, FINDINGS
from itemtrail.options.kinds import TimeType
from itemtrail.options.operation_target import (
    GOES_ON,
    OperationTarget,
    apply_option,
    consumers_meant,
    consumers_there,
    default_state,
    rate_option,
    redrive_target_options,
    state_option,
)
from itemtrail.options.target import output_option
from itemtrail.output.answer import Answer, chosen_form, give, tell
from itemtrail.output.dry_run import dry_run
from itemtrail.output.progress import ProgressBar
from itemtrail.records.kinds import REDRIVE_LINE
from itemtrail.records.redrive import redrive_line_records, redrive_record
from itemtrail.tables import cells
from itemtrail.tables.layout import summary_line
from itemtrail.tables.redrive import redrive_blocks
from operations.execution.pace import Pace
from operations.redrive.contents import Lost
from operations.redrive.from_stream import redrive_from_stream
from operations.redrive.result import Redriven, StreamReading
from operations.redrive.run import names_of
from operations.redrive.run import redrive as redrive_failures
from reports.deployment.stack import Consumer
from reports.inputs.times import TimeRole
from reports.unseen import visible

_MOST_LISTED = 10


@click.command(short_help="Bring back what failed, into history and replica.")
@click.option(
    "--consumer",
    "consumers",
    multiple=True,
    type=click.Choice([consumer.value for consumer in Consumer]),
    help="Only what failed in this one; by default all that the stack has.",
)
@click.option(
    "--pointers",
    "files",
    metavar="FILE",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Also what this file has: invocation records as Lambda sends them to SQS or SNS, whose "
    "batches are read again from the stream, or records as `aws dynamodbstreams get-records` "
    "prints them, which are taken for the source's; may be repeated.",
)
@click.option(
    "--from-stream",
    is_flag=True,
    help="Instead of what was kept aside, bring back what the table's stream has and the history "
    "lacks, for as long as it has it: 24 hours.",
)
@click.option(
    "--since",
    metavar="T",
    type=TimeType(TimeRole.START),
    help="With --from-stream: only changes made then or later.",
)
@click.option(
    "--stream-arn",
    metavar="ARN",
    help="An older stream of the table: records of it are brought back too, or, with "
    "--from-stream, it is read, for the history alone.",
)
@partial(state_option, operation="redrive")
@rate_option
@apply_option
@redrive_target_options
@output_option
def redrive(  # noqa: PLR0913 - an option each
    *,
    consumers: tuple[str, ...],
    files: tuple[Path, ...],
    from_stream: bool,
    since: datetime | None,
    stream_arn: str | None,
    state_path: Path | None,
    rate: float | None,
    output: str | None,
    target: OperationTarget,
    apply: bool,
) -> int:
    """Bring back records and batches that failed, into the history and the replica.

    Reads the quarantine bucket; in any order and any number of times, it does no harm. A record of
    the last 24 hours has to be in the stream as well, and the same there; the row of an older one
    says for ever where it came from. What succeeded is moved to done/, what still fails is listed
    with the reason. What the stream has no more is listed as lost. A dry run unless --apply: it
    shows the changes. Exits with 1 if anything is left or lost.

    With --from-stream what Lambda gave up on and could not keep: reads the whole stream, slowly, as
    a third reader, lists the changes that have no row, and with --apply writes them, and makes the
    replica's items equal to the source. Exits with 1 if a dry run finds any, or anything is left.

    \b
    Example:
      itemtrail redrive --stack employee-trail
      itemtrail redrive --stack employee-trail --apply
      itemtrail redrive --consumer history_writer --stack employee-trail --output csv > left.csv
      itemtrail redrive --pointers dead-letters.json --stack employee-trail --output json
      itemtrail redrive --from-stream --stack employee-trail
      itemtrail redrive --from-stream --since '6h ago' --stack employee-trail --apply
    """  # noqa: D301
    _require_one_way(from_stream=from_stream, files=files, since=since)
    form, (deployment, stack) = chosen_form(output), target.find()
    there = consumers_there(deployment, stack)
    wanted = consumers_meant(tuple(map(Consumer, consumers)), there, stack)
    state = state_path or default_state("redrive", deployment.source_table, deployment)
    bring_back: Callable[..., Redriven]
    if from_stream:
        bring_back = partial(redrive_from_stream, stream_arn=stream_arn, since=since)
    else:
        names = names_of(stack) if stack else None
        bring_back = partial(
            redrive_failures, deployed=there, names=names, files=files, stream_arn=stream_arn
        )
    try:
        with ProgressBar() as progress:
            redriven = bring_back(
                deployment,
                apply=apply,
                consumers=wanted,
                state_path=state,
                pace=Pace(rate, progress=progress),
            )
    except KeyboardInterrupt:
        if apply:
            tell(GOES_ON)
        raise
    give(_answer(redriven, form), form)
    return CLEAN if redriven.is_clean else FINDINGS


def _require_one_way(
    *,
    from_stream: bool,
    files: tuple[Path, ...],
    since: datetime | None,
) -> None:
    if from_stream and files:
        problem = "--pointers names batches, and --from-stream reads the whole stream: use one"
    elif not from_stream and since is not None:
        problem = "--since is for --from-stream"
    else:
        return
    raise click.UsageError(problem, click.get_current_context())


def _answer(redriven: Redriven, form: str) -> Answer:
    good = redriven.applied and redriven.is_clean
    lost = redriven.lost[:_MOST_LISTED] if form != "table" else ()
    return Answer(
        REDRIVE_LINE,
        redrive_line_records(redriven),
        redrive_blocks(redriven),
        lambda: redrive_record(redriven),
        [
            *map(_lost_line, lost),
            *([] if redriven.ended is None else [summary_line(redriven.ended, good=False)]),
            summary_line(_redrive_summary(redriven), good=good),
        ],
        is_applied=redriven.applied,
    )


def _lost_line(lost: Lost) -> Text:
    place = f"{lost.place.shard_id}, named in {lost.where}"
    return Text(visible(f"LOST: {lost.reason} ({place})"))


def _redrive_summary(redriven: Redriven) -> str:
    remaining = [
        f"{len(group):,} {what}"
        for group, what in ((redriven.leftovers, "left"), (redriven.lost, "LOST"))
        if group
    ]
    if redriven.stream is not None:
        done = _stream_summary(redriven, redriven.stream)
        return ", ".join([done if redriven.applied else dry_run(done), *remaining])
    objects, records = (
        cells.count_of(number, what)
        for number, what in ((redriven.objects, "object"), (redriven.records, "record"))
    )
    done = f"{len(redriven.done):,} of {objects} with {records}"
    if redriven.applied:
        return ", ".join([f"{done} done with", *remaining])
    return ", ".join([dry_run(f"{done} would be done with"), *remaining])


def _stream_summary(redriven: Redriven, stream: StreamReading) -> str:
    records = cells.count_of(redriven.records, "record")
    written, settled = redriven.counts["RowsWritten"], redriven.counts["Settled"]
    missing = f"of {stream.missing_records:,} without a row, {records} read"
    rows = f"{stream.missing_records:,} of {records} would be written, which have no row"
    items = f"{cells.count_of(stream.items, 'item')} would be settled"
    if redriven.applied:
        rows, items = f"{written:,} written {missing}", f"{settled:,} settled"
    parts = [rows] if stream.stored is not None else []
    return ", ".join([*parts, *([items] if stream.items else [])]) or records
