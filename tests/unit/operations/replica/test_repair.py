"""What differs is healed, and nothing newer is ever undone."""

import random
from dataclasses import replace

import pytest

import operations.replica.repair
from operations.errors import OperationError, RefusedError, StateFileError
from operations.execution.pace import Pace
from operations.execution.plan_file import PlanAction, state_digest
from operations.replica.compare import compare
from operations.replica.discrepancies import DiscrepancyKind
from operations.replica.repair import repair
from reports.access.progress import silent
from reports.errors import KeyShapeError
from tests.comparison import REPLICA, SOURCE, a_world, describe, keys_of
from tests.factories import item, number, text
from tests.fakes import DENIED, THROTTLED, client_error, refuse_call

MISSING, DIFFERENT, EXTRANEOUS = DiscrepancyKind
PATIENCE_S = 10.0


@pytest.fixture
def world():
    with a_world() as world:
        yield world


def version(identifier, number_):
    return item(identifier, Version=number(number_))


def repaired(world, *identifiers, rate=None, progress=silent, **options):
    """A repair of items, applied unless told otherwise."""
    pace = Pace(rate, PATIENCE_S, progress, world.machine)
    options = {"apply": True, "pace": pace} | options
    return repair(world.deployment, map(item, identifiers), **options)


def plant(world):
    """An item of every kind, and an equal one."""
    world.put(SOURCE, version("missing", 1), version("different", 1), version("equal", 1))
    world.put(REPLICA, version("different", 2), version("extraneous", 1), version("equal", 1))
    return "missing", "different", "extraneous", "equal"


def found_in(world, **options):
    pace = Pace(patience_s=PATIENCE_S, machine=world.machine)
    return list(compare(world.deployment, pace=pace, **options))


def writes(world):
    return len(world.client.requests("batch_write_item"))


def test_what_compare_finds_is_healed(world):
    """Every kind; what is equal already is not written."""
    plant(world)

    result = repair(
        world.deployment, keys_of(found_in(world)), apply=True, pace=Pace(machine=world.machine)
    )

    assert world.items(REPLICA) == world.items(SOURCE)
    assert result.applied
    assert result.is_clean
    assert (result.looked_at, result.equal, result.healed) == (3, 0, 3)
    assert result.differing == {MISSING: 1, DIFFERENT: 1, EXTRANEOUS: 1}
    assert found_in(world) == []


def test_nothing_is_written_without_apply(world):
    """A dry run says what it would do."""
    keys = plant(world)
    before = world.items(REPLICA)

    result = repaired(world, *keys, apply=False)

    assert world.items(REPLICA) == before
    assert writes(world) == 0
    assert not result.applied
    assert not result.is_clean
    assert (result.looked_at, result.equal, result.healed) == (4, 1, 0)
    assert result.differing == {MISSING: 1, DIFFERENT: 1, EXTRANEOUS: 1}


def test_repairing_again_does_nothing(world):
    """What is equal needs no write."""
    keys = plant(world)
    repaired(world, *keys)
    before = writes(world)

    result = repaired(world, *keys)

    assert writes(world) == before
    assert (result.equal, result.healed) == (4, 0)
    assert result.is_clean


def test_a_dry_run_is_a_plan_of_what_would_be_done(world):
    """By item: what it is in the replica, and what it is going to be."""
    keys = plant(world)

    plan = repaired(world, *keys, apply=False).plan

    assert [(one.keys["Id"]["S"], one.action) for one in plan] == [
        ("missing", PlanAction.PUT),
        ("different", PlanAction.UPDATE),
        ("extraneous", PlanAction.DELETE),
    ]
    missing, different, extraneous = plan
    assert (missing.before, missing.after) == (None, state_digest(version("missing", 1)))
    assert different.before == state_digest(version("different", 2))
    assert (extraneous.after, extraneous.edits) == (None, ())


