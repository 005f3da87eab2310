"""What a run announces of a write is what the history's rows are known by."""

import pytest

from operations.execution.decision import PlanTerms, Write, decide, edited, states_of
from operations.execution.plan_file import PlanItem, action_on, state_digest
from operations.recovery.touches import steps_between
from reports.states.own_writes import state_digest as announced
from tests.factories import item, number

BAD, GOOD = item("1", V=number(2)), item("1", V=number(1))
# What a global table adds is no attribute of the owner's; a person may stamp it all the same.
STAMPED = GOOD | {"aws:rep:by": number(7)}


def planned(before, after):
    """The item of a plan that leads from one state to another."""
    states = state_digest(before), state_digest(after)
    return PlanItem(
        1, {"Id": {"S": "1"}}, action_on(*states), tuple(steps_between(before, after)), *states
    )


@pytest.mark.parametrize(("before", "after"), [(BAD, GOOD), (None, GOOD), (BAD, None)])
def test_a_write_of_all_that_was_planned_is_announced_by_the_plans_digests(before, after):
    """They are not made anew, and are the same."""
    entry = planned(before, after)

    step = decide(entry, before, PlanTerms(), is_tried=False)

    assert isinstance(step, Write)
    assert step.is_as_planned
    assert states_of(entry, step) == (announced(before), announced(after))


def test_what_a_global_table_would_add_is_no_part_of_what_is_announced():
    """A row is known by its own attributes: the plan's digest of all would not find it."""
    edits = (*steps_between(BAD, GOOD), *steps_between(GOOD, STAMPED))
    entry = PlanItem(
        1,
        {"Id": {"S": "1"}},
        action_on("before", "after"),
        tuple(edit for edit in edits if edit.path),
        state_digest(BAD),
        state_digest(edited(BAD, edits)),
    )

    step = decide(entry, BAD, PlanTerms(), is_tried=False)

    assert isinstance(step, Write)
    assert states_of(entry, step) == (announced(BAD), announced(GOOD))
    assert state_digest(step.after) != announced(step.after).hex()
