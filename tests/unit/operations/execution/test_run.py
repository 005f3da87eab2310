"""A run writes each item of its plan once, and loses nobody else's write."""

from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from operations.errors import JournalError, RefusedError, RunEndedError
from operations.execution.item_writer import WriteOutcome
from operations.execution.journal import journal_path
from operations.execution.plan_file import (
    Plan,
    PlanHeader,
    PlanItem,
    PlanTable,
    action_on,
    state_digest,
)
from operations.execution.plan_header import PlanMaker
from operations.execution.run import PlanRun, RunChoice
from reports.access.machine import Machine
from reports.access.own_writes import find_own_writes
from reports.access.private_files import state_folder
from reports.states.differences import Difference, differences
from reports.states.watermark import NoWatermark
from stream_core.announcement import AnnouncedPortion, OwnWrite, item_hash
from stream_core.control_row import RunRow
from tests.disk import full_disk
from tests.factories import TABLE_ARN, item, number, text
from tests.fakes import DENIED, THROTTLED, client_error, read_timeout
from tests.followed_table import FollowedTable, Killed, LostAnswer

BAD, GOOD = number(2), number(1)
CHANGES = {
    "1": (item("1", V=BAD, By=text("job")), item("1", V=GOOD, By=text("app"))),
    "2": (item("2", V=BAD), None),
    "3": (None, item("3", V=GOOD)),
}
"""An item to update, one to delete, one to put: each before and after."""
MADE = datetime(2026, 11, 30, tzinfo=UTC)
MAKER = PlanMaker("ada", "itemtrail 1")


def plan_item(place, identifier, old, new):
    before, after = state_digest(old), state_digest(new)
    if old is None or new is None:
        edits = (Difference((), old and {"M": old}, new and {"M": new}),)
    else:
        edits = tuple(differences(old, new))
    keys = {"Id": text(identifier)}
    return PlanItem(place, keys, action_on(before, after), edits, before, after)


def plan_of(*changes, command="undo"):
    """A plan of changes, each an id, a state before and a state after."""
    header = PlanHeader(
        *(command, {"all": True}, PlanTable(TABLE_ARN, "12345a12", MADE), "history", None),
        *(None, MADE, "ada", "itemtrail 1"),
    )
    items = (plan_item(place, *change) for place, change in enumerate(changes, 1))
    return Plan(header, tuple(items))


@pytest.fixture
def world(session, tmp_path):
    table = FollowedTable(session)
    table.folder = tmp_path
    return table


def a_run(table, plan, **options):
    journal = options.pop("journal_file", table.folder / "run.jsonl")
    pace = options.pop("pace", None) or table.pace()
    return PlanRun(table.deployment, plan, pace, MAKER, RunChoice(journal, **options))


def outcomes(run):
    return {name: one.outcome.value for name, one in results(run).items()}


def planned(table, *names, command="undo"):
    """A plan for some of the items, which are as it sees them."""
    for name in names:
        table.store(CHANGES[name][0], name)
    table.wanted = {name: CHANGES[name][1] for name in names}
    return plan_of(*((name, *CHANGES[name]) for name in names), command=command)


def three(table):
    return planned(table, *CHANGES)


def states(table):
    return {name: table.item(name) for name in table.wanted}


def results(run):
    return {one.item.keys["Id"]["S"]: one for one in run.results()}


def test_each_item_is_written_and_accounted_for(world):
    """In the table, in the journal, and in the history."""
    plan = three(world)

    run = a_run(world, plan)
    assert outcomes(run) == dict.fromkeys("123", "written")

    assert states(world) == world.wanted
    assert run.counts == {WriteOutcome.WRITTEN: 3}
    portion, started, *own = sorted(
        world.control_rows(), key=lambda row: [AnnouncedPortion, RunRow, OwnWrite].index(type(row))
    )
    assert set(portion.items) == {item_hash(name) for name in "123"}
    assert isinstance(started, RunRow)
    assert (started.who, started.plan_digest, started.table_id) == ("ada", plan.digest, "12345a12")
    assert sorted(row.number for row in own) == [1, 2, 3]
    writes = find_own_writes(world.deployment.reader)
    for name in "123":
        (row,) = world.rows(name)
        assert writes.run_of(row) == started
    journal = (world.folder / "run.jsonl").read_text()
    assert journal.count('"outcome":"written"') == 3
    assert (world.folder / "run.jsonl").stat().st_mode & 0o777 == 0o600


