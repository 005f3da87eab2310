"""The whole table at an instant: which way is taken and why, what it costs, and the races."""

import threading
from datetime import timedelta
from itertools import count

import pytest

from reports import Certainty, UncertainError
from reports.access.clients import CONCURRENCY
from reports.access.progress import silent
from reports.states.timeline import judge
from reports.states.watermark import Basis, NoWatermark
from reports.table.as_of import table_states
from reports.table.known_items import KnownItem, in_batches
from stream_core.history_row import HistoryRow
from tests.factories import Clock, change, item, number, text
from tests.unit.memory_tables import HISTORY, SOURCE, Recorded, moment, require_consistent_reads

DAY = 86400
NOW = moment(600)


def version(name, count):
    return item(name, Count=number(count))


def ask(world, at, *, now=NOW, certain=False, progress=silent):
    return table_states(world.reader, moment(at), now, certain=certain, progress=progress)


def history(world, at, **options):
    """What the history says, whatever would be cheaper."""
    answer = ask(world, at, **options)
    assert answer.method == "history"
    return list(answer.states)


def rewind(world, at, **options):
    """What rewinding says; the sizes are such that it is the cheaper way."""
    world.counted(rows=10_000_000)
    answer = ask(world, at, **options)
    assert answer.method == "rewind"
    return list(answer.states)


both_ways = pytest.mark.parametrize("method", [history, rewind])


def images(states):
    return {state.keys["Id"]["S"]: state.image for state in states}


def inserted(world, items, at=0):
    for n in range(items):
        world.write(f"item-{n:03d}", version(f"item-{n:03d}", 0), at=at)
    return world


def changed(world, items, count, at):
    for n in range(items):
        world.write(f"item-{n:03d}", version(f"item-{n:03d}", count), at=at)
    return world


# ---- What is answered ---------------------------------------------------------------------------


@both_ways
@pytest.mark.parametrize("page", [7, 1000])
def test_a_table_of_more_than_one_call_is_answered_whole(method, page):
    """Over a hundred items on many pages, each as it was, those deleted since among them."""
    world = changed(inserted(Recorded(page=page), 130), 80, 1, at=100)
    for n in range(110, 130):
        world.write(f"item-{n:03d}", None, at=100)
    world.write("new", version("new", 0), at=100)

    before, after = method(world, 99), method(world, 100)

    assert images(before) == {f"item-{n:03d}": version(f"item-{n:03d}", 0) for n in range(130)}
    assert images(after) == {
        **{f"item-{n:03d}": version(f"item-{n:03d}", int(n < 80)) for n in range(110)},
        "new": version("new", 0),
    }


def test_the_history_is_exact_where_it_is_complete():
    """With the rows, and the times, that `as_of` gives for every single item."""
    world = changed(inserted(Recorded(), 30), 20, 1, at=100)

    states = history(world, 50)

    assert {state.certainty for state in states} == {Certainty.EXACT}
    assert all(state.row.change.event_name == "INSERT" for state in states)
    assert {state.valid_to for state in states} == {moment(100), None}
    for state in states:
        assert state == judge(world.reader.evidence(state.keys, moment(50), NOW))


@both_ways
def test_rows_that_come_back_unprocessed_are_asked_for_again(method, monkeypatch):
    """A throttled table slows the answer down, and takes nothing from it."""
    clock = Clock()
    monkeypatch.setattr("reports.access.machine.Machine.patience", lambda *_: clock.patience)
    world = changed(inserted(Recorded(batch=7), 40), 40, 1, at=100)

    assert len(images(method(world, 50))) == 40
    assert clock.pauses_s


@both_ways
def test_a_key_of_two_attributes_is_told_by_its_names(method):
    """Whether the item is live, or gone and known from its rows only."""
    names = ("Team", "Employee")
    world = Recorded(key_names=names)
    live, gone = ({"Team": text("a|b"), "Employee": text(one)} for one in ("1", "2"))
    for sequence, (old, new, at) in enumerate(
        [(None, live, 0), (None, gone, 0), (gone, None, 100)], 1
    ):
        world.record(
            HistoryRow.from_change(
                change(old, new, key_names=names, at=moment(at).timestamp(), sequence=sequence)
            )
        )
    world.client.put(SOURCE, live)

    states = method(world, 50)

    assert sorted(state.keys["Employee"]["S"] for state in states) == ["1", "2"]
    assert all(state.keys == state.image for state in states)


