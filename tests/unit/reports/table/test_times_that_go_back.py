"""An item whose later change is stamped earlier: every question, and the operations, follow."""

import pytest

from reports import Certainty
from reports.access.progress import silent
from reports.states.blame import blame
from reports.states.spans import timeline
from reports.states.stream_order import in_stream_order
from reports.states.timeline import judge
from reports.states.watermark import Basis
from reports.table.as_of import table_states
from reports.table.versions import item_versions, table_versions
from stream_core.item_id import item_id
from tests.factories import item, number
from tests.unit.memory_tables import Recorded, moment

NOW = moment(600)
KEYS = {"Id": {"S": "1"}}
ONE, TWO, THREE, FOUR = (item("1", Count=number(n)) for n in range(1, 5))


def lived(*changes):
    """A world with the changes of one item, in the order in which they were made."""
    world = Recorded()
    for image, at in changes:
        world.write("1", image, at=at)
    world.client.calls.clear()
    return world


def went_back(*more):
    """Made 1, 2, 3, and the last was stamped a second before the second."""
    return lived((ONE, 50), (TWO, 51), (THREE, 50), *more)


def as_of(world, at):
    return judge(world.reader.evidence(KEYS, at, NOW))


def states_of(world):
    newest = world.reader.evidence(KEYS, NOW, NOW)
    rows = world.reader.rows(item_id(KEYS), until=newest.last_sort_key)
    return list(timeline(rows, newest))


def test_the_present_is_what_the_last_change_left():
    """By its number, not by its time; its row is found by one read more."""
    world = went_back()

    state = as_of(world, NOW)

    assert (state.image, state.certainty, state.basis) == (THREE, Certainty.EXACT, Basis.LIVE)
    assert state.row == world.rows[2]
    assert state.is_current
    assert "not recorded yet" not in state.reason
    assert world.client.calls["query"] <= 4


def test_what_fits_is_read_as_ever():
    """Two rows, or one and the live item."""
    world = lived((ONE, 50), (TWO, 51), (THREE, 52))

    as_of(world, NOW)
    as_of(world, moment(51))

    assert (world.client.calls["query"], world.client.calls["get_item"]) == (4, 1)


@pytest.mark.parametrize(
    ("at", "image", "certainty"),
    [
        (49, None, Certainty.EXACT),
        (50, ONE, Certainty.BOUNDED),
        (51, THREE, Certainty.EXACT),
        (55, THREE, Certainty.EXACT),
        (60, FOUR, Certainty.EXACT),
    ],
)
def test_the_past_follows_the_numbers_too(at, image, certainty):
    """Exact where times and numbers agree on it; where they do not, the reason says so."""
    world = went_back((FOUR, 60))

    state = as_of(world, moment(at))

    assert (state.image, state.certainty) == (image, certainty)
    if certainty is Certainty.BOUNDED:
        assert state.reason == "the times of the changes contradict their sequence numbers"


def test_a_life_is_told_in_the_order_in_which_it_was_lived():
    """No two states at one time, and only the last one is current."""
    states = states_of(went_back())

    assert [state.image for state in states] == [None, ONE, TWO, THREE]
    assert [state.is_current for state in states] == [False, False, False, True]
    assert [(state.valid_from, state.valid_to) for state in states] == [
        (moment(-86_400), moment(50)),
        (moment(50), moment(51)),
        (moment(51), moment(51)),
        (moment(51), None),
    ]
    assert [state.certainty is Certainty.EXACT for state in states] == [True, False, False, True]


def test_what_was_deleted_with_an_earlier_time_is_gone():
    """The delete is stamped before the change that it follows."""
    world = lived((ONE, 50), (TWO, 51), (None, 50))

    state = as_of(world, NOW)

    assert (state.image, state.certainty, state.row) == (None, Certainty.EXACT, world.rows[2])
    assert not any(one.is_current for one in states_of(world))


def test_an_item_born_with_a_later_time_was_not_there_before():
    """The first row by time is not the first one made."""
    world = lived((ONE, 51), (TWO, 50), (THREE, 60))

    assert as_of(world, moment(49)).certainty is Certainty.EXACT
    assert as_of(world, moment(55)).image == TWO
    assert [state.image for state in states_of(world)] == [None, ONE, TWO, THREE]


@pytest.mark.parametrize("at", [50, 51, 55, 60, 600])
def test_the_whole_table_says_the_same(at):
    """Also the versions of a range, of one item and of all."""
    world = went_back((FOUR, 60))
    world.write("2", item("2"), at=1)

    states = list(
        table_states(world.reader, moment(at), NOW, certain=False, progress=silent).states
    )

    assert [state for state in states if state.keys == KEYS] == [as_of(world, moment(at))]
    span = moment(at), NOW, NOW
    alone = list(item_versions(world.reader, KEYS, *span))
    together = [
        state for state in table_versions(world.reader, *span, silent) if state.keys == KEYS
    ]
    assert alone == together
    assert alone[-1].image == FOUR
    assert as_of(world, moment(at)).image in [state.image for state in alone]


def test_blame_names_the_change_that_was_made_last():
    """And not the one with the latest time."""
    world = went_back()
    evidence = world.reader.evidence(KEYS, NOW, NOW)
    rows = in_stream_order(world.reader.rows("1", newest_first=True), newest_first=True)

    found = {entry.path: entry for entry in blame(evidence, rows, None)}

    assert found["Count",].row == world.rows[2]
    assert found["Id",].row == world.rows[0]


def test_rows_that_fit_in_neither_order_say_why():
    """Never that a change is not recorded yet: times and numbers contradict each other."""
    world = went_back()
    world.change("1", FOUR)

    state = as_of(world, NOW)
    before = judge(world.reader.evidence(KEYS, moment(599), NOW))

    assert (state.image, before.image) == (FOUR, THREE)
    for one in (state, before):
        assert "contradict their sequence numbers" in one.reason
        assert "on its way" not in one.reason
    assert before.certainty is Certainty.BOUNDED


def test_a_gap_beside_no_contradiction_is_a_gap():
    """What is read beside it, for times that go back, changes nothing."""
    world = lived((ONE, 50), (TWO, 51))
    lost = world.change("1", THREE, 52)
    world.write("1", FOUR, at=53)

    state = as_of(world, moment(51))

    assert lost is not None
    assert (state.image, state.certainty) == (TWO, Certainty.BOUNDED)
    assert "a change is missing" in state.reason
