"""The drawings of a report: what is where on a time axis, in percent, and how high bars are."""

from datetime import UTC, date, datetime, timedelta

import pytest

from reports.page import activity_chart as drawn_activity
from reports.page import timeline_chart as drawn_timeline
from reports.page.activity_chart import HEIGHT, Activity
from reports.page.time_axis import TimeAxis
from reports.states.evidence import Evidence
from reports.states.spans import timeline
from stream_core.change import EventName
from stream_core.history_row import HistoryRow
from tests.factories import change, item, text

START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(days=100)


# ---- The axis ------------------------------------------------------------------------------


@pytest.mark.parametrize(("days", "percent"), [(0, 0), (25, 25), (100, 100), (-1, 0), (101, 100)])
def test_moment_has_its_place_on_the_axis(days, percent):
    """A moment is where its share of the time is; what is off the axis is at its end."""
    assert TimeAxis.over(START, END).at(START + timedelta(days=days)) == percent


def test_instant_is_an_axis_too():
    """Times that are all the same make an axis of ten seconds, not a division by nothing."""
    axis = TimeAxis.over(START, START)

    assert (axis.at(START), axis.end - axis.start) == (0, timedelta(seconds=10))


@pytest.mark.parametrize(
    "span",
    [
        *(timedelta(seconds=n) for n in (1, 59, 61, 200, 3_599)),
        *(timedelta(hours=n) for n in (1, 5, 23, 25, 50)),
        *(timedelta(days=n) for n in (3, 7, 30, 59, 61, 100, 365, 800, 4_000, 40_000)),
    ],
    ids=str,
)
@pytest.mark.parametrize("start", [START, datetime(2026, 12, 31, 23, 59, 57, tzinfo=UTC)], ids=str)
def test_labels_are_few_and_in_order(start, span):
    """Any span of time has at most six labels, in order, none of them twice, clear of the ends."""
    ticks = TimeAxis.over(start, start + span).ticks()

    places = [tick.at for tick in ticks]
    assert places == sorted(set(places))
    assert all(12 < place < 88 for place in places)
    assert len(ticks) <= 6
    assert len({tick.label for tick in ticks}) == len(ticks)


def test_labels_stand_at_round_moments():
    """A quarter of a year is labelled by its months, each at its first day."""
    axis = TimeAxis.over(START, END)

    assert [(tick.label, tick.at) for tick in axis.ticks()] == [("2026-02", 31), ("2026-03", 59)]


# ---- The life of an item -------------------------------------------------------------------


def drawn(*images, at, drop=(), horizon=START, live="last", asked=None):
    """The drawing of an item's states, changed at so many days, some of its rows lost."""
    rows = [
        HistoryRow.from_change(
            change(old, new, at=(START + timedelta(days=day)).timestamp(), sequence=n + 1)
        )
        for n, (old, new, day) in enumerate(zip([None, *images], images, at, strict=False))
    ]
    rows = [row for n, row in enumerate(rows) if n not in drop]
    live_item = images[-1] if live == "last" else live
    keys = {"Id": text("1")}
    newest = Evidence(keys, END, END, horizon, rows[-1] if rows else None, None, True, live_item)
    return drawn_timeline.draw(list(timeline(rows, newest)), rows, horizon, END, asked)


def versions(*names):
    return [name and item("1", Name=text(name)) for name in names]


def stretches(drawing):
    return [(one.kind, one.offset, one.width, one.is_gap) for one in drawing.stretches]


def test_life_death_and_rebirth_are_stretches():
    """An item is absent, present, absent and present again; changes do not cut a stretch."""
    drawing = drawn(*versions("a", "b", None, "c"), at=[10, 20, 40, 70])

    assert stretches(drawing) == [
        ("absent", 0, 10, False),
        ("present", 10, 30, False),
        ("absent", 40, 30, False),
        ("present", 70, 30, False),
    ]
    assert [(one.at, one.kind, one.count) for one in drawing.marks] == [
        (10, "insert", 1),
        (20, "modify", 1),
        (40, "remove", 1),
        (70, "insert", 1),
    ]
    assert drawing.gaps == []


def test_missing_change_is_a_gap_between_its_neighbours():
    """Where a row is lost the time between its neighbours is a gap, and no other time is."""
    drawing = drawn(*versions("a", "b", "c", "d"), at=[10, 20, 40, 70], drop={1})

    (gap,) = drawing.gaps
    assert (gap.offset, gap.width) == (10, 30)
    assert "missing" in gap.reason


def test_two_gaps_stay_two():
    """Gaps that follow each other are not drawn as one: two changes are missing."""
    drawing = drawn(*versions("a", "b", "c", "d", "e"), at=[10, 20, 40, 60, 80], drop={1, 3})

    assert [(one.offset, one.width) for one in drawing.gaps] == [(10, 30), (40, 40)]


def test_change_that_is_not_recorded_yet_is_a_gap_at_the_end():
    """A live item that the last row did not leave is a gap that reaches up to now."""
    drawing = drawn(*versions("a"), at=[50], live=item("1", Name=text("z")))

    assert [(one.offset, one.width) for one in drawing.gaps] == [(50, 50)]


def test_changes_of_one_second_take_no_room():
    """Several changes of a second leave no stretch between them and make one mark."""
    drawing = drawn(*versions("a", "b", None, "c"), at=[10, 50, 50, 50])

    assert stretches(drawing) == [("absent", 0, 10, False), ("present", 10, 90, False)]
    assert [(one.at, one.kind, one.count) for one in drawing.marks] == [
        (10, "insert", 1),
        (50, "second", 3),
    ]


