"""How a run writes the items of its plan, one by one, and what each of them came to."""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from operations.deployed_tables import DeployedTables
from operations.errors import RunEndedError
from operations.execution.announcer import Announcer
from operations.execution.decision import (
    Decided,
    Write,
    after_attempt,
    conflicts_of_plan,
    decide,
    planned_delete,
    taken_at_least,
)
from operations.execution.item_writer import (
    ItemWrite,
    ItemWriter,
    WriteOutcome,
    WriteResult,
    has_all,
)
from operations.execution.journal import RunJournal
from operations.execution.moments import Moments
from operations.execution.plan_file import PlanAction, PlanItem
from operations.execution.rate import Rate
from operations.execution.request import answer_to
from operations.execution.service_clock import ServiceClock
from operations.execution.standstill import Standstill
from operations.recovery.conditions import is_guarded_in_part
from operations.recovery.conflicts import Conflict
from reports.access.parallel import in_order
from reports.states.differences import differences
from reports.states.own_writes import state_digest
from stream_core.attribute_values import Item, own_attributes, same_item
from stream_core.change import EventName
from stream_core.control_row import OwnWrite, item_hash
from stream_core.errors import IntegrityError
from stream_core.history_row import HistoryRow, time_text
from stream_core.item_id import item_id
from stream_core.retry import Patience

# Another writer may be in the way more than once.
_MOST_ATTEMPTS = 5
# Stamps are whole seconds.
_ROUNDING = timedelta(seconds=2)
# API reference, TransactWriteItems: a token is known for ten minutes after its request.
_TOKEN_LASTS = timedelta(minutes=10)
# A repeat is tried for some time itself.
_REPEATABLE = timedelta(minutes=8)
_MAYBE_NOT_MADE = frozenset({WriteOutcome.CONFLICT, WriteOutcome.REFUSED})
# A slow rate, or a laptop that slept: a change long after its announcement is another writer's.
_ANNOUNCED_ANEW_AFTER = timedelta(minutes=5)
_NOT_RECORDED = (
    "its write is not in the history yet: whether something was added to it at the last moment is "
    "known only then; the same command looks again"
)
_PERHAPS_TAKEN = (
    "it was deleted with more in it than the plan saw, perhaps by this run, whose answer was lost: "
    "see its history"
)


@dataclass(frozen=True, slots=True)
class ItemRun:
    """What became of one item of a plan.

    Attributes:
        reason: why it was not written, or what to know about it; no item data.
        conflicts: where the item is no longer what the plan saw.
        is_proven: it is known that no more was deleted than the plan saw.
    """

    item: PlanItem
    outcome: WriteOutcome
    reason: str = ""
    conflicts: tuple[Conflict, ...] = ()
    is_proven: bool = True

    @property
    def is_clean(self) -> bool:
        """Whether the item is what the plan wanted."""
        is_so = self.outcome in (WriteOutcome.WRITTEN, WriteOutcome.UNNEEDED)
        return is_so and self.is_proven and not self.conflicts


@dataclass(frozen=True, slots=True)
class Unproven:
    """What became of an item, if the history shows it.

    Attributes:
        result: what is said if it does not.
        seen: all that a delete was to take with it, or a put in its place; None: no such write.
        is_answered: whether that delete is known to have been carried out.
    """

    result: ItemRun
    seen: Item | None = None
    is_answered: bool = True


