"""Make items of the replica equal to the source, and look whether they are.

Nothing that was read before is ever written: an item is settled, which means that the source is
asked what it is, and asked again after the write, until both agree. So a repair cannot put back an
older state over what is written meanwhile.
"""

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from more_itertools import chunked

from operations.deployed_tables import DeployedTables
from operations.execution.pace import Pace
from operations.execution.request import codes_text
from operations.execution.settlement import KEYS_A_CALL, by_id, settle_all
from operations.replica.discrepancies import DiscrepancyKind
from operations.replica.table_pair import TablePair, equal
from operations.replica.watch import MOST_SUSPECTS, Conclusion, Watch
from replica_writer.settle import Settler
from replica_writer.tables import Keys
from reports.access.clients import CONCURRENCY
from reports.access.machine import Machine
from stream_core.attribute_values import Item

_SETTLE_FOR_S = 60.0
# What differs after that is written by another writer as fast as it is healed.
_MOST_ATTEMPTS = 3
_DIFFERS_AGAIN = (
    f"it differed again {_MOST_ATTEMPTS} times after it had been made equal: something else writes "
    "to the replica, or its writer puts old states back (is Settle off?)"
)
# To settle an item is to read the source, to write the replica and to read the source again.
_TOUCHES = 3


@dataclass(frozen=True)
class Unhealed:
    """An item that is not known to equal the source, and why."""

    keys: Item
    why: str


@dataclass(frozen=True)
class Repaired:
    """What a repair did or, without `applied`, what it would do.

    Attributes:
        applied: whether anything was written.
        looked_at: items requested.
        equal: of these, items that needed nothing.
        differing: items that differed, by how.
        healed: of these, items that were equal after they were settled.
        restless: keys of items that changed all the time, so that nothing can be said of them.
        unhealed: items that could not be made equal; try again when the cause is removed.
    """

    applied: bool
    looked_at: int
    equal: int
    differing: dict[DiscrepancyKind, int]
    healed: int
    restless: tuple[Item, ...]
    unhealed: tuple[Unhealed, ...]

    @property
    def is_clean(self) -> bool:
        """Whether every item requested is equal now, or needs nothing."""
        return self.looked_at == self.equal + self.healed


def repair(
    deployment: DeployedTables,
    keys: Iterable[Item],
    *,
    apply: bool = False,
    pace: Pace,
) -> Repaired:
    """Heal items of the replica by settling them; harmless to repeat, and to interrupt.

    Args:
        deployment: names the tables.
        keys: the items' keys, any number of them; no more are taken than are at work.
        apply: write; otherwise it is counted what would be written.
        pace: how many items a second, of both tables together; for how long an item that still
            differs afterwards has to do so; what is called with the items done.

    Raises:
        RefusedError: no replica is named, it is the source itself, or it has another key.
        KeyShapeError: one of the keys is no key of the table.
        OperationError: a table cannot be read.
    """
    tables = TablePair.open(deployment, pace)
    with ThreadPoolExecutor(CONCURRENCY) as threads:
        watch = Watch(tables, threads, pace)
        run = _RepairRun(tables, deployment.settler if apply else None, watch, pace.machine)
        # Refuses what is no key of the table.
        checked = map(tables.source.key.key_of, keys)
        for portion in map(by_id, chunked(checked, KEYS_A_CALL)):
            run.look_at(portion)
            run.look_again(MOST_SUSPECTS)
            pace.progress("items", run.looked_at, None)
        run.look_again(0)
    return run.result()


class _RepairRun:
    """One repair, and what became of the items so far."""

    def __init__(
        self, tables: TablePair, settler: Settler | None, watch: Watch, machine: Machine
    ) -> None:
        self._tables = tables
        self._settler = settler
        self._watch = watch
        self._machine = machine
        self._attempts: Counter[str] = Counter()
        self._equal = self._healed = 0
        self._differing: Counter[DiscrepancyKind] = Counter()
        self._restless: list[Item] = []
        self._unhealed: list[Unhealed] = []
        self.looked_at = 0

    def look_at(self, keys: Keys) -> None:
        """Find out which items differ, and settle them."""
        self.looked_at += len(keys)
        differing: dict[str, Item] = {}
        for identifier, states in self._tables.states(keys).items():
            if equal(*states):
                self._equal += 1
            else:
                self._differing[DiscrepancyKind.between(*states)] += 1
                differing[identifier] = keys[identifier]
        self._settle(differing)

    def look_again(self, most: int) -> None:
        """See what becomes of items that differed right after they were settled."""
        for results in self._watch.results(most):
            differing: dict[str, Item] = {}
            for result in results:
                suspect = result.suspect
                if result.conclusion is Conclusion.EQUAL:
                    self._heal(suspect.identifier)
                elif result.conclusion is Conclusion.RESTLESS:
                    self._restless.append(suspect.key)
                elif self._attempts[suspect.identifier] < _MOST_ATTEMPTS:
                    differing[suspect.identifier] = suspect.key
                else:
                    self._unhealed.append(Unhealed(suspect.key, _DIFFERS_AGAIN))
            self._settle(differing)

    def result(self) -> Repaired:
        """What the repair came to."""
        return Repaired(
            applied=self._settler is not None,
            looked_at=self.looked_at,
            equal=self._equal,
            differing=dict(self._differing),
            healed=self._healed,
            restless=tuple(self._restless),
            unhealed=tuple(self._unhealed),
        )

    def _settle(self, keys: Keys) -> None:
        if self._settler is None or not keys:
            return
        self._tables.source.pace.rate.take(_TOUCHES * len(keys))
        patience = partial(self._machine.patience, _SETTLE_FOR_S)
        settled = settle_all(self._settler, keys, patience)
        codes = codes_text(settled.errors)
        failed = dict.fromkeys(settled.unstored, f"it could not be settled now: {codes}")
        failed |= {
            identifier: f"the replica refuses it: {error.code}"
            for identifier, error in settled.refused.items()
        }
        self._unhealed += [Unhealed(keys[identifier], why) for identifier, why in failed.items()]
        self._verify(
            {identifier: key for identifier, key in keys.items() if identifier not in failed}
        )

    def _verify(self, keys: Keys) -> None:
        self._attempts.update(keys.keys())
        differing = {
            identifier: keys[identifier]
            for identifier, states in self._tables.states(keys).items()
            if not equal(*states)
        }
        for identifier in keys.keys() - differing.keys():
            self._heal(identifier)
        # A change since then may be on its way to the replica.
        self._watch.add(differing)

    def _heal(self, identifier: str) -> None:
        self._healed += 1
        del self._attempts[identifier]
