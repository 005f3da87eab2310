"""Which attribute paths of many items become columns of one table. Pure.

A map that is keyed by ids, such as the lines of an order, has other members in every item. A column
for each would hold nothing almost everywhere, and there would be as many as there are items.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from reports.inputs.paths import Path, leaves, value_at
from stream_core.attribute_values import AttributeValue, Item

MOST_WITHIN = 100
"""A map or list with more paths within it than this, over all items, is one column."""


@dataclass
class _Place:
    """What is at a path in any of the items: a value, or what has places within it, or both."""

    has_value: bool = False
    within: dict[str | int, "_Place"] = field(default_factory=dict)


def columns_of(images: Iterable[Item]) -> frozenset[Path]:
    """The paths that are columns; every value of the items is at one of them, or within it."""
    root = _Place()
    for image in images:
        for path, _ in leaves(image):
            place = root
            for step in path:
                place = place.within.setdefault(step, _Place())
            place.has_value = True
    return frozenset(path for path in _paths_within((), root) if path)


def values_of(image: Item, columns: frozenset[Path]) -> dict[Path, AttributeValue]:
    """An item's values by column; a map or list that is a column as a whole."""
    values: dict[Path, AttributeValue] = {}
    for path, value in leaves(image):
        column = next(filter(columns.__contains__, _beginnings(path)))
        if column not in values:
            values[column] = value if column == path else value_at(image, column) or value
    return values


def _beginnings(path: Path) -> Iterator[Path]:
    """The path, and those of what holds it, the longest first."""
    return (path[:length] for length in range(len(path), 0, -1))


def _paths_within(path: Path, place: _Place) -> Sequence[Path]:
    within = [
        column
        for step, member in place.within.items()
        for column in _paths_within((*path, step), member)
    ]
    if path and len(within) > MOST_WITHIN:
        return [path]
    return [path, *within] if place.has_value else within
