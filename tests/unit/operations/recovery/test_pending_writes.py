"""Nothing is planned over what a run has announced, and no row shows (on moto)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from operations.execution.item_writer import WriteOutcome
from operations.execution.run import run_id
from operations.recovery.bad_changes import select_bad
from operations.recovery.restore_items import plan_restore
from operations.recovery.undo import plan_undo
from reports.states.own_writes import LATEST
from reports.states.watermark import Basis, NoWatermark, Watermark
from tests.factories import item, number, text
from tests.unit.operations.execution.test_since_plan import JOB, PlannedTable

KEY = {"Id": text("1")}


class StalledTable(PlannedTable):
    """A job's work was taken back, and good writers went on; the history shows nothing of it."""

    def __init__(self, session, folder):
        super().__init__(session)
        self.folder = folder
        self.write(N=number(10), By=text("app"))
        self.before = self.now
        self.write(N=number(20), By=text("job"))
        self.selected = select_bad(
            self.deployment, since=self.began, until=self.now, where=JOB, pace=self.pace()
        )
        self.run = self.undo()
        self.is_late = True
        assert self.carry_out(self.run).outcome is WriteOutcome.WRITTEN
        # As good as what the job left.
        self.write(N=number(20), By=text("job"))

    def undone(self):
        """What the same undo would do now."""
        (planned,) = plan_undo(self.deployment, self.selected, pace=self.pace()).items
        return planned

    def restored(self):
        """What a restore to the time before the job would do now."""
        (planned,) = plan_restore(self.deployment, [KEY], self.before, pace=self.pace())
        return planned

    def refusals(self):
        """Why neither of them does anything; None: it does."""
        undone, restored = self.undone(), self.restored()
        assert (undone.outcome is WriteOutcome.REFUSED) is not undone.is_in_plan
        return undone.reason, restored.refusal or ""

    def know(self, watermark):
        """Let it be known up to when the history is complete."""
        self.deployment.reader.watermark = watermark


@pytest.fixture
def world(session, tmp_path):
    return StalledTable(session, tmp_path)


def test_what_a_run_was_about_to_write_is_not_planned_anew(world):
    """The good change would be lost: the item is as the bad job left it."""
    for refusal in world.refusals():
        assert f"run {run_id(world.run)} was about to write it at" in refusal
        assert "try again when it does, or once the history is complete until" in refusal


def test_a_row_that_shows_it_is_waited_for(world):
    """Then undo knows what its own changes were, and that the good one came after."""
    world.deliver()

    undone = world.undone()

    assert (undone.reason, undone.edits) == ("", ())
    assert world.restored().is_in_plan


@pytest.mark.parametrize("basis", [Basis.MEASURED, Basis.DECLARED])
def test_what_a_complete_history_does_not_show_was_not_written(world, basis):
    """Nor will it be: a request is not carried out so much later. A clock may be ahead."""
    world.know(Watermark(world.now + timedelta(days=1), basis, ""))
    assert all(world.refusals())

    world.later(seconds=LATEST.total_seconds() + 5)

    assert world.refusals() == ("", "")


def test_a_proof_that_was_kept_tells_it_too(world):
    """Where nothing else says up to when the history is complete, the stream does for a day."""
    world.know(NoWatermark())
    world.later(seconds=LATEST.total_seconds() + 5)
    assert "make the plan anew after" in world.refusals()[0]

    reader = world.deployment.reader
    reader.lives = replace(reader.lives, proven=Watermark(world.now, Basis.COMPARED, "kept"))

    assert world.refusals()[0] == ""


def test_where_no_run_ever_was_one_query_says_so(session, monkeypatch):
    """Of all items together."""
    world = PlannedTable(session)
    for name in "123":
        world.other_writer(name, item(name, N=number(1)))
    selected = select_bad(world.deployment, since=world.began, until=world.now, pace=world.pace())
    reader, asked = world.deployment.reader, []
    control_items = reader.control_items
    monkeypatch.setattr(
        reader, "control_items", lambda *range_: asked.append(range_) or control_items(*range_)
    )

    planned = plan_undo(world.deployment, selected, pace=world.pace())

    assert [one.is_in_plan for one in planned.items] == [True] * 3
    assert len(asked) == 1
