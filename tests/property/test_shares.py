"""What others did to the same counter, set or list since is kept: against models of their own.

Each model replays the good changes alone; it knows nothing of images.
"""

from dataclasses import dataclass, field
from decimal import Context, Decimal
from itertools import pairwise

from hypothesis import assume, example, given
from hypothesis import strategies as st

from operations.recovery.compensation import Terms, compensate
from operations.recovery.touches import touch_of
from stream_core.attribute_values import same_item
from stream_core.history_row import HistoryRow
from tests.factories import FIRST_SEQUENCE, change, item, number

KEYS = {"Id": {"S": "1"}}
COUNTER = ("m", "n")
EXACT = Context(prec=600)


def image_of(value):
    """An item with a value a level down; None: it is not there."""
    return item("1", m={"M": {} if value is None else {"n": value}})


@dataclass
class Life:
    """The states of an item, and whose each change was.

    Attributes:
        by: for each change, whether it was bad; None: it was an undo's.
    """

    states: list = field(default_factory=list)
    by: list = field(default_factory=list)

    def write(self, value, *, is_bad):
        """A change to the value, if it is one."""
        image = image_of(value)
        if not same_item(image, self.states[-1]):
            self.states.append(image)
            self.by.append(is_bad)

    def undone(self):
        """What an undo of the bad changes does."""
        touches = []
        for n, (old, new) in enumerate(pairwise(self.states)):
            row = HistoryRow.from_change(change(old, new, keys=KEYS, sequence=FIRST_SEQUENCE + n))
            own = HistoryRow(**{**fields_of(row), "run": "an id"})
            touches.append(touch_of(own if self.by[n] is None else row, is_bad=bool(self.by[n])))
        return compensate(KEYS, self.states[-1], touches, Terms({COUNTER}))

    def result(self):
        """The value after that, and the conflicts."""
        compensation = self.undone()
        for edit in compensation.edits:
            # The condition is on all that is written.
            assert edit.old == self.states[-1]["m"]["M"].get("n")
        return compensation.after["m"]["M"].get("n"), compensation.conflicts

    def undo(self):
        """Have the undo done, and recorded as its own."""
        after = self.undone().after
        if not same_item(after, self.states[-1]):
            self.states.append(after)
            self.by.append(None)


def fields_of(row):
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


# Few digits next to very many, so that sums are beyond what a number can hold.
numbers = st.sampled_from(["1", "-1", "0.5", "3", "7E+36", "-7E+36", "9E+125", "1E-130", "1E+37"])


def held(value):
    """Whether a table can hold a number."""
    digits = value.normalize(EXACT).as_tuple().digits
    return value == 0 or (len(digits) <= 38 and -130 <= value.adjusted() <= 125)


@given(numbers | st.none(), st.lists(st.tuples(st.booleans(), numbers), max_size=8))
@example("1", [(True, "1"), (False, "-1")])
def test_a_counter_is_what_the_good_ones_added(start, additions):
    """To the last digit; or it stays as it is, and that is a conflict unless it is as it was."""
    life = Life([image_of(start and number(start))])
    value = good = Decimal(start or 0)
    bad, is_there, may_be_undone = Decimal(0), start is not None, False
    before_bad = set()
    for is_bad, text in additions:
        added = EXACT.add(value, Decimal(text))
        if not held(added):
            continue
        before_bad |= {value} if is_bad else set()
        value, is_there = added, True
        good = good if is_bad else EXACT.add(good, Decimal(text))
        # Where nothing else is in the item, this is all that an undo would have done.
        may_be_undone |= not is_bad and bool(bad) and Decimal(text) == -bad
        bad = EXACT.add(bad, Decimal(text)) if is_bad else bad
        life.write(number(str(value)), is_bad=is_bad)

    after, conflicts = life.result()

    if may_be_undone and conflicts:
        # Which reason comes first depends on what else was written since.
        assert all(conflict.reason for conflict in conflicts)
    elif may_be_undone and Decimal(after["N"] if after else 0) in before_bad:
        # It is as a bad one found it: whoever took that much off, nothing is left to take back.
        assert conflicts == ()
    elif held(good):
        assert conflicts == ()
        is_made_by_bad = start is None and not any(is_bad is False for is_bad in life.by)
        assert Decimal(after["N"] if after else 0) == good
        assert (after is None) == (is_made_by_bad or not is_there)
    else:
        assert after == life.states[-1]["m"]["M"].get("n")
        assert "none that DynamoDB holds" in conflicts[0].reason