def test_what_is_about_to_be_written_is_kept_and_announced_before(world):
    """DECISIONS D3: journal, announcement, write."""
    run = a_run(world, three(world))
    seen = []
    world.racing.script(
        "transact_write_items",
        lambda: seen.append((len(run.journal.attempts), len(world.control_rows()))),
    )

    assert outcomes(run)
    assert seen == [(3, 5)]


def test_what_was_done_is_on_the_disk_at_the_end(world, monkeypatch):
    """Or that is told, with what was done."""
    plan = planned(world, "1")
    world.racing.script("transact_write_items", lambda: full_disk(monkeypatch))

    with pytest.raises(RunEndedError, match=r"No space left.*: 1 of 1 items written"):
        outcomes(a_run(world, plan))
    assert states(world) == world.wanted


def test_the_same_run_again_writes_nothing(world):
    """Its journal knows; without it the history does."""
    plan = three(world)
    outcomes(a_run(world, plan))
    world.later(minutes=5)

    assert outcomes(a_run(world, plan)) == dict.fromkeys("123", "written")
    elsewhere = a_run(world, plan, journal_file=world.folder / "other.jsonl", may_join=True)
    assert outcomes(elsewhere) == dict.fromkeys("123", "written")
    assert world.writes == {"1": 1, "2": 1, "3": 1}


def test_what_was_set_back_since_is_not_written_again(world):
    """Somebody wanted it so: that is a conflict, here and on another machine."""
    plan = three(world)
    outcomes(a_run(world, plan))
    world.later(seconds=20)
    world.other_writer("1", item("1", V=BAD, By=text("job")))
    world.other_writer("3", item("3", V=number(7)))

    elsewhere = a_run(world, plan, journal_file=world.folder / "other.jsonl", may_join=True)
    found = results(elsewhere)

    assert found["1"].outcome is WriteOutcome.CONFLICT
    assert "set it back" in found["1"].reason
    assert found["3"].outcome is WriteOutcome.WRITTEN
    assert "changed by another writer since" in found["3"].reason
    assert world.item("1")["V"] == BAD


KILLS = st.tuples(st.integers(0, 16), st.booleans(), st.booleans(), st.booleans())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12)
@given(kills=st.lists(KILLS, min_size=1, max_size=3), last=st.booleans())
def test_a_run_that_is_killed_at_any_step_is_resumed(moto_session, tmp_path_factory, kills, last):
    """Its journal lost or not, its rows late or not: each item is written just once.

    The oracle is the table itself: it counts what this program has changed.
    """
    with mock_aws():
        table = FollowedTable(moto_session)
        table.folder = tmp_path_factory.mktemp("run")
        plan = three(table)
        for attempt, (step, after, is_late, loses_journal) in enumerate(kills):
            table.is_late = is_late
            client = table.revive()
            client.dies_at, client.after = step, after
            name = f"run-{attempt if loses_journal else 0}.jsonl"
            with suppress(Killed):
                outcomes(a_run(table, plan, journal_file=table.folder / name, may_join=True))
            table.later(seconds=30)
        table.revive()
        table.is_late = False
        table.deliver()

        name = "run-last.jsonl" if last else "run-0.jsonl"
        final = outcomes(a_run(table, plan, journal_file=table.folder / name, may_join=True))

        assert final == dict.fromkeys("123", "written")
        assert states(table) == table.wanted
        assert table.writes == {"1": 1, "2": 1, "3": 1}


def lost(world, error, then=lambda: None):
    """The answer to the next write is lost, after it was carried out."""
    world.racing.script("transact_write_items", LostAnswer(error, then))


@pytest.mark.parametrize("error", [read_timeout(), client_error("InternalServerError", 500)])
@pytest.mark.parametrize("name", CHANGES)
def test_a_lost_answer_is_no_second_write(world, error, name):
    """The token makes the repeat succeed."""
    plan = planned(world, name)
    lost(world, error)

    assert outcomes(a_run(world, plan)) == {name: "written"}
    assert states(world) == world.wanted
    assert world.writes[name] == 1


@pytest.mark.parametrize("name", CHANGES)
def test_what_another_writer_put_there_before_the_repeat_stays(world, name):
    """Even where it is just what the plan saw: without a token it would be written over again."""
    plan = planned(world, name)
    lost(world, read_timeout(), lambda: world.other_writer(name, CHANGES[name][0]))

    assert outcomes(a_run(world, plan)) == {name: "written"}
    assert world.item(name) == CHANGES[name][0]
    assert world.writes[name] == 1


