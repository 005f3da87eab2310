"""What is to be done with items of a plan: announced first, and looked at then.

Two runs that looked first would pass each other: neither would know of the other's write. So what
is to be written is announced, by what the items are, and only then is looked at what others have
announced and done. Of two processes at one item at least one sees the other, and whoever sees an
announcement of which nothing is known yet does not write. The later one withdraws its own, and
tries again later; the earlier one waits a little for that. An item that has to wait for the history
is announced anew when it is looked at again.
"""

from collections import ChainMap
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeAlias, TypeVar

from more_itertools import chunked, map_reduce

from operations.deployed_tables import DeployedTables
from operations.execution.attempts import Attempts, latest_of
from operations.execution.decision import (
    MAY_BE_WRITTEN,
    Decided,
    PlanTerms,
    Write,
    after_attempt,
    conflicts_of_plan,
    decide,
    decided_of_recorded,
    planned_delete,
)
from operations.execution.item_history import ItemHistory, SincePlan
from operations.execution.item_writer import WriteOutcome
from operations.execution.live_items import live_items
from operations.execution.pace import Pace
from operations.execution.plan_file import PlanAction, PlanItem
from operations.execution.since_plan import is_behind, undisturbed
from operations.execution.standstill import Standstill
from operations.execution.transactions import groups_of
from operations.recovery.conditions import is_guarded_in_part
from operations.recovery.recorded import BEHIND, Lag, unread_reason
from reports.access.parallel import in_order
from reports.access.row_reader import MOST_A_CALL
from stream_core.announcement import OwnWrite
from stream_core.attribute_values import Item, own_attributes
from stream_core.errors import IntegrityError
from stream_core.item_id import item_id

Task = TypeVar("Task")
Result = TypeVar("Result")
Writes: TypeAlias = Sequence[tuple[PlanItem, Write, OwnWrite]]

# Who is later withdraws as soon as it has looked.
_MOST_LOOKS = 5


@dataclass(frozen=True, slots=True)
class Looked:
    """What is to be done with an item, by what it is and what others do.

    Attributes:
        live: its own attributes as they are.
        attempt: what was announced of its write; None: nothing is written.
        is_passing: what is in the way may pass: the item is to be looked at again in a while.
    """

    item: PlanItem
    live: Item | None
    step: Write | Decided
    attempt: OwnWrite | None = None
    is_passing: bool = False


