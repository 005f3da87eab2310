"""With --atomic all items of a plan are written together, or none of them (on moto)."""

from contextlib import suppress
from dataclasses import replace

import pytest

from operations.errors import RefusedError, RunEndedError
from operations.execution.item_writer import WriteOutcome
from tests.factories import item, number
from tests.fakes import THROTTLED, client_error, read_timeout
from tests.followed_table import FollowedTable, Killed, LostAnswer
from tests.unit.operations.execution.test_run import (
    BAD,
    CHANGES,
    GOOD,
    a_run,
    outcomes,
    plan_of,
    planned,
    results,
    states,
    wide,
)


@pytest.fixture
def world(session, tmp_path):
    table = FollowedTable(session)
    table.folder = tmp_path
    return table


def together(plan):
    """The same plan, asked for with --atomic."""
    return replace(plan, header=replace(plan.header, arguments={"atomic": True}))


def three(world, command="undo"):
    return together(planned(world, *CHANGES, command=command))


@pytest.mark.parametrize("command", ["undo", "restore"])
def test_all_items_are_written_by_one_transaction(world, command):
    """An update, a delete and a put; each is journalled and announced before."""
    run = a_run(world, three(world, command))
    seen = []
    world.racing.script(
        "transact_write_items",
        lambda: seen.append((len(run.journal.attempts), len(world.control_rows()))),
    )

    assert outcomes(run) == dict.fromkeys("123", "written")
    assert states(world) == world.wanted
    assert world.racing.steps.count("transact_write_items") == 1
    assert seen == [(3, 5)]


def test_one_item_that_is_in_conflict_has_nothing_written(world):
    """It says where, and the others that it is for another one."""
    plan = three(world)
    world.other_writer("1", item("1", V=number(9), By=CHANGES["1"][0]["By"]))
    before = states(world)

    became = results(a_run(world, plan))

    assert {one.outcome for one in became.values()} == {WriteOutcome.CONFLICT}
    assert [conflict.path for conflict in became["1"].conflicts] == [("V",)]
    assert "1 of them cannot be written as planned" in became["2"].reason
    assert became["2"].conflicts == became["3"].conflicts == ()
    assert states(world) == before
    assert world.racing.steps.count("transact_write_items") == 0


@pytest.mark.parametrize("command", ["undo", "restore"])
def test_a_condition_that_fails_at_the_last_moment_has_nothing_written(world, command):
    """The table has looked at all of them before it writes any."""
    plan = three(world, command)
    theirs = item("1", V=number(9))
    world.racing.script("transact_write_items", lambda: world.other_writer("1", theirs))

    became = results(a_run(world, plan))

    assert {one.outcome for one in became.values()} == {WriteOutcome.CONFLICT}
    assert became["1"].conflicts
    assert "nothing was written" in became["3"].reason
    assert states(world) == {"1": theirs, "2": CHANGES["2"][0], "3": None}


def test_what_others_write_beside_does_not_stop_an_undo(world):
    """All is looked at and announced once more."""
    plan = three(world)
    theirs = CHANGES["1"][0] | {"Theirs": number(1)}
    world.racing.script("transact_write_items", lambda: world.other_writer("1", theirs))

    assert outcomes(a_run(world, plan)) == dict.fromkeys("123", "written")
    assert world.item("1") == CHANGES["1"][1] | {"Theirs": number(1)}
    assert world.writes == {"1": 1, "2": 1, "3": 1}


def test_transactions_in_the_way_are_waited_for(world):
    """They are over in a moment."""
    plan = three(world)
    error = client_error("TransactionCanceledException", 400)
    reasons = [{"Code": "None"}, {"Code": "TransactionConflict"}, {"Code": "None"}]
    error.response["CancellationReasons"] = reasons
    world.racing.script("transact_write_items", error)

    assert outcomes(a_run(world, plan)) == dict.fromkeys("123", "written")


def test_a_lost_answer_is_no_second_write(world):
    """Though all of it was set back before the repeat."""
    plan = three(world)

    def set_back():
        for name, (old, _) in CHANGES.items():
            world.other_writer(name, old)

    world.racing.script("transact_write_items", LostAnswer(read_timeout(), set_back))

    assert outcomes(a_run(world, plan)) == dict.fromkeys("123", "written")
    assert states(world) == {name: old for name, (old, _) in CHANGES.items()}
    assert world.writes == {"1": 1, "2": 1, "3": 1}


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("step", range(8))
def test_a_run_that_was_killed_goes_on(world, step, after):
    """Before its transaction or after it, and before all of it is in the journal."""
    plan = three(world)
    world.is_late = True
    world.racing.dies_at, world.racing.after = step, after
    with suppress(Killed):
        outcomes(a_run(world, plan))
    world.revive()
    world.later(seconds=30)

    outcomes(a_run(world, plan, may_join=True))
    world.deliver()

    assert outcomes(a_run(world, plan, may_join=True)) == dict.fromkeys("123", "written")
    assert states(world) == world.wanted
    assert world.writes == {"1": 1, "2": 1, "3": 1}


def test_what_was_set_back_in_part_is_not_written_again(world):
    """A repeat of some items would be another transaction."""
    plan = three(world)
    world.is_late = True
    world.racing.script("transact_write_items", LostAnswer(Killed()))
    with suppress(Killed):
        outcomes(a_run(world, plan))
    world.revive()
    world.other_writer("1", CHANGES["1"][0])

    assert outcomes(a_run(world, plan))["1"] == "conflict"
    world.deliver()
    assert outcomes(a_run(world, plan)) == {"1": "conflict", "2": "written", "3": "written"}
    assert world.writes == {"1": 1, "2": 1, "3": 1}


def test_more_items_than_a_transaction_has_are_refused(world):
    """Before anything is written, and not split."""
    changes = [(str(n), item(str(n), V=BAD), item(str(n), V=GOOD)) for n in range(101)]

    with pytest.raises(RefusedError, match=r"at most 100 items in one transaction, .* has 101"):
        outcomes(a_run(world, together(plan_of(*changes))))
    assert world.racing.steps == []


def test_more_bytes_than_a_transaction_has_are_refused(world):
    """As the items are when it begins."""
    text = {"S": "x" * 390_000}
    changes = [
        (str(n), item(str(n), V=BAD, Text=text), item(str(n), V=GOOD, Text=text)) for n in range(11)
    ]
    for name, old, _ in changes:
        world.store(old, name)

    with pytest.raises(RefusedError, match="at most 4 MB in one transaction"):
        outcomes(a_run(world, together(plan_of(*changes))))
    assert world.writes.total() == 0


def test_an_item_that_no_condition_can_name_is_refused(world):
    """It would be guarded in part, and put back if need be: that is not all or nothing."""
    world.store(wide(BAD), "2")

    with pytest.raises(RefusedError, match="guarded whole"):
        outcomes(a_run(world, together(plan_of(("2", wide(BAD), None)))))
    assert world.writes.total() == 0


def test_a_table_that_refuses_for_good_ends_the_run(world):
    """As it ends one that writes item by item: with how it stands, and what goes on."""
    plan = three(world)
    world.racing.refuses = THROTTLED

    with pytest.raises(RunEndedError, match=r"0 of 3 items written.*goes on with it: undo again$"):
        outcomes(a_run(world, plan, go_on="undo again"))

    world.racing.refuses = None
    assert outcomes(a_run(world, plan)) == dict.fromkeys("123", "written")
