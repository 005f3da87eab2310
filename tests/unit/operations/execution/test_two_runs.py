"""Two runs at one item: whatever comes between their steps, at most one of them writes it."""

from contextlib import nullcontext
from copy import copy
from dataclasses import replace
from datetime import timedelta

import pytest

from operations.control_rows import write_control_row
from operations.errors import RunEndedError
from operations.execution.decision import MAY_BE_WRITTEN
from operations.execution.item_writer import WriteOutcome
from operations.execution.run import PlanRun, RunChoice, run_id
from reports.access.own_writes import find_own_writes
from stream_core.announcement import AnnouncedPortion, OwnWrite, item_hash, standing
from stream_core.control_row import RunRow
from stream_core.retry import Patience
from tests.factories import STREAM_ARN, TABLE_ARN, item, number, text
from tests.fakes import DENIED, client_error, read_timeout
from tests.followed_table import FollowedClient, LostAnswer
from tests.recorded_table import HISTORY
from tests.unit.operations.execution.test_atomic_run import together
from tests.unit.operations.execution.test_run import BAD, CHANGES, GOOD, a_run, outcomes, planned
from tests.unit.operations.execution.test_since_plan import MAKER, PlannedTable, damaged

AFTER = Patience(lambda: 60_000)


@pytest.fixture
def world(session, tmp_path):
    table = PlannedTable(session)
    table.folder = tmp_path
    return table


def nothing():
    """What happens to a call that is none of the test's."""


def beside(world, plan):
    """What becomes of the item by a plan that another machine carries out."""
    deployment = copy(world.deployment)
    deployment.reader = copy(deployment.reader)
    deployment.dynamodb = deployment.reader.dynamodb = FollowedClient(world.client, world)
    choice = RunChoice(world.folder / "beside.jsonl", may_join=True)
    (result,) = PlanRun(deployment, plan, world.pace(), MAKER, choice).results()
    return result


def announcing(world, *entries):
    """What happens when the run announces its writes: it has begun, and announced the portion."""
    world.racing.script("batch_execute_statement", nothing, nothing, *entries)


@pytest.mark.parametrize("is_join", [True, False])
def test_two_runs_that_look_at_the_same_time_do_not_pass_each_other(world, is_join):
    """The second is carried out before the first has announced, and is set back by a good writer.

    Nothing of that is in the history yet: only what the second one has announced tells.
    """
    damaged(world)
    first = world.undo()
    second = first if is_join else world.undo()

    def meanwhile():
        world.later(milliseconds=1)
        world.is_late = True
        assert beside(world, second).outcome is WriteOutcome.WRITTEN
        world.write(N=number(20), By=text("job"))

    announcing(world, meanwhile)
    result = world.carry_out(first)

    assert result.outcome is not WriteOutcome.WRITTEN
    assert world.item()["N"] == number(20)
    assert world.writes["1"] == 1


@pytest.mark.parametrize("skew", [timedelta(0), timedelta(seconds=-5)])
def test_of_two_runs_that_have_both_announced_one_writes(world, skew):
    """The other one gives up, be its clock behind: else both would, for a quarter of an hour."""
    damaged(world)
    first, second = world.undo(), world.undo()
    became = []

    def meanwhile():
        world.now += skew
        became.append(beside(world, second))
        world.now -= skew

    announcing(world, LostAnswer(read_timeout(), meanwhile))
    result = world.carry_out(first)

    assert result.outcome is WriteOutcome.WRITTEN
    (other,) = became
    assert other.outcome is WriteOutcome.REFUSED
    assert f"run {run_id(first)} was about to write it" in other.reason
    assert [write.run for write in standing(world.control_rows())] == [run_id(first)]


def rival(world, at, name="1"):
    """An announcement of another run, of an item."""
    started = RunRow(
        *("f" * 12, "undo", "{}", "sha256:00", "eve", "itemtrail 1", STREAM_ARN, "12345a12", at)
    )
    write = OwnWrite("f" * 12, 1, item_hash(name), b"\x01" * 32, None, at, TABLE_ARN)
    portion = AnnouncedPortion("f" * 12, "beef", (write.item,), at, TABLE_ARN)
    for row in (started, portion, write):
        store(world, row)
    return write


