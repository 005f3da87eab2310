"""The command that brings failures back: redrive."""

from functools import partial
from pathlib import Path

import click
from rich.text import Text

from itemtrail.exit_status import CLEAN, FINDINGS
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
from operations.redrive.run import Redriven, names_of
from operations.redrive.run import redrive as redrive_failures
from reports.deployment.stack import Consumer

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
@partial(state_option, operation="redrive")
@rate_option
@apply_option
@redrive_target_options
@output_option
def redrive(  # noqa: PLR0913 - an option each
    *,
    consumers: tuple[str, ...],
    files: tuple[Path, ...],
    state_path: Path | None,
    rate: float | None,
    output: str | None,
    target: OperationTarget,
    apply: bool,
) -> int:
    """Bring back records and batches that failed, into the history and the replica.

    Reads the quarantine bucket; in any order and any number of times, it does no harm. What
    succeeded is moved to done/, what still fails is listed with the reason. What the stream has no
    more is listed as lost. A dry run unless --apply. Exits with 1 if anything is left or lost.

    \b
    Example:
      itemtrail redrive --stack employee-trail
      itemtrail redrive --stack employee-trail --apply
      itemtrail redrive --consumer history_writer --stack employee-trail --output csv > left.csv
      itemtrail redrive --pointers dead-letters.json --stack employee-trail --output json
    """  # noqa: D301
    form, (deployment, stack) = chosen_form(output), target.find()
    there = consumers_there(deployment, stack)
    try:
        with ProgressBar() as progress:
            redriven = redrive_failures(
                deployment,
                apply=apply,
                consumers=consumers_meant(tuple(map(Consumer, consumers)), there, stack),
                deployed=there,
                names=names_of(stack) if stack else None,
                files=files,
                state_path=state_path or default_state("redrive", deployment.source_table),
                pace=Pace(rate, progress=progress),
            )
    except KeyboardInterrupt:
        if apply:
            tell(GOES_ON)
        raise
    good = redriven.applied and redriven.is_clean
    lost = redriven.lost[:_MOST_LISTED] if form != "table" else ()
    answer = Answer(
        REDRIVE_LINE,
        redrive_line_records(redriven),
        redrive_blocks(redriven),
        lambda: redrive_record(redriven),
        [
            *map(_lost_line, lost),
            *([] if redriven.ended is None else [summary_line(redriven.ended, good=False)]),
            summary_line(_redrive_summary(redriven), good=good),
        ],
    )
    give(answer, form)
    return CLEAN if redriven.is_clean else FINDINGS


def _lost_line(lost: Lost) -> Text:
    place = f"{lost.place.shard_id}, named in {lost.where}"
    return Text(cells.printable(f"LOST: {lost.reason} ({place})"))


def _redrive_summary(redriven: Redriven) -> str:
    remaining = [
        f"{len(group):,} {what}"
        for group, what in ((redriven.leftovers, "left"), (redriven.lost, "LOST"))
        if group
    ]
    objects, records = (
        cells.count_of(number, what)
        for number, what in ((redriven.objects, "object"), (redriven.records, "record"))
    )
    done = f"{len(redriven.done):,} of {objects} with {records}"
    if redriven.applied:
        return ", ".join([f"{done} done with", *remaining])
    return ", ".join([dry_run(f"{done} would be done with"), *remaining])
