"""Where an item is not what it was expected to be. Pure."""

from dataclasses import dataclass

from reports.inputs.paths import Path
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


def as_value(item: Item | None) -> AttributeValue | None:
    """An item as the value that a map with its attributes would be."""
    return None if item is None else {"M": item}
