"""Undo: take back one bad job, and lose none of the good writes before, between and after.

The bad changes are selected from the history: by time, by attribute and its values, by actor, by
key. What each of them left is replaced by what was there before, unless another writer has written
to that place since: then it is left as it is, and listed as a conflict. See `compensation`.
Repeating it does no harm. A change that is not recorded yet, or at all, is not taken back.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import starmap

from botocore.exceptions import BotoCoreError, ClientError

from operations.deployed_tables import DeployedTables
from operations.execution.guard import require_followed
from operations.execution.item_writer import WriteOutcome
from operations.execution.pace import Pace
from operations.execution.plan_file import state_digest
from operations.recovery.bad_changes import BadItem, Selected, Undecided
from operations.recovery.compensation import Compensation, Terms, compensate
from operations.recovery.conditions import guard_notes
from operations.recovery.conflicts import Conflict
from operations.recovery.expiry import TimeToLive
from operations.recovery.pending_writes import PendingWrites
from operations.recovery.recorded import BehindError, Lag, unread_reason
from operations.recovery.restore_items import UNKNOWN_KEY
from operations.recovery.seen_items import SeenItem, SeenItems, is_settled
from operations.recovery.stamps import StampError
from operations.recovery.touches import touch_of
from reports.access.parallel import batches, in_order
from reports.access.row_reader import RowReader
from reports.inputs.paths import Path
from reports.states.differences import Difference
from reports.states.evidence import Evidence
from reports.states.stream_order import in_stream_order
from stream_core.attribute_values import Item
from stream_core.change import EventName
from stream_core.errors import IntegrityError
from stream_core.history_row import HistoryRow, time_text
from stream_core.item_id import item_id
from stream_core.retry import error_code

_AT_ONCE = 10
_CLEAN = frozenset({None, WriteOutcome.WRITTEN, WriteOutcome.UNNEEDED})


@dataclass(frozen=True, slots=True)
class ItemUndone:
    """What was done to one item, or, in a dry run, would be.

    Attributes:
        changes: sort keys of the history rows of the changes taken back.
        edits: what was written, and what it took the place of; the path of a whole item is empty.
        conflicts: what others have written since, and what was left as it is therefore.
        outcome: of the write; None where none was made.
        reason: why it was not carried out.
        before, after: digests of the item as it was seen, and with the edits; None: there is none.
        seen: sort key of its last history row.
        notes: what else to know before it is done, as that it will expire again.
    """

    keys: Item
    changes: tuple[str, ...]
    edits: tuple[Difference, ...]
    conflicts: tuple[Conflict, ...]
    outcome: WriteOutcome | None = None
    reason: str = ""
    before: str | None = None
    after: str | None = None
    notes: tuple[str, ...] = ()
    seen: str | None = None

    @property
    def is_clean(self) -> bool:
        """Whether nothing of the changes is left, or, in a dry run, need be."""
        return not self.conflicts and self.outcome in _CLEAN

    @property
    def is_delete(self) -> bool:
        """Whether the item is deleted, or to be."""
        return any(not edit.path and edit.new is None for edit in self.edits)

    @property
    def is_in_plan(self) -> bool:
        """Whether it is to be written."""
        return bool(self.edits) and self.outcome is None


@dataclass(frozen=True)
class Undone:
    """What an undo did to each item, or, in a dry run, would do.

    Attributes:
        applied: whether anything was written.
        undecided: changes that were perhaps made by the actor given, and are not taken back.
        whole_items, unknown: as `Selected` has them.
    """

    applied: bool
    items: tuple[ItemUndone, ...]
    undecided: tuple[Undecided, ...]
    whole_items: int = 0
    unknown: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether nothing of the bad changes is left, or need be, and every name is known."""
        is_done = all(item.is_clean for item in self.items)
        return is_done and not self.undecided and not self.unknown

    @property
    def conflicts(self) -> list[Conflict]:
        """All of them."""
        return [conflict for item in self.items for conflict in item.conflicts]


