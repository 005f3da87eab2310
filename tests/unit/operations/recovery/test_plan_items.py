"""What a plan says of its items, and of what it leaves out."""

import pytest

from operations.recovery.conditions import GUARDED_IN_PART, guard_notes
from operations.recovery.conflicts import Conflict
from operations.recovery.plan_items import unplanned_undo
from operations.recovery.undo import ItemUndone, Undone
from reports.states.differences import Difference, differences
from tests.factories import item, number


def many(count, value):
    return item("1", **{f"attribute {n}": number(value) for n in range(count)})


@pytest.mark.parametrize(
    ("before", "after", "is_noted"),
    [
        (many(10, 1), None, False),
        (many(200, 1), None, True),
        (many(10, 1), many(10, 2), False),
        (many(200, 1), many(200, 1) | {"attribute 7": number(2)}, False),
        (many(200, 1), many(200, 2), True),
        (None, many(200, 1), False),
    ],
)
def test_an_item_beyond_a_condition_is_noted(before, after, is_noted):
    """A delete of many attributes, and more changes than an update can name; a put is none."""
    if before is None or after is None:
        edits = (Difference((), before and {"M": before}, after and {"M": after}),)
    else:
        edits = tuple(differences(before, after))

    notes = guard_notes({"Id": item("1")["Id"]}, edits, before, after)

    assert notes == ((GUARDED_IN_PART,) if is_noted else ())


def test_what_is_left_out_is_counted_by_reason():
    """The most frequent reasons by name, of however many there are: a line is read by a person."""
    reasons = ["written since", *(f"reason {n:02d}" for n in range(25)), "written since", ""]
    conflicts = tuple(Conflict({}, ("A",), None, None, None, reason) for reason in reasons)

    counts = unplanned_undo(Undone(False, (ItemUndone({}, (), (), conflicts),), ()))

    (by_reason,) = counts.values()
    assert list(counts) == ["conflict"]
    assert sum(by_reason.values()) == len(conflicts)
    assert (by_reason["written since"], by_reason["other reasons"]) == (2, 7)
    assert unplanned_undo(Undone(False, (ItemUndone({}, (), (), conflicts[-1:]),), ())) == {
        "conflict": {"another value is there": 1}
    }