def killed(world, plan, then=lambda: None):
    """A run is killed after its write was carried out, of which the history shows nothing yet."""
    world.is_late = True
    lost(world, Killed(), then)
    with suppress(Killed):
        outcomes(a_run(world, plan))
    world.revive()
    world.later(seconds=5)


@pytest.mark.parametrize("name", ["1", "3"])
def test_what_was_set_back_before_the_history_shows_it_is_not_written_again(world, name):
    """A counter, say: it is where the plan saw it, with the good changes that came since."""
    plan = planned(world, name)
    killed(world, plan, lambda: world.other_writer(name, CHANGES[name][0]))

    assert outcomes(a_run(world, plan)) == {name: "conflict"}
    assert outcomes(a_run(world, plan)) == {name: "conflict"}
    world.deliver()
    (one,) = a_run(world, plan).results()

    assert "set it back" in one.reason
    assert world.item(name) == CHANGES[name][0]
    assert world.writes[name] == 1


def test_a_place_that_was_set_back_beside_another_is_not_written_again(world):
    """No request of the same name can be made of an item that has changed."""
    plan = planned(world, "1")
    beside = CHANGES["1"][0] | {"Beside": number(1)}
    killed(world, plan, lambda: world.other_writer("1", beside))

    (one,) = a_run(world, plan).results()
    assert one.outcome is WriteOutcome.CONFLICT
    assert "may have written it" in one.reason
    world.deliver()
    assert outcomes(a_run(world, plan)) == {"1": "written"}

    assert world.item("1") == beside
    assert world.writes["1"] == 1


@pytest.mark.parametrize("is_complete", [True, False])
def test_an_attempt_of_long_ago_counts_as_not_made_if_the_history_is_complete(world, is_complete):
    """Its name is forgotten by then: only the history can tell."""
    plan = planned(world, "1")
    world.racing.script("transact_write_items", world.racing._die)
    with suppress(Killed):
        outcomes(a_run(world, plan))
    world.revive()
    world.later(minutes=30)
    if not is_complete:
        world.deployment.reader.watermark = NoWatermark()

    assert outcomes(a_run(world, plan)) == {"1": "written" if is_complete else "conflict"}
    assert world.writes["1"] == is_complete


def test_a_write_of_long_ago_that_nothing_can_show_says_what_ends_that(world):
    """Without a watermark it may always be on its way: a declaration, or a new plan."""
    plan = planned(world, "1")
    world.racing.script("transact_write_items", world.racing._die)
    with suppress(Killed):
        outcomes(a_run(world, plan))
    world.revive()
    world.later(minutes=30)
    watermark = world.deployment.reader.watermark
    world.deployment.reader.watermark = NoWatermark()

    (one,) = a_run(world, plan).results()
    assert "--recorded-until" in one.reason
    assert "or make the plan anew after" in one.reason

    world.deployment.reader.watermark = watermark
    assert outcomes(a_run(world, plan)) == {"1": "written"}


def test_a_request_that_arrives_after_its_run_was_resumed_changes_nothing(world):
    """It was under way when its process was killed."""
    plan, arriving = planned(world, "1"), []
    send = world.racing._call

    def hang(name, real, request):
        if name == "transact_write_items":
            arriving.append(request)
            raise Killed
        return send(name, real, request)

    world.racing._call = hang
    with suppress(Killed):
        outcomes(a_run(world, plan))
    client = world.revive()
    world.later(seconds=5)
    assert outcomes(a_run(world, plan)) == {"1": "written"}
    world.other_writer("1", CHANGES["1"][0])

    client.transact_write_items(**arriving[0])

    assert world.item("1") == CHANGES["1"][0]


def test_a_delete_takes_nothing_along(world):
    """What another writer adds at the same moment no condition names: it is put back with it."""
    plan = planned(world, "2")
    theirs = item("2", V=BAD, Theirs=number(1))
    world.racing.script("transact_write_items", lambda: world.other_writer("2", theirs))

    (one,) = a_run(world, plan).results()

    assert one.outcome is WriteOutcome.CONFLICT
    assert "was put back with that change" in one.reason
    assert world.item("2") == theirs