def plan_undo(
    deployment: DeployedTables, selected: Selected, *, terms: Terms | None = None, pace: Pace
) -> Undone:
    """What would take selected changes back, wherever what they left is still there.

    Args:
        deployment: the source table and its history.
        selected: the changes.
        terms: which numbers are counters, and what is written beside it.
        pace: how many items a second are read, how long a row is waited for, what is called with
            the items done.

    Raises:
        RefusedError: the history or the stack is another table's.
    """
    require_followed(deployment, pace)
    reader = deployment.reader
    pending = PendingWrites.find(deployment, pace)
    seen = SeenItems(reader, deployment.source_table, pace, selected.rows).of_each(selected.items)
    planner = _Planner(
        *(reader, pace, Lag(pace), selected.attribute, terms or Terms(), pending),
        time_to_live=TimeToLive(deployment.dynamodb, deployment.source_table, pace.machine.now()),
    )
    results: list[ItemUndone] = []
    # Most of them are planned without a call: a thread's work costs more than that.
    some = batches(seen, _AT_ONCE)
    with (
        closing(seen),
        closing(in_order(lambda pairs: list(starmap(planner.plan, pairs)), some)) as portions,
    ):
        for items in portions:
            results.extend(items)
            pace.progress("items", len(results), len(selected.items))
    return Undone(False, tuple(results), selected.undecided, selected.whole_items, selected.unknown)


@dataclass(frozen=True)
class _Planner:
    """Plans one item after the other; see `plan_undo`."""

    reader: RowReader
    pace: Pace
    lag: Lag
    attribute: Path | None
    terms: Terms
    pending: PendingWrites
    time_to_live: TimeToLive

    def plan(self, bad: BadItem, seen: SeenItem | None) -> ItemUndone:
        """What would be done to an item, or why nothing can be."""
        try:
            return self._planned(bad, seen) if bad.changes else self._without_changes(bad)
        except (BehindError, StampError) as error:
            outcome, reason = WriteOutcome.REFUSED, str(error)
        except IntegrityError as error:
            outcome, reason = WriteOutcome.REFUSED, unread_reason(error)
        except (ClientError, BotoCoreError) as error:
            outcome, reason = WriteOutcome.UNSENT, f"the table answers {error_code(error)}"
        return ItemUndone(bad.keys, bad.changes, (), (), outcome, reason)

    def _planned(self, bad: BadItem, seen: SeenItem | None) -> ItemUndone:
        changes = set(bad.changes)
        live, rows = self._settled(bad, seen)
        touches = [
            touch_of(row, is_bad=row.sort_key in changes, attribute=self.attribute)
            for row in map(self.pending.own.noted, rows)
            if row.change.event_name is not EventName.SNAPSHOT
        ]
        if (reason := self.pending.reason(item_id(bad.keys))) is not None:
            raise BehindError(reason)
        compensation = compensate(bad.keys, live, touches, self.terms)
        return ItemUndone(
            bad.keys,
            bad.changes,
            compensation.edits,
            compensation.conflicts,
            before=state_digest(compensation.before),
            after=state_digest(compensation.after),
            notes=tuple(self._notes(bad.keys, compensation)),
            seen=rows[-1].sort_key,
        )

    def _notes(self, keys: Item, compensation: Compensation) -> Iterator[str]:
        """What becomes of an item that is brought back, and what no condition can guard."""
        before, after = compensation.before, compensation.after
        if before is None and after is not None:
            note = self.time_to_live.note(after)
            if note is not None:
                yield note
        yield from guard_notes(keys, compensation.edits, before, after)

    def _without_changes(self, bad: BadItem) -> ItemUndone:
        """What is to be said of an item that was named, and that had no such change."""

        def read() -> tuple[bool, Evidence]:
            now = self.pace.machine.now()
            evidence = self.reader.evidence(bad.keys, now, now)
            return evidence.fits, evidence

        evidence = self.lag.settled(read)
        if evidence.before is None and evidence.live is None:
            return ItemUndone(bad.keys, (), (), (), WriteOutcome.REFUSED, UNKNOWN_KEY)
        return ItemUndone(bad.keys, (), (), ())

    def _settled(self, bad: BadItem, seen: SeenItem | None) -> tuple[Item | None, list[HistoryRow]]:
        """An item and its rows since its first bad change, the last of which left it so."""
        if seen is not None:
            rows = self._rows(bad) if seen.rows is None else seen.rows
            if is_settled(seen.live, rows):
                return seen.live, rows
        return self.lag.settled(partial(self._read, bad))

    def _read(self, bad: BadItem) -> tuple[bool, tuple[Item | None, list[HistoryRow]]]:
        """The same as they are now; whether the last row left the item so."""
        # In this order: a row may then say more than the item shows, and never less.
        live = self.reader.live(bad.keys)
        rows = self._rows(bad)
        return is_settled(live, rows), (live, rows)

    def _rows(self, bad: BadItem) -> list[HistoryRow]:
        by_time = self.reader.rows(item_id(bad.keys), after=time_text(bad.since))
        rows = list(in_stream_order(by_time))
        if not {row.sort_key for row in rows}.issuperset(bad.changes):
            raise IntegrityError("rows of changes to be taken back are gone")
        return rows
