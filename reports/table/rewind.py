"""The whole table as it was at an instant, from what it is now and what changed since."""

import time
from collections.abc import Generator
from contextlib import closing
from datetime import datetime, timedelta

from reports.access.parallel import batches, in_order
from reports.access.progress import Progress
from reports.access.row_reader import MOST_A_CALL, RowReader
from reports.states.timeline import Certainty, ItemState, judge
from reports.states.watermark import Basis
from reports.table.known_items import keys_of, present
from reports.table.live_table import LiveTable
from stream_core.attribute_values import Item
from stream_core.item_id import item_id

_TICK = timedelta(microseconds=1)
_UNTOUCHED = (
    "the live item, nothing recorded since: a change still on its way would not show, nor one that "
    "is lost or not in the index"
)
_PRESENT = "the live item"
UNSEEN = (
    "rewinding does not see an item whose delete is lost or not in the index, and cannot take back "
    "a change of which that is true"
)
"""What an answer about the past lacks, beside what its states say; reading the history sees it."""


def rewound(
    reader: RowReader, at: datetime, now: datetime, progress: Progress
) -> Generator[ItemState, None, None]:
    """Every item that is live or has changed since, as it was at an instant.

    The live table is read before the index: what changes meanwhile shows in the index, or came
    after the item was read. An item that has changed since is asked for by itself, as `as_of`
    does; the others are what they are now.
    """
    # Before anything is read: what is stored meanwhile must not count as read.
    _ = reader.watermark
    begun = time.monotonic()
    live = LiveTable(reader, progress)
    changed: dict[str, str] = {}
    with closing(reader.by_time.entries(at + _TICK, present(now, begun), progress)) as entries:
        for entry in entries:
            changed.setdefault(entry.identifier, entry.sort_key)
    total = max(live.count, len(changed))
    done = 0
    for states in (_unchanged(reader, live, changed, at, now), _changed(reader, changed, at, now)):
        with closing(states):
            for state in states:
                yield state
                done += 1
                progress("items", done, max(done, total))


def _unchanged(
    reader: RowReader, live: LiveTable, changed: dict[str, str], at: datetime, now: datetime
) -> Generator[ItemState, None, None]:
    for item, read_at in live.items():
        keys = keys_of(reader, item)
        if item_id(keys) not in changed:
            if at == now:
                yield ItemState(
                    keys, read_at or at, item, Certainty.EXACT, _PRESENT, basis=Basis.LIVE
                )
            else:
                yield ItemState(keys, at, item, Certainty.BOUNDED, _UNTOUCHED)


def _changed(
    reader: RowReader, changed: dict[str, str], at: datetime, now: datetime
) -> Generator[ItemState, None, None]:
    def state_of(keys: Item) -> ItemState:
        return judge(reader.evidence(keys, at, now))

    # The index knows an item by its `Id`; its rows tell the key.
    with (
        closing(in_order(reader.fetch, batches(changed.items(), MOST_A_CALL))) as fetched,
        closing(
            in_order(state_of, (row.change.keys for rows in fetched for row in rows))
        ) as states,
    ):
        yield from states
