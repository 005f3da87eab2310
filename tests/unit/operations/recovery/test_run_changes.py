"""A run is taken back by its id, and an undo never takes back what a run has written by itself."""

import pytest

from operations.errors import RefusedError
from operations.recovery.bad_changes import select_bad
from operations.recovery.run_changes import select_run
from operations.recovery.undo import plan_undo
from tests.carried_out import carried_out_undo
from tests.factories import item, number
from tests.followed_table import FollowedTable
from tests.unit.operations.execution.test_run import CHANGES, a_run, outcomes, planned


@pytest.fixture
def world(session, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = FollowedTable(session)
    table.folder = tmp_path
    return table


def undo_run(table, run):
    selected = select_run(table.deployment, run, pace=table.pace()).selected
    planned = plan_undo(table.deployment, selected, pace=table.pace())
    return selected, carried_out_undo(table.deployment, planned, table.pace())


def test_a_run_is_taken_back_as_a_whole(world):
    """What it updated, deleted and put; nothing else of the range."""
    plan = planned(world, "1", "2", "3")
    before = {name: world.item(name) for name in "123"}
    run = a_run(world, plan)
    outcomes(run)
    world.other_writer("4", item("4", V=number(1)))
    world.later(seconds=5)

    selected, undone = undo_run(world, run.run)

    assert undone.is_clean
    assert sorted(bad.keys["Id"]["S"] for bad in selected.items) == ["1", "2", "3"]
    assert {name: world.item(name) for name in "123"} == before
    assert world.item("4") is not None


def test_an_announced_write_that_is_not_recorded_is_told(world):
    """It may be on its way still."""
    run = a_run(world, planned(world, "1", "3"))
    world.is_late = True
    outcomes(run)

    selected, undone = undo_run(world, run.run)

    assert not undone.is_clean
    assert "2 announced writes" in selected.unknown[0]


def test_a_run_that_is_not_known_is_refused(world):
    """And not taken for one that wrote nothing."""
    with pytest.raises(RefusedError, match="knows no run 0123456789ab"):
        undo_run(world, "0123456789ab")


def test_an_undo_of_all_changes_leaves_those_of_a_run(world):
    """The same undo twice does nothing."""
    plan = planned(world, "1")
    since = world.now
    world.other_writer("1", None)
    world.other_writer("1", CHANGES["1"][0])
    outcomes(a_run(world, plan))
    world.later(seconds=5)

    selected = select_bad(world.deployment, since=since, until=world.now, pace=world.pace())

    (bad,) = selected.items
    assert len(bad.changes) == 2
