"""Finding the order in which the rows of a broken chain would close it. Pure.

Every row is an edge from the state before its change to the state after it: rows can be put in an
order that closes the chain just when their edges make an Eulerian trail between the states
around them. That takes counting and one walk, however many orders there are.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import TypeAlias

from stream_core.change import EventName

StateDigest: TypeAlias = bytes | None
"""A digest that stands for a state of an item; None: there is no item."""


class Free(Enum):
    """What lies beyond an end of the rows, when it is not known: any state fits."""

    FREE = 0


FREE = Free.FREE

# How many broken links one finding may explain, and how many of the intact rows around them may
# have to move with them; beyond that a coincidence is as likely.
_MOST_BREAKS = 32
_REACHES = (0, 1, 4, 16, 64)
# Orders within orders.
_MOST_ROUNDS = 8
# Rows and broken links looked at in search of orders: keeps a hopeless case short.
_MOST_STEPS = 1_000_000


@dataclass(frozen=True, slots=True)
class Link:
    """A row as the chain sees it: digests instead of images, since there may be millions.

    Attributes:
        before: the state its change began with; of a baseline its own state.
    """

    sort_key: str
    event_name: EventName
    created_at: datetime
    before: StateDigest
    after: StateDigest


@dataclass(frozen=True, slots=True)
class Break:
    """A place in a run of rows where the chain does not close, or an end of it.

    Attributes:
        place: the break is before the row at this position.
        left_state: the state that the row before left.
        right_state: the state that the row after begins with.
        counts: whether it is a finding of its own, unless an order explains it.
    """

    place: int
    left_state: StateDigest | Free
    right_state: StateDigest | Free
    counts: bool


@dataclass(frozen=True, slots=True)
class Reordering:
    """Rows that close the chain in another order.

    Attributes:
        explained: the places of the breaks that this explains.
        start, end: the rows, as a range.
        opens_unexplained: the order begins with a state that no row or baseline shows.
    """

    explained: tuple[int, ...]
    start: int
    end: int
    opens_unexplained: bool


def reorderings(
    steps: Sequence[Link], breaks: Sequence[Break], *, needs_opening: bool
) -> list[Reordering]:
    """Orders that explain broken links, the nearest first, none explaining the same.

    An order is believed only if it leaves fewer findings than there were.

    Args:
        steps: the rows of a run.
        breaks: its broken links and both its ends, in order.
        needs_opening: the run is the first, and must begin with an INSERT or a baseline.
    """
    search = _OrderSearch(steps, breaks, needs_opening=needs_opening)
    chosen: list[Reordering] = []
    explained: set[int] = set()
    # What was explained is as good as closed, so that an order around it may show next.
    for number in range(_MOST_ROUNDS):
        search.may_open_unexplained = number == _MOST_ROUNDS - 1
        for order in search.orders([at for at in breaks if at.place not in explained]):
            if explained.isdisjoint(order.explained):
                explained.update(order.explained)
                chosen.append(order)
    if any(at.counts and at.place not in explained for at in breaks):
        # The nearest orders may have used up rows that others needed.
        return search.of_all(breaks) or chosen
    return chosen


class _OrderSearch:
    """The search in one run of rows.

    Attributes:
        may_open_unexplained: whether the first row's start may stay unexplained.
    """

    def __init__(
        self, steps: Sequence[Link], breaks: Sequence[Break], *, needs_opening: bool
    ) -> None:
        self.steps = steps
        self.places = [at.place for at in breaks]
        self.needs_opening = needs_opening
        self.may_open_unexplained = False
        self.steps_left = _MOST_STEPS

    def orders(self, breaks: Sequence[Break]) -> list[Reordering]:
        """The nearest order from each of the breaks on, the nearest of all first."""
        nearest = (
            self._nearest(breaks[first : first + _MOST_BREAKS]) for first in range(len(breaks))
        )
        return sorted(
            (order for order in nearest if order is not None),
            key=lambda order: (len(order.explained), order.end - order.start),
        )

    def of_all(self, breaks: Sequence[Break]) -> list[Reordering]:
        """The order of all rows that explains everything, if there is one."""
        surplus: dict[StateDigest, int] = {}
        for at in breaks:
            _count(surplus, at.left_state, 1)
            _count(surplus, at.right_state, -1)
        self.may_open_unexplained = False
        self.steps_left = len(self.steps)
        order = self._order(breaks, surplus, sum(at.counts for at in breaks))
        if order is None:
            return []
        displaced = [at.place for at in breaks if at.counts]
        return [replace(order, start=displaced[0], end=displaced[-1])]

    def _nearest(self, breaks: Sequence[Break]) -> Reordering | None:
        surplus: dict[StateDigest, int] = {}
        counted = 0
        for end, at in enumerate(breaks, 1):
            self.steps_left -= 1
            if self.steps_left < 0:
                break
            counted += at.counts
            _count(surplus, at.left_state, 1)
            _count(surplus, at.right_state, -1)
            # An order is a finding itself, so that it has to explain two.
            if counted > 1 and (order := self._order(breaks[:end], surplus, counted)):
                return order
        return None

    def _order(
        self, breaks: Sequence[Break], surplus: dict[StateDigest, int], counted: int
    ) -> Reordering | None:
        source = _source(breaks, surplus)
        if source is FREE:
            return None
        for start, end in self._windows(breaks[0].place, breaks[-1].place):
            self.steps_left -= end - start
            if self.steps_left < 0:
                return None
            begins_with = source if start == breaks[0].place else self.steps[start].before
            window = self.steps[start:end]
            if _is_connected(window, begins_with):
                unexplained = breaks[0].left_state is FREE and self._is_unexplained(
                    window, begins_with
                )
                if 1 + unexplained >= counted or unexplained > self.may_open_unexplained:
                    return None
                explained = tuple(at.place for at in breaks)
                return Reordering(explained, start, end, unexplained)
        return None

    def _windows(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Ranges of rows around two breaks, from the rows between them outwards.

        A state that repeats may hide a displaced row's link: then intact rows next to the broken
        links have to move too.
        """
        lowest = self.places[max(bisect_left(self.places, first) - 1, 0)]
        highest = self.places[min(bisect_right(self.places, last), len(self.places) - 1)]
        ranges = ((max(lowest, first - reach), min(highest, last + reach)) for reach in _REACHES)
        yield from dict.fromkeys(ranges)

    def _is_unexplained(self, window: Sequence[Link], source: StateDigest) -> bool:
        return (
            self.needs_opening
            and source is not None
            and not any(
                link.event_name is EventName.SNAPSHOT and link.before == source for link in window
            )
        )


