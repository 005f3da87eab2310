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
import importlib, json, resource, sys, time, types
app = importlib.import_module(sys.argv[1])
app._parts()
event = json.load(open(sys.argv[2]))
end = time.monotonic() + 60
context = types.SimpleNamespace(
    get_remaining_time_in_millis=lambda: int((end - time.monotonic()) * 1000)
)
answer = app.handler(event, context) if event["Records"] else {"batchItemFailures": []}
assert answer == {"batchItemFailures": []}, answer
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
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
        table.add_row(name, *map(str, peak.values()))
    console.print(table)
