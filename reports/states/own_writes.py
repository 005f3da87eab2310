"""Which changes of an item this program made itself, by what the history says of its runs. Pure.

A run announces each write in the history before it makes it (`control_row.OwnWrite`). A change is
ours if it leads from the announced state to the announced one, at the time it was announced for:
neither a stream record nor anything else of DynamoDB would tell.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from reports.states.timeline import ItemState
from stream_core.attribute_values import Item, digest, own_attributes
from stream_core.change import EventName
from stream_core.control_row import OwnWrite, RunRow, item_hash
from stream_core.history_row import HistoryRow

# A change is stamped with its second, rounded down, by a clock that may be a little off.
_EARLIEST = timedelta(seconds=-2)
# A request is refused a quarter of an hour after it was signed; later it cannot take effect.
_LATEST = timedelta(minutes=17)


@dataclass(frozen=True)
class OwnWrites:
    """What the runs of a history have written.

    Attributes:
        runs: the runs by their id; without any, nothing is read.
        announced: gives the announced writes of an item, by its `item_hash`.
    """

    runs: Mapping[str, RunRow]
    announced: Callable[[str], Iterable[OwnWrite]]
    _known: dict[str, tuple[OwnWrite, ...]] = field(default_factory=dict, compare=False)

    def run_of(self, row: HistoryRow) -> RunRow | None:
        """The run that made the change of a row, its images loaded; None: another writer did."""
        write = self.write_of(row)
        return None if write is None else self.runs[write.run]

    def write_of(self, row: HistoryRow) -> OwnWrite | None:
        """The announcement of the change of a row; None: another writer made it."""
        if not self.runs or row.change.event_name is EventName.SNAPSHOT or row.fault is not None:
            return None
        writes = [write for write in self._announced_of(row.id) if _is_in_time(write, row)]
        if not writes:
            return None
        before, after = (
            state_digest(image) for image in (row.change.old_image, row.change.new_image)
        )
        fitting = (write for write in writes if (write.before, write.after) == (before, after))
        return next(fitting, None)

    def noted(self, row: HistoryRow) -> HistoryRow:
        """The same row, with the run that made its change."""
        run = self.run_of(row)
        return row if run is None else replace(row, run=run.run, run_by=run.who)

    def noted_state(self, state: ItemState) -> ItemState:
        """The same state, its row with the run that made the change."""
        return state if state.row is None else replace(state, row=self.noted(state.row))

    def _announced_of(self, identifier: str) -> tuple[OwnWrite, ...]:
        item = item_hash(identifier)
        if item not in self._known:
            # Without its run an announcement is nobody's.
            writes = (write for write in self.announced(item) if write.run in self.runs)
            self._known[item] = tuple(writes)
        return self._known[item]


NO_OWN_WRITES = OwnWrites({}, lambda _item: ())


def state_digest(image: Item | None) -> bytes | None:
    """What stands for a state of an item in an announcement; None: there is no item."""
    own = own_attributes(image)
    return None if own is None else digest(own)


def _is_in_time(write: OwnWrite, row: HistoryRow) -> bool:
    return write.at + _EARLIEST <= row.change.created_at <= write.at + _LATEST
