"""A generated history on disk: rows as the history writer makes them, digests and all.

Orders that are placed, changed, deleted and now and then placed again, over the last thirty days.
Rows lie in the order of their keys, their JSON ready to be sent and its first attributes of one
width, so that `history_endpoint` finds and serves them at next to no cost. A history is kept in the
system's temporary folder (1.1 KB a row) and used again for a day.
"""

import json
import multiprocessing
import random
import shutil
import sys
import tempfile
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.history_files import TableWriter, sort
from stream_core.attribute_values import Item, item_size, wire_json
from stream_core.change import Change, EventName
from stream_core.history_row import ID, SORT_KEY, HistoryRow

TIME_SHARDS = 4
SPAN = timedelta(days=30)
HISTORY, SOURCE, BY_TIME = "history", "source", "ByTime"
# The attributes that a row's JSON begins with: all that keys, index and scans need.
_HEAD = (ID, SORT_KEY, "Keys", "TimeBucket", "EventName")
_BY_TIME_KEY = ("TimeBucket", SORT_KEY, ID)

CACHE = Path(tempfile.gettempdir(), "itemtrail-benchmarks")
# One more for every change of what is generated or of how it is laid out.
_LAYOUT = 2
_KEPT_FOR = timedelta(days=1)
_PROCESSES = 2
_ROWS_A_PART = 10_000
FIRST_SEQUENCE = 100000000003218256368
_ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/source/stream/2026-11-25T00:00:00.000"
_REMOVED = 0.03
STATUSES = ("open", "paid", "packed", "shipped", "closed")
PEOPLE = ("alice", "bob", "carol", "dave", "erin", "frank")
_NOTE = "Leave it with the neighbours on the second floor if nobody answers the door."


@dataclass(frozen=True)
class History:
    """A history on disk: the folder `history_endpoint` serves, and when it begins and ends."""

    folder: Path
    start: datetime
    end: datetime
    rows: int
    items: int

    @classmethod
    def read(cls, folder: Path) -> "History":
        """The history in a folder; FileNotFoundError where none is, or it is not complete."""
        about = json.loads(Path(folder, "about.json").read_text("utf-8"))
        start, end = (datetime.fromisoformat(about[name]) for name in ("start", "end"))
        return cls(folder, start, end, about["rows"], about["items"])


def history(name: str, versions: Sequence[int], span: timedelta = SPAN) -> History:
    """The history of that name, generated unless a recent one is there.

    Args:
        name: what it is called in the temporary folder.
        versions: how many rows each item has.
        span: how long the history is.
    """
    folder = CACHE / f"{name}-{_LAYOUT}"
    try:
        existing = History.read(folder)
    except FileNotFoundError:
        existing = None
    # A rewind counts back from now: behind an old history lie hours in which nothing happened.
    if existing is None or existing.end < datetime.now(UTC) - _KEPT_FOR:
        shutil.rmtree(folder, ignore_errors=True)
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as work:
            _generate(Path(work), versions, span)
            Path(work).rename(folder)
            Path(work).mkdir()
        existing = History.read(folder)
    return existing


def forget() -> None:
    """Remove every generated history."""
    shutil.rmtree(CACHE, ignore_errors=True)


def skewed(rows: int, items: int) -> list[int]:
    """Versions of each item, so many rows in all: the busiest has hundreds of times the median."""
    draw = random.Random(rows)  # noqa: S311 - the same history every time
    more = Counter(int(items * draw.random() ** 2) for _ in range(rows - items))
    return [1 + more[number] for number in range(items)]


def order_id(number: int) -> str:
    """The key of an item, by its place among all; text order is that of the numbers."""
    return f"order-{number:07d}"


@dataclass
class _Part:
    """Some items' rows and live states, as JSON with a comma behind each."""

    rows: bytearray = field(default_factory=bytearray)
    row_ends: "array[int]" = field(default_factory=lambda: array("Q"))
    row_sizes: "array[int]" = field(default_factory=lambda: array("I"))
    live: bytearray = field(default_factory=bytearray)
    live_ends: "array[int]" = field(default_factory=lambda: array("Q"))
    live_sizes: "array[int]" = field(default_factory=lambda: array("I"))