def test_what_is_planned_is_done_and_what_has_become_something_else_is_not(world):
    """An item that was to be written is not deleted, and one that was to be deleted not written."""
    keys = plant(world)
    plan = repaired(world, *keys, apply=False).plan
    world.client.remove(SOURCE, item("different"))

    result = repaired(world, *keys, planned=plan)

    assert result.healed == 2
    assert [(one.keys["Id"]["S"], one.why) for one in result.unhealed] == [
        ("different", "the plan was update, and now it would be delete: not written")
    ]
    assert not result.is_clean
    assert {one["Id"]["S"] for one in world.items(REPLICA)} == {
        "missing",
        "different",
        "equal",
    }


def test_what_is_in_no_plan_is_left_alone(world):
    """Also where it differs."""
    keys = plant(world)

    result = repaired(world, *keys, planned=())

    assert (writes(world), result.healed, len(result.unhealed)) == (0, 0, 3)
    assert "the plan was nothing, and now it would be put" in result.unhealed[0].why


def test_findings_are_healed_while_more_are_found(world, monkeypatch):
    """A comparison can be repaired as it goes, without anything being collected first."""
    monkeypatch.setattr(operations.replica.repair, "KEYS_A_CALL", 10)
    world.put(SOURCE, *(version(f"{n:03d}", 1) for n in range(80)))
    world.put(REPLICA, *(version(f"{n:03d}", 2) for n in range(40, 120)))
    comparison = compare(world.deployment, pace=Pace(patience_s=PATIENCE_S, machine=world.machine))

    result = repair(
        world.deployment, keys_of(comparison), apply=True, pace=Pace(machine=world.machine)
    )

    assert comparison.summary.differing == result.healed == 120
    assert world.items(REPLICA) == world.items(SOURCE)


def test_what_was_found_is_not_what_is_written(world):
    """Between the comparison and the repair the source goes on: its state now is what counts."""
    plant(world)
    found = found_in(world)
    world.put(SOURCE, version("missing", 7), version("extraneous", 7))
    world.client.remove(SOURCE, {"Id": text("different")})

    result = repair(world.deployment, keys_of(found), apply=True, pace=Pace(machine=world.machine))

    assert world.items(REPLICA) == world.items(SOURCE)
    assert result.is_clean


@pytest.mark.parametrize("new", [version("1", 9), None])
@pytest.mark.parametrize("replicated_first", [True, False])
def test_a_newer_write_is_not_undone(world, new, replicated_first):
    """The source changes, and the replica with it, after settle has read and before it writes.

    Settle's late write puts the old state over the new one; the read after it finds that out.
    """
    world.put(SOURCE, version("1", 1))
    world.put(REPLICA, version("1", 0))

    def overtake(_request, carry_out):
        for table in (SOURCE, REPLICA) if replicated_first else (SOURCE,):
            if new is None:
                world.client.remove(table, item("1"))
            else:
                world.put(table, new)
        return carry_out()

    world.client.script("batch_write_item", overtake)

    result = repaired(world, "1")

    assert writes(world) == 2
    assert world.items(REPLICA) == world.items(SOURCE)
    assert world.items(SOURCE) == ([new] if new else [])
    assert result.is_clean


@pytest.mark.parametrize("seed", range(8))
def test_repair_and_writers_end_in_the_source_s_state(seed):
    """Hundreds of writes to the items under repair, at every request, with a replica that lags."""
    rng = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    with a_world() as world:
        names = [f"{n:02d}" for n in range(30)]
        for name in names:
            world.write(version(name, 0))
            world.put(REPLICA, version(name, 99))
        left = [rng.randrange(20, 300)]

        def write(_now):
            if left[0] <= 0:
                return
            left[0] -= 1
            world.lag_s = rng.uniform(0.01, 2)
            for name in rng.sample(names, 3):
                if rng.random() < 0.3:
                    world.delete(name)
                else:
                    world.write(version(name, rng.randrange(3)))

        world.happens = write

        result = repaired(world, *names)
        world.sleep(10)

        assert world.items(REPLICA) == world.items(SOURCE)
        assert not result.unhealed
        assert result.looked_at == 30


