"""A change's share of a value that others have changed since."""

from operations.recovery.shares import without
from reports.states.differences import Difference


def numbers(*members):
    return {"NS": list(members)}


def test_members_of_a_set_of_numbers_are_the_same_by_value():
    """Engines and files write a number in more than one way."""
    bad = Difference(("Steps",), numbers("1"), numbers("1", "2.0"))

    taken_back, _ = without(bad, [], numbers("1.0", "2"), is_counter=False)

    assert taken_back == numbers("1.0")
