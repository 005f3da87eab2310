"""States across a stream that was switched off and on, and across a table made anew."""

from dataclasses import replace

import pytest

from reports.states.evidence import Evidence
from reports.states.lives import Boundary, Crossing, Lives
from reports.states.spans import timeline
from reports.states.timeline import Certainty, judge
from stream_core.control_row import BackfillMark, TableLife
from stream_core.history_row import HistoryRow
from tests.factories import NOON, RECORDED, STREAM_ARN, TABLE_ARN, change, item, text
from tests.unit.memory_tables import Recorded, moment

LATER_STREAM = f"{TABLE_ARN}/stream/2018-03-03T14:30:00.000"
A, B = (item("1", State=text(letter)) for letter in "AB")
KEYS = {"Id": text("1")}
NOW, HORIZON = moment(36000), moment(-86400)
ID_1, ID_2 = "first-table", "second-table"


def row(old, new, at_s=0, stream=STREAM_ARN):
    made = change(old, new, at=NOON + at_s)
    return HistoryRow.from_change(replace(made, event_source_arn=stream))


def life(stream, table_id, made_s):
    return TableLife(stream, table_id, moment(made_s))


def marked(stream, since_s, table_id=ID_2):
    times = moment(since_s), moment(since_s + 60)
    return {stream: BackfillMark(stream, table_id, *times, "scan", {}, "run", "itemtrail")}


SWITCHED = Lives(life(LATER_STREAM, ID_1, -86400), {STREAM_ARN: life(STREAM_ARN, ID_1, -86400)})
ANEW = Lives(
    life(LATER_STREAM, ID_2, 1800),
    {STREAM_ARN: life(STREAM_ARN, ID_1, -86400)},
    marked(LATER_STREAM, 2000),
)
UNCLEAR = Lives(None, {})


def state(lives, at_s, before, after=None, live=None):
    evidence = Evidence(
        *(KEYS, moment(at_s), NOW, HORIZON, before, after, after is None, live, RECORDED), lives
    )
    return judge(evidence)


@pytest.mark.parametrize(
    ("stream", "at_s", "later", "crossing"),
    [
        (STREAM_ARN, 0, STREAM_ARN, None),
        (STREAM_ARN, 0, None, None),
        (TABLE_ARN, 0, STREAM_ARN, None),
        (STREAM_ARN, 0, STREAM_ARN.replace("Employee", "Other"), None),
        (STREAM_ARN, 0, LATER_STREAM, Crossing(Boundary.OTHER_TABLE, moment(1800))),
    ],
)
def test_what_lies_between_two_rows(stream, at_s, later, crossing):
    """Only two streams of one table's name are a boundary."""
    assert ANEW.crossing(stream, moment(at_s), later) == crossing


def test_the_table_of_a_change_is_not_the_next_one():
    """An engine that cuts times to the minute stamps changes before their table was made."""
    lives = replace(ANEW, tables={STREAM_ARN: life(STREAM_ARN, ID_1, 20)})

    crossing = lives.crossing(STREAM_ARN, moment(0), LATER_STREAM)

    assert crossing == Crossing(Boundary.OTHER_TABLE, moment(1800))


def test_without_a_control_row_the_time_tells():
    """A row stamped before the source table was made is of another one."""
    lives = Lives(life(LATER_STREAM, ID_2, 1800))

    assert lives.crossing(STREAM_ARN, moment(1799), LATER_STREAM).boundary is Boundary.OTHER_TABLE
    assert lives.crossing(STREAM_ARN, moment(1800), LATER_STREAM).boundary is Boundary.GAP
    assert UNCLEAR.crossing(STREAM_ARN, moment(0), LATER_STREAM).boundary is Boundary.UNCLEAR


@pytest.mark.parametrize("fits", [True, False])
def test_across_a_gap_an_answer_is_bounded(fits):
    """Even where both sides agree: what was changed and changed back is not recorded."""
    after = row(A if fits else B, None, 3600, LATER_STREAM)

    answer = state(SWITCHED, 60, row(None, A), after)

    assert (answer.image, answer.certainty) == (A, Certainty.BOUNDED)
    assert "switched off and on between 2018-03-03T14:06:00.000000Z" in answer.reason


def test_the_live_item_is_the_other_side_of_a_gap():
    """The last row is of an earlier stream than the table has: nothing of then is exact."""
    answer = state(SWITCHED, 60, row(None, A), live=A)

    assert (answer.image, answer.certainty) == (A, Certainty.BOUNDED)
    assert "switched off and on" in answer.reason


def test_a_backfill_of_the_new_stream_vouches_from_its_beginning_on():
    """And not before: then the gap may have been."""
    lives = replace(SWITCHED, marks=marked(LATER_STREAM, 2000, ID_1))

    assert state(lives, 2000, row(None, A), live=A).certainty is Certainty.EXACT
    assert state(lives, 1999, row(None, A), live=A).certainty is Certainty.BOUNDED
    assert state(lives, 2000, row(None, A), live=B).certainty is Certainty.BOUNDED


def test_the_mark_of_the_old_stream_ends_with_it():
    """An INSERT under the new stream may follow a REMOVE that was lost in between."""
    lives = replace(SWITCHED, marks=marked(STREAM_ARN, -60, ID_1))
    evidence = Evidence(
        *(KEYS, moment(60), NOW, HORIZON, None, row(None, A, 3600, LATER_STREAM)),
        watermark=RECORDED,
        lives=lives,
    )

    assert judge(evidence).certainty is Certainty.BOUNDED
    same = replace(evidence, after=row(None, A, 3600))
    assert judge(same).certainty is Certainty.EXACT


