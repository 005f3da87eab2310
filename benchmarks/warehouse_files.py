"""A generated dataset on disk: the history of orders over a year, as an ingest leaves it.

Orders are placed, changed, deleted and now and then placed again; of a few changes the record is
missing, so that not every answer is certain. For speed, lines are put together from texts, and a
sample of them is held against the product's own check of a dataset. The same rows every time, kept
in the system's temporary folder (0.2 KB a row) until `--forget`.
"""

import hashlib
import multiprocessing
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from benchmarks.history import CACHE, FIRST_SEQUENCE, PEOPLE, STATUSES, parts_of, skewed
from stream_core.change import EventName
from stream_core.history_row import FORMAT, sort_key_of
from warehouse.archive.merge import MonthFile
from warehouse.check import check_of
from warehouse.dataset.manifest import MANIFEST, ROWS_FOLDER, DataFile, Dataset, Ingested
from warehouse.dataset.schema import MONTH, ROWS, STATE_BYTES

START, END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)

# One more for every change of what is generated or of how it is laid out.
_LAYOUT = 1
_PROCESSES = 2
_ROWS_A_PART = 1_000_000
# Few lines at a time: Python looks after each of them.
_LINES, _CHECKED_OF_THEM = 2_048, 4

_TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/history"
_STREAM = "arn:aws:dynamodb:us-east-1:123456789012:table/source/stream/2024-12-31T00:00:00.000"
_SECONDS = range(round((END - START).total_seconds()))
_MICROSECONDS = 1_000_000
_REMOVED, _LOST = 0.03, 0.001
_WORDS = (
    "leave it with the neighbours on second floor if nobody answers door and ring twice before "
    "calling warehouse gate code is needed after six parcel fragile glass keep upright dry"
)
_CHANGING = ("Status", "UpdatedBy", "Version")
_NAMES = ["Customer", "Id", "Note", "Status", "Total", "UpdatedBy", "Version"]


def middle() -> datetime:
    """The instant half-way through the history."""
    return START + (END - START) / 2


def generated(rows: int) -> Dataset:
    """The dataset of so many rows of a tenth as many items, generated unless it is there."""
    folder = CACHE / f"warehouse-{rows}-{_LAYOUT}"
    if not Path(folder, MANIFEST).exists():
        shutil.rmtree(folder, ignore_errors=True)
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as work:
            _generate(Path(work), rows)
            Path(work).rename(folder)
            Path(work).mkdir()
    return Dataset.open(folder)


class _State(NamedTuple):
    """An order at a time."""

    status: str
    person: str
    version: int
    image: str
    hash: bytes


@dataclass(frozen=True)
class _Order:
    """What of an order stays the same, as parts of its canonical JSON."""

    id: str
    keys: str
    head: str
    body: str

    @classmethod
    def drawn(cls, draw: random.Random, number: int) -> "_Order":
        """The order of a number; text order is that of the numbers."""
        id_ = f"order-{number:08d}"
        customer = f"customer-{draw.randrange(50_000):05d}"
        note = " ".join(draw.choices(_WORDS.split(), k=50))
        head = f'{{"Customer":{{"S":"{customer}"}},"Id":{{"S":"{id_}"}},"Note":{{"S":"{note}"}}'
        total = f'"Total":{{"N":"{draw.randrange(1_000)}.5"}}'
        return cls(id_, f'{{"Id":{{"S":"{id_}"}}}}', head, total)

    def state(self, draw: random.Random, version: int) -> _State:
        """The order as it is placed, or as somebody changes it."""
        status, person = draw.choice(STATUSES), draw.choice(PEOPLE)
        image = (
            f'{self.head},"Status":{{"S":"{status}"}},{self.body},'
            f'"UpdatedBy":{{"S":"{person}"}},"Version":{{"N":"{version}"}}}}'
        )
        hash_ = hashlib.sha256(image.encode("ascii")).digest()[:STATE_BYTES]
        return _State(status, person, version, image, hash_)