def test_changes_close_together_are_one_mark_and_not_of_one_second():
    """Changes that would cover each other are one mark that tells them from those of a second."""
    drawing = drawn(*versions("a", "b", "c", "d"), at=[10, 50, 51, 60])

    assert [(one.at, one.kind, one.count) for one in drawing.marks] == [
        (10, "insert", 1),
        (50, "many", 2),
        (60, "modify", 1),
    ]
    assert drawing.marks[1].until - drawing.marks[1].since == timedelta(days=1)


def test_very_many_changes_are_few_marks():
    """A thousand changes are as many marks as there is room for, and none is left uncounted."""
    images = versions(*(str(n) for n in range(1_000)))

    drawing = drawn(*images, at=[n / 10 for n in range(1_000)])

    assert len(drawing.marks) < 50
    assert sum(one.count for one in drawing.marks) == 1_000


def test_item_older_than_its_history_is_no_gap():
    """An item that was there before its first row is present from the beginning, without a gap."""
    drawing = drawn(*versions("a", "b"), at=[10, 50], drop={0})

    assert stretches(drawing) == [("present", 0, 100, False)]
    assert drawing.gaps == []


def test_item_without_any_row_is_drawn():
    """An item that was never recorded is one stretch without a mark."""
    drawing = drawn(at=[], live=None)

    assert stretches(drawing) == [("absent", 0, 100, False)]
    assert drawing.marks == []


def test_rows_before_the_horizon_widen_the_axis():
    """A stream is read up to a day back: rows older than the history's table are on the axis."""
    drawing = drawn(*versions("a"), at=[10], horizon=START + timedelta(days=20))

    assert drawing.axis.start == START + timedelta(days=10)


def test_asked_instant_has_its_place():
    """The instant that was asked for is where it belongs, and nowhere if none was."""
    images = versions("a")

    assert drawn(*images, at=[10], asked=START + timedelta(days=30)).asked_at == 30
    assert drawn(*images, at=[10]).asked_at is None


def test_nothing_is_drawn_after_the_reading():
    """The axis of a life of seconds runs on a little; what is drawn ends when it was read."""
    read_at = START + timedelta(seconds=5)
    newest = Evidence({"Id": text("1")}, read_at, read_at, START, None, None, True, None)

    drawing = drawn_timeline.draw(list(timeline([], newest)), [], START, read_at, instant=None)

    assert stretches(drawing) == [("absent", 0, 50, False)]


# ---- How much changed ----------------------------------------------------------------------


def activity(counts, since=START, until=END):
    return Activity(since, until, {day: {EventName.MODIFY: n} for day, n in counts.items()})


@pytest.mark.parametrize(
    ("days", "unit"), [(1, "day"), (119, "day"), (120, "week"), (800, "week"), (900, "month")]
)
def test_long_ranges_are_drawn_by_week_and_month(days, unit):
    """There are never more bars than can be told apart, and every change is in one of them."""
    counts = {(START + timedelta(days=n)).date(): 2 for n in range(days)}

    drawing = drawn_activity.draw(activity(counts, until=START + timedelta(days=days)))

    assert drawing.unit == unit
    assert len(drawing.bars) <= 122
    assert sum(bar.count for bar in drawing.bars) == 2 * days


@pytest.mark.parametrize("most", [1, 2, 3, 4, 5, 9, 10, 41, 999, 1_000, 123_456])
def test_bars_are_as_high_as_their_count(most):
    """Heights are in proportion, the highest bar is within the grid, its lines at whole numbers."""
    counts = {date(2026, 1, 2): most, date(2026, 1, 4): 1}

    drawing = drawn_activity.draw(activity(counts, until=START + timedelta(days=10)))

    high, low = (bar.blocks[0].height for bar in drawing.bars)
    assert high / most == pytest.approx(low, abs=0.01)
    assert 0 < high <= HEIGHT
    assert drawing.grid[0].count == 0
    assert drawing.grid[-1].count >= most
    assert len(drawing.grid) <= 5
    assert (drawing.grid[0].top, drawing.grid[-1].top) == (HEIGHT, 0)


def test_blocks_stand_on_each_other():
    """The blocks of a bar do not cover each other, and come in the order of the events' names."""
    day = date(2026, 1, 2)
    counted = {EventName.REMOVE: 1, EventName.INSERT: 2, EventName.SNAPSHOT: 1}
    drawing = drawn_activity.draw(Activity(START, END, {day: counted}))

    (bar,) = drawing.bars

    assert [block.event for block in bar.blocks] == [
        EventName.INSERT,
        EventName.REMOVE,
        EventName.SNAPSHOT,
    ]
    bottom = HEIGHT
    for block in bar.blocks:
        assert block.top + block.height == pytest.approx(bottom, abs=0.02)
        bottom = block.top


def test_bar_is_within_its_day():
    """A bar begins and ends within the day it stands for, the last day of the range included."""
    days = [date(2026, 1, 1), date(2026, 1, 10)]
    drawing = drawn_activity.draw(
        activity(dict.fromkeys(days, 1), until=datetime(2026, 1, 10, 23, 59, 59, tzinfo=UTC))
    )

    first, last = drawing.bars

    assert 0 < first.offset < first.offset + first.width < 10
    assert 90 < last.offset < last.offset + last.width < 100
    assert (drawing.first_day, drawing.last_day) == (days[0], days[1])


def test_few_days_have_narrow_bars_and_no_hours():
    """A single day is a bar like any other and no wall, labelled by its date alone."""
    drawing = drawn_activity.draw(activity({START.date(): 3}, until=START + timedelta(hours=5)))

    (bar,) = drawing.bars

    assert (bar.offset, bar.width) == (46, 8)
    assert drawing.ticks == []
    assert drawn_activity.draw(activity({})).ticks != []
