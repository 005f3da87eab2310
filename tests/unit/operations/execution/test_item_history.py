"""What happened to many items since their plan is asked of several by one statement."""

from contextlib import suppress
from dataclasses import replace
from unittest.mock import patch

import pytest

from operations.execution.item_history import ItemHistory
from operations.execution.plan_file import Plan
from operations.execution.run import PlanRun, RunChoice, run_id
from tests.factories import item, number, text
from tests.followed_table import Killed
from tests.unit.operations.execution.test_since_plan import MAKER, PlannedTable

NAMES = [f"{n:02d}" for n in range(20)]
# Each is asked about with eight others.
STATEMENTS = 3


class ManyItems(PlannedTable):
    """Items that a job has damaged, and a plan that takes it back."""

    def write_all(self, value, by, names=NAMES):
        self.later(seconds=1)
        for name in names:
            self.other_writer(name, item(name, V=number(value), By=text(by)))

    def results_of(self, plan):
        """What became of each item."""
        self.later(seconds=1)
        choice = RunChoice(self.folder / f"{run_id(plan)}.jsonl")
        results = PlanRun(self.deployment, plan, self.pace(), MAKER, choice).results()
        return {result.item.keys["Id"]["S"]: result for result in results}


@pytest.fixture
def world(session, tmp_path):
    table = ManyItems(session)
    table.folder = tmp_path
    table.write_all(1, "app")
    table.later(minutes=10)
    table.write_all(2, "job")
    return table


def outcomes(results):
    return {name: result.outcome.value for name, result in results.items()}


def test_no_item_is_asked_itself_where_nothing_happened(world):
    plan = world.undo()

    with patch.object(ItemHistory, "_since_plan", side_effect=AssertionError):
        assert outcomes(world.results_of(plan)) == dict.fromkeys(NAMES, "written")

    assert world.racing.steps.count("execute_statement") == STATEMENTS


@pytest.mark.parametrize(
    ("name", "rounds", "denied"),
    [
        pytest.param(NAMES[0], 0, None, id="the first of a page"),
        pytest.param(NAMES[8], 1, None, id="the last of some pages"),
        pytest.param(NAMES[-1], 2, None, id="more pages than are read"),
        pytest.param(NAMES[-1], 0, "execute_statement", id="not allowed"),
    ],
)
def test_what_was_written_since_is_left_as_it_is(world, name, rounds, denied):
    """And all others are written."""
    for _ in range(rounds):
        world.write_all(1, "app")
        world.write_all(2, "job")
    plan = world.undo()
    world.write_all(3, "app", [name])
    world.write_all(2, "job", [name])
    world.racing.denies = denied

    results = world.results_of(plan)

    assert outcomes(results) == dict.fromkeys(NAMES, "written") | {name: "conflict"}
    assert {conflict.reason for conflict in results[name].conflicts} == {
        "it was written since the plan was made, and is again what it was"
    }
    assert world.item(name)["V"] == number(2)


def test_what_another_run_was_about_to_write_is_left_as_it_is(world):
    """Its announcement is no row of the item."""
    plan = world.undo()
    other = Plan(replace(plan.header, made_by="bob"), plan.items[3:4])
    world.racing.script("transact_write_items", _end)
    with suppress(Killed):
        world.results_of(other)

    results = world.results_of(plan)

    assert outcomes(results) == dict.fromkeys(NAMES, "written") | {NAMES[3]: "refused"}
    assert f"run {run_id(other)} was about to write it" in results[NAMES[3]].reason


def _end():
    raise Killed
