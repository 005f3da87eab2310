"""The table half-way by a dataset on disk: DuckDB, Spark and plain pandas, at two sizes.

Every way runs in a process of its own, and all must give the same answer: counts and digests are
compared. `ITEMTRAIL_SPARK_PYTHON` names the interpreter that has Spark, if it is another one.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.warehouse_files import generated
from benchmarks.warehouse_ways import DUCKDB_MEMORY, SPARK_MEMORY

_SPARK_PYTHON = "ITEMTRAIL_SPARK_PYTHON"
_TIMES = 10
# With all else that runs on it, a machine of 16 GB.
_PANDAS_MB = 12_000
_WAYS = {
    "duckdb": f"DuckDB, memory_limit {DUCKDB_MEMORY}",
    "spark": f"Spark, local[2], driver memory {SPARK_MEMORY}",
    "pandas": "plain pandas",
}


def measure(rows: int) -> dict[str, Any]:
    """Ask every way about a history of a tenth of so many rows, and about one of all of them.

    Raises:
        AssertionError: two ways give different answers.
    """
    datasets: list[dict[str, Any]] = []
    answers: list[dict[str, Any]] = []
    for size in (max(1, rows // _TIMES), rows):
        dataset = generated(size)
        megabytes = sum(file.bytes for file in dataset.files) / 1e6
        datasets.append({"rows": size, "files": len(dataset.files), "mb": megabytes})
        figures = [_figures(way, size, dataset.folder, answers) for way in _WAYS]
        if (
            len({(answer["count"], answer["digest"]) for answer in figures if "digest" in answer})
            > 1
        ):
            raise AssertionError(f"answers differ: {figures}")
        answers += figures
    return {"datasets": datasets, "answers": answers}


def _figures(way: str, rows: int, folder: Path, before: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of a way, or why there are none: `missing`."""
    figures: dict[str, Any] = {"way": way, "rows": rows}
    for smaller in (answer for answer in before if answer["way"] == way):
        if "missing" in smaller:
            return figures | {"missing": smaller["missing"]}
        megabytes = smaller["peak_mb"] * rows / smaller["rows"]
        if way == "pandas" and megabytes > _PANDAS_MB:
            words = f"by its {smaller['peak_mb']:,} MB for {smaller['rows']:,} rows it would take"
            return figures | {"missing": f"{words} {megabytes / 1000:,.0f} GB"}
    with Console(stderr=True).status(f"{_WAYS[way]}: {rows:,} rows"):
        return figures | _answered(way, folder)


def _answered(way: str, folder: Path) -> dict[str, Any]:
    python = os.environ.get(_SPARK_PYTHON, sys.executable) if way == "spark" else sys.executable
    ran = subprocess.run(  # noqa: S603 - our own program
        [python, "-m", "benchmarks.warehouse_ways", way, str(folder)],
        check=False,
        capture_output=True,
        text=True,
    )
    if ran.returncode:
        # Spark says much that is of no use, unless it fails.
        sys.stderr.write(ran.stderr)
        ran.check_returncode()
    answer: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return answer


def show(figures: dict[str, Any], console: Console) -> None:
    """Print the figures as a table."""
    table = Table(title="The table half-way by a dataset on disk, equal answers")
    for name in ("rows", "MB on disk", "way", "s", "growth", "CPU s", "growth", "peak MB"):
        table.add_column(name, justify="left" if name == "way" else "right")
    for dataset in figures["datasets"]:
        same_size = [answer for answer in figures["answers"] if answer["rows"] == dataset["rows"]]
        for answer in same_size:
            size = f"{answer['rows']:,}", f"{dataset['mb']:,.0f}"
            table.add_row(
                *(size if answer is same_size[0] else ("", "")),
                _WAYS[answer["way"]],
                *_cells(answer, figures["answers"]),
                end_section=answer is same_size[-1],
            )
    console.print(table)
    for answer in figures["answers"]:
        if "missing" in answer:
            console.print(
                f"{_WAYS[answer['way']]}, {answer['rows']:,} rows: not run: {answer['missing']}"
            )
    if starts := [answer["start_s"] for answer in figures["answers"] if "start_s" in answer]:
        console.print(f"Spark takes {max(starts):.1f} s more to start.")


def _cells(answer: dict[str, Any], answers: list[dict[str, Any]]) -> Iterator[str]:
    """Times, each with what it is times that of the smaller dataset, and memory."""
    if "missing" in answer:
        return
    smallest = next(other for other in answers if other["way"] == answer["way"])
    for name in ("seconds", "cpu_s"):
        yield f"{answer[name]:,.1f}"
        yield "" if smallest is answer else f"{answer[name] / smallest[name]:.1f}"
    yield f"{answer['peak_mb']:,}"
