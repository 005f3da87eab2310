"""Taking bad changes back, against a model that knows who wrote what last."""

from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from operations.recovery.compensation import compensate
from operations.recovery.conflicts import as_value
from operations.recovery.touches import touch_of
from reports.inputs.paths import value_at
from stream_core.attribute_values import same_item
from stream_core.history_row import HistoryRow
from tests.factories import FIRST_SEQUENCE, change, item, number, text

KEYS = {"Id": {"S": "1"}}
# Places of an item that do not lie within each other; a list is one place, whatever is in it.
PLACES = (("a",), ("b",), ("m", "x"), ("m", "y.z"), ("m", "n", "deep"), ("l",))

# Few values, so that an item often comes back to a state it had before; None: no attribute.
small = st.sampled_from([None, number(1), number(2), {"SS": ["b", "a"]}])
# Of one length: what is appended has a model of its own, in test_shares.py.
lists = st.lists(st.sampled_from([number(1), number(2)]), min_size=2, max_size=2).map(
    lambda members: {"L": members}
)
writes = st.fixed_dictionaries({}, optional={**dict.fromkeys(PLACES[:-1], small), ("l",): lists})
# Who writes, and what; None deletes the item, or makes it anew if it is not there.
some_changes = st.lists(st.tuples(st.booleans(), writes), min_size=1, max_size=10)
all_changes = st.lists(st.tuples(st.booleans(), writes | st.none()), min_size=1, max_size=10)


def put_into(image, path, value):
    """An item with a value at a place; the maps around it are there."""
    copy = {name: dict(member) for name, member in image.items()}
    members = copy
    for step in path[:-1]:
        members[step] = {"M": dict(members[step]["M"])}
        members = members[step]["M"]
    members.pop(path[-1], None)
    if value is not None:
        members[path[-1]] = value
    return copy


def fresh():
    """An item in which every place can be written."""
    return item("1", m={"M": {"n": {"M": {}}, "kept": text("k")}}, other=text("o"))


@dataclass
class Life:
    """An item's states, and for each place who has changed it, from first to last."""

    states: list = field(default_factory=lambda: [fresh()])
    by: list = field(default_factory=list)
    touched: dict = field(default_factory=dict)

    def write(self, is_bad, places):
        """Somebody changes the item; nothing is recorded if nothing becomes different."""
        old = self.states[-1]
        if places is None:
            new = fresh() if old is None else None
        elif old is None:
            return
        else:
            new = old
            for path, value in places.items():
                new = put_into(new, path, value)
        if same_item(old, new):
            return
        self.states.append(new)
        self.by.append(is_bad)
        for path in PLACES:
            before, after = value_at(old, path), value_at(new, path)
            if not same_item(as_member(before), as_member(after)):
                self.touched.setdefault(path, []).append((is_bad, before, after))

    @property
    def live(self):
        return self.states[-1]

    def touches(self, attribute=None):
        rows = [
            HistoryRow.from_change(change(old, new, keys=KEYS, sequence=FIRST_SEQUENCE + n))
            for n, (old, new) in enumerate(pairwise(self.states))
        ]
        touches = [
            touch_of(row, is_bad=is_bad, attribute=attribute)
            for row, is_bad in zip(rows, self.by, strict=True)
        ]
        first = self.by.index(True) if True in self.by else len(touches)
        return touches[first:]


def as_member(value):
    return None if value is None else {"": value}


def lived(changes):
    life = Life()
    for is_bad, places in changes:
        life.write(is_bad, places)
    return life


def carried_out(live, compensation):
    """The item after the edits, each of which has to find what it takes the place of."""
    state = live
    for edit in compensation.edits:
        if not edit.path:
            assert same_item(as_member(as_value(state)), as_member(edit.old))
            return edit.new and edit.new["M"]
        assert same_item(as_member(value_at(state, edit.path)), as_member(edit.old))
        state = put_into(state, edit.path, edit.new)
    return state


def expected_at(life, path):
    """By the model: what stood there before the bad ones that nobody wrote after."""
    value = value_at(life.live, path)
    for is_bad, before, _ in reversed(life.touched.get(path, [])):
        if not is_bad:
            break
        value = before
    return value


