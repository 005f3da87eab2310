"""What `redrive` shows."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Column
from rich.text import Text

from itemtrail.tables import cells
from itemtrail.tables.layout import (
    CountLine,
    Row,
    capped,
    count_table,
    folded,
    table_of,
    titled,
)
from itemtrail.tables.missing_records import missing_table
from operations.redrive.contents import Leftover, Lost
from operations.redrive.delivery import Cause
from operations.redrive.result import PlannedRow, Redriven, StreamReading
from reports.unseen import visible

_LOST_COLUMNS = (
    folded("shard and range", 3),
    folded("what is missing", 4, "red"),
    folded("named in", 3),
)
_PLANNED_COLUMNS = (
    Column("would be rows", width=cells.WHEN_WIDTH),
    folded("key", 2),
    folded("what changed", 5),
    Column("vouched for by", width=len("the object alone")),
)
_LEFTOVER_COLUMNS = (
    Column("left", width=max(map(len, Cause))),
    folded("why", 4),
    folded("where", 5),
)


def redrive_blocks(redriven: Redriven) -> Iterator[RenderableType]:
    """What a redrive did, or would do; what is lost comes first."""
    stream = redriven.stream
    lines = [
        *(_object_lines(redriven) if stream is None else _stream_lines(redriven, stream)),
        CountLine(len(redriven.leftovers), "left where they are", "yellow"),
        CountLine(len(redriven.lost), "lost for good", "bold red"),
    ]
    lines += [CountLine(count, name) for name, count in sorted(redriven.counts.items()) if count]
    yield titled("Redrive", count_table(lines), "")
    if redriven.lost:
        yield from (Text("LOST: these are no longer in the stream", style="bold red"), "")
        yield from (table_of(_LOST_COLUMNS, map(_lost_row, redriven.lost)), "")
    if redriven.planned:
        yield from (capped(_PLANNED_COLUMNS, redriven.planned, _planned_row), "")
    if stream is not None and stream.missing:
        yield from (missing_table(stream.missing), "")
    if redriven.leftovers:
        yield from (capped(_LEFTOVER_COLUMNS, redriven.leftovers, _leftover_row), "")


def _object_lines(redriven: Redriven) -> Iterator[CountLine]:
    would = "" if redriven.applied else "would be "
    yield CountLine(redriven.objects, "objects and files")
    yield CountLine(redriven.records, "records in them")
    yield CountLine(len(redriven.done), f"{would}done with, and put away", "green")


def _stream_lines(redriven: Redriven, stream: StreamReading) -> Iterator[CountLine]:
    yield CountLine(stream.shards, "shards of the stream")
    yield CountLine(redriven.records, "records in them")
    if stream.stored is not None:
        had = "had" if redriven.applied else "have"
        yield CountLine(stream.stored, f"{had} their row")
        yield CountLine(stream.missing_records, f"{had} none", "yellow")
    if stream.items:
        would = "" if redriven.applied else " that would be settled"
        yield CountLine(stream.items, f"items they are about{would}")


def _lost_row(lost: Lost) -> Row:
    place = f"{lost.place.shard_id}\n{lost.place.start}\n→ {lost.place.end}"
    parts = list(map(cells.plain, place.split("\n")))
    return Text("\n").join(parts), cells.plain(lost.reason), cells.plain(lost.where)


def _planned_row(planned: PlannedRow) -> Row:
    row = planned.row
    vouched = Text("the stream")
    if row.redriven_from is not None:
        vouched = Text("the object alone", style="yellow")
    what = Text(f"{cells.event(row)}\n").append_text(cells.changes(row))
    return cells.when(row.change.created_at), cells.key_cell(row.change.keys), what, vouched


def _leftover_row(leftover: Leftover) -> Row:
    why = cells.plain(leftover.reason)
    if leftover.consumer is not None:
        why.append(f" ({leftover.consumer.value})", style="dim")
    where = cells.plain(leftover.where)
    if leftover.sequence_number is not None:
        where.append(f"\nrecord {visible(leftover.sequence_number)}", style="dim")
    return Text(leftover.why.value, style="yellow"), why, where
