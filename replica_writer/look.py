"""Look at items once more: read both tables, and settle what differs."""

from dataclasses import dataclass, replace
from itertools import repeat

from replica_writer.look_queue import Look, LookQueue
from replica_writer.settle import Settler
from replica_writer.tables import MAX_READS, Keys, Problems, SourceTable
from stream_core.attribute_values import Item, digest
from stream_core.batch import Outcome
from stream_core.calls import slices
from stream_core.errors import MalformedRecordError
from stream_core.item_id import item_id
from stream_core.retry import Patience, error_code

_Digests = dict[str, bytes | None]


@dataclass(frozen=True)
class SecondLook:
    """Compares items of the replica with the source when no late write can be on its way.

    Attributes:
        settler: announces nothing here: a message stays until it finds nothing to write.
        replica: the same table as the settler's, to be read.
    """

    settler: Settler
    replica: SourceTable
    queue: LookQueue

    def take(self, body: str, patience: Patience, outcome: Outcome) -> bool:
        """Deal with one message; whether it is done with."""
        try:
            look = Look.read(body)
            if look.due > self.queue.clock():
                self.queue.pass_on(look)
                return True
        except MalformedRecordError as error:
            outcome.errors[str(error)] += 1
            return False
        except Exception as error:  # noqa: BLE001 - it stays in the queue
            outcome.errors[error_code(error)] += 1
            return False
        return self._look({item_id(key): key for key in look.keys}, patience, outcome)

    def _look(self, keys: Keys, patience: Patience, outcome: Outcome) -> bool:
        differing: dict[str, Item] = {}
        problems = Problems()
        comparisons = self.settler.pool.map(
            self._differing, slices(list(keys), MAX_READS), repeat(keys), repeat(patience)
        )
        for differing_of_slice, problems_of_slice in comparisons:
            differing |= differing_of_slice
            problems.add(problems_of_slice)
        # Not announced: the message itself stays until it finds nothing, and comes back when no
        # write of this look can be alive any more. A message more for each that stays would double.
        settled = replace(self.settler, queue=None).settle(differing, patience)
        unhealed = settled.unsettled | settled.refused.keys()
        outcome.counts["SecondLooks"] += len(keys)
        outcome.counts["Healed"] += len(differing.keys() - unhealed)
        outcome.errors += problems.errors + settled.errors
        return not (differing or problems.unstored or problems.refused)

    def _differing(
        self, ids: list[str], keys: Keys, patience: Patience
    ) -> tuple[dict[str, Item], Problems]:
        problems = Problems()
        try:
            assert self.settler.source is not None  # noqa: S101 - without it there is no look
            source = self._digests(self.settler.source, ids, keys, patience, problems)
            replica = self._digests(self.replica, ids, keys, patience, problems)
        except Exception as error:  # noqa: BLE001 - no slice may end while the others go on
            problems.errors[error_code(error)] += 1
            problems.unstored.update(ids)
            return {}, problems
        read = source.keys() & replica.keys()
        return {
            identifier: keys[identifier]
            for identifier in ids
            if identifier in read and source[identifier] != replica[identifier]
        }, problems

    def _digests(
        self, table: SourceTable, ids: list[str], keys: Keys, patience: Patience, problems: Problems
    ) -> _Digests:
        """Digests, because the items of two answers at once may be too much."""
        digests: _Digests = {}
        budget = self.settler.budget

        def attempt(pending: list[str]) -> list[str]:
            unread: list[str] = []
            calls = budget.calls(pending)
            while calls:
                call = calls.pop(0)
                with budget.allowance(len(call)) as allowance:
                    read = table.read(call, keys, patience, problems, allowance)
                    for identifier, state in read.states.items():
                        digests[identifier] = None if state is None else digest(state)
                unread += read.unread
                calls[:0] = [part for portion in read.portions for part in budget.calls(portion)]
            return unread

        problems.unstored.update(patience.work_off(ids, attempt))
        return digests
