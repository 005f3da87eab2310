"""How a run writes the items of its plan, one by one, and what each of them came to."""

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from operations.deployed_tables import DeployedTables
from operations.errors import RunEndedError
from operations.execution.attempts import Attempts, latest_of
from operations.execution.decision import (
    Decided,
    Write,
    after_attempt,
    conflicts_of_plan,
    decide,
    planned_delete,
    taken_at_least,
)
from operations.execution.item_run import ItemRun, Unproven
from operations.execution.item_writer import ItemWrite, ItemWriter, WriteOutcome, WriteResult
from operations.execution.live_items import live_items
from operations.execution.plan_file import PlanAction, PlanItem
from operations.execution.rate import Rate
from operations.execution.standstill import Standstill
from operations.execution.write_proof import WriteProof, of_recorded
from operations.recovery.conditions import is_guarded_in_part
from reports.access.parallel import in_order
from stream_core.attribute_values import Item, own_attributes
from stream_core.control_row import OwnWrite
from stream_core.history_row import time_text
from stream_core.item_id import item_id

# Another writer may be in the way more than once.
_MOST_ATTEMPTS = 5


@dataclass(frozen=True)
class ItemRunner:
    """Writes items of a run; may be asked side by side.

    Attributes:
        attempts: the writes that the run has begun.
        is_strict: nothing of an item may have changed since the plan was made.
    """

    deployment: DeployedTables
    attempts: Attempts
    standstill: Standstill
    rate: Rate
    is_strict: bool
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

    def carry_out(self, items: Sequence[PlanItem]) -> Generator[ItemRun | Unproven, None, None]:
        """Write at most 100 items, and say what became of each, in their order.

        Raises:
            RunEndedError: nothing was answered for too long.
            OperationError: the journal or the history cannot be written.
            ClientError: the table may not be read.
        """
        live = self._live(items)
        with closing(in_order(lambda item: self._step(item, live), items)) as steps:
            pairs = [(item, step) for item, step in zip(items, steps, strict=True)]
        writes = [(item, step) for item, step in pairs if isinstance(step, Write)]
        attempts = self.attempts.announce(writes, self.standstill.patience())
        tasks = [(item, step, attempts.get(item.number)) for item, step in pairs]
        with closing(in_order(lambda task: self._settled(*task), tasks)) as results:
            yield from results

    def prove(self, unproven: Unproven) -> ItemRun | None:
        """What became of an item, if the history shows it by now."""
        proven = self._proof.of_item(unproven)
        return None if proven is None else self._kept(proven)

    def _live(self, items: Sequence[PlanItem]) -> dict[str, Item]:
        """The own attributes of items that are there, by id."""
        deployment, patience = self.deployment, self.standstill.patience()
        images = live_items(
            *(deployment.dynamodb, deployment.source_table, [item.keys for item in items]),
            patience,
            lambda request: self.attempts.clock.ask(request)[0],
        )
        self.standstill.moved()
        return {identifier: own_attributes(image) or {} for identifier, image in images.items()}

    def _live_item(self, item: PlanItem) -> Item | None:
        return own_attributes(self.deployment.reader.live(item.keys))

    def _step(self, item: PlanItem, live: dict[str, Item]) -> Write | Decided:
        attempts, is_recorded, is_open = self.attempts.at_item(item), False, False
        if attempts:
            # Before the rows: what it says of them has to hold for those that are read.
            is_open = self.attempts.is_open(attempts, item)
            rows = self.attempts.rows_since(attempts, item)
            is_recorded = bool(self.attempts.own_rows(attempts, rows))
        step = decide(
            item,
            live.get(item_id(item.keys)),
            is_tried=bool(attempts),
            is_recorded=is_recorded,
            is_strict=self.is_strict,
        )
        if not is_open:
            return step
        latest = latest_of(attempts)
        is_fresh = self.attempts.is_repeatable(latest)
        if isinstance(step, Decided):
            seen = planned_delete(item, attempts) if step.needs_proof else None
            if seen is None or not is_fresh:
                return step
            # Its answer tells whether it was carried out: absence does not.
            repeat = Write(item.edits, seen, None, repeats=latest.at)
            return repeat if _takes_all(item, repeat) else step
        is_named = not is_guarded_in_part(item.keys, step.edits, step.before, step.after)
        return after_attempt(item, step, latest, is_repeatable=is_fresh and is_named)

    def _settled(
        self, item: PlanItem, step: Write | Decided, attempt: OwnWrite | None
    ) -> ItemRun | Unproven:
        result = self._written(item, step, attempt)
        return result if isinstance(result, Unproven) else self._kept(result)

    def _written(
        self, item: PlanItem, step: Write | Decided, attempt: OwnWrite | None
    ) -> ItemRun | Unproven:
        for number in range(1, _MOST_ATTEMPTS + 1):
            if isinstance(step, Decided) or attempt is None:
                return self._of_settled(item, step)
            is_last = number == _MOST_ATTEMPTS
            result = self._once(item, step, attempt, guards_rest=not is_last)
            is_in_the_way = isinstance(result, ItemRun) and result.outcome is WriteOutcome.CONFLICT
            if not is_in_the_way or self.is_strict or is_last:
                return result
            live = self._live_item(item)
            step = decide(item, live, is_tried=False, is_recorded=False, is_strict=False)
            if isinstance(step, Write):
                attempt = self._announced(item, step)
        raise AssertionError("unreachable")

    def _of_settled(self, item: PlanItem, step: Write | Decided) -> ItemRun | Unproven:
        assert isinstance(step, Decided)  # noqa: S101 - a write has its attempt
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
        if self.standstill.reason is not None:
            table = self.deployment.source_table
            raise RunEndedError(f"'{table}' has answered nothing for too long")
        self.rate.take(1)
        if step.repeats is None and self.attempts.is_stale(attempt):
            attempt = self._announced(item, step)
        since = self.standstill.now()
        write = ItemWrite(
            item.keys,
            step.edits,
            step.before,
            step.after,
            f"{attempt.run}/{attempt.number}/{time_text(attempt.at)}",
            guards_rest=guards_rest,
            tells_rest=self.is_strict,
        )
        written = self._writer.write(write)
        if written.outcome is WriteOutcome.UNSENT:
            self.standstill.failed(since)
        else:
            self.standstill.moved()
        return self._result(item, step, written)

    def _result(self, item: PlanItem, step: Write, written: WriteResult) -> ItemRun | Unproven:
        """What is said of an item after the answer to its write."""
        if step.repeats is not None and written.outcome is WriteOutcome.WRITTEN:
            set_back = of_recorded(item, self._live_item(item))
            if set_back.outcome is WriteOutcome.CONFLICT:
                return Unproven(set_back)
        conflicts = step.conflicts
        if written.outcome is WriteOutcome.CONFLICT:
            conflicts = conflicts_of_plan(item, written.item)
        result = ItemRun(item, written.outcome, written.reason, conflicts)
        if written.outcome is WriteOutcome.UNNEEDED:
            is_plain = is_guarded_in_part(item.keys, step.edits, step.before, step.after)
            return Unproven(result, step.before if is_plain else None, is_answered=False)
        if written.outcome is WriteOutcome.WRITTEN and _takes_all(item, step):
            return Unproven(result, step.before)
        return result

    def _kept(self, result: ItemRun) -> ItemRun:
        if result.outcome is not WriteOutcome.UNSENT:
            self.attempts.journal.settle(result.item.number, result.outcome, result.reason)
        return result

    def _announced(self, item: PlanItem, step: Write) -> OwnWrite:
        writes = [(item, step)]
        return self.attempts.announce(writes, self.standstill.patience())[item.number]


def _takes_all(item: PlanItem, step: Write) -> bool:
    """Whether a write takes an item away without saying what was in it."""
    if item.action is not PlanAction.DELETE or step.before is None:
        return False
    return not is_guarded_in_part(item.keys, step.edits, step.before, None)
