"""Which rows there are of a range of time: every partition, in order, a little ahead."""

import threading
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice

import pytest

from reports import ReportError
from reports.access.by_time import ByTime, count_hours
from reports.access.clients import CONCURRENCY
from tests.factories import item, number
from tests.unit.memory_tables import HISTORY, SOURCE, Recorded, counted, moment, places

HOUR = 3600
FIRST, LAST = moment(-HOUR), moment(10 * HOUR)


def entries(world, start=FIRST, end=LAST, **options):
    return list(world.reader.by_time.entries(start, end, **options))


@pytest.mark.parametrize("shards", [1, 2, 7, 100])
@pytest.mark.parametrize("page", [1, 3, 1000])
def test_entries_of_all_hours_and_shards_come_in_the_order_of_time(shards, page):
    """Every page of every partition, merged."""
    world = counted(Recorded(shards=shards, page=page), 40, items=9, step_s=701)

    found = entries(world)

    assert [(one.sort_key, one.identifier) for one in found] == places(world.rows)
    assert [one.event_name for one in found[:10]] == ["INSERT"] * 9 + ["MODIFY"]


def test_entries_of_one_moment_come_in_the_order_of_their_ids():
    """Baselines of many items share their sort key, over pages and shards."""
    world = Recorded(shards=3, page=4)
    names = [f"item-{n:02d}" for n in range(30)]
    for name in names:
        world.client.put(SOURCE, item(name))
        world.baseline(name, at=5)
    world.write("item-07", item("item-07", Count=number(1)), at=6)

    found = entries(world)

    assert [one.identifier for one in found] == [*names, "item-07"]


def asked(world):
    """The partitions that were asked, and between which sort keys."""
    values = [
        request["ExpressionAttributeValues"]
        for operation, request in world.client.requests
        if operation == "query"
    ]
    return sorted((one[":bucket"]["S"], one[":start"]["S"], one[":end"]["S"]) for one in values)


def test_only_partitions_with_rows_are_asked():
    """Each for the part of its hour that is asked about."""
    world = counted(Recorded(shards=100), 5, items=1, step_s=HOUR)

    entries(world, moment(0), moment(2 * HOUR))

    bounds = [
        ("2018-03-03T14:06:00.000000Z", "2018-03-03T14~"),
        ("2018-03-03T15", "2018-03-03T15~"),
        ("2018-03-03T16", "2018-03-03T16:06:00.000000Z#~"),
    ]
    assert [(first, last) for _, first, last in asked(world)] == bounds


@pytest.mark.parametrize("time_shards", [1, 3, None, 100])
@pytest.mark.parametrize(
    ("start", "end"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)),
        (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)),
        (moment(-30 * 24 * HOUR), moment(0)),
        (moment(0), moment(24 * HOUR)),
    ],
)
def test_a_range_costs_what_the_history_has_in_it(start, end, time_shards):
    """Of years or of a day, and whatever was said of the shards: every row for few requests."""
    world = counted(Recorded(shards=3, time_shards=time_shards), 12, items=6)
    imported = world.write("long-ago", item("long-ago"), at=-20 * 24 * HOUR)
    world.client.calls.clear()

    found = entries(world, start, end)

    rows = [imported, *world.rows[:-1]]
    inside = [row for row in rows if start <= row.change.created_at <= end]
    assert [(one.sort_key, one.identifier) for one in found] == places(inside)
    assert world.client.calls["scan"] == CONCURRENCY
    assert world.client.calls["query"] <= 4


@pytest.mark.parametrize("shards", [1, 5, 100])
def test_of_a_large_index_every_partition_that_there_can_be_is_asked(shards):
    """Listing the partitions stops when it would cost more than that."""
    world = counted(Recorded(shards=shards, time_shards=1, page=1), 300, items=40)

    found = entries(world, moment(0), moment(60))

    assert [(one.sort_key, one.identifier) for one in found] == places(world.rows[:61])
    assert len({bucket for bucket, _, _ in asked(world)}) == 100
    assert world.client.calls["scan"] <= 3 * CONCURRENCY + 25


