"""How tables for people are laid out: headings, listings that grow, notes, counts."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from time import monotonic
from typing import TypeAlias, TypeVar

from rich import box
from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from itemtrail.tables.cells import more
from itemtrail.time_zone import time_zone
from reports.unseen import visible

Entry = TypeVar("Entry")
Row: TypeAlias = Sequence[RenderableType]

MOST_LISTED = 1000
_LARGEST_BLOCK = 128
_PATIENCE_S = 0.2


def folded(name: str, ratio: int = 1, style: str = "") -> Column:
    """A column that takes its share of the line, and breaks what is longer."""
    return Column(name, overflow="fold", ratio=ratio, style=style)


def table_of(columns: Sequence[Column], rows: Iterable[Row] = (), *, header: bool = True) -> Table:
    """A table in the look of all; without its header it continues one before."""
    table = Table(
        *map(_in_time_zone, columns),
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        show_header=header,
        header_style="bold",
        expand=True,
    )
    for row in rows:
        table.add_row(*row)
    return table


def _in_time_zone(column: Column) -> Column:
    """A column made before it was known in which time zone a command shows its times."""
    copy = column.copy()
    if isinstance(copy.header, str):
        copy.header = copy.header.replace("(UTC)", f"({time_zone()})")
    return copy


def listing(
    columns: Sequence[Column], rows: Iterable[Row], title: str | None = None
) -> Iterator[RenderableType]:
    """A table as its rows arrive, in parts under one header, and what sets it apart after it.

    Without rows it is nothing at all, so that what comes first can still be something else.
    """
    is_first = True
    for block in blocks(rows):
        table = table_of(columns, block, header=is_first)
        yield titled(title, table) if is_first and title is not None else table
        is_first = False
    if not is_first:
        yield ""


def capped(
    columns: Sequence[Column], entries: Sequence[Entry], row: Callable[[Entry], Row]
) -> Table:
    """A table of the first entries, and how many more there are."""
    table = table_of(columns, map(row, entries[:MOST_LISTED]))
    if len(entries) > MOST_LISTED:
        table.add_row("", more(len(entries) - MOST_LISTED))
    return table


def titled(title: str, *parts: RenderableType) -> Group:
    """A heading and what is under it, apart from what comes after."""
    return Group(Text(visible(title), style="bold"), "", *parts)


def blocks(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """What arrives, in blocks to draw: the first is shown at once, later ones draw faster."""
    arriving = iter(entries)
    size = 1
    while block := list(islice(arriving, 1)):
        began = monotonic()
        for entry in islice(arriving, size - 1):
            block.append(entry)
            if monotonic() - began > _PATIENCE_S:
                break
        yield block
        size = min(2 * size, _LARGEST_BLOCK)


def summary_line(text: str, *, good: bool) -> Text:
    """What it has come to, under an answer."""
    return Text(visible(text), style="green" if good else "yellow")


def to_copy(text: str) -> Text:
    """A line that is not broken, however narrow the screen, as it is copied from there."""
    return Text(visible(text), no_wrap=True, overflow="ignore")


def notes(texts: Iterable[str]) -> Iterator[Text]:
    """What else there is to know, a line each."""
    for text in texts:
        yield Text.assemble(("note ", "yellow"), visible(text))


@dataclass(frozen=True)
class CountLine:
    """A number and what it counts."""

    count: int
    what: str
    look: str = ""


def count_table(lines: Iterable[CountLine]) -> Table:
    """Numbers in a column, each with what it counts."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(justify="right")
    table.add_column()
    for line in lines:
        look = line.look if line.count else "dim"
        table.add_row(Text(f"{line.count:,}", style=look), Text(line.what, style=look))
    return table
