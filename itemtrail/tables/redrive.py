"""TODO."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from itemtrail.tables import cells
from itemtrail.tables.backfill import _MOST_LISTED
from itemtrail.tables.cells import Line, counted
from operations.redrive.delivery import Why
from operations.redrive.run import Redriven
from operations.redrive.unpacking import Leftover, Lost

_WIDEST_WHY = max(map(len, Why))


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
