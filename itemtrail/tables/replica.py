"""What `compare` and `repair` show."""

from collections.abc import Iterable, Iterator

from rich.console import RenderableType
from rich.table import Column
from rich.text import Text

from itemtrail.records.replica import unhealed_records
from itemtrail.tables import cells
from itemtrail.tables.layout import (
    CountLine,
    Row,
    capped,
    count_table,
    folded,
    listing,
    titled,
)
from itemtrail.tables.outcomes import outcome_listing, planned_row
from operations.replica.discrepancies import Discrepancy, DiscrepancyKind
from operations.replica.reasons import Reason
from operations.replica.repair import Repaired
from reports.states.differences import differences

_MOST_CHANGES = 5
_KINDS = {
    DiscrepancyKind.MISSING: "red",
    DiscrepancyKind.DIFFERENT: "yellow",
    DiscrepancyKind.EXTRANEOUS: "magenta",
}
_DISCREPANCY_COLUMNS = (
    Column("the item is", width=max(map(len, DiscrepancyKind)) + 1),
    Column("because of", width=max(map(len, Reason)) + 1),
    folded("key", 2),
    folded("source → replica", 4),
)
_UNHEALED_COLUMNS = (folded("key", 2), folded("not as in the source", 5))


def discrepancy_blocks(
    title: str, discrepancies: Iterable[Discrepancy]
) -> Iterator[RenderableType]:
    """What differs, as the comparison comes to it, and what to do about it below."""
    footnotes = cells.Footnotes()
    rows = (_discrepancy_row(discrepancy, footnotes) for discrepancy in discrepancies)
    is_empty = True
    for block in listing(_DISCREPANCY_COLUMNS, rows, title):
        yield block
        is_empty = False
    if is_empty:
        yield titled(title)
        return
    yield from footnotes.lines()
    yield ""


def repair_blocks(
    repaired: Repaired, title: str, *, is_each: bool = False
) -> Iterator[RenderableType]:
    """What a repair did, or would do: to each item, or to those to which the same is done."""
    lines = [
        CountLine(repaired.looked_at, "items looked at"),
        CountLine(repaired.equal, "equal already"),
        *(
            CountLine(repaired.differing.get(kind, 0), f"{kind.value} in the replica", look)
            for kind, look in _KINDS.items()
        ),
    ]
    if repaired.applied:
        lines.append(CountLine(repaired.healed, "as in the source now", "green"))
        lines.append(CountLine(repaired.deleted, "of these deleted from the replica", "magenta"))
    yield titled(title, count_table(lines), "")
    if repaired.plan and not repaired.applied:
        rows = (planned_row(item) for item in repaired.plan)
        yield from outcome_listing(rows, is_each=is_each)
    unhealed = list(unhealed_records(repaired))
    if unhealed:
        yield capped(
            _UNHEALED_COLUMNS,
            unhealed,
            lambda record: (cells.key_cell(record["key"]), cells.plain(record["reason"])),
        )
        yield ""


def _discrepancy_row(discrepancy: Discrepancy, footnotes: cells.Footnotes) -> Row:
    return (
        Text(discrepancy.kind.value, style=_KINDS[discrepancy.kind]),
        _reason(discrepancy, footnotes),
        cells.key_cell(discrepancy.keys),
        _differing(discrepancy),
    )


def _reason(discrepancy: Discrepancy, footnotes: cells.Footnotes) -> Text:
    reason, explanation = discrepancy.reason, discrepancy.explanation
    word = Text("?", style="dim") if reason is None else Text(reason.value)
    # How far an item lags behind is its own; what to do about it is the same for all.
    remark = explanation.to_do
    if discrepancy.behind is None:
        remark = f"{explanation.meaning}; {remark}"
    return word.append_text(footnotes.mark(remark))


def _differing(discrepancy: Discrepancy) -> Text:
    lines = []
    if discrepancy.behind is not None:
        number = discrepancy.explanation.changes_behind or 0
        behind = f"{cells.lasting(discrepancy.behind)}, {cells.count_of(number, 'change')} behind"
        lines.append(Text(behind, style="dim"))
    if discrepancy.kind is DiscrepancyKind.DIFFERENT:
        changes = differences(discrepancy.source, discrepancy.replica)
        lines += map(cells.change_line, changes[:_MOST_CHANGES])
        if len(changes) > _MOST_CHANGES:
            lines.append(cells.more(len(changes) - _MOST_CHANGES))
    else:
        item = discrepancy.source if discrepancy.source is not None else discrepancy.replica
        lines.append(cells.attributes(item or {}, discrepancy.keys))
    return Text("\n").join(lines)
