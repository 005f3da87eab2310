"""Any number of keys, so many at a time."""

from collections.abc import Iterable, Iterator
from itertools import islice

from replica_writer.tables import Keys
from stream_core.attribute_values import Item
from stream_core.item_id import item_id


def portions(keys: Keys, size: int) -> Iterator[dict[str, Item]]:
    """The same keys by id, in portions."""
    rest = iter(keys.items())
    while portion := dict(islice(rest, size)):
        yield portion


def portions_of(keys: Iterable[Item], size: int) -> Iterator[dict[str, Item]]:
    """Keys by id, in portions; taken from an endless source no faster than they are needed.

    A key that comes twice in one portion is there once.
    """
    rest = iter(keys)
    while portion := {item_id(key): key for key in islice(rest, size)}:
        yield portion
