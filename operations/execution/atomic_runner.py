"""How a run writes all items of its plan together, or none of them.

They are looked at as single ones are, and written by one transaction. Where one of them is in
conflict nothing is written, and each says why. The transaction has one token: repeated, also by who
goes on with the run, it is carried out once.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

from operations.errors import RefusedError
from operations.execution.decision import MAY_BE_WRITTEN, Decided, Write, conflicts_of_plan
from operations.execution.item_look import Looked, Writes, writes_of
from operations.execution.item_run import ItemRun, Unproven
from operations.execution.item_runner import MOST_ATTEMPTS, ItemRunner
from operations.execution.item_writer import WriteOutcome, WriteResult
from operations.execution.plan_file import PlanItem
from operations.execution.transactions import MOST_BYTES, size_of
from operations.recovery.conditions import is_guarded_in_part
from reports.inputs.keys import key_text

# API reference, TransactWriteItems.
_MOST_ITEMS = 100
_INSTEAD = "nothing was written: choose fewer items, or leave --atomic out"
_DONE = frozenset({WriteOutcome.WRITTEN, WriteOutcome.UNNEEDED})


def require_together(items: int) -> None:
    """See that one transaction has room for so many items.

    Raises:
        RefusedError: it has not.
    """
    if items > _MOST_ITEMS:
        raise RefusedError(
            f"--atomic writes at most {_MOST_ITEMS} items in one transaction, and the plan has "
            f"{items:,}; {_INSTEAD}"
        )


@dataclass(frozen=True)
class AtomicRunner:
    """Writes the items of a plan in one transaction.

    Attributes:
        runner: looks at each of them.
    """

    runner: ItemRunner

    def carry_out(self, items: Sequence[PlanItem]) -> Generator[ItemRun | Unproven, None, None]:
        """Write all of at most 100 items or none, and say what became of each, in their order.

        Raises:
            RefusedError: they are more than a transaction has room for.
            RunEndedError: nothing was answered for too long.
            OperationError: the journal or the history cannot be written.
            ClientError: the table may not be read.
        """
        for number in range(1, MOST_ATTEMPTS + 1):
            is_last = number == MOST_ATTEMPTS
            looked = self._looked(items, is_answered=number > 1)
            writes = writes_of(looked)
            if not writes or not self._may_be_written(looked, writes):
                yield from self._unwritten(looked, is_answered=number > 1)
                self.runner.withdraw()
                return
            written = self._written(writes, guards_rest=not is_last)
            is_unmet = any(result.outcome is WriteOutcome.CONFLICT for result in written.values())
            if not is_unmet or self.runner.terms.is_strict or is_last:
                yield from self._results(looked, written)
                self.runner.withdraw()
                return

    def _looked(self, items: Sequence[PlanItem], *, is_answered: bool) -> Sequence[Looked]:
        """What is to be done with the items; looked at again while what is in the way may pass."""
        look = self.runner.look
        looked = look.at_items(items, is_answered=is_answered, together=_MOST_ITEMS)
        while any(looked_item.is_passing for looked_item in looked):
            # What is not written now is in nobody's way meanwhile.
            self.runner.withdraw()
            if not look.lag.pause():
                break
            looked = look.at_items(items, is_answered=is_answered, together=_MOST_ITEMS)
        return looked

    def _may_be_written(self, looked: Sequence[Looked], writes: Writes) -> bool:
        """Whether nothing is in the way of any item, and a repeat is one of the same items."""
        if any(_is_obstacle(looked_item.step) for looked_item in looked):
            return False
        return len({step.repeats for _, step, _ in writes}) == 1

    def _written(self, writes: Writes, *, guards_rest: bool) -> dict[int, WriteResult]:
        """The answer to the transaction, by the number of each item."""
        _require_room(writes)
        results = self.runner.sent_together(writes, guards_rest=guards_rest)
        unmet = sum(result.outcome is WriteOutcome.CONFLICT for result in results if result)
        return {
            item.number: result or WriteResult(WriteOutcome.CONFLICT, step.before, _because(unmet))
            for (item, step, _), result in zip(writes, results, strict=True)
        }

    def _results(
        self, looked: Sequence[Looked], written: dict[int, WriteResult]
    ) -> Iterator[ItemRun | Unproven]:
        for looked_item in looked:
            item, step = looked_item.item, looked_item.step
            if isinstance(step, Write):
                yield self.runner.result_of(item, step, written[item.number])
            else:
                yield self.runner.result_of_decided(item, step)

    def _unwritten(
        self, looked: Sequence[Looked], *, is_answered: bool
    ) -> Iterator[ItemRun | Unproven]:
        """What is said of each item where something is in the way of all."""
        reason = _because(sum(_is_obstacle(looked_item.step) for looked_item in looked))
        for looked_item in looked:
            item, step = looked_item.item, looked_item.step
            if isinstance(step, Decided):
                yield self.runner.result_of_decided(item, step, is_answered=is_answered)
            elif step.repeats is not None:
                conflicts = conflicts_of_plan(item, step.before)
                result = ItemRun(item, WriteOutcome.CONFLICT, MAY_BE_WRITTEN, conflicts)
                yield Unproven(result, is_answered=False)
            else:
                refused = Decided(WriteOutcome.CONFLICT, reason, step.conflicts)
                yield self.runner.result_of_decided(item, refused, is_answered=is_answered)


def _is_obstacle(step: Write | Decided) -> bool:
    """Whether an item is not going to be all that the plan wants, or may be written already."""
    if isinstance(step, Write):
        return bool(step.conflicts)
    return step.needs_proof or step.outcome not in _DONE


def _because(obstacles: int) -> str:
    what = (
        "what became of an earlier try is not known"
        if not obstacles
        else (f"{obstacles:,} of them cannot be written as planned")
    )
    return f"nothing was written: --atomic writes all items or none, and {what}"


def _require_room(writes: Writes) -> None:
    """See that the writes fit into one transaction.

    Raises:
        RefusedError: they are too large, or one of them is more than a condition can name.
    """
    size = sum(size_of((item, step)) for item, step, _ in writes)
    if size > MOST_BYTES:
        raise RefusedError(
            f"--atomic writes at most 4 MB in one transaction, and the items have {size:,} bytes; "
            f"{_INSTEAD}"
        )
    for item, step, _ in writes:
        if is_guarded_in_part(item.keys, step.edits, step.before, step.after):
            raise RefusedError(
                f"the item {key_text(item.keys)} has more than one condition can name, and "
                f"--atomic writes only what is guarded whole; {_INSTEAD}"
            )
