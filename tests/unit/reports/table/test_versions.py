"""The versions active within a range of time: which count, what is read for them, the races."""

from datetime import UTC, datetime

import pytest

from reports import Certainty, ReportError
from reports.access.progress import silent
from reports.table.versions import item_versions, table_versions
from stream_core.history_row import ID
from stream_core.item_id import CONTROL_ID
from tests.factories import item, number, text
from tests.unit.memory_tables import HISTORY, SOURCE, Recorded, moment

KEYS = {"Id": {"S": "1"}}
NOW = moment(600)


def version(count, name="1"):
    return item(name, Count=number(count))


def lived(*changes, **options):
    """An item that was so from then on, each as seconds and count, None for deleted."""
    world = Recorded(**options)
    for at, count in changes:
        world.write("1", None if count is None else version(count), at=at)
    return world


def counts(states):
    return [int(state.image["Count"]["N"]) for state in states]


def is_of_control_rows(request):
    return request.get("ExpressionAttributeValues", {}).get(":id") == text(CONTROL_ID)


def of_item(world, start, end, now=NOW):
    return list(item_versions(world.reader, KEYS, moment(start), moment(end), now))


def of_table(world, start, end, now=NOW, progress=silent):
    return list(table_versions(world.reader, moment(start), moment(end), now, progress))


either = pytest.mark.parametrize("ask", [of_item, of_table])


@either
@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 50, [0, 1, 2, 4]),
        (-5, -1, []),
        (-5, 0, [0]),
        (0, 9, [0]),
        (5, 10, [0, 1]),
        (10, 10, [1]),
        (15, 15, [1]),
        (19.5, 20, [1, 2]),
        (30, 39, []),
        (35, 40, [4]),
        (500, 600, [4]),
    ],
)
def test_a_version_is_active_from_its_change_until_just_before_the_next(ask, start, end, expected):
    """Both ends of the range are included; a version's own end is not part of it."""
    world = lived((0, 0), (10, 1), (20, 2), (30, None), (40, 4))

    assert counts(ask(world, start, end)) == expected


@either
@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (10, 10, [1, 2, 3]),
        (9, 10, [0, 1, 2, 3]),
        (10, 15, [1, 2, 3]),
        (11, 15, [3]),
        (5, 9, [0]),
    ],
)
def test_a_version_that_lasted_no_time_was_active_at_its_moment(ask, start, end, expected):
    """Three changes in one second are three versions of that second."""
    world = lived((0, 0), (10, 1), (10, 2), (10, 3))

    assert counts(ask(world, start, end)) == expected


@either
def test_what_was_before_the_first_row_is_a_version_too(ask):
    """Its image is known from that row, its beginning is not: it was so when the history began."""
    world = Recorded()
    world.client.put(SOURCE, version(7))
    world.write("1", version(8), at=100)

    first, second = ask(world, 50, 150)

    assert (first.image, first.valid_from, first.valid_to) == (
        version(7),
        moment(-86_400),
        moment(100),
    )
    assert first.certainty is Certainty.BOUNDED
    assert (second.image, second.certainty) == (version(8), Certainty.EXACT)
    assert counts(ask(world, 100, 150)) == [8]


@either
def test_an_item_without_a_row_is_a_version_too(ask):
    """As far as is recorded it has always been so."""
    world = Recorded()
    world.client.put(SOURCE, version(7))

    (state,) = ask(world, 50, 150)

    assert (state.image, state.certainty) == (version(7), Certainty.BOUNDED)


@either
def test_a_baseline_that_a_change_follows_in_its_second_is_no_version(ask):
    """It shows some moment of that second; the change says which."""
    world = lived((0, 0), (10, 1))
    world.baseline("1", at=10)

    assert counts(ask(world, 5, 50)) == [0, 1]
    assert counts(ask(world, 5, 9)) == [0]