@dataclass(frozen=True)
class ItemLook:
    """Announces what is to be written, and looks; may be asked side by side.

    Attributes:
        attempts: the writes that the run has begun.
        history: what others did since the plan was made.
        lag: how long the run waits for others, and for rows.
    """

    deployment: DeployedTables
    attempts: Attempts
    history: ItemHistory
    standstill: Standstill
    pace: Pace
    terms: PlanTerms
    lag: Lag = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lag", Lag(self.pace))

    def at_items(
        self, items: Sequence[PlanItem], *, is_answered: bool = False, together: int = 1
    ) -> list[Looked]:
        """What is to be done with each of some items; what is to be written is announced.

        All waiting for the rate is done before any of them is looked at: what was found out is true
        for some seconds, and the name of a repeat is known for minutes.

        Args:
            items: the items.
            is_answered: what this run was about to write to them was not carried out.
            together: so many are written by one transaction, at most.

        Raises:
            OperationError: the tables do not answer, or the journal cannot be written.
            ClientError: the table may not be read.
        """
        self.pace.rate.take(len(items))
        live = self._live(items)

        def begun(item: PlanItem) -> tuple[Looked, list[OwnWrite]]:
            return self._begun(item, live.get(item_id(item.keys)), is_answered=is_answered)

        begins = _results(begun, items, reads=self.attempts.may_be_tried(items))
        decided, tried = zip(*begins, strict=True) if items else ((), ())
        whole = self._without_partial_repeats(decided)
        attempts = self._announced(whole, together)
        announced = [replace(look, attempt=attempts.get(look.item.number)) for look in whole]
        unchanged = self.history.look_anew([look.item for look in announced if look.attempt])

        def looked_at(task: tuple[Looked, list[OwnWrite]]) -> Looked:
            return self._looked_at(*task, is_unchanged=task[0].item.number in unchanged)

        tasks = list(zip(announced, tried, strict=True))
        seen = _results(looked_at, tasks, reads=len(unchanged) < len(attempts))
        looked = self._without_partial_repeats(seen)
        return self._announced_as_it_is(announced, looked)

    def live_item(self, item: PlanItem) -> Item | None:
        """The own attributes of an item as they are."""
        return own_attributes(self.deployment.reader.live(item.keys))

    def _live(self, items: Sequence[PlanItem]) -> dict[str, Item]:
        """The own attributes of items that are there, by id."""
        client, table = self.deployment.dynamodb, self.deployment.source_table

        def read(some: list[PlanItem]) -> dict[str, Item]:
            keys, patience = [item.keys for item in some], self.standstill.patience()
            ask = self.attempts.clock.ask
            images = live_items(client, table, keys, patience, lambda request: ask(request)[0])
            self.standstill.moved()
            return {identifier: own_attributes(image) or {} for identifier, image in images.items()}

        with closing(in_order(read, chunked(items, MOST_A_CALL))) as portions:
            return dict(ChainMap(*portions))

    def _without_partial_repeats(self, looked: Sequence[Looked]) -> list[Looked]:
        """Nothing is repeated but what was one transaction, as a whole."""
        repeats = map_reduce(looked, _repeated, lambda look: look.item)
        partial = {
            moment
            for moment, items in repeats.items()
            if moment and not self.attempts.is_whole(moment, items)
        }
        return [_left_in_doubt(look) if _repeated(look) in partial else look for look in looked]

    def _announced(self, looked: Sequence[Looked], together: int) -> dict[int, OwnWrite]:
        writes = [(look.item, look.step) for look in looked if isinstance(look.step, Write)]
        return self.attempts.announce(groups_of(writes, together), self.standstill.patience())

    def _announced_as_it_is(
        self, announced: Sequence[Looked], looked: Sequence[Looked]
    ) -> list[Looked]:
        """What was announced otherwise is announced anew; before the former is withdrawn."""
        attempts = self._announced([look for look in looked if not _is_announced(look)], 1)
        settled = [
            replace(look, attempt=attempts.get(look.item.number, look.attempt)) for look in looked
        ]
        kept = {look.attempt for look in settled}
        self.attempts.withdraw(
            [look.attempt for look in announced if look.attempt and look.attempt not in kept],
            self.standstill.patience(),
        )
        return settled

    def _begun(
        self, item: PlanItem, live: Item | None, *, is_answered: bool
    ) -> tuple[Looked, list[OwnWrite]]:
        """What would be done, if nobody else did anything, and what this run did before."""
        try:
            if is_answered:
                return Looked(item, live, decide(item, live, self.terms, is_tried=False)), []
            tried = self.attempts.at_item(item)
            return Looked(item, live, self._decided(item, live, tried)), tried
        except IntegrityError as error:
            return Looked(item, live, _not_intact(error)), []

    def _decided(
        self, item: PlanItem, live: Item | None, attempts: Sequence[OwnWrite]
    ) -> Write | Decided:
        """What is to be done with an item, by what it is and what this run did before."""
        if not attempts:
            return decide(item, live, self.terms, is_tried=False)
        # Before the rows: what it says of them has to hold for those that are read.
        is_open = self.attempts.is_open(attempts, item)
        rows = self.attempts.rows_since(attempts, item)
        if self.attempts.own_rows(attempts, rows):
            return self._recorded(item, live)
        step = decide(item, live, self.terms, is_tried=True)
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
            return repeat if takes_all(item, repeat) else step
        is_named = not is_guarded_in_part(item.keys, step.edits, step.before, step.after)
        doubt = self.attempts.doubt(latest)
        return after_attempt(item, step, latest, doubt, is_repeatable=is_fresh and is_named)

    def _recorded(self, item: PlanItem, live: Item | None) -> Decided:
        """What is said of an item that this run has written, by what it was before that shows."""
        decided = decided_of_recorded(item, live)
        if decided.outcome is WriteOutcome.WRITTEN:
            return decided
        # Another process may have written it after it was read.
        return decided_of_recorded(item, self._live([item]).get(item_id(item.keys)))

    def _looked_at(self, begun: Looked, tried: Sequence[OwnWrite], *, is_unchanged: bool) -> Looked:
        """What is to be done, by what others did since the plan was made."""
        step, attempt = begun.step, begun.attempt
        if isinstance(step, Decided) or attempt is None:
            return begun
        if begun.live is None and _is_repeated_delete(step):
            return begun
        try:
            since = self._since_plan(begun.item, attempt, tried, is_unchanged=is_unchanged)
            return self._undisturbed(begun, step, since)
        except IntegrityError as error:
            return replace(begun, step=_not_intact(error), attempt=None)

    def _since_plan(
        self, item: PlanItem, attempt: OwnWrite, tried: Sequence[OwnWrite], *, is_unchanged: bool
    ) -> SincePlan:
        """What others did; read again while one who announced later has not withdrawn."""
        since = self.history.since_plan(item, attempt, tried, is_unchanged=is_unchanged)
        for _ in range(_MOST_LOOKS - 1):
            pending = since.pending
            is_first = pending is not None and _turn(attempt) < _turn(pending)
            if not is_first or not self.lag.pause():
                break
            since = self.history.since_plan(item, attempt, tried)
        return since

    def _undisturbed(self, begun: Looked, step: Write, since: SincePlan) -> Looked:
        item, live = begun.item, begun.live
        announcer = self.attempts.announcer
        if since.has_run(announcer.row.run):
            # Another process of this run was quicker.
            return Looked(item, live, self._recorded(item, live))
        if since.pending is not None:
            # If it is another process of this run, what that announces is read from now on.
            announcer.is_known |= since.pending.run == announcer.row.run
            refused = Decided(WriteOutcome.REFUSED, self.history.pending_reason(since.pending))
            return Looked(item, live, refused, is_passing=True)
        if not self.terms.is_strict and is_behind(item, live, since.rows):
            return Looked(item, live, Decided(WriteOutcome.REFUSED, BEHIND), is_passing=True)
        remaining = undisturbed(item, step, since.changes, self.terms)
        attempt = begun.attempt if remaining is step else None
        return replace(begun, step=remaining, attempt=attempt)


