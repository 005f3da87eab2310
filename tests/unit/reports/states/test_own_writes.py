"""A change is ours if it was announced: from which state to which, of which item, when."""

from dataclasses import replace

import pytest

from reports.states.own_writes import OwnWrites, state_digest
from stream_core.announcement import OwnWrite, item_hash
from stream_core.change import EventName
from stream_core.control_row import RunRow
from stream_core.history_row import HistoryRow
from tests.factories import NOON, STREAM_ARN, change, item, number
from tests.unit.memory_tables import moment

BAD, GOOD = item("1", Count=number(2)), item("1", Count=number(1))
RUN = RunRow(
    *("0123456789ab", "undo", "{}", "sha256:00", "ada", "itemtrail"),
    *(STREAM_ARN, "12345a12", moment(0)),
)


def row_of(old, new, at=0):
    return HistoryRow.from_change(change(old, new, at=NOON + at))


def announced(old, new, at=0, name="1"):
    states = state_digest(old), state_digest(new)
    return OwnWrite(RUN.run, 1, item_hash(name), *states, moment(at), STREAM_ARN)


def own(*writes, runs=(RUN,), rows=()):
    by_run = {run.run: run for run in runs}
    return OwnWrites(
        by_run,
        lambda name: [write for write in writes if write.item == name],
        lambda _id, after, until: [row for row in rows if after < row.sort_key <= until],
    )


@pytest.mark.parametrize(("old", "new"), [(BAD, GOOD), (BAD, None), (None, GOOD)])
def test_a_change_that_was_announced_is_ours(old, new):
    """Whether it updated, deleted or put an item; numbers may be spelled otherwise."""
    writes = own(announced(old, new))
    row = row_of(old and old | {"Count": number("2.0")}, new)

    assert writes.run_of(row) is RUN
    assert (writes.noted(row).run, writes.noted(row).run_by) == (RUN.run, "ada")


@pytest.mark.parametrize(
    ("old", "new"),
    [(GOOD, BAD), (BAD, GOOD | {"Theirs": number(1)}), (BAD | {"Theirs": number(1)}, GOOD)],
)
def test_a_change_of_other_states_is_another_writers(old, new):
    """Also one that did more than we have announced."""
    row = row_of(old, new)

    assert own(announced(BAD, GOOD)).run_of(row) is None
    assert own(announced(BAD, GOOD)).noted(row) is row


def test_a_change_of_another_item_is_another_writers():
    """Even if it leads from and to the same states."""
    assert own(announced(BAD, GOOD, name="2")).run_of(row_of(BAD, GOOD)) is None


@pytest.mark.parametrize(
    ("after_s", "is_ours"),
    [(-3, False), (-2, True), (0, True), (17 * 60, True), (17 * 60 + 1, False)],
)
def test_a_change_is_ours_as_long_as_the_request_can_take_effect(after_s, is_ours):
    """DECISIONS D2: from 2 s before the announcement, by rounding, to 17 minutes after it."""
    found = own(announced(BAD, GOOD)).run_of(row_of(BAD, GOOD, at=after_s))

    assert (found is not None) is is_ours


def test_a_write_that_was_announced_again_is_ours():
    """An hour later, by the run that went on."""
    writes = own(announced(BAD, GOOD), announced(BAD, GOOD, at=3600))

    assert writes.run_of(row_of(BAD, GOOD, at=3600)) is RUN
    assert writes.run_of(row_of(BAD, GOOD, at=1800)) is None


def test_without_its_run_an_announcement_is_nobodys():
    """Nothing would say who; without any run nothing is read."""
    other = replace(RUN, run="other")

    assert own(announced(BAD, GOOD), runs=[other]).run_of(row_of(BAD, GOOD)) is None
    assert own(announced(BAD, GOOD), runs=[]).run_of(row_of(BAD, GOOD)) is None


def test_what_global_tables_add_is_not_announced():
    """It comes with every write, and is another then."""
    theirs = {"aws:rep:updatetime": number(1)}

    assert own(announced(BAD, GOOD)).run_of(row_of(BAD | theirs, GOOD | theirs)) is RUN