def test_a_delete_that_the_history_does_not_show_yet_is_looked_at_again(world):
    """Whether it took more with it is not known before."""
    plan = planned(world, "2")
    theirs = item("2", V=BAD, Theirs=number(1))
    world.is_late = True

    run = a_run(world, plan)
    assert "not in the history yet" in results(run)["2"].reason
    assert "1 that may or may not be written" in run.how_it_stands()

    world.deliver()
    assert results(a_run(world, plan))["2"].reason == ""
    assert theirs != world.item("2") is None


def test_a_delete_is_not_clean_before_the_history_shows_what_it_took(world):
    """However often the same command looks: what another writer added is put back then."""
    plan = planned(world, "2")
    theirs = item("2", V=BAD, Theirs=number(1))
    world.racing.script("transact_write_items", lambda: world.other_writer("2", theirs))
    world.is_late = True

    for _ in range(2):
        (one,) = a_run(world, plan).results()
        assert "not in the history yet" in one.reason
        assert not one.is_clean
        world.later(seconds=20)
    world.deliver()
    (one,) = a_run(world, plan).results()

    assert one.outcome is WriteOutcome.CONFLICT
    assert "was put back with that change" in one.reason
    assert world.item("2") == theirs


def test_a_delete_of_long_ago_that_took_more_is_told(world):
    """It may be another writer's: nothing is put back by guess."""
    plan = planned(world, "2")
    theirs = item("2", V=BAD, Theirs=number(1))
    world.racing.script("transact_write_items", lambda: world.other_writer("2", theirs))
    world.is_late = True
    outcomes(a_run(world, plan))
    world.later(minutes=30)
    world.deliver()

    (one,) = a_run(world, plan).results()

    assert one.outcome is WriteOutcome.CONFLICT
    assert "perhaps by this run" in one.reason
    assert world.item("2") is None


def test_what_another_writer_deleted_before_is_not_put_back(world):
    """Its delete of a richer item is not the run's, though no second lies between them."""
    plan = planned(world, "2")
    world.store(item("2", V=BAD, Old=number(1)), "2")
    world.other_writer("2", None)
    world.other_writer("2", CHANGES["2"][0])
    world.is_late = True

    (one,) = a_run(world, plan).results()

    assert "not in the history yet" in one.reason
    assert world.item("2") is None


def test_what_another_writer_did_already_is_not_ours(world):
    """The item is what was wanted, and nothing is claimed."""
    plan = three(world)
    for name, (_, new) in CHANGES.items():
        world.other_writer(name, new)

    assert outcomes(a_run(world, plan)) == dict.fromkeys("123", "unneeded")
    assert world.writes.total() == 0


def test_what_another_writer_did_after_our_lost_request_is_not_ours(world):
    """Absence, or an equal image, is no proof that our write was carried out."""
    plan = planned(world, "2")
    run = a_run(world, plan)

    def refuse():
        world.other_writer("2", item("2", V=number(9)))
        world.later(seconds=1)
        world.other_writer("2", None)

    world.racing.script("transact_write_items", refuse)

    (one,) = run.results()

    assert one.outcome is WriteOutcome.UNNEEDED
    assert "nothing shows" in one.reason
    assert world.writes.total() == 0


def test_another_attribute_is_others_to_change(world):
    """An undo writes its places only; what came at the same moment stays."""
    plan = planned(world, "1")
    theirs = CHANGES["1"][0] | {"Theirs": number(1), "By": text("job")}
    world.racing.script("transact_write_items", lambda: world.other_writer("1", theirs))

    assert outcomes(a_run(world, plan)) == {"1": "written"}
    assert world.item("1") == CHANGES["1"][1] | {"Theirs": number(1)}


def test_a_place_that_was_written_since_the_plan_is_left(world):
    """The others are written, and the conflict is told."""
    plan = planned(world, "1")
    world.other_writer("1", CHANGES["1"][0] | {"V": number(9), "More": number(1)})

    (one,) = a_run(world, plan).results()

    assert (one.outcome, one.is_clean) == (WriteOutcome.WRITTEN, False)
    assert [conflict.path for conflict in one.conflicts] == [("V",)]
    assert world.item("1") == item("1", V=number(9), More=number(1), By=text("app"))
    *_, last = world.rows("1")
    assert find_own_writes(world.deployment.reader).run_of(last) is not None


