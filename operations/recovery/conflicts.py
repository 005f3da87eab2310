"""Where an item is not what it was expected to be. Pure."""

from dataclasses import dataclass

from reports.inputs.paths import Path, value_at
from reports.states.differences import differences
from stream_core.attribute_values import AttributeValue, Item


@dataclass(frozen=True, slots=True)
class Conflict:
    """A place in an item that another writer has changed, and that was left as it is.

    Attributes:
        keys: the item's key.
        path: of the attribute; empty: the whole item, as a map.
        expected: what was to be found there; None: nothing.
        found: what is there.
        wanted: what was to be put there.
        reason: what else to know, where the values do not tell.
    """

    keys: Item
    path: Path
    expected: AttributeValue | None
    actual: AttributeValue | None
    wanted: AttributeValue | None
    reason: str = ""


def conflicts_of(
    keys: Item, expected: Item | None, actual: Item | None, wanted: Item | None
) -> list[Conflict]:
    """Every path at which an item differs from what was expected.

    An item that is there and should not be, or the other way round, is one conflict.
    """
    if expected is None or actual is None:
        return [Conflict(keys, (), as_value(expected), as_value(actual), as_value(wanted))]
    return [
        Conflict(
            keys, difference.path, difference.old, difference.new, value_at(wanted, difference.path)
        )
        for difference in differences(expected, actual)
    ]


def as_value(item: Item | None) -> AttributeValue | None:
    """An item as the value that a map with its attributes would be."""
    return None if item is None else {"M": item}
