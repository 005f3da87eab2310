"""A change is ours if it was announced: from which state to which, of which item, when."""

from dataclasses import replace
from datetime import timedelta

import pytest

from reports.states.own_writes import OwnWrites, state_digest
from stream_core.change import EventName
from stream_core.control_row import OwnWrite, RunRow, item_hash
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


def own(*writes, runs=(RUN,)):
    by_run = {run.run: run for run in runs}
    return OwnWrites(by_run, lambda name: [write for write in writes if write.item == name])


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
    writes = OwnWrites({RUN.run: RUN}, lambda name: asked.append(name) or [announced(BAD, GOOD)])

    for after in range(3):
        assert writes.run_of(row_of(BAD, GOOD, at=after)) is RUN
    assert asked == [item_hash("1")]
    assert timedelta(0) < writes.write_of(row_of(BAD, GOOD)).at - moment(-1)
