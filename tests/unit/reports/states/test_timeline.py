"""A state is called exact only where one missing record would have shown."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reports.states.evidence import Evidence
from reports.states.lives import Lives
from reports.states.provenance import Provenance
from reports.states.spans import spoken_for, timeline
from reports.states.timeline import Certainty, judge, weaker_of
from reports.states.watermark import Basis, NoWatermark, Watermark
from stream_core.change import EventName
from stream_core.history_row import HistoryRow
from tests.factories import (
    COMPLETE,
    NOON,
    RECORDED,
    STREAM_ARN,
    TABLE_ARN,
    change,
    item,
    number,
    vouched,
)
from tests.recorded_history import resealed

MOMENT = datetime.fromtimestamp(NOON, UTC)
HORIZON, NOW = MOMENT - timedelta(days=1), MOMENT + timedelta(days=1)
ONE, TWO, THREE = (item("1", Count=number(n)) for n in (1, 2, 3))


def row(old=None, new=None, *, hours=0):
    return HistoryRow.from_change(change(old, new, at=NOON + 3600 * hours))


def baseline(image, *, hours=0):
    found = change(None, image, at=NOON + 3600 * hours)
    return HistoryRow.from_change(
        replace(found, event_name=EventName.SNAPSHOT, sequence_number="0")
    )


def state(*, at=MOMENT, now=NOW, **evidence):
    return judge(Evidence({"Id": {"S": "1"}}, at, now, HORIZON, **(COMPLETE | evidence)))


@pytest.mark.parametrize(
    ("before", "after", "image"),
    [
        (row(None, ONE), row(ONE, TWO, hours=1), ONE),
        (row(ONE, TWO), row(TWO, None, hours=1), TWO),
        (row(ONE, None), row(None, TWO, hours=1), None),
    ],
)
def test_rows_that_fit_each_other_make_the_state_between_them_exact(before, after, image):
    """The NewImage of the row before is the OldImage of the row after."""
    answer = state(before=before, after=after)

    assert (answer.image, answer.certainty) == (image, Certainty.EXACT)
    assert (answer.valid_from, answer.valid_to) == (MOMENT, MOMENT + timedelta(hours=1))
    assert answer.row is before


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (row(None, ONE), row(TWO, THREE, hours=1)),
        (row(None, ONE), row(None, TWO, hours=1)),
        (row(ONE, None), row(TWO, THREE, hours=1)),
    ],
)
def test_a_missing_change_between_two_rows_bounds_the_answer(before, after):
    """FACTS 9.53: a broken link is never passed over."""
    answer = state(before=before, after=after)

    assert answer.certainty is Certainty.BOUNDED
    assert "a change is missing" in answer.reason


def test_the_last_row_is_exact_only_with_the_live_item_behind_it():
    """Without the source table nothing vouches for the newest state; a different item bounds it."""
    last = row(ONE, TWO)

    assert state(before=last, live_was_read=True, live=TWO).certainty is Certainty.EXACT
    assert state(before=last, live_was_read=True, live=THREE).certainty is Certainty.BOUNDED
    assert state(before=last, live_was_read=True, live=None).certainty is Certainty.BOUNDED
    assert state(before=last).certainty is Certainty.UNKNOWN
    assert state(before=last, live_was_read=True, live=TWO).valid_to is None


def test_nobody_knows_the_future():
    """An instant later than the evidence is unknown, whatever the evidence says."""
    later = NOW + timedelta(seconds=1)

    for live in (TWO, None):
        answer = state(at=later, before=row(ONE, TWO), live_was_read=True, live=live)
        assert answer.certainty is Certainty.UNKNOWN
    assert state(at=later, live_was_read=True, live=None).certainty is Certainty.UNKNOWN


def test_before_the_first_row_its_old_image_stands():
    """An INSERT proves that there was nothing; anything else shows what was, not since when."""
    inserted = state(after=row(None, ONE, hours=1))
    modified = state(after=row(ONE, TWO, hours=1))
    removed = state(after=row(TWO, None, hours=1))

    assert (inserted.image, inserted.certainty) == (None, Certainty.EXACT)
    assert (modified.image, modified.certainty) == (ONE, Certainty.BOUNDED)
    assert (removed.image, removed.certainty) == (TWO, Certainty.BOUNDED)
    assert (modified.valid_from, modified.may_be_older) == (HORIZON, True)
    assert modified.valid_to == MOMENT + timedelta(hours=1)


def test_a_baseline_shows_the_state_on_both_its_sides():
    """A SNAPSHOT changes nothing: what it found had been so, and stays so until the next row."""
    snapshot = baseline(ONE, hours=1)

    before = state(after=snapshot)
    after = state(at=MOMENT + timedelta(hours=2), before=snapshot, after=row(ONE, TWO, hours=3))
    linked = state(before=row(None, ONE), after=snapshot)

    assert (before.image, before.certainty) == (ONE, Certainty.BOUNDED)
    assert (after.image, after.certainty) == (ONE, Certainty.EXACT)
    assert (linked.image, linked.certainty) == (ONE, Certainty.EXACT)


@pytest.mark.parametrize("evidence", [{"after": row(None, ONE)}, {"live_was_read": True}])
def test_nothing_is_known_before_the_horizon(evidence):
    """Before the history began even an INSERT proves nothing."""
    answer = state(at=HORIZON - timedelta(seconds=1), **evidence)

    assert answer.certainty is Certainty.UNKNOWN
    assert answer.reason == "the history began later, at 2018-03-02T14:06:00Z"
    assert (answer.valid_from, answer.valid_to) == (None, HORIZON)


def test_without_any_row_the_live_item_stands_but_is_not_exact():
    """A change on its way would not show; an item that is nowhere was never there."""
    present = state(live_was_read=True, live=ONE)
    absent = state(live_was_read=True, live=None)
    unread = state()

    assert (present.image, present.certainty) == (ONE, Certainty.BOUNDED)
    assert (absent.image, absent.certainty) == (None, Certainty.EXACT)
    assert (unread.image, unread.certainty) == (None, Certainty.UNKNOWN)


LATER = MOMENT + timedelta(hours=1)


def recorded_until(moment):
    return Watermark(moment, Basis.MEASURED, "measured by the test")


@pytest.mark.parametrize(
    "evidence",
    [
        {"before": row(None, ONE, hours=-2), "after": row(ONE, TWO, hours=2)},
        {"before": row(None, ONE, hours=-2), "live_was_read": True, "live": ONE},
        {"after": row(None, ONE, hours=2)},
        {"live_was_read": True},
    ],
)
def test_exact_is_what_lies_before_the_watermark(evidence):
    """A stamp is a whole second: all of the instant's own second has to be covered."""
    tick = timedelta(seconds=1)

    covered = state(**evidence, watermark=recorded_until(MOMENT + tick))
    fresh = state(**evidence, watermark=recorded_until(MOMENT + tick - timedelta(microseconds=1)))
    unmarked = state(**evidence, watermark=NoWatermark())

    within = state(**evidence, at=MOMENT + tick / 2, watermark=recorded_until(MOMENT + tick))
    assert (covered.certainty, covered.basis) == (Certainty.EXACT, Basis.MEASURED)
    assert within.certainty is Certainty.EXACT
    assert (fresh.certainty, fresh.basis) == (Certainty.BOUNDED, None)
    assert "a change of the last 24 hours may still be on its way" in fresh.reason
    assert (unmarked.certainty, unmarked.basis) == (Certainty.BOUNDED, None)
    assert "give --stack or --recorded-until" in unmarked.reason


