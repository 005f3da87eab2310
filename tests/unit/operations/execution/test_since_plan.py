"""What was written between a plan and its run is not written over, whatever is there by now."""

from contextlib import suppress
from dataclasses import replace
from unittest.mock import patch

import pytest

from operations.execution.item_history import ItemHistory
from operations.execution.item_writer import WriteOutcome
from operations.execution.plan_file import Plan, PlanHeader, PlanTable
from operations.execution.plan_header import PlanMaker
from operations.execution.run import PlanRun, RunChoice, run_id
from operations.recovery.bad_changes import select_bad
from operations.recovery.compensation import Terms
from operations.recovery.plan_items import restored_items, undone_items
from operations.recovery.restore_items import plan_restore
from operations.recovery.undo import plan_undo
from reports.states.selection import Selection
from reports.states.watermark import Basis, NoWatermark, Watermark
from stream_core.errors import IntegrityError
from stream_core.history_row import HistoryRow
from tests.factories import TABLE_ARN, item, number, text
from tests.followed_table import FollowedTable, Killed, LostAnswer
from tests.recorded_table import HISTORY

MAKER = PlanMaker("ada", "itemtrail 1")
JOB = Selection(actor="job", actor_attribute=("By",))
STAMP = {("By",): text("ada")}


class PlannedTable(FollowedTable):
    """Where plans are made, and carried out later; every write is a second after the last."""

    def write(self, **attributes):
        """Somebody writes the item; without attributes it is deleted."""
        self.later(seconds=1)
        self.other_writer("1", item("1", **attributes) if attributes else None)

    def undo(self, *, counters=(), stamps=STAMP, since=None, where=JOB):
        """A plan that takes back what the job did."""
        selected = select_bad(
            self.deployment,
            since=since or self.began,
            until=self.now,
            where=where,
            pace=self.pace(),
        )
        terms = Terms(set(counters), stamps)
        planned = plan_undo(self.deployment, selected, terms=terms, pace=self.pace())
        return self._plan("undo", undone_items(planned.items), terms.stamps)

    def restore(self, at):
        """A plan that brings the item back to what it was."""
        plans = plan_restore(
            self.deployment, [{"Id": text("1")}], at, allow_uncertain=True, pace=self.pace()
        )
        return self._plan("restore", restored_items(plans))

    def _plan(self, command, items, stamps=None):
        self.later(seconds=1)
        table = PlanTable(TABLE_ARN, "12345a12", self.began)
        header = PlanHeader(
            *(command, {"at": str(self.now)}, table, "history", None, None, self.now),
            *("ada", "itemtrail 1"),
            stamps=stamps or {},
        )
        return Plan(header, items)

    def carry_out(self, plan):
        """What became of the item."""
        self.later(seconds=1)
        choice = RunChoice(self.folder / f"{run_id(plan)}.jsonl")
        (result,) = PlanRun(self.deployment, plan, self.pace(), MAKER, choice).results()
        return result


@pytest.fixture
def world(session, tmp_path):
    table = PlannedTable(session)
    table.folder = tmp_path
    return table


def damaged(world, **more):
    """A counter to which a job has added ten."""
    world.write(N=number(10), By=text("app"), **more)
    world.write(N=number(20), By=text("job"), **more)


@pytest.mark.parametrize("counters", [(), [("N",)]])
def test_a_second_plan_of_one_bad_job_takes_no_good_change_back(world, counters):
    """The first one is carried out, and a good change brings the same number again."""
    damaged(world)
    first, second = world.undo(counters=counters), world.undo(counters=counters)
    assert world.carry_out(first).outcome is WriteOutcome.WRITTEN
    world.write(N=number(20), By=text("job"))

    result = world.carry_out(second)

    assert result.outcome is WriteOutcome.CONFLICT
    (number_conflict, *_) = [one for one in result.conflicts if one.path == ("N",)]
    assert number_conflict.reason == (
        f"taken back by run {run_id(first)} of ada since the plan was made"
    )
    assert world.item()["N"] == number(20)


# What a bad job did, by what its undo does: the attributes before and after; without any, no item.
BAD_CHANGES = {
    "update": ({"V": number(1)}, {"V": number(2)}),
    "put": ({"V": number(1)}, {}),
    "delete": ({}, {"V": number(2)}),
}


