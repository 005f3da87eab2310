"""A plan that finds rows by their time is the one that asks each item, however the index lags."""

from collections import defaultdict
from itertools import pairwise
from types import SimpleNamespace
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from operations.execution.pace import Pace
from operations.recovery.bad_changes import BadItem, Selected
from operations.recovery.seen_items import SeenItems
from operations.recovery.undo import plan_undo
from reports.access.machine import Machine
from stream_core.attribute_values import same_item
from stream_core.change import EventName
from tests.factories import item, number
from tests.unit.memory_tables import HISTORY, SOURCE, Recorded, moment

NOW_S = 3 * 3600
LAG_S = 600
BASELINE = "baseline"

# Few values, so that an item often comes back to a state it had before; None deletes it.
images = st.none() | st.tuples(st.integers(1, 2), st.integers(1, 2))
# Which item, when, what it becomes, whether that is bad, and whether the index shows it.
moments = st.sampled_from([*range(0, NOW_S, 1800), *range(NOW_S - 2 * LAG_S, NOW_S, 150)])
rarely = st.sampled_from([False, False, True])
happenings = st.tuples(
    st.sampled_from("aab"), moments, images | st.just(BASELINE), st.booleans(), rarely
)


def told(happened):
    """A history in which so much happened, and what of it is bad, and hidden, by item."""
    world, bad, hidden = Recorded(), defaultdict(list), defaultdict(list)
    for name, at, image, is_bad, is_hidden in sorted(happened, key=lambda one: one[1]):
        if image == BASELINE:
            row = world.baseline(name, at)
        else:
            row = world.write(
                name, image and item(name, N=number(image[0]), M=number(image[1])), at
            )
        if row is not None and is_hidden:
            hidden[name].append(row)
        if row is not None and is_bad and image != BASELINE:
            bad[name].append(row.sort_key)
    world.client.lagging = {(row.id, row.sort_key) for rows in hidden.values() for row in rows}
    return world, bad, hidden


def planned(world, bad, *, by_time):
    """What an undo would do, by item."""
    deployment = SimpleNamespace(
        reader=world.reader,
        dynamodb=world.client,
        source_table=SOURCE,
        history_table=HISTORY,
        stream_arn=None,
    )
    items = tuple(BadItem({"Id": {"S": name}}, tuple(changes)) for name, changes in bad.items())
    machine = Machine(now=lambda: moment(NOW_S), sleep=lambda _seconds: None)
    is_many = by_time and bool(items)
    places = {(name, change) for name, changes in bad.items() for change in changes}
    known = {place: row for row in world.rows if (place := (row.id, row.sort_key)) in places}
    selected = Selected(items, (), rows=known)
    with mock.patch.object(SeenItems, "_is_many", return_value=is_many):
        undone = plan_undo(deployment, selected, pace=Pace(machine=machine))
    return {one.keys["Id"]["S"]: one for one in undone.items}


def leads_to(rows, live):
    """Whether rows, each from what the one before left, lead to what an item is."""
    changes = [row.change for row in rows if row.change.event_name is not EventName.SNAPSHOT]
    return same_item(rows[-1].change.new_image, live) and all(
        same_item(one.new_image, following.old_image) for one, following in pairwise(changes)
    )


@given(st.lists(happenings, min_size=2, max_size=12))
def test_a_lagging_index_makes_no_other_plan(happened):
    """But where all that it hides led back to where it began, and no row of late is shown.

    That is the plan as it would have been before what is hidden was recorded.
    """
    world, bad, hidden = told(happened)
    asked = planned(world, bad, by_time=False)

    by_time = planned(world, bad, by_time=True)

    for name in [name for name in bad if by_time[name] != asked[name]]:
        since = BadItem({}, tuple(bad[name])).since
        shown = [
            row
            for row in world.rows
            if row.id == name and row not in hidden[name] and row.change.created_at >= since
        ]
        assert leads_to(shown, world.live(name))
        assert shown[-1].change.created_at < moment(NOW_S - LAG_S)
        for row in hidden[name]:
            world.forget(row)
        assert by_time[name] == planned(world, bad, by_time=False)[name]


@given(st.lists(happenings, min_size=2, max_size=12))
def test_an_index_that_shows_all_makes_the_same_plan(happened):
    """Whatever happened, and when."""
    world, bad, _ = told([(*one[:-1], False) for one in happened])

    assert planned(world, bad, by_time=True) == planned(world, bad, by_time=False)
