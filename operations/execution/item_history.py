"""What the history says of items of a plan since that was made.

It takes a Query an item, of the rows since the last one that the plan saw and of some minutes
before, as stamps may go back; another one of its announcements where there were other runs; and one
Query of the runs for every hundred items.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from operations.execution.plan_file import PlanItem
from operations.execution.request import answer_to
from operations.execution.since_plan import LaterChange, rows_since_plan
from reports.access.own_writes import find_own_writes
from reports.access.row_reader import RowReader
from reports.states.own_writes import LATEST, OwnWrites
from reports.states.stream_order import earliest_before
from stream_core.attribute_values import Item
from stream_core.control_row import OWN_PREFIX, OwnWrite, RunRow, item_hash
from stream_core.history_row import SORT_KEY, HistoryRow, time_text
from stream_core.item_id import item_id
from stream_core.retry import Patience

# Stamps are whole seconds.
_ROUNDING = timedelta(seconds=2)


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
        run: the id of the run that asks.
        made_at: when the plan was made, UTC.
        patience: makes the patience for one item.
    """

    reader: RowReader
    run: str
    made_at: datetime
    patience: Callable[[], Patience]
    _runs: Mapping[str, RunRow] = field(default_factory=dict, init=False)

    def look_anew(self) -> None:
        """Learn which runs there are; to be called before items are read."""
        self._runs = find_own_writes(self.reader).runs

    def since_plan(self, item: PlanItem) -> SincePlan:
        """What happened to an item; to be asked when the item has been read.

        Raises:
            IntegrityError: the history is not what was written.
            NoAnswerError: it does not answer.
        """
        history = self.reader.history_table
        return answer_to(lambda: self._since_plan(item), self.patience(), history)

    def _since_plan(self, item: PlanItem) -> SincePlan:
        has_others = bool(self._runs.keys() - {self.run})
        # Before the rows: what is announced is written later.
        announced = self._announced(item) if has_others else []
        foreign = self._foreign(announced)
        stored = list(self.reader.items(item_id(item.keys), after=_start(item, foreign)))
        if not foreign and not any(_is_later(row, item) for row in stored):
            return SincePlan()
        if not has_others:
            announced = self._announced(item)
        rows = list(map(self.reader.read, stored))
        own = OwnWrites(self._runs, lambda _item: announced, lambda _id, _after, _until: rows)
        shown = {write for row in rows if (write := own.write_of(row)) is not None}
        pending = next((write for write in foreign if write not in shown), None)
        changes = (LaterChange(row, own.run_of(row)) for row in rows_since_plan(item, rows))
        return SincePlan(tuple(changes), pending)

    def _announced(self, item: PlanItem) -> list[OwnWrite]:
        prefix = f"{OWN_PREFIX}{item_hash(item_id(item.keys))}#"
        rows = self.reader.control_rows(prefix, f"{prefix}~")
        return [row for row in rows if isinstance(row, OwnWrite) and row.run in self._runs]

    def _foreign(self, announced: Iterable[OwnWrite]) -> Sequence[OwnWrite]:
        """The last write of each other run that can have been made since the plan."""
        latest: dict[str, OwnWrite] = {}
        for write in sorted(announced, key=lambda write: write.at):
            if write.run != self.run and write.at >= self.made_at - LATEST:
                latest[write.run] = write
        return list(latest.values())


def _start(item: PlanItem, foreign: Iterable[OwnWrite]) -> str:
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
