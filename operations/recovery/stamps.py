"""Values that are written beside what is taken back, such as the name of who does it. Pure."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from operations.errors import OperationError
from operations.recovery.conflicts import as_value
from operations.recovery.touches import is_within, with_member
from reports.inputs.paths import Path, path_text
from stream_core.attribute_values import AttributeValue, Item

Stamps: TypeAlias = Mapping[Path, AttributeValue]
"""What is written, by its path; no path within another, and none within a list."""


class StampError(OperationError):
    """An item has no place for a value that is to be written beside."""


def stamped(item: Item | None, stamps: Stamps) -> Item | None:
    """An item with the values; maps around them are made where there are none.

    Raises:
        StampError: something else than a map is around one.
    """
    value = as_value(item)
    for path, stamp in stamps.items() if value is not None else ():
        try:
            value = with_member(value, path, stamp)
        except LookupError:
            raise StampError(f"there is no place for {path_text(path)} in it") from None
    return None if value is None else value["M"]


def is_stamped(path: Path, stamps: Iterable[Path]) -> bool:
    """Whether what is at a path is written anyway."""
    return any(is_within(path, stamp) for stamp in stamps)
