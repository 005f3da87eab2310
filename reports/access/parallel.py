"""Requests side by side, their results in the order asked for."""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from reports.access.clients import CONCURRENCY

Task = TypeVar("Task")
Member = TypeVar("Member")
Result = TypeVar("Result")


_thread = threading.local()


class StoppedError(Exception):
    """Whoever asked for some work has stopped early, and wants its results no more."""


def pause(seconds: float) -> None:
    """Pause; work of `in_order` no longer than somebody waits for its results.

    Raises:
        StoppedError: nobody does any more.
    """
    stopped: threading.Event | None = getattr(_thread, "stopped", None)
    if stopped is None:
        time.sleep(seconds)
    elif stopped.wait(seconds):
        raise StoppedError


def in_order(
    work: Callable[[Task], Result], tasks: Iterable[Task], *, ahead: int = 2 * CONCURRENCY
) -> Generator[Result, None, None]:
    """The results of `work` on every task, in order, up to `ahead` of them in advance.

    Tasks are taken only as fast as results are, so either may be endless; what is done is handed
    out before more is taken. When the caller stops early, what has not begun is dropped and what
    has is waited for, but for a `pause` in it. An error of `work` is raised in its place.
    """
    under_way: deque[Future[Result]] = deque()
    stopped = threading.Event()
    pool = ThreadPoolExecutor(CONCURRENCY, "in-order", setattr, (_thread, "stopped", stopped))
    try:
        for task in tasks:
            under_way.append(pool.submit(work, task))
            while under_way and (len(under_way) >= ahead or under_way[0].done()):
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        stopped.set()
        pool.shutdown(cancel_futures=True)


def batches(members: Iterable[Member], most: int) -> Iterator[list[Member]]:
    """All members in groups, the first ones small so that the first results come soon."""
    size, remaining = 1, iter(members)
    while batch := list(islice(remaining, size)):
        yield batch
        size = min(2 * size, most)
