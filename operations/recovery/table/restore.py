"""Restore a table, or a part of it, as of an instant into a new one; the source is only read.

The new table has a tag of what it is restored from. Until that says that it is finished the same
order goes on: what is there already is passed over. Once everything is in it, it is protected
against deletion, and recoverable to any second.
"""

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace

from botocore.exceptions import BotoCoreError, ClientError
from more_itertools import chunked, peekable

from operations.deployed_tables import DeployedTables
from operations.errors import RefusedError, RunEndedError, TakenOverError
from operations.execution.pace import Pace
from operations.recovery.table.contents import Contents
from operations.recovery.table.filler import Batch, Filler
from operations.recovery.table.hold import Hold, held_by
from operations.recovery.table.new_table import NewTable
from operations.recovery.table.paced_reads import PacedReads
from operations.recovery.table.plan import TablePlan
from operations.recovery.table.results import TableRestored, Uncertain, Unwritten
from operations.recovery.table.states import SelectedStates, StateFinder
from replica_writer.tables import MAX_WRITES, ReplicaTable
from reports.access.clients import CONCURRENCY
from reports.access.parallel import in_order
from reports.states.timeline import Certainty, ItemState
from stream_core.attribute_values import Item
from stream_core.item_id import item_id
from stream_core.retry import Retry, classify, error_code

# Enough to see what they have in common; all are counted.
MOST_LISTED = 1000
# So many are kept until the attributes of all conditions were met, before a table is made.
_MOST_AHEAD = 10_000
_AS_IT_WAS = "'{}' was there before: its settings are as they were"
_OTHERWISE = (
    "it is there otherwise: an earlier run knew less, or somebody else wrote it; delete it there "
    "to have it as it was"
)


def restore_table(  # noqa: PLR0913 - the whole order, as it is given
    deployment: DeployedTables,
    plan: TablePlan,
    *,
    apply: bool = False,
    command: str = "the same command",
    tell: Callable[[str], object] = lambda _line: None,
    pace: Pace,
) -> TableRestored:
    """Write every item that is meant as it was at an instant into a new table, made for it.

    In a dry run the same is read, and nothing is made. When a table refuses for as long as there is
    patience, the result says what was done until then.

    Args:
        deployment: the source table and its history.
        plan: what is to be done.
        apply: without it nothing is written.
        command: what goes on with it, in words.
        tell: called with how it stands, a line, where it is interrupted or fails.
        pace: how many items and rows a second are read and written, how long nothing may be
            answered, what is called with the items written and what is read for them.

    Raises:
        RefusedError: the new table cannot be made.
        ItemtrailError, ClientError: what is read is refused, or is not what was written.
    """
    with PacedReads(deployment.dynamodb, pace):
        run = _TableRun(deployment, plan, pace, apply=apply)
        try:
            run.carry_out()
        except RefusedError:
            # Nothing was written, and it says itself what to do.
            raise
        except BaseException:
            if apply:
                tell(f"{run.how_it_stands()}; {run.how_to_go_on(command)}")
            raise
        return run.result()