@either
def test_the_present_version_of_a_range_that_goes_on_is_no_guess(ask):
    """What is beyond the present is not claimed, what reaches into it is told as it is."""
    world = lived((0, 0), (10, 1))

    reaching, future = ask(world, 5, 10_000), ask(world, 1000, 10_000)

    assert counts(reaching) == [0, 1]
    assert [state.certainty for state in reaching] == [Certainty.EXACT] * 2
    assert [state.certainty for state in future] == [Certainty.UNKNOWN]


@either
def test_a_row_counts_although_the_clock_here_is_behind(ask):
    """Rows are stamped by AWS; that their time has come is beyond doubt."""
    world = lived((0, 0), (605, 1), (610, 2))

    states = ask(world, 5, 1000)

    assert counts(states) == [0, 1, 2]
    assert {state.certainty for state in states} == {Certainty.EXACT}


@either
def test_a_missing_row_is_told(ask):
    """The version before it is bounded: it ended at some moment that is not recorded."""
    world = lived((0, 0), (10, 1), (20, 2), (30, 3))
    world.forget(world.rows[2])

    states = ask(world, 12, 50)

    assert [(int(one.image["Count"]["N"]), one.certainty) for one in states] == [
        (1, Certainty.BOUNDED),
        (3, Certainty.EXACT),
    ]
    assert [one.certainty for one in ask(world, 22, 25)] == [Certainty.BOUNDED]


@either
def test_a_range_that_ends_before_it_starts_is_an_error(ask):
    """Not an empty answer."""
    with pytest.raises(ReportError, match="ends before it starts"):
        ask(lived((0, 0)), 10, 9)


def test_only_the_rows_of_the_range_are_read():
    """Of a long history: the row before, those within, the one after; never the rest."""
    world = lived(*((n, n) for n in range(500)))
    world.client.requests.clear()

    assert counts(of_item(world, 200, 204)) == [200, 201, 202, 203, 204]

    ranges = [
        (values[":after"]["S"][17:19], values[":until"]["S"][14:19], request.get("Limit"))
        for _, request in world.client.requests
        if (values := request.get("ExpressionAttributeValues")) and not is_of_control_rows(request)
    ]
    assert len(ranges) == 4
    assert [limit for *_, limit in ranges].count(1) == 3
    assert world.client.calls["get_item"] == 0


def test_an_item_that_did_not_change_costs_two_rows():
    """Nothing is read of what is not in the range."""
    world = lived((0, 0), (100, 1))
    world.client.calls.clear()

    assert counts(of_item(world, 10, 50)) == [0]
    # And one that finds no run of this program.
    assert world.client.calls["query"] == 2 + 1


def test_a_row_that_arrives_meanwhile_does_not_look_like_a_gap():
    """The rows are read no further than the evidence goes."""
    world = lived((0, 0), (10, 1))
    late = world.change("1", version(2), at=20)
    world.client.put(SOURCE, version(1))

    # The third query asks for the row before the range, the fourth for those within.
    world.client.before["query"] += [None, None, lambda: world.record(late)]
    states = of_item(world, 5, 50)

    assert [(int(one.image["Count"]["N"]), one.certainty) for one in states] == [
        (0, Certainty.EXACT),
        (1, Certainty.EXACT),
    ]


def test_the_versions_of_a_table_are_those_of_its_items():
    """Live ones, dead ones, such as lived within the range only, and such as did not change."""
    world = Recorded(page=3)
    for n in range(25):
        world.write(f"steady-{n}", version(0, f"steady-{n}"), at=0)
        world.write(f"busy-{n}", version(0, f"busy-{n}"), at=0)
        world.write(f"busy-{n}", version(1, f"busy-{n}"), at=100)
        world.write(f"dead-{n}", version(0, f"dead-{n}"), at=0)
        world.write(f"dead-{n}", None, at=90)
        world.write(f"fly-{n}", version(0, f"fly-{n}"), at=100)
        world.write(f"fly-{n}", None, at=110)
        world.write(f"late-{n}", version(0, f"late-{n}"), at=300)

    states = of_table(world, 95, 200)

    found = {}
    for state in states:
        found.setdefault(state.keys["Id"]["S"], []).append(state)
    expected = {"steady": [0], "busy": [0, 1], "fly": [0]}
    assert {name: counts(versions) for name, versions in found.items()} == {
        f"{kind}-{n}": versions for kind, versions in expected.items() for n in range(25)
    }
    for versions in found.values():
        keys = versions[0].keys
        assert versions == list(item_versions(world.reader, keys, moment(95), moment(200), NOW))


