"""What the history says of items of a plan since that was made.

For all items of a portion it takes a Query of what others have announced, and some statements that
ask the rows of several items each, consistently, since the last ones that the plan saw and some
minutes before, as stamps may go back. Nothing more is read of an item that has no later row and
that nobody else has announced. Every other one is asked itself, by a Query of its rows and one of
its announcements, after one of the runs; so is every one where the statements are not allowed, or
where their answers are too long.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from more_itertools import chunked

from operations.execution.announcer import Announcer
from operations.execution.plan_file import PlanItem
from operations.execution.request import answer_to
from operations.execution.service_clock import ServiceClock
from operations.execution.since_plan import LaterChange, pending_reason, rows_since_plan
from reports.access.own_writes import find_own_writes
from reports.access.parallel import in_order
from reports.access.row_reader import RowReader
from reports.states.own_writes import LATEST, OwnWrites
from reports.states.stream_order import earliest_before
from reports.states.watermark import Watermark
from stream_core.announcement import OWN_PREFIX, OwnWrite, standing
from stream_core.attribute_values import Item
from stream_core.control_row import RunRow
from stream_core.history_row import ID, SORT_KEY, HistoryRow, time_text
from stream_core.item_id import item_id
from stream_core.retry import Patience

Answer = TypeVar("Answer")

# Stamps are whole seconds.
_ROUNDING = timedelta(seconds=2)
# IAM User Guide, signing: a request is refused whose time is a quarter of an hour off.
_CLOCKS_APART = timedelta(minutes=15)
# What is announced is stored at once, or tried for a minute.
_STORED_WITHIN = timedelta(minutes=10)
# Developer Guide, PartiQL operators: what IN finds comes in pages of ten. Each item has a row, the
# last that the plan saw, and who has had a full page has to ask for the next one.
_ITEMS_A_STATEMENT, _MOST_PAGES = 9, 3


@dataclass(frozen=True, slots=True)
class SincePlan:
    """What the history says of an item since its plan was made.

    Attributes:
        changes: those that were made since.
        pending: what another run was about to write, which the history does not show.
    """

    changes: tuple[LaterChange, ...] = ()
    pending: OwnWrite | None = None

    @property
    def rows(self) -> list[HistoryRow]:
        """Their rows."""
        return [change.row for change in self.changes]

    def has_run(self, run: str) -> bool:
        """Whether one of the changes was made by a run."""
        return any(change.run is not None and change.run.run == run for change in self.changes)


@dataclass
class ItemHistory:
    """Reads it, item by item; may be asked side by side.

    Attributes:
        announcer: says which run asks, and finds what others have announced.
        clock: the service's.
        made_at: when the plan was made, by the clock of the machine that made it, UTC.
        patience: makes the patience for one item.
    """

    reader: RowReader
    announcer: Announcer
    clock: ServiceClock
    made_at: datetime
    patience: Callable[[], Patience]
    _runs: Mapping[str, RunRow] = field(default_factory=dict, init=False)
    _touched: set[str] = field(default_factory=set, init=False)
    _looked_at: datetime | None = field(default=None, init=False)

    def look_anew(self, items: Sequence[PlanItem]) -> set[int]:
        """Learn what other processes have announced; to be called before items are asked about.

        Args:
            items: those that are going to be asked about.

        Returns:
            The numbers of those without a row that the plan has not seen, as far as that is told.

        Raises:
            NoAnswerError: the history does not answer.
        """
        now, looked_at = self.clock.earliest(), self._looked_at
        since = self._open_since() if looked_at is None else looked_at - _STORED_WITHIN
        # Before the runs, which only a change or an announcement makes anybody ask for: none is
        # announced before its run is.
        self._touched |= self._answer(lambda: self.announcer.others_since(since))
        self._looked_at = now
        by_time = chunked(sorted(items, key=_start), _ITEMS_A_STATEMENT)
        # Of one item a Query tells as much, and all of it.
        several = (some for some in by_time if len(some) > 1)
        with closing(in_order(self._unchanged, several)) as groups:
            unchanged = set[int]().union(*groups)
        if self._touched or len(unchanged) < len(items):
            self._runs = self._answer(lambda: find_own_writes(self.reader).runs)
        return unchanged

    def _unchanged(self, items: Sequence[PlanItem]) -> set[int]:
        """The numbers of those of some items that have no later row; none if that is not told."""
        by_id = {item_id(item.keys): item for item in items}
        table, marks = self.reader.history_table, ", ".join("?" * len(by_id))
        statement = f'SELECT "{ID}", "{SORT_KEY}" FROM "{table}"'  # noqa: S608 - a table's name
        request: Any = {
            "Statement": f'{statement} WHERE "{ID}" IN [{marks}] AND "{SORT_KEY}" >= ?',
            "Parameters": [{"S": text} for text in (*by_id, _start(items[0]))],
            "ConsistentRead": True,
        }
        later: set[int] = set()
        # Where it is refused, or not answered, each item is asked itself and says what is wrong.
        with suppress(ClientError, BotoCoreError):
            for _ in range(_MOST_PAGES):
                answer = self.reader.dynamodb.execute_statement(**request)
                rows = ((row, by_id[row[ID]["S"]]) for row in answer["Items"])
                later |= {item.number for row, item in rows if _is_later(row, item)}
                if not answer.get("NextToken"):
                    return {item.number for item in by_id.values()} - later
                request["NextToken"] = answer["NextToken"]
        return set()

    def _open_since(self) -> datetime:
        """What was announced before is in the history, or came to nothing.

        A laptop's clock is at most so far off that requests are still taken.
        """
        watermark = self.reader.watermark
        if isinstance(watermark, Watermark):
            return min(watermark.at, self.clock.earliest()) - LATEST
        return self.made_at - LATEST - _CLOCKS_APART

    def pending_reason(self, write: OwnWrite) -> str:
        """Why an item is not written that another process was about to write."""
        is_known = isinstance(self.reader.watermark, Watermark)
        return pending_reason(write, None if is_known else write.at + LATEST + _CLOCKS_APART)

    def since_plan(
        self,
        item: PlanItem,
        attempt: OwnWrite,
        tried: Collection[OwnWrite],
        *,
        is_unchanged: bool = False,
    ) -> SincePlan:
        """What happened to an item; to be asked when the item has been read.

        Args:
            item: the item of the plan.
            attempt: what this process has announced of it.
            tried: what this run was known to have tried before.
            is_unchanged: `look_anew` has just told that it has no later row.

        Raises:
            IntegrityError: the history is not what was written.
            NoAnswerError: it does not answer.
        """
        if is_unchanged and attempt.item not in self._touched:
            return SincePlan()
        return self._answer(lambda: self._since_plan(item, attempt, tried))

    def _answer(self, request: Callable[[], Answer]) -> Answer:
        return answer_to(request, self.patience(), self.reader.history_table)

    def _since_plan(
        self, item: PlanItem, attempt: OwnWrite, tried: Collection[OwnWrite]
    ) -> SincePlan:
        has_others = attempt.item in self._touched
        # Before the rows: what is announced is written later.
        announced = self._announced(attempt, tried) if has_others else []
        foreign = self._foreign(announced, tried)
        stored = list(self.reader.items(item_id(item.keys), after=_start(item, foreign)))
        if not foreign and not any(_is_later(row, item) for row in stored):
            return SincePlan()
        if not has_others:
            announced = self._announced(attempt, tried)
        rows = list(map(self.reader.read, stored))
        own = OwnWrites(self._runs, lambda _item: announced, lambda _id, _after, _until: rows)
        shown = {write for row in rows if (write := own.write_of(row)) is not None}
        missing = (write for write in foreign if write not in shown)
        pending = min(missing, key=lambda write: write.at, default=None)
        changes = (LaterChange(row, own.run_of(row)) for row in rows_since_plan(item, rows))
        return SincePlan(tuple(changes), pending)

    def _announced(self, attempt: OwnWrite, tried: Collection[OwnWrite]) -> list[OwnWrite]:
        """What was announced of an item, but for what is not made yet."""
        prefix = f"{OWN_PREFIX}{attempt.item}#"
        rows = standing(self.reader.control_rows(prefix, f"{prefix}~"))
        known = [row for row in rows if row.run in self._runs]
        return [row for row in known if row != attempt or row in tried]

    def _foreign(
        self, announced: Iterable[OwnWrite], tried: Collection[OwnWrite]
    ) -> Sequence[OwnWrite]:
        """The last write of each other process that can have been made since the plan."""
        latest: dict[str, OwnWrite] = {}
        since = self._open_since()
        for write in sorted(announced, key=lambda write: write.at):
            if write.at >= since and write not in tried:
                latest[write.run] = write
        return list(latest.values())


def _start(item: PlanItem, foreign: Iterable[OwnWrite] = ()) -> str:
    """From when on rows are read: some may be stamped earlier than what was made before them."""
    if item.seen is None:
        return " "
    seen = datetime.fromisoformat(item.seen.partition("#")[0])
    return time_text(min([earliest_before(seen), *(write.at - _ROUNDING for write in foreign)]))


def _is_later(row: Item, item: PlanItem) -> bool:
    """Whether a stored row can be of a change that the plan has not seen."""
    key = str(row[SORT_KEY]["S"])
    return item.seen is None or key > item.seen or _number(key) > _number(item.seen)


def _number(sort_key: str) -> str:
    """The sequence number in a sort key: of one length in all of them."""
    return sort_key.partition("#")[2]
