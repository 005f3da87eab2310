"""The commands that find and heal drift of the replica: compare, repair."""

from collections.abc import Iterator
from typing import TextIO

import click
from rich.console import RenderableType

from itemtrail.exit_status import FINDINGS
from itemtrail.options.keys import given_keys, keys_file_option, require_one_way
from itemtrail.options.kinds import ShareType
from itemtrail.options.operation_target import (
    OperationTarget,
    apply_option,
    rate_option,
    replica_target_options,
    segments_option,
    source_key_schema,
)
from itemtrail.options.target import key_argument, output_option
from itemtrail.output.answer import Answer, chosen_form, give, tell
from itemtrail.output.dry_run import dry_run
from itemtrail.output.progress import Waiting
from itemtrail.output.terminal import show
from itemtrail.records import kinds as record_kinds
from itemtrail.records import replica as operation_records
from itemtrail.tables import cells
from itemtrail.tables import cells as cells_tables
from itemtrail.tables import replica as replica_tables
from operations.deployed_tables import DeployedTables
from operations.replica import compare as comparing
from operations.replica import repair as repairing
from operations.replica.compare import Comparison
from operations.replica.discrepancies import ComparisonSummary, Discrepancy
from operations.replica.repair import Repaired
from reports.inputs.keys import key_text
from stream_core.attribute_values import Item

_MOST_SEGMENTS = 1_000_000
_MOST_KEYS_TOLD = 10
_segments_option = segments_option(comparing.SEGMENTS, _MOST_SEGMENTS)


@click.command(short_help="Whether the replica is as the source, and why not.")
@click.option(
    "--sample",
    metavar="SHARE",
    type=ShareType(),
    help="Look at so many of the items only, chosen at random, e.g. 1% or 0.01; what that says "
    "about all of them is told.",
)
@click.option(
    "--seed",
    metavar="N",
    type=int,
    help="With --sample: look at the same items as the comparison that told this number.",
)
@_segments_option
@rate_option
@replica_target_options
@output_option
def compare(  # noqa: PLR0913 - an option each
    *,
    sample: float | None,
    seed: int | None,
    segments: int,
    rate: float | None,
    output: str | None,
    target: OperationTarget,
) -> int:
    """Compare the source and its replica, both ways, while they are in use; nothing is written.

    A difference counts when it lasts. The history tells why: LAGGING (a past state), CORRUPT (it
    never was so), FOREIGN_WRITE (a key that the history does not know), LOST_EVENT (a change that
    reached nobody), NOT_BACKFILLED. Exits with 1 if anything differs.

    \b
    Example:
      itemtrail compare --stack employee-trail
      itemtrail compare --sample 1% --rate 500 --stack employee-trail --output jsonl
      itemtrail compare --source-table Employee --replica-table employee-trail-replica \\
        --replica-region us-west-2 --output csv > differences.csv
    """  # noqa: D301
    if seed is not None and sample is None:
        raise click.UsageError(
            "--seed chooses a sample: give its --sample too", click.get_current_context()
        )
    form, (deployment, _) = chosen_form(output), target.find()
    with Waiting() as waiting:
        comparison = comparing.compare(
            deployment, segments=segments, sample=sample, seed=seed, rate=rate, progress=waiting
        )
        title = f"{deployment.source_table} and its replica {deployment.replica_table}"
        answer = Answer(
            record_kinds.DISCREPANCY,
            map(operation_records.discrepancy, comparison),
            _comparison_blocks(title, comparison, comparison),
        )
        give(answer, form, waiting)
    summary = comparison.summary
    if form != "table":
        _tell_comparison(summary)
    return 0 if summary.is_clean else FINDINGS


def _comparison_blocks(
    title: str, found: Iterator[Discrepancy], comparison: Comparison
) -> Iterator[RenderableType]:
    yield from replica_tables.discrepancy_blocks(title, found)
    for number, line in enumerate(_told(comparison.summary)):
        yield cells_tables.closing(line, good=number == 0 and comparison.summary.is_clean)


def _tell_comparison(summary: ComparisonSummary) -> None:
    for line in _told(summary):
        tell(line)


def _told(summary: ComparisonSummary) -> Iterator[str]:
    yield summary.statement
    if summary.restless:
        keys = ", ".join(map(key_text, summary.restless[:_MOST_KEYS_TOLD]))
        more = " and others" if len(summary.restless) > _MOST_KEYS_TOLD else ""
        yield f"never held still: {keys}{more}"
    if summary.sample < 1:
        yield f"the same items again: --sample {summary.sample:g} --seed {summary.seed}"


@click.command(short_help="Heal items of the replica that differ.")
@key_argument(required=False)
@keys_file_option
@_segments_option
@rate_option
@apply_option
@replica_target_options
@output_option
def repair(  # noqa: PLR0913 - an option each
    *,
    key: tuple[str, ...],
    keys_file: TextIO | None,
    segments: int,
    rate: float | None,
    output: str | None,
    target: OperationTarget,
    apply: bool,
) -> int:
    """Make items of the replica equal to the source: one, some, or all that `compare` finds.

    Nothing that was read before is ever written: the source is asked what an item is, and asked
    again after the write, so that no newer write is undone. A dry run unless --apply. Without a
    key both tables are compared first. Exits with 1 if something differs and is not healed.

    \b
    Example:
      itemtrail repair --stack employee-trail
      itemtrail repair --stack employee-trail --rate 500 --apply
      itemtrail repair 42 --stack employee-trail --apply
      itemtrail repair --keys-file keys.txt --stack employee-trail --output json
    """  # noqa: D301
    require_one_way(key, keys_file)
    form, (deployment, _) = chosen_form(output), target.find()
    keys = given_keys(source_key_schema(deployment), key, keys_file)
    if keys is None:
        keys = _compared(deployment, segments, rate, form)
    with Waiting() as waiting:
        found = repairing.repair(deployment, keys, apply=apply, rate=rate, progress=waiting)
    _give_repair(found, deployment, form)
    return 0 if found.is_clean else FINDINGS


def _compared(
    deployment: DeployedTables, segments: int, rate: float | None, form: str
) -> list[Item]:
    """The keys of what differs, or never held still, shown to a person as they are found."""
    keys: list[Item] = []
    with Waiting() as waiting:
        comparison = comparing.compare(deployment, segments=segments, rate=rate, progress=waiting)

        def noted() -> Iterator[Discrepancy]:
            for one in comparison:
                keys.append(one.keys)
                yield one

        if form == "table":
            title = f"{deployment.source_table} and its replica {deployment.replica_table}"
            show(_comparison_blocks(title, noted(), comparison), waiting)
        else:
            for _ in noted():
                pass
    if form != "table":
        _tell_comparison(comparison.summary)
    return [*keys, *comparison.summary.restless]


def _give_repair(found: Repaired, deployment: DeployedTables, form: str) -> None:
    summary = _repair_summary(found)
    good = found.applied and found.is_clean
    answer = Answer(
        record_kinds.UNHEALED,
        operation_records.unhealed(found),
        replica_tables.repair_blocks(
            found,
            f"Repair of {deployment.replica_table}",
            cells_tables.closing(summary, good=good),
        ),
        lambda: operation_records.repair(found),
    )
    give(answer, form)
    if form != "table":
        tell(summary)


def _repair_summary(found: Repaired) -> str:
    differing = sum(found.differing.values())
    if not found.applied:
        return dry_run(f"{cells.count_of(differing, 'item')} of the replica would be made equal")
    left = found.looked_at - found.equal - found.healed
    return f"{found.healed:,} of {differing:,} healed" + (
        f", {left:,} not: repair again when the cause is removed" if left else ""
    )
