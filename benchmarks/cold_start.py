"""Cold start: what a fresh process pays before its first record, beside a boto3 client alone."""

import os
import statistics
import subprocess
import sys

from rich.console import Console
from rich.table import Table

from benchmarks.processes import environment

_ROUNDS = 15
_TIMED = "import time; began = time.perf_counter(); {}; print(time.perf_counter() - began)"
_PROGRAMS = {
    "boto3 and a client": "import boto3; boto3.client('dynamodb')",
    "history_writer": "import history_writer.app as app; app._parts()",
    "replica_writer": "import replica_writer.app as app; app._parts()",
}


def measure() -> dict[str, float]:
    """Median seconds of each program, the programs in turn so that drift hits all alike."""
    took: dict[str, list[float]] = {name: [] for name in _PROGRAMS}
    for _ in range(_ROUNDS):
        for name, program in _PROGRAMS.items():
            ran = subprocess.run(  # noqa: S603 - our own programs
                [sys.executable, "-c", _TIMED.format(program)],
                env=os.environ | environment("http://127.0.0.1"),
                capture_output=True,
                check=True,
                text=True,
            )
            took[name].append(float(ran.stdout))
    return {name: statistics.median(times) for name, times in took.items()}


def show(figures: dict[str, float], console: Console) -> None:
    """Print the figures as a table."""
    baseline = figures["boto3 and a client"]
    table = Table("what", "ms", "times boto3 and a client", title="Cold start, median")
    for name, seconds in figures.items():
        table.add_row(name, f"{seconds * 1000:.0f}", f"{seconds / baseline:.2f}")
    console.print(table)
