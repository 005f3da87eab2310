"""Settle: make items of the replica equal to the source, whatever was delivered.

The stream says which items changed; the source says what they are. What is written is read
again from the source with a consistent read, and corrected where it differs. So duplicates,
replays, reordering and concurrent invocations all end in the source's state, with no version
attribute and no tombstone in the replica.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import repeat

from replica_writer.tables import (
    MAX_KEYS,
    Keys,
    Problems,
    ReplicaTable,
    SourceTable,
    States,
    own_attributes,
)
from stream_core.attribute_values import same_item
from stream_core.clients import CONCURRENCY
from stream_core.retry import Patience

# A later change has a record of its own still to come, so there is no need to chase it for long.
_ROUNDS = 5


@dataclass
class Settled(Problems):
    """What became of some items, by id; those named nowhere equal the source.

    Attributes:
        writes: items written or deleted, corrections included.
        corrections: of these, how many because the source differed from what was written.
        restless: ids that changed in the source between every write and the read after it. Their
            latest change has a record of its own, still to come.
    """

    writes: int = 0
    corrections: int = 0
    restless: set[str] = field(default_factory=set)

    def merge(self, other: "Settled") -> None:
        """Take over what became of some other items."""
        self.unstored |= other.unstored
        self.refused |= other.refused
        self.errors += other.errors
        self.writes += other.writes
        self.corrections += other.corrections
        self.restless |= other.restless


@dataclass(frozen=True)
class Settler:
    """Two tables, one of which is to become equal to the other.

    Attributes:
        source: None where the source must not be read; then the guess stands.
    """

    replica: ReplicaTable
    source: SourceTable | None
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(CONCURRENCY))

    def settle(self, keys: Keys, patience: Patience, guess: States | None = None) -> Settled:
        """Make items of the replica equal to the source; harmless to repeat, at any time.

        Args:
            keys: the items' keys by id.
            patience: how long to go on trying.
            guess: for each of `keys`, what the item probably is; by default the source is asked.

        Raises:
            ValueError: there is neither a guess nor a source to read.
        """
        ids = list(keys)
        calls = [ids[i : i + MAX_KEYS] for i in range(0, len(ids), MAX_KEYS)]
        settled = Settled()
        for part in self.pool.map(
            self._settle, calls, repeat(keys), repeat(patience), repeat(guess)
        ):
            settled.merge(part)
        return settled

    def _settle(
        self, ids: list[str], keys: Keys, patience: Patience, guess: States | None
    ) -> Settled:
        settled = Settled()
        wanted = self._first(ids, keys, patience, guess, settled)
        for attempt in range(_ROUNDS):
            written = self.replica.write(wanted, keys, patience, settled)
            settled.writes += len(written)
            settled.corrections += len(written) if attempt > 0 else 0
            if self.source is None or not written:
                return settled
            current = self.source.read(written, keys, patience, settled)
            wanted = {
                one: item for one, item in current.items() if not same_item(item, wanted[one])
            }
            if not wanted:
                return settled
        settled.restless.update(wanted)
        return settled

    def _first(
        self,
        ids: list[str],
        keys: Keys,
        patience: Patience,
        guess: States | None,
        settled: Settled,
    ) -> States:
        if guess is not None:
            return {one: own_attributes(guess[one]) for one in ids}
        if self.source is None:
            raise ValueError("settle needs a guess or a source to read")
        return self.source.read(ids, keys, patience, settled)