def test_an_item_ends_with_its_table():
    """It was there for a while, bounded; in the new table it is not, exact once vouched for."""
    old = row(None, A)

    before = state(ANEW, 60, old)
    assert (before.image, before.certainty, before.valid_to) == (A, Certainty.BOUNDED, moment(1800))
    assert "made anew" in before.reason
    assert "not recorded yet" not in before.reason
    after = state(ANEW, 1900, old)
    assert (after.image, after.certainty, after.is_current) == (None, Certainty.BOUNDED, False)
    assert state(ANEW, 2000, old).certainty is Certainty.EXACT


def test_an_item_of_the_new_table_begins_by_itself():
    """The old table's row says nothing of it."""
    old, new = row(None, A), row(None, B, 3600, LATER_STREAM)

    between = state(ANEW, 2400, old, new)

    assert (between.image, between.certainty) == (None, Certainty.EXACT)
    assert (between.valid_from, between.valid_to) == (moment(1800), moment(3600))


def test_where_nothing_tells_it_is_made_anew_or_a_delete_is_lost():
    """An INSERT without a REMOVE: both are said, and nothing is exact."""
    answer = state(UNCLEAR, 60, row(None, A), row(None, B, 3600, LATER_STREAM))

    assert (answer.image, answer.certainty) == (A, Certainty.BOUNDED)
    assert "the table was made anew, or a delete is missing" in answer.reason


BETWEEN_STREAM = f"{TABLE_ARN}/stream/2018-03-03T14:16:00.000"


@pytest.mark.parametrize("lives", [UNCLEAR, ANEW])
def test_a_table_between_ends_what_was_in_the_one_before(lives):
    """It was made anew twice: of the one in between the item has no row."""
    between = {BETWEEN_STREAM: life(BETWEEN_STREAM, "in-between", 600)}
    lives = replace(lives, tables=lives.tables | between)
    new = row(None, B, 3600, LATER_STREAM)

    assert state(lives, 599, row(None, A), new).exists
    assert not state(lives, 600, row(None, A), new).exists
    assert state(lives, 600, row(None, A), new).certainty is Certainty.BOUNDED


def test_a_stream_switched_off_and_on_before_the_table_was_made_anew_ends_nothing():
    """It is of the same table, in which the item lived on."""
    same = {BETWEEN_STREAM: life(BETWEEN_STREAM, ID_1, -86400)}
    lives = replace(ANEW, tables=ANEW.tables | same)

    assert state(lives, 1799, row(None, A), row(None, B, 3600, LATER_STREAM)).image == A


def test_a_timeline_has_the_end_of_a_life():
    """The absence between two tables is a state of its own, and states follow each other."""
    rows = [row(None, A), row(None, B, 3600, LATER_STREAM)]
    newest = Evidence(
        *(KEYS, NOW, NOW, HORIZON, rows[-1], None, True, B, RECORDED),
        lives=ANEW,
    )

    states = list(timeline(rows, newest))

    assert [one.image for one in states] == [None, A, None, B]
    assert [one.valid_to for one in states] == [moment(0), moment(1800), moment(3600), None]
    assert [one.valid_from for one in states[1:]] == [moment(0), moment(1800), moment(3600)]


def test_a_timeline_ends_with_the_table():
    """An item that has not come back is absent since the table was made anew."""
    rows = [row(None, A)]
    newest = Evidence(
        *(KEYS, NOW, NOW, HORIZON, rows[-1], None, True, None, RECORDED),
        lives=ANEW,
    )

    states = list(timeline(rows, newest))

    assert [(one.image, one.valid_to) for one in states] == [
        (None, moment(0)),
        (A, moment(1800)),
        (None, None),
    ]


def test_a_deleted_item_does_not_end_once_more():
    """It was gone before its table was: one absence lasts until the new table has it."""
    rows = [row(None, A), row(A, None, 600), row(None, B, 3600, LATER_STREAM)]
    newest = Evidence(
        *(KEYS, NOW, NOW, HORIZON, rows[-1], None, True, B, RECORDED),
        lives=ANEW,
    )

    states = list(timeline(rows, newest))

    assert [one.image for one in states] == [None, A, None, B]
    assert [one.valid_to for one in states] == [moment(0), moment(600), moment(3600), None]
    assert state(ANEW, 2000, rows[1], rows[2]).certainty is Certainty.EXACT
    assert state(ANEW, 1999, rows[1], rows[2]).certainty is Certainty.BOUNDED


# ---- What it costs -------------------------------------------------------------------------


@pytest.fixture
def world():
    made = Recorded()
    del made.reader.lives
    made.client.descriptions["Employee"] |= {"LatestStreamArn": STREAM_ARN, "TableId": ID_1}
    made.write("1", A, at=0)
    return made


def test_a_row_before_the_instant_costs_no_question_more(world):
    """The history is asked what it says of itself only where there is no row, and once."""

    def ask(identifier, at_s):
        queries = world.client.calls["query"]
        judge(world.reader.evidence({"Id": text(identifier)}, moment(at_s), NOW))
        return world.client.calls["query"] - queries

    assert ask("1", 60) == 2
    first = ask("2", 60)
    assert ask("2", 60) == ask("3", 60) == first - 3
    assert ask("1", -60) == 2


def test_a_mark_vouches_for_rows_that_are_read_after_it(world):
    """A baseline that is stored meanwhile, with the mark after it, must not show as an absence."""
    old = item("2", State=text("old"))
    world.client.put("Employee", old)
    (mark,) = marked(STREAM_ARN, -60, ID_1).values()

    def finish():
        world.baseline("2", at=-30)
        world.client.put("EmployeeHistory", mark.to_item())

    # The rows around the instant are read, then the backfill ends, then the marks are read.
    world.client.before["query"] = [None, None, finish]

    state_then = judge(world.reader.evidence({"Id": text("2")}, moment(60), NOW))

    assert state_then.image == old