def test_a_baseline_is_no_write():
    """It shows what is there, whoever wrote it."""
    row = row_of(None, GOOD)
    baseline = replace(row, change=replace(row.change, event_name=EventName.SNAPSHOT))

    assert own(announced(None, GOOD)).run_of(baseline) is None
    assert own(announced(None, GOOD)).run_of(row) is RUN
    assert own(announced(None, GOOD)).run_of(replace(row, fault="altered")) is None


def test_the_announcements_of_an_item_are_read_once():
    """However many rows it has."""
    asked = []
    writes = replace(own(), announced=lambda name: asked.append(name) or [announced(BAD, GOOD)])

    assert [writes.run_of(row_of(BAD, GOOD, at=after)) for after in range(3)] == [RUN, None, None]
    assert asked == [item_hash("1")]
    assert writes.write_of(row_of(BAD, GOOD)).at == moment(0)


@pytest.mark.parametrize("newest_first", [False, True])
def test_the_same_change_once_more_is_another_writers(newest_first):
    """The item was set back meanwhile, and again: in whatever order the rows are read."""
    rows = [row_of(BAD, GOOD), row_of(GOOD, BAD, at=5), row_of(BAD, GOOD, at=9)]
    writes = own(announced(BAD, GOOD), rows=rows)
    read = rows[::-1] if newest_first else rows

    runs = {row.change.created_at: writes.run_of(row) for row in read}

    assert [runs[row.change.created_at] for row in rows] == [RUN, None, None]


def test_a_change_is_of_the_latest_announcement_before_it():
    """The earlier attempt came to nothing: no later change is its."""
    rows = [row_of(BAD, GOOD, at=30), row_of(GOOD, BAD, at=35), row_of(BAD, GOOD, at=40)]
    first, second = announced(BAD, GOOD), announced(BAD, GOOD, at=29.7)
    writes = own(first, second, rows=rows)

    assert [writes.write_of(row) for row in rows] == [second, None, None]


def test_two_runs_that_make_the_same_change_have_one_each():
    """As after an undo, its undo and the undo of that; the job that comes again is no run."""
    other = replace(RUN, run="other", who="bob")
    again = replace(announced(BAD, GOOD, at=60), run="other")
    rows = [row_of(BAD, GOOD), row_of(GOOD, BAD, at=5), row_of(BAD, GOOD, at=60)]
    rows += [row_of(GOOD, BAD, at=65), row_of(BAD, GOOD, at=66)]
    writes = own(announced(BAD, GOOD), again, runs=[RUN, other], rows=rows)

    assert [writes.run_of(row) for row in rows] == [RUN, None, other, None, None]


def test_another_writer_just_before_is_not_taken_for_the_run():
    """A stamp before its announcement is explained by a clock only if no change follows."""
    rows = [row_of(BAD, GOOD, at=8), row_of(GOOD, BAD, at=9), row_of(BAD, GOOD, at=10)]

    of_both = own(announced(BAD, GOOD, at=10), rows=rows)
    of_the_first = own(announced(BAD, GOOD, at=10), rows=rows[:2])

    assert [of_both.run_of(row) for row in rows] == [None, None, RUN]
    assert [of_the_first.run_of(row) for row in rows[:2]] == [RUN, None]


def test_rows_in_order_are_not_read_again():
    """Many changes of runs cost no Query each, where what was before them was seen."""
    asked = []
    rows = [row_of(BAD, GOOD, at=5), row_of(GOOD, BAD, at=6), row_of(BAD, GOOD, at=7)]

    def read(*question):
        asked.append(question)
        return rows

    for since, questions in ((3, 0), (4, 1)):
        writes = replace(own(announced(BAD, GOOD, at=5)), rows=read)
        noted = list(writes.noted_in_order(rows, moment(since)))
        assert [row.run for row in noted] == [RUN.run, None, None]
        assert len(asked) == questions
