"""Many items are written some at a time, by a transaction each that is made as a whole or not."""

from contextlib import suppress
from itertools import count

import pytest

from operations.execution.announcer import Announcer
from operations.execution.decision import MAY_BE_WRITTEN, Write
from operations.execution.item_writer import WriteOutcome
from operations.execution.run import run_id
from operations.execution.transactions import MOST_TOGETHER, groups_of
from reports.access.own_writes import find_own_writes
from reports.states.own_writes import state_digest
from stream_core.announcement import AnnouncedPortion, OwnWrite, item_hash, standing
from stream_core.control_row import RunRow
from tests.factories import STREAM_ARN, item, number
from tests.fakes import client_error, read_timeout
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
    wide,
)
from tests.unit.operations.execution.test_two_runs import rival, store

NAMES = [str(n) for n in range(30)]
FIRST, REST = NAMES[:MOST_TOGETHER], NAMES[MOST_TOGETHER:]


@pytest.fixture
def world(session, tmp_path):
    table = FollowedTable(session)
    table.folder = tmp_path
    return table


def thirty(world, command="undo", names=NAMES):
    changes = [(name, item(name, V=BAD), item(name, V=GOOD)) for name in names]
    for name, old, _ in changes:
        world.store(old, name)
    return plan_of(*changes, command=command)


def values(world):
    return {name: world.item(name)["V"] for name in NAMES}


@pytest.mark.parametrize("command", ["undo", "restore"])
def test_items_are_written_by_few_transactions(world, command):
    """And each change is known for the run's."""
    plan = thirty(world, command)

    assert outcomes(a_run(world, plan)) == dict.fromkeys(NAMES, "written")

    assert world.racing.steps.count("transact_write_items") == 2
    assert set(world.writes.values()) == {1}
    own = find_own_writes(world.deployment.reader)
    assert all(own.run_of(row) is not None for name in NAMES for row in world.rows(name))


def test_one_item_in_the_way_has_the_others_written_by_themselves(world):
    """Once more announced, and none of them is in another run's way."""
    plan = thirty(world, "restore")
    world.racing.script(
        "transact_write_items", lambda: world.other_writer("3", item("3", V=number(7)))
    )

    done = outcomes(a_run(world, plan))

    assert done == dict.fromkeys(NAMES, "written") | {"3": "conflict"}
    assert values(world) == dict.fromkeys(NAMES, GOOD) | {"3": number(7)}
    assert world.writes == dict.fromkeys(NAMES, 1) | {"3": 0}
    announced = [write.number for write in standing(world.control_rows())]
    assert sorted(announced) == sorted(n for n, name in enumerate(NAMES, 1) if name != "3")


def test_a_lost_answer_is_no_second_write_of_any(world):
    """Another writer has set one of them back before the repeat of all."""
    plan = thirty(world)
    back = LostAnswer(read_timeout(), lambda: world.other_writer("3", item("3", V=BAD)))
    world.racing.script("transact_write_items", back)

    assert outcomes(a_run(world, plan)) == dict.fromkeys(NAMES, "written")
    assert values(world)["3"] == BAD
    assert world.writes["3"] == 1


def killed(world, plan, *, is_made):
    """A run that was ended with a transaction under way, of which the history shows nothing."""
    world.is_late = True
    ending = LostAnswer(Killed()) if is_made else world.racing._die
    world.racing.script("transact_write_items", ending)
    with suppress(Killed):
        outcomes(a_run(world, plan))
    world.revive()
    world.later(seconds=5)


@pytest.mark.parametrize("is_made", [True, False])
@pytest.mark.parametrize("has_journal", [True, False])
def test_a_run_that_goes_on_repeats_all_of_a_transaction(world, is_made, has_journal):
    """Whether it was made or not, and also where its journal is lost."""
    plan = thirty(world)
    killed(world, plan, is_made=is_made)
    journal = world.folder / ("run.jsonl" if has_journal else "other.jsonl")

    outcomes(a_run(world, plan, journal_file=journal, may_join=True))
    world.is_late = False
    world.deliver()
    done = outcomes(a_run(world, plan, journal_file=journal, may_join=True))

    assert done == dict.fromkeys(NAMES, "written")
    assert world.writes == dict.fromkeys(NAMES, 1)


@pytest.mark.parametrize("has_journal", [True, False])
@pytest.mark.parametrize("per_second", [None, 10])
def test_no_part_of_a_transaction_is_repeated(world, has_journal, per_second):
    """Some were set back: of the others nothing is known. At another rate they are looked at apart.

    By another name, or with fewer items, it would be carried out a second time.
    """
    plan, set_back = thirty(world, names=FIRST), FIRST[::2]
    killed(world, plan, is_made=True)
    for name in set_back:
        world.other_writer(name, item(name, V=BAD))
    journal = world.folder / ("run.jsonl" if has_journal else "other.jsonl")
    pace = world.pace(per_second=per_second)

    with suppress(Exception):
        # The history shows nothing, which ends a run of more than one portion.
        outcomes(a_run(world, plan, journal_file=journal, may_join=True, pace=pace))
    assert {world.item(name)["V"]["N"] for name in set_back} == {BAD["N"]}
    world.is_late = False
    world.deliver()
    done = results(a_run(world, plan, journal_file=journal, may_join=True))

    assert {done[name].outcome for name in set_back} == {WriteOutcome.CONFLICT}
    assert {world.item(name)["V"]["N"] for name in set_back} == {BAD["N"]}
    assert set(world.writes.values()) == {1}