def changed(world, kind):
    """Two plans that take a bad change back, and what they see."""
    before, after = BAD_CHANGES[kind]
    world.write(**before)
    world.later(seconds=5)
    since = world.now
    world.write(**after)
    plans = [world.undo(stamps={}, since=since, where=Selection()) for _ in range(2)]
    assert [plan.items[0].action.value for plan in plans] == [kind, kind]
    return *plans, world.item()


def there_and_back(world, kind):
    """A good writer makes something else of the item, and then what it was."""
    world.write(**({"V": number(3)} if kind != "delete" else {}))
    world.write(**BAD_CHANGES[kind][1])


@pytest.mark.parametrize("kind", BAD_CHANGES)
def test_what_came_back_is_not_written_over(world, kind):
    """Be it that an item is there, or that there is none."""
    plan, _, seen = changed(world, kind)
    there_and_back(world, kind)

    assert world.carry_out(plan).outcome is WriteOutcome.CONFLICT
    assert world.item() == seen


@pytest.mark.parametrize("kind", BAD_CHANGES)
def test_nor_after_another_plan_was_carried_out(world, kind):
    """A good writer makes of the item what both plans saw."""
    first, second, seen = changed(world, kind)
    assert world.carry_out(first).outcome is WriteOutcome.WRITTEN
    world.write(**BAD_CHANGES[kind][1])

    assert world.carry_out(second).outcome is WriteOutcome.CONFLICT
    assert world.item() == seen


@pytest.mark.parametrize("kind", BAD_CHANGES)
def test_nor_by_a_run_that_was_killed_before_its_request(world, kind):
    """The request by its old name would be the first one."""
    plan, _, seen = changed(world, kind)
    world.racing.script("transact_write_items", world.racing._die)
    with suppress(Killed):
        world.carry_out(plan)
    world.revive()
    there_and_back(world, kind)

    assert world.carry_out(plan).outcome is WriteOutcome.CONFLICT
    assert world.item() == seen
    assert world.writes["1"] == 0


@pytest.mark.parametrize("has_watermark", [True, False])
def test_a_write_that_may_have_been_made_stays_so_while_its_history_cannot_be_read(
    world, has_watermark
):
    """That nothing was sent this time says nothing of the request before."""
    damaged(world)
    plan = world.undo(counters=[("N",)])
    if not has_watermark:
        world.deployment.reader.watermark = NoWatermark()
    world.is_late = True
    good = LostAnswer(Killed(), lambda: world.write(N=number(20), By=text("job")))
    world.racing.script("transact_write_items", good)
    with suppress(Killed):
        world.carry_out(plan)
    world.revive()
    unreadable = IntegrityError("an overflow object may not be read")
    with patch.object(ItemHistory, "_since_plan", side_effect=unreadable):
        assert world.carry_out(plan).outcome is WriteOutcome.REFUSED

    world.carry_out(plan)

    assert world.item()["N"] == number(20)
    assert world.writes["1"] == 1


def test_nor_does_it_while_the_history_is_behind(world):
    """What the first one has announced is known before any row is."""
    damaged(world)
    first, second = world.undo(), world.undo()
    world.is_late = True
    world.carry_out(first)
    world.write(N=number(20), By=text("job"))

    result = world.carry_out(second)

    assert result.outcome is WriteOutcome.REFUSED
    assert f"run {run_id(first)} was about to write it" in result.reason
    world.deliver()
    assert world.carry_out(second).outcome is WriteOutcome.CONFLICT
    assert world.item()["N"] == number(20)


def test_what_came_to_nothing_by_its_answer_is_in_nobodys_way(world):
    """The condition fails for good: what was announced is withdrawn."""
    damaged(world)
    first, second = world.undo(), world.undo()
    world.racing.script("transact_write_items", lambda: world.write(N=number(5), By=text("app")))
    assert world.carry_out(first).outcome is WriteOutcome.CONFLICT
    world.write(N=number(20), By=text("app"))

    result = world.carry_out(second)

    assert result.outcome is WriteOutcome.CONFLICT
    assert all("about to write" not in one.reason for one in result.conflicts)


def killed_before_its_request(world, plan):
    """A run is ended with an announcement of which nothing comes."""
    world.racing.script("transact_write_items", world.racing._die)
    with suppress(Killed):
        world.carry_out(plan)
    world.revive()


