"""Whole tables beside the plain way, which scans and goes item by item; and their peak memory.

Backfill, compare, and restore into a new table. Every run is a process of its own. The endpoint
refuses what is not the source's item, and has to have been given all of them, once each, in each
table that is written; a comparison has to find what was planted.

    python -m benchmarks.operations WAY ITEMS      for an endpoint named by AWS_ENDPOINT_URL
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from rich.console import Console
from rich.table import Table

from benchmarks.processes import Served, ask, serving
from benchmarks.spent import Clock
from benchmarks.two_tables_endpoint import CREATED_AT
from operations.backfill.plan import backfill
from operations.deployed_tables import DeployedTables
from operations.execution.pace import Pace
from operations.recovery.table.order import TableOrder
from operations.recovery.table.plan import plan_table
from operations.recovery.table.restore import restore_table
from operations.replica.compare import compare
from operations.replica.discrepancies import DiscrepancyKind
from reports.states.watermark import Basis, Watermark

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_DELAYS_MS = (0, 5)
_ITEMS = 10_000
# One by one the rate is the same for fewer: as many as take some seconds.
_PLAIN_ITEMS = {0: 2_000, 5: 500}
_FEW, _MOST = 100, 200_000
_CHECKED_ITEMS = 2_000
# A table of its own: what is written twice is refused.
_WARM_UP_ITEMS = 50
# What is planted does not move, so there is nothing to wait for.
_PATIENCE_S = 0.2
# A minute after all changes, and so long ago that the history is read and no table rewound.
_RESTORED_AT = datetime.fromtimestamp(CREATED_AT, UTC) + timedelta(minutes=1)
# What each operation fills.
_WRITTEN = {"backfill": ("history", "replica"), "compare": (), "restore": ("restored",)}


@dataclass(frozen=True)
class Figure:
    """What one way of doing it took.

    Attributes:
        requests: of all tables.
        cpu_s: of the client alone.
    """

    operation: str
    way: str
    delay_ms: int
    items: int
    seconds: float
    cpu_s: float
    requests: int
    peak_mb: int

    @property
    def items_per_s(self) -> float:
        """Throughput."""
        return self.items / self.seconds


def measure(most: int = _MOST) -> dict[str, list[dict[str, Any]]]:
    """Throughput at every delay, and peak memory by size.

    Args:
        most: the largest table; the backfill of it takes most of the time.

    Raises:
        AssertionError: an item was left out, or done twice, or a difference was not found.
    """
    speed, memory = [], []
    for delay_ms in _DELAYS_MS:
        with serving("benchmarks.two_tables_endpoint", str(delay_ms)) as endpoint:
            _check(endpoint)
            for operation in _WRITTEN:
                speed.append(_run(endpoint, operation, "plain", delay_ms, _PLAIN_ITEMS[delay_ms]))
                sizes = (_ITEMS,) if delay_ms else (_FEW, _ITEMS, most)
                ours = [_run(endpoint, operation, "itemtrail", delay_ms, items) for items in sizes]
                speed += [figure for figure in ours if figure.items == _ITEMS]
                memory += [] if delay_ms else ours
    return {
        "speed": [asdict(figure) for figure in speed],
        "memory": [asdict(figure) for figure in memory],
    }


def show(figures: dict[str, list[dict[str, Any]]], console: Console) -> None:
    """Print the figures as tables."""
    speed = [Figure(**figure) for figure in figures["speed"]]
    plain = {
        (figure.operation, figure.delay_ms): figure for figure in speed if figure.way == "plain"
    }
    table = Table(title="Whole tables, beside a scan and then item by item")
    for name in ("delay", "operation", "way", "items", "items/s", "times plain", "calls/item"):
        table.add_column(name, justify="left" if name in ("operation", "way") else "right")
    table.add_column("CPU µs/item", justify="right")
    for figure in speed:
        theirs = plain[figure.operation, figure.delay_ms]
        table.add_row(
            f"{figure.delay_ms} ms",
            figure.operation,
            figure.way,
            f"{figure.items:,}",
            f"{figure.items_per_s:,.0f}",
            f"{figure.items_per_s / theirs.items_per_s:.1f}",
            f"{figure.requests / figure.items:.2f}",
            f"{figure.cpu_s / figure.items * 1e6:,.0f}",
            end_section=figure.way == "itemtrail",
        )
    console.print(table)
    memory = [Figure(**figure) for figure in figures["memory"]]
    fewer = {figure.operation: figure.peak_mb for figure in memory if figure.items == _ITEMS}
    table = Table("operation", "items", "peak MB", f"times {_ITEMS:,}'s", "s", title="Peak memory")
    for figure in memory:
        ratio = figure.peak_mb / fewer[figure.operation]
        table.add_row(
            figure.operation,
            f"{figure.items:,}",
            f"{figure.peak_mb}",
            f"{ratio:.2f}",
            f"{figure.seconds:,.1f}",
        )
    console.print(table)


def _run(endpoint: Served, operation: str, way: str, delay_ms: int, items: int) -> Figure:
    """Have a process of its own do it, and hold what it did against the endpoint's counts."""
    words = f"{operation} of {items:,} items, {way}, {delay_ms} ms"
    endpoint.counts()
    with Console(stderr=True).status(words):
        answer = ask("benchmarks.operations", f"{way} {operation}", str(items), url=endpoint.url)
    counts = endpoint.counts()
    for table in _WRITTEN[operation]:
        _, _, different = counts[f"{table}-{items}"]
        _require(different, items, f"{words}: items written to {table}")
    _require(answer["looked_at"], items, f"{words}: items looked at")
    _require(answer["differing"], [], f"{words}: differences")
    requests = sum(
        table_counts[0] for table, table_counts in counts.items() if table.endswith(f"-{items}")
    )
    spent = {name: answer[name] for name in ("seconds", "cpu_s", "peak_mb")}
    return Figure(operation, way, delay_ms, items, requests=requests, **spent)


