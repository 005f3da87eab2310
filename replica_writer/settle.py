"""Settle: make items of the replica equal to the source, whatever was delivered.

The stream says which items changed; the source says what they are. What is written is read
again from the source with a consistent read, and corrected where it differs. So duplicates,
replays, reordering and concurrent invocations all end in the source's state, with no version
attribute and no tombstone in the replica.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import repeat

from replica_writer.look_queue import LookQueue
from replica_writer.tables import (
    MAX_READS,
    MAX_WRITES,
    Keys,
    Problems,
    ReplicaTable,
    SourceTable,
    States,
)
from stream_core.answer_budget import AnswerBudget
from stream_core.attribute_values import Item, digest, own_attributes, same_item
from stream_core.calls import slices
from stream_core.clients import CONCURRENCY
from stream_core.retry import Patience

# How often an item is followed before the pause that lets a busy one come to rest.
_ROUNDS = 5


@dataclass
class Settled(Problems):
    """What became of some items, by id; those named nowhere equal the source.

    Attributes:
        writes: items written or deleted, corrections included.
        deletes: of these, how many were deleted.
        corrections: of these, how many because the source differed from what was written.
        restless: ids that changed in the source between every write and the read after it, for as
            long as there was time.
        is_announced: whether the items will be looked at once more when every write that is under
            way now is over: enough for the restless and the lost.
    """

    writes: int = 0
    deletes: int = 0
    corrections: int = 0
    restless: set[str] = field(default_factory=set)
    is_announced: bool = False

    def add(self, other: Problems) -> None:
        """Take over what became of some other items."""
        super().add(other)
        if isinstance(other, Settled):
            self.writes += other.writes
            self.deletes += other.deletes
            self.corrections += other.corrections
            self.restless |= other.restless
            self.is_announced |= other.is_announced

    @property
    def unsettled(self) -> set[str]:
        """Ids to settle again: not known to equal the source, or not known to stay so."""
        return self.unstored if self.is_announced else self.unstored | self.lost | self.restless


@dataclass(frozen=True)
class Settler:
    """Two tables, one of which is to become equal to the other.

    Attributes:
        source: None where the source must not be read; then the guess stands.
        queue: where items are announced before they are written; None for no second look.
    """

    replica: ReplicaTable
    source: SourceTable | None
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(CONCURRENCY))
    budget: AnswerBudget = field(default_factory=AnswerBudget)
    queue: LookQueue | None = None

    def settle(self, keys: Keys, patience: Patience, guess: States | None = None) -> Settled:
        """Make items of the replica equal to the source; harmless to repeat, at any time.

        Every call has ended when this returns, whatever became of it.

        Args:
            keys: the items' keys by id.
            patience: how long to go on trying.
            guess: what some of the items probably are; of the others the source is asked first.

        Raises:
            ValueError: there is neither a guess nor a source to read.
        """
        guess = guess or {}
        if self.source is None and not keys.keys() <= guess.keys():
            raise ValueError("settle needs a guess or a source to read")
        settled = Settled()
        if self.queue is not None and keys:
            settled.errors = self.queue.announce(keys.values(), patience)
            if settled.errors:
                settled.unstored.update(keys)
                return settled
            settled.is_announced = True
        parts = self.pool.map(
            self._slice_settled, _slices(list(keys)), repeat(keys), repeat(patience), repeat(guess)
        )
        for part in parts:
            settled.add(part)
        return settled

    def _slice_settled(
        self, ids: list[str], keys: Keys, patience: Patience, guess: States
    ) -> Settled:
        settled = Settled()
        try:
            _Slice(self, keys, patience, settled).settle(ids, guess)
        except Exception as error:  # noqa: BLE001 - no slice may end while the others go on
            settled.errors[type(error).__name__] += 1
            settled.unstored.update(ids)
        return settled


@dataclass
class _Slice:
    """A few items on their way to the source's state, one call after the other.

    Attributes:
        written: what was written last of each item: the item, or its digest.
        restless: ids that differed when they were read last.
    """

    settler: Settler
    keys: Keys
    patience: Patience
    settled: Settled
    written: dict[str, Item | bytes | None] = field(default_factory=dict)
    restless: set[str] = field(default_factory=set)

    def settle(self, ids: list[str], guess: States) -> None:
        """Write what is guessed, then follow the source until it agrees."""
        guessed = {
            identifier: own_attributes(guess[identifier])
            for identifier in ids
            if identifier in guess
        }
        done = self._write(guessed)
        if self.settler.source is None:
            return
        self.written = {identifier: guessed[identifier] for identifier in done}
        failed = guessed.keys() - self.written.keys()
        pending = [identifier for identifier in ids if identifier not in failed]
        for identifier in self.patience.work_off(pending, self._follow):
            where = self.settled.restless if identifier in self.restless else self.settled.unstored
            where.add(identifier)

    def _follow(self, ids: list[str]) -> list[str]:
        """Bring items to the source's state; returns those that did not rest or were not read."""
        self.restless.clear()
        unread: list[str] = []
        # In their order, and each to its end: whatever time there is, the first are settled.
        calls = self.settler.budget.calls(ids)
        while calls:
            call = calls.pop(0)
            for _ in range(_ROUNDS):
                if not call:
                    break
                call = self._corrected(call, calls, unread)
            self.restless.update(call)
        if self.settler.queue is not None:
            # They are looked at once more; until then the others need not wait for them.
            self.settled.restless |= self.restless
            return unread
        return unread + [identifier for identifier in ids if identifier in self.restless]

    def _corrected(self, ids: list[str], calls: list[list[str]], unread: list[str]) -> list[str]:
        """Read items and write those that differ; returns what was written, to be read again."""
        source, budget = self.settler.source, self.settler.budget
        assert source is not None  # noqa: S101 - without one nothing is followed
        # Held until the items that were read are no longer needed.
        with budget.allowance(len(ids)) as allowance:
            read = source.read(ids, self.keys, self.patience, self.settled, allowance)
            wanted = {
                identifier: state
                for identifier, state in read.states.items()
                if not self._is_written(identifier, state)
            }
            done = self._write(wanted)
            self.settled.corrections += len(self.written.keys() & done)
            for identifier in done:
                state = wanted[identifier]
                self.written[identifier] = None if state is None else digest(state)
        unread += read.unread
        calls[:0] = [part for portion in read.portions for part in budget.calls(portion)]
        return done

    def _write(self, wanted: States) -> list[str]:
        """Write items; returns those that were."""
        problems = Problems()
        for ids in slices(list(wanted), MAX_WRITES):
            problems.add(self.settler.replica.write(ids, wanted, self.keys, self.patience))
        self.settled.add(problems)
        failed = problems.unstored | problems.refused.keys()
        done = [identifier for identifier in wanted if identifier not in failed]
        self.settled.writes += len(done)
        self.settled.deletes += sum(wanted[identifier] is None for identifier in done)
        return done

    def _is_written(self, identifier: str, state: Item | None) -> bool:
        """Whether the replica was last given the state that the source has."""
        if identifier not in self.written:
            return False
        written = self.written[identifier]
        if isinstance(written, bytes):
            return state is not None and digest(state) == written
        return same_item(state, written)


def _slices(ids: list[str]) -> list[list[str]]:
    """As many slices as calls may be under way; each costs one read for every call that writes."""
    rounds = max(1, -(-len(ids) // (MAX_WRITES * CONCURRENCY)))
    return slices(ids, MAX_WRITES * min(MAX_READS // MAX_WRITES, rounds))
