"""Answers for people about a history and its deployment: is all of it there, and does it run."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from itemtrail.tables import cells
from reports.verification.continuity import Finding
from reports.verification.verdicts import Verdict, Verification

_VERDICTS = {Verdict.HOLDS: "green", Verdict.BROKEN: "red", Verdict.UNPROVEN: "yellow"}
_WIDEST_CLASS = len("DIGEST_MISMATCH")


def verification_blocks(of: Verification, title: str) -> Iterator[RenderableType]:
    """Both verdicts on a history, and what was found."""
    verdicts = Table.grid(padding=(0, 3, 0, 0))
    for name, verdict in (("integrity", of.integrity), ("completeness", of.completeness)):
        verdicts.add_row(name, Text(verdict.value, style=f"bold {_VERDICTS[verdict]}"))
    read = (
        f"{cells.count_of(of.items, 'item')}, {cells.count_of(of.rows, 'row')}, "
        f"{cells.count_of(of.overflow_objects, 'overflow object')} read"
    )
    yield cells.titled(title, verdicts, "", read, _findings(of), "")
    # After the first block, so that a long list is not drawn as a whole before any of it is seen.
    if of.findings:
        is_first = True
        for block in cells.blocks(of.findings):
            yield _finding_table(block, header=is_first)
            is_first = False
        yield ""
    for note in of.notes:
        yield Text.assemble(("note ", "yellow"), cells.printable(note))
    if of.notes:
        yield ""


def _findings(of: Verification) -> Text:
    declared = sum(one.declared is not None for one in of.findings)
    if not of.findings:
        return Text("nothing found", style="green")
    text = cells.count_of(len(of.findings), "finding")
    return Text(f"{text}, {declared} of them declared" if declared else text)


def _finding_table(findings: Sequence[Finding], *, header: bool) -> Table:
    table = cells.new_table(header=header)
    table.add_column("finding", width=_WIDEST_CLASS)
    table.add_column("key", overflow="fold", ratio=2)
    table.add_column("when (UTC)", width=cells.WHEN_WIDTH + 6)
    table.add_column("what it means", overflow="fold", ratio=5)
    for one in findings:
        detail = cells.plain(one.detail)
        if one.declared is not None:
            detail.append(f"\ndeclared: {cells.printable(one.declared)}")
        table.add_row(
            Text(one.kind.value, style="" if one.declared else "red"),
            cells.key_cell(one.keys),
            _between(one.since, one.until),
            detail,
            style="dim" if one.declared else "",
        )
    return table


def _between(since: datetime | None, until: datetime | None) -> Text:
    """A moment, or the range it lies in; a bound that nobody knows is left out."""
    if since is not None and since == until:
        return Text(cells.when(since))
    bounds = [f"since {cells.when(since)}"] if since else []
    return Text("\n".join([*bounds, f"until {cells.when(until)}"] if until else bounds))


def summary(of: Verification) -> str:
    """Both verdicts in a line."""
    declared = sum(one.declared is not None for one in of.findings)
    return (
        f"integrity {of.integrity}, completeness {of.completeness}: "
        f"{cells.count_of(len(of.findings), 'finding')}"
        f"{f', {declared} of them declared' if declared else ''}"
    )