@given(some_changes)
def test_every_place_is_what_the_last_good_write_made_it(changes):
    """Good writes between and after survive, and bad ones that nobody wrote after are gone."""
    life = lived(changes)

    compensation = compensate(KEYS, life.live, life.touches())
    after = carried_out(life.live, compensation)

    for path in PLACES:
        wanted = expected_at(life, path)
        assert same_item(as_member(value_at(after, path)), as_member(wanted)), path
    assert after["other"] == text("o")
    assert value_at(after, ("m", "kept")) == text("k")


@given(some_changes)
def test_every_bad_change_is_gone_or_listed(changes):
    """One that somebody wrote after is in conflict, unless the place is as it was before it."""
    life = lived(changes)

    compensation = compensate(KEYS, life.live, life.touches())

    listed = {conflict.path for conflict in compensation.conflicts}
    for path, touched in life.touched.items():
        last_good = max((n for n, (is_bad, *_) in enumerate(touched) if not is_bad), default=-1)
        overwritten = [before for is_bad, before, _ in touched[:last_good] if is_bad]
        now = expected_at(life, path)
        if overwritten and not any(
            same_item(as_member(before), as_member(now)) for before in overwritten
        ):
            assert path in listed
        if not overwritten:
            assert path not in listed


@given(all_changes)
def test_without_a_good_change_it_is_as_before(changes):
    """Whatever was made, changed, deleted and made again."""
    life = lived([(True, places) for _, places in changes])

    compensation = compensate(KEYS, life.live, life.touches())

    assert compensation.conflicts == ()
    assert same_item(carried_out(life.live, compensation), life.states[0])


@given(some_changes, st.sampled_from(PLACES))
def test_with_an_attribute_nothing_else_changes(changes, attribute):
    """And that is as if all had been taken back."""
    life = lived(changes)

    after = carried_out(life.live, compensate(KEYS, life.live, life.touches(attribute)))

    for path in PLACES:
        wanted = expected_at(life, path) if path == attribute else value_at(life.live, path)
        assert same_item(as_member(value_at(after, path)), as_member(wanted)), path


@given(all_changes)
def test_a_place_last_written_by_somebody_good_is_theirs(changes):
    """With deletes and rebirths, of the item too: what is good is never taken back."""
    life = lived(changes)

    compensation = compensate(KEYS, life.live, life.touches())
    after = carried_out(life.live, compensation)

    if life.by and not life.by[-1]:
        # Who wrote last has seen the item as it is.
        assert (after is None) == (life.live is None)
    for path, touched in life.touched.items():
        if not touched[-1][0] and after is not None:
            kept = value_at(life.live, path)
            assert same_item(as_member(value_at(after, path)), as_member(kept))


@given(all_changes)
def test_without_a_conflict_only_the_good_changes_were_made(changes):
    """The item is what it would be if the bad job had never run, deletes and rebirths included."""
    life = lived(changes)
    touches = life.touches()

    compensation = compensate(KEYS, life.live, touches)

    if compensation.conflicts:
        return
    state = life.states[len(life.states) - 1 - len(touches)]
    for touch in touches:
        for step in () if touch.is_bad else touch.steps:
            if not step.path:
                state = step.new and step.new["M"]
            elif state is not None:  # Else it was of an item that only the bad job has made.
                state = put_into(state, step.path, step.new)
    assert same_item(carried_out(life.live, compensation), state)


@given(all_changes)
def test_a_second_undo_changes_nothing(changes):
    """The first one is a good change for it, and what is in conflict stays so."""
    life = lived(changes)
    first = compensate(KEYS, life.live, life.touches())
    after = carried_out(life.live, first)
    if not same_item(after, life.live):
        life.states.append(after)
        life.by.append(False)

    second = compensate(KEYS, after, life.touches())

    assert second.edits == ()
    assert {one.path for one in second.conflicts} <= {one.path for one in first.conflicts}


@given(all_changes, writes)
def test_what_is_not_recorded_yet_is_not_overwritten(changes, unrecorded):
    """A place that holds something else than was left there belongs to somebody else."""
    life = lived(changes)
    touches, live = life.touches(), life.live
    if live is None:
        return
    for path, value in unrecorded.items():
        live = put_into(live, path, value)

    after = carried_out(live, compensate(KEYS, live, touches))

    for path in unrecorded:
        if after is not None and not same_item(
            as_member(value_at(live, path)), as_member(value_at(life.live, path))
        ):
            assert same_item(as_member(value_at(after, path)), as_member(value_at(live, path)))
    if after is None:
        assert same_item(live, life.live)
