"""Requests side by side, their results in the order asked for."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from reports.clients import CONCURRENCY

Given = TypeVar("Given")
Result = TypeVar("Result")


def in_order(
    work: Callable[[Given], Result], given: Iterable[Given], *, ahead: int = 2 * CONCURRENCY
) -> Iterator[Result]:
    """The results of `work` on each of `given`, in order, up to `ahead` of them in advance.

    `given` is taken only as fast as results are, so either may be endless. When the caller stops
    early, what has not begun is dropped. An error of `work` is raised in its place.
    """
    under_way: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        try:
            for one in given:
                under_way.append(pool.submit(work, one))
                if len(under_way) >= ahead:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()
