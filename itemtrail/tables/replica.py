"""TODO."""

from collections.abc import Iterable, Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from itemtrail.records.kinds import Record
from itemtrail.records.replica import unhealed
from itemtrail.tables import cells
from itemtrail.tables.backfill import _MOST_LISTED
from itemtrail.tables.cells import Line, counted
from operations.replica.discrepancies import Discrepancy, DiscrepancyKind
from operations.replica.reasons import Reason
from operations.replica.repair import Repaired
from reports.states.differences import differences

_MOST_CHANGES = 5
_WIDEST_KIND = max(map(len, DiscrepancyKind))
_WIDEST_REASON = max(map(len, Reason)) + 1
_KINDS = {
    DiscrepancyKind.MISSING: "red",
    DiscrepancyKind.DIFFERENT: "yellow",
    DiscrepancyKind.EXTRANEOUS: "magenta",
}


def discrepancy_blocks(title: str, found: Iterable[Discrepancy]) -> Iterator[RenderableType]:
    """What differs, as it is found, and what to do about it below."""
    footnotes = cells.Footnotes()
    is_first = True
    for block in cells.blocks(found):
        table = _discrepancy_table(header=is_first)
        for one in block:
            table.add_row(
                Text(one.kind.value, style=_KINDS[one.kind]),
                _reason(one, footnotes),
                cells.key_cell(one.keys),
                _differing(one),
            )
        yield cells.titled(title, table) if is_first else table
        is_first = False
    if is_first:
        yield cells.titled(title)
        return
    yield ""
    yield from footnotes.told()
    yield ""


def repair_blocks(of: Repaired, title: str, summary: Text) -> Iterator[RenderableType]:
    """What a repair did, or would do."""
    differing = [
        Line(of.differing.get(kind, 0), f"{kind.value} in the replica", look)
        for kind, look in _KINDS.items()
    ]
    lines = [Line(of.looked_at, "items looked at"), Line(of.equal, "equal already"), *differing]
    if of.applied:
        lines.append(Line(of.healed, "healed", "green"))
    yield cells.titled(title, counted(lines), "")
    left = list(unhealed(of))
    if left:
        yield _unhealed(left)
        yield ""
    yield summary


def _discrepancy_table(*, header: bool) -> Table:
    table = cells.new_table(header=header)
    table.add_column("the item is", width=_WIDEST_KIND + 1)
    table.add_column("because of", width=_WIDEST_REASON)
    table.add_column("key", overflow="fold", ratio=2)
    table.add_column("source → replica", overflow="fold", ratio=4)
    return table


def _reason(one: Discrepancy, footnotes: cells.Footnotes) -> Text:
    word = Text("?", style="dim") if one.reason is None else Text(one.reason.value)
    told = one.explanation
    # How far an item lags behind is its own; what to do about it is the same for all.
    remark = told.to_do if one.behind is not None else f"{told.meaning}; {told.to_do}"
    return word.append_text(footnotes.mark(remark))


def _differing(one: Discrepancy) -> Text:
    lines = []
    if one.behind is not None:
        number = one.explanation.changes_behind or 0
        behind = f"{cells.lasting(one.behind)}, {cells.count_of(number, 'change')} behind"
        lines.append(Text(behind, style="dim"))
    if one.kind is DiscrepancyKind.DIFFERENT:
        found = differences(one.source, one.replica)
        lines += map(cells.change_line, found[:_MOST_CHANGES])
        if len(found) > _MOST_CHANGES:
            lines.append(Text(f"… and {len(found) - _MOST_CHANGES} more", style="dim"))
    else:
        item = one.source if one.source is not None else one.replica
        lines.append(cells.attributes(item or {}, one.keys))
    return Text("\n").join(lines)


def _unhealed(found: Sequence[Record]) -> Table:
    table = cells.new_table()
    table.add_column("key", overflow="fold", ratio=2)
    table.add_column("not healed", overflow="fold", ratio=5)
    for one in found[:_MOST_LISTED]:
        table.add_row(cells.key_cell(one["key"]), cells.plain(one["reason"]))
    if len(found) > _MOST_LISTED:
        table.add_row("", Text(f"… and {len(found) - _MOST_LISTED:,} more", style="dim"))
    return table
