"""What a stored row must be like besides its digest. Pure."""

from stream_core.attribute_values import Item, same_item
from stream_core.change import EventName
from stream_core.history_row import HistoryRow

_HAS_IMAGES = {
    EventName.INSERT: (False, True),
    EventName.MODIFY: (True, True),
    EventName.REMOVE: (True, False),
    EventName.SNAPSHOT: (False, True),
}


def surplus(row: HistoryRow, item: Item, name: str) -> str | None:
    """What an item holds that no writer writes, which the digest does not cover; None: nothing.

    The bucket of the index may be any here, and may be left out.

    Args:
        row: the row that was read from the item, its images not loaded.
        item: the item.
        name: what the answer calls it.
    """
    written = row.to_item(1)
    del written["TimeBucket"]
    if "TimeBucket" in item:
        written["TimeBucket"] = item["TimeBucket"]
    if unknown := item.keys() - written.keys():
        return f"no row of the format: {name} has {', '.join(sorted(unknown))} besides"
    if not same_item(item, written):
        return f"no row of the format: a field of {name} holds more"
    return None


def has_its_images(row: HistoryRow) -> bool:
    """Whether a row, its images loaded, has those that its event has, and no others."""
    change = row.change
    images = change.old_image is not None, change.new_image is not None
    return images == _HAS_IMAGES[change.event_name]