class _TableRun:
    """One run of an order, and what became of it so far."""

    def __init__(
        self, deployment: DeployedTables, plan: TablePlan, pace: Pace, *, apply: bool
    ) -> None:
        self._plan, self._pace, self._apply = plan, pace, apply
        self._table = NewTable(deployment.dynamodb, plan.order.new_table, pace)
        replica = ReplicaTable(deployment.source.client, plan.order.new_table)
        self._filler = Filler(replica, pace)
        self._tag = (plan.standing.tag or plan.tag).held_by(secrets.token_hex(8))
        self._is_lost = False
        self._contents = Contents(self._table.client, self._table.name, plan.keys)
        self._states: SelectedStates | None = None
        self._counts = _Counts(plan.order.allows_uncertain)
        self._notes: list[str] = []
        self._is_begun = self._is_tagged = plan.standing.is_begun
        self._ended: str | None = None

    def carry_out(self) -> None:
        """Read, make the table if something is to be in it, fill and protect it."""
        try:
            self._fill()
            if self._apply and self._ended is None:
                self._finish()
        except RunEndedError as error:
            self._ended = str(error)
            self._is_lost = isinstance(error, TakenOverError)
        except (ClientError, BotoCoreError) as error:
            if classify(error) is not Retry.TRANSIENT:
                raise
            self._ended = f"a table that is read does not answer ({error_code(error)})"

    def how_it_stands(self) -> str:
        """What was written, in a line."""
        written, name = self._filler.written, self._plan.order.new_table
        before = f", {self._counts.equal:,} were there before" if self._counts.equal else ""
        return f"{written:,} items were written into '{name}'{before}"

    def how_to_go_on(self, command: str) -> str:
        """The same for what is still to be written."""
        if not self._is_begun:
            return f"'{self._plan.order.new_table}' was not made; {command} begins anew"
        if not self._is_tagged:
            return (
                f"it cannot be gone on with: delete '{self._plan.order.new_table}' and begin anew"
            )
        return f"{command} goes on"

    def result(self) -> TableRestored:
        """What it came to."""
        plan, counts, states = self._plan, self._counts, self._states
        written = self._filler.written if self._apply else counts.planned
        restored = TableRestored(
            applied=self._apply,
            new_table=plan.order.new_table,
            method="history" if states is None else states.method,
            reason="" if states is None else states.reason,
            items=written + counts.equal,
            uncertain=counts.uncertain,
            listed=tuple(counts.listed),
            unwritten=(*counts.otherwise, *self._filler.unwritten),
            notes=tuple(self._notes),
            settings=plan.settings,
            already_there=counts.equal,
            unknown=() if states is None else tuple(states.unknown),
            allows_uncertain=plan.order.allows_uncertain,
            extraneous=counts.extraneous,
            extraneous_keys=counts.extraneous_keys,
            left_out=plan.left_out,
            ended=self._ended,
        )
        is_begun = self._apply and self._is_tagged and not self._is_lost
        is_begun = is_begun and not self._unknown_attributes()
        return replace(restored, may_go_on=is_begun and not restored.is_finished)

    def _fill(self) -> None:
        plan, order = self._plan, self._plan.order
        if plan.standing.tag is not None:
            if self._apply:
                self._filler.hold = Hold.take_over(self._table, plan.standing.tag, self._tag)
            self._contents.read()
        partition_key, *_ = plan.keys.types
        progress = self._pace.progress
        finder = StateFinder(plan.reader, order.at, self._pace.machine.now(), progress)
        self._states = finder.states(order.selection, partition_key)
        with closing(self._states.states):
            states = self._counts.existing(self._states.states)
            missing = peekable(self._counts.missing(states, self._contents))
            if not plan.standing.is_begun and (why := self._why_nothing(missing)):
                self._ended, self._counts.planned = why, 0
                return
            self._begin()
            batches = map(_batch, chunked(missing, MAX_WRITES))
            with closing(in_order(self._write, batches, ahead=2 * CONCURRENCY)) as calls:
                for _ in calls:
                    done = self._filler.written if self._apply else self._counts.planned
                    progress("items restored", done + self._counts.equal, None)
        # What is not there is unequal to anything.
        if unknown := self._unknown_attributes():
            made = f"; '{order.new_table}' is not finished: delete it" if self._apply else ""
            self._ended = f"{unknown}{made}"
        self._counts.extraneous = self._contents.remaining
        self._counts.extraneous_keys = self._contents.remaining_keys(MOST_LISTED)

    def _why_nothing(self, missing: "peekable[ItemState]") -> str:
        """Why no table is made; empty: something is to be in it, or what was meant had no items."""
        if unknown := self._unknown_ahead(missing):
            return f"nothing is made: {unknown}"
        if missing:
            return ""
        if doubtful := self.result().left_uncertain:
            return f"nothing is made: of none of {doubtful:,} items it is certain what they were"
        selection = self._plan.order.selection
        return f"nothing is selected, and nothing made: it was {selection}" if selection else ""

    def _unknown_ahead(self, missing: "peekable[ItemState]") -> str:
        """The same of the attributes that were met by the end of the first items."""
        ahead: list[ItemState] = []
        for state in missing:
            ahead.append(state)
            if not self._unknown_attributes() or len(ahead) == _MOST_AHEAD:
                break
        is_all = not missing
        missing.prepend(*ahead)
        return self._unknown_attributes() if is_all else ""

    def _unknown_attributes(self) -> str:
        """Which attributes of conditions no item had, if all were read; mostly misspelt."""
        return "; ".join(() if self._states is None else self._states.conditions.unknown())

    def _write(self, batch: Batch) -> None:
        if self._apply:
            self._filler.write(batch)

    def _begin(self) -> None:
        """Have a table that is tagged as this order's."""
        if not self._apply or self._plan.standing.is_begun:
            return
        self._is_begun = True
        if self._plan.standing.is_there:
            self._require_unbegun()
            self._tag = replace(self._tag, was_made=False)
            self._notes.append(_AS_IT_WAS.format(self._table.name))
            problems = list(self._table.begin(self._tag))
        else:
            problems = list(self._table.create(self._plan.settings, self._tag))
        self._is_tagged = not problems
        self._notes += problems
        if self._is_tagged:
            # One that was there may have been begun by another run at the same moment.
            was_there = self._plan.standing.is_there
            self._filler.hold = Hold(self._table, self._tag, took_over=was_there)

    def _require_unbegun(self) -> None:
        """A table that was there and empty may be anything since this run was planned."""
        now = self._table.standing(self._plan.keys, self._plan.tag)
        if now.tag is not None:
            raise TakenOverError(held_by(self._table.name, now.tag))

    def _finish(self) -> None:
        plan, hold = self._plan, self._filler.hold
        if not self.result().is_finished:
            return
        if hold is not None:
            hold.outlast_others()
            hold.look()
        if plan.standing.is_made_for_it:
            self._notes += self._table.protect(plan.settings, with_ttl=plan.order.with_ttl)
        if hold is not None:
            hold.finish()
        else:
            # It may be tagged where that could not be read; that it may not be was said.
            self._table.set_tag(self._tag.finished())


