"""Make items of the replica equal to the source, and look whether they are.

First all items are looked at, and nothing is written until it is known how many would be deleted.
Nothing that was read before is ever written: an item is settled, which means that the source is
asked what it is, and asked again after the write, until both agree. So a repair cannot put back an
older state over what is written meanwhile.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from more_itertools import chunked

from operations.deployed_tables import DeployedTables
from operations.errors import OperationError
from operations.execution.guard import DeleteBrake, require_followed
from operations.execution.pace import Pace
from operations.execution.plan_file import PlanAction, PlanItem, action_on, state_digest
from operations.execution.request import codes_text
from operations.execution.settlement import KEYS_A_CALL, by_id, settle_all
from operations.execution.standstill import Standstill
from operations.execution.state_file import StateFile
from operations.execution.under_way import UnderWay, UnderWayFile
from operations.replica.discrepancies import DiscrepancyKind
from operations.replica.table_pair import TablePair, equal
from operations.replica.watch import MOST_SUSPECTS, Conclusion, Watch
from replica_writer.settle import Settler
from replica_writer.tables import Keys
from reports.access.clients import CONCURRENCY
from stream_core.attribute_values import Item, own_attributes
from stream_core.item_id import item_id

# What differs after that is written by another writer as fast as it is healed.
_MOST_ATTEMPTS = 3
_DIFFERS_AGAIN = (
    f"it differed again {_MOST_ATTEMPTS} times after it had been made equal: something else writes "
    "to the replica, or its writer puts old states back (is Settle off?)"
)
_UNKNOWN_KEY = "neither table has such an item, nor its history, if there is one: is the key right?"
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
        looked_at: items requested, and those that an earlier repair had left half-way.
        equal: of these, items that needed nothing.
        differing: items that differed, by how.
        healed: of these, items that were equal after they were settled.
        deleted: items deleted from the replica.
        restless: keys of items that changed all the time, so that nothing can be said of them.
        unhealed: items that could not be made equal; try again when the cause is removed.
        ended: why it ended before all was done or, in a dry run, why nothing would be written.
        plan: what is done to each item that differed, as the items of a plan.
    """

    applied: bool
    looked_at: int
    equal: int
    differing: dict[DiscrepancyKind, int]
    healed: int
    deleted: int
    restless: tuple[Item, ...]
    unhealed: tuple[Unhealed, ...]
    ended: str | None = None
    plan: tuple[PlanItem, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether every item requested is equal now, or needs nothing."""
        return self.looked_at == self.equal + self.healed


def repair(  # noqa: PLR0913 - the whole order, as it is given
    deployment: DeployedTables,
    keys: Iterable[Item],
    *,
    apply: bool = False,
    deletes: str | None = None,
    state_path: str | Path | None = None,
    planned: Iterable[PlanItem] | None = None,
    are_named: bool = False,
    pace: Pace,
) -> Repaired:
    """Heal items of the replica by settling them; harmless to repeat, and to interrupt.

    Args:
        deployment: names the tables.
        keys: the items' keys, any number of them; those that differ are in memory.
        apply: write; otherwise it is counted what would be written.
        deletes: the replica's name, given to have items deleted from it however many they are.
        state_path: where to keep which items are being settled, for the next repair to settle
            again if this one is killed; None: nowhere.
        planned: what may be done, item by item: one to which something else would be done now is
            left as it is; None: whatever has to be.
        are_named: somebody has named the keys, and is to know of one that is nowhere.
        pace: how many items a second, of both tables together; for how long an item that still
            differs afterwards has to do so; what is called with the items done.

    Raises:
        RefusedError: no replica is named, it is the source itself, or it has another key; the
            history or the stack is another table's; too large a share would be deleted.
        KeyShapeError: one of the keys is no key of the table.
        StateFileError: the state file is of another run, or cannot be used.
        OperationError: a table cannot be read.
    """
    tables = TablePair.open(deployment, pace)
    source = require_followed(deployment, pace)
    brake = DeleteBrake.on(deployment, source, tables.replica.description, deletes, pace)
    file = None if state_path is None else StateFile(state_path, _about(tables, deployment))
    alone = file.alone() if file and apply else nullcontext()
    with alone, ThreadPoolExecutor(CONCURRENCY) as pool:
        kept = UnderWayFile(file)
        # Refuses what is no key of the table.
        checked = map(tables.source.key.key_of, chain(kept.under_way.remaining, keys))
        watch = Watch(tables, pool, pace)
        settler = deployment.settler if apply else None
        actions = None if planned is None else {item_id(item.keys): item.action for item in planned}
        run = _RepairRun(tables, settler, watch, kept.under_way, actions)
        for portion in map(by_id, chunked(checked, KEYS_A_CALL)):
            run.look_at(portion)
            if are_named:
                run.ask_of_absent(portion, deployment)
            pace.progress("items", run.looked_at, None)
        if apply:
            run.heal(brake, pace)
            kept.close()
    return run.result(brake)


def _about(tables: TablePair, deployment: DeployedTables) -> dict[str, object]:
    replica = tables.replica.description
    return {
        "operation": "repair",
        "source": deployment.source_table,
        "replica": [replica.arn or replica.name, replica.table_id],
    }


class _RepairRun:
    """One repair, and what became of the items so far."""

    def __init__(
        self,
        tables: TablePair,
        settler: Settler | None,
        watch: Watch,
        under_way: UnderWay,
        actions: Mapping[str, PlanAction] | None,
    ) -> None:
        self._tables = tables
        self._settler = settler
        self._watch = watch
        self._under_way = under_way
        self._actions = actions
        self._half_way = {item_id(key) for key in under_way.remaining}
        self._plan: list[PlanItem] = []
        self._pace = tables.source.pace
        self._standstill = Standstill(self._pace.machine)
        self._attempts: Counter[str] = Counter()
        self._seen: set[str] = set()
        self._absent: set[str] = set()
        self._equal = self._healed = self._deleted = 0
        self._differing: Counter[DiscrepancyKind] = Counter()
        self._waiting: dict[str, Item] = {}
        self._restless: list[Item] = []
        self._unhealed: list[Unhealed] = []
        self._ended: str | None = None

    @property
    def looked_at(self) -> int:
        """How many items were looked at."""
        return len(self._seen)

    def look_at(self, keys: Keys) -> None:
        """Find out which items differ."""
        keys = {identifier: key for identifier, key in keys.items() if identifier not in self._seen}
        self._seen |= keys.keys()
        for identifier, states in self._tables.states(keys).items():
            if equal(*states):
                self._equal += 1
                if states == (None, None):
                    self._absent.add(identifier)
            else:
                self._differing[DiscrepancyKind.between(*states)] += 1
                self._note(identifier, keys[identifier], *states)

    def ask_of_absent(self, keys: Keys, deployment: DeployedTables) -> None:
        """Tell of items that neither table has, nor the history, if there is one."""
        for identifier in sorted(self._absent - self._half_way):
            is_known = deployment.history_table is not None and any(
                True for _ in deployment.reader.items(identifier, limit=1)
            )
            if not is_known:
                self._equal -= 1
                self._unhealed.append(Unhealed(keys[identifier], _UNKNOWN_KEY))
        self._absent.clear()

    def _note(self, identifier: str, key: Item, source: Item | None, replica: Item | None) -> None:
        """Have an item settled that differs, if that is what was planned."""
        before, after = (state_digest(own_attributes(item)) for item in (replica, source))
        action = action_on(before, after)
        self._plan.append(PlanItem(len(self._plan) + 1, key, action, (), before, after))
        planned = None if self._actions is None else self._actions.get(identifier)
        # What an earlier repair has left half-way is never as anybody planned it.
        if self._actions is None or planned is action or identifier in self._half_way:
            self._waiting[identifier] = key
            return
        word = "nothing" if planned is None else planned.value
        self._unhealed.append(
            Unhealed(key, f"the plan was {word}, and now it would be {action.value}: not written")
        )

    def heal(self, brake: DeleteBrake, pace: Pace) -> None:
        """Settle what differs, and see that it stays equal.

        Raises:
            RefusedError: too large a share of the replica would be deleted.
        """
        brake.require(self._differing[DiscrepancyKind.EXTRANEOUS])
        done = 0
        try:
            for portion in map(dict, chunked(self._waiting.items(), KEYS_A_CALL)):
                self._settle(portion)
                self._look_again(MOST_SUSPECTS)
                done += len(portion)
                pace.progress("items settled", done, len(self._waiting))
                self._require_progress(brake)
            self._look_again(0)
        except OperationError as error:
            self._ended = str(error)

    def result(self, brake: DeleteBrake) -> Repaired:
        """What the repair came to."""
        is_applied = self._settler is not None
        refusal = brake.refusal(self._differing[DiscrepancyKind.EXTRANEOUS])
        return Repaired(
            applied=is_applied,
            looked_at=self.looked_at,
            equal=self._equal,
            differing=dict(self._differing),
            healed=self._healed,
            deleted=self._deleted,
            restless=tuple(self._restless),
            unhealed=tuple(self._unhealed),
            ended=self._ended if is_applied else refusal,
            plan=tuple(self._plan),
        )

    def _require_progress(self, brake: DeleteBrake) -> None:
        """See that it makes sense to go on: the source may be emptied, or refuse, meanwhile.

        Raises:
            OperationError: it does not.
        """
        if self._deleted > self._differing[DiscrepancyKind.EXTRANEOUS]:
            brake.require(self._deleted)
        if (reason := self._standstill.reason) is not None:
            raise OperationError(reason)

    def _look_again(self, most: int) -> None:
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

    def _settle(self, keys: Keys) -> None:
        if self._settler is None or not keys:
            return
        self._pace.rate.take(_TOUCHES * len(keys))
        since = self._standstill.now()
        settled = settle_all(self._settler, keys, self._standstill.patience, self._under_way)
        self._deleted += settled.deletes
        if keys.keys() <= settled.unstored:
            self._standstill.failed(since)
        else:
            self._standstill.moved()
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