def store(world, row):
    write_control_row(FollowedClient(world.client, world), HISTORY, row, AFTER)


@pytest.mark.parametrize("skew", [timedelta(seconds=-5), timedelta(seconds=5)])
def test_the_earlier_one_waits_and_the_later_one_tries_again(world, skew):
    """Either writes when the other has withdrawn; meanwhile only the later one has withdrawn."""
    damaged(world)
    plan, withdrawn = world.undo(), []
    other = rival(world, world.now + skew)
    world.later(seconds=-1)
    pace = world.pace()

    def sleep(_):
        if not withdrawn:
            own = [row for row in standing(world.control_rows()) if row.run == run_id(plan)]
            withdrawn.append(not own)
            store(world, other.withdrawn())

    pace.machine = replace(pace.machine, sleep=sleep)
    choice = RunChoice(world.folder / "run.jsonl")
    (result,) = PlanRun(world.deployment, plan, pace, MAKER, choice).results()

    assert result.outcome is WriteOutcome.WRITTEN
    assert withdrawn == [skew < timedelta(0)]


def test_who_is_interrupted_before_a_write_is_in_nobodys_way(world):
    """What was announced and not sent is withdrawn; and the journal knows of no attempt."""
    damaged(world)
    first, second = world.undo(), world.undo()
    announcing(world, LostAnswer(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        world.carry_out(first)

    assert standing(world.control_rows()) == []
    assert world.carry_out(second).outcome is WriteOutcome.WRITTEN


def test_what_cannot_be_withdrawn_is_told(world):
    """Others have to wait for it then."""
    damaged(world)
    plan = world.undo()
    run = PlanRun(
        world.deployment, plan, world.pace(), MAKER, RunChoice(world.folder / "run.jsonl")
    )

    def fail():
        world.racing.denies, world.racing.denial = "batch_execute_statement", read_timeout()

    announcing(world, LostAnswer(KeyboardInterrupt(), fail))
    with pytest.raises(KeyboardInterrupt):
        list(run.results())

    assert "1 of them announced and not withdrawn: for 17 minutes" in run.how_it_stands()


def test_a_run_goes_on_after_an_interruption_as_if_nothing_had_been_announced(world):
    """What was withdrawn is no attempt that may have been made."""
    damaged(world)
    plan = world.undo()
    announcing(world, LostAnswer(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        world.carry_out(plan)
    world.write(N=number(20), By=text("clerk"), Beside=number(1))

    assert world.carry_out(plan).outcome is WriteOutcome.WRITTEN


def slow(world):
    """A pace at which a portion is one item."""
    return world.pace(per_second=1)


def test_no_portion_is_written_before_the_history_shows_the_first_one(world):
    """A consumer that has stopped shows nothing of what others do, either."""
    plan = planned(world, *CHANGES)
    world.is_late = True

    with pytest.raises(RunEndedError, match=r"1 of the first 1 writes .* `itemtrail status`"):
        outcomes(a_run(world, plan, pace=slow(world)))
    assert world.writes.total() == 1
    world.deliver()
    world.is_late = False

    assert outcomes(a_run(world, plan, pace=slow(world))) == dict.fromkeys("123", "written")


def test_a_row_that_takes_a_while_is_waited_for(world):
    """And what is waited for is said."""
    plan = planned(world, *CHANGES)
    world.is_late, said = True, []
    pace = slow(world)

    def progress(what, done, total):
        said.append((what, done, total))
        world.deliver()
        world.is_late = False

    pace.progress = progress
    assert outcomes(a_run(world, plan, pace=pace)) == dict.fromkeys("123", "written")
    assert said == [("waiting for the history; writes that it shows", 0, 1)]


def test_a_history_that_may_not_be_written_has_no_other_runs(world):
    """Nothing is announced, and nothing is to be withdrawn."""
    plan = planned(world, "1")
    world.racing.denies, world.racing.denial = "batch_execute_statement", DENIED
    world.other_writer("1", item("1", V=number(9)))

    assert outcomes(a_run(world, plan)) == {"1": "conflict"}
    assert world.item("1")["V"] != (BAD, GOOD)


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (DENIED, nullcontext()),
        (client_error("ThrottlingException"), pytest.raises(RunEndedError, match="0 of 1 items")),
    ],
)
def test_a_write_that_was_refused_is_in_nobodys_way(world, error, ends):
    """Whoever is given the right, or tries later, plans anew."""
    damaged(world)
    first, second = world.undo(), world.undo()
    world.racing.denies, world.racing.denial = "transact_write_items", error
    with ends:
        assert world.carry_out(first).outcome is WriteOutcome.UNSENT
    world.racing.denies = None

    assert world.carry_out(second).outcome is WriteOutcome.WRITTEN


def test_a_write_without_an_answer_is_in_the_way_whatever_is_answered_later(world):
    """The first request may arrive after the refusal of the second."""
    damaged(world)
    first, second = world.undo(), world.undo()
    world.racing.script("transact_write_items", read_timeout(), DENIED)
    assert world.carry_out(first).outcome is WriteOutcome.UNSENT

    assert world.carry_out(second).outcome is WriteOutcome.REFUSED


def test_a_transaction_of_all_that_was_not_made_is_in_nobodys_way(world):
    """Where a condition of one item was not met, none was written."""
    plan = together(planned(world, *CHANGES))
    world.racing.script("transact_write_items", lambda: world.other_writer("3", item("3")))

    assert set(outcomes(a_run(world, plan)).values()) == {"conflict"}
    assert standing(world.control_rows()) == []


def test_a_write_beside_that_of_another_is_no_history_that_stands_still(world):
    """It led from another state than was announced, and nothing shows that one."""
    plan = planned(world, *CHANGES)
    first = plan.items[0].keys["Id"]["S"]

    def beside_it():
        world.other_writer(first, {**world.item(first), "Beside": number(1)})

    world.racing.script("transact_write_items", beside_it)

    assert outcomes(a_run(world, plan, pace=slow(world))) == dict.fromkeys("123", "written")
    assert world.item(first)["Beside"] == number(1)


def test_a_withdrawal_whose_answer_is_lost_is_one(world):
    """Who goes on writes under an announcement that stands: else its change would be nobody's."""
    damaged(world)
    plan = world.undo()
    announcing(world, LostAnswer(KeyboardInterrupt()), LostAnswer(read_timeout()))
    with pytest.raises(KeyboardInterrupt):
        world.carry_out(plan)

    assert world.carry_out(plan).outcome is WriteOutcome.WRITTEN
    own = find_own_writes(world.deployment.reader)
    assert own.run_of(world.rows("1")[-1]) is not None


def test_what_the_other_process_of_a_run_has_just_written_is_written(world):
    """It was read before that: nobody has set it back."""
    damaged(world)
    plan, became = world.undo(), []

    def meanwhile():
        world.later(milliseconds=1)
        became.append(beside(world, plan))

    announcing(world, meanwhile)
    result = world.carry_out(plan)

    assert [one.outcome for one in (result, *became)] == [WriteOutcome.WRITTEN] * 2


def test_what_the_other_process_of_a_run_withdraws_is_no_attempt(world):
    """Nothing was known of it at first, and the result waited for the history."""
    damaged(world)
    plan, at = world.undo(), world.now - timedelta(minutes=9)
    run = run_id(plan)
    begun = RunRow(
        *(run, "undo", "{}", plan.digest, "eve", "itemtrail 1", STREAM_ARN, "12345a12", at)
    )
    write = OwnWrite(run, 1, item_hash("1"), b"\x01" * 32, None, at, TABLE_ARN)
    for row in (begun, AnnouncedPortion(run, "beef", (write.item,), at, TABLE_ARN), write):
        store(world, row)
    pace = world.pace()
    pass_time = pace.machine.sleep

    def sleep(seconds):
        store(world, write.withdrawn())
        pass_time(seconds)

    pace.machine = replace(pace.machine, sleep=sleep)
    choice = RunChoice(world.folder / "run.jsonl", may_join=True)
    results = PlanRun(world.deployment, plan, pace, MAKER, choice).results()

    assert MAY_BE_WRITTEN in [result.reason for result in results]