def test_a_restore_writes_only_what_the_plan_saw(world):
    """All of the item is taken back: a change of anything in it is a conflict."""
    plan = planned(world, "1", command="restore")
    theirs = CHANGES["1"][0] | {"Theirs": number(1)}
    world.other_writer("1", theirs)

    (one,) = a_run(world, plan).results()

    assert one.outcome is WriteOutcome.CONFLICT
    assert world.item("1") == theirs


def test_somebody_who_is_always_in_the_way_does_not_stop_it(world):
    """Of another place: in the end the places of the plan alone are guarded."""
    plan = planned(world, "1")
    beside = iter(range(100))

    def write():
        world.other_writer("1", world.item("1") | {"Beside": number(next(beside))})
        world.racing.script("transact_write_items", write)

    write()

    assert outcomes(a_run(world, plan)) == {"1": "written"}
    assert world.item("1")["V"] == GOOD


def nothing():
    """What happens to a call that is none of the test's."""


def test_what_is_written_long_after_it_was_announced_is_announced_anew(world):
    """A laptop slept in between: the history would take it for another writer's."""
    plan = planned(world, "1")
    world.racing.script("batch_execute_statement", nothing, lambda: world.later(minutes=20))

    assert outcomes(a_run(world, plan)) == {"1": "written"}
    (row,) = world.rows("1")
    assert find_own_writes(world.deployment.reader).run_of(row) is not None


def test_a_slow_rate_is_waited_for_before_an_item_is_looked_at(world):
    """What was found out, and announced, is true for some seconds only."""

    def sleep(seconds):
        world.now += timedelta(seconds=seconds)

    def seconds():
        return world.now.timestamp()

    machine = Machine(now=lambda: world.now, clock=seconds, sleep=sleep)
    pace = world.pace(machine=machine, per_second=1 / 600)
    pace.rate.take(2)
    run = a_run(world, planned(world, "1"), pace=pace)

    assert outcomes(run) == {"1": "written"}
    (row,) = world.rows("1")
    assert row.change.created_at >= world.at(30) + timedelta(minutes=20)
    assert find_own_writes(world.deployment.reader).run_of(row) is not None
    (announced,) = (row for row in world.control_rows() if isinstance(row, OwnWrite))
    assert row.change.created_at <= announced.at + timedelta(seconds=2)


@pytest.mark.parametrize(("per_second", "calls"), [(None, 1), (2.5, 2), (0.1, 3)])
def test_no_more_items_are_looked_at_together_than_are_written_in_a_second(
    world, per_second, calls
):
    """The last one would else be written long after it was looked at."""
    run = a_run(world, three(world), pace=world.pace(per_second=per_second))

    assert outcomes(run) == dict.fromkeys("123", "written")
    assert world.racing.steps.count("batch_get_item") == calls


def test_a_run_whose_beginning_had_no_answer_is_not_taken_for_anothers(world):
    """Tried again, its row is there already, and is its own."""
    plan = planned(world, "1")
    world.racing.script("batch_execute_statement", LostAnswer(read_timeout()))

    assert outcomes(a_run(world, plan)) == {"1": "written"}


def test_a_repeat_is_not_made_when_its_name_is_forgotten(world):
    """It waited too long: it would be carried out a second time."""
    plan = planned(world, "1")
    killed(world, plan, lambda: world.other_writer("1", CHANGES["1"][0]))
    world.racing.script("batch_execute_statement", nothing, lambda: world.later(minutes=11))

    (one,) = a_run(world, plan).results()

    assert one.outcome is WriteOutcome.UNSENT
    assert "too late to ask" in one.reason
    assert world.item("1") == CHANGES["1"][0]
    assert world.writes["1"] == 1


def test_a_lost_answer_is_not_asked_for_again_the_next_morning(world):
    """The machine slept between a request and its repeat, and nothing of it felt the time."""
    plan = planned(world, "1")

    def meanwhile():
        world.other_writer("1", CHANGES["1"][0])
        world.later(hours=8)

    lost(world, read_timeout(), meanwhile)

    assert outcomes(a_run(world, plan)) == {"1": "unsent"}
    assert world.item("1") == CHANGES["1"][0]
    assert world.writes["1"] == 1
    assert outcomes(a_run(world, plan)) == {"1": "conflict"}