def _check(endpoint: Served) -> None:
    """A planted difference is found, by both ways."""
    for way in ("itemtrail", "plain"):
        answer = ask("benchmarks.operations", f"{way} find", str(_CHECKED_ITEMS), url=endpoint.url)
        _require(answer["looked_at"], _CHECKED_ITEMS, f"{way}: items looked at")
        _require(answer["differing"], [_CHECKED_ITEMS // 2], f"{way}: the difference planted")


def _require(actual: object, expected: object, what: str) -> None:
    if actual != expected:
        raise AssertionError(f"{what}: {actual}, not {expected}")


def _backfilled(items: int) -> tuple[int, list[int]]:
    with tempfile.TemporaryDirectory() as folder:
        done = backfill(
            _deployment(items), apply=True, state_path=Path(folder, "state.json"), pace=Pace()
        )
    counts = done.counts
    if not done.finished or done.problems or done.unfinished:
        troubles = (done.problems + done.unfinished)[:3]
        raise AssertionError(f"the backfill was not finished: {counts}, {troubles}")
    _require((counts.baselines, counts.settled), (items, items), "baselines and settled items")
    return counts.scanned, []


def _compared(items: int, replica: str = "replica") -> tuple[int, list[int]]:
    comparison = compare(_deployment(items, replica), pace=Pace(patience_s=_PATIENCE_S))
    differences = list(comparison)
    summary = comparison.summary
    _require(
        (summary.is_complete, summary.source_items, summary.replica_items),
        (True, items, items),
        "the comparison",
    )
    if not all(difference.kind is DiscrepancyKind.DIFFERENT for difference in differences):
        raise AssertionError(f"what was planted is different: {differences}")
    return summary.looked_at, [int(difference.keys["Id"]["N"]) for difference in differences]


def _restored(items: int) -> tuple[int, list[int]]:
    deployment, pace = _deployment(items, history="recorded"), Pace()
    deployment.declared = Watermark(pace.machine.now(), Basis.DECLARED, "by the benchmark")
    order = TableOrder(f"restored-{items}", _RESTORED_AT)
    restored = restore_table(
        deployment, plan_table(deployment, order, pace=pace), apply=True, pace=pace
    )
    _require((restored.is_clean, restored.notes), (True, ()), "a restore, and what is amiss of it")
    return restored.items, []


def _plainly_restored(items: int) -> tuple[int, list[int]]:
    """Of what the source has now, without a look at the history: no restore could do with less."""
    client = boto3.client("dynamodb")
    done = 0
    for item in _scanned(client, items):
        done += 1
        client.put_item(TableName=f"restored-{items}", Item=item)
    return done, []


def _plainly_backfilled(items: int) -> tuple[int, list[int]]:
    client = boto3.client("dynamodb")
    done = 0
    for item in _scanned(client, items):
        done += 1
        client.put_item(
            TableName=f"history-{items}",
            Item={
                "Id": {"S": item["Id"]["N"]},
                "ApproximateCreationDateTime": {"S": "2026-11-25T00:00:00Z#0"},
                "EventName": {"S": "SNAPSHOT"},
                "Keys": {"M": {"Id": item["Id"]}},
                "NewImage": {"M": item},
            },
            ConditionExpression="attribute_not_exists(Id)",
        )
        client.put_item(TableName=f"replica-{items}", Item=item)
    return done, []


def _plainly_compared(items: int, replica: str = "replica") -> tuple[int, list[int]]:
    client = boto3.client("dynamodb")
    done, differing = 0, []
    for item in _scanned(client, items):
        done += 1
        key = {"Id": item["Id"]}
        copy = client.get_item(TableName=f"{replica}-{items}", Key=key, ConsistentRead=True)
        if copy.get("Item") != item:
            differing.append(int(item["Id"]["N"]))
    return done, differing


def _scanned(client: "DynamoDBClient", items: int) -> Iterator[Any]:
    pages = client.get_paginator("scan").paginate(TableName=f"source-{items}", ConsistentRead=True)
    return (item for page in pages for item in page["Items"])


def _deployment(items: int, replica: str = "replica", history: str = "history") -> DeployedTables:
    return DeployedTables(
        f"source-{items}",
        boto3.Session(),
        endpoint_url=os.environ["AWS_ENDPOINT_URL"],
        history_table=f"{history}-{items}",
        time_shards=4,
        overflow_bucket="overflow",
        replica_table=f"{replica}-{items}",
    )


_WAYS: dict[str, Callable[[int], tuple[int, list[int]]]] = {
    "itemtrail backfill": _backfilled,
    "itemtrail compare": _compared,
    "itemtrail restore": _restored,
    "itemtrail find": lambda items: _compared(items, "differing"),
    "plain backfill": _plainly_backfilled,
    "plain compare": _plainly_compared,
    "plain restore": _plainly_restored,
    "plain find": lambda items: _plainly_compared(items, "differing"),
}


def _spent(way: str, items: int) -> dict[str, Any]:
    """Do it once, after a small run that loads what has to be loaded."""
    _WAYS[way](_WARM_UP_ITEMS)
    clock = Clock()
    looked_at, differing = _WAYS[way](items)
    return {"looked_at": looked_at, "differing": differing, **clock.elapsed()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_spent(sys.argv[1], int(sys.argv[2]))) + "\n")
