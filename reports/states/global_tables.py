"""What a global table of version 2017.11.29 does to items on its own: no change by a person. Pure.

It keeps attributes of its own in them, `aws:rep:*`, and writes each change a second time with
these: the stream then has a record for either.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from stream_core.attribute_values import own_attributes, same_item
from stream_core.change import EventName
from stream_core.history_row import HistoryRow


def is_replication_only(row: HistoryRow) -> bool:
    """Whether a change touched nothing but attributes of the global table itself."""
    old, new = row.change.old_image, row.change.new_image
    if row.change.event_name is not EventName.MODIFY or old is None or new is None:
        return False
    own = own_attributes(old), own_attributes(new)
    return own != (old, new) and same_item(*own)


def without_replication(rows: Iterable[HistoryRow]) -> Iterator[HistoryRow]:
    """The rows of an item in which such a change is part of the one before, where the two fit.

    Where they do not, a change is missing in between, and the row stays to show it. Nor is it part
    of a baseline, which tells of the state before it too.
    """
    last: HistoryRow | None = None
    for row in rows:
        if (
            last is not None
            and last.change.event_name is not EventName.SNAPSHOT
            and row.fault is None
            and is_replication_only(row)
            and same_item(last.change.new_image, row.change.old_image)
        ):
            last = replace(last, change=replace(last.change, new_image=row.change.new_image))
            continue
        if last is not None:
            yield last
        last = row
    if last is not None:
        yield last