def _source(breaks: Sequence[Break], surplus: dict[StateDigest, int]) -> StateDigest | Free:
    """The state that a trail over the rows between breaks begins with; FREE: none does.

    Every state must be left as often as it is entered, but for those that an unknown end of the
    rows makes up for.
    """
    begins, ends = breaks[0].left_state, breaks[-1].right_state
    owed = sorted(surplus.values())
    free = [-1] * (begins is FREE) + [1] * (ends is FREE)
    if owed and owed != free:
        return FREE
    if begins is not FREE:
        return begins
    # Where both ends are unknown and nothing is owed, a circuit may begin anywhere.
    return next((state for state, count in surplus.items() if count < 0), breaks[0].right_state)


def _count(surplus: dict[StateDigest, int], state: StateDigest | Free, by: int) -> None:
    if state is FREE:
        return
    remaining = surplus.pop(state, 0) + by
    if remaining:
        surplus[state] = remaining


def _is_connected(links: Iterable[Link], source: StateDigest) -> bool:
    """Whether all links hang together, and with the source: union by pointers to a root."""
    above: dict[StateDigest, StateDigest] = {source: source}

    def root(state: StateDigest) -> StateDigest:
        above.setdefault(state, state)
        while above[state] != state:
            above[state] = state = above[above[state]]
        return state

    for link in links:
        above[root(link.before)] = root(link.after)
    top = root(source)
    return all(root(state) == top for state in list(above))