def test_a_row_in_the_partition_of_another_hour_is_not_lost():
    """Nor is it given twice, or out of its order."""
    world = counted(Recorded(shards=2), 6, items=2, step_s=HOUR)
    for row in world.rows[1], world.rows[4]:
        stored = row.to_item(2)
        world.client.put(HISTORY, stored | {"TimeBucket": world.rows[2].to_item(2)["TimeBucket"]})

    assert [(one.sort_key, one.identifier) for one in entries(world)] == places(world.rows)


def test_the_hour_of_an_entry_is_the_hour_that_is_asked():
    """The partition is spelled as the writer spells it, at the ends of hours and days too."""
    world = Recorded(shards=100)
    for n, at in enumerate([-1, 0, 54 * 60 - 1, 54 * 60, 9 * HOUR + 53 * 60, 10 * HOUR]):
        world.write(f"item-{n}", item(f"item-{n}"), at=at)

    assert len(entries(world)) == 6


@pytest.mark.parametrize("shards", [0, 101, -1])
def test_an_impossible_number_of_shards_is_refused(shards):
    """Asking fewer partitions than there are would lose changes without a word."""
    with pytest.raises(ReportError, match=r"give 1 to 100, as the stack's output TimeShards"):
        ByTime(Recorded().client, HISTORY, shards)


def test_a_history_may_have_the_most_shards_there_are():
    """A stack may be deployed with a hundred."""
    client = Recorded().client

    assert ByTime(client, HISTORY, 100).shards == 100
    with pytest.raises(ReportError, match="101 time shards"):
        ByTime(client, HISTORY, 101)


def test_a_range_that_ends_before_it_starts_is_an_error():
    """At once, not when the first row is asked for."""
    world = Recorded()

    with pytest.raises(ReportError, match="ends before it starts"):
        world.reader.by_time.entries(moment(1), moment(0))


def test_progress_tells_the_hours():
    """Those that have rows; whoever waits sees how many are left."""
    told = []
    world = counted(Recorded(), 6, step_s=HOUR)

    entries(world, moment(0), moment(90 * HOUR), progress=lambda *what: told.append(what))

    assert told == [("hours", n, 6) for n in range(1, 7)]


def test_hours_are_those_of_the_clock():
    """A range of a second may touch two."""
    assert count_hours(moment(0), moment(0)) == 1
    assert count_hours(moment(54 * 60 - 1), moment(54 * 60)) == 2


def test_hours_are_those_of_utc_wherever_a_time_is_from():
    """In Kathmandu they begin at a quarter past."""
    world = Recorded()
    world.write("1", item("1"), at=0)
    nepal = timezone(timedelta(hours=5, minutes=45))
    start, end = (moment(at).astimezone(nepal) for at in (-60, 60))

    assert [entry.identifier for entry in entries(world, start, end)] == ["1"]
    assert count_hours(moment(-1800).astimezone(nepal), end) == 2


def test_only_what_is_near_is_read_ahead():
    """The first entries of a long range come after a few hours' queries."""
    world = counted(Recorded(shards=4), 200, step_s=HOUR)

    found = world.reader.by_time.entries(moment(0), moment(200 * HOUR))
    first = [next(found) for _ in range(3)]
    found.close()

    assert places(world.rows[:3]) == [(one.sort_key, one.identifier) for one in first]
    assert world.client.calls["query"] <= 3 * CONCURRENCY


def test_a_partition_of_many_pages_is_read_on_while_it_is_consumed():
    """One page more than is being consumed, and no further."""
    world = counted(Recorded(shards=1, page=5), 80, items=1)

    found = world.reader.by_time.entries(moment(0), moment(100))
    list(islice(found, 12))
    found.close()

    assert 3 <= world.client.calls["query"] <= 5


def test_stopping_early_asks_nothing_more():
    """Queries that wait their turn are dropped; those under way are waited for."""
    world = counted(Recorded(shards=100), 3)
    stop = threading.Event()
    world.client.before["query"] += [None] * 100 + [lambda: stop.wait(10)] * 100

    found = world.reader.by_time.entries(moment(0), moment(100 * HOUR))
    next(found)
    later = threading.Timer(0.2, stop.set)
    later.start()
    found.close()
    later.join()

    assert world.client.calls["query"] <= 100 + 2 * CONCURRENCY