@dataclass(frozen=True)
class ItemRunner:
    """Writes items of a run; may be asked side by side.

    Attributes:
        is_strict: nothing of an item may have changed since the plan was made.
    """

    deployment: DeployedTables
    announcer: Announcer
    journal: RunJournal
    clock: ServiceClock
    standstill: Standstill
    rate: Rate
    is_strict: bool
    moments: Moments = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "moments", Moments(self.clock))

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
        attempts = self._announced((item, step) for item, step in pairs if isinstance(step, Write))
        tasks = [(item, step, attempts.get(item.number)) for item, step in pairs]
        with closing(in_order(lambda task: self._settled(*task), tasks)) as results:
            yield from results

    def prove(self, unproven: Unproven) -> ItemRun | None:
        """What became of an item, if the history shows it by now."""
        item, result, seen = unproven.result.item, unproven.result, unproven.seen
        try:
            rows = self._rows_since(item)
            is_own = bool(self._own(item, rows))
            live = self._live_item(item) if is_own else None
        except (ClientError, BotoCoreError, IntegrityError):
            return None
        if is_own:
            written = replace(result, outcome=WriteOutcome.WRITTEN, reason="")
            is_set_back = result.outcome is WriteOutcome.CONFLICT
            return self._kept(_of_recorded(item, live) if is_set_back else written)
        return None if seen is None else self._with_taken(unproven, seen, rows)

    def _with_taken(
        self, unproven: Unproven, seen: Item, rows: Sequence[HistoryRow]
    ) -> ItemRun | None:
        """What a delete came to that the history shows with all that it took."""
        item, last = unproven.result.item, self._last_delete(unproven.result.item, rows)
        if last is None or not has_all(last, differences({}, seen)):
            return None
        if same_item(own_attributes(last), seen):
            return self._kept(unproven.result)
        if not unproven.is_answered:
            return self._kept(ItemRun(item, WriteOutcome.CONFLICT, _PERHAPS_TAKEN))
        back = self._writer(self.standstill.patience).put_back(item.keys, last)
        conflicts = conflicts_of_plan(item, back.item)
        return self._kept(ItemRun(item, back.outcome, back.reason, conflicts))

    def unproven(self, unproven: Unproven) -> ItemRun:
        """What is said of an item of which the history shows nothing in time.

        It is not kept as done: the run looks again when it is run again.
        """
        if unproven.seen is None:
            return unproven.result
        return replace(unproven.result, reason=_NOT_RECORDED, is_proven=False)

    def _last_delete(self, item: PlanItem, rows: Sequence[HistoryRow]) -> Item | None:
        """The item as its delete took it, if that is the last change and may be this run's."""
        if not rows:
            return None
        change = rows[-1].change
        latest = max(attempt.at for attempt in self._attempts(item))
        is_before = change.created_at < latest.replace(microsecond=0)
        return None if is_before or change.event_name is not EventName.REMOVE else change.old_image

    def _live(self, items: Sequence[PlanItem]) -> dict[str, Item]:
        """The own attributes of items that are there, by id."""
        table, client = self.deployment.source_table, self.deployment.dynamodb
        live: dict[str, Item] = {}
        patience = self.standstill.patience()

        def attempt(keys: list[Item]) -> list[Item]:
            request: Any = {table: {"Keys": keys, "ConsistentRead": True}}
            answer, _, _ = self.clock.ask(
                lambda: answer_to(
                    lambda: client.batch_get_item(RequestItems=request), patience, table
                )
            )
            for image in answer["Responses"].get(table, []):
                own = own_attributes(image) or {}
                live[item_id({name: image[name] for name in items[0].keys})] = own
            unprocessed: Any = answer.get("UnprocessedKeys", {}).get(table, {"Keys": []})
            return list(unprocessed["Keys"])

        if patience.work_off([item.keys for item in items], attempt):
            raise RunEndedError(f"'{table}' does not answer (UnprocessedKeys)")
        self.standstill.moved()
        return live

    def _live_item(self, item: PlanItem) -> Item | None:
        return own_attributes(self.deployment.reader.live(item.keys))

    def _step(self, item: PlanItem, live: dict[str, Item]) -> Write | Decided:
        attempts, is_recorded, is_open = self._attempts(item), False, False
        if attempts:
            # Before the rows: what it says of them has to hold for those that are read.
            is_open = self._is_open(item, attempts)
            is_recorded = bool(self._own(item, self._rows_since(item)))
        step = decide(
            item,
            live.get(item_id(item.keys)),
            is_tried=bool(attempts),
            is_recorded=is_recorded,
            is_strict=self.is_strict,
        )
        if not is_open:
            return step
        latest = max(attempts, key=lambda attempt: attempt.at)
        is_fresh = self.clock.latest() - latest.at < _REPEATABLE
        if isinstance(step, Decided):
            seen = planned_delete(item, attempts) if step.needs_proof else None
            if seen is None or not is_fresh:
                return step
            # Its answer tells whether it was carried out: absence does not.
            repeat = Write(item.edits, seen, None, repeats=latest.at)
            return repeat if _takes_all(item, repeat) else step
        is_named = not is_guarded_in_part(item.keys, step.edits, step.before, step.after)
        return after_attempt(item, step, latest, is_repeatable=is_fresh and is_named)

    def _is_open(self, item: PlanItem, attempts: Sequence[OwnWrite]) -> bool:
        """Whether the latest attempt may have been carried out without being in the history."""
        outcome, _ = self.journal.done.get(item.number, (None, ""))
        if outcome in _MAYBE_NOT_MADE:
            # It was answered.
            return False
        ended = max(attempt.at for attempt in attempts) + _TOKEN_LASTS
        is_long_ago = ended < self.clock.earliest()
        return not (is_long_ago and self.deployment.reader.watermark.covers(ended))

    def _announced(self, writes: Iterable[tuple[PlanItem, Write]]) -> dict[int, OwnWrite]:
        """Have writes kept and announced, in this order; nothing is written before."""
        now, row = self.moments.next(), self.announcer.row
        attempts = {
            item.number: OwnWrite(
                row.run,
                item.number,
                item_hash(item_id(item.keys)),
                state_digest(step.before),
                state_digest(step.after),
                step.repeats or now,
                row.stream_arn,
            )
            for item, step in writes
        }
        if attempts:
            self.journal.about_to_write(attempts.values())
            self.announcer.announce(list(attempts.values()), self.standstill.patience())
        return attempts

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
                attempt = self._announced([(item, step)])[item.number]
        raise AssertionError("unreachable")

    def _of_settled(self, item: PlanItem, step: Write | Decided) -> ItemRun | Unproven:
        assert isinstance(step, Decided)  # noqa: S101 - a write has its attempt
        result = ItemRun(item, step.outcome, step.reason, step.conflicts)
        if not step.needs_proof:
            return result
        seen = None
        if step.outcome is WriteOutcome.UNNEEDED:
            seen = taken_at_least(item, self._attempts(item))
        return Unproven(result, seen, is_answered=False)

    def _once(
        self, item: PlanItem, step: Write, attempt: OwnWrite, *, guards_rest: bool
    ) -> ItemRun | Unproven:
        if self.standstill.reason is not None:
            table = self.deployment.source_table
            raise RunEndedError(f"'{table}' has answered nothing for too long")
        self.rate.take(1)
        is_old = self.clock.earliest() - attempt.at > _ANNOUNCED_ANEW_AFTER
        if is_old and step.repeats is None:
            attempt = self._announced([(item, step)])[item.number]
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
        written = self._writer(self.standstill.patience).write(write)
        if written.outcome is WriteOutcome.UNSENT:
            self.standstill.failed(since)
        else:
            self.standstill.moved()
        return self._result(item, step, written)

    def _result(self, item: PlanItem, step: Write, written: WriteResult) -> ItemRun | Unproven:
        """What is said of an item after the answer to its write."""
        if step.repeats is not None and written.outcome is WriteOutcome.WRITTEN:
            set_back = _of_recorded(item, self._live_item(item))
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
            self.journal.settle(result.item.number, result.outcome, result.reason)
        return result

    def _attempts(self, item: PlanItem) -> list[OwnWrite]:
        """The writes of an item that this run, here or elsewhere, was about to make."""
        row, identifier = self.announcer.row, item_id(item.keys)
        hashed = item_hash(identifier)
        here = [
            OwnWrite(
                *(row.run, item.number, hashed, tried.before, tried.after, tried.at, row.stream_arn)
            )
            for tried in self.journal.attempts.get(item.number, [])
        ]
        return here + (self.announcer.announced(identifier) if self.announcer.is_known else [])

    def _rows_since(self, item: PlanItem) -> list[HistoryRow]:
        """The rows of an item since this run was first about to write it."""
        since = min(attempt.at for attempt in self._attempts(item)) - _ROUNDING
        return list(self.deployment.reader.rows(item_id(item.keys), after=time_text(since)))

    def _own(self, item: PlanItem, rows: Sequence[HistoryRow]) -> list[HistoryRow]:
        """Those of the rows that this run has made."""
        own = self.announcer.own(self._attempts(item), rows)
        return [row for row in rows if own.run_of(row) is not None]

    def _writer(self, patience: Callable[[], Patience]) -> ItemWriter:
        deployment = self.deployment
        return ItemWriter(
            deployment.dynamodb, deployment.source_table, deployment.reader.live, patience
        )


def _of_recorded(item: PlanItem, live: Item | None) -> ItemRun:
    """What is said of an item that this run has written, as it is by now."""
    step = decide(item, live, is_tried=True, is_recorded=True, is_strict=False)
    assert isinstance(step, Decided)  # noqa: S101 - what is recorded is not written again
    return ItemRun(item, step.outcome, step.reason, step.conflicts)


def _takes_all(item: PlanItem, step: Write) -> bool:
    """Whether a write takes an item away without saying what was in it."""
    if item.action is not PlanAction.DELETE or step.before is None:
        return False
    return not is_guarded_in_part(item.keys, step.edits, step.before, None)
