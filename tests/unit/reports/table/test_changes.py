"""Changes of a range of time: found through the index, read from the table, in order, streamed."""

import threading

import pytest

from reports import ReportError
from reports.states.selection import Selection
from reports.table.changes import changed_rows
from stream_core.change import EventName
from stream_core.errors import IntegrityError
from tests.factories import Clock, item, number, text
from tests.unit.memory_tables import HISTORY, Recorded, counted, moment, places

HOUR = 3600
FIRST, LAST = moment(-HOUR), moment(10 * HOUR)
TTL = ("Service", "dynamodb.amazonaws.com")


def changes(world, start=FIRST, end=LAST, where=None, **options):
    return list(changed_rows(world.reader, start, end, where or Selection(), **options))


def test_both_ends_are_included_to_the_microsecond():
    """A stamp equal to start or end is in; the microseconds beside it are not."""
    world = Recorded()
    rows = [world.write("1", item("1", N=number(n)), at=n / 1_000_000) for n in range(6)]

    def between(first, last):
        return places(changes(world, moment(first / 1_000_000), moment(last / 1_000_000)))

    assert between(1, 3) == places(rows[1:4])
    assert between(0, 5) == places(rows)
    assert between(4, 4) == places(rows[4:5])
    assert between(6, 9) == []


def test_an_unknown_number_of_shards_means_all_there_can_be():
    """A hundred an hour: whatever the writer's number was, nothing is missed."""
    world = counted(Recorded(shards=37, time_shards=None), 60, items=50)

    assert places(changes(world)) == places(world.rows)
    assert world.reader.by_time.shards == 100


def test_changes_are_the_stored_rows():
    """Images and all, as they were written, in the order they were made."""
    world = counted(Recorded(), 30, step_s=500)

    assert changes(world) == world.rows


def test_rows_are_read_a_hundred_a_call():
    """After a few small calls at the beginning, so that the first rows come soon."""
    world = counted(Recorded(), 450, items=40)

    assert places(changes(world)) == places(world.rows)

    sizes = [
        len(request["RequestItems"][HISTORY]["Keys"])
        for operation, request in world.client.requests
        if operation == "batch_get_item"
    ]
    assert sorted(sizes) == [1, 2, 4, 8, 16, 23, 32, 64, 100, 100, 100]


def test_the_first_rows_come_long_before_the_last_are_read():
    """Whoever pipes it into `head` does not wait for the whole year."""
    world = counted(Recorded(shards=4), 300, step_s=HOUR)

    found = changed_rows(world.reader, moment(0), moment(300 * HOUR), Selection())
    first = next(found)
    found.close()

    assert first == world.rows[0]
    assert world.client.calls["query"] < 4 * 60
    assert world.client.calls["batch_get_item"] < 7


def test_rows_that_come_back_unprocessed_are_asked_for_again(monkeypatch):
    """A throttled table slows the answer down, and takes nothing from it."""
    clock = Clock()
    monkeypatch.setattr("reports.access.machine.Machine.patience", lambda *_: clock.patience)
    world = counted(Recorded(batch=3), 40)

    assert places(changes(world)) == places(world.rows)
    assert clock.pauses_s


def test_a_row_that_is_in_the_index_and_not_in_the_table_is_an_error():
    """Rows are never deleted: one that is gone was taken away."""
    world = counted(Recorded(), 20)
    lost = world.rows[7]
    world.client.before["batch_get_item"].append(
        lambda: world.client.remove(HISTORY, lost.to_item(4))
    )

    with pytest.raises(IntegrityError, match=f"{lost.sort_key} is in the index and not in the"):
        changes(world)


def test_an_altered_row_is_an_error():
    """What does not fit its digest is no answer."""
    world = counted(Recorded(), 5)
    forged = world.rows[2].to_item(4)
    forged["NewImage"] = {"M": item("item-2", Count=number(99))}
    world.client.put(HISTORY, forged)

    with pytest.raises(IntegrityError, match="digest mismatch"):
        changes(world)


def test_event_names_are_selected_before_rows_are_read():
    """The index knows them; the other rows cost nothing."""
    world = counted(Recorded(), 50)
    gone = world.write("item-0", None, at=100)

    found = changes(world, where=Selection(event_names=frozenset({EventName.REMOVE})))

    assert found == [gone]
    assert world.client.calls["batch_get_item"] == 1


def test_baselines_are_no_changes_unless_they_are_asked_for():
    """A backfill of a million items changes none of them."""
    world = counted(Recorded(), 3)
    baseline = world.baseline("item-0", at=50)

    assert places(changes(world)) == places(world.rows[:3])
    assert changes(world, where=Selection(event_names=frozenset({EventName.SNAPSHOT}))) == [
        baseline
    ]


def test_changes_are_selected_by_attribute_and_values():
    """Filters that need images look at the rows."""
    world = Recorded()
    for at, status in enumerate(["open", "held", "open", "closed"]):
        world.write("1", item("1", status=text(status)), at=at)

    where = Selection(attribute=("status",), old="open", new="closed")

    assert changes(world, where=where) == world.rows[3:]


@pytest.mark.parametrize("identifier", [None, "1"])
def test_deletes_of_nobody_are_counted_where_an_actor_is_asked_for(identifier):
    """They are no answer, and the caller can say that they are there."""
    world = Recorded()
    made = world.write("1", item("1", by=text("ada")), at=0)
    gone = world.write("1", None, at=1)
    world.write("1", item("1", by=text("bob")), at=2)
    world.write("1", None, at=3, user_identity=TTL)
    undecided = []

    found = changes(
        world,
        where=Selection(actor="ada", actor_attribute=("by",)),
        identifier=identifier,
        undecided=undecided.append,
    )

    assert (found, undecided) == ([made], [gone])


def test_changes_of_one_item_are_read_from_the_table_itself():
    """Its own rows, both ends included, and nothing of the index."""
    world = counted(Recorded(), 30, items=3)
    own = [row for row in world.rows if row.id == "item-1"]
    world.baseline("item-1", at=10)

    found = changes(world, moment(4), moment(16), identifier="item-1")

    assert found == own[1:6]
    assert all("IndexName" not in request for _, request in world.client.requests)


def test_stopping_early_leaves_no_thread():
    """A pipe that is closed ends the work."""
    world = counted(Recorded(), 500, step_s=60)
    before = threading.active_count()

    found = changed_rows(world.reader, FIRST, LAST, Selection())
    next(found)
    assert threading.active_count() > before
    found.close()

    assert threading.active_count() == before
    assert world.client.calls["query"] < 4 * 11


def test_an_error_leaves_no_thread(monkeypatch):
    """Even while somebody still looks at the error."""
    world = counted(Recorded(), 500, step_s=60)
    before = threading.active_count()

    def fail(_keys):
        raise IntegrityError("no")

    monkeypatch.setattr(world.reader, "fetch", fail)
    with pytest.raises(IntegrityError) as caught:
        changes(world)

    assert threading.active_count() == before
    assert caught.traceback


def test_an_index_that_lags_shows_the_rest_later():
    """The documented limit: a change of the last second may not be in the index yet."""
    world = counted(Recorded(), 3)
    world.client.lagging.add((world.rows[2].id, world.rows[2].sort_key))

    assert changes(world) == world.rows[:2]
    world.client.lagging.clear()
    assert changes(world) == world.rows


def test_a_range_that_ends_before_it_starts_is_an_error():
    """At once, not when the first row is asked for."""
    world = Recorded()

    with pytest.raises(ReportError, match="give the earlier time first"):
        changed_rows(world.reader, moment(1), moment(0), Selection())
