"""The command that brings failures back: redrive."""

from pathlib import Path

import click

from itemtrail.exit_status import FINDINGS
from itemtrail.options.operation_target import (
    OperationTarget,
    apply_option,
    consumers_meant,
    consumers_there,
    rate_option,
    redrive_target_options,
)
from itemtrail.options.target import output_option
from itemtrail.output.answer import Answer, chosen_form, give, tell
from itemtrail.output.dry_run import dry_run
from itemtrail.output.progress import Waiting
from itemtrail.records import kinds as record_kinds
from itemtrail.records import redrive as operation_records
from itemtrail.tables import cells
from itemtrail.tables import cells as cells_tables
from itemtrail.tables import redrive as redrive_tables
from operations.execution.rate import Rate
from operations.redrive import run as redriving
from operations.redrive.run import Redriven
from reports.deployment.stack import Consumer

_MOST_TOLD = 10


@click.command(short_help="Bring back what failed, into history and replica.")
@click.option(
    "--consumer",
    "consumers",
    multiple=True,
    type=click.Choice([one.value for one in Consumer]),
    help="Only what failed in this one; by default all that the stack has.",
)
@click.option(
    "--pointers",
    "files",
    metavar="FILE",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Also the batches that this file names: invocation records as Lambda sends them to SQS or "
    "SNS, read again from the stream; may be repeated.",
)
@rate_option
@apply_option
@redrive_target_options
@output_option
def redrive(  # noqa: PLR0913 - an option each
    *,
    consumers: tuple[str, ...],
    files: tuple[Path, ...],
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
    with Waiting() as waiting:
        found = redriving.redrive(
            deployment,
            apply=apply,
            consumers=consumers_meant(tuple(map(Consumer, consumers)), there, stack),
            there=there,
            names=redriving.names_of(stack) if stack else None,
            files=files,
            rate=Rate(rate),
            progress=waiting,
        )
    _give_redrive(found, form)
    return 0 if found.is_clean else FINDINGS


def _give_redrive(found: Redriven, form: str) -> None:
    summary = _redrive_summary(found)
    good = found.applied and found.is_clean
    answer = Answer(
        record_kinds.REDRIVE_LINE,
        operation_records.redrive_lines(found),
        redrive_tables.redrive_blocks(found, cells_tables.closing(summary, good=good)),
        lambda: operation_records.redrive(found),
    )
    give(answer, form)
    if form == "table":
        return
    for one in found.lost[:_MOST_TOLD]:
        tell(f"LOST: {one.reason} ({one.place.shard_id}, named in {one.where})")
    tell(summary)


def _redrive_summary(found: Redriven) -> str:
    left = [
        f"{len(group):,} {what}"
        for group, what in ((found.leftovers, "left"), (found.lost, "LOST"))
        if group
    ]
    objects, records = (
        cells.count_of(number, what)
        for number, what in ((found.objects, "object"), (found.records, "record"))
    )
    done = f"{len(found.done):,} of {objects} with {records}"
    if found.applied:
        return ", ".join([f"{done} done with", *left])
    return ", ".join([dry_run(f"{done} would be done with"), *left])
