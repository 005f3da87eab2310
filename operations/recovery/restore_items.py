"""Restore items to what they were at an instant: what a plan shows, and what came of it.

No later write is lost by it. A run writes an item only if each attribute seen still holds what the
plan showed; an attribute that another writer adds in the same moment, which no condition can name,
is kept, and the item is then reported as mixed.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from operations.deployed_tables import DeployedTables
from operations.execution.guard import require_followed
from operations.execution.item_writer import WriteOutcome
from operations.execution.live_items import live_of_each
from operations.execution.pace import Pace
from operations.recovery.conditions import edits_at, guard_notes
from operations.recovery.conflicts import Conflict, as_value
from operations.recovery.expiry import TimeToLive
from operations.recovery.pending_writes import PendingWrites
from operations.recovery.recorded import unread_reason
from operations.recovery.stamps import StampError, Stamps, stamped
from reports.access.parallel import in_order
from reports.access.row_reader import RowReader
from reports.states.differences import Difference, differences
from reports.states.timeline import Certainty, ItemState, judge
from stream_core.attribute_values import Item, own_attributes, same_item, same_value
from stream_core.errors import IntegrityError
from stream_core.history_row import SORT_KEY
from stream_core.item_id import item_id

_CLEAN = frozenset({None, WriteOutcome.WRITTEN, WriteOutcome.UNNEEDED})
_NOT_DELETED = "nothing tells that it was not there, and it is not deleted for that"
UNKNOWN_KEY = "neither the table nor its history knows such a key: is it right?"


@dataclass(frozen=True)
class ItemPlan:
    """What would be done to one item.

    Attributes:
        then: the item as it was.
        now: the item as it is, read from the table.
        differences: what is to become different, from now to then, by attribute path.
        refusal: why nothing will be done to it; None if it can be.
        notes: what else to know before it is done, as that it will expire again.
        wanted: the item as it is to be: as it was, with what is written beside that.
        seen: sort key of the last row of its history, from before it was read; None: it had none.
    """

    keys: Item
    then: ItemState
    now: ItemState
    differences: tuple[Difference, ...]
    refusal: str | None = None
    notes: tuple[str, ...] = ()
    wanted: Item | None = None
    seen: str | None = None

    @property
    def is_needed(self) -> bool:
        """Whether the item is not what it was."""
        return self.then.exists != self.now.exists or bool(self.differences)

    @property
    def is_in_plan(self) -> bool:
        """Whether it is to be written, and may be."""
        return self.is_needed and self.refusal is None

    @property
    def is_delete(self) -> bool:
        """Whether the item is to be deleted."""
        return self.now.exists and not self.then.exists

    @property
    def edits(self) -> tuple[Difference, ...]:
        """What is written, by attribute, and what it takes the place of; the whole of an item."""
        before, after = self.now.image, self.wanted
        if before is None or after is None:
            return (Difference((), as_value(before), as_value(after)),)
        edits = edits_at(((name,) for name in {**before, **after}), before, after)
        return tuple(edit for edit in edits if not same_value(edit.old, edit.new))

    @property
    def doubt(self) -> str:
        """Why it is not certain what the item was; empty: it is."""
        if self.then.certainty is Certainty.EXACT:
            return ""
        return f"what it was is only {self.then.certainty}: {self.then.reason}"


@dataclass(frozen=True)
class ItemResult:
    """What was done to one item.

    Attributes:
        verdict: of the write; None where none was made.
        reason: why none was, or why it was not carried out, or what to know about it.
        conflicts: where the item was no longer what the plan showed.
    """

    plan: ItemPlan
    outcome: WriteOutcome | None = None
    reason: str = ""
    conflicts: tuple[Conflict, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether the item is what it was, or, in a dry run, nothing speaks against it."""
        return self.plan.refusal is None and self.outcome in _CLEAN


