"""The command that checks a history: verify."""

from pathlib import Path

import click

from itemtrail.exit_status import CLEAN, FINDINGS
from itemtrail.options.keys import GivenKeys, KeyedCommand, keys_options
from itemtrail.options.target import Target, gaps_option, indexed_target_options, output_option
from itemtrail.output.answer import Answer, chosen_form, give, tell
from itemtrail.output.progress import ProgressBar
from itemtrail.records.kinds import FINDING
from itemtrail.records.verify import finding_record, verification_record
from itemtrail.tables import cells
from itemtrail.tables.verify import verdict_line, verification_blocks
from reports.inputs.keys import key_text
from reports.verification.gaps import read_gaps
from stream_core.attribute_values import Item


@click.command(cls=KeyedCommand, short_help="Whether a history is complete and unaltered.")
@keys_options
@gaps_option
@indexed_target_options
@output_option
def verify(*, keys: GivenKeys, gaps_file: Path | None, output: str | None, target: Target) -> int:
    """Check that a history is complete and unaltered: of one item, of some, or of the whole table.

    Every row follows from the one before it, the last one leaves the live item, and every row and
    overflow object is what was written. There are two verdicts: integrity (nothing is altered)
    and completeness (nothing is missing). Exits with 1 unless both hold.

    \b
    Example:
      itemtrail verify --stack employee-trail
      itemtrail verify 42 --stack employee-trail --output json
      itemtrail verify --keys-file keys.txt --stack employee-trail
      itemtrail verify --gaps known-gaps.json --stack employee-trail --output csv > findings.csv
    """  # noqa: D301
    form, trail = chosen_form(output), target.open()
    asked_about = keys.read(trail.key_schema)
    gaps = read_gaps(gaps_file, trail.key_schema) if gaps_file else []
    with ProgressBar() as progress:
        verification = trail.verify(asked_about, gaps, progress=progress)
        answer = Answer(
            FINDING,
            map(finding_record, verification.findings),
            verification_blocks(verification, f"Verification of {_subject(asked_about)}"),
            lambda: verification_record(verification),
        )
        give(answer, form, progress)
    if form not in ("table", "json"):
        tell(verdict_line(verification))
    return CLEAN if verification.clean else FINDINGS


def _subject(keys: list[Item] | None) -> str:
    if keys is None:
        return "the whole table"
    return key_text(keys[0]) if len(keys) == 1 else cells.count_of(len(keys), "item")
