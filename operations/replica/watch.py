"""Items that differ at first sight, looked at again until it is clear what to think of them.

While the source is written to, the replica is always a little behind, and two reads are never of
one moment. So a difference counts only when it stays: at every look for as long as the patience
the source showed one state and the replica another one. An item that moves meanwhile has to hold
still longer the next time, and one that never does is reported as restless.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple, TypeAlias

from more_itertools import chunked

from operations.execution.pace import Pace
from operations.replica.table_pair import TablePair, equal
from replica_writer.tables import MAX_READS, Keys
from reports.access.machine import Threads
from stream_core.attribute_values import Item, digest, own_attributes

PATIENCE_S = 10.0
# A suspect is about a kilobyte: its items are not kept, only their digests.
MOST_SUSPECTS = 20_000
# In shares of the patience: the first pause, which doubles, and the longest one. The more looks,
# the less an item that goes to and fro between two states can pass for one that rests.
_FIRST_PAUSE, _LONGEST_PAUSE = 1 / 15, 1 / 4
# In patiences: how long an item that moved has to rest at most, and after what time a move ends it.
_LONGEST_REST, _RESTLESS_AFTER = 4, 6
# Portions read side by side: the items of so many are in memory.
_PORTIONS = 8
_SHORTEST_PAUSE_S = 0.001

States: TypeAlias = tuple[Item | None, Item | None]
"""An item in the source and in the replica."""


class Conclusion(Enum):
    """What came of looking at an item again."""

    EQUAL = "equal"
    DIFFERS = "differs"
    RESTLESS = "restless"


@dataclass(slots=True)
class Suspect:
    """An item that differed when it was last seen.

    Attributes:
        first_at: when it was suspected.
        due: when to look at it next.
        pause_s: how long to wait after that.
        seen: digests of both states at the last look; None before the first.
        version: what else tells whether the source has moved since, see `Watch`.
        since: since when it has been seen so.
        moves: how often it has moved.
    """

    identifier: str
    key: Item
    first_at: float
    due: float
    pause_s: float
    seen: tuple[bytes, bytes] | None = None
    version: Any = None
    since: float = 0.0
    moves: int = 0


class WatchResult(NamedTuple):
    """What came of an item, and its states where it differs."""

    suspect: Suspect
    conclusion: Conclusion
    states: States = (None, None)


class Watch:
    """Looks at suspects until each is equal, differs, or is known not to hold still."""

    def __init__(
        self,
        tables: TablePair,
        threads: Threads,
        pace: Pace,
        version: Callable[[str], Any] = lambda _: None,
    ) -> None:
        """Watch nothing yet.

        Args:
            tables: where to look.
            threads: for looks side by side.
            pace: how long a difference has to last, and by which clock.
            version: for an id, something that changes whenever the source does. It tells an item
                that rests from one that is back in the state it had at the look before.
        """
        self._tables = tables
        self._threads = threads
        self._clock = pace.machine.clock
        self._sleep = pace.machine.sleep
        self._patience_s = pace.wait_s(PATIENCE_S)
        self._version = version
        self._suspects: dict[str, Suspect] = {}

    def __len__(self) -> int:
        return len(self._suspects)

    def add(self, keys: Keys) -> None:
        """Suspect some items; one that is watched already stays as it is."""
        now, pause_s = self._clock(), self._patience_s * _FIRST_PAUSE
        for identifier, key in keys.items():
            self._suspects.setdefault(
                identifier, Suspect(identifier, key, now, now + pause_s, pause_s)
            )

    def resume(self, suspect: Suspect) -> None:
        """Go on with an item: it has moved since it was found to differ."""
        self._wait(self._suspects.setdefault(suspect.identifier, suspect))

    def results(self, most: int = MOST_SUSPECTS) -> Iterator[list[WatchResult]]:
        """Look at what is due, and wait until no more than `most` are left.

        Yields:
            Those of which it is clear, some at a time.
        """
        while True:
            yield from self._look_at_due()
            if len(self._suspects) <= most:
                return
            due = min(suspect.due for suspect in self._suspects.values())
            self._sleep(max(_SHORTEST_PAUSE_S, due - self._clock()))

    def _look_at_due(self) -> Iterator[list[WatchResult]]:
        now = self._clock()
        due = [suspect for suspect in self._suspects.values() if suspect.due <= now]
        for portions in chunked(chunked(due, MAX_READS), _PORTIONS):
            for clear in self._threads.map(self._look, portions):
                for result in clear:
                    del self._suspects[result.suspect.identifier]
                if clear:
                    yield clear

    def _look(self, suspects: list[Suspect]) -> list[WatchResult]:
        before = self._clock()
        states = self._tables.states({suspect.identifier: suspect.key for suspect in suspects})
        clear = []
        for suspect in suspects:
            both = states[suspect.identifier]
            conclusion = self._conclude(suspect, both, before)
            if conclusion is not None:
                shown = both if conclusion is Conclusion.DIFFERS else (None, None)
                clear.append(WatchResult(suspect, conclusion, shown))
        return clear

    def _conclude(self, suspect: Suspect, states: States, now: float) -> Conclusion | None:
        """What to think of a suspect after a look; None: it is too early to say."""
        if equal(*states):
            return Conclusion.EQUAL
        seen = _digest(states[0]), _digest(states[1])
        if seen == suspect.seen:
            if now < suspect.since + self._rest_s(suspect):
                self._wait(suspect)
                return None
            if self._version(suspect.identifier) == suspect.version:
                return Conclusion.DIFFERS
        suspect.moves += suspect.seen is not None
        if suspect.moves and now - suspect.first_at >= _RESTLESS_AFTER * self._patience_s:
            return Conclusion.RESTLESS
        suspect.seen, suspect.since = seen, self._clock()
        suspect.version = self._version(suspect.identifier)
        suspect.pause_s = self._patience_s * _FIRST_PAUSE
        self._wait(suspect)
        return None

    def _rest_s(self, suspect: Suspect) -> float:
        """How long it has to hold still: the longer, the more it has moved."""
        return self._patience_s * min(1 << suspect.moves, _LONGEST_REST)

    def _wait(self, suspect: Suspect) -> None:
        due = self._clock() + suspect.pause_s
        if suspect.seen is not None:
            due = min(due, suspect.since + self._rest_s(suspect))
        suspect.due = due
        suspect.pause_s = min(2 * suspect.pause_s, self._patience_s * _LONGEST_PAUSE)


def _digest(item: Item | None) -> bytes:
    own = own_attributes(item)
    return b"" if own is None else digest(own)
