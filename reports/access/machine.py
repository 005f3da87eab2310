"""What an operation takes from the machine it runs on: time, pauses, threads."""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

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
    sleep: Callable[[float], object] = time.sleep
    threads: Callable[[int], AbstractContextManager[Threads]] = ThreadPoolExecutor
    jitter: Callable[[], float] = random.random

    def patience(self, seconds: float) -> Patience:
        """Patience of this machine, see `patience_of`."""
        return patience_of(seconds, clock=self.clock, sleep=self.sleep, jitter=self.jitter)


def patience_of(
    seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
    jitter: Callable[[], float] = random.random,
) -> Patience:
    """Patience that begins now and lasts so many seconds; with none left, all is tried once.

    Args:
        seconds: how long another attempt may still begin.
        clock: seconds that only go forward.
        sleep: pauses for so many seconds.
        jitter: a random number in [0, 1).
    """
    given_up = clock() + seconds
    # Only an invocation needs a margin to answer in before it is ended.
    return Patience(lambda: max(0, int((given_up - clock()) * 1000)) + MARGIN_MS, sleep, jitter)
