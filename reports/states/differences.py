"""What differs between two states of an item, by attribute path. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from reports.inputs.paths import Path, path_text
from reports.states.timeline import state_before
from stream_core.attribute_values import AttributeValue, Item, same_value
from stream_core.history_row import HistoryRow


@dataclass(frozen=True, slots=True)
class Difference:
    """One attribute path whose value differs; None stands for an absent attribute."""

    path: Path
    old: AttributeValue | None
    new: AttributeValue | None

    @property
    def kind(self) -> Literal["added", "removed", "changed"]:
        """What happened to the attribute."""
        if self.old is None:
            return "added"
        return "removed" if self.new is None else "changed"


def differences(old: Item | None, new: Item | None) -> list[Difference]:
    """The net difference between two states, None for an absent item.

    Maps and lists present on both sides are followed inside, lists position by position; an
    attribute whose type changed is one difference. Sets and numbers compare by value, whatever
    their order and spelling; `NULL` is a value, absence is not.
    """
    return list(_between_maps((), old or {}, new or {}))


def changed_paths(row: HistoryRow) -> list[str]:
    """The attribute paths that a row's change touched."""
    changes = differences(state_before(row), row.change.new_image)
    return [path_text(difference.path) for difference in changes]


def _between_maps(path: Path, old: Item, new: Item) -> Iterator[Difference]:
    for name in sorted(old.keys() | new.keys()):
        yield from _between_values((*path, name), old.get(name), new.get(name))


def _between_values(
    path: Path, old: AttributeValue | None, new: AttributeValue | None
) -> Iterator[Difference]:
    match old, new:
        case {"M": dict(old_map)}, {"M": dict(new_map)}:
            yield from _between_maps(path, old_map, new_map)
        case {"L": list(old_list)}, {"L": list(new_list)}:
            for index in range(max(len(old_list), len(new_list))):
                yield from _between_values(
                    (*path, index), _at(old_list, index), _at(new_list, index)
                )
        case _:
            if not same_value(old, new):
                yield Difference(path, old, new)


def _at(values: list[AttributeValue], index: int) -> AttributeValue | None:
    return values[index] if index < len(values) else None
