"""What no condition can guard as a whole is noted in the plan."""

import pytest

from operations.execution.plan_file import PlanAction, state_digest
from operations.recovery.plan_items import GUARDED_IN_PART, undone_items
from operations.recovery.undo import ItemUndone
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
    keys, states = {"Id": item("1")["Id"]}, (state_digest(before), state_digest(after))
    undone = ItemUndone(keys, ("key",), edits, (), before=states[0], after=states[1])

    (planned,) = undone_items([undone])

    assert (GUARDED_IN_PART in planned.notes) is is_noted
    assert planned.action in PlanAction
