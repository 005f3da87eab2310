"""The writes that a run was about to make, and what the history shows of them.

A run that goes on has them from its journal, and one that goes on elsewhere from the history.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from operations.execution.announcer import Announcer
from operations.execution.decision import MAY_BE_WRITTEN, states_of
from operations.execution.journal import RunJournal
from operations.execution.moments import Moments
from operations.execution.plan_file import PlanItem
from operations.execution.service_clock import ServiceClock
from operations.execution.transactions import Planned
from reports.access.row_reader import RowReader
from reports.states.own_writes import LATEST
from reports.states.watermark import NoWatermark
from stream_core.announcement import OwnWrite, item_hash
from stream_core.change import EventName
from stream_core.history_row import HistoryRow, time_text
from stream_core.item_id import item_id
from stream_core.retry import Patience

# Stamps are whole seconds.
_ROUNDING = timedelta(seconds=2)
# API reference, TransactWriteItems: a token is known for ten minutes after its request.
_TOKEN_LASTS = timedelta(minutes=10)
_NEVER_KNOWN = (
    "this run may have written it, and nothing tells up to when the history is complete: give "
    "--recorded-until where you know it, or make the plan anew after {}"
)
_CLOCK_ERROR = timedelta(seconds=30)
# A repeat is tried for some time itself.
_REPEATABLE = timedelta(minutes=8)
# A slow rate, or a laptop that slept: a change long after its announcement is another writer's.
_ANNOUNCED_ANEW_AFTER = timedelta(minutes=5)


@dataclass(frozen=True)
class Attempts:
    """The attempts of a run at the items of its plan; may be asked side by side.

    An announcement is withdrawn of which surely nothing comes: it would be in the way of others.
    """

    reader: RowReader
    announcer: Announcer
    journal: RunJournal
    clock: ServiceClock
    _moments: Moments = field(init=False)
    _unsent: set[OwnWrite] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_moments", Moments(self.clock))

    def announce(
        self, groups: Sequence[Sequence[Planned]], patience: Patience
    ) -> dict[int, OwnWrite]:
        """Have writes kept and announced, in this order; nothing is written before.

        Args:
            groups: the writes, by the transaction that is to make them.
            patience: how long to go on trying.

        Returns:
            The attempts, by the number of their item.
        """
        begun = [self._begun(group) for group in groups]
        attempts = [attempt for group in begun for attempt in group]
        if attempts:
            self.journal.about_to_write(attempts)
            # What repeats an earlier attempt may have been made by that.
            repeated = {item.number for group in groups for item, step in group if step.repeats}
            self._unsent.update(tried for tried in attempts if tried.number not in repeated)
            self.announcer.announce(begun, self._moments.next(), patience)
        return {attempt.number: attempt for attempt in attempts}

    def _begun(self, group: Sequence[Planned]) -> list[OwnWrite]:
        now, row = self._moments.next(), self.announcer.row
        return [
            OwnWrite(
                row.run,
                item.number,
                item_hash(item_id(item.keys)),
                *states_of(item, step),
                step.repeats or now,
                row.stream_arn,
            )
            for item, step in group
        ]

    def is_whole(self, moment: datetime, items: Sequence[PlanItem]) -> bool:
        """Whether a transaction that was begun at a moment was one of these items and no others."""
        here = {
            number
            for number, tried in self.journal.attempts.items()
            if any(attempt.at == moment for attempt in tried)
        }
        if not here <= {item.number for item in items}:
            return False
        if not self.announcer.is_known:
            return True
        elsewhere = self.announcer.items_at(moment) - {
            item_hash(item_id(item.keys)) for item in items
        }
        # What is not announced yet, the other process may be announcing just now.
        return all(self.announcer.has_withdrawn(item, moment) for item in elsewhere)

    def sent(self, attempts: Iterable[OwnWrite]) -> None:
        """Keep in mind that writes may be made from now on; to be told right before."""
        self._unsent.difference_update(attempts)

    def left_nothing(self, attempt: OwnWrite) -> None:
        """Keep in mind that a write was answered, and was not made."""
        self._unsent.add(attempt)

    def withdraw(self, attempts: Collection[OwnWrite], patience: Patience) -> None:
        """Take announcements back, those of them of which surely nothing comes.

        Raises:
            OperationError: the journal or the history cannot be written.
        """
        void = self._unsent.intersection(attempts)
        if void:
            # In this order: what the history takes back is never repeated, be its answer lost.
            self.journal.withdraw(void)
            self.announcer.withdraw(list(void), patience)
            self._unsent.difference_update(void)

    @property
    def unsent(self) -> frozenset[OwnWrite]:
        """What was announced and not withdrawn, though surely nothing comes of it."""
        return frozenset(self._unsent)

    def may_be_tried(self, items: Iterable[PlanItem]) -> bool:
        """Whether this run, here or elsewhere, may have been about to write any of some items."""
        tried = self.journal.attempts
        return self.announcer.is_known or any(item.number in tried for item in items)

    def at_item(self, item: PlanItem) -> list[OwnWrite]:
        """The writes of an item that this run, here or elsewhere, was about to make."""
        row, hashed = self.announcer.row, item_hash(item_id(item.keys))
        here = [
            OwnWrite(
                *(row.run, item.number, hashed, tried.before, tried.after, tried.at, row.stream_arn)
            )
            for tried in self.journal.attempts.get(item.number, [])
        ]
        return here + (self.announcer.announced(hashed) if self.announcer.is_known else [])

    def rows_since(self, attempts: Sequence[OwnWrite], item: PlanItem) -> list[HistoryRow]:
        """The rows of an item since this run was first about to write it; none, if it never was."""
        if not attempts:
            return []
        since = min(attempt.at for attempt in attempts) - _ROUNDING
        return list(self.reader.rows(item_id(item.keys), after=time_text(since)))

    def own_rows(
        self, attempts: Sequence[OwnWrite], rows: Sequence[HistoryRow]
    ) -> list[HistoryRow]:
        """Those of an item's rows that this run has made."""
        own = self.announcer.own(attempts, rows)
        return [row for row in rows if own.run_of(row) is not None]

    def is_recorded(self, item: PlanItem) -> bool:
        """Whether the history shows a change of an item since this run announced its write.

        It is this run's, or another writer's of the same moment: then this run's led from another
        state than was announced, and is not told by that.
        """
        attempts = self.at_item(item)
        begun = min(attempt.at for attempt in attempts).replace(microsecond=0)
        return any(
            row.change.created_at >= begun and row.change.event_name is not EventName.SNAPSHOT
            for row in self.rows_since(attempts, item)
        )

    def is_open(self, attempts: Sequence[OwnWrite], item: PlanItem) -> bool:
        """Whether the latest attempt may have been carried out without being in the history."""
        if not attempts or item.number in self.journal.unwritten:
            # Another process of this run has withdrawn it, or it was answered.
            return False
        ended = max(attempt.at for attempt in attempts) + _TOKEN_LASTS
        is_long_ago = ended < self.clock.earliest()
        return not (is_long_ago and self.reader.watermark.covers(ended))

    def doubt(self, attempt: OwnWrite) -> str:
        """Why an item is left alone that may have been written, and what ends that."""
        if isinstance(self.reader.watermark, NoWatermark) and not self.is_repeatable(attempt):
            return _NEVER_KNOWN.format(time_text(attempt.at + LATEST))
        return MAY_BE_WRITTEN

    def is_still_known(self, attempt: OwnWrite) -> bool:
        """Whether the service surely knows a request by the name of an attempt, if it had one."""
        return self.clock.latest() - attempt.at < _TOKEN_LASTS - _CLOCK_ERROR

    def is_repeatable(self, attempt: OwnWrite) -> bool:
        """Whether a repeat may be tried, with some time left for it."""
        return self.clock.latest() - attempt.at < _REPEATABLE

    def is_stale(self, attempt: OwnWrite) -> bool:
        """Whether a write would come too long after its announcement to be known by it."""
        return self.clock.earliest() - attempt.at > _ANNOUNCED_ANEW_AFTER


def name_of(attempt: OwnWrite) -> str:
    """What tells a write from all others, and is the same when it is repeated."""
    return f"{attempt.run}/{attempt.number}/{time_text(attempt.at)}"


def latest_of(attempts: Iterable[OwnWrite]) -> OwnWrite:
    """The attempt that was announced last."""
    return max(attempts, key=lambda attempt: attempt.at)
