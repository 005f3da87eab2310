"""What items with bad changes are, and what was done to them since: many of them by few calls.

Items are read a hundred a call. Their rows since the first bad change are found through the index
`ByTime` where that takes fewer calls than to ask each of them, and are then read by their keys.

The index may lag behind the table. What it does not show yet is as if it were not recorded yet, and
no plan rests on that: an item is asked itself, by a consistent Query, unless its bad changes are
among the rows, each row begins with what the one before left, and the last one left what the item
is now. So what was missed can only be changes that led back to where they began. If these were the
last ones, the run finds them: before it writes an item it asks for all that came after the last row
of its plan, consistently. If another that is seen followed them, they are old: of whoever has a row
of the last minutes, no row is taken from the index. Old rows may have been stored a moment ago all
the same: by a redrive, and for as long as one may go on and some minutes more the index is not
asked; or by a consumer that was behind, which the metrics show for half an hour. Who declares a
history complete, or has just proved it, vouches for the index as well: that it shows what the table
has had for minutes, everything that answers by time relies on; `verify` says where it does not.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import pairwise
from operator import itemgetter

from botocore.exceptions import BotoCoreError, ClientError
from more_itertools import chunked, map_reduce

from operations.execution.live_items import live_items
from operations.execution.pace import Pace
from operations.recovery.bad_changes import BadItem
from reports.access.by_time import MOST_SHARDS, count_hours
from reports.access.parallel import in_order
from reports.access.row_reader import MOST_A_CALL, RowReader
from reports.states.stream_order import in_stream_order
from stream_core.attribute_values import Item, own_attributes, same_item
from stream_core.change import EventName
from stream_core.control_row import REDRIVE, REDRIVE_LASTS, RUN_PREFIX, RunRow
from stream_core.errors import IntegrityError
from stream_core.history_row import HistoryRow, time_text
from stream_core.item_id import item_id

# Index entries come within a second or so; clocks differ.
_LAG = timedelta(minutes=10)
# A busy table has changed very much else since: each item is asked then.
_MOST_ENTRIES_AN_ITEM = 20


@dataclass(frozen=True, slots=True)
class SeenItem:
    """An item, and what was done to it.

    Attributes:
        live: the item as it is, None if it is not there.
        rows: its rows since its first bad change, in the order in which they were made; None: it
            has to be asked for them itself.
    """

    live: Item | None
    rows: list[HistoryRow] | None


@dataclass(frozen=True)
class SeenItems:
    """Reads items with bad changes, and their rows.

    Attributes:
        table: the table of the items.
        pace: how many items a second are read, and how long a table may refuse to answer.
        known: rows that were read before, by id and sort key.
    """

    reader: RowReader
    table: str
    pace: Pace
    known: Mapping[tuple[str, str], HistoryRow]

    def of_each(
        self, items: Sequence[BadItem]
    ) -> Generator[tuple[BadItem, SeenItem | None], None, None]:
        """Each item with what is seen of it; None: nothing yet, it has to be asked itself.

        Raises:
            NoAnswerError: the table does not answer any more.
        """
        changed = [item for item in items if item.changes]
        by_time = self._is_many(changed) and not self._is_redriven()
        read = partial(self._read, self._places(changed) if by_time else None)
        with closing(in_order(read, chunked(items, self.pace.at_once(MOST_A_CALL)))) as portions:
            for portion in portions:
                yield from portion

    def _is_many(self, items: Sequence[BadItem]) -> bool:
        """Whether to ask every partition of the time since takes fewer calls than every item."""
        if not items:
            return False
        hours = count_hours(min(item.since for item in items), self.pace.machine.now())
        return hours * MOST_SHARDS < len(items)

    def _is_redriven(self) -> bool:
        """Whether a redrive may have stored rows in the last minutes, of whatever time they are."""
        earliest = self.pace.machine.now() - REDRIVE_LASTS - _LAG
        runs = self.reader.control_rows(RUN_PREFIX, f"{RUN_PREFIX}~")
        return any(
            run.command == REDRIVE and run.started > earliest
            for run in runs
            if isinstance(run, RunRow)
        )

    def _places(self, items: Sequence[BadItem]) -> Mapping[str, list[str]] | None:
        """The sort keys of the items' rows, by id.

        None, where there is too much else to look through, or the index may not be read: then each
        item is asked, which does without it.
        """
        since, now = min(item.since for item in items), self.pace.machine.now()
        places: dict[str, list[str]] = {item_id(item.keys): [] for item in items}
        entries = self.reader.by_time.entries(since, max(since, now) + _LAG, self.pace.progress)
        try:
            with closing(entries):
                for number, entry in enumerate(entries):
                    if number >= _MOST_ENTRIES_AN_ITEM * len(items):
                        return None
                    if entry.identifier in places:
                        places[entry.identifier].append(entry.sort_key)
        except (ClientError, BotoCoreError):
            return None
        return places

    def _read(
        self, places: Mapping[str, list[str]] | None, items: Sequence[BadItem]
    ) -> list[tuple[BadItem, SeenItem | None]]:
        """What is seen of at most a hundred items."""
        self.pace.rate.take(len(items))
        keys = [item.keys for item in items if item.changes]
        try:
            live = live_items(self.reader.dynamodb, self.table, keys, self.pace.patience())
        except (ClientError, BotoCoreError):
            # One of them may be the reason: each is told by itself.
            return [(item, None) for item in items]
        rows = {} if places is None else self._rows(places, items)

        def seen(item: BadItem) -> SeenItem | None:
            if not item.changes:
                return None
            identifier = item_id(item.keys)
            own, image = rows.get(identifier, []), live.get(identifier)
            return SeenItem(image, own if _are_all(own, item, image) else None)

        return [(item, seen(item)) for item in items]

    def _rows(
        self, places: Mapping[str, list[str]], items: Sequence[BadItem]
    ) -> dict[str, list[HistoryRow]]:
        """The rows at their places, by id, in the order in which they were made."""
        recent = time_text(self.pace.machine.now() - _LAG)
        wanted = [
            (identifier, sort_key)
            for item in items
            for identifier in (item_id(item.keys),)
            for sort_key in places.get(identifier, ())
            if sort_key >= time_text(item.since) and places[identifier][-1] < recent
        ]
        rows = {place: self.known[place] for place in wanted if place in self.known}
        unknown = [place for place in wanted if place not in rows]
        try:
            for some in chunked(unknown, MOST_A_CALL):
                rows.update(zip(some, self.reader.fetch(some), strict=True))
        except (ClientError, BotoCoreError, IntegrityError):
            # As above.
            return {}
        by_item = map_reduce(wanted, itemgetter(0), rows.__getitem__)
        return {identifier: list(in_stream_order(own)) for identifier, own in by_item.items()}


def _are_all(rows: Sequence[HistoryRow], item: BadItem, live: Item | None) -> bool:
    """Whether rows show how an item became what it is, with all of its bad changes."""
    if not {row.sort_key for row in rows}.issuperset(item.changes):
        return False
    changes = [row.change for row in rows if row.change.event_name is not EventName.SNAPSHOT]
    return is_settled(live, rows) and all(
        same_item(own_attributes(change.new_image), own_attributes(following.old_image))
        for change, following in pairwise(changes)
    )


def is_settled(live: Item | None, rows: Sequence[HistoryRow]) -> bool:
    """Whether an item is what the last of its rows left."""
    last = own_attributes(rows[-1].change.new_image)
    return same_item(own_attributes(live), last)
