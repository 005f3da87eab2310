"""What a single row says of the states next to it. Pure."""

from stream_core.attribute_values import Item
from stream_core.change import EventName
from stream_core.history_row import HistoryRow


def state_before(row: HistoryRow) -> Item | None:
    """The item right before a row's change. A snapshot changes nothing."""
    if row.change.event_name is EventName.SNAPSHOT:
        return row.change.new_image
    return row.change.old_image


def leaves_known(row: HistoryRow) -> bool:
    """Whether the state that a row's change left can be read in it, if only in an altered row."""
    is_removed = row.change.event_name is EventName.REMOVE
    return row.fault is None or is_removed or row.change.new_image is not None


def begins_known(row: HistoryRow) -> bool:
    """Whether the state that a row's change found can be read in it."""
    is_born = row.change.event_name is EventName.INSERT
    return row.fault is None or is_born or state_before(row) is not None