@dataclass
class _Counts:
    """What passes on its way into the new table.

    Attributes:
        planned: items that are to be written.
        equal: items that are there already, as they were.
        otherwise: items that are there, and not as they were.
        extraneous: items that are there, and not in the order.
        extraneous_keys: the first of those.
    """

    allows_uncertain: bool
    planned: int = 0
    equal: int = 0
    extraneous: int = 0
    extraneous_keys: tuple[Item, ...] = ()
    uncertain: Counter[tuple[Certainty, str]] = field(default_factory=Counter)
    listed: list[Uncertain] = field(default_factory=list)
    otherwise: list[Unwritten] = field(default_factory=list)

    def existing(self, states: Iterable[ItemState]) -> Iterator[ItemState]:
        """The states of items that existed; of all, those that are not exact are noted."""
        for state in states:
            if state.certainty is not Certainty.EXACT:
                self.uncertain[state.certainty, state.reason] += 1
                if len(self.listed) < MOST_LISTED:
                    self.listed.append(
                        Uncertain(state.keys, state.exists, state.certainty, state.reason)
                    )
            if state.exists:
                yield state

    def missing(self, states: Iterable[ItemState], contents: Contents) -> Iterator[ItemState]:
        """The states that the new table does not have and may get; those that it has are noted."""
        for state in states:
            is_equal = contents.take(item_id(state.keys), state.image)
            if is_equal:
                self.equal += 1
            elif is_equal is not None:
                self.otherwise.append(Unwritten(state.keys, _OTHERWISE))
            elif self.allows_uncertain or state.certainty is Certainty.EXACT:
                self.planned += 1
                yield state


def _batch(states: Iterable[ItemState]) -> Batch:
    # A call that names a key twice would be refused.
    return {item_id(state.keys): state for state in states}