@both_ways
def test_an_item_without_a_row_is_what_it_is_now(method):
    """It was there before the history began and never changed since, as far as is recorded."""
    world = inserted(Recorded(), 3)
    world.client.put(SOURCE, version("old", 7))

    (state,) = [state for state in method(world, 50) if state.keys["Id"]["S"] == "old"]

    assert (state.image, state.certainty) == (version("old", 7), Certainty.BOUNDED)
    assert "as far as is recorded" in state.reason or "nothing recorded since" in state.reason


def test_absences_are_told_only_where_they_are_not_sure():
    """An item that was surely not there is no part of the table."""
    world = Recorded(source=False)
    world.write("gone", version("gone", 0), at=0)
    world.write("gone", None, at=10)
    world.write("later", version("later", 0), at=100)

    states = history(world, 50)

    assert [(one.keys["Id"]["S"], one.image, one.certainty) for one in states] == [
        ("gone", None, Certainty.UNKNOWN)
    ]


def test_without_a_source_nothing_vouches_for_the_last_rows():
    """And items without a row are not known at all."""
    world = changed(inserted(Recorded(source=False), 2), 1, 1, at=100)
    world.client.put(SOURCE, version("old", 7))

    states = history(world, 50)

    assert {one.keys["Id"]["S"]: one.certainty for one in states} == {
        "item-000": Certainty.EXACT,
        "item-001": Certainty.UNKNOWN,
    }


def test_a_missing_row_bounds_the_answer():
    """After the item has been asked for by itself, so it is not a matter of bad timing."""
    world = inserted(Recorded(), 3)
    lost = world.write("item-001", version("item-001", 1), at=10)
    world.write("item-001", version("item-001", 2), at=100)
    world.forget(lost)

    weak = [state for state in history(world, 50) if state.certainty is not Certainty.EXACT]

    assert images(weak) == {"item-001": version("item-001", 0)}
    assert "a change is missing" in weak[0].reason


def test_what_an_untouched_item_rests_on_is_said_in_words():
    """Rewinding vouches for nothing that it did not look at."""
    world = changed(inserted(Recorded(), 2), 1, 1, at=100)

    by_name = {state.keys["Id"]["S"]: state for state in rewind(world, 50)}

    assert by_name["item-000"].certainty is Certainty.EXACT
    assert by_name["item-001"].certainty is Certainty.BOUNDED
    assert "a change still on its way would not show" in by_name["item-001"].reason


def test_an_answer_later_than_the_watermark_says_so_as_a_whole():
    """An item of which nothing has arrived yet has no line that could be bounded."""
    world = inserted(Recorded(), 1)
    world.reader.watermark = NoWatermark()

    past, present = ask(world, 50), ask(world, 600)

    assert NoWatermark().reason in past.reason
    assert NoWatermark().reason not in present.reason


def test_what_rewinding_does_not_see_is_said_of_the_whole():
    """A lost delete, and a lost change: of the past; of the present there is nothing to see."""
    world = inserted(Recorded(), 3)
    for row in (
        world.write("item-000", None, at=100),
        world.write("item-001", version("item-001", 1), at=100),
    ):
        world.forget(row)
    world.counted(rows=10_000_000)

    past, present = ask(world, 50), ask(world, 600)

    assert "does not see an item whose delete is lost" in past.reason
    assert images(past.states) == {
        "item-001": version("item-001", 1),
        "item-002": version("item-002", 0),
    }
    assert "does not see" not in present.reason
    assert "does not see" not in ask(world, 50, certain=True).reason
    assert images(history(Recorded(), 50)) == {}


# ---- What it costs ------------------------------------------------------------------------------