@pytest.mark.parametrize("has_watermark", [True, False])
def test_what_a_killed_run_has_announced_is_in_the_way_until_it_is_surely_over(
    world, has_watermark
):
    """A history that is complete so far tells; where none is known to be, a later plan does.

    A history that stands still shows nothing of what was carried out, and a laptop's clock may be
    wrong: how old a plan is does not tell by itself.
    """
    damaged(world)
    first, second = world.undo(), world.undo()
    killed_before_its_request(world, first)
    if not has_watermark:
        world.deployment.reader.watermark = NoWatermark()
    ends = "once the history is complete until" if has_watermark else "make the plan anew after"
    result = world.carry_out(second)
    assert result.outcome is WriteOutcome.REFUSED
    assert ends in result.reason
    world.later(minutes=18)
    if not has_watermark:
        second = replace(second, header=replace(second.header, made_at=world.now))
        assert world.carry_out(second).outcome is WriteOutcome.REFUSED
        world.later(minutes=15)
        second = replace(second, header=replace(second.header, made_at=world.now))

    assert world.carry_out(second).outcome is WriteOutcome.WRITTEN


def test_a_plan_that_is_made_long_after_a_run_minds_it_while_the_history_stands_still(world):
    """That was carried out, and undone by a good writer, and the history shows neither."""
    damaged(world)
    first = world.undo()
    world.is_late = True
    world.carry_out(first)
    world.write(N=number(20), By=text("job"))
    stopped = Watermark(world.now, Basis.MEASURED, "as the metrics say")
    world.later(minutes=50)
    second = world.undo()
    world.deployment.reader.watermark = stopped

    result = world.carry_out(second)

    assert result.outcome is WriteOutcome.REFUSED
    assert f"run {run_id(first)} was about to write it" in result.reason
    assert world.item()["N"] == number(20)


def test_a_value_that_came_back_is_not_taken_for_the_one_that_was_seen(world):
    """Set to something else and back, by writers that know nothing of runs."""
    damaged(world)
    plan = world.undo()
    world.write(N=number(10), By=text("job"))
    world.write(N=number(20), By=text("job"))

    result = world.carry_out(plan)

    assert result.outcome is WriteOutcome.CONFLICT
    assert {one.reason for one in result.conflicts if one.path == ("N",)} == {
        "it was written since the plan was made, and is again what it was"
    }
    assert world.item()["N"] == number(20)


def test_an_item_that_was_made_anew_is_another_one(world):
    """Though it is the same to the last digit."""
    damaged(world)
    plan = world.undo()
    world.write()
    world.write(N=number(20), By=text("job"))

    assert world.carry_out(plan).outcome is WriteOutcome.CONFLICT
    assert world.item()["N"] == number(20)


def test_what_others_write_elsewhere_is_no_obstacle(world):
    """Be it there and back."""
    damaged(world, Beside=number(1))
    plan = world.undo()
    world.write(N=number(20), By=text("job"), Beside=number(2))
    world.write(N=number(20), By=text("job"), Beside=number(1))

    result = world.carry_out(plan)

    assert (result.outcome, result.conflicts) == (WriteOutcome.WRITTEN, ())
    assert world.item() == item("1", N=number(10), By=text("ada"), Beside=number(1))


def test_the_places_that_nobody_has_touched_are_written(world):
    """The other one is listed with its reason."""
    world.write(N=number(10), M=number(1), By=text("app"))
    world.write(N=number(20), M=number(2), By=text("job"))
    plan = world.undo()
    world.write(N=number(10), M=number(2), By=text("job"))
    world.write(N=number(20), M=number(2), By=text("job"))

    result = world.carry_out(plan)

    assert result.outcome is WriteOutcome.WRITTEN
    assert [one.path for one in result.conflicts] == [("N",)]
    assert world.item() == item("1", N=number(20), M=number(1), By=text("ada"))


def test_a_restore_writes_over_nothing_that_came_back(world):
    """All of the item is what it takes back."""
    world.write(A=number(1))
    at = world.now
    world.write(A=number(2))
    plan = world.restore(at)
    world.write(A=number(3))
    world.write(A=number(2))

    result = world.carry_out(plan)

    assert result.outcome is WriteOutcome.CONFLICT
    assert result.reason == "it was written since the plan was made, and is again what it was"
    assert world.item() == item("1", A=number(2))


