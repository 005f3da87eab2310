"""What takes selected changes of an item back, and leaves all others. Pure.

The changes are taken back one after the other, the last one first, from the item as it is: at each
place that a bad change touched, what it left there is replaced by what was there before. So several
of them compose, and what others changed elsewhere stays.

Where another change has touched the same place since, only the bad change's share is taken out of
it, if that can be told (see `shares`). Else it is left alone, and that is a conflict; also if the
other change put there what the bad one had left, because then it was meant. The same goes for a
place that holds something else than what is recorded.

What a run of this program has taken back already, as its own change in the history shows, is
settled: taking it back again would take a second share out. Where it could not announce its change
there, or somebody did the same by hand, a number from which just as much was taken is left alone.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from operations.recovery.conflicts import Conflict, as_value
from operations.recovery.places import overlap, value_in, with_value
from operations.recovery.shares import (
    MEMBERS_WRITTEN_SINCE,
    PERHAPS_TAKEN_BACK,
    WRITTEN_SINCE,
    InseparableError,
    held,
    takes_off,
    with_members_of,
    without,
)
from operations.recovery.stamps import StampError, Stamps, is_stamped, stamped
from operations.recovery.touches import Touch, is_within, steps_between
from reports.inputs.paths import Path
from reports.states.differences import Difference
from stream_core.attribute_values import (
    AttributeValue,
    Item,
    own_attributes,
    same_item,
    same_value,
)


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms changes are taken back.

    Attributes:
        counters: places of numbers that are only ever added to.
        stamps: what is written beside it, to items that stay.
    """

    counters: Collection[Path] = ()
    stamps: Stamps = field(default_factory=dict)


_USUAL = Terms()


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


def compensate(
    keys: Item, live: Item | None, touches: Sequence[Touch], terms: Terms = _USUAL
) -> Compensation:
    """What takes the bad changes of an item back.

    Args:
        keys: the item's key.
        live: the item as it is.
        touches: what changes did, the first bad one and all after it, in the order they were made.
        terms: on what terms.

    Raises:
        StampError: the item has no place for what is to be written beside it.
    """
    before = own_attributes(live)
    unsettled = _unsettled(keys, touches, terms)
    doubted = _perhaps_taken_back(keys, unsettled, terms)
    rollback = _Rollback(keys, as_value(before), terms.counters, doubted)
    for touch in reversed(unsettled):
        for step in touch.steps:
            if touch.is_bad:
                rollback.take_back(step)
            else:
                rollback.keep(step)
    rollback.finish()
    after = None if rollback.state is None else rollback.state["M"]
    conflicts, stamps = _beside(touches, rollback.conflicts, terms.stamps)
    if any(steps_between(before, after)):
        after = stamped(after, stamps)
    edits = tuple(steps_between(before, after))
    return Compensation(edits, conflicts, before, after)


def _beside(
    touches: Sequence[Touch], conflicts: Sequence[Conflict], stamps: Stamps
) -> tuple[tuple[Conflict, ...], Stamps]:
    """The conflicts to be told, and what is written beside all the same.

    What stands where something is written anyway, as the name of who wrote last, is no conflict;
    but where that is all that is to be taken back, it is what was asked for.
    """
    bad = [step.path for touch in touches if touch.is_bad for step in touch.steps]
    if not all(is_stamped(path, stamps) for path in bad):
        apart = (conflict for conflict in conflicts if not is_stamped(conflict.path, stamps))
        return tuple(apart), stamps
    places = [conflict.path for conflict in conflicts]
    kept = {
        path: value
        for path, value in stamps.items()
        if not any(is_within(place, path) for place in places)
    }
    return tuple(conflicts), kept


def _unsettled(keys: Item, touches: Sequence[Touch], terms: Terms) -> Sequence[Touch]:
    """The same without the bad steps that own ones have taken back, and without those."""
    remaining: list[Touch] = []
    for touch in touches:
        if touch.is_own and not touch.is_bad:
            # What would be done now is what was done then, where it was done.
            done = as_value(compensate(keys, touch.before, remaining, terms).after)
            settled = {
                step.path
                for step in touch.steps
                if _is_same_but(value_in(done, step.path)[0], step, terms.stamps)
            }
            remaining = [
                _without_places(earlier, settled) if earlier.is_bad else earlier
                for earlier in remaining
            ]
            remaining.append(_without_places(touch, settled))
        else:
            remaining.append(touch)
    return remaining


