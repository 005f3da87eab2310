"""Peak memory of a function with a batch at Lambda's limit of 6 MB, beside an idle one.

Each batch is handled in a process of its own, as Lambda would: parsed from JSON, then handled.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.processes import environment
from benchmarks.writers import endpoint, record

_LIMIT_BYTES = 6 * 1024 * 1024
_HANDLE = """
import importlib, json, sys, time, types
app = importlib.import_module(sys.argv[1])
app._parts()
event = json.load(open(sys.argv[2]))
end = time.monotonic() + 600
context = types.SimpleNamespace(
    get_remaining_time_in_millis=lambda: int((end - time.monotonic()) * 1000)
)
answer = app.handler(event, context) if event["Records"] else {"batchItemFailures": []}
assert answer == {"batchItemFailures": []}, answer
# Not of getrusage, whose figure begins with that of the process that started this one.
(peak,) = (line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print(int(peak.split()[1]) // 1024)
"""


def _filled(make: Callable[[int], dict[str, Any]]) -> list[dict[str, Any]]:
    """As many records as fit into an invocation."""
    records: list[dict[str, Any]] = []
    size = 20
    while True:
        change = make(len(records))
        size += len(json.dumps(change)) + 2
        if size > _LIMIT_BYTES:
            return records
        records.append(change)


def _with(number: int, **attributes: Any) -> dict[str, Any]:
    change = record(number)
    for image in ("OldImage", "NewImage"):
        change["dynamodb"][image] |= attributes
    change["dynamodb"]["OldImage"]["Version"] = {"N": "1"}
    return change


_BATCHES: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "nothing": list,
    "thousands of small items": lambda: _filled(record),
    "items of 300 KB": lambda: _filled(lambda n: _with(n, Blob={"B": "A" * 400_000})),
    # The most Python objects that a batch can hold: 15 bytes of JSON each.
    "lists of single booleans": lambda: _filled(
        lambda n: _with(n, List={"L": [{"BOOL": True}] * 180_000})
    ),
}
# Items of 400 KB by now, as DynamoDB counts; their records were small.
_GROWN: dict[str, Callable[[int], dict[str, Any]]] = {
    "100 items grown to one long text": lambda n: _with(n, Text={"S": "x" * 400_000}),
    "100 items grown to 130,000 numbers": lambda n: _with(
        n, List={"L": [{"N": str(digit)} for digit in range(10)] * 13_000}
    ),
}


def measure() -> dict[str, dict[str, int]]:
    """Peak megabytes of each writer with each batch."""
    peaks: dict[str, dict[str, int]] = {}
    for name, make in _BATCHES.items():
        records = make()
        with tempfile.TemporaryDirectory() as folder, endpoint(0, records) as url:
            event = Path(folder, "event.json")
            event.write_text(json.dumps({"Records": records}), "utf-8")
            peaks[name] = {
                writer: _peak(f"{writer}.app", event, url)
                for writer in ("history_writer", "replica_writer")
            }
    for name, grown in _GROWN.items():
        with (
            tempfile.TemporaryDirectory() as folder,
            endpoint(0, [grown(number) for number in range(100)]) as url,
        ):
            event = Path(folder, "event.json")
            small = [record(number) for number in range(100)]
            event.write_text(json.dumps({"Records": small}), "utf-8")
            peaks[name] = {"replica_writer": _peak("replica_writer.app", event, url)}
    return peaks


def _peak(module: str, event: Path, url: str) -> int:
    ran = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", _HANDLE, module, str(event)],
        env=os.environ | environment(url),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return int(ran.stdout.splitlines()[-1])


def show(peaks: dict[str, dict[str, int]], console: Console) -> None:
    """Print the figures as a table."""
    table = Table("batch of 6 MB", "history_writer MB", "replica_writer MB", title="Peak memory")
    for name, peak in peaks.items():
        table.add_row(name, str(peak.get("history_writer", "")), str(peak["replica_writer"]))
    console.print(table)