def test_the_history_is_read_without_its_images_and_rows_a_hundred_a_call():
    """One scan of each table, the rows next to the instant, and no request for a single item."""
    world = inserted(Recorded(shards=1), 105)
    for at in range(1, 5):
        changed(world, 105, at, at=10 * at)
    world.client.requests.clear()

    states = history(world, 25)

    assert len(states) == 105
    scans = [request for operation, request in world.client.requests if operation == "scan"]
    projected = [one for one in scans if one["TableName"] == HISTORY]
    assert {*projected[0]["ExpressionAttributeNames"].values()} == {
        "Id",
        "ApproximateCreationDateTime",
        "EventName",
    }
    assert all(one["ConsistentRead"] or "IndexName" in one for one in scans)
    calls = [
        len(request["RequestItems"][HISTORY]["Keys"])
        for operation, request in world.client.requests
        if operation == "batch_get_item"
    ]
    assert sorted(calls) == [10, 100, 100]
    assert all(
        "IndexName" in request
        for operation, request in world.client.requests
        if operation in {"query", "get_item"}
    )


def test_an_item_that_only_lacks_a_baseline_is_not_asked_for_again():
    """In a young history that is nearly every item, and no answer would change."""
    world = Recorded()
    for n in range(20):
        world.client.put(SOURCE, version(f"item-{n:03d}", 7))
    changed(world, 10, 8, at=100)
    world.client.requests.clear()

    states = history(world, 50)

    assert {state.certainty for state in states} == {Certainty.BOUNDED}
    assert images(states) == {f"item-{n:03d}": version(f"item-{n:03d}", 7) for n in range(20)}
    assert all(
        "IndexName" in request
        for operation, request in world.client.requests
        if operation in {"query", "get_item"}
    )


@pytest.mark.parametrize("skew_s", [-300, 3600])
def test_the_present_is_when_the_service_answered(skew_s):
    """Whatever the clock here says: a row that is older than the answer is no later one."""
    world = inserted(Recorded(), 1)
    answered = NOW + timedelta(seconds=skew_s)
    made_s = (answered - moment(0)).total_seconds() - 60
    row = world.write("item-000", version("item-000", 2), at=made_s)
    world.client.clock = lambda: answered

    state = judge(world.reader.evidence({"Id": text("item-000")}, NOW, NOW))

    assert (state.at, state.row, state.basis) == (answered, row, Basis.LIVE)
    past = judge(world.reader.evidence({"Id": text("item-000")}, moment(50), NOW))
    assert past.at == moment(50)


@pytest.mark.parametrize("way", [history, rewind])
def test_an_item_of_the_present_is_of_when_its_page_was_read(way):
    """A scan takes minutes: they are no single instant."""
    world = inserted(Recorded(page=2), 9)
    seconds = count(1)
    world.client.clock = lambda: NOW + timedelta(seconds=next(seconds))

    states = way(world, (NOW - moment(0)).total_seconds())

    assert len(states) == 9
    assert {state.basis for state in states} == {Basis.LIVE}
    assert len({state.at for state in states}) > 1
    assert all(state.at > NOW for state in states)


def test_what_was_before_the_table_was_made_anew_is_not_rewound():
    """The live table holds nothing of the one before, whose items have no row since."""
    world = inserted(Recorded(), 3)
    world.counted(rows=10_000_000)
    world.client.descriptions[SOURCE]["CreationDateTime"] = moment(100)

    before, since = ask(world, 99), ask(world, 100)

    assert (before.method, since.method) == ("history", "rewind")
    assert "made anew since" in before.reason


def test_rewinding_asks_only_for_what_changed_since():
    """A change stamped at the instant itself is part of the answer, not to be taken back."""
    world = changed(inserted(Recorded(), 50), 20, 1, at=50)
    changed(world, 3, 2, at=100)
    world.client.requests.clear()

    states = rewind(world, 50)

    assert len(states) == 50
    own = [
        request
        for operation, request in world.client.requests
        if operation == "query" and "IndexName" not in request
    ]
    assert {one["ExpressionAttributeValues"][":id"]["S"] for one in own} == {
        "item-000",
        "item-001",
        "item-002",
    }
    assert not any(
        request["TableName"] == HISTORY and "IndexName" not in request
        for operation, request in world.client.requests
        if operation == "scan"
    )


MILLION = {"rows": 1_000_000, "items": 1_000_000}


