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
    MAX_READS,
    MAX_WRITES,
    Keys,
    Problems,
    ReplicaTable,
    SourceTable,
    States,
    own_attributes,
)
from stream_core.attribute_values import Item, same_item
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
        restless: ids that changed in the source between every write and the read after it. Whoever
            follows the stream may leave them: their latest change has a record still to come.
            Whoever does not (a redrive, a repair) has to settle them again.
    """

    writes: int = 0
    corrections: int = 0
    restless: set[str] = field(default_factory=set)


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
        settled = Settled()
        wanted = self._first(keys, patience, guess, settled)
        for attempt in range(_ROUNDS):
            written = self._write(wanted, keys, patience, settled)
            settled.writes += len(written)
            settled.corrections += len(written) if attempt > 0 else 0
            if self.source is None or not written:
                return settled
            current = self._read(self.source, written, keys, patience, settled)
            wanted = {
                identifier: item
                for identifier, item in current.items()
                if not same_item(item, wanted[identifier])
            }
            if not wanted:
                return settled
        settled.restless.update(wanted)
        return settled

    def _first(
        self, keys: Keys, patience: Patience, guess: States | None, settled: Settled
    ) -> States:
        if guess is not None:
            return {identifier: own_attributes(guess[identifier]) for identifier in keys}
        if self.source is None:
            raise ValueError("settle needs a guess or a source to read")
        return self._read(self.source, list(keys), keys, patience, settled)

    def _write(self, wanted: States, keys: Keys, patience: Patience, settled: Settled) -> list[str]:
        calls = _calls(list(wanted), MAX_WRITES)
        parts = self.pool.map(
            self.replica.write, calls, repeat(wanted), repeat(keys), repeat(patience)
        )
        for problems in parts:
            settled.add(problems)
        failed = settled.unstored | settled.refused.keys()
        return [identifier for identifier in wanted if identifier not in failed]

    def _read(
        self,
        source: SourceTable,
        ids: list[str],
        keys: Keys,
        patience: Patience,
        settled: Settled,
    ) -> dict[str, Item | None]:
        states: dict[str, Item | None] = {}
        calls = _calls(ids, MAX_READS)
        for items, problems in self.pool.map(source.read, calls, repeat(keys), repeat(patience)):
            states |= items
            settled.add(problems)
        return states


def _calls(ids: list[str], most: int) -> list[list[str]]:
    return [ids[i : i + most] for i in range(0, len(ids), most)]