def test_an_item_that_differs_again_is_healed_again(world):
    """Somebody puts an old state back after the repair: it is told only if they go on."""
    world.put(SOURCE, version("1", 1), version("2", 1))
    again = iter([True, True, *[False] * 1000])

    def spoil(_now):
        if writes(world) and next(again):
            world.put(REPLICA, version("1", 0))

    world.happens = spoil

    result = repaired(world, "1", "2")

    assert result.is_clean
    assert world.items(REPLICA) == world.items(SOURCE)


def test_an_item_that_never_stays_equal_is_told(world):
    """Three times is enough to know that something else writes there."""
    world.put(SOURCE, version("1", 1), version("2", 1))
    world.happens = lambda _now: world.put(REPLICA, version("1", 0))

    result = repaired(world, "1", "2")

    assert [one.keys for one in result.unhealed] == [item("1")]
    assert "something else writes to the replica" in result.unhealed[0].why
    assert (result.healed, result.is_clean) == (1, False)
    assert writes(world) == 3


def test_an_item_that_changes_all_the_time_is_told(world):
    """Nothing can be said of it, and it does not hold up the others for ever."""
    world.write(version("1", 0), replicated=False)
    world.put(SOURCE, version("2", 1))
    versions = iter(range(1, 10**6))
    world.lag_s = 1.0
    world.happens = lambda _now: world.write(version("1", next(versions)))

    result = repaired(world, "1", "2")

    assert result.restless == (item("1"),)
    assert (result.healed, result.unhealed, result.is_clean) == (1, (), False)
    assert world.now < 200


def test_what_the_replica_refuses_is_told(world):
    """By its key and the code; the service's own words may quote the item."""
    plant(world)
    error = client_error("ValidationException", message="value s3cret is not valid")
    refuse = refuse_call(lambda one: one == version("missing", 1), error)
    world.client.always("batch_write_item", refuse)

    result = repaired(world, "missing", "different", "extraneous")

    assert [(one.keys, one.why) for one in result.unhealed] == [
        (item("missing"), "the replica refuses it: ValidationException")
    ]
    assert result.healed == 2


@pytest.mark.parametrize(("error", "waits"), [(DENIED, False), (THROTTLED, True)])
def test_what_cannot_be_written_is_told(world, error, waits):
    """Throttled for a minute, or not allowed at all: named, with the code."""
    plant(world)
    world.client.always("batch_write_item", error)

    result = repaired(world, "missing", "different")

    code = error.response["Error"]["Code"]
    assert {one.keys["Id"]["S"]: one.why for one in result.unhealed} == dict.fromkeys(
        ("missing", "different"), f"it could not be settled now: {code}"
    )
    assert (world.now > 30) is waits


def test_a_key_given_twice_is_one_item():
    """And one write; keys may be spelled as people do."""
    with a_world() as numbered:
        for table in (SOURCE, REPLICA):
            numbered.client.descriptions[table] = describe(table, ["Id"], "N")
        numbered.put(SOURCE, {"Id": number("1")})

        result = repair(
            numbered.deployment,
            [{"Id": number("1.0")}, {"Id": 1}, {"Id": number("1")}],
            apply=True,
            pace=Pace(machine=numbered.machine),
        )

        assert (result.looked_at, result.healed) == (1, 1)
        assert numbered.items(REPLICA) == numbered.items(SOURCE)


@pytest.mark.parametrize("key", [{"Name": text("x")}, {"Id": number(1)}, {}])
def test_what_is_no_key_is_refused(world, key):
    """Before anything is written."""
    with pytest.raises(KeyShapeError):
        repair(world.deployment, [key], apply=True, pace=Pace(machine=world.machine))

    assert writes(world) == 0


def test_nothing_to_repair_is_clean(world):
    """An empty order does nothing."""
    result = repaired(world)

    assert result.is_clean
    assert (result.looked_at, writes(world)) == (0, 0)


