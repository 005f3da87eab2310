"""How a run writes the items of its plan, one by one, and what each of them came to."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

from operations.deployed_tables import DeployedTables
from operations.errors import RunEndedError
from operations.execution.attempts import Attempts, latest_of, name_of
from operations.execution.decision import (
    Decided,
    PlanTerms,
    Write,
    after_attempt,
    conflicts_of_plan,
    decide,
    decided_of_recorded,
    planned_delete,
    taken_at_least,
)
from operations.execution.item_history import ItemHistory
from operations.execution.item_run import ItemRun, Unproven
from operations.execution.item_writer import ItemWrite, ItemWriter, WriteOutcome, WriteResult
from operations.execution.live_items import live_items
from operations.execution.pace import Pace
from operations.execution.plan_file import PlanAction, PlanItem
from operations.execution.since_plan import is_behind, pending_reason, undisturbed
from operations.execution.standstill import Standstill
from operations.execution.write_proof import WriteProof, of_recorded
from operations.recovery.conditions import is_guarded_in_part
from operations.recovery.recorded import BEHIND, Lag
from reports.access.parallel import in_order
from stream_core.attribute_values import Item, own_attributes
from stream_core.control_row import OwnWrite
from stream_core.errors import IntegrityError
from stream_core.item_id import item_id

# Another writer may be in the way more than once.
MOST_ATTEMPTS = 5
"""So often is a write begun that others are in the way of."""
_LEFT_AS_IT_IS = frozenset({WriteOutcome.CONFLICT, WriteOutcome.REFUSED})


@dataclass(frozen=True)
class ItemRunner:
    """Writes items of a run; may be asked side by side.

    Attributes:
        attempts: the writes that the run has begun.
        history: what others did since the plan was made.
    """

    deployment: DeployedTables
    attempts: Attempts
    history: ItemHistory
    standstill: Standstill
    pace: Pace
    terms: PlanTerms
    _lag: Lag = field(init=False)
    _writer: ItemWriter = field(init=False)
    _proof: WriteProof = field(init=False)

    def __post_init__(self) -> None:
        deployment = self.deployment
        writer = ItemWriter(
            *(deployment.dynamodb, deployment.source_table, deployment.reader.live),
            self.standstill.patience,
        )
        object.__setattr__(self, "_lag", Lag(self.pace))
        object.__setattr__(self, "_writer", writer)
        object.__setattr__(self, "_proof", WriteProof(self.attempts, writer))

    def carry_out(self, items: Sequence[PlanItem]) -> Generator[ItemRun | Unproven, None, None]:
        """Write at most 100 items one by one, and say what became of each, in their order.

        Raises:
            RunEndedError: nothing was answered for too long.
            OperationError: the journal or the history cannot be written.
            ClientError: the table may not be read.
        """
        looked = self.looked_at(items)
        writes = [(item, step) for item, step in looked if isinstance(step, Write)]
        attempts = self.attempts.announce(writes, self.standstill.patience())
        tasks = [(item, step, attempts.get(item.number)) for item, step in looked]
        with closing(in_order(lambda task: self._settled(*task), tasks)) as results:
            yield from results

    def looked_at(
        self, items: Sequence[PlanItem], *, is_answered: bool = False
    ) -> list[tuple[PlanItem, Write | Decided]]:
        """What is to be done with each of at most 100 items.

        All waiting for the rate is done before any of them is looked at: what was found out is true
        for some seconds, and the name of a repeat is known for minutes.

        Args:
            items: the items.
            is_answered: what this run was about to write to them was not carried out.

        Raises:
            OperationError: the tables do not answer.
            ClientError: the table may not be read.
        """
        self.pace.rate.take(len(items))
        self.history.look_anew()
        live = self._live(items)

        def step_of(item: PlanItem) -> Write | Decided:
            return self._step(item, live.get(item_id(item.keys)), is_answered=is_answered)

        with closing(in_order(step_of, items)) as steps:
            return list(zip(items, steps, strict=True))

    def sent_together(
        self, writes: Sequence[tuple[PlanItem, Write]], *, guards_rest: bool
    ) -> list[WriteResult | None]:
        """The answers to writes that are made by one transaction, see `ItemWriter`."""
        attempts = self.attempts.announce(writes, self.standstill.patience())
        requests = [
            self._request(item, step, attempts[item.number], guards_rest=guards_rest)
            for item, step in writes
        ]
        since = self.standstill.now()
        results = self._writer.write_together(requests)
        if any(result and result.outcome is WriteOutcome.UNSENT for result in results):
            self.standstill.failed(since)
        else:
            self.standstill.moved()
        return results

    def result_of(self, item: PlanItem, step: Write, written: WriteResult) -> ItemRun | Unproven:
        """What is said of an item after the answer to its write; kept, if that is all."""
        result = self._result(item, step, written)
        return result if isinstance(result, Unproven) else self._kept(result, is_answered=True)

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

    def prove(self, unproven: Unproven) -> ItemRun | None:
        """What became of an item, if the history shows it by now."""
        proven = self._proof.of_item(unproven)
        if proven is None:
            return None
        return self._kept(proven, is_answered=unproven.is_answered)

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

    def _read_again(self, item: PlanItem) -> Iterator[Item | None]:
        while True:
            yield self._live_item(item)

    def _live_item(self, item: PlanItem) -> Item | None:
        return own_attributes(self.deployment.reader.live(item.keys))

    def _step(
        self, item: PlanItem, live: Item | None, *, is_answered: bool = False
    ) -> Write | Decided:
        """What is to be done with an item, once its history is as far as the item itself.

        Args:
            item: the item of the plan.
            live: its own attributes, as they were read.
            is_answered: what this run was about to write to it was not carried out.
        """
        reads: Iterator[Item | None] = chain([live], self._read_again(item))

        def look() -> tuple[bool, Write | Decided]:
            image = next(reads)
            return self._looked_at(item, image, is_answered=is_answered)

        try:
            return self._lag.waited_for(look)[1]
        except IntegrityError as error:
            return Decided(WriteOutcome.REFUSED, f"its history is not intact: {error}")

    def _looked_at(
        self, item: PlanItem, live: Item | None, *, is_answered: bool
    ) -> tuple[bool, Write | Decided]:
        """What is to be done with an item that was read, and whether the history is as far."""
        step = self._decided(item, live, is_answered=is_answered)
        if isinstance(step, Decided) or (live is None and _is_repeated_delete(step)):
            return True, step
        since = self.history.since_plan(item)
        if since.has_run(self.attempts.announcer.row.run):
            # Another process of this run was quicker.
            return True, decided_of_recorded(item, live)
        if since.pending is not None:
            return False, Decided(WriteOutcome.REFUSED, pending_reason(since.pending))
        if not self.terms.is_strict and is_behind(item, live, since.rows):
            return False, Decided(WriteOutcome.REFUSED, BEHIND)
        return True, undisturbed(item, step, since.changes, self.terms)

    def _decided(self, item: PlanItem, live: Item | None, *, is_answered: bool) -> Write | Decided:
        """What is to be done with an item, by what it is and what this run did before."""
        if is_answered:
            return decide(item, live, self.terms, is_tried=False, is_recorded=False)
        attempts, is_recorded, is_open = self.attempts.at_item(item), False, False
        if attempts:
            # Before the rows: what it says of them has to hold for those that are read.
            is_open = self.attempts.is_open(attempts, item)
            rows = self.attempts.rows_since(attempts, item)
            is_recorded = bool(self.attempts.own_rows(attempts, rows))
        step = decide(item, live, self.terms, is_tried=bool(attempts), is_recorded=is_recorded)
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
        doubt = self.attempts.doubt(latest)
        return after_attempt(item, step, latest, doubt, is_repeatable=is_fresh and is_named)

    def _settled(
        self, item: PlanItem, step: Write | Decided, attempt: OwnWrite | None
    ) -> ItemRun | Unproven:
        if isinstance(step, Decided):
            return self.result_of_decided(item, step)
        assert attempt is not None  # noqa: S101 - a write has its attempt
        result = self._written(item, step, attempt)
        return result if isinstance(result, Unproven) else self._kept(result, is_answered=True)

    def _written(
        self, item: PlanItem, step: Write | Decided, attempt: OwnWrite
    ) -> ItemRun | Unproven:
        for number in range(1, MOST_ATTEMPTS + 1):
            if isinstance(step, Decided):
                return self._of_settled(item, step)
            is_last = number == MOST_ATTEMPTS
            result = self._once(item, step, attempt, guards_rest=not is_last)
            is_in_the_way = isinstance(result, ItemRun) and result.outcome is WriteOutcome.CONFLICT
            if not is_in_the_way or self.terms.is_strict or is_last:
                return result
            self.pace.rate.take(1)
            step = self._step(item, self._live_item(item), is_answered=True)
            if isinstance(step, Write):
                attempt = self._announced(item, step)
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
        if self.standstill.reason is not None:
            table = self.deployment.source_table
            raise RunEndedError(f"'{table}' has answered nothing for too long")
        if step.repeats is None and self.attempts.is_stale(attempt):
            attempt = self._announced(item, step)
        since = self.standstill.now()
        written = self._writer.write(self._request(item, step, attempt, guards_rest=guards_rest))
        if written.outcome is WriteOutcome.UNSENT:
            self.standstill.failed(since)
        else:
            self.standstill.moved()
        return self._result(item, step, written)

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

    def _kept(self, result: ItemRun, *, is_answered: bool) -> ItemRun:
        if result.outcome is not WriteOutcome.UNSENT:
            is_unwritten = is_answered and result.outcome in _LEFT_AS_IT_IS
            self.attempts.journal.settle(
                *(result.item.number, result.outcome, result.reason), is_unwritten=is_unwritten
            )
        return result

    def _announced(self, item: PlanItem, step: Write) -> OwnWrite:
        writes = [(item, step)]
        return self.attempts.announce(writes, self.standstill.patience())[item.number]


def _is_repeated_delete(step: Write) -> bool:
    """Whether it asks only what became of a delete: of an absent item it takes nothing."""
    return step.repeats is not None and step.after is None


def _takes_all(item: PlanItem, step: Write) -> bool:
    """Whether a write takes an item away without saying what was in it."""
    if item.action is not PlanAction.DELETE or step.before is None:
        return False
    return not is_guarded_in_part(item.keys, step.edits, step.before, None)