def _perhaps_taken_back(keys: Item, touches: Sequence[Touch], terms: Terms) -> Collection[Path]:
    """Counters that another change has made, and all beside them, what an undo would have."""
    doubted: set[Path] = set()
    for path in terms.counters:
        bad: list[Difference] = []
        for index, touch in enumerate(touches):
            steps = [step for step in touch.steps if step.path == path and _is_number(step)]
            if touch.is_bad:
                bad += steps
            elif any(takes_off(step, bad) for step in steps) and _does_what_an_undo_would(
                keys, touch, touches[:index], terms
            ):
                doubted.add(path)
    return doubted


def _is_number(step: Difference) -> bool:
    return all(value is None or "N" in value for value in (step.old, step.new))


def _does_what_an_undo_would(
    keys: Item, touch: Touch, earlier: Sequence[Touch], terms: Terms
) -> bool:
    written = {step.path: step.new for step in touch.steps}
    return all(
        edit.path in written and same_value(written[edit.path], edit.new)
        for edit in compensate(keys, touch.before, earlier, terms).edits
        if not is_stamped(edit.path, terms.stamps)
    )


def _is_same_but(value: AttributeValue | None, own: Difference, stamps: Stamps) -> bool:
    """Whether a value is what an own step wrote, whatever was written beside it then."""
    if own.path or value is None or own.new is None:
        return same_value(value, own.new)
    try:
        return same_item(stamped(value["M"], stamps), stamped(own.new["M"], stamps))
    except StampError:
        return False


def _without_places(touch: Touch, places: Collection[Path]) -> Touch:
    """A touch but for what it did at or in some places."""
    steps = (
        step for step in touch.steps if not any(is_within(step.path, place) for place in places)
    )
    return replace(touch, steps=tuple(steps))


@dataclass
class _OpenConflict:
    """A conflict that earlier changes may belong to.

    Attributes:
        kept: places of others since.
        since: what others did at its place since, from last to first, where that is known.
        is_closed: whether none belongs to it.
    """

    conflict: Conflict
    since: Sequence[Difference] = ()
    kept: set[Path] = field(default_factory=set)
    is_closed: bool = False


