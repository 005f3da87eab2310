"""All benchmarks: tables for people, and JSON with `--json FILE`."""

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console

from benchmarks import cold_start, memory, writers

_BENCHMARKS = {"writers": writers, "cold_start": cold_start, "memory": memory}


def main() -> None:
    """Run the benchmarks named, all by default."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(_BENCHMARKS)}; all by default")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    console = Console(width=max(120, Console().width) if not sys.stdout.isatty() else None)
    results = {}
    for name in arguments.names or _BENCHMARKS:
        results[name] = _BENCHMARKS[name].measure()
        _BENCHMARKS[name].show(results[name], console)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