def test_a_change_is_on_its_way_only_while_it_can_be():
    """Before the watermark it is missing; without one, before what the stream still holds."""
    gap = {"before": row(None, ONE), "after": row(TWO, THREE, hours=1)}

    fresh = state(**gap, watermark=recorded_until(MOMENT))
    missing = state(**gap, watermark=recorded_until(LATER))
    young, old = (
        state(**gap, now=LATER + age, watermark=NoWatermark())
        for age in (timedelta(hours=23), timedelta(hours=25))
    )

    assert {answer.certainty for answer in (fresh, missing, young, old)} == {Certainty.BOUNDED}
    assert "still on its way, or is missing" in fresh.reason
    assert "still on its way, or is missing" in young.reason
    assert missing.reason == old.reason == "a change is missing between the rows before and after"


@pytest.mark.parametrize("live", [TWO, None])
def test_the_state_now_is_the_live_item(live):
    """Whatever is recorded: what was read consistently is so, without any watermark."""
    now = {"at": NOW, "live_was_read": True, "live": live, "watermark": NoWatermark()}

    recorded = state(before=row(ONE, live), **now)
    behind = state(before=row(None, ONE), **now)
    alone = state(**now)

    for answer in (recorded, behind, alone):
        assert (answer.image, answer.certainty) == (live, Certainty.EXACT)
        assert (answer.basis, answer.is_current) == (Basis.LIVE, live is not None)
    assert recorded.valid_from == MOMENT
    assert (behind.valid_from, behind.row, behind.is_contradicted) == (None, None, True)
    assert "not recorded yet, or is missing" in behind.reason