def test_nor_one_that_is_just_being_announced(world):
    """The other process will make it with all of its items, and of another content by that name."""
    plan, at = thirty(world, names=NAMES[:2]), world.now
    run = run_id(plan)
    begun = RunRow(
        *(run, "undo", "{}", plan.digest, "eve", "itemtrail 1", STREAM_ARN, "12345a12", at)
    )
    states = [state_digest(item("0", V=value)) for value in (BAD, GOOD)]
    write = OwnWrite(run, 1, item_hash("0"), *states, at, STREAM_ARN)
    both = tuple(map(item_hash, NAMES[:2]))
    for row in (begun, AnnouncedPortion(run, "beef", both, at, STREAM_ARN), write):
        store(world, row)

    done = results(a_run(world, plan, may_join=True))

    assert {name: one.reason for name, one in done.items()} == {"0": MAY_BE_WRITTEN, "1": ""}
    assert world.writes == {"1": 1}


def test_what_is_announced_is_found_with_the_others_of_its_transaction(world):
    """That stands before any of them: the run dies when it has announced so much."""
    plan, dies = thirty(world, names=FIRST), world.racing._die
    world.racing.script("batch_execute_statement", lambda: None, lambda: None, dies)
    with suppress(Killed):
        outcomes(a_run(world, plan))
    world.revive()

    kinds = {type(row) for row in world.control_rows()}
    assert kinds == {RunRow, AnnouncedPortion}


def test_a_namesake_that_was_carried_out_is_no_write_that_was_not_made(world):
    """Its announcement stands: else nobody would know the change for the run's."""
    plan = thirty(world, names=FIRST)
    error = client_error("IdempotentParameterMismatchException")
    world.racing.script("transact_write_items", error)

    done = outcomes(a_run(world, plan))

    assert set(done.values()) == {"unsent"}
    assert len(standing(world.control_rows())) == len(FIRST)


def test_nor_where_another_run_is_at_one_of_its_items(world):
    """That one has to wait, and the others with it."""
    plan = thirty(world, names=FIRST)
    killed(world, plan, is_made=True)
    for name in FIRST:
        world.other_writer(name, item(name, V=BAD))
    rival(world, world.now, "3")

    done = outcomes(a_run(world, plan))

    assert done == dict.fromkeys(FIRST, "conflict")
    assert world.racing.steps.count("transact_write_items") == 0


def test_what_has_too_many_attributes_is_written_by_itself(world):
    """A transaction would guard it in part, and say nothing of what it took."""
    planned(world, "1")
    world.store(wide(BAD), "2")
    plan = plan_of(("1", *CHANGES["1"]), ("2", wide(BAD), None))

    assert outcomes(a_run(world, plan)) == {"1": "written", "2": "written"}
    assert world.racing.steps.count("delete_item") == 1


def test_a_table_that_is_throttled_is_asked_for_all_once_more(world):
    """A transaction that others are in conflict with passes."""
    plan = thirty(world)
    conflict = client_error("TransactionCanceledException")
    conflict.response["CancellationReasons"] = [
        {"Code": "TransactionConflict" if n == 0 else "None"} for n in range(len(FIRST))
    ]
    world.racing.script("transact_write_items", conflict)

    assert outcomes(a_run(world, plan)) == dict.fromkeys(NAMES, "written")


def test_who_joins_knows_of_a_transaction_by_the_history(world):
    """Its portion names the items, also those that are looked at later."""
    plan = thirty(world)
    killed(world, plan, is_made=False)
    (run,) = find_own_writes(world.deployment.reader).runs.values()
    announcer = Announcer(world.racing, world.deployment.reader, run)

    sizes = {
        write.at: len(announcer.items_at(write.at)) for write in standing(world.control_rows())
    }

    assert sorted(sizes.values()) == [len(REST), len(FIRST)]


def test_transactions_have_no_more_than_their_bytes(world):
    """Four megabytes, of which an item has one tenth at most."""
    text = {"S": "x" * 390_000}
    numbers = count(1)
    writes = [
        (entry, _write(entry, item(str(next(numbers)), V=BAD, Text=text)))
        for entry in thirty(world).items
    ]

    assert [len(group) for group in groups_of(writes, MOST_TOGETHER)] == [10, 10, 10]


def _write(entry, image):
    return Write(entry.edits, image, image | {"V": GOOD})