def test_items_that_did_not_change_are_read_a_hundred_rows_a_call():
    """No query for any single one of them."""
    world = Recorded(shards=1)
    for n in range(200):
        world.write(f"item-{n}", version(0, f"item-{n}"), at=0)
    world.client.requests.clear()

    assert len(of_table(world, 10, 20)) == 200

    own = [
        request
        for operation, request in world.client.requests
        if operation == "query" and not is_of_control_rows(request) and "IndexName" not in request
    ]
    assert own == []
    assert world.client.calls["batch_get_item"] == 2


def test_an_item_that_changed_costs_one_query():
    """For the rows within; the rows around them come a hundred a call, the live items by a scan."""
    world = Recorded(shards=1)
    for at in (0, 15, 30):
        for n in range(20):
            world.write(f"item-{n}", version(at, f"item-{n}"), at=at)
    world.client.requests.clear()

    assert len(of_table(world, 10, 20)) == 40

    own = [
        operation
        for operation, request in world.client.requests
        if operation == "get_item" or (operation == "query" and "IndexName" not in request)
    ]
    # And one that finds no run of this program.
    assert own == ["query"] * (20 + 1)


def test_an_altered_row_before_a_range_does_not_end_the_question():
    """What is next to it is bounded."""
    world = lived((0, 0), (3600, 1), (7200, 2))
    row = world.rows[0].to_item(world.shards)
    world.client.put(HISTORY, row | {"NewImage": {"M": version(9)}})
    world.reader._strict = False

    states = list(item_versions(world.reader, KEYS, moment(3600), moment(7200), moment(9000)))

    assert counts(states) == [1, 2]


def test_a_range_may_begin_with_time_itself():
    """All that ever was, as a dimension of type 2 needs it."""
    world = lived((0, 0), (10, 1))
    ever = datetime.min.replace(tzinfo=UTC)

    of_all = table_versions(world.reader, ever, NOW, NOW, silent)

    assert counts(of_all) == [0, 1]
    assert counts(item_versions(world.reader, KEYS, ever, NOW, NOW)) == [0, 1]


def test_an_item_of_many_versions_is_streamed_by_itself():
    """Its versions are not collected: the first comes before the last is read."""
    world = lived(*((n, n) for n in range(300)), page=15)
    world.write("2", version(0, "2"), at=150)

    states = table_versions(world.reader, moment(0), moment(250), moment(300), silent)
    first, second = next(states), next(states)
    read = sum(
        operation == "query" and request["ExpressionAttributeValues"].get(":id") == {"S": "1"}
        for operation, request in world.client.requests
    )
    rest = list(states)

    assert first.keys == {ID: {"S": "2"}}
    assert counts([second, *rest]) == list(range(251))
    assert read < 10


def test_an_item_that_changed_during_the_reading_is_asked_again():
    """What looked like a gap between the last row and the live item was a row on its way."""
    world = lived((0, 0))
    row = world.change("1", version(1), at=590)
    world.client.before["batch_get_item"].append(lambda: world.record(row))

    (state,) = of_table(world, 10, 50)

    assert (state.image, state.certainty) == (version(0), Certainty.EXACT)
    assert state.valid_to == moment(590)


def test_progress_is_told():
    """Up to the last item."""
    told = {}
    world = lived((0, 0))

    of_table(world, 0, 5, progress=lambda what, done, total: told.update({what: (done, total)}))

    assert told["items"] == (1, 1)
    assert told["history rows"] == (1, 1)


@either
def test_nobody_knows_the_versions_of_a_range_in_the_future(ask):
    """What is so now is shown, and may have changed by then."""
    world = lived((0, 0))

    (future,) = ask(world, 700, 800)

    assert future.certainty is Certainty.UNKNOWN
    assert "lies in the future" in future.reason
