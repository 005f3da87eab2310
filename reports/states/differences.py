"""What differs between two states of an item, by attribute path. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from reports.inputs.paths import Path, path_text
from reports.states.row_states import state_before
from reports.states.values import brief_text
from stream_core.attribute_values import AttributeValue, Item, own_attributes, same_value
from stream_core.history_row import HistoryRow

_MOST_SHOWN, _WIDEST_VALUE = 8, 60


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


def change_text(old: Item | None, new: Item | None, keys: Item) -> str:
    """What leads from one state to another, in a line: `Amount 300.5 → 400.5, Note absent → x`.

    Of an item that is not there, it is `nothing → Amount 300.5, Note x`. Long values are cut, and
    a long list of attributes ends with how many more there are.

    Args:
        old: the state before, None for an absent item.
        new: the state after.
        keys: the item's key, which is told beside it.
    """
    shown = [difference for difference in differences(old, new) if difference.path[0] not in keys]
    is_whole = old is None or new is None
    parts = [
        f"{path_text(difference.path)} "
        + (
            _brief(difference.new or difference.old)
            if is_whole
            else f"{_brief(difference.old)} → {_brief(difference.new)}"
        )
        for difference in shown[:_MOST_SHOWN]
    ]
    more = len(shown) - _MOST_SHOWN
    text = (", ".join(parts) or "an item of its key") + (f" and {more:,} more" if more > 0 else "")
    if old is None:
        return f"nothing → {text}"
    return f"{text} → nothing" if new is None else text


def _brief(value: AttributeValue | None) -> str:
    return "absent" if value is None else brief_text(value, _WIDEST_VALUE)


def own_differences(old: Item | None, new: Item | None) -> list[Difference]:
    """The same without what a global table keeps in items for itself (`aws:rep:*`)."""
    return differences(own_attributes(old), own_attributes(new))


def changes_of(row: HistoryRow) -> list[Difference]:
    """What a row's change did; nothing, where only a global table's own attributes changed."""
    return own_differences(state_before(row), row.change.new_image)


def changed_paths(row: HistoryRow) -> list[str]:
    """The attribute paths that a row's change touched; see `changes_of`."""
    return [path_text(difference.path) for difference in changes_of(row)]


def _between_maps(path: Path, old: Item, new: Item) -> Iterator[Difference]:
    # Most attributes are the same to the letter.
    changed = (name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    for name in sorted(changed):
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
