"""What an operation takes from the machine it runs on: time, pauses, threads."""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol


class Threads(Protocol):
    """Does work side by side, as `ThreadPoolExecutor` does."""

    def map(self, function: Callable[..., Any], /, *arguments: Iterable[Any]) -> Iterator[Any]:
        """The results of `function` in order."""
        ...


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Machine:
    """This machine by default; a simulation has its own.

    Attributes:
        now: the time of day.
        clock: seconds that only ever grow.
        sleep: pauses for so many seconds.
        threads: so many threads, for as long as a `with` block lasts.
    """

    now: Callable[[], datetime] = _now
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep
    threads: Callable[[int], AbstractContextManager[Threads]] = ThreadPoolExecutor