def test_a_table_that_refuses_for_good_ends_the_run_after_a_minute(world):
    """A minute for all of it, not for each item; and it says how it stands."""
    changes = [(str(n), item(str(n), V=BAD), item(str(n), V=GOOD)) for n in range(60)]
    for name, old, _ in changes:
        world.store(old, name)
    plan = plan_of(*changes)
    run = a_run(world, plan, go_on="undo --plan the.plan")
    begun = run.pace.machine.clock()
    world.racing.refuses = THROTTLED

    with pytest.raises(
        RunEndedError, match=r"this goes on with it: undo --plan the.plan$"
    ) as ended:
        outcomes(run)

    assert "0 of 60 items written" in str(ended.value)
    assert 50 <= run.pace.machine.clock() - begun <= 130
    world.racing.refuses = None
    assert set(outcomes(a_run(world, plan)).values()) == {"written"}


def test_a_plan_is_not_carried_out_beside_another_tables_history(world):
    """A plan may be older than a history's name, or a stack's stream."""
    plan = three(world)
    world.deployment.stack, world.deployment.stream_arn = "trail", f"{TABLE_ARN}/stream/2020"

    with pytest.raises(RefusedError, match="trail"):
        outcomes(a_run(world, plan))
    assert world.writes.total() == 0


def test_a_history_that_may_not_be_written_is_told_once(world):
    """And the run goes on with its journal alone."""
    plan, told = three(world), []
    world.racing.denies = "batch_execute_statement"

    assert outcomes(a_run(world, plan, tell=told.append)) == dict.fromkeys("123", "written")
    (line,) = told
    assert "AccessDeniedException" in line
    assert world.control_rows() == []


def test_a_history_that_does_not_answer_has_nothing_written(world):
    """What is not announced is not written."""
    plan = three(world)
    world.racing.denial = THROTTLED
    run = a_run(world, plan)
    world.racing.script(
        "batch_get_item",
        lambda: setattr(world.racing, "denies", "batch_execute_statement"),
    )

    with pytest.raises(RunEndedError, match=r"does not answer .*0 of 3 items written"):
        outcomes(run)
    assert world.writes.total() == 0


def test_two_processes_of_one_plan_exclude_each_other(world):
    """On one machine by the journal, elsewhere by the history, which says who has begun."""
    plan = three(world)
    running = a_run(world, plan).results()
    next(running)

    with pytest.raises(RefusedError, match="carried out by another process here"):
        outcomes(a_run(world, plan))
    elsewhere = {"journal_file": world.folder / "other.jsonl"}
    world.later(seconds=0.000001)
    with pytest.raises(RefusedError, match=r"begun by ada at .*--join"):
        outcomes(a_run(world, plan, **elsewhere))
    with pytest.raises(RefusedError, match="--join"):
        outcomes(a_run(world, plan, **elsewhere))
    assert outcomes(a_run(world, plan, may_join=True, **elsewhere)) == dict.fromkeys(
        "123", "written"
    )
    assert outcomes(a_run(world, plan, **elsewhere)) == dict.fromkeys("123", "written")
    assert len(list(running)) == 2
    assert world.writes == {"1": 1, "2": 1, "3": 1}


def test_a_journal_that_cannot_be_written_on_says_how_it_stands(world):
    """A full disk in the middle: what was written is told, and how to go on."""
    plan = three(world)
    run = a_run(world, plan, go_on="undo --plan the.plan")
    running = run.results()
    next(running)

    def refuse(*_, **__):
        raise JournalError("the journal cannot be written")

    run.journal.settle = refuse
    with pytest.raises(
        RunEndedError, match=r"cannot be written; run .* with it: undo --plan the.plan"
    ):
        list(running)
    assert outcomes(a_run(world, plan)) == dict.fromkeys("123", "written")


def test_a_run_whose_plan_is_kept_nowhere_does_not_promise_to_go_on(world):
    """The same command would plan anew: what to do about what was written is told."""
    run = a_run(world, three(world))
    with closing(run.results()) as running:
        next(running)

    said = run.how_to_go_on()

    assert "of 3 items written" in run.how_it_stands()
    assert f"another run: itemtrail undo --run {run.run} takes back this one alone" in said
    assert "goes on" not in said


