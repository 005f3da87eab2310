"""What `status` and `doctor` show."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.filesize import decimal
from rich.table import Column
from rich.text import Text

from itemtrail.tables import cells
from itemtrail.tables.layout import Row, folded, table_of, titled
from itemtrail.tables.missing_records import missing_table
from operations.proof import Proof
from reports.deployment.advice import Advice
from reports.deployment.stack import extent_of
from reports.deployment.status import ConsumerStatus, KeptAside, Status, TableStatus
from reports.states.watermark import NoWatermark, Watermark
from reports.unseen import visible
from stream_core.history_row import time_text

_MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("?", "yellow")}
_MS_A_SECOND = 1000
_TABLE_COLUMNS = (
    Column("table", width=8),
    Column("items", width=14, justify="right"),
    Column("size", width=10, justify="right"),
    Column("status", width=12),
    folded("name"),
)
_CONSUMER_COLUMNS = (
    Column("consumer", width=14),
    Column("mapping", width=9),
    Column("lag", width=7),
    folded("last batch", 2),
    folded("function", 3),
)
_KEPT_COLUMNS = (
    folded("kept aside", 3),
    Column("count", width=7, justify="right"),
    Column("newest (UTC)", width=cells.WHEN_WIDTH),
    folded("where", 4),
)
_CHECK_COLUMNS = (
    Column("", width=1),
    folded("check", 2),
    folded("of", 3),
    folded("found", 4, "dim"),
)


def status_blocks(status: Status, proof: Proof | None) -> Iterator[RenderableType]:
    """How a deployment is now, and what holding its stream against its history came to."""
    extent = extent_of([consumer.consumer for consumer in status.consumers])
    horizon = f"; history since {cells.when(status.horizon)}" if status.horizon else ""
    title = f"{status.stack} in {status.region} at {cells.zoned(status.at)}"
    yield titled(title, extent + horizon)
    if status.watermark is not None:
        yield _watermark_line(status.watermark)
    yield from ("", table_of(_TABLE_COLUMNS, map(_table_row, status.tables)))
    yield from ("", table_of(_CONSUMER_COLUMNS, map(_consumer_row, status.consumers)))
    yield from ("", table_of(_KEPT_COLUMNS, map(_kept_row, status.kept_aside)))
    yield Text(f"in the bucket {status.quarantine_bucket}", style="dim")
    yield ""
    if proof is not None:
        yield from _proof_blocks(proof)


def _watermark_line(watermark: Watermark | NoWatermark) -> Text:
    if isinstance(watermark, NoWatermark):
        return Text(f"complete until: not known, {visible(watermark.reason)}", "yellow")
    until = f"complete until {cells.when(watermark.at)} ({watermark.basis}): "
    return Text(until + visible(watermark.reason))


def _proof_blocks(proof: Proof) -> Iterator[RenderableType]:
    yield titled(
        f"The stream against the history: {cells.count_of(proof.records, 'record')} of "
        f"{cells.count_of(proof.shards, 'shard')}",
        _watermark_line(proof.watermark),
    )
    if proof.missing:
        yield from ("", missing_table(proof.missing))
        yield Text("to bring them back: itemtrail redrive --from-stream", style="dim")
    if isinstance(proof.watermark, Watermark):
        until = time_text(proof.watermark.at)
        yield Text(f"to have answers rest on it: --keep, or --recorded-until {until}", style="dim")
    yield ""


def advice_blocks(about: str, advice: Sequence[Advice]) -> Iterator[RenderableType]:
    """What was looked at, and what to do; what is not as it must be comes first."""
    passed, failed, unknown = (
        [check for check in advice if check.ok is ok] for ok in (True, False, None)
    )
    counts = Text(", ").join(
        Text(f"{len(checks)} {what}", style=look)
        for checks, what, look in (
            (passed, "passed", "green"),
            (failed, "to fix", "red"),
            (unknown, "could not be checked", "yellow"),
        )
        if checks
    )
    yield titled(f"{about}: {cells.count_of(len(advice), 'check')}", counts, "")
    yield from map(_advice, (*failed, *unknown))
    if passed:
        yield table_of(_CHECK_COLUMNS, map(_check_row, passed), header=False)
        yield ""


def _advice(advice: Advice) -> Group:
    mark = Text(*_MARKS[advice.ok])
    lines = [
        Text.assemble(mark, " ", (advice.check, "bold"), " of ", cells.plain(advice.subject)),
        Text.assemble("  ", cells.plain(advice.observation)),
    ]
    if advice.to_do is not None:
        lines.append(Text.assemble("  → ", cells.plain(advice.to_do)))
    # Not wrapped by us: a command has to be one line when it is copied.
    return Group(Text("\n", no_wrap=True, overflow="ignore").join([*lines, Text("")]))


def _check_row(advice: Advice) -> Row:
    mark = Text(*_MARKS[advice.ok])
    return mark, advice.check, cells.plain(advice.subject), cells.plain(advice.observation)


def _table_row(table: TableStatus) -> Row:
    word = table.status or ("missing" if table.exists is False else "unreadable")
    return (
        table.role.value,
        "" if table.items is None else f"{table.items:,}",
        "" if table.size_bytes is None else decimal(table.size_bytes),
        Text(word, style="green" if table.status == "ACTIVE" else "red"),
        _named(f"{table.name} ({table.region})", table.problem),
    )


def _consumer_row(consumer: ConsumerStatus) -> Row:
    look = "green" if consumer.state == "Enabled" else "red"
    return (
        consumer.consumer.value,
        Text(consumer.state or "unreadable", style=look),
        "?" if consumer.lag_ms is None else f"{consumer.lag_ms / _MS_A_SECOND:,.1f} s",
        consumer.last_result or "",
        _named(consumer.function, consumer.problem or consumer.lag_problem),
    )


def _kept_row(kept: KeptAside) -> Row:
    count = "?" if kept.count is None else f"{kept.count:,}{'+' if kept.at_least else ''}"
    newest = cells.when(kept.newest)[: cells.WHEN_WIDTH] if kept.newest else ""
    look = "green" if kept.count == 0 else "red"
    return kept.what, Text(count, style=look), newest, _named(kept.prefix, kept.problem)


def _named(name: str, problem: str | None) -> Text:
    text = cells.plain(name)
    return text.append(f"\n{visible(problem)}", style="yellow") if problem else text