def test_a_rate_is_kept(world):
    """Looked at twice in both tables and settled: seven touches an item that differs."""
    world.put(SOURCE, *(version(f"{n:03d}", 1) for n in range(300)))

    repaired(world, *(f"{n:03d}" for n in range(300)), rate=100)

    assert 18 < world.now < 22


def test_progress_is_told(world, monkeypatch):
    """So many items are done."""
    monkeypatch.setattr(operations.replica.repair, "KEYS_A_CALL", 2)
    told = []

    repaired(world, "1", "2", "3", progress=lambda *what: told.append(what))

    assert told == [("items", 2, None), ("items", 3, None)]


def test_a_throttled_read_ends_it_with_what_to_do(world):
    """The tables have to be read before anything is written."""
    plant(world)
    world.client.always("batch_get_item", THROTTLED)

    with pytest.raises(OperationError, match="try again later, or slower"):
        repaired(world, "missing")

    assert writes(world) == 0


def test_the_source_is_not_repaired(world):
    """Were it its own replica, settle would be a rewrite of every item, seen by its stream."""
    world.client.descriptions[REPLICA]["TableId"] = f"id-{SOURCE}"

    with pytest.raises(RefusedError, match="the source table itself"):
        repaired(world, "1")


def test_another_key_is_refused(world):
    """Nothing can be equal to an item of another key."""
    world.client.descriptions[REPLICA] = describe(REPLICA, ["Name"])

    with pytest.raises(RefusedError, match=r"the key of the replica 'EmployeeReplica' is Name"):
        repaired(world, "1")


def test_no_replica_is_refused(world):
    """It has to be named."""
    with pytest.raises(RefusedError, match="which replica table"):
        repair(replace(world.deployment, replica_table=None), [], pace=Pace())


# ---- Deletes, and a source that refuses -------------------------------------------------------


def many(count):
    return [f"{n:04d}" for n in range(count)]


def test_an_emptied_source_does_not_empty_the_replica(world):
    """Not an item is written; who names the replica has it emptied."""
    names = many(250)
    world.put(REPLICA, *(version(name, 1) for name in names))

    planned = repaired(world, *names, apply=False)
    with pytest.raises(RefusedError, match="the source 'Employee' is empty"):
        repaired(world, *names)

    assert "250 of about 250 items would be deleted" in planned.ended
    assert writes(world) == 0
    result = repaired(world, *names, deletes=REPLICA)
    assert (result.deleted, result.healed, result.is_clean) == (250, 250, True)
    assert world.items(REPLICA) == []


def test_a_great_share_of_deletes_is_refused(world):
    """As when most of the source was deleted by mistake; nothing is written, nor anything else."""
    names = many(300)
    world.put(REPLICA, *(version(name, 1) for name in names))
    world.put(SOURCE, version("0000", 2))

    with pytest.raises(RefusedError, match="more than a tenth"):
        repaired(world, *names)

    assert writes(world) == 0


def test_a_source_emptied_under_its_hands_ends_it(world, monkeypatch):
    """Between the look and the write; what it has deleted by then is told."""
    monkeypatch.setattr(operations.replica.repair, "KEYS_A_CALL", 50)
    names = many(400)
    world.put(SOURCE, *(version(name, 1) for name in names))
    world.put(REPLICA, *(version(name, 2) for name in names))

    def empty(_request, carry_out):
        for name in names:
            world.client.remove(SOURCE, item(name))
        return carry_out()

    world.client.script("batch_write_item", empty)

    result = repaired(world, *names)

    assert "more than a tenth" in result.ended
    assert not result.is_clean
    assert 100 < result.deleted <= 150
    assert len(world.items(REPLICA)) == 400 - result.deleted


def test_what_refuses_for_good_ends_the_run(world, monkeypatch):
    """After a minute, not a minute for each portion; what was done before is told."""
    monkeypatch.setattr(operations.replica.repair, "KEYS_A_CALL", 50)
    world.put(SOURCE, *(version(name, 1) for name in many(1000)))
    world.client.script("batch_write_item", None, None)
    world.client.always("batch_write_item", THROTTLED)

    result = repaired(world, *many(1000))

    assert "nothing has succeeded for 60 seconds" in result.ended
    assert (result.looked_at, result.healed) == (1000, 50)
    assert 50 < world.now < 100


