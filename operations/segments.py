"""Working off a table page by page, several of its segments side by side."""

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from itertools import islice
from typing import TypeVar

from operations.compared_table import Place
from operations.errors import RefusedError

Result = TypeVar("Result")

# API reference, Scan.
_MOST_SEGMENTS = 1_000_000


def require_segments(segments: int) -> None:
    """Refuse what DynamoDB would.

    Raises:
        RefusedError: a table cannot be split into so many segments.
    """
    if not 1 <= segments <= _MOST_SEGMENTS:
        raise RefusedError(
            f"{segments} segments are not possible: give a number from 1 to {_MOST_SEGMENTS:,}"
        )


def work_off_segments(
    executor: Executor,
    segments: int,
    at_once: int,
    step: Callable[[Place], tuple[Result, Place | None]],
) -> Iterator[Result]:
    """What `step` makes of each page of each segment, in no order.

    The next page of a segment is begun when the one before is taken, so that no more than
    `at_once` results exist. When the caller stops early, what has not begun is dropped.

    Args:
        executor: what runs the steps.
        segments: into how many the table is split.
        at_once: how many are worked off side by side.
        step: works off one page; also returns where the next page of the segment is.
    """
    waiting = iter(range(segments))
    under_way: set[Future[tuple[Result, Place | None]]] = {
        executor.submit(step, Place(segment, segments)) for segment in islice(waiting, at_once)
    }
    try:
        while under_way:
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                result, following = future.result()
                under_way.remove(future)
                if following is None and (segment := next(waiting, None)) is not None:
                    following = Place(segment, segments)
                if following is not None:
                    under_way.add(executor.submit(step, following))
                yield result
    finally:
        for future in under_way:
            future.cancel()
