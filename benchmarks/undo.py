"""Undo and restore of many items beside the plain way, item by item.

Every run is a process of its own. The endpoint has to have been given each item as it is to be: the
bad job's change gone, and what others have written since kept.

    python -m benchmarks.undo WAY ITEMS      for an endpoint named by AWS_ENDPOINT_URL
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
from rich.console import Console
from rich.table import Table

from benchmarks.bad_job_endpoint import BEFORE, BEGAN, ENDED, PRESENT, keys_of
from benchmarks.processes import Served, ask, serving
from benchmarks.spent import Clock
from operations.deployed_tables import DeployedTables
from operations.execution.item_writer import WriteOutcome
from operations.execution.pace import Pace
from operations.execution.plan_file import Plan, PlanItem
from operations.execution.plan_header import PlanMaker
from operations.execution.run import PlanRun, RunChoice
from operations.recovery.bad_changes import select_bad
from operations.recovery.plan_items import restored_items, undone_items
from operations.recovery.restore_items import plan_restore
from operations.recovery.undo import plan_undo
from reports.access.machine import Machine
from reports.access.table_description import describe
from reports.states.watermark import Basis, Watermark
from stream_core.history_row import sort_key_after, time_text

_DELAY_MS = 5
_ITEMS = 10_000
# One by one the rate is the same for fewer.
_PLAIN_ITEMS = 500
_WARM_UP_ITEMS = 50


@dataclass(frozen=True)
class Figure:
    """What one way of doing it took.

    Attributes:
        planned_s: how much of the time went by before the first write.
        cpu_s: of the client alone.
        calls: requests of both tables.
    """

    operation: str
    way: str
    items: int
    seconds: float
    planned_s: float
    cpu_s: float
    peak_mb: int
    calls: dict[str, int]

    @property
    def ms_an_item(self) -> float:
        """How long an item takes, all in all."""
        return self.seconds / self.items * 1000


def measure(items: int = _ITEMS) -> list[dict[str, Any]]:
    """The time that it takes to plan and to write, at a delay of 5 ms.

    Raises:
        AssertionError: an item is not as it is to be.
    """
    with serving("benchmarks.bad_job_endpoint", str(_DELAY_MS)) as endpoint:
        return [
            asdict(_run(endpoint, operation, way, count))
            for operation in ("undo", "restore")
            for way, count in (("plain", _PLAIN_ITEMS), ("itemtrail", items))
        ]


def show(figures: list[dict[str, Any]], console: Console) -> None:
    """Print the figures as a table."""
    shown = [Figure(**figure) for figure in figures]
    plain = {figure.operation: figure for figure in shown if figure.way == "plain"}
    title = f"Undo and restore of many items, {_DELAY_MS} ms, beside item by item"
    table = Table(title=title)
    for name in ("operation", "way", "items", "s", "to plan", "ms/item", "of plain", "calls/item"):
        table.add_column(name, justify="left" if name in ("operation", "way") else "right")
    table.add_column("CPU µs/item", justify="right")
    table.add_column("peak MB", justify="right")
    for figure in shown:
        table.add_row(
            figure.operation,
            figure.way,
            f"{figure.items:,}",
            f"{figure.seconds:.1f}",
            f"{figure.planned_s:.1f}",
            f"{figure.ms_an_item:.2f}",
            f"{figure.ms_an_item / plain[figure.operation].ms_an_item:.3f}",
            f"{sum(figure.calls.values()) / figure.items:.2f}",
            f"{figure.cpu_s / figure.items * 1e6:,.0f}",
            f"{figure.peak_mb}",
            end_section=figure.way == "itemtrail",
        )
    console.print(table)


def _run(endpoint: Served, operation: str, way: str, items: int) -> Figure:
    """Have a process of its own do it, and hold what it did against the endpoint's items."""
    words = f"{operation} of {items:,} items, {way}"
    endpoint.counts()
    with Console(stderr=True).status(words):
        answer = ask("benchmarks.undo", f"{way} {operation}", str(items), url=endpoint.url)
    counts: Any = endpoint.counts()[str(items)]
    _require(answer["written"], items, f"{words}: items written")
    _require(counts[operation], items, f"{words}: items as they are to be")
    spent = {name: answer[name] for name in ("seconds", "planned_s", "cpu_s", "peak_mb")}
    return Figure(operation, way, items, calls=counts["calls"], **spent)


def _require(actual: object, expected: object, what: str) -> None:
    if actual != expected:
        raise AssertionError(f"{what}: {actual}, not {expected}")


def _pace() -> Pace:
    """A pace at which it is some hours after the bad job."""
    begun = time.monotonic()
    return Pace(machine=Machine(now=lambda: PRESENT + timedelta(seconds=time.monotonic() - begun)))


