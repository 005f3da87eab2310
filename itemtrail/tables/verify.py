"""What `verify` shows: is all of a history there, and as it was written."""

from collections.abc import Iterator
from datetime import datetime

from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from itemtrail.tables import cells
from itemtrail.tables.layout import Row, folded, listing, notes, titled
from reports.unseen import visible
from reports.verification.continuity import TO_KNOW, Finding
from reports.verification.verdicts import Verdict, Verification

_VERDICTS = {Verdict.HOLDS: "green", Verdict.BROKEN: "red", Verdict.UNPROVEN: "yellow"}
_FINDING_COLUMNS = (
    Column("finding", width=len("DIGEST_MISMATCH")),
    folded("key", 2),
    Column("when (UTC)", width=cells.WHEN_WIDTH + 6),
    folded("what it means", 5),
)


def verification_blocks(verification: Verification, title: str) -> Iterator[RenderableType]:
    """Both verdicts on a history, and the findings."""
    verdicts = Table.grid(padding=(0, 3, 0, 0))
    for name, (verdict, words) in verification.verdicts.items():
        verdicts.add_row(name, Text(words, style=f"bold {_VERDICTS[verdict]}"))
    until = verification.complete_until
    verdicts.add_row(
        "complete until",
        Text(f"not known: {visible(verification.watermark.reason)}")
        if until is None
        else Text(f"{cells.when(until)} UTC ({verification.watermark.reason})"),
    )
    read = (
        f"{cells.count_of(verification.items, 'item')}, "
        f"{cells.count_of(verification.rows, 'row')}, "
        f"{cells.count_of(verification.overflow_objects, 'overflow object')} read"
    )
    findings = (
        Text(_finding_count(verification))
        if verification.findings
        else Text("nothing found", style="green")
    )
    yield titled(title, verdicts, "", read, findings, "")
    # After the first block, so that a long list is not drawn as a whole before any of it is seen.
    yield from listing(_FINDING_COLUMNS, map(_finding_row, verification.findings))
    yield from notes(verification.notes)
    if verification.notes:
        yield ""


def verdict_line(verification: Verification) -> str:
    """Both verdicts in a line."""
    verdicts = "; ".join(f"{name} {words}" for name, (_, words) in verification.verdicts.items())
    return f"{verdicts}: {_finding_count(verification)}"


def _finding_count(verification: Verification) -> str:
    to_know, declared = verification.to_know, verification.declared
    text = cells.count_of(len(verification.findings) - to_know, "finding")
    if declared:
        text += f", {declared:,} of them declared"
    return f"{text}; {cells.count_of(to_know, 'row')} redriven" if to_know else text


def _finding_row(finding: Finding) -> Row:
    detail = cells.plain(finding.detail)
    if finding.missing is not None:
        detail = Text("\n").join([cells.plain(finding.missing), detail])
    row = (
        Text(finding.kind.value, style=_style(finding)),
        cells.key_cell(finding.keys),
        _between(finding.since, finding.until),
        detail,
    )
    if finding.declared is not None:
        detail.append(f"\ndeclared: {visible(finding.declared)}")
        for cell in row:
            cell.stylize("dim")
    return row


def _style(finding: Finding) -> str:
    if finding.kind in TO_KNOW:
        return "yellow"
    return "" if finding.declared else "red"


def _between(since: datetime | None, until: datetime | None) -> Text:
    """A moment, or the range it lies in; an unknown bound is left out."""
    if since is not None and since == until:
        return Text(cells.when(since))
    bounds = [f"since {cells.when(since)}"] if since else []
    return Text("\n".join([*bounds, f"until {cells.when(until)}"] if until else bounds))