def _generate(folder: Path, rows: int) -> None:
    versions = skewed(rows, max(1, rows // 10))
    writing = "\r\x1b[Kgenerating a dataset: {:,} of {:,} rows" if sys.stderr.isatty() else ""
    files: list[DataFile] = []
    with ProcessPoolExecutor(_PROCESSES, multiprocessing.get_context("spawn")) as pool:
        parts = list(parts_of(versions, min(_ROWS_A_PART, -(-rows // _PROCESSES))))
        for part in pool.map(_part, [folder] * len(parts), *zip(*parts, strict=True)):
            files += part
            sys.stderr.write(writing.format(sum(file.rows for file in files), rows))
    sys.stderr.write("\r\x1b[K" if writing else "")
    export = Ingested(
        *(f"{_TABLE}/export/1", "FULL_EXPORT", "table"),
        since=None,
        until=END,
        items=rows,
        rows=rows,
        md5="",
    )
    # Last, because it says that the dataset is complete.
    Dataset(folder, _TABLE, START, END, (export,), tuple(files)).save()


def _part(folder: Path, first: int, versions: Sequence[int]) -> list[DataFile]:
    months: dict[str, _GeneratedFile] = {}
    for number, count in enumerate(versions, first):
        for line in _life(number, count):
            month = line[1][: len("2025-01")]
            if month not in months:
                months[month] = _GeneratedFile(folder, month, first)
            months[month].add(line)
    return [months[month].finish() for month in sorted(months)]


class _GeneratedFile:
    """One file of the dataset while it is written, by what an ingest writes with."""

    def __init__(self, folder: Path, month: str, first: int) -> None:
        self._folder = folder
        self._name = f"{ROWS_FOLDER}/{MONTH}={month}/from-{first:08d}.parquet"
        self._lines: list[tuple[Any, ...]] = []
        self._check = check_of(END)
        path = folder / self._name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = MonthFile(path, month)

    def add(self, line: tuple[Any, ...]) -> None:
        """Add a line, in order."""
        self._lines.append(line)
        if len(self._lines) >= _LINES:
            self._flush()

    def finish(self) -> DataFile:
        """The file, complete."""
        self._flush()
        self._file.finish()
        return DataFile.from_file(self._folder, self._name, f"{_TABLE}/export/1")

    def _flush(self) -> None:
        if not self._lines:
            return
        columns = [
            pa.array(values, field.type)
            for field, values in zip(ROWS, zip(*self._lines, strict=True), strict=True)
        ]
        batch = pa.RecordBatch.from_arrays(columns, schema=ROWS)
        if faults := self._check(batch.slice(0, _CHECKED_OF_THEM)).to_pylist():
            raise AssertionError(f"lines that the product would not have written: {faults}")
        self._lines.clear()
        self._file.add(pa.Table.from_batches([batch]))


def _life(number: int, rows: int) -> Iterator[tuple[Any, ...]]:
    """The lines of one order, oldest first."""
    draw = random.Random(number)  # noqa: S311 - the same history every time
    order = _Order.drawn(draw, number)
    version, old = 0, None
    for place, second in enumerate(sorted(draw.choices(_SECONDS, k=rows))):
        if draw.random() < _LOST:
            version += 1
            old = order.state(draw, version)
        version += 1
        removed = old is not None and draw.random() < _REMOVED
        new = None if removed else order.state(draw, version)
        # Seconds apart by more than any order's number and rows: in time order, all different.
        yield _line(order, second, second * 10**15 + number * 10**6 + place, old, new)
        old = new


def _line(
    order: _Order, second: int, place: int, old: _State | None, new: _State | None
) -> tuple[Any, ...]:
    """The columns of `warehouse.dataset.schema.ROWS`."""
    sequence = str(FIRST_SEQUENCE + place)
    event_id = f"{place:032x}"
    sort_key = sort_key_of(START + timedelta(seconds=second), sequence)
    event = EventName.INSERT if old is None else EventName.MODIFY if new else EventName.REMOVE
    images = "".join(
        f'"{name}":{{"M":{state.image}}},'
        for name, state in (("NewImage", new), ("OldImage", old))
        if state
    )
    sealed = (
        f'{{"ApproximateCreationDateTime":{{"S":"{sort_key}"}},"AwsRegion":{{"S":"us-east-1"}},'
        f'"EventId":{{"S":"{event_id}"}},"EventName":{{"S":"{event.value}"}},'
        f'"EventSourceARN":{{"S":"{_STREAM}"}},"Id":{{"S":"{order.id}"}},'
        f'"Keys":{{"M":{order.keys}}},{images}"SequenceNumber":{{"S":"{sequence}"}},'
        '"SizeBytes":{"N":"900"}}'
    )
    return (
        order.id,
        sort_key,
        # Arrow takes its time for a datetime.
        (round(START.timestamp()) + second) * _MICROSECONDS,
        sequence,
        event.value,
        order.keys,
        old and old.image,
        new and new.image,
        old and old.hash,
        new and new.hash,
        _changed(old, new),
        event_id,
        _STREAM,
        "us-east-1",
        900,
        None,
        hashlib.sha256(sealed.encode("ascii")).digest(),
        int(FORMAT),
        None,
    )


def _changed(old: _State | None, new: _State | None) -> list[str]:
    if old is None or new is None:
        return _NAMES
    return [
        name for name, before, after in zip(_CHANGING, old, new, strict=False) if before != after
    ]
