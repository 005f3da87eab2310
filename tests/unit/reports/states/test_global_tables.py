"""A global table of version 2017.11.29 changes attributes of its own: no change by a person."""

from datetime import timedelta

import pytest

from reports.states.blame import blame
from reports.states.differences import changed_paths
from reports.states.evidence import Evidence
from reports.states.global_tables import is_replication_only, without_replication
from reports.states.selection import Selection
from reports.states.spans import timeline
from reports.states.timeline import Certainty, judge
from tests.factories import item, number, text
from tests.recorded_history import LATER, baseline_of, row_of

# Ann inserts, Bob closes, the item is deleted; after each, and before the delete, a second write.
OPEN = item("1", status=text("open"), by=text("ann"))
CLOSED = item("1", status=text("closed"), by=text("bob"))


def marked(image, updated, *, deleting=False):
    return image | {
        "aws:rep:deleting": {"BOOL": deleting},
        "aws:rep:updatetime": number(updated),
        "aws:rep:updateregion": text("eu-west-1"),
    }


STATES = [
    OPEN,
    marked(OPEN, 1),
    marked(CLOSED, 1),
    marked(CLOSED, 2),
    marked(CLOSED, 3, deleting=True),
    None,
]
SECONDS = [0, 0, 60, 60, 120, 120]
ROWS = [
    row_of(old, new, second, place)
    for place, (old, new, second) in enumerate(zip([None, *STATES], STATES, SECONDS, strict=False))
]


def newest(rows=ROWS, live=None):
    keys = rows[0].change.keys
    horizon = rows[0].change.created_at - timedelta(days=1)
    return Evidence(keys, LATER, LATER, horizon, rows[-1], None, True, live)


def test_changes_passes_over_what_the_table_does_on_its_own():
    """Ann, Bob and the delete; not the same three once more under their names."""
    where = Selection(actor_attribute="by")

    accepted = [row for row in ROWS if where.accepts(row)]

    assert accepted == [ROWS[0], ROWS[2], ROWS[5]]
    assert [is_replication_only(row) for row in ROWS] == [False, True, False, True, True, False]
    assert [row for row in ROWS if Selection(actor="bob", actor_attribute="by").accepts(row)] == [
        ROWS[2]
    ]


def test_such_an_attribute_can_be_asked_for():
    """By its name: then it is a value like any other."""
    where = Selection(attribute='"aws:rep:updatetime"')

    assert [row for row in ROWS if where.accepts(row)] == [*ROWS[1:2], *ROWS[3:]]


def test_the_history_has_the_rows_and_nothing_that_changed():
    """A row is never left out; the attributes of the table are in its images."""
    assert [changed_paths(row) for row in ROWS] == [
        ["Id", "by", "status"],
        [],
        ["by", "status"],
        [],
        [],
        ["Id", "by", "status"],
    ]


def test_a_timeline_has_a_state_for_each_change_by_a_person():
    """What the table does on its own is part of the change before."""
    states = list(timeline(ROWS, newest()))

    assert [state.valid_from for state in states[1:]] == [
        row.change.created_at for row in (ROWS[0], ROWS[2], ROWS[5])
    ]
    assert [state.exists for state in states] == [False, True, True, False]
    assert not any(state.is_contradicted for state in states)


def test_a_missing_change_still_shows_between_such_rows():
    """The row that does not fit stays, and the gap before it is told."""
    rows = [ROWS[0], *ROWS[3:]]

    states = list(timeline(rows, newest(rows)))

    assert next(without_replication(rows)) == ROWS[0]
    assert [state.is_contradicted for state in states] == [False, True, False, False]


def test_blame_names_the_change_of_a_person_and_no_attribute_of_the_table():
    """Ann inserted what Bob did not touch, whatever the table wrote since."""
    rows = ROWS[:4]
    evidence = newest(rows, live=STATES[3])

    blames = blame(evidence, reversed(rows), ("by",))

    assert [(entry.path, entry.row, entry.actor.name) for entry in blames] == [
        (("Id",), ROWS[0], "ann"),
        (("by",), ROWS[2], "bob"),
        (("status",), ROWS[2], "bob"),
    ]
    assert judge(evidence).certainty is Certainty.EXACT


@pytest.mark.parametrize("row", [ROWS[0], ROWS[5], row_of(OPEN, CLOSED), row_of(OPEN, OPEN)])
def test_any_other_change_is_a_change(row):
    """Also one that changes nothing at all, which no stream should have."""
    assert not is_replication_only(row)


def test_a_baseline_tells_of_the_state_before_it_and_takes_nothing_up():
    """A change of the global table's own right after it would else contradict the row before."""
    first = marked(OPEN, 1)
    rows = [row_of(None, first), baseline_of(first, 60), row_of(first, marked(OPEN, 2), 120, 1)]

    assert list(without_replication(rows)) == rows