class _Rollback:
    """An item from which changes are taken, in thought, the last one first."""

    def __init__(
        self,
        keys: Item,
        live: AttributeValue | None,
        counters: Collection[Path],
        doubted: Collection[Path],
    ) -> None:
        self.state = live
        self._live = live
        self._keys = keys
        self._counters = counters
        self._doubted = doubted
        self._open: list[_OpenConflict] = []
        # What others did at each place, from last to first; None: it cannot be told apart.
        self._kept: dict[Path, list[Difference] | None] = {}
        # The earliest step of each number of which shares were taken out.
        self._summed: dict[Path, Difference] = {}
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

    def keep(self, step: Difference) -> None:
        """Leave a place, and whatever it is in, to who wrote there."""
        steps = self._kept.setdefault(step.path, [])
        if steps is not None:
            steps.append(step)
        for open_conflict in self._open:
            open_conflict.kept.add(step.path)
        self._pending = {place for place in self._pending if not overlap(place, step.path)}

    def take_back(self, step: Difference) -> None:
        """Take one step back, or note why not."""
        # All are asked: several conflicts may go back to one step.
        goes_on = [_goes_on(open_conflict, step) for open_conflict in self._open]
        if any(goes_on):
            return
        current, reason = value_in(self.state, step.path)
        overlapping = [place for place in self._kept if overlap(step.path, place)]
        if not reason and not overlapping and same_value(current, step.new):
            self.state = with_value(self.state, step.path, step.old)
            self._pending = {place for place in self._pending if not is_within(place, step.path)}
            self._pending.add(step.path)
            return
        if not reason and overlapping:
            try:
                self._take_out(step, current, overlapping)
            except InseparableError as error:
                reason = str(error)
            else:
                return
        expected = self._stop_half_way(step)
        current, _ = value_in(self.state, step.path)
        since = self._kept.get(step.path) or ()
        # Another writer has written there, be it recorded or not.
        self._kept[step.path] = None
        self._pending = {place for place in self._pending if not overlap(place, step.path)}
        self._open.append(
            _OpenConflict(
                Conflict(self._keys, step.path, expected, current, step.old, reason), since
            )
        )

    def _take_out(
        self, step: Difference, current: AttributeValue | None, overlapping: Sequence[Path]
    ) -> None:
        """Take the share of a step out of a place at which others wrote since.

        Raises:
            InseparableError: that cannot be done.
        """
        since = self._kept[overlapping[0]]
        if list(overlapping) != [step.path] or since is None:
            raise InseparableError(WRITTEN_SINCE)
        if step.path in self._doubted:
            raise InseparableError(PERHAPS_TAKEN_BACK)
        is_counter = step.path in self._counters
        value, wanted = without(step, since[::-1], current, is_counter=is_counter)
        self.state = with_value(self.state, step.path, value)
        if value is not None and "N" in value:
            self._summed[step.path] = step
        elif not same_value(value, wanted):
            conflict = Conflict(
                *(self._keys, step.path, step.new, value, wanted, MEMBERS_WRITTEN_SINCE)
            )
            self._open.append(_OpenConflict(conflict, is_closed=True))

    def finish(self) -> None:
        """See that no share is out of a value that makes it none that there can be, or was."""
        for open_conflict in self._open:
            self._leave_members(open_conflict)
        for path, step in self._summed.items():
            number, live = (value_in(state, path)[0] for state in (self.state, self._live))
            try:
                self.state = with_value(self.state, path, held(number))
            except InseparableError as error:
                self.state = with_value(self.state, path, live)
                conflict = Conflict(self._keys, path, step.new, live, step.old, str(error))
                self._open.append(_OpenConflict(conflict))

    def _leave_members(self, open_conflict: _OpenConflict) -> None:
        """Leave members of a set as they are that a bad change touched before a later one did."""
        conflict = open_conflict.conflict
        (current, reason), (live, _) = (
            value_in(state, conflict.path) for state in (self.state, self._live)
        )
        if reason or open_conflict.is_closed or not open_conflict.since:
            return
        value = with_members_of(live, conflict, open_conflict.since, current)
        self.state = with_value(self.state, conflict.path, value)
        open_conflict.conflict = replace(conflict, actual=value)

    def _stop_half_way(self, step: Difference) -> AttributeValue | None:
        """Leave what came on top of a step as it is, if the step itself cannot be taken back.

        An item would else be left as the bad job had it at some time in between. Returns what the
        whole of it left at the step's place.
        """
        expected = step.new
        for path in sorted(self._pending, key=len):
            within = path[len(step.path) :]
            if not is_within(path, step.path):
                continue
            value, reason = value_in(step.new, within)
            if not reason and same_value(value, value_in(self.state, path)[0]):
                live = value_in(self._live, path)[0]
                self.state = with_value(self.state, path, live)
                expected = with_value(expected, within, live)
        return expected


def _goes_on(open_conflict: _OpenConflict, step: Difference) -> bool:
    """Whether a step led straight to what is in conflict: what is wanted then is further back."""
    conflict = open_conflict.conflict
    is_apart = open_conflict.is_closed or not overlap(step.path, conflict.path)
    if is_apart or any(overlap(step.path, kept) for kept in open_conflict.kept):
        return False
    if not is_within(step.path, conflict.path):
        # It may have led to more: that has to be looked at as well.
        within = conflict.path[len(step.path) :]
        if same_value(conflict.wanted, value_in(step.new, within)[0]):
            open_conflict.conflict = replace(conflict, wanted=value_in(step.old, within)[0])
        return False
    within = step.path[len(conflict.path) :]
    value, reason = value_in(conflict.wanted, within)
    if reason or not same_value(value, step.new):
        return False
    open_conflict.conflict = replace(conflict, wanted=with_value(conflict.wanted, within, step.old))
    return True
