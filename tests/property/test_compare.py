"""Any source and any replica: compare finds exactly what differs, repair leaves nothing of it."""

from hypothesis import given
from hypothesis import strategies as st

from operations.execution.pace import Pace
from operations.replica.compare import compare
from operations.replica.repair import repair
from operations.replica.sample import Sample, share_at_most
from stream_core.attribute_values import own_attributes, same_item
from tests.comparison import REPLICA, SOURCE, a_world
from tests.factories import text
from tests.strategies import few_items, respelled_items

NAMES = [f"item-{n}" for n in range(12)]
global_attributes = st.sampled_from([{}, {"aws:rep:updatetime": {"N": "1"}}])


@st.composite
def items_by_name(draw):
    """For each name an item of the source and one of the replica, or none; many are equal."""
    pairs = {}
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True)):
        source = draw(st.none() | few_items)
        copy = respelled_items(source) if source is not None else st.none()
        replica = draw(copy | st.none() | few_items)
        pairs[name] = tuple(
            None if one is None else {"Id": text(name)} | one | draw(global_attributes)
            for one in (source, replica)
        )
    return pairs


def fill(world, pairs):
    for source, replica in pairs.values():
        for table, one in ((SOURCE, source), (REPLICA, replica)):
            if one is not None:
                world.put(table, one)


def differing(pairs):
    """The names of items that are not the same."""
    return {
        name
        for name, (source, replica) in pairs.items()
        if not same_item(own_attributes(source), own_attributes(replica))
    }


def found_in(world, **options):
    comparison = compare(world.deployment, pace=Pace(machine=world.machine), **options)
    return [one.keys["Id"]["S"] for one in comparison]


@given(items_by_name(), st.integers(1, 5), st.integers(1, 7), st.integers(1, 7))
def test_exactly_what_differs_is_found_and_healed(pairs, segments, page, batch):
    """Whatever is in the tables, however it is spelled, paged and split."""
    with a_world(history=False, page=page, batch=batch) as world:
        fill(world, pairs)

        found = found_in(world, segments=segments)
        result = repair(
            world.deployment,
            map(_key, found),
            apply=True,
            deletes=REPLICA,
            pace=Pace(machine=world.machine),
        )

        assert sorted(found) == sorted(differing(pairs))
        assert result.healed == len(found)
        assert found_in(world) == []


@given(items_by_name(), st.floats(0, 1, exclude_min=True), st.integers(0, 2**64 - 1))
def test_a_sample_finds_exactly_its_part(pairs, share, seed):
    """Of what differs, what is in the sample; the same in either direction."""
    with a_world(history=False) as world:
        fill(world, pairs)

        found = found_in(world, sample=share, seed=seed)

        assert sorted(found) == sorted(filter(Sample(share, seed).has, differing(pairs)))


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_bound_is_a_share_above_what_was_seen(one, other):
    """And it is lower when more was looked at, higher when more was found."""
    found, looked_at = sorted((one, other))
    bound = share_at_most(found, looked_at)

    assert 0 < bound <= 1
    assert bound * looked_at >= found
    assert share_at_most(found, looked_at + 1) <= bound + 1e-12
    assert share_at_most(min(found + 1, looked_at), looked_at) >= bound - 1e-12


def _key(name):
    return {"Id": text(name)}
