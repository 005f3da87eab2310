"""How a run writes the items of its plan, some at a time, and what each of them came to."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

from more_itertools import map_reduce

from operations.deployed_tables import DeployedTables
from operations.errors import RunEndedError
from operations.execution.attempts import Attempts, name_of
from operations.execution.decision import (
    Decided,
    PlanTerms,
    Write,
    conflicts_of_plan,
    taken_at_least,
)
from operations.execution.item_look import ItemLook, Looked, Writes, takes_all, writes_of
from operations.execution.item_run import Aside, ItemRun, Unproven
from operations.execution.item_writer import ItemWrite, ItemWriter, WriteOutcome, WriteResult
from operations.execution.plan_file import PlanItem
from operations.execution.standstill import Standstill
from operations.execution.transactions import MOST_TOGETHER
from operations.execution.write_proof import WriteProof, of_recorded
from operations.recovery.conditions import is_guarded_in_part
from reports.access.parallel import in_order
from stream_core.announcement import OwnWrite

# Another writer may be in the way more than once.
MOST_ATTEMPTS = 5
"""So often is a write begun that others are in the way of."""
_LEFT_AS_IT_IS = frozenset({WriteOutcome.CONFLICT, WriteOutcome.REFUSED})


@dataclass(frozen=True)
class ItemRunner:
    """Writes items of a run; may be asked side by side.

    Attributes:
        attempts: the writes that the run has begun.
        look: announces what is to be written, and looks.
    """

    deployment: DeployedTables
    attempts: Attempts
    look: ItemLook
    standstill: Standstill
    terms: PlanTerms
    _writer: ItemWriter = field(init=False)
    _proof: WriteProof = field(init=False)

    def __post_init__(self) -> None:
        deployment = self.deployment
        writer = ItemWriter(
            *(deployment.dynamodb, deployment.source_table, deployment.reader.live),
            self.standstill.patience,
        )
        object.__setattr__(self, "_writer", writer)
        object.__setattr__(self, "_proof", WriteProof(self.attempts, writer))

    def carry_out(
        self, items: Sequence[PlanItem]
    ) -> Generator[ItemRun | Unproven | Aside, None, None]:
        """Write some items, and say what became of each.

        Some are written by one transaction: where that cannot be made they are looked at again, and
        written one by one.

        Raises:
            RunEndedError: nothing was answered for too long.
            OperationError: the journal or the history cannot be written.
            ClientError: the table may not be read.
        """
        looked = self.look.at_items(items, together=MOST_TOGETHER)
        unmet: list[PlanItem] = []
        with closing(in_order(self._settled_together, _by_transaction(looked))) as results:
            for result in chain.from_iterable(results):
                if isinstance(result, PlanItem):
                    unmet.append(result)
                else:
                    yield result
        if unmet:
            looked = self.look.at_items(unmet, is_answered=True)
            with closing(in_order(self._settled, looked)) as settled:
                yield from settled
        self.withdraw()

    def withdraw(self) -> None:
        """Take back what was announced and is surely not written.

        Raises:
            OperationError: the history cannot be written.
        """
        attempts = self.attempts
        attempts.withdraw(attempts.unsent, self.standstill.patience())

    def sent_together(self, writes: Writes, *, guards_rest: bool) -> Sequence[WriteResult | None]:
        """The answers to writes that are made by one transaction, see `ItemWriter`.

        Raises:
            RunEndedError: nothing was answered for too long.
        """
        self.require_answers()
        requests = [self._request(*write, guards_rest=guards_rest) for write in writes]
        self.attempts.sent(attempt for _, _, attempt in writes)
        since = self.standstill.now()
        results = self._writer.write_together(requests)
        if any(result and result.outcome is WriteOutcome.UNSENT for result in results):
            self.standstill.failed(since)
        else:
            self.standstill.moved()
        if any(result and result.is_void for result in results):
            for _, step, attempt in writes:
                self._answered_void(step, attempt)
        return results

    def result_of(self, item: PlanItem, step: Write, written: WriteResult) -> ItemRun | Unproven:
        """What is said of an item after the answer to its write; kept, if that is all."""
        return self._answered(self._result(item, step, written))

    def result_of_decided(
        self, item: PlanItem, step: Decided, *, is_answered: bool = False
    ) -> ItemRun | Unproven:
        """What is said of an item that is not written; kept, if that is all.

        Args:
            item: the item of the plan.
            step: what was decided.
            is_answered: what this run was about to write to it was not carried out.
        """
        result = self._of_settled(item, step)
        if isinstance(result, Unproven):
            return result
        return self._kept(result, is_answered=is_answered)

    def result_of_aside(self, aside: Aside) -> ItemRun:
        """What is said of an item that was looked at again for long enough; kept."""
        result = ItemRun(aside.item, aside.step.outcome, aside.step.reason)
        return self._kept(result, is_answered=False)

    def prove(self, unproven: Unproven) -> ItemRun | None:
        """What became of an item, if the history shows it by now."""
        proven = self._proof.of_item(unproven)
        if proven is None:
            return None
        return self._kept(proven, is_answered=unproven.is_answered)

    def _settled_together(
        self, looked: Sequence[Looked]
    ) -> list[ItemRun | Unproven | Aside | PlanItem]:
        """What becomes of the items of one transaction; those that are to be looked at again."""
        writes = writes_of(looked)
        if len(writes) <= 1:
            return [self._settled(look) for look in looked]
        if any(step.repeats is None and self.attempts.is_stale(tried) for _, step, tried in writes):
            return [item for item, _, _ in writes]
        results = self.sent_together(writes, guards_rest=True)
        return [
            item
            if written is None or self._is_in_the_way(written.outcome)
            else self.result_of(item, step, written)
            for (item, step, _), written in zip(writes, results, strict=True)
        ]

    def _settled(self, looked: Looked) -> ItemRun | Unproven | Aside:
        """What becomes of an item; where others are in the way it is looked at again."""
        for number in range(1, MOST_ATTEMPTS + 1):
            item, step, attempt = looked.item, looked.step, looked.attempt
            if isinstance(step, Decided):
                if looked.is_passing:
                    return Aside(item, step)
                return self.result_of_decided(item, step, is_answered=number > 1)
            assert attempt is not None  # noqa: S101 - a write is announced
            is_last = number == MOST_ATTEMPTS
            is_stale = step.repeats is None and self.attempts.is_stale(attempt)
            if not is_stale or is_last:
                result = self._once(item, step, attempt, guards_rest=not is_last)
                is_final = isinstance(result, Unproven) or not self._is_in_the_way(result.outcome)
                if is_last or is_final:
                    return self._answered(result)
            (looked,) = self.look.at_items([item], is_answered=True)
        raise AssertionError("unreachable")

    def _of_settled(self, item: PlanItem, step: Decided) -> ItemRun | Unproven:
        result = ItemRun(item, step.outcome, step.reason, step.conflicts)
        if not step.needs_proof:
            return result
        seen = None
        if step.outcome is WriteOutcome.UNNEEDED:
            seen = taken_at_least(item, self.attempts.at_item(item))
        return Unproven(result, seen, is_answered=False)

    def _once(
        self, item: PlanItem, step: Write, attempt: OwnWrite, *, guards_rest: bool
    ) -> ItemRun | Unproven:
        self.require_answers()
        self.attempts.sent([attempt])
        since = self.standstill.now()
        written = self._writer.write(self._request(item, step, attempt, guards_rest=guards_rest))
        if written.outcome is WriteOutcome.UNSENT:
            self.standstill.failed(since)
        else:
            self.standstill.moved()
        if written.is_void:
            self._answered_void(step, attempt)
        return self._result(item, step, written)

    def require_answers(self) -> None:
        """See that the tables still answer.

        Raises:
            RunEndedError: nothing was answered for too long.
        """
        if self.standstill.reason is not None:
            table = self.deployment.source_table
            raise RunEndedError(f"'{table}' has answered nothing for too long")

    def _is_in_the_way(self, outcome: WriteOutcome) -> bool:
        """Whether another writer is, of whom nothing has to be minded."""
        return outcome is WriteOutcome.CONFLICT and not self.terms.is_strict

    def _answered_void(self, step: Write, attempt: OwnWrite) -> None:
        """Keep in mind that nothing was written; somebody else may have made what is repeated."""
        if step.repeats is None:
            self.attempts.left_nothing(attempt)

    def _request(
        self, item: PlanItem, step: Write, attempt: OwnWrite, *, guards_rest: bool
    ) -> ItemWrite:
        return ItemWrite(
            item.keys,
            step.edits,
            step.before,
            step.after,
            name_of(attempt),
            guards_rest=guards_rest,
            tells_rest=self.terms.is_strict,
            is_repeat=step.repeats is not None,
            is_still_known=partial(self.attempts.is_still_known, attempt),
        )

    def _result(self, item: PlanItem, step: Write, written: WriteResult) -> ItemRun | Unproven:
        """What is said of an item after the answer to its write."""
        if step.repeats is not None and written.outcome is WriteOutcome.WRITTEN:
            set_back = of_recorded(item, self.look.live_item(item))
            if set_back.outcome is WriteOutcome.CONFLICT:
                return Unproven(set_back)
        conflicts = step.conflicts
        if written.outcome is WriteOutcome.CONFLICT:
            conflicts = conflicts_of_plan(item, written.item)
        result = ItemRun(item, written.outcome, written.reason, conflicts)
        if written.outcome is WriteOutcome.UNNEEDED:
            is_plain = is_guarded_in_part(item.keys, step.edits, step.before, step.after)
            return Unproven(result, step.before if is_plain else None, is_answered=False)
        if written.outcome is WriteOutcome.WRITTEN and takes_all(item, step):
            return Unproven(result, step.before)
        return result

    def _answered(self, result: ItemRun | Unproven) -> ItemRun | Unproven:
        return result if isinstance(result, Unproven) else self._kept(result, is_answered=True)

    def _kept(self, result: ItemRun, *, is_answered: bool) -> ItemRun:
        if result.outcome is not WriteOutcome.UNSENT:
            is_unwritten = is_answered and result.outcome in _LEFT_AS_IT_IS
            self.attempts.journal.settle(
                *(result.item.number, result.outcome, result.reason), is_unwritten=is_unwritten
            )
        return result


def _by_transaction(looked: Sequence[Looked]) -> Iterator[list[Looked]]:
    """Items by the moment at which their write was begun; those that are not written alone."""
    begun = map_reduce(looked, lambda look: look.attempt and look.attempt.at)
    for moment, looks in begun.items():
        yield from [looks] if moment else ([look] for look in looks)
