"""What takes selected changes of an item back, and leaves all others. Pure.

The changes are taken back one after the other, the last one first, from the item as it is: at each
place that a bad change touched, what it left there is replaced by what was there before. So several
of them compose, and what others changed elsewhere stays.

Where another change has touched the same place since, it is left alone, and that is a conflict;
also if it put there what the bad change had left, because then it was meant. The same goes for a
place that holds something else than what is recorded.

A place within a list is taken for the whole list. Positions are no names: one member more or less
in front, and a position is that of another member; and DynamoDB appends what is set behind the end.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from operations.recovery.conditions import edits_at
from operations.recovery.conflicts import Conflict, as_value
from reports.inputs.paths import Path, value_at
from reports.states.differences import Difference, differences
from stream_core.attribute_values import AttributeValue, Item, own_attributes, same_value
from stream_core.history_row import HistoryRow

_WRITTEN_SINCE = "it was written again since"
_GONE = "the item is gone"
_NO_PLACE = "what it was in is gone"


@dataclass(frozen=True, slots=True)
class Touch:
    """What one change did.

    Attributes:
        steps: what it did at each place; the place of an insert or a delete is the whole item,
            with the empty path.
        is_bad: whether it is to be taken back.
    """

    steps: tuple[Difference, ...]
    is_bad: bool


@dataclass(frozen=True, slots=True)
class Compensation:
    """How to take changes back.

    Attributes:
        edits: what to write, and what it takes the place of.
        conflicts: what cannot be taken back any more.
        before: the item as it is.
        after: the item with the edits.
    """

    edits: tuple[Difference, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    before: Item | None = None
    after: Item | None = None


def touch_of(row: HistoryRow, *, is_bad: bool, attribute: Path | None = None) -> Touch:
    """What the change of a row did to its item.

    Args:
        row: the history row.
        is_bad: whether it is to be taken back.
        attribute: of a bad change of an item, only what it did to the value at this path.
    """
    old, new = (own_attributes(image) for image in (row.change.old_image, row.change.new_image))
    steps = tuple(_steps(old, new))
    if is_bad and attribute is not None and old is not None and new is not None:
        steps = tuple(part for step in steps for part in _part(step, attribute))
    return Touch(steps, is_bad)


def compensate(keys: Item, live: Item | None, touches: Sequence[Touch]) -> Compensation:
    """What takes the bad changes of an item back.

    Args:
        keys: the item's key.
        live: the item as it is.
        touches: what changes did, the first bad one and all after it, in the order they were made.
    """
    before = own_attributes(live)
    rollback = _Rollback(keys, as_value(before))
    for touch in reversed(touches):
        for step in touch.steps:
            if touch.is_bad:
                rollback.take_back(step)
            else:
                rollback.keep(step.path)
    after = None if rollback.state is None else rollback.state["M"]
    edits = tuple(_steps(before, after))
    return Compensation(edits, tuple(rollback.conflicts), before, after)


def _steps(old: Item | None, new: Item | None) -> Iterable[Difference]:
    if old is None and new is None:
        return ()
    if old is None or new is None:
        return (Difference((), as_value(old), as_value(new)),)
    places = dict.fromkeys(_place(difference.path) for difference in differences(old, new))
    return edits_at(places, old, new)


def _part(step: Difference, attribute: Path) -> Iterable[Difference]:
    """What a step did to the value at a path, the step as a whole where that cannot be parted."""
    if _is_within(step.path, attribute):
        return (step,)
    if not _is_within(attribute, step.path):
        return ()
    within = attribute[len(step.path) :]
    old, new = (_member_at(value, within) for value in (step.old, step.new))
    if same_value(old, new):
        return ()
    try:
        without = _replaced(step.new, within, old)
    except LookupError:
        return (step,)
    place = step.path if step.new is None else _place(attribute)
    inner = place[len(step.path) :]
    return (Difference(place, _member_at(without, inner), _member_at(step.new, inner)),)


def _member_at(value: AttributeValue | None, path: Path) -> AttributeValue | None:
    return None if value is None else value_at({"": value}, ("", *path))


def _replaced(
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
            inner = _replaced(members[step], path[1:], member)
            if inner is None and step < len(members) - 1:
                # What follows would get another place.
                raise LookupError(step)
            return {"L": [*members[:step], *([inner] if inner else []), *members[step + 1 :]]}
        case {"M": dict(members)} if isinstance(step, str):
            inner = _replaced(members.get(step), path[1:], member)
            rest = {name: value for name, value in members.items() if name != step}
            return {"M": rest | ({step: inner} if inner else {})}
        case None if isinstance(step, str):
            return {"M": {step: _replaced(None, path[1:], member)}}
    raise LookupError(step)


def _place(path: Path) -> Path:
    """A path, or that of the outermost list on it."""
    for length, step in enumerate(path):
        if isinstance(step, int):
            return path[:length]
    return path


@dataclass
class _OpenConflict:
    """A conflict that earlier changes may belong to.

    Attributes:
        kept: places of others since.
    """

    conflict: Conflict
    kept: set[Path] = field(default_factory=set)


class _Rollback:
    """An item from which changes are taken, in thought, the last one first."""

    def __init__(self, keys: Item, live: AttributeValue | None) -> None:
        self.state = live
        self._live = live
        self._keys = keys
        self._open: list[_OpenConflict] = []
        self._kept: set[Path] = set()
        # Places taken back to what may yet prove to be another bad change's.
        self._pending: set[Path] = set()

    @property
    def conflicts(self) -> list[Conflict]:
        """What could not be taken back.

        What is as it was before is none: another writer, perhaps an earlier undo, was quicker.
        """
        conflicts = [open_conflict.conflict for open_conflict in self._open]
        return [
            conflict for conflict in conflicts if not same_value(conflict.actual, conflict.wanted)
        ]

    def keep(self, path: Path) -> None:
        """Leave a place, and whatever it is in, to who wrote there."""
        self._kept.add(path)
        for open_conflict in self._open:
            open_conflict.kept.add(path)
        self._pending = {place for place in self._pending if not _overlap(place, path)}

    def take_back(self, step: Difference) -> None:
        """Take one step back, or note why not."""
        # All are asked: several conflicts may go back to one step.
        goes_on = [_goes_on(open_conflict, step) for open_conflict in self._open]
        if any(goes_on):
            return
        current, reason = _value_at(self.state, step.path)
        if not reason and any(_overlap(step.path, place) for place in self._kept):
            reason = _WRITTEN_SINCE
        if not reason and same_value(current, step.new):
            self.state = _with(self.state, step.path, step.old)
            self._pending = {place for place in self._pending if not _is_within(place, step.path)}
            self._pending.add(step.path)
            return
        expected = self._stop_half_way(step)
        current, _ = _value_at(self.state, step.path)
        # Another writer has written there, be it recorded or not.
        self._kept.add(step.path)
        self._pending = {place for place in self._pending if not _overlap(place, step.path)}
        self._open.append(
            _OpenConflict(Conflict(self._keys, step.path, expected, current, step.old, reason))
        )

    def _stop_half_way(self, step: Difference) -> AttributeValue | None:
        """Leave what came on top of a step as it is, if the step itself cannot be taken back.

        An item would else be left as the bad job had it at some time in between. Returns what the
        whole of it left at the step's place.
        """
        expected = step.new
        for path in sorted(self._pending, key=len):
            within = path[len(step.path) :]
            if not _is_within(path, step.path):
                continue
            value, reason = _value_at(step.new, within)
            if not reason and same_value(value, _value_at(self.state, path)[0]):
                live = _value_at(self._live, path)[0]
                self.state = _with(self.state, path, live)
                expected = _with(expected, within, live)
        return expected


def _goes_on(open_conflict: _OpenConflict, step: Difference) -> bool:
    """Whether a step led straight to what is in conflict: what is wanted then is further back."""
    conflict = open_conflict.conflict
    if not _overlap(step.path, conflict.path) or any(
        _overlap(step.path, kept) for kept in open_conflict.kept
    ):
        return False
    if not _is_within(step.path, conflict.path):
        # It may have led to more: that has to be looked at as well.
        within = conflict.path[len(step.path) :]
        if same_value(conflict.wanted, _value_at(step.new, within)[0]):
            open_conflict.conflict = replace(conflict, wanted=_value_at(step.old, within)[0])
        return False
    within = step.path[len(conflict.path) :]
    value, reason = _value_at(conflict.wanted, within)
    if reason or not same_value(value, step.new):
        return False
    open_conflict.conflict = replace(conflict, wanted=_with(conflict.wanted, within, step.old))
    return True


def _is_within(inner: Path, outer: Path) -> bool:
    return inner[: len(outer)] == outer


def _overlap(first: Path, second: Path) -> bool:
    """Whether two places are the same, or one is within the other."""
    return first[: len(second)] == second[: len(first)]


def _value_at(state: AttributeValue | None, path: Path) -> tuple[AttributeValue | None, str]:
    """What is at a place, and why nothing can be put there, if so."""
    value = state
    for depth, step in enumerate(path):
        match value:
            case {"M": dict(members)}:
                value = members.get(str(step))
            case _:
                return None, _NO_PLACE if depth else _GONE
    return value, ""


def _with(
    state: AttributeValue | None, path: Path, value: AttributeValue | None
) -> AttributeValue | None:
    """A value with another at a place within it."""
    if not path:
        return value
    members = dict((state or {})["M"])
    name = str(path[0])
    inner = _with(members.get(name), path[1:], value)
    if inner is None:
        members.pop(name, None)
    else:
        members[name] = inner
    return {"M": members}
