"""All benchmarks: tables for people, and JSON with `--json FILE`."""

import argparse
import importlib
import json
import sys
from pathlib import Path

from rich.console import Console

from benchmarks import history

_BENCHMARKS = (
    *("writers", "cold_start", "memory", "as_of", "reports", "operations", "undo", "warehouse"),
)
_REPORTS_ROWS, _WAREHOUSE_ROWS = 1_000_000, 10_000_000


def main() -> None:
    """Run the benchmarks named, all by default."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"of {', '.join(_BENCHMARKS)}; all by default"
    )
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument(
        "--rows",
        type=int,
        help=f"size of reports' history, by default {_REPORTS_ROWS:,}, and of the larger dataset "
        f"of warehouse, by default {_WAREHOUSE_ROWS:,}",
    )
    parser.add_argument(
        "--items", type=int, help="how many items reports' history has; a tenth by default"
    )
    parser.add_argument(
        "--forget", action="store_true", help="remove the generated histories afterwards"
    )
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.names if name not in _BENCHMARKS]:
        parser.error(f"no benchmark {', '.join(unknown)}: there are {', '.join(_BENCHMARKS)}")
    rows = arguments.rows or _REPORTS_ROWS
    sizes = {
        "reports": {"rows": rows, "items": arguments.items or max(1, rows // 10)},
        "warehouse": {"rows": arguments.rows or _WAREHOUSE_ROWS},
    }
    console = Console(width=max(120, Console().width) if not sys.stdout.isatty() else None)
    results = {}
    try:
        for name in arguments.names or _BENCHMARKS:
            # Not before its turn: a child's peak of memory begins with what its parent holds.
            benchmark = importlib.import_module(f"benchmarks.{name}")
            results[name] = benchmark.measure(**sizes.get(name, {}))
            benchmark.show(results[name], console)
    finally:
        if arguments.forget:
            history.forget()
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