def _results(work: Callable[[Task], Result], tasks: Sequence[Task], *, reads: bool) -> list[Result]:
    """The results of work; side by side where it reads: threads take longer than what is known."""
    if not reads:
        return list(map(work, tasks))
    with closing(in_order(work, tasks)) as results:
        return list(results)


def writes_of(looked: Sequence[Looked]) -> Writes:
    """What is to be written of some items, and was announced."""
    return [
        (look.item, look.step, look.attempt)
        for look in looked
        if isinstance(look.step, Write) and look.attempt
    ]


def takes_all(item: PlanItem, step: Write) -> bool:
    """Whether a write takes an item away without saying what was in it."""
    if item.action is not PlanAction.DELETE or step.before is None:
        return False
    return not is_guarded_in_part(item.keys, step.edits, step.before, None)


def _repeated(looked: Looked) -> datetime | None:
    """When the write was begun that is repeated; None: none is."""
    return looked.step.repeats if isinstance(looked.step, Write) else None


def _left_in_doubt(looked: Looked) -> Looked:
    conflicts = conflicts_of_plan(looked.item, looked.live)
    doubt = Decided(WriteOutcome.CONFLICT, MAY_BE_WRITTEN, conflicts, needs_proof=True)
    return replace(looked, step=doubt, attempt=None)


def _is_announced(looked: Looked) -> bool:
    """Whether nothing of it is to be announced any more."""
    return isinstance(looked.step, Decided) or looked.attempt is not None


def _is_repeated_delete(step: Write) -> bool:
    """Whether it asks only what became of a delete: of an absent item it takes nothing."""
    return step.repeats is not None and step.after is None


def _not_intact(error: IntegrityError) -> Decided:
    return Decided(WriteOutcome.REFUSED, unread_reason(error))


def _turn(write: OwnWrite) -> tuple[object, str]:
    """Who announced first is first."""
    return write.at, write.run