def test_an_item_that_no_condition_can_name_is_put_back_as_it_was(world):
    """It is deleted by a plain request, which answers with what was there."""
    large = item("2", **{f"attribute {n}": BAD for n in range(200)})
    world.store(large, "2")
    theirs = large | {"attribute 199": GOOD}
    world.racing.script("delete_item", lambda: world.other_writer("2", theirs))

    (one,) = a_run(world, plan_of(("2", large, None))).results()

    assert one.outcome is WriteOutcome.CONFLICT
    assert world.item("2") == theirs


def wide(value):
    """An item of which no condition can name all."""
    return item("2", **{f"attribute {n}": value for n in range(200)})


@pytest.mark.parametrize(("operation", "wanted"), [("delete_item", None), ("put_item", wide(GOOD))])
@pytest.mark.parametrize("is_anew", [True, False])
def test_a_plain_request_whose_answer_is_lost_is_not_made_again(world, operation, wanted, is_anew):
    """Nor is it called clean: what another writer had added may be gone with it."""
    world.store(wide(BAD), "2")
    plan = plan_of(("2", wide(BAD), wanted))

    def meanwhile():
        world.other_writer("2", wide(BAD) if is_anew else wanted)

    world.is_late = True
    world.racing.script(operation, LostAnswer(read_timeout(), meanwhile))

    for _ in range(2):
        (one,) = a_run(world, plan).results()
        assert not one.is_clean

    assert world.item("2") == (wide(BAD) if is_anew else wanted)
    assert world.writes["2"] == 1


def test_a_lost_replace_that_took_more_is_told_when_the_history_shows_it(world):
    """It is no longer waited for, nor called clean."""
    world.store(wide(BAD), "2")
    plan = plan_of(("2", wide(BAD), wide(GOOD)))
    theirs = wide(BAD) | {"Theirs": number(1)}
    world.racing.script("put_item", lambda: world.other_writer("2", theirs))
    world.is_late = True
    send = world.racing._call

    def lose(name, real, request):
        answer = send(name, real, request)
        if name == "put_item":
            raise read_timeout()
        return answer

    world.racing._call = lose
    (one,) = a_run(world, plan).results()
    assert "not in the history yet" in one.reason
    world.deliver()

    for _ in range(2):
        (one,) = a_run(world, plan).results()
        assert one.outcome is WriteOutcome.CONFLICT
        assert "replaced with more in it than the plan saw" in one.reason
    assert world.writes["2"] == 1


def test_what_the_history_surely_does_not_show_is_anothers_doing(world):
    """The item is as was wanted, and the run ends."""
    world.store(wide(BAD), "2")
    plan = plan_of(("2", wide(BAD), None))
    world.racing.script("delete_item", read_timeout())
    assert results(a_run(world, plan))["2"].outcome is WriteOutcome.UNSENT
    world.other_writer("2", item("2", V=GOOD))
    world.other_writer("2", None)
    world.later(minutes=30)

    (one,) = a_run(world, plan).results()

    assert (one.outcome, one.is_clean) == (WriteOutcome.UNNEEDED, True)


def test_what_was_put_back_is_put_back_once(world):
    """The answer to that is lost, and another writer deletes the item before the repeat."""
    plan = planned(world, "2")
    theirs = item("2", V=BAD, Theirs=number(1))
    world.racing.script(
        "transact_write_items",
        lambda: world.other_writer("2", theirs),
        LostAnswer(read_timeout(), lambda: world.other_writer("2", None)),
    )

    (one,) = a_run(world, plan).results()

    assert one.outcome is WriteOutcome.CONFLICT
    assert world.item("2") is None


def test_the_journal_is_in_the_folder_of_the_users_state(world):
    """Named by the run, which is named by the plan; wherever the command is run."""
    plan = planned(world, "1")
    run = a_run(world, plan, journal_file=None)

    outcomes(run)

    assert journal_path(run.run) == state_folder() / f"run-{run.run}.jsonl"
    assert journal_path(run.run).exists()
    assert plan.digest.startswith(f"sha256:{run.run}")


@pytest.mark.parametrize("error", [DENIED, client_error("ResourceNotFoundException")])
def test_a_table_that_may_not_be_written_is_told(world, error):
    """Item by item; the same run goes on later."""
    plan = planned(world, "1")
    world.racing.denies, world.racing.denial = "transact_write_items", error

    (one,) = a_run(world, plan).results()

    assert one.outcome is WriteOutcome.UNSENT
    assert error.response["Error"]["Code"] in one.reason
    world.racing.denies = None
    assert outcomes(a_run(world, plan)) == {"1": "written"}