def _undone(items: int) -> tuple[float, int]:
    deployment, begun = _deployment(items), time.perf_counter()
    selected = select_bad(deployment, since=BEGAN, until=ENDED, pace=_pace())
    planned = plan_undo(deployment, selected, pace=_pace())
    return _carried_out(deployment, "undo", undone_items(planned.items), begun)


def _restored(items: int) -> tuple[float, int]:
    deployment, begun = _deployment(items), time.perf_counter()
    keys = map(keys_of, range(items))
    plans = plan_restore(deployment, keys, BEFORE, pace=_pace())
    return _carried_out(deployment, "restore", restored_items(plans), begun)


def _carried_out(
    deployment: DeployedTables, command: str, items: tuple[PlanItem, ...], begun: float
) -> tuple[float, int]:
    """How long it took to plan, and how many items were written."""
    maker = PlanMaker("benchmark", "itemtrail")
    table = describe(deployment.dynamodb, deployment.source_table)
    plan = Plan(maker.header(deployment, command, {}, table, _pace()), items)
    planned_s = time.perf_counter() - begun
    with tempfile.TemporaryDirectory() as folder:
        run = PlanRun(deployment, plan, _pace(), maker, RunChoice(Path(folder, "journal")))
        with closing(run.results()) as results:
            written = sum(result.outcome is WriteOutcome.WRITTEN for result in results)
    return planned_s, written


def _plainly_undone(items: int) -> tuple[float, int]:
    """One by one, of items that somebody knows: no plan, no journal, nothing announced."""
    client, since = boto3.client("dynamodb"), time_text(BEGAN)
    for number in range(items):
        rows = _rows(client, items, number, since)
        bad = next(row for row in rows if row["ApproximateCreationDateTime"]["S"] < _UNTIL)
        _put_back(client, items, number, bad["OldImage"]["M"], bad["NewImage"]["M"])
    return 0.0, items


def _plainly_restored(items: int) -> tuple[float, int]:
    client, since = boto3.client("dynamodb"), time_text(BEFORE)
    for number in range(items):
        first, *_ = _rows(client, items, number, since)
        _put_back(client, items, number, first["OldImage"]["M"], None)
    return 0.0, items


_UNTIL = sort_key_after(ENDED)


def _rows(client: Any, items: int, number: int, since: str) -> Any:
    return client.query(
        TableName=f"history-{items}",
        KeyConditionExpression="#id = :id AND #time >= :since",
        ExpressionAttributeNames={"#id": "Id", "#time": "ApproximateCreationDateTime"},
        ExpressionAttributeValues={":id": keys_of(number)["Id"], ":since": {"S": since}},
        ConsistentRead=True,
    )["Items"]


def _put_back(client: Any, items: int, number: int, old: Any, new: Any) -> None:
    key, table = keys_of(number), f"source-{items}"
    live = client.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
    names = [
        name for name in old if live[name] != old[name] and (not new or old[name] != new[name])
    ]
    numbered = list(enumerate(names))
    client.update_item(
        TableName=table,
        Key=key,
        UpdateExpression="SET " + ", ".join(f"#{n} = :new{n}" for n, _ in numbered),
        ConditionExpression=" AND ".join(f"#{n} = :old{n}" for n, _ in numbered),
        ExpressionAttributeNames={f"#{n}": name for n, name in numbered},
        ExpressionAttributeValues={f":new{n}": old[name] for n, name in numbered}
        | {f":old{n}": live[name] for n, name in numbered},
    )


def _deployment(items: int) -> DeployedTables:
    return DeployedTables(
        f"source-{items}",
        boto3.Session(),
        endpoint_url=os.environ["AWS_ENDPOINT_URL"],
        history_table=f"history-{items}",
        time_shards=4,
        declared=Watermark(PRESENT, Basis.DECLARED, "declared by the benchmark"),
    )


_WAYS: dict[str, Callable[[int], tuple[float, int]]] = {
    "itemtrail undo": _undone,
    "itemtrail restore": _restored,
    "plain undo": _plainly_undone,
    "plain restore": _plainly_restored,
}


def _spent(way: str, items: int) -> dict[str, Any]:
    """Do it once, after a small run that loads what has to be loaded."""
    _WAYS[way](_WARM_UP_ITEMS)
    # The endpoint makes its tables when they are named: that is none of the work.
    boto3.client("dynamodb").describe_table(TableName=f"source-{items}")
    clock = Clock()
    planned_s, written = _WAYS[way](items)
    return {"planned_s": planned_s, "written": written, **clock.elapsed()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_spent(sys.argv[1], int(sys.argv[2]))) + "\n")