def test_a_row_later_than_now_shows_that_the_item_was_read_later():
    """Then it is no longer what it was at the moment asked for, which the rows tell."""
    answer = state(
        at=NOW,
        before=row(None, ONE),
        after=row(ONE, TWO, hours=25),
        live_was_read=True,
        live=TWO,
    )

    assert (answer.image, answer.basis) == (ONE, RECORDED.basis)
    assert answer.valid_to == MOMENT + timedelta(hours=25) > NOW


def test_the_state_a_moment_ago_is_not_the_live_item():
    """A change may have come and gone since, and is not recorded yet."""
    ago = NOW - timedelta(microseconds=1)

    answer = state(
        at=ago, before=row(None, ONE), live_was_read=True, live=ONE, watermark=recorded_until(LATER)
    )

    assert answer.certainty is Certainty.BOUNDED


def test_a_doubt_is_never_of_less_than_no_time():
    """The moment asked for may lie in the second of a watermark that is as late."""
    assert "the last 1 seconds may" in recorded_until(NOW).doubt(NOW - timedelta(minutes=2))


def test_a_state_that_the_live_item_contradicts_is_not_current():
    """Until when it was so is not known, but it is so no longer."""
    answer = state(before=row(None, ONE), live_was_read=True, live=TWO)

    assert (answer.certainty, answer.is_current) == (Certainty.BOUNDED, False)
    assert "is still on its way, or it is missing" in answer.reason


def test_no_row_is_absence_only_where_a_backfill_vouches_for_it():
    """One lost REMOVE of an item from before the history would else make a false absence."""
    nothing = [{"after": row(None, ONE, hours=1)}, {"live_was_read": True}]

    for evidence in nothing:
        for began, certainty in (
            (None, Certainty.BOUNDED),
            (LATER, Certainty.BOUNDED),
            (MOMENT, Certainty.EXACT),
        ):
            answer = state(**evidence, lives=vouched(began) if began else Lives())
            assert (answer.image, answer.certainty) == (None, certainty)
    assert "no finished backfill" in state(live_was_read=True, lives=Lives()).reason


def test_a_state_of_a_timeline_is_sure_until_its_end_or_not_at_all():
    """What lasts until now may have been otherwise for a while, in changes on their way."""
    rows = [row(None, ONE, hours=-1), row(ONE, TWO), row(TWO, THREE, hours=1)]

    assert told(rows, live=THREE, watermark=recorded_until(MOMENT + timedelta(seconds=1))) == [
        (None, "exact", -24, -1),
        (ONE, "exact", -1, 0),
        (TWO, "bounded", 0, 1),
        (THREE, "bounded", 1, None),
    ]


def test_a_state_without_an_end_is_judged_until_now():
    """Also where a range ends earlier: the same line of a timeline is no surer in one of them."""
    end = MOMENT + timedelta(hours=1)
    newest = Evidence(
        {"Id": {"S": "1"}},
        *(end, NOW, HORIZON, row(None, ONE), None, True, ONE),
        **(COMPLETE | {"watermark": recorded_until(NOW - timedelta(hours=1))}),
    )

    (last,) = timeline((), newest, newest.before)

    assert (last.valid_to, last.certainty) == (None, Certainty.BOUNDED)


def told(rows, live, previous=None, horizon=HORIZON, watermark=RECORDED):
    """The states of a timeline: image, certainty, and the hours at which each begins and ends."""
    newest = Evidence(
        {"Id": {"S": "1"}},
        *(NOW, NOW, horizon, rows[-1], None, True, live),
        **(COMPLETE | {"watermark": watermark}),
    )
    return [
        (one.image, one.certainty.value, hour(one.valid_from), hour(one.valid_to))
        for one in timeline(rows, newest, previous)
    ]


def hour(moment):
    return None if moment is None else (moment - MOMENT) / timedelta(hours=1)


def test_a_timeline_begins_with_the_history_and_ends_with_what_lasts():
    """Each state lasts until the next one begins; of before the history it says nothing."""
    rows = [row(None, ONE), row(ONE, TWO, hours=1), row(TWO, None, hours=2)]

    assert told(rows, live=None) == [
        (None, "exact", -24, 0),
        (ONE, "exact", 0, 1),
        (TWO, "exact", 1, 2),
        (None, "exact", 2, None),
    ]


