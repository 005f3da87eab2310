"""The command that checks a history: verify."""

import shlex
from pathlib import Path
from typing import TextIO

import click

from itemtrail import cells, record_kinds, records, verdict_tables
from itemtrail.options import (
    Target,
    gaps_option,
    indexed_target_options,
    key_argument,
    output_option,
)
from itemtrail.output import Answer, chosen_form, give, tell
from itemtrail.waiting import Waiting
from reports.errors import KeyShapeError, ReportError
from reports.gaps import read_gaps
from reports.keys import KeySchema, key_text
from reports.verdicts import Verification
from stream_core.attribute_values import Item

FINDINGS = 1


@click.command(short_help="Whether a history is complete and unaltered.")
@key_argument(required=False)
@click.option(
    "--keys-file",
    type=click.File(encoding="utf-8"),
    help="Check the items whose keys are in this file, a key a line, as on the command line or as "
    "JSON; - is standard input.",
)
@gaps_option
@indexed_target_options
@output_option
def verify(
    key: tuple[str, ...],
    keys_file: TextIO | None,
    gaps_file: Path | None,
    output: str | None,
    target: Target,
) -> int:
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
    if key and keys_file:
        raise click.UsageError("use just one of KEY and --keys-file", click.get_current_context())
    form, trail = chosen_form(output), target.open()
    keys = _keys(trail.key_schema, key, keys_file)
    gaps = read_gaps(gaps_file, trail.key_schema) if gaps_file else []
    with Waiting() as waiting:
        found = trail.verify(keys, gaps, progress=waiting)
        answer = Answer(
            record_kinds.FINDING,
            map(records.finding, found.findings),
            verdict_tables.verification_blocks(found, f"Verification of {_subject(keys)}"),
            lambda: records.verification(found),
        )
        give(answer, form, waiting)
    if form not in ("table", "json"):
        tell(summary(found))
    return 0 if found.clean else FINDINGS


def _keys(schema: KeySchema, words: tuple[str, ...], keys_file: TextIO | None) -> list[Item] | None:
    """The keys to check, None for all."""
    if words:
        return [schema.key_of_text(words)]
    if keys_file is None:
        return None
    try:
        lines = [line.rstrip("\r\n") for line in keys_file]
    except UnicodeDecodeError:
        raise ReportError(f"{keys_file.name} is not text in UTF-8: write a key a line") from None
    keys = [
        _key_of_line(schema, line, f"{keys_file.name} line {number}")
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    if not keys:
        # Checking nothing would find nothing wrong.
        raise ReportError(f"there is no key in {keys_file.name}: write a key a line")
    return keys


def _key_of_line(schema: KeySchema, line: str, place: str) -> Item:
    # A single value is the line as it stands, whatever it has of spaces and quotes.
    is_one_word = len(schema.types) == 1 or line.startswith("{")
    try:
        return schema.key_of_text([line] if is_one_word else shlex.split(line))
    except (KeyShapeError, ValueError) as error:
        raise KeyShapeError(f"{place}: {error}") from None


def _subject(keys: list[Item] | None) -> str:
    if keys is None:
        return "the whole table"
    return key_text(keys[0]) if len(keys) == 1 else cells.count_of(len(keys), "item")


def summary(of: Verification) -> str:
    """Both verdicts in a line."""
    declared = sum(one.declared is not None for one in of.findings)
    return (
        f"integrity {of.integrity}, completeness {of.completeness}: "
        f"{cells.count_of(len(of.findings), 'finding')}"
        f"{f', {declared} of them declared' if declared else ''}"
    )