def _generate(folder: Path, versions: Sequence[int], span: timedelta) -> None:
    end = datetime.now(UTC).replace(microsecond=0)
    start = end - span
    writing = "\r\x1b[Kgenerating a history: {:,} of {:,} rows" if sys.stderr.isatty() else ""
    tables = {name: TableWriter(folder, name) for name in (HISTORY, SOURCE)}
    with ProcessPoolExecutor(_PROCESSES, multiprocessing.get_context("spawn")) as pool:
        for part in pool.map(
            partial(_part, (start, end)), *zip(*parts_of(versions, _ROWS_A_PART), strict=True)
        ):
            tables[HISTORY].add(part.rows, part.row_ends, part.row_sizes)
            tables[SOURCE].add(part.live, part.live_ends, part.live_sizes)
            sys.stderr.write(writing.format(len(tables[HISTORY].ends), sum(versions)))
        sys.stderr.write("\r\x1b[K" if writing else "")
        for table in tables.values():
            table.close()
        pool.submit(sort, folder, HISTORY, _HEAD, BY_TIME, _BY_TIME_KEY).result()
    about = {
        "start": start.isoformat(),
        "end": end.isoformat(),
        "rows": len(tables[HISTORY].ends),
        "items": len(versions),
        "tables": [
            {"head": _HEAD, "description": _history_description(tables[HISTORY], start)},
            {"head": ["Id"], "description": _description(tables[SOURCE])},
        ],
    }
    # Last, because it says that the history is complete.
    Path(folder, "about.json").write_text(json.dumps(about, indent=1), "utf-8")


def parts_of(versions: Sequence[int], rows: int) -> Iterator[tuple[int, list[int]]]:
    """The first item of each part of so many rows, and how many rows each of its items has."""
    first, part, size = 0, [], 0
    for number, count in enumerate(versions):
        part.append(count)
        size += count
        if size >= rows or number == len(versions) - 1:
            yield first, part
            first, part, size = number + 1, [], 0


def _part(range_: tuple[datetime, datetime], first: int, versions: list[int]) -> _Part:
    part = _Part()
    for number, count in enumerate(versions, first):
        live: Item | None = None
        for change in _life(number, count, *range_):
            row = HistoryRow.from_change(change).to_item(TIME_SHARDS)
            part.rows += (
                wire_json({name: row[name] for name in _HEAD} | row, sort_keys=False) + b","
            )
            part.row_ends.append(len(part.rows))
            part.row_sizes.append(item_size(row))
            live = change.new_image
        if live is not None:
            part.live += wire_json(live, sort_keys=False) + b","
            part.live_ends.append(len(part.live))
            part.live_sizes.append(item_size(live))
    return part


def _life(number: int, versions: int, start: datetime, end: datetime) -> Iterator[Change]:
    """The changes of one item, oldest first."""
    draw = random.Random(number)  # noqa: S311 - the same history every time
    length = round((end - start).total_seconds())
    seconds = sorted(draw.randrange(length) for _ in range(versions))
    old: Item | None = None
    for version, second in enumerate(seconds):
        removed = old is not None and draw.random() < _REMOVED
        new = None if removed else _next_state(draw, number, version, old)
        # Seconds apart by more than any item's number and versions: in time order, all different.
        sequence = FIRST_SEQUENCE + second * 10**15 + number * 10**7 + version
        yield Change(
            item_id=order_id(number),
            event_id=f"{sequence:032x}",
            event_name=EventName.REMOVE
            if new is None
            else EventName.INSERT
            if old is None
            else EventName.MODIFY,
            event_source_arn=_ARN,
            aws_region="us-east-1",
            sequence_number=str(sequence),
            created_at=start + timedelta(seconds=second),
            size_bytes=700,
            keys={"Id": {"S": order_id(number)}},
            old_image=old,
            new_image=new,
        )
        old = new


def _next_state(draw: random.Random, number: int, version: int, old: Item | None) -> Item:
    """An order as it is placed, or as somebody changes it."""
    changed = {
        "Status": {"S": draw.choice(STATUSES)},
        "UpdatedBy": {"S": draw.choice(PEOPLE)},
        "Version": {"N": str(version + 1)},
    }
    if old is not None:
        return old | changed
    return {
        "Id": {"S": order_id(number)},
        "Customer": {"S": f"customer-{draw.randrange(50_000):05d}"},
        "Total": {"N": f"{draw.randrange(1_000)}.5"},
        "Note": {"S": _NOTE},
        **changed,
    }


def _key(*names: str) -> list[dict[str, str]]:
    kinds = ("HASH", "RANGE")
    return [
        {"AttributeName": name, "KeyType": kind} for name, kind in zip(names, kinds, strict=False)
    ]


def _description(table: TableWriter) -> dict[str, Any]:
    return {
        "TableName": table.name,
        "TableStatus": "ACTIVE",
        "KeySchema": _key("Id"),
        "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}],
        "CreationDateTime": 0,
        "ItemCount": len(table.ends),
        "TableSizeBytes": sum(table.sizes),
    }


def _history_description(table: TableWriter, start: datetime) -> dict[str, Any]:
    index = {
        "IndexName": BY_TIME,
        "IndexStatus": "ACTIVE",
        "KeySchema": _key("TimeBucket", SORT_KEY),
        "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["EventName"]},
    }
    return _description(table) | {
        "KeySchema": _key(ID, SORT_KEY),
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": "S"} for name in (ID, SORT_KEY, "TimeBucket")
        ],
        "CreationDateTime": (start - timedelta(hours=1)).timestamp(),
        "GlobalSecondaryIndexes": [index],
    }
