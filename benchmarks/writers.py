"""Records a second and CPU a record of both writers, beside the article's handler and the floor."""

import contextlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
from rich.console import Console
from rich.table import Table

from benchmarks import article, floor
from benchmarks.processes import TABLE_ARN, environment, serving
from stream_core.clients import CONCURRENCY

_ROUNDS = 5
_BATCH = 1000
_CREATED_AT = 1764000000.0
_DELAYS_MS = (0, 5, 70)
# Enough for a steady figure without waiting minutes for the slowest.
_ARTICLE_RECORDS = {0: 1000, 5: 100, 70: 20}
_ARN = f"{TABLE_ARN}/stream/2026-11-25T00:00:00.000"


@dataclass(frozen=True)
class Figure:
    """What one way of writing took, the median of several rounds."""

    writer: str
    way: str
    delay_ms: int
    records: int
    records_per_s: float
    cpu_us_per_record: float
    wall_s: float


def record(number: int) -> dict[str, Any]:
    """A change of a middling item, as Lambda hands it over."""
    key = {"Id": {"N": str(number)}}
    image = {
        **key,
        "Name": {"S": f"Employee {number}"},
        "Salary": {"N": "4200.5"},
        "Skills": {"SS": ["audit", "ops", "sql"]},
        "Address": {"M": {"City": {"S": "Palo Alto"}, "Zip": {"S": "94301"}}},
        "Notes": {"S": "x" * 200},
        "Badge": {"NULL": True},
        "Active": {"BOOL": True},
    }
    return {
        "eventID": f"{number:032x}",
        "eventName": "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "eventSourceARN": _ARN,
        "dynamodb": {
            "ApproximateCreationDateTime": _CREATED_AT,
            "Keys": key,
            "OldImage": {**image, "Salary": {"N": "4100"}},
            "NewImage": image,
            "SequenceNumber": str(100000000003218256368 + number),
            "SizeBytes": 700,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    }


@contextlib.contextmanager
def endpoint(delay_ms: int, records: list[dict[str, Any]]) -> Iterator[str]:
    """An endpoint that answers after so long and knows the records' items."""
    items = {
        json.dumps(change["dynamodb"]["Keys"], sort_keys=True): json.dumps(
            change["dynamodb"]["NewImage"]
        )
        for change in records
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "items.json")
        path.write_text(json.dumps(items), "utf-8")
        with serving("benchmarks.endpoint", str(delay_ms), str(path)) as served:
            yield served.url


def measured(work: Callable[[], object], records: int, writer: str, way: str, delay: int) -> Figure:
    """Run some work several times, once to warm up; the median counts."""
    work()
    walls, cpus = [], []
    for _ in range(_ROUNDS):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    wall, cpu = statistics.median(walls), statistics.median(cpus)
    return Figure(writer, way, delay, records, records / wall, cpu / records * 1e6, wall)


def handlers(*, settle: bool) -> dict[str, Any]:
    """The deployed handlers, with new clients for this endpoint."""
    os.environ["SETTLE"] = str(settle).lower()
    import history_writer.app  # noqa: PLC0415 - reads its settings from what was just set
    import replica_writer.app  # noqa: PLC0415

    history_writer.app._parts.cache_clear()  # noqa: SLF001
    replica_writer.app._parts.cache_clear()  # noqa: SLF001
    # The same batch comes again and again; each time it counts as one of just now.
    _, writer, _ = replica_writer.app._parts()  # noqa: SLF001
    object.__setattr__(writer, "clock", lambda: datetime.fromtimestamp(_CREATED_AT, UTC))
    object.__setattr__(writer, "seen", SimpleNamespace(is_news=lambda _delivery: True))
    return {"history": history_writer.app, "replica": replica_writer.app}


def compare(delay: int) -> list[Figure]:
    """Every way of writing, against an endpoint with one delay."""
    records = [record(number) for number in range(_BATCH)]
    began = time.monotonic()
    context = SimpleNamespace(
        # Long enough for everything here, and sure to end.
        get_remaining_time_in_millis=lambda: int((began + 300 - time.monotonic()) * 1000)
    )
    few = {"Records": records[: _ARTICLE_RECORDS[delay]]}
    figures = []
    with endpoint(delay, records) as url:
        os.environ |= environment(url)
        resource = boto3.resource("dynamodb")
        old_ways = {"history": article.append, "replica": article.replicate}
        for writer, settle in (("history", True), ("replica", True), ("replica", False)):
            app = handlers(settle=settle)[writer]
            work = lambda app=app: app.handler({"Records": records}, context)  # noqa: E731
            way = "itemtrail" if settle else "itemtrail, no settle"
            figures.append(measured(work, _BATCH, writer, way, delay))
            figures.append(_floor(app, work, writer, f"floor of {way}", delay))
        for writer, old_way in old_ways.items():
            table = resource.Table("t")
            work = lambda old_way=old_way, table=table: old_way(few, table)  # noqa: E731
            figures.append(measured(work, len(few["Records"]), writer, "article", delay))
    return figures


def _floor(app: Any, work: Callable[[], object], writer: str, way: str, delay: int) -> Figure:
    """Record what the work sends, then send the same with nothing around it."""
    requests: list[floor.Request] = []
    _, consumer, _ = app._parts()  # noqa: SLF001
    settler = getattr(consumer, "settler", None)
    clients = (
        [consumer.dynamodb]
        if settler is None
        else [settler.replica.client, *([settler.source.client] if settler.source else [])]
    )
    for client in clients:
        floor.recorded(client, requests)
    work()
    return measured(lambda: floor.send_again(requests, CONCURRENCY), _BATCH, writer, way, delay)


def measure() -> list[dict[str, Any]]:
    """Every way of writing, against endpoints with every delay."""
    return [asdict(figure) for delay in _DELAYS_MS for figure in compare(delay)]


def show(measured_figures: list[dict[str, Any]], console: Console) -> None:
    """Print the figures as a table."""
    figures = [Figure(**figure) for figure in measured_figures]
    baseline = {(f.writer, f.delay_ms): f for f in figures if f.way == "article"}
    floors = {(f.writer, f.delay_ms, f.way): f for f in figures}
    table = Table(title=f"Batches of {_BATCH} records, {CONCURRENCY} connections")
    for name in (
        "delay",
        "writer",
        "way",
        "records/s",
        "CPU µs/record",
        "times article",
        "times floor's wall",
    ):
        table.add_column(name, justify="left" if name in ("writer", "way") else "right")
    for figure in figures:
        ratio = figure.records_per_s / baseline[figure.writer, figure.delay_ms].records_per_s
        below = floors.get((figure.writer, figure.delay_ms, f"floor of {figure.way}"))
        table.add_row(
            f"{figure.delay_ms} ms",
            figure.writer,
            figure.way,
            f"{figure.records_per_s:,.0f}",
            f"{figure.cpu_us_per_record:,.0f}",
            f"{ratio:.1f}",
            f"{figure.wall_s / below.wall_s:.2f}" if below else "",
        )
    console.print(table)