@pytest.mark.parametrize(
    ("at", "sizes", "options", "method", "reason"),
    [
        (540, MILLION, {}, "rewind", "cheaper than reading the whole history"),
        (-DAY / 2, MILLION, {}, "history", "no dearer than rewinding"),
        (540, {"rows": 9000}, {}, "history", "small enough to be read"),
        (540, {"rows": 20_000}, {}, "rewind", "39 requests to the index"),
        (-3000, {"rows": 20_000}, {}, "history", "228 requests to the index"),
        (540, MILLION, {"source": False}, "history", "no source table was given"),
        (-2 * DAY, MILLION, {}, "history", "outside the recorded history"),
        (700, MILLION, {}, "history", "outside the recorded history"),
        (540, {"rows": 0}, {}, "history", "not counted the history's rows yet"),
    ],
)
def test_the_cheaper_way_is_taken_and_told(at, sizes, options, method, reason):
    """By the tables' sizes, the changes to take back and the requests that takes."""
    world = Recorded(**options)
    world.counted(**sizes)

    answer = ask(world, at)

    assert answer.method == method
    assert reason in answer.reason
    assert answer.at == moment(at)


def test_the_reason_counts_what_was_weighed():
    """A day of history and ten minutes, of which the last minute and a half is to be taken back."""
    world = Recorded(shards=3)
    world.counted(rows=870_000, items=1000)

    answer = ask(world, 510)

    assert "about 900 of 870000 rows and 125 requests to the index" in answer.reason


def test_an_instant_before_the_history_says_what_cannot_show():
    """What was deleted by then left no trace, so the answer may lack items."""
    world = inserted(Recorded(), 1)

    answer = ask(world, -2 * DAY)

    assert "what was deleted before the history began at 2018-03-02T14:06:00Z" in answer.reason
    assert [state.certainty for state in answer.states] == [Certainty.UNKNOWN]


def test_what_is_read_at_once_is_bounded_by_rows_and_by_items():
    """A hundred of either: items without rows hold their live images."""
    with_rows = [KnownItem("a", before="1", after="2") for _ in range(120)]
    without = [KnownItem("b") for _ in range(250)]
    long_life = [KnownItem("c", within=99, after="2"), KnownItem("d", before="1")]

    batches = list(in_batches([*with_rows, *without, *long_life]))

    assert [len(batch) for batch in batches] == [50, 50, 100, 100, 71, 1]
    assert [one for batch in batches for one in batch] == [*with_rows, *without, *long_life]


# ---- Certainty ----------------------------------------------------------------------------------


def test_a_certain_answer_takes_the_history():
    """Whatever it costs."""
    world = changed(inserted(Recorded(), 5), 5, 1, at=100)
    world.counted(rows=1_000_000)

    answer = ask(world, 540, certain=True)

    assert answer.method == "history"
    assert "makes a state certain" in answer.reason
    assert len(list(answer.states)) == 5


def test_a_certain_answer_is_refused_at_the_first_weaker_state():
    """The error names the item, the instant and the reason."""
    world = inserted(Recorded(), 5)
    world.client.put(SOURCE, version("item-003", 9))

    answer = ask(world, 50, certain=True)

    with pytest.raises(
        UncertainError, match=r"Id=item-003 as of 2018-.* is only bounded: the live item has chang"
    ):
        list(answer.states)


@pytest.mark.parametrize(
    ("at", "why"), [(-2 * DAY, "the history began later, at 2018"), (601, "lies in the future")]
)
def test_a_certain_answer_is_refused_where_no_history_can_give_it(at, why):
    """At once: also an empty table would be a guess."""
    with pytest.raises(UncertainError, match=why):
        ask(Recorded(), at, certain=True)


# ---- Races --------------------------------------------------------------------------------------


def test_a_row_that_arrives_during_the_reading_is_no_gap():
    """The item is asked for again, and its answer is exact after all."""
    world = inserted(Recorded(), 3)
    row = world.change("item-001", version("item-001", 1), at=100)
    world.client.before["batch_get_item"].append(lambda: world.record(row))

    states = history(world, 50)

    assert images(states)["item-001"] == version("item-001", 0)
    assert {state.certainty for state in states} == {Certainty.EXACT}


def test_a_change_that_is_recorded_behind_the_scan_is_caught_up():
    """An item without any other row: its live image is younger than the instant."""
    world = inserted(Recorded(), 1)
    world.client.put(SOURCE, version("old", 7))
    modified = world.change("old", version("old", 8), at=590)
    born = world.change("new", version("new", 0), at=590)
    pages = []

    def after_the_scan(what, *_):
        pages.append(what)
        if pages.count("history rows") == CONCURRENCY:
            world.record(modified)
            world.record(born)
            pages.append("history rows")

    states = history(world, 50, progress=after_the_scan)

    assert images(states) == {
        "item-000": version("item-000", 0),
        "old": version("old", 7),
    }