def test_what_was_on_its_way_when_a_restore_was_planned_is_no_later_change(world):
    """It has led to what the plan saw."""
    world.write(A=number(1))
    at = world.now
    world.is_late = True
    world.write(A=number(2))
    world.write(A=number(3))
    plan = world.restore(at)
    world.deliver()

    assert world.carry_out(plan).outcome is WriteOutcome.WRITTEN
    assert world.item() == item("1", A=number(1))


def test_an_item_that_no_row_explains_is_not_written(world):
    """As in planning: who knows what else is on its way."""
    damaged(world)
    plan = world.undo()
    world.is_late = True
    world.write(N=number(20), By=text("job"), Beside=number(2))

    result = world.carry_out(plan)

    assert result.outcome is WriteOutcome.REFUSED
    assert "is not what its last row left it" in result.reason
    world.deliver()
    assert world.carry_out(plan).outcome is WriteOutcome.WRITTEN
    assert world.item()["Beside"] == number(2)


def test_a_row_is_waited_for_as_long_as_one_takes(world):
    """And the item is looked at once more then."""
    damaged(world)
    plan = world.undo()
    world.is_late = True
    world.write(N=number(20), By=text("job"), Beside=number(2))
    # It is set aside, and announced anew.
    world.racing.script("batch_get_item", lambda: None, world.deliver)

    assert world.carry_out(plan).outcome is WriteOutcome.WRITTEN


def test_a_history_of_which_rows_are_gone_is_not_relied_on(world):
    """What happened since cannot be told then."""
    damaged(world)
    plan = world.undo()
    world.write(N=number(20), By=text("job"), Beside=number(2))
    key = {"Id": text("1"), "ApproximateCreationDateTime": text(plan.items[0].seen)}
    world.client.delete_item(TableName=HISTORY, Key=key)

    result = world.carry_out(plan)

    assert result.outcome is WriteOutcome.REFUSED
    assert "its history is not intact" in result.reason
    assert world.item()["N"] == number(20)


def test_a_row_of_another_table_is_named_as_such(world):
    """The history is whole: it is to be asked whose table that is."""
    damaged(world)
    plan = world.undo()
    row = world.rows("1")[-1]
    arn = TABLE_ARN.replace("Employee", "Other") + "/stream/2026-01-01T00:00:00.000"
    later = replace(
        row.change, event_source_arn=arn, sequence_number=str(int(row.change.sequence_number) + 1)
    )
    world.client.put_item(TableName=HISTORY, Item=HistoryRow.from_change(later).to_item(4))

    result = world.carry_out(plan)

    assert result.outcome is WriteOutcome.REFUSED
    assert "its history has a row of another table: " in result.reason


def test_who_undoes_is_not_written_where_nothing_is_undone(world):
    """A name beside a change that was not made."""
    damaged(world)
    plan = world.undo()
    world.write(N=number(30), By=text("job"))

    result = world.carry_out(plan)

    assert result.outcome is WriteOutcome.CONFLICT
    assert [one.path for one in result.conflicts] == [("N",)]
    assert world.item() == item("1", N=number(30), By=text("job"))


def test_who_undoes_is_written_over_whoever_wrote_last(world):
    """Else the undo would go under their name."""
    damaged(world)
    plan = world.undo()
    world.write(N=number(20), By=text("clerk"), Beside=number(1))

    result = world.carry_out(plan)

    assert result.is_clean
    assert world.item() == item("1", N=number(10), By=text("ada"), Beside=number(1))


def test_a_name_is_written_beside_into_the_map_that_others_have_made_since(world):
    """Of the map the plan would have made, only the name is its own."""
    damaged(world)
    plan = world.undo(stamps={("Meta", "by"): text("ada")})
    theirs = {"M": {"seen": number(1)}}
    world.write(N=number(20), By=text("job"), Meta=theirs)

    assert world.carry_out(plan).is_clean
    assert world.item()["Meta"] == {"M": {"seen": number(1), "by": text("ada")}}


def test_a_name_that_was_asked_for_alone_is_written(world):
    """The value that is taken back is the one that is written beside."""
    world.write(By=text("app"))
    world.write(By=text("job"))
    plan = world.undo()

    assert world.carry_out(plan).is_clean
    assert world.item() == item("1", By=text("ada"))