def test_changes_of_one_second_make_states_that_last_no_time():
    """They are told all the same: each was there."""
    rows = [row(None, ONE), row(ONE, TWO), row(TWO, THREE)]

    assert told(rows, live=THREE)[1:] == [
        (ONE, "exact", 0, 0),
        (TWO, "exact", 0, 0),
        (THREE, "exact", 0, None),
    ]


def test_a_timeline_tells_where_a_change_is_missing():
    """The state before the gap is bounded, the others are not."""
    rows = [row(None, ONE), row(TWO, THREE, hours=1)]

    assert [certainty for _, certainty, _, _ in told(rows, live=THREE)] == [
        "exact",
        "bounded",
        "exact",
    ]
    assert told(rows, live=TWO)[-2:] == [(THREE, "bounded", 1, None), (TWO, "bounded", None, None)]


def test_a_timeline_may_begin_in_the_middle():
    """With the row before it the first state is as certain as any."""
    rows = [row(ONE, TWO, hours=1)]

    assert told(rows, TWO, previous=row(None, ONE))[0] == (ONE, "exact", 0, 1)
    assert told(rows, TWO)[0] == (ONE, "bounded", -24, 1)


def test_rows_from_before_the_table_was_made_are_told_as_they_are():
    """A table that was restored is younger than its rows, with which its timeline begins."""
    rows = [row(None, ONE), row(ONE, TWO, hours=1)]

    assert told(rows, TWO, horizon=MOMENT + timedelta(minutes=1)) == [
        (ONE, "exact", 0, 1),
        (TWO, "exact", 1, None),
    ]


def test_a_baseline_that_a_change_of_its_second_follows_makes_no_state():
    """It shows a moment within the second, that of the change is known better."""
    found, changed = baseline(TWO, hours=1), row(ONE, TWO, hours=1)

    assert list(spoken_for([row(None, ONE), found, changed])) == [row(None, ONE), changed]
    assert list(spoken_for([found, row(TWO, None, hours=2)])) == [found, row(TWO, None, hours=2)]
    assert list(spoken_for([])) == []
    assert told([row(None, ONE), found, changed], live=TWO)[1:] == [
        (ONE, "exact", 0, 1),
        (TWO, "exact", 1, None),
    ]


def test_the_weaker_of_two_states_is_the_less_certain_one():
    """Unknown is weaker than bounded, and bounded than exact."""
    exact, bounded, unknown = (
        state(before=row(ONE, TWO), live_was_read=True, live=TWO),
        state(before=row(ONE, TWO), live_was_read=True, live=THREE),
        state(before=row(ONE, TWO)),
    )

    assert weaker_of(exact, bounded) is weaker_of(bounded, exact) is bounded
    assert weaker_of(bounded, unknown) is weaker_of(unknown, exact) is unknown


def test_the_present_is_no_future_and_the_history_has_its_first_moment():
    """Both ends of what is known are part of it."""
    at_once = {"live_was_read": True, "live": TWO}

    assert state(at=NOW, before=row(ONE, TWO), **at_once).certainty is Certainty.EXACT
    assert state(at=NOW, live_was_read=True).certainty is Certainty.EXACT
    assert state(at=HORIZON, live_was_read=True).certainty is Certainty.EXACT
    assert state(at=HORIZON, after=row(None, ONE)).certainty is Certainty.EXACT


def test_an_item_that_is_gone_is_not_current():
    """Nothing ends its absence, and yet there is no item."""
    gone = state(before=row(ONE, None), live_was_read=True)

    assert (gone.valid_to, gone.is_current) == (None, False)
    assert state(before=row(ONE, TWO), live_was_read=True, live=TWO).is_current


def test_the_live_item_may_be_spelled_otherwise():
    """Streams and tables write the same number in different ways."""
    spelled, respelled = (item("1", Count=number(digits)) for digits in ("1.50", "1.5"))

    answer = state(before=row(None, spelled), live_was_read=True, live=respelled)

    assert answer.certainty is Certainty.EXACT


FOLLOWED = {"provenance": Provenance(TABLE_ARN)}


