"""What some work takes of the machine, and a digest of what it answers."""

import hashlib
import os
import resource
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_MODULUS = 2**256


class Clock:
    """The time, and the CPU time of this process and its children, since it was made."""

    def __init__(self) -> None:
        """Begin to count."""
        self._wall, self._cpu = time.perf_counter(), _cpu_s()

    def elapsed(self) -> dict[str, Any]:
        """What it took until now."""
        return {
            "seconds": time.perf_counter() - self._wall,
            "cpu_s": _cpu_s() - self._cpu,
            "peak_mb": _peak_mb(),
        }


def digest_of(lines: Iterable[bytes]) -> dict[str, Any]:
    """How many lines there are, and a digest of them, whatever their order."""
    total, count = 0, 0
    for line in lines:
        total += int.from_bytes(hashlib.sha256(line).digest())
        count += 1
    return {"count": count, "digest": f"{total % _MODULUS:064x}"}


def _processes() -> list[Path]:
    """This process and those that it began, where the system lists them: Spark is a few."""
    children: dict[str, list[str]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        children.setdefault(_fields(stat.parent)[1], []).append(stat.parent.name)
    ids = [str(os.getpid())] if children else []
    for process_id in ids:
        ids += children.get(process_id, [])
    return [Path("/proc", process_id) for process_id in ids]


def _fields(process: Path) -> list[str]:
    """From its state on: its name before that may hold anything."""
    return _text(process / "stat").rpartition(")")[2].split() or ["", ""]


def _text(file: Path) -> str:
    """Nothing where the process has ended by now."""
    try:
        return file.read_text("utf-8", "replace")
    except OSError:
        return ""


def _cpu_s() -> float:
    # utime, stime, and those of children that have ended.
    ticks = [int(field) for process in _processes() for field in _fields(process)[11:15]]
    return sum(ticks) / os.sysconf("SC_CLK_TCK") if ticks else time.process_time()


def _peak_mb() -> int:
    """The most that each process had in memory, which they need not have had at one time."""
    # Linux counts a parent's memory before exec as the child's own in `ru_maxrss`.
    texts = [_text(process / "status") for process in _processes()]
    # One that has ended and is not yet waited for has no such line.
    peaks = [text.partition("VmHWM:")[2].split() for text in texts]
    if not peaks:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024**2
    return sum(int(peak[0]) for peak in peaks if peak) // 1024
