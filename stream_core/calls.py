"""Calls side by side, and how much goes into each."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

T = TypeVar("T")
Result = TypeVar("Result")

# Developer Guide, "Quotas": a request of 16 MB over the network at most. Half of it leaves room
# for what text becomes as JSON.
MOST_BYTES = 8 * 1024 * 1024


def side_by_side(
    pool: ThreadPoolExecutor, work: Callable[[T], Result], pieces: Iterable[T]
) -> list[Result]:
    """The results of some work on each piece, in order.

    None is under way any more when this returns or raises: what an invocation has started must
    not go on after it.
    """

    def attempt(piece: T) -> tuple[Result, None] | tuple[None, Exception]:
        try:
            return work(piece), None
        except Exception as error:  # noqa: BLE001 - raised again, when all have ended
            return None, error

    results = list(pool.map(attempt, pieces))
    for _, error in results:
        if error is not None:
            raise error
    return [cast("Result", result) for result, _ in results]


def slices(pieces: list[T], most: int) -> list[list[T]]:
    """Pieces in order, in groups of at most so many."""
    return [pieces[start : start + most] for start in range(0, len(pieces), most)]


def cut(
    pieces: Iterable[T], most: int, size: Callable[[T], int], most_bytes: int = MOST_BYTES
) -> Iterator[list[T]]:
    """Pieces in order, in groups of at most so many, and of at most so many bytes.

    A piece that is larger than that is a group of its own.
    """
    group: list[T] = []
    weight = 0
    for piece in pieces:
        weight += size(piece)
        if group and (len(group) == most or weight > most_bytes):
            yield group
            group, weight = [], size(piece)
        group.append(piece)
    if group:
        yield group