def foreign(history_row):
    stream = STREAM_ARN.replace("table/Employee", "table/Customer")
    return resealed(history_row, event_source_arn=stream)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (foreign(row(None, ONE)), row(ONE, TWO, hours=1)),
        (row(None, ONE), foreign(row(ONE, TWO, hours=1))),
        (None, foreign(row(None, ONE, hours=1))),
        (foreign(row(None, ONE)), None),
    ],
)
def test_rows_of_another_table_make_no_answer_exact(before, after):
    """They tell nothing of this table's item, and the answer says so."""
    live = {"live_was_read": after is None, "live": ONE if after is None else None}

    answer = state(before=before, after=after, **live, **FOLLOWED)

    assert answer.certainty is Certainty.UNKNOWN
    assert answer.reason.startswith("a row next to the instant is of another table, arn:aws:dyn")
    assert state(before=before, after=after, **live).certainty is not Certainty.UNKNOWN


def test_the_live_item_is_not_explained_by_a_row_of_another_table():
    """What is now is known all the same."""
    answer = state(at=NOW, before=foreign(row(None, ONE)), live_was_read=True, live=ONE, **FOLLOWED)

    assert (answer.image, answer.certainty, answer.row) == (ONE, Certainty.EXACT, None)
    assert answer.reason.startswith("the live item: its newest row is of another table, arn:aws:")


def altered(one, **change_fields):
    """A row that is not what was written."""
    return replace(one, change=replace(one.change, **change_fields), fault="digest mismatch")


UNREAD = {"old_image": None, "new_image": None}
NEXT = row(TWO, THREE, hours=1)


@pytest.mark.parametrize(
    ("evidence", "image", "certainty"),
    [
        ({"before": altered(row(ONE, TWO)), "after": NEXT}, TWO, Certainty.BOUNDED),
        ({"before": row(ONE, TWO), "after": altered(NEXT)}, TWO, Certainty.BOUNDED),
        ({"before": row(ONE, TWO), "after": altered(NEXT, **UNREAD)}, TWO, Certainty.BOUNDED),
        ({"before": altered(row(ONE, TWO), **UNREAD), "after": NEXT}, TWO, Certainty.BOUNDED),
        ({"before": altered(row(ONE, None), **UNREAD), "after": NEXT}, None, Certainty.BOUNDED),
        (
            {"before": altered(row(ONE, TWO), **UNREAD), "after": altered(NEXT, **UNREAD)},
            None,
            Certainty.UNKNOWN,
        ),
        (
            {"before": altered(row(ONE, TWO), **UNREAD), "live_was_read": True, "live": THREE},
            THREE,
            Certainty.BOUNDED,
        ),
        (
            {"before": altered(row(ONE, TWO)), "live_was_read": True, "live": TWO},
            TWO,
            Certainty.BOUNDED,
        ),
        ({"before": altered(row(ONE, TWO))}, TWO, Certainty.UNKNOWN),
        ({"before": altered(row(ONE, TWO), **UNREAD)}, None, Certainty.UNKNOWN),
        ({"after": altered(NEXT)}, TWO, Certainty.BOUNDED),
        ({"after": altered(NEXT, **UNREAD)}, None, Certainty.UNKNOWN),
        ({"after": altered(row(None, TWO, hours=1))}, None, Certainty.BOUNDED),
    ],
)
def test_nothing_is_exact_that_rests_on_an_altered_row(evidence, image, certainty):
    """What can still be read of it, or beside it, is the answer, and its reason names the row."""
    answer = state(**evidence)

    assert (answer.image, answer.certainty, answer.basis) == (image, certainty, None)
    assert "is not what was written (digest mismatch)" in answer.reason


@pytest.mark.parametrize("unread", [{}, UNREAD])
def test_the_present_is_the_live_item_whatever_was_altered(unread):
    """It was read consistently; since when it is so, an altered row does not tell for sure."""
    last = altered(row(ONE, TWO), **unread)

    answer = state(at=NOW, before=last, live_was_read=True, live=TWO)

    assert (answer.image, answer.certainty, answer.basis) == (TWO, Certainty.EXACT, Basis.LIVE)
    assert "the last row is not what was written" in answer.reason
    assert answer.row is (None if unread else last)


def test_a_life_goes_on_over_an_altered_row():
    """The spans beside it are not exact, the others are."""
    rows = [row(None, ONE), altered(row(ONE, TWO, hours=1), **UNREAD), row(TWO, THREE, hours=2)]
    newest = Evidence(
        {"Id": {"S": "1"}}, NOW, NOW, HORIZON, rows[-1], None, True, THREE, **COMPLETE
    )

    spans = list(timeline(rows, newest))

    assert [span.image for span in spans] == [None, ONE, TWO, THREE]
    assert [span.certainty for span in spans] == [
        Certainty.EXACT,
        Certainty.BOUNDED,
        Certainty.BOUNDED,
        Certainty.EXACT,
    ]
