"""TODO."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from itemtrail.tables import cells
from reports.deployment.advice import Advice
from reports.deployment.stack import extent_of
from reports.deployment.status import ConsumerStatus, KeptAside, Status, TableStatus

_MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("?", "yellow")}
_THOUSAND = 1000


def status_blocks(of: Status) -> Iterator[RenderableType]:
    """How a deployment is now."""
    extent = extent_of([one.consumer for one in of.consumers])
    horizon = f"; history since {cells.when(of.horizon)}" if of.horizon else ""
    yield cells.titled(f"{of.stack} in {of.region} at {cells.when(of.at)} UTC", extent + horizon)
    yield from ("", _table_statuses(of.tables))
    yield from ("", _consumers(of.consumers))
    yield from ("", _kept_aside(of.kept_aside))
    yield Text(f"in the bucket {of.quarantine_bucket}", style="dim")
    yield ""


def advice_blocks(about: str, advice: Sequence[Advice]) -> Iterator[RenderableType]:
    """What was looked at, and what to do; what is not as it must be comes first."""
    fine = [one for one in advice if one.ok]
    wrong = [one for one in advice if one.ok is False]
    untold = [one for one in advice if one.ok is None]
    counts = Text(", ").join(
        Text(f"{len(found)} {what}", style=look)
        for found, what, look in (
            (fine, "fine", "green"),
            (wrong, "to put right", "red"),
            (untold, "could not be told", "yellow"),
        )
        if found
    )
    yield cells.titled(f"{about}: {cells.count_of(len(advice), 'check')}", counts, "")
    for one in (*wrong, *untold):
        yield _advice(one)
    if fine:
        yield _fine(fine)
        yield ""


def _advice(one: Advice) -> Group:
    mark = Text(*_MARKS[one.ok])
    lines = [
        Text.assemble(mark, " ", (one.check, "bold"), " of ", cells.plain(one.subject)),
        Text.assemble("  ", cells.plain(one.observation)),
    ]
    if one.to_do is not None:
        lines.append(Text.assemble("  → ", cells.plain(one.to_do)))
    # Not wrapped by us: a command has to be one line when it is copied.
    return Group(Text("\n", no_wrap=True, overflow="ignore").join([*lines, Text("")]))


def _fine(advice: Sequence[Advice]) -> Table:
    table = cells.new_table(header=False)
    table.add_column("", width=1)
    table.add_column("check", overflow="fold", ratio=2)
    table.add_column("of", overflow="fold", ratio=3)
    table.add_column("found", overflow="fold", ratio=4, style="dim")
    for one in advice:
        mark = Text(*_MARKS[one.ok])
        table.add_row(mark, one.check, cells.plain(one.subject), cells.plain(one.observation))
    return table


def _table_statuses(tables: Sequence[TableStatus]) -> Table:
    table = cells.new_table()
    table.add_column("table", width=8)
    table.add_column("items", width=14, justify="right")
    table.add_column("size", width=10, justify="right")
    table.add_column("status", width=12)
    table.add_column("name", overflow="fold", ratio=1)
    for one in tables:
        good = one.status == "ACTIVE"
        word = one.status or ("missing" if one.exists is False else "unreadable")
        table.add_row(
            one.role.value,
            "" if one.items is None else f"{one.items:,}",
            "" if one.size_bytes is None else _size(one.size_bytes),
            Text(word, style="green" if good else "red"),
            _named(f"{one.name} ({one.region})", one.problem),
        )
    return table


def _consumers(consumers: Sequence[ConsumerStatus]) -> Table:
    table = cells.new_table()
    for name, width in (("consumer", 14), ("mapping", 9), ("lag", 7)):
        table.add_column(name, width=width)
    table.add_column("last batch", overflow="fold", ratio=2)
    table.add_column("function", overflow="fold", ratio=3)
    for one in consumers:
        table.add_row(
            one.consumer.value,
            Text(one.state or "unreadable", style="green" if one.state == "Enabled" else "red"),
            "?" if one.lag_ms is None else f"{one.lag_ms / _THOUSAND:,.1f} s",
            one.last_result or "",
            _named(one.function, one.problem or one.lag_problem),
        )
    return table


def _kept_aside(kept: Sequence[KeptAside]) -> Table:
    table = cells.new_table()
    table.add_column("kept aside", overflow="fold", ratio=3)
    table.add_column("count", width=7, justify="right")
    table.add_column("newest (UTC)", width=cells.WHEN_WIDTH)
    table.add_column("where", overflow="fold", ratio=4)
    for one in kept:
        count = "?" if one.count is None else f"{one.count:,}{'+' if one.at_least else ''}"
        newest = cells.when(one.newest)[: cells.WHEN_WIDTH] if one.newest else ""
        look = "green" if one.count == 0 else "red"
        table.add_row(one.what, Text(count, style=look), newest, _named(one.prefix, one.problem))
    return table


def _named(name: str, problem: str | None) -> Text:
    text = cells.plain(name)
    return text.append(f"\n{cells.printable(problem)}", style="yellow") if problem else text


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < _THOUSAND:
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= _THOUSAND
    return f"{size:,.1f} TB"
