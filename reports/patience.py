"""How long to go on trying on a person's machine: so many seconds, no invocation to end it."""

import random
import time
from collections.abc import Callable

from stream_core.retry import MARGIN_MS, Patience


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
    return Patience(lambda: int((given_up - clock()) * 1000) + MARGIN_MS, sleep, jitter)
