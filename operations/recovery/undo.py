"""Undo: take back one bad job, and lose none of the good writes before, between and after.

The bad changes are selected from the history: by time, by attribute and its values, by actor, by
key. What each of them left is replaced by what was there before, unless another writer has written
to that place since: then it is left as it is, and listed as a conflict. See `compensation`.
Repeating it does no harm. A change that is not recorded yet, or at all, is not taken back.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from botocore.exceptions import BotoCoreError, ClientError

from operations.deployed_tables import DeployedTables
from operations.execution.guard import require_followed
from operations.execution.pace import Pace
from operations.execution.plan_file import state_digest
from operations.recovery.bad_changes import BadItem, Selected, Undecided
from operations.recovery.compensation import Compensation, Terms, compensate
from operations.recovery.conditional_write import ConditionalWriter, WriteOutcome, WriteResult
from operations.recovery.conflicts import Conflict
from operations.recovery.expiry import TimeToLive
from operations.recovery.recorded import BehindError, Lag
from operations.recovery.restore_items import UNKNOWN_KEY
from operations.recovery.stamps import StampError
from operations.recovery.touches import touch_of
from reports.access.own_writes import find_own_writes
from reports.access.parallel import in_order
from reports.access.row_reader import RowReader
from reports.inputs.paths import Path
from reports.states.differences import Difference
from reports.states.evidence import Evidence
from reports.states.stream_order import earliest_before, in_stream_order
from stream_core.attribute_values import Item, own_attributes, same_item
from stream_core.change import EventName
from stream_core.errors import IntegrityError
from stream_core.history_row import HistoryRow, time_text
from stream_core.item_id import item_id
from stream_core.retry import error_code

# Another writer may be in the way more than once.
_MOST_ATTEMPTS = 5
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

    @property
    def is_clean(self) -> bool:
        """Whether nothing of the changes is left, or, in a dry run, need be."""
        return not self.conflicts and self.outcome in _CLEAN


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


def take_back(
    deployment: DeployedTables,
    selected: Selected,
    *,
    terms: Terms | None = None,
    apply: bool = False,
    pace: Pace,
) -> Undone:
    """Take selected changes back, wherever what they left is still there.

    Args:
        deployment: the source table, which is written, and its history.
        selected: the changes.
        terms: which numbers are counters, and what is written beside it.
        apply: without it nothing is written: the result shows what would be.
        pace: how fast, how long each write is tried, what is called with the items done.

    Raises:
        RefusedError: the history or the stack is another table's.
    """
    require_followed(deployment, pace)
    reader = deployment.reader
    writer = ConditionalWriter(
        deployment.dynamodb, deployment.source_table, reader.live, pace.patience
    )
    work = _Work(
        *(reader, writer, pace, Lag(pace), selected.attribute, terms or Terms()),
        noted=find_own_writes(reader).noted,
        time_to_live=TimeToLive(deployment.dynamodb, deployment.source_table, pace.machine.now()),
    )
    results: list[ItemUndone] = []
    with closing(in_order(work.undo if apply else work.plan, selected.items)) as items:
        for item in items:
            results.append(item)
            pace.progress("items", len(results), len(selected.items))
    return Undone(apply, tuple(results), selected.undecided, selected.whole_items, selected.unknown)


@dataclass(frozen=True)
class _Work:
    """Undoes one item after the other, or plans to."""

    reader: RowReader
    writer: ConditionalWriter
    pace: Pace
    lag: Lag
    attribute: Path | None
    terms: Terms
    noted: Callable[[HistoryRow], HistoryRow]
    time_to_live: TimeToLive

    def plan(self, bad: BadItem) -> ItemUndone:
        """What would be done to an item, or why nothing can be."""
        compensation, refused = self._plan(bad)
        notes = tuple(self._notes(compensation))
        return replace(_result(bad, compensation, refused), notes=notes)

    def _notes(self, compensation: Compensation) -> Iterator[str]:
        """What becomes of an item that is brought back."""
        if compensation.before is None and compensation.after is not None:
            note = self.time_to_live.note(compensation.after)
            if note is not None:
                yield note

    def undo(self, bad: BadItem) -> ItemUndone:
        """Take the changes of an item back; from the start again where another write came first."""
        for attempt in range(_MOST_ATTEMPTS):
            compensation, refused = self._plan(bad)
            if refused or not compensation.edits:
                return _result(bad, compensation, refused)
            self.pace.rate.take(1)
            written = self._write(bad.keys, compensation)
            if written.outcome is not WriteOutcome.CONFLICT or attempt == _MOST_ATTEMPTS - 1:
                break
        return _result(bad, compensation, written)

    def _write(self, keys: Item, compensation: Compensation) -> WriteResult:
        before, after = compensation.before, compensation.after
        return self.writer.write(keys, compensation.edits, before, after, whole=False)

    def _plan(self, bad: BadItem) -> tuple[Compensation, WriteResult | None]:
        self.pace.rate.take(1)
        try:
            if not bad.changes:
                return Compensation(), self._without_changes(bad.keys)
            return self._compensation(bad), None
        except (BehindError, StampError) as error:
            refused = WriteResult(WriteOutcome.REFUSED, reason=str(error))
        except IntegrityError as error:
            refused = WriteResult(
                WriteOutcome.REFUSED, reason=f"its history is not intact: {error}"
            )
        except (ClientError, BotoCoreError) as error:
            refused = WriteResult(
                WriteOutcome.UNSENT, reason=f"the table answers {error_code(error)}"
            )
        return Compensation(), refused

    def _without_changes(self, keys: Item) -> WriteResult | None:
        """What is to be said of an item that was named; None: it had no such change."""

        def read() -> tuple[bool, Evidence]:
            now = self.pace.machine.now()
            evidence = self.reader.evidence(keys, now, now)
            return evidence.fits, evidence

        evidence = self.lag.settled(read)
        if evidence.before is None and evidence.live is None:
            return WriteResult(WriteOutcome.REFUSED, reason=UNKNOWN_KEY)
        return None

    def _compensation(self, bad: BadItem) -> Compensation:
        changes = set(bad.changes)
        live, rows = self.lag.settled(partial(self._read, bad))
        touches = [
            touch_of(row, is_bad=row.sort_key in changes, attribute=self.attribute)
            for row in map(self.noted, rows)
            if row.change.event_name is not EventName.SNAPSHOT
        ]
        return compensate(bad.keys, live, touches, self.terms)

    def _read(self, bad: BadItem) -> tuple[bool, tuple[Item | None, list[HistoryRow]]]:
        """An item and its rows since its first bad change; whether the last one left it so."""
        # In this order: a row may then say more than the item shows, and never less.
        live = self.reader.live(bad.keys)
        # Later changes may be stamped earlier; what was made before the first one is no obstacle.
        since = earliest_before(datetime.fromisoformat(min(bad.changes).partition("#")[0]))
        by_time = self.reader.rows(item_id(bad.keys), after=time_text(since))
        rows = list(in_stream_order(by_time))
        if not {row.sort_key for row in rows}.issuperset(bad.changes):
            raise IntegrityError("rows of changes to be taken back are gone")
        last = own_attributes(rows[-1].change.new_image)
        return same_item(own_attributes(live), last), (live, rows)


def _result(bad: BadItem, compensation: Compensation, written: WriteResult | None) -> ItemUndone:
    return ItemUndone(
        bad.keys,
        bad.changes,
        compensation.edits,
        compensation.conflicts,
        written.outcome if written else None,
        written.reason if written else "",
        state_digest(compensation.before),
        state_digest(compensation.after),
    )