@both_ways
def test_changes_during_the_live_scan_make_no_wrong_answer(method):
    """Seen live or not, each is taken back by its row."""
    world = inserted(Recorded(page=2), 30)

    def meanwhile():
        changed(world, 30, 1, at=595)
        world.write("item-007", None, at=595)
        world.write("new", version("new", 0), at=595)

    for _ in range(10):
        world.client.before["scan"].append(lambda: None)
    world.client.before["scan"].append(meanwhile)

    assert images(method(world, 50)) == {
        f"item-{n:03d}": version(f"item-{n:03d}", 0) for n in range(30)
    }


def test_changes_later_than_the_question_are_taken_back_too():
    """The reading takes its time, and clocks differ by minutes."""
    world = inserted(Recorded(), 3)
    changed(world, 3, 1, at=900)

    assert images(rewind(world, 50)) == {
        f"item-{n:03d}": version(f"item-{n:03d}", 0) for n in range(3)
    }


@both_ways
def test_a_change_on_its_way_is_never_called_exact(method):
    """Neither in the index nor in the history yet."""
    world = inserted(Recorded(), 1)
    world.change("item-000", version("item-000", 1), at=599)

    (state,) = method(world, 50)

    assert state.certainty is Certainty.BOUNDED


# ---- Progress, and stopping ---------------------------------------------------------------------


@both_ways
def test_progress_is_told(method):
    """What is being read, how much of it, and the items handed out to the last."""
    told = {}
    world = changed(inserted(Recorded(page=5), 20), 20, 1, at=100)

    method(world, 50, progress=lambda what, done, total: told.update({what: (done, total)}))

    assert told["items"] == (20, 20)
    assert told["live items"] == (20, 100 if method is rewind else 20)
    assert told["hours"][0] == told["hours"][1]
    if method is history:
        assert told["history rows"] == (40, 40)


@both_ways
def test_stopping_early_leaves_no_thread(method):
    """A pipe that is closed ends the work, long before everything is read."""
    world = changed(inserted(Recorded(), 450), 450, 1, at=100)
    if method is rewind:
        world.counted(rows=10_000_000)
    before = threading.active_count()

    handed_out = []
    states = ask(world, 50, progress=lambda what, done, _: handed_out.append((what, done))).states
    next(states)
    states.close()

    assert threading.active_count() == before
    # 900 rows are nine calls for the history, and eleven for rewinding, which begins small.
    assert world.client.calls["batch_get_item"] < 9
    assert ("items", 450) not in handed_out


def test_nothing_is_read_before_the_states_are():
    """Which way is taken is told first; the tables are described, no more."""
    world = inserted(Recorded(), 3)

    ask(world, 50)

    assert {*world.client.calls} == {"describe_table"}


@both_ways
def test_every_read_of_a_table_is_consistent(method):
    """A replica of the table that lags behind would make an exact answer change later."""
    world = changed(inserted(Recorded(), 5), 3, 1, at=100)
    world.client.requests.clear()

    method(world, 50)

    require_consistent_reads(world.client)


@both_ways
def test_the_live_table_is_read_before_the_history(method):
    """What shows in a live item then has had all that time to be recorded."""
    world = changed(inserted(Recorded(), 5), 3, 1, at=100)
    world.client.requests.clear()

    method(world, 50)

    read = [
        (operation, request["TableName"])
        for operation, request in world.client.requests
        if operation in {"scan", "query"}
    ]
    assert read[0] == ("scan", SOURCE)


@pytest.mark.parametrize("items", [1_000_000, 0])
def test_a_changed_item_costs_three_requests(items):
    """So one change in a hundred is dear enough, also where AWS has not counted the items yet."""
    world = Recorded()
    world.counted(rows=1_000_000, items=items)

    assert ask(world, -270).method == "history"
    assert ask(world, -120).method == "rewind"


def test_the_moment_the_history_began_is_within_it():
    """It can be rewound to."""
    world = Recorded()
    world.counted(rows=1_000_000, items=1)

    assert "outside the recorded history" not in ask(world, -DAY).reason
    assert "outside the recorded history" in ask(world, -DAY - 1).reason
