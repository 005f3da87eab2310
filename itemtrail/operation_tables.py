"""Answers for people about operations on the tables: backfill, enable, compare, repair, redrive."""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from itemtrail import cells
from itemtrail.operation_records import unhealed
from itemtrail.record_kinds import Record
from operations.backfill import Backfill
from operations.discrepancies import Discrepancy, DiscrepancyKind
from operations.enable import Stream
from operations.kept_aside import Leftover, Lost
from operations.reasons import Reason
from operations.redelivery import Why
from operations.redrive import Redriven
from operations.repair import Repaired
from reports.differences import differences
from reports.stack import Consumer

_MOST_CHANGES = 5
_MOST_LISTED = 1000
_WIDEST_KIND = max(map(len, DiscrepancyKind))
_WIDEST_REASON = max(map(len, Reason)) + 1
_WIDEST_WHY = max(map(len, Why))
_DIGEST_WIDTH = 16
_KINDS = {
    DiscrepancyKind.MISSING: "red",
    DiscrepancyKind.DIFFERENT: "yellow",
    DiscrepancyKind.EXTRANEOUS: "magenta",
}


def closing(text: str, *, good: bool) -> Text:
    """What it has come to, under an answer."""
    return Text(cells.printable(text), style="green" if good else "yellow")


@dataclass(frozen=True)
class Line:
    """A number and what it counts."""

    count: int
    what: str
    look: str = ""


def counted(lines: Iterable[Line]) -> Table:
    """Numbers in a column, each with what it counts."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(justify="right")
    table.add_column()
    for line in lines:
        look = line.look if line.count else "dim"
        table.add_row(Text(f"{line.count:,}", style=look), Text(line.what, style=look))
    return table


def backfill_blocks(
    of: Backfill, consumers: Collection[Consumer], source: str, summary: Text
) -> Iterator[RenderableType]:
    """What a backfill did, or would do, for the consumers it worked for."""
    counts, would = of.counts, "" if of.applied else "would be "
    lines = [Line(counts.scanned, "items read")]
    if Consumer.HISTORY_WRITER in consumers:
        lines += [
            Line(counts.baselines, f"baselines {would}written into the history", "green"),
            Line(counts.already_there, "have their beginning in the history already"),
            Line(counts.gone, "were deleted before their baseline: their REMOVE shows them"),
            Line(counts.changed_first, "of these were changed before their baseline: see the gap"),
        ]
    if Consumer.REPLICA_WRITER in consumers:
        settled = f"{would}settled in the replica: made equal if they differ"
        lines.append(Line(counts.settled, settled, "green"))
    yield cells.titled(f"Backfill of {source}", counted(lines), "")
    for title, problems in (
        ("refused for good", of.problems),
        ("not done, to be tried again", of.unfinished),
    ):
        if problems:
            yield _reasons(title, [(one.key_digest, one.reason) for one in problems])
            yield ""
    if of.gap is not None:
        yield Text("for verify --gaps, as a file with:", style="dim")
        yield _to_copy(gap_text(of))
        yield ""
    yield summary


def _to_copy(text: str) -> Group:
    """Text in one line, however long: not wrapped by us, it can be copied."""
    return Group(Text(cells.printable(text), no_wrap=True, overflow="ignore"))


def gap_text(of: Backfill) -> str:
    """The declaration for `verify --gaps`, as that file has it."""
    return json.dumps([of.gap], ensure_ascii=True)


def stream_blocks(of: Stream, summary: Text) -> Iterator[RenderableType]:
    """The stream of a table."""
    yield cells.titled(f"Stream of {of.table}")
    if of.arn is not None:
        yield _to_copy(of.arn)
        yield ""
    yield summary


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


def redrive_blocks(of: Redriven, summary: Text) -> Iterator[RenderableType]:
    """What a redrive did, or would do; what is lost comes first."""
    would = "" if of.applied else "would be "
    lines = [
        Line(of.objects, "objects and files"),
        Line(of.records, "records in them"),
        Line(len(of.done), f"{would}done with, and put away", "green"),
        Line(len(of.leftovers), "left where they are", "yellow"),
        Line(len(of.lost), "lost for good", "bold red"),
    ]
    counts = [Line(number, name) for name, number in sorted(of.counts.items()) if number]
    yield cells.titled("Redrive", counted([*lines, *counts]), "")
    if of.lost:
        yield from (Text("LOST: the stream has these no more", style="bold red"), "")
        yield from (_lost(of.lost), "")
    if of.leftovers:
        yield from (_leftovers(of.leftovers), "")
    yield summary


def _reasons(title: str, found: Sequence[tuple[str, str]]) -> Table:
    table = cells.new_table()
    table.add_column("item (digest)", width=_DIGEST_WIDTH)
    table.add_column(title, overflow="fold", ratio=1)
    for digest, reason in found[:_MOST_LISTED]:
        table.add_row(digest, cells.plain(reason))
    if len(found) > _MOST_LISTED:
        table.add_row("", Text(f"… and {len(found) - _MOST_LISTED:,} more", style="dim"))
    return table


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


def _lost(found: Sequence[Lost]) -> Table:
    table = cells.new_table()
    table.add_column("shard and range", overflow="fold", ratio=3)
    table.add_column("what is missing", overflow="fold", ratio=4, style="red")
    table.add_column("named in", overflow="fold", ratio=3)
    for one in found:
        place = f"{one.place.shard_id}\n{one.place.start}\n→ {one.place.end}"
        parts = list(map(cells.plain, place.split("\n")))
        table.add_row(Text("\n").join(parts), cells.plain(one.reason), cells.plain(one.where))
    return table


def _leftovers(found: Sequence[Leftover]) -> Table:
    table = cells.new_table()
    table.add_column("left", width=_WIDEST_WHY)
    table.add_column("why", overflow="fold", ratio=4)
    table.add_column("where", overflow="fold", ratio=5)
    for one in found[:_MOST_LISTED]:
        why = cells.plain(one.reason)
        if one.consumer is not None:
            why.append(f" ({one.consumer.value})", style="dim")
        where = cells.plain(one.where)
        if one.sequence_number is not None:
            where.append(f"\nrecord {cells.printable(one.sequence_number)}", style="dim")
        table.add_row(Text(one.why.value, style="yellow"), why, where)
    if len(found) > _MOST_LISTED:
        table.add_row("", Text(f"… and {len(found) - _MOST_LISTED:,} more", style="dim"))
    return table