def test_a_slow_rate_is_no_standstill(world, monkeypatch):
    """A minute that was waited for its own rate is not one of refusals."""
    monkeypatch.setattr(operations.replica.repair, "KEYS_A_CALL", 50)
    world.put(SOURCE, *(version(name, 1) for name in many(200)))
    world.client.script("batch_write_item", THROTTLED, None, THROTTLED, None, THROTTLED)

    result = repaired(world, *many(200), rate=2)

    assert result.is_clean
    assert world.now > 600


def test_reading_that_ends_half_way_tells_what_was_done(world):
    """Once something was written, an error of the next read does not hide it."""
    world.put(SOURCE, *(version(name, 1) for name in many(10)))

    def refuse(request, carry_out):
        if REPLICA in request["RequestItems"] and writes(world):
            raise THROTTLED
        return carry_out()

    world.client.always("batch_get_item", refuse)

    result = repaired(world, *many(10))

    assert "does not answer" in result.ended
    assert (result.looked_at, result.healed, result.is_clean) == (10, 0, False)
    assert world.items(REPLICA) == world.items(SOURCE)


# ---- A run that is killed ---------------------------------------------------------------------


class Killed(BaseException):
    """As if the process was gone."""


def kill(_request, carry_out):
    carry_out()
    raise Killed


def test_the_next_repair_settles_what_a_killed_one_left(world, tmp_path):
    """An item written, and deleted from the source before it was read again, is no zombie."""
    state = tmp_path / "state"
    world.put(SOURCE, version("1", 1), version("2", 1))
    world.client.script("batch_write_item", kill)
    with pytest.raises(Killed):
        repaired(world, "1", state_path=state)
    world.client.remove(SOURCE, item("1"))
    assert len(world.items(REPLICA)) == 1

    planned = repaired(world, "2", state_path=state, apply=False)
    result = repaired(world, "2", state_path=state)

    assert planned.looked_at == result.looked_at == 2
    assert world.items(REPLICA) == world.items(SOURCE) == [version("2", 1)]
    assert result.is_clean
    assert not state.exists()


def test_what_cannot_be_settled_is_left_to_the_next_repair(world, tmp_path):
    """And so on, until it is."""
    state = tmp_path / "state"
    world.put(SOURCE, version("1", 1))
    world.client.always("batch_write_item", DENIED)

    repaired(world, "1", state_path=state)
    world.client.always("batch_write_item", None)

    assert repaired(world, state_path=state).healed == 1
    assert not state.exists()


def test_a_state_file_of_another_replica_is_refused(world, tmp_path):
    """Its keys are another table's."""
    state = tmp_path / "state"
    world.put(SOURCE, version("1", 1))
    world.client.script("batch_write_item", kill)
    with pytest.raises(Killed):
        repaired(world, "1", state_path=state)
    world.client.descriptions[REPLICA]["TableId"] = "made anew"

    with pytest.raises(StateFileError, match="left by another run"):
        repaired(world, "1", state_path=state)


@pytest.mark.parametrize("history", [True, False])
def test_a_key_that_nothing_knows_is_no_success(history):
    """Named by hand it is mostly misspelt; what the history knows was deleted, and is equal."""
    with a_world(history=history) as world:
        world.write(version("known", 1))
        world.delete("known")

        named = repaired(world, "known", "misspelt", apply=False, are_named=True)
        compared = repaired(world, "known", "misspelt")

    told = {one.keys["Id"]["S"]: one.why for one in named.unhealed}
    assert told.keys() == ({"misspelt"} if history else {"known", "misspelt"})
    assert all("neither table has such an item" in why for why in told.values())
    assert (named.is_clean, named.equal) == (False, 2 - len(told))
    assert (compared.is_clean, compared.equal) == (True, 2)
