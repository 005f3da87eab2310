"""Which changes of an item this program made itself, by what the history says of its runs. Pure.

A run announces each write in the history before it makes it (`control_row.OwnWrite`): neither a
stream record nor anything else of DynamoDB would tell. A change fits if it leads from the announced
state to the announced one, at the time it was announced for. It belongs to the latest announcement
before it, and an announcement has one change, the first that belongs to it: whoever makes the same
change once more, by hand or by the job that did the damage, is another writer.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from reports.states.timeline import ItemState
from stream_core.announcement import OwnWrite, item_hash
from stream_core.attribute_values import Item, digest, own_attributes
from stream_core.change import EventName
from stream_core.control_row import RunRow
from stream_core.history_row import HistoryRow, sort_key_after, time_text

# A change is stamped with its second, rounded down, by a clock that may be a little off.
_CLOCK_ERROR = timedelta(seconds=2)
# A request is refused a quarter of an hour after it was signed; later it cannot take effect.
LATEST = timedelta(minutes=17)
"""How long after its announcement a change can be made, at most."""


@dataclass(frozen=True)
class OwnWrites:
    """What the runs of a history have written.

    Attributes:
        runs: the runs by their id; without any, nothing is read.
        announced: gives the announced writes of an item, by its `item_hash`.
        rows: gives the rows of an item, by its `Id`, from one sort key to another, both included,
            in order.
    """

    runs: Mapping[str, RunRow]
    announced: Callable[[str], Iterable[OwnWrite]]
    rows: Callable[[str, str, str], Iterable[HistoryRow]]
    _known: dict[str, tuple[OwnWrite, ...]] = field(default_factory=dict, compare=False)
    _changes: dict[OwnWrite, str] = field(default_factory=dict, compare=False)

    def run_of(self, row: HistoryRow) -> RunRow | None:
        """The run that made the change of a row, its images loaded; None: another writer did."""
        write = self.write_of(row)
        return None if write is None else self.runs[write.run]

    def write_of(self, row: HistoryRow) -> OwnWrite | None:
        """The announcement of the change of a row; None: another writer made it."""
        write = self._latest_before(row)
        return write if write is not None and self._change_of(write, row) == row.sort_key else None

    def noted(self, row: HistoryRow) -> HistoryRow:
        """The same row, with the run that made its change."""
        run = self.run_of(row)
        return row if run is None else replace(row, run=run.run, run_by=run.who)

    def noted_in_order(self, rows: Iterable[HistoryRow], since: datetime) -> Iterator[HistoryRow]:
        """All that was recorded since a moment, by time: what an item did before is seen here.

        Only changes of one kind may be missing, inserts for example: then all of them are.
        """
        for row in rows:
            write = self._latest_before(row)
            if write is not None and _is_after(row, write) and write.at - _CLOCK_ERROR >= since:
                self._changes.setdefault(write, row.sort_key)
            yield self.noted(row)

    def noted_state(self, state: ItemState) -> ItemState:
        """The same state, its row with the run that made the change."""
        return state if state.row is None else replace(state, row=self.noted(state.row))

    def pending(self, identifier: str, recorded_until: datetime) -> OwnWrite | None:
        """The first write of an item that was announced, and of which no row shows what came.

        An item is written once by a run: what is shown of one attempt is all of them.

        Args:
            identifier: the item's `Id`.
            recorded_until: until then a change that was made is in the history.
        """
        by_run: dict[str, list[OwnWrite]] = defaultdict(list)
        for write in sorted(self._announced_of(identifier), key=_moment):
            by_run[write.run].append(write)
        last = (
            writes[-1]
            for writes in by_run.values()
            if writes[-1].at + LATEST > recorded_until and not self._is_shown(identifier, writes)
        )
        return min(last, key=_moment, default=None)

    def _is_shown(self, identifier: str, writes: Sequence[OwnWrite]) -> bool:
        """Whether a row shows the change of one of a run's announcements of an item."""
        if any(write in self._changes for write in writes):
            return True
        after = time_text(writes[0].at - _CLOCK_ERROR)
        rows = self.rows(identifier, after, sort_key_after(writes[-1].at + LATEST))
        return any(self.write_of(row) in writes for row in rows)

    def _latest_before(self, row: HistoryRow) -> OwnWrite | None:
        """The announcement that a change belongs to, be it the first to do so or not."""
        if not self.runs or row.change.event_name is EventName.SNAPSHOT or row.fault is not None:
            return None
        writes = [write for write in self._announced_of(row.id) if _is_in_time(write, row)]
        if not writes:
            return None
        images = row.change.old_image, row.change.new_image
        before, after = map(state_digest, images)
        fitting = [write for write in writes if (write.before, write.after) == (before, after)]
        earlier = [write for write in fitting if _is_after(row, write)]
        if earlier:
            return max(earlier, key=_moment)
        return min(fitting, key=_moment, default=None)

    def _change_of(self, write: OwnWrite, row: HistoryRow) -> str:
        """The sort key of the change of an announcement; `row` is one that belongs to it.

        One that is stamped too early is it only if none follows at once: a clock is hardly ever
        off, but another writer may have made the same change just before.
        """
        if write not in self._changes:
            after = time_text(write.at - _CLOCK_ERROR)
            until = max(row.sort_key, sort_key_after(write.at + _CLOCK_ERROR))
            keys = {row.sort_key: _is_at_once(row, write)} | {
                other.sort_key: _is_at_once(other, write)
                for other in self.rows(row.id, after, until)
                if self._latest_before(other) == write
            }
            self._changes[write] = min(keys, key=lambda key: (not keys[key], key))
        return self._changes[write]

    def _announced_of(self, identifier: str) -> tuple[OwnWrite, ...]:
        item = item_hash(identifier)
        if item not in self._known:
            # Without its run an announcement is nobody's.
            writes = (write for write in self.announced(item) if write.run in self.runs)
            self._known[item] = tuple(writes)
        return self._known[item]


NO_OWN_WRITES = OwnWrites({}, lambda _item: (), lambda _id, _after, _until: ())


def state_digest(image: Item | None) -> bytes | None:
    """What stands for a state of an item in an announcement; None: there is no item."""
    own = own_attributes(image)
    return None if own is None else digest(own)


def _is_in_time(write: OwnWrite, row: HistoryRow) -> bool:
    return write.at - _CLOCK_ERROR <= row.change.created_at <= write.at + LATEST


def _is_after(row: HistoryRow, write: OwnWrite) -> bool:
    """Whether a change is stamped with the second of its announcement, or a later one."""
    return row.change.created_at >= write.at.replace(microsecond=0)


def _is_at_once(row: HistoryRow, write: OwnWrite) -> bool:
    return _is_after(row, write) and row.change.created_at <= write.at + _CLOCK_ERROR


def _moment(write: OwnWrite) -> tuple[datetime, str]:
    return write.at, write.sort_key
