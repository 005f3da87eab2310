"""What a change did to an item, place by place. Pure.

A place within a list is taken for the whole list. Positions are no names: one member more or less
in front, and a position is that of another member; and DynamoDB appends what is set behind the end.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from operations.recovery.conditions import edits_at
from operations.recovery.conflicts import as_value
from reports.inputs.paths import Path, value_at
from reports.states.differences import Difference, differences
from stream_core.attribute_values import AttributeValue, Item, own_attributes, same_value
from stream_core.history_row import HistoryRow


@dataclass(frozen=True, slots=True)
class Touch:
    """What one change did.

    Attributes:
        steps: what it did at each place; the place of an insert or a delete is the whole item,
            with the empty path.
        is_bad: whether it is to be taken back.
        is_own: whether a run of this program made it.
        before: the item that it changed.
    """

    steps: tuple[Difference, ...]
    is_bad: bool
    is_own: bool = False
    before: Item | None = None


def touch_of(row: HistoryRow, *, is_bad: bool, attribute: Path | None = None) -> Touch:
    """What the change of a row did to its item.

    Args:
        row: the history row.
        is_bad: whether it is to be taken back.
        attribute: of a bad change of an item, only what it did to the value at this path.
    """
    old, new = (own_attributes(image) for image in (row.change.old_image, row.change.new_image))
    steps = tuple(steps_between(old, new))
    if is_bad and attribute is not None and old is not None and new is not None:
        steps = tuple(part for step in steps for part in _part(step, attribute))
    return Touch(steps, is_bad, row.run is not None, old)


def steps_between(old: Item | None, new: Item | None) -> Iterable[Difference]:
    """What leads from one state to another, each place once."""
    if old is None and new is None:
        return ()
    if old is None or new is None:
        return (Difference((), as_value(old), as_value(new)),)
    places = dict.fromkeys(_place(difference.path) for difference in differences(old, new))
    return edits_at(places, old, new)


def _part(step: Difference, attribute: Path) -> Iterable[Difference]:
    """What a step did to the value at a path, the step as a whole where that cannot be parted."""
    if is_within(step.path, attribute):
        return (step,)
    if not is_within(attribute, step.path):
        return ()
    within = attribute[len(step.path) :]
    old, new = (_member_at(value, within) for value in (step.old, step.new))
    if same_value(old, new):
        return ()
    if _is_moved(step, within):
        return (step,)
    try:
        without = with_member(step.new, within, old)
    except LookupError:
        return (step,)
    place = step.path if step.new is None else _place(attribute)
    inner = place[len(step.path) :]
    return (Difference(place, _member_at(without, inner), _member_at(step.new, inner)),)


def _is_moved(step: Difference, path: Path) -> bool:
    """Whether a list on a path became longer or shorter: a position is another member's then."""
    lists = (path[:depth] for depth, part in enumerate(path) if isinstance(part, int))
    for place in lists:
        match _member_at(step.old, place), _member_at(step.new, place):
            case {"L": list(old)}, {"L": list(new)} if len(old) != len(new):
                return True
    return False


def _member_at(value: AttributeValue | None, path: Path) -> AttributeValue | None:
    return None if value is None else value_at({"": value}, ("", *path))


def with_member(
    value: AttributeValue | None, path: Path, member: AttributeValue | None
) -> AttributeValue | None:
    """A value with another at a path within it.

    Raises:
        LookupError: there is no such place in it.
    """
    if not path:
        return member
    step = path[0]
    match value:
        case {"L": list(members)} if isinstance(step, int) and step < len(members):
            inner = with_member(members[step], path[1:], member)
            if inner is None and step < len(members) - 1:
                # What follows would get another place.
                raise LookupError(step)
            return {"L": [*members[:step], *([inner] if inner else []), *members[step + 1 :]]}
        case {"M": dict(members)} if isinstance(step, str):
            inner = with_member(members.get(step), path[1:], member)
            rest = {name: value for name, value in members.items() if name != step}
            return {"M": rest | ({step: inner} if inner else {})}
        case None if isinstance(step, str):
            return {"M": {step: with_member(None, path[1:], member)}}
    raise LookupError(step)


def _place(path: Path) -> Path:
    """A path, or that of the outermost list on it."""
    for length, step in enumerate(path):
        if isinstance(step, int):
            return path[:length]
    return path


def is_within(inner: Path, outer: Path) -> bool:
    """Whether a place is another one, or is in it."""
    return inner[: len(outer)] == outer
