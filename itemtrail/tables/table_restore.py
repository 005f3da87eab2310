"""What `restore --into` shows: how the new table is set up, and what is in it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.table import Column
from rich.text import Text

from itemtrail.records.kinds import Record
from itemtrail.records.table_restore import table_restore_line_records
from itemtrail.tables import cells
from itemtrail.tables.layout import CountLine, Row, count_table, folded, notes, table_of, titled
from itemtrail.tables.outcomes import outcome_cells
from operations.recovery.table.results import TableRestored
from operations.recovery.table.settings import TableSettings
from reports.unseen import visible

_MOST_LISTED = 20
_INDEXES = {"GlobalSecondaryIndexes": "index", "LocalSecondaryIndexes": "local index"}


def setup_blocks(settings: TableSettings, left_out: Iterable[str]) -> Iterator[RenderableType]:
    """How a new table is set up, and what it does not get of the source's."""
    for line in _setup_lines(settings.request):
        yield Text(visible(f"set up with {line}"), style="dim")
    yield Text("protected against deletion, and recoverable, once all is there", style="dim")
    for text in left_out:
        yield Text.assemble(("left out: ", "yellow"), visible(text))
    yield ""


def _setup_lines(request: Mapping[str, Any]) -> Iterator[str]:
    yield f"key {_key(request)}, {_capacity(request)}"
    for kind, word in _INDEXES.items():
        for index in request.get(kind, ()):
            projection = index["Projection"]["ProjectionType"]
            yield f"{word} {index['IndexName']}: {_key(index)}, {projection}"
    if "StreamSpecification" in request:
        yield f"stream {request['StreamSpecification']['StreamViewType']}"
    if "SSESpecification" in request:
        yield f"encryption key {request['SSESpecification']['KMSMasterKeyId']}"
    if "TableClass" in request:
        yield f"table class {request['TableClass']}"
    if tags := [tag["Key"] for tag in request.get("Tags", ())]:
        yield f"tags {', '.join(tags)}"


def _key(owner: Mapping[str, Any]) -> str:
    return ", ".join(part["AttributeName"] for part in owner["KeySchema"])


def _capacity(request: Mapping[str, Any]) -> str:
    units = request.get("ProvisionedThroughput")
    if units is None:
        limits = request.get("OnDemandThroughput", {})
        most = "".join(f", {name} {limit:,}" for name, limit in limits.items())
        return f"billed on demand{most}"
    reads, writes = units["ReadCapacityUnits"], units["WriteCapacityUnits"]
    return f"{reads:,} read and {writes:,} write units a second, which filling it keeps to"


def _problem(record: Record) -> Row:
    """A problem's line; the reasons of what is not certain stand above."""
    why = record["certainty"] or record["reason"]
    return outcome_cells((cells.key_cell(record["key"]), record["problem"], cells.plain(why)))


def table_restore_blocks(restored: TableRestored, title: str) -> Iterator[RenderableType]:
    """What a new table has, or would have."""
    would = "" if restored.applied else "would be "
    left_out = "" if restored.allows_uncertain else ", left out without --allow-uncertain"
    uncertain = f"items of which it is not certain what they were{left_out}"
    lines = [
        CountLine(restored.items, f"items {would}in the new table", "green"),
        CountLine(restored.already_there, "of them, which were there before"),
        CountLine(len(restored.unwritten), "items that it did not take, or has otherwise", "red"),
        CountLine(restored.extraneous, "items that it has, and that are not in the order", "red"),
        CountLine(len(restored.unknown), "keys that nothing knows", "red"),
        CountLine(restored.uncertain.total(), uncertain, "yellow"),
    ]
    rarely = lines[1:5]
    shown = [line for line in lines if line.count or line not in rarely]
    yield titled(title, count_table(shown), "")
    if restored.uncertain:
        reasons = [CountLine(number, why) for why, number in restored.reasons.items()]
        yield from (Text("not certain, because", style="yellow"), count_table(reasons), "")
    if problems := list(table_restore_line_records(restored)):
        columns = folded("key", 2), Column("it is", width=len("extraneous")), folded("why", 5)
        yield table_of(columns, map(_problem, problems[:_MOST_LISTED]))
        if len(problems) > _MOST_LISTED:
            yield cells.more(len(problems) - _MOST_LISTED)
        yield ""
    yield from setup_blocks(restored.settings, restored.left_out)
    yield Text(f"by {restored.method}: {restored.reason}", style="dim")
    yield from notes(restored.notes)
