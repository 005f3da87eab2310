"""What became of writes whose answer does not tell it: what the history shows of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from botocore.exceptions import BotoCoreError, ClientError

from operations.execution.attempts import Attempts, latest_of, name_of
from operations.execution.decision import conflicts_of_plan, decided_of_recorded
from operations.execution.item_run import ItemRun, Unproven
from operations.execution.item_writer import ItemWriter, WriteOutcome, has_all
from operations.execution.plan_file import PlanItem
from reports.states.differences import differences
from reports.states.own_writes import state_digest
from stream_core.announcement import OwnWrite
from stream_core.attribute_values import Item, own_attributes, same_item
from stream_core.change import EventName
from stream_core.errors import IntegrityError
from stream_core.history_row import HistoryRow

_NOT_RECORDED = (
    "its write is not in the history yet: whether something was added to it at the last moment is "
    "known only then; the same command looks again"
)
_PERHAPS_TAKEN = (
    "it was deleted with more in it than the plan saw, perhaps by this run, whose answer was lost: "
    "see its history"
)
_PERHAPS_REPLACED = (
    "it was replaced with more in it than the plan saw, perhaps by this run, whose answer was "
    "lost: its history shows what that was, and a new plan is about the item as it is"
)


@dataclass(frozen=True)
class WriteProof:
    """Looks for the writes of a run in the history; may be asked side by side."""

    attempts: Attempts
    writer: ItemWriter

    def of_item(self, unproven: Unproven) -> ItemRun | None:
        """What became of an item; None: the history does not show it yet."""
        item, result, seen = unproven.result.item, unproven.result, unproven.seen
        try:
            attempts = self.attempts.at_item(item)
            # Before the rows: what it says of them has to hold for those that are read.
            is_open = self.attempts.is_open(attempts, item)
            rows = self.attempts.rows_since(attempts, item)
            is_own = bool(self.attempts.own_rows(attempts, rows))
            live = own_attributes(self.writer.read(item.keys)) if is_own else None
        except (ClientError, BotoCoreError, IntegrityError):
            return None
        if is_own:
            is_set_back = result.outcome is WriteOutcome.CONFLICT
            written = replace(result, outcome=WriteOutcome.WRITTEN, reason="")
            return of_recorded(item, live) if is_set_back else written
        taken = None if seen is None else self._with_taken(unproven, seen, attempts, rows)
        if taken is None and not is_open and result.outcome is WriteOutcome.UNNEEDED:
            # The history is complete, and has nothing of this run: another writer made it so.
            return result
        return taken

    def _with_taken(
        self,
        unproven: Unproven,
        seen: Item,
        attempts: Sequence[OwnWrite],
        rows: Sequence[HistoryRow],
    ) -> ItemRun | None:
        """What a delete came to that the history shows with all that it took."""
        item, last = unproven.result.item, _last_delete(attempts, rows)
        if _may_be_replaced(attempts, rows):
            return ItemRun(item, WriteOutcome.CONFLICT, _PERHAPS_REPLACED)
        if last is None or not has_all(last, differences({}, seen)):
            return None
        if same_item(own_attributes(last), seen):
            return unproven.result
        if not unproven.is_answered:
            return ItemRun(item, WriteOutcome.CONFLICT, _PERHAPS_TAKEN)
        back = self.writer.put_back(item.keys, last, name_of(latest_of(attempts)))
        return ItemRun(item, back.outcome, back.reason, conflicts_of_plan(item, back.item))


def without_proof(unproven: Unproven) -> ItemRun:
    """What is said of an item of which the history shows nothing in time.

    It is not kept as done: the run looks again when it is run again.
    """
    if unproven.seen is None:
        return unproven.result
    return replace(unproven.result, reason=_NOT_RECORDED, is_proven=False)


def of_recorded(item: PlanItem, live: Item | None) -> ItemRun:
    """What is said of an item that this run has written, as it is by now."""
    step = decided_of_recorded(item, live)
    return ItemRun(item, step.outcome, step.reason, step.conflicts)


def _may_be_replaced(attempts: Sequence[OwnWrite], rows: Sequence[HistoryRow]) -> bool:
    """Whether the last change may be this run's, which has replaced more than the plan saw."""
    if not rows:
        return False
    change, latest = rows[-1].change, latest_of(attempts)
    is_after = change.created_at >= latest.at.replace(microsecond=0)
    is_change = change.event_name is EventName.MODIFY
    return is_after and is_change and state_digest(change.new_image) == latest.after


def _last_delete(attempts: Sequence[OwnWrite], rows: Sequence[HistoryRow]) -> Item | None:
    """The item as its delete took it, if that is the last change and may be this run's."""
    if not rows:
        return None
    change = rows[-1].change
    is_before = change.created_at < latest_of(attempts).at.replace(microsecond=0)
    return None if is_before or change.event_name is not EventName.REMOVE else change.old_image
