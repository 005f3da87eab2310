"""What an operation takes from the machine it runs on: time, pauses, threads."""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from reports.access.parallel import pause
from stream_core.retry import MARGIN_MS, Patience


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
        jitter: a random number in [0, 1).
    """

    now: Callable[[], datetime] = _now
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = pause
    threads: Callable[[int], AbstractContextManager[Threads]] = ThreadPoolExecutor
    jitter: Callable[[], float] = random.random

    def patience(self, seconds: float) -> Patience:
        """Patience that begins now and lasts so many seconds; with none left, all is tried once."""
        given_up = self.clock() + seconds

        def remaining_ms() -> int:
            # Only an invocation needs a margin to answer in before it is ended.
            return max(0, int((given_up - self.clock()) * 1000)) + MARGIN_MS

        return Patience(remaining_ms, self.sleep, self.jitter)
