"""Whatever a faulty run leaves behind, redriving it gives the state of the run without faults."""

import gzip
import json
from dataclasses import replace

import pytest

from operations.redrive.delivery import Cause
from tests.simulation import model
from tests.simulation.faults import Faults
from tests.simulation.redriving import Bucket, mend, redrive
from tests.simulation.scenario import RATES, Outage, Scenario, Settings, Write, draw
from tests.simulation.scheduler import HOUR, SECOND
from tests.simulation.world import World, canonical

pytestmark = pytest.mark.bank

SEEDS = range(12)
_MANY = 60
"""Times that an operator tries again under faults; every one gets further or is killed."""


def kept_aside(world):
    """The objects that are not put away."""
    return [key for key in Bucket(world).keys() if not key.startswith("done/")]  # noqa: SIM118


def without_faults(scenario):
    """The same writes in a world in which nothing fails."""
    writes = tuple(replace(write, malformed="") for write in scenario.writes)
    given = scenario.settings
    world = World(
        Scenario(
            scenario.seed,
            Settings(
                given.key_shape,
                given.items,
                slow=0.0,
                clock_back=given.clock_back,
                global_table=given.global_table,
            ),
            writes,
            scenario.splits,
            scenario.remade,
        )
    )
    world.refusing = False
    world.run()
    assert kept_aside(world) == []
    return world


def state(world):
    """Both tables, images in their rows: what was refused once has them elsewhere.

    Where a row was brought back from is left out.
    """
    rows = json.loads(json.dumps(world.store.tables["history"]))
    for row in rows.values():
        row.pop("RedrivenFrom", None)
        pointer = row.pop("Overflow", None)
        if pointer is not None:
            body = world.store.buckets["overflow"][pointer["M"]["Key"]["S"]][-1]
            images = json.loads(gzip.decompress(body))
            row.update({name: {"M": image} for name, image in images.items()})
    return rows, world.store.tables["replica"]


def make_it_harsh(world):
    """From now on everything may fail again, for as long as anybody tries."""
    rates = dict.fromkeys(RATES, 0.02)
    scenario = replace(
        world.scenario,
        settings=replace(world.scenario.settings, rates=rates),
        outages=(Outage("nothing", 0, 10_000 * HOUR, ""),),
    )
    world.faults = Faults(scenario, world.rng("faults of redriving"), world.stats)


def make_it_calm(world):
    world.faults = Faults(Scenario(world.scenario.seed), world.rng("calm"), world.stats)


def lost(world):
    """Records that are neither a row nor kept aside for the history."""
    kept = records_of(world)
    return [
        record
        for record in world.source.log
        if not world.store.rows_of_event[record.true["eventID"]]
        and canonical(json.loads(record.text)) not in kept
    ]


def records_of(world):
    """What is kept aside, as text."""
    return {
        canonical(record)
        for key in kept_aside(world)
        for record in records_in(Bucket(world)._body(key))
    }


def bodies(world):
    """Every object there is."""
    bucket = Bucket(world)
    return {key: bucket._body(key) for key in bucket.keys()}  # noqa: SIM118


def records_in(body):
    document = json.loads(body)
    return document["payload"]["Records"] if "payload" in document else [document["Record"]]


def is_malformed(world, key):
    broken = {canonical(json.loads(one.text)) for one in world.source.log if not one.whole}
    return any(canonical(record) in broken for record in records_in(Bucket(world)._body(key)))


def is_forged(world, key):
    return any(canonical(one) in world.forged for one in records_in(Bucket(world)._body(key)))


def redrive_under_faults(world):
    """Try until nothing is left but what is malformed or forged, or the patience is over."""
    for _ in range(_MANY):
        result = redrive(world, failing=0.1)
        assert lost(world) == []
        left = [
            key
            for key in kept_aside(world)
            if not is_malformed(world, key) and not is_forged(world, key)
        ]
        if result is not None and not left:
            return


@pytest.mark.parametrize("seed", SEEDS)
def test_redriving_gives_the_state_of_the_run_without_faults(seed):
    """Also when the redrive itself fails and is killed; only forgeries stay, and are listed."""
    scenario = draw(seed)
    # Without a look at the source, a redrive may put an older state back.
    world = World(
        replace(scenario, settings=replace(scenario.settings, settle=True, second_look=False))
    )
    world.run()
    before = bodies(world)

    make_it_harsh(world)
    redrive(world, failing=0.1)
    assert lost(world) == []
    world.refusing = False
    redrive_under_faults(world)
    make_it_calm(world)
    unmended = redrive(world)
    left = kept_aside(world)
    after = bodies(world)
    mend(world)
    result = redrive(world)

    assert all(after.get(key, after.get(f"done/{key}")) == before[key] for key in before)
    assert {one.where for one in unmended.leftovers} == set(left)
    assert {one.why for one in unmended.leftovers} <= {Cause.MALFORMED, Cause.CONFLICT}
    assert all(is_forged(world, one.where) for one in result.leftovers)
    assert {one.why for one in result.leftovers} <= {Cause.CONFLICT}
    assert {one.where for one in result.leftovers} == set(kept_aside(world))
    assert records_of(world) == set(world.forged)
    assert model._rows(world, complete=True) == []
    calm = without_faults(world.scenario)
    assert [one.true for one in calm.source.log] == [one.true for one in world.source.log]
    assert state(world) == state(calm)
    assert world.store.broken == world.problems == []


def given_up(seed=2):
    """A world in which everything was given up for both consumers, whole batches of it."""
    writes = tuple(Write(n * SECOND, n % 3, {"Version": {"N": str(n)}}) for n in range(20))
    outages = tuple(
        Outage(resource, 0, 600 * SECOND, "AccessDeniedException")
        for resource in ("history", "replica", "source", "quarantine")
    )
    settings = Settings(batch_size=4, max_age=120 * SECOND)
    world = World(Scenario(seed, settings, writes, outages=outages))
    world.run()
    assert world.stats["fault: too old"] == 40
    return world


def test_everything_given_up_comes_back():
    """FACTS 9.58, 9.59: whole failure objects, when the stream has lost their records long ago."""
    world = given_up()
    objects = kept_aside(world)

    result = redrive(world)

    assert result.is_clean
    assert sorted(result.done) == objects
    assert (result.counts["RowsWritten"], result.records) == (20, 40)
    assert kept_aside(world) == []
    assert state(world) == state(without_faults(world.scenario))


def test_objects_of_nobody_known_go_to_both():
    """Without the mappings' and functions' names the end is the same."""
    world = given_up()

    result = redrive(world, names={})

    assert result.is_clean
    assert (result.counts["RowsWritten"], result.counts["Duplicates"]) == (20, 0)
    assert state(world) == state(without_faults(world.scenario))


def test_a_redrive_while_the_table_is_down_moves_nothing():
    """What is not stored stays, whole and where it was, and is told with the service's code."""
    world = given_up()
    objects = kept_aside(world)
    outages = tuple(
        Outage(resource, 0, 10_000 * HOUR, "AccessDeniedException")
        for resource in ("history", "replica", "source")
    )
    world.faults = Faults(replace(world.scenario, outages=outages), world.rng("down"), world.stats)

    result = redrive(world)

    assert result.done == ()
    assert kept_aside(world) == objects
    assert {one.why for one in result.leftovers} == {Cause.UNSTORED}
    assert all("AccessDeniedException" in one.reason for one in result.leftovers)
    make_it_calm(world)
    assert redrive(world).is_clean
    assert state(world) == state(without_faults(world.scenario))