def plan_restore(  # noqa: PLR0913 - all that is asked for
    deployment: DeployedTables,
    keys: Iterable[Item],
    at: datetime,
    *,
    allow_uncertain: bool = False,
    stamps: Stamps | None = None,
    pace: Pace,
) -> list[ItemPlan]:
    """What would bring items back to what they were, changes stamped at the instant included.

    Args:
        deployment: the source table and its history.
        keys: the items' keys in wire form.
        at: the instant.
        allow_uncertain: also where the state then is not exact.
        stamps: what is written beside it, to items that are changed or put back.
        pace: how many items a second are read, what is called with the items compared.

    Raises:
        RefusedError: a table is not named; the history or the stack is another table's.
        TableNotFoundError: there is no such table.
        NoAnswerError: the table does not answer any more.
    """
    require_followed(deployment, pace)
    distinct = {item_id(key): key for key in keys}
    plans: list[ItemPlan] = []
    pending = PendingWrites.find(deployment, pace)
    now = pace.machine.now()
    time_to_live = TimeToLive(deployment.dynamodb, deployment.source_table, now)
    planner = _Planner(
        *(deployment.reader, at, now, allow_uncertain, time_to_live, stamps or {}, pending)
    )
    items = _with_newest(deployment, distinct, pace)
    with closing(items), closing(in_order(lambda item: planner.plan(*item), items)) as compared:
        for item_plan in compared:
            plans.append(item_plan)
            pace.progress("items compared", len(plans), len(distinct))
    return plans


@dataclass(frozen=True)
class _Planner:
    """Plans one item after the other; see `plan_restore`."""

    reader: RowReader
    at: datetime
    now: datetime
    allow_uncertain: bool
    time_to_live: TimeToLive
    stamps: Stamps
    pending: PendingWrites

    def plan(self, keys: Item, image: Item | None, seen: str | None) -> ItemPlan:
        """What would be done to an item, as it is."""
        live = own_attributes(image)
        current = ItemState(keys, self.now, live, Certainty.EXACT, "the live item")
        try:
            evidence = self.reader.evidence(keys, self.at, self.now)
            pending = self.pending.reason(item_id(keys))
        except IntegrityError as error:
            then = ItemState(keys, self.at, None, Certainty.UNKNOWN, str(error))
            return ItemPlan(keys, then, current, (), unread_reason(error))
        then = judge(evidence)
        if live is None and evidence.before is None and evidence.after is None:
            return ItemPlan(keys, then, current, (), UNKNOWN_KEY)
        notes, wanted = self._notes(then, live), own_attributes(then.image)
        if not same_item(live, wanted):
            try:
                wanted = stamped(wanted, self.stamps)
            except StampError as error:
                return ItemPlan(keys, then, current, (), str(error))
        changes = tuple(differences(live, wanted))
        item_plan = ItemPlan(keys, then, current, changes, notes=notes, wanted=wanted, seen=seen)
        if refusal := self._refusal(item_plan) or (item_plan.is_needed and pending):
            return replace(item_plan, refusal=refusal)
        guards = guard_notes(keys, item_plan.edits, live, wanted) if item_plan.is_needed else ()
        return replace(item_plan, notes=(*notes, *guards))

    def _refusal(self, item_plan: ItemPlan) -> str | None:
        """Why it is not sure enough what an item was; None: it is."""
        if item_plan.doubt and not self.allow_uncertain:
            return item_plan.doubt
        if item_plan.is_delete and item_plan.then.certainty is Certainty.UNKNOWN:
            return f"{item_plan.doubt}; {_NOT_DELETED}"
        return None

    def _notes(self, then: ItemState, live: Item | None) -> tuple[str, ...]:
        """What becomes of an item that is brought back."""
        if then.image is None or live is not None:
            return ()
        note = self.time_to_live.note(then.image)
        return () if note is None else (note,)


def _with_newest(
    deployment: DeployedTables, keys: Mapping[str, Item], pace: Pace
) -> Generator[tuple[Item, Item | None, str | None], None, None]:
    """Each key with its item, and with the sort key of its newest row; None: there is none."""
    newest: dict[str, str | None] = {}
    client, table = deployment.dynamodb, deployment.source_table
    sort_keys = in_order(partial(_newest_key, deployment.reader), keys)

    def looked_up() -> Iterator[Item]:
        for identifier, sort_key in zip(keys, sort_keys, strict=True):
            newest[identifier] = sort_key
            yield keys[identifier]

    # In this order: what is recorded later was written since, or led to what the item is.
    with closing(sort_keys), closing(live_of_each(client, table, looked_up(), pace)) as items:
        for key, item in items:
            yield key, item, newest.pop(item_id(key))


def _newest_key(reader: RowReader, identifier: str) -> str | None:
    """The sort key of an item's newest row; None: it has none."""
    rows = reader.items(identifier, newest_first=True, limit=1)
    return next((str(row[SORT_KEY]["S"]) for row in rows), None)