members = st.sets(st.sampled_from("abcde"), max_size=5)


@given(members, st.lists(st.tuples(st.booleans(), st.booleans(), members), min_size=1, max_size=8))
@example(
    set(),
    [
        (False, False, set("abcd")),
        (True, True, set("abc")),
        (False, True, {"d"}),
        (True, False, {"a"}),
    ],
)
def test_of_a_set_every_member_is_as_the_last_good_one_left_it(start, changes):
    """Unless a good one made the whole set or removed it: which members it meant is not known."""
    life, current = Life([image_of(set_of(start))]), set(start)
    by_good, by_bad, crossed = {}, set(), False
    for is_bad, is_removal, some in changes:
        changed = current - some if is_removal else current | some
        touched = changed ^ current
        if is_bad:
            by_bad |= touched
        else:
            crossed = crossed or bool(touched and not (changed and current))
            by_good |= {member: member in changed for member in touched}
        current = changed
        life.write(set_of(current), is_bad=is_bad)
    expected = {one for one in "abcde" if by_good.get(one, one in start)}

    after, conflicts = life.result()

    found = set(after["SS"]) if after else set()
    if not crossed:
        assert found == expected
        assert all(not conflicts for _ in [0] if not by_bad & by_good.keys())
    elif found != expected:
        assert conflicts
        # What a good one wrote last is there all the same.
        assert all((one in found) == is_in for one, is_in in by_good.items() if one in current)


def set_of(some):
    return {"SS": sorted(some)} if some else None


places = st.integers(0, 9)
list_changes = st.lists(
    st.tuples(st.booleans(), st.sampled_from(["append", "prepend", "set", "pop"]), places),
    min_size=1,
    max_size=8,
)


@given(st.integers(0, 3), list_changes)
def test_of_a_list_what_the_bad_ones_appended_goes(length, changes):
    """What good ones appended, put in front or set stays; where it cannot be told, all stays."""
    current = list(range(length))
    life, good = Life([image_of(list_of(current))]), list(current)
    bad, others = set(), False
    for value, (is_bad, kind, place) in enumerate(changes, 100):
        # A bad one only appends, and nobody sets what it appended: those are the other cases.
        if is_bad or kind == "append":
            current = [*current, value]
            good = good if is_bad else [*good, value]
        elif kind == "prepend":
            current, good = [value, *current], [value, *good]
        elif kind == "pop" and current:
            others = others or bool(bad)
            good = [one for one in good if one != current[0]]
            current = current[1:]
        elif kind == "set" and place < len(current):
            others = others or current[place] in bad
            good = [value if one == current[place] else one for one in good]
            current = [*current[:place], value, *current[place + 1 :]]
        bad |= {value} if is_bad else set()
        life.write(list_of(current), is_bad=is_bad)

    after, conflicts = life.result()

    found = [int(one["N"]) for one in after["L"]]
    if not others:
        assert (found, conflicts) == (good, ())
    kept = [one for one in current if one not in bad]
    assert [one for one in found if one not in bad] == kept


def list_of(some):
    return {"L": [number(one) for one in some]}


@given(numbers, st.lists(st.tuples(st.booleans(), numbers), max_size=6), st.integers(0, 6))
def test_the_same_undo_twice_takes_nothing_out_twice(start, additions, first_after):
    """The second time its own change is known; what came after it is no matter."""
    life, value = Life([image_of(number(start))]), Decimal(start)
    expected, bad = value, Decimal(0)
    for n, (is_bad, text) in enumerate(additions):
        is_over = n >= first_after
        if n == first_after:
            life.undo()
            value = Decimal(life.states[-1]["m"]["M"]["n"]["N"])
        added = EXACT.add(value, Decimal(text))
        if held(added) and held(EXACT.add(expected, Decimal(text))):
            value = added
            is_good = is_over or not is_bad
            # That may be an undo, and is left alone.
            assume(not (is_good and bad and Decimal(text) == -bad))
            bad = bad if is_good else EXACT.add(bad, Decimal(text))
            expected = EXACT.add(expected, Decimal(text)) if is_good else expected
            life.write(number(str(value)), is_bad=not is_good)
    life.undo()

    assert life.undone().edits == ()
    assert Decimal(life.states[-1]["m"]["M"]["n"]["N"]) == expected
