"""Which changes an undo is to take back, as the history has them.

With an attribute only changes of its value are selected, and items that were inserted or deleted
whole only where these kinds of change are asked for: the delete of an item takes much more with it
than the value that was looked for. What runs of this program have written is never selected.
"""

from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from operations.deployed_tables import DeployedTables
from operations.execution.guard import require_followed
from operations.execution.pace import Pace
from operations.recovery.recorded import await_recorded
from reports.access.parallel import in_order
from reports.inputs.paths import Path
from reports.states.named_paths import NamedPaths
from reports.states.selection import Selection
from reports.states.stream_order import earliest_before
from reports.table.changes import changed_rows
from stream_core.attribute_values import Item, item_size
from stream_core.change import EventName
from stream_core.history_row import HistoryRow
from stream_core.item_id import item_id

UNDECIDED = "the history does not say who made the change: it is not taken back"
# All rows of a very large job would fill the memory: the others are read twice.
_MOST_KEPT_BYTES = 16 * 1024 * 1024
_WHOLE_ITEMS = (EventName.INSERT, EventName.REMOVE)


@dataclass(frozen=True, slots=True)
class Undecided:
    """A change of which the history does not tell whether the actor made it; it is not undone."""

    keys: Item
    sort_key: str
    event_name: EventName


@dataclass(frozen=True, slots=True)
class BadItem:
    """An item with changes that are to be taken back.

    Attributes:
        changes: sort keys of the history rows of those, in their order; none, where the item was
            named and no such change of it is known.
    """

    keys: Item
    changes: tuple[str, ...]

    @property
    def since(self) -> datetime:
        """When what was made after its first bad change may be stamped, at the earliest."""
        # What was made before that, and is stamped later, is no obstacle.
        return earliest_before(datetime.fromisoformat(min(self.changes).partition("#")[0]))


@dataclass(frozen=True)
class Selected:
    """The changes to be taken back, by item.

    Attributes:
        attribute: of changes that changed an item, only what they did to the value at this path;
            None: all that they did.
        whole_items: how many changes were passed over that inserted or deleted an item with a value
            that was looked for.
        unknown: what was named and no change of the range knows, each in a sentence.
        rows: the first of them as they were read, by id and sort key: they need not be read again.
    """

    items: tuple[BadItem, ...]
    undecided: tuple[Undecided, ...]
    attribute: Path | None = None
    whole_items: int = 0
    unknown: tuple[str, ...] = ()
    rows: Mapping[tuple[str, str], HistoryRow] = field(default_factory=dict)


def select_bad(  # noqa: PLR0913 - the whole selection
    deployment: DeployedTables,
    *,
    since: datetime,
    until: datetime,
    where: Selection | None = None,
    keys: Iterable[Item] | None = None,
    wait: bool = False,
    pace: Pace,
) -> Selected:
    """The changes of a range of time that an undo is to take back, both ends included.

    Args:
        deployment: the source table and its history.
        since: when the first bad change was stamped.
        until: when the last one was.
        where: what else must be true of them; by default every change is selected. With an
            attribute, inserts and deletes are selected only where they are asked for by name.
        keys: only of these items.
        wait: wait until every change of the range is known to be recorded.
        pace: how many rows a second are read, of items that are named how many items; what is
            called with the changes selected, and while it waits.

    Raises:
        RefusedError: a table is not named, changes of the range may not be recorded yet, or the
            history or the stack is another table's.
        ReportError: the range ends before it starts.
        IntegrityError: the history is not what was written.
    """
    require_followed(deployment, pace)
    sieve = _Sieve(where or Selection(), pace)
    await_recorded(deployment.reader, until, wait=wait, pace=pace)
    distinct = None if keys is None else {item_id(key): key for key in keys}
    if distinct is not None:
        sieve.items = {identifier: (key, []) for identifier, key in distinct.items()}
    # What the range knows at all is asked too, so that a name that is in none of it is noticed.
    any_change = Selection(sieve.where.event_names)
    paced = partial(pace.rate.take, 1)
    search = partial(changed_rows, deployment.reader, since, until, any_change, paced=paced)
    rows = search(progress=pace.progress) if distinct is None else _of_each(search, distinct)
    with closing(rows):
        for row in rows:
            sieve.add(row)
    return sieve.selected()


def _of_each(
    search: "partial[Generator[HistoryRow, None, None]]", identifiers: Iterable[str]
) -> Generator[HistoryRow, None, None]:
    """The rows of each item, in their order."""
    with closing(
        in_order(lambda identifier: list(search(identifier=identifier)), identifiers)
    ) as groups:
        for rows in groups:
            yield from rows


@dataclass
class _Sieve:
    """Keeps the bad changes of all that pass by.

    Attributes:
        items: the key of each item, and the sort keys of its bad changes, by the item's identifier.
        count: how many bad changes there were.
        rows: the first of them, by place.
        kept_bytes: how much those hold, as the table counts it.
        named: the attributes that were named.
    """

    where: Selection
    pace: Pace
    items: dict[str, tuple[Item, list[str]]] = field(default_factory=dict)
    undecided: list[Undecided] = field(default_factory=list)
    whole_items: int = 0
    count: int = 0
    rows: dict[tuple[str, str], HistoryRow] = field(default_factory=dict)
    kept_bytes: int = 0
    named: NamedPaths = field(init=False)

    def __post_init__(self) -> None:
        self.named = NamedPaths.of_selection(self.where)

    def add(self, row: HistoryRow) -> None:
        """Keep a change if it is bad."""
        # A baseline is no change, even if its event name was selected; and what a run of ours has
        # written would put the corruption back.
        if row.change.event_name is EventName.SNAPSHOT or row.run is not None:
            return
        self.named.note(row)
        if not self.where.accepts(row):
            if self.where.undecided(row) and not self._is_passed_over(row):
                change = row.change
                self.undecided.append(Undecided(change.keys, row.sort_key, change.event_name))
        elif self._is_passed_over(row):
            self.whole_items += 1
        else:
            self.items.setdefault(row.id, (row.change.keys, []))[1].append(row.sort_key)
            self._keep(row)
            self.count += 1
            self.pace.progress("changes selected", self.count, None)

    def _keep(self, row: HistoryRow) -> None:
        if self.kept_bytes < _MOST_KEPT_BYTES:
            self.rows[row.id, row.sort_key] = row
            images = (row.change.old_image, row.change.new_image)
            self.kept_bytes += sum(map(item_size, filter(None, images)))

    def selected(self) -> Selected:
        """All that was kept."""
        return Selected(
            tuple(BadItem(key, tuple(changes)) for key, changes in self.items.values()),
            tuple(self.undecided),
            self.where.path,
            self.whole_items,
            self.named.unknown(),
            self.rows,
        )

    def _is_passed_over(self, row: HistoryRow) -> bool:
        """Whether a change of a whole item is left alone, as only a value of it was asked for."""
        is_whole = row.change.event_name in _WHOLE_ITEMS
        return is_whole and self.where.path is not None and not self.where.event_names
