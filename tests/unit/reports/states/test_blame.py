"""Each attribute is put down to the newest change that touched it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reports.inputs.paths import path_text
from reports.states.blame import blame
from reports.states.evidence import Evidence
from reports.states.lives import Lives
from reports.states.provenance import Provenance
from reports.states.timeline import Certainty
from reports.states.watermark import NoWatermark
from stream_core.change import EventName
from stream_core.control_row import TableLife
from stream_core.history_row import HistoryRow, sort_key_of
from tests.factories import COMPLETE, NOON, STREAM_ARN, TABLE_ARN, change, item, number, text

START = datetime.fromtimestamp(NOON, UTC)


def rows_of(*states, first=None, step_s=60):
    """Rows of an item that goes through some states, oldest first."""
    return [
        HistoryRow.from_change(change(old, new, at=NOON + step_s * place, sequence=place + 1))
        for place, (old, new) in enumerate(zip([first, *states], states, strict=False))
    ]


def baseline_of(image, hours=1):
    found = change(None, image, at=NOON + 3600 * hours)
    return HistoryRow.from_change(
        replace(found, event_name=EventName.SNAPSHOT, sequence_number="0")
    )


def asked(rows, actor=None, **known):
    """The blame of the newest state, by path."""
    at = START + timedelta(days=1)
    newest = rows[-1]
    known = COMPLETE | {"live_was_read": True, "live": newest.change.new_image} | known
    evidence = Evidence(newest.change.keys, at, at, START, newest, **known)
    blames = blame(evidence, reversed(rows), actor)
    return {path_text(one.path): one for one in blames}


def test_every_path_has_the_newest_change_that_touched_it():
    """Also inside maps; what never changed since the INSERT is the INSERT's."""
    address = {"M": {"City": text("Chennai"), "Zip": text("1")}}
    moved = {"M": {"City": text("Palo Alto"), "Zip": text("1")}}
    rows = rows_of(
        item("1", Name=text("M"), Address=address),
        item("1", Name=text("M"), Address=moved),
        item("1", Name=text("M A"), Address=moved),
    )

    found = asked(rows)

    assert {path: rows.index(one.row) for path, one in found.items()} == {
        "Id": 0,
        "Name": 2,
        "Address.City": 1,
        "Address.Zip": 0,
    }
    assert {one.certainty for one in found.values()} == {Certainty.EXACT}


def test_a_value_that_went_and_came_back_is_the_change_that_brought_it_back():
    """A to B to A: since the second change to A."""
    rows = rows_of(*[item("1", a=number(n)) for n in (1, 2, 1)])

    assert asked(rows)["a"].row is rows[2]


def test_an_emptied_map_is_the_change_that_emptied_it():
    """The empty map is the value; what it held is gone."""
    rows = rows_of(
        item("1", m={"M": {"x": number(1)}}),
        item("1", m={"M": {}}),
        item("1", m={"M": {}}, b=number(1)),
    )

    assert asked(rows)["m"].row is rows[1]


def test_a_change_that_is_missing_is_named_as_a_gap():
    """Nobody is blamed for what lies between two rows that do not fit."""
    rows = rows_of(
        *[item("1", a=number(n), b=number(0)) for n in (1, 2, 3)],
        item("1", a=number(3), b=number(1)),
    )

    found = asked([rows[0], *rows[3:]])

    assert found["b"].row is rows[3]
    assert (found["a"].row, found["a"].certainty) == (None, Certainty.BOUNDED)
    assert "2018-03-03T14:06:00.000000Z and 2018-03-03T14:09:00" in found["a"].reason
    assert (found["Id"].row, found["Id"].certainty) == (rows[0], Certainty.BOUNDED)


def test_a_value_is_sure_only_since_a_gap():
    """What is the same on both sides of it may have been away, with the item, and come back."""
    rows = rows_of(item("1", a=number(1)), item("1", a=number(2)), None)
    reborn = baseline_of(item("1", a=number(3)))

    after_the_gap = asked([rows[0], reborn])
    at_its_end = asked(rows[:1], live=item("1", a=number(1), b=number(2)))

    assert after_the_gap["Id"].certainty is at_its_end["a"].certainty is Certainty.BOUNDED
    assert "a change is missing between" in after_the_gap["Id"].reason


def test_what_is_older_than_the_history_says_so():
    """Without a baseline the first row's old image has no known change behind it."""
    rows = rows_of(item("1", a=number(1), b=number(2)), first=item("1", a=number(1), b=number(1)))

    found = asked(rows)

    assert found["b"].row is rows[0]
    assert (found["a"].row, found["a"].certainty) == (None, Certainty.BOUNDED)
    assert "before the first recorded change" in found["a"].reason


def test_a_baseline_is_no_change():
    """What a backfill found was so before; a baseline within a second does not look like a gap."""
    old, new = item("1", a=number(1)), item("1", a=number(2))
    insert, modify = rows_of(old, new, step_s=0)
    snapshot = HistoryRow.from_change(change(None, new, at=NOON, sequence=0))
    baseline = as_baseline(snapshot)

    found = asked([baseline, insert, modify])

    assert found["a"].row is modify
    assert {one.certainty for one in found.values()} == {Certainty.EXACT}
    assert asked([baseline])["a"].row is None


def as_baseline(row):
    """The row as the baseline that a backfill would write."""
    assert row.sort_key == sort_key_of(row.change.created_at, "0")
    return HistoryRow.from_change(replace(row.change, event_name=EventName.SNAPSHOT))


def test_the_actor_is_the_one_of_the_change():
    """The attribute that names the writer is read from the change's own image."""
    rows = rows_of(
        item("1", a=number(1), by=text("ann")), item("1", a=number(2), b=number(1), by=text("bob"))
    )

    found = asked(rows, actor=("by",))

    assert (found["Id"].actor.name, found["a"].actor.name) == ("ann", "bob")


def test_only_as_many_rows_are_read_as_are_needed():
    """When all attributes have their change, older rows are not asked for."""
    rows = rows_of(*[item("1", Id=text("1"), a=number(n)) for n in range(3)])
    rebirth = rows_of(item("1", a=number(7)), step_s=0)[0]
    read = []

    def newest_first():
        for row in (rebirth, *reversed(rows)):
            read.append(row)
            yield row

    at = START + timedelta(days=1)
    image = rebirth.change.new_image
    evidence = Evidence(rebirth.change.keys, at, at, START, rebirth, None, True, image)
    blame(evidence, newest_first(), None)

    assert len(read) <= 2


def test_an_item_that_is_not_there_has_nothing_to_blame():
    """A deleted item has no attributes."""
    rows = rows_of(item("1"), None)

    assert asked(rows) == {}


def test_a_baseline_that_a_change_of_its_second_follows_breaks_no_link():
    """It shows some moment of the second; the change knows better what was there before."""
    inserted, changed_row = rows_of(
        item("1", a=number(1), b=number(1)), item("1", a=number(2), b=number(1))
    )
    baseline = HistoryRow.from_change(
        replace(
            inserted.change,
            event_name=EventName.SNAPSHOT,
            sequence_number="0",
            created_at=changed_row.change.created_at,
            new_image=item("1", a=number(1), b=number(5)),
        )
    )

    blamed = asked([inserted, baseline, changed_row])["b"]

    assert (blamed.row, blamed.certainty) == (inserted, Certainty.EXACT)


def test_a_value_that_the_live_item_contradicts_is_not_the_last_rows():
    """Its change is not recorded, and what the last row says of it is over."""
    rows = rows_of(item("1", a=number(1), b=number(1)), item("1", a=number(2), b=number(1)))

    blamed = asked(rows, live=item("1", a=number(3), b=number(1)))

    assert (blamed["a"].row, blamed["a"].certainty) == (None, Certainty.BOUNDED)
    assert (blamed["b"].row, blamed["b"].certainty) == (rows[0], Certainty.BOUNDED)


@pytest.mark.parametrize(
    ("evidence", "certainty"),
    [
        ({}, Certainty.EXACT),
        ({"watermark": NoWatermark()}, Certainty.BOUNDED),
        ({"live_was_read": False}, Certainty.UNKNOWN),
    ],
)
def test_no_value_is_surer_than_its_state_was_until_then(evidence, certainty):
    """A change on its way may have set a value, and set it back."""
    blamed = asked(rows_of(item("1", a=number(1)), item("1", a=number(2))), **evidence)

    assert {one.certainty for one in blamed.values()} == {certainty}
    assert {one.basis is None for one in blamed.values()} == {certainty is not Certainty.EXACT}


@pytest.mark.parametrize(
    "unread", [{}, {"new_image": None}, {"old_image": None}, {"old_image": None, "new_image": None}]
)
def test_what_an_altered_row_tells_is_not_exact_nor_what_lies_behind_it(unread):
    """Where its images cannot be read, nothing is put down to it, and the reading goes on."""
    rows = rows_of(*[item("1", a=number(n), b=number(n // 2)) for n in (1, 2, 3)])
    rows[1] = replace(rows[1], change=replace(rows[1].change, **unread), fault="digest mismatch")

    found = asked(rows)

    assert (found["a"].row, found["a"].certainty) == (rows[2], Certainty.EXACT)
    assert found["b"].row == (None if unread else rows[1])
    assert found["Id"].row == rows[0]
    for path in ("b", "Id"):
        assert found[path].certainty is Certainty.BOUNDED
    assert "is not what was written (digest mismatch)" in found["Id"].reason


LATER_STREAM = f"{TABLE_ARN}/stream/2018-03-03T14:03:00.000"
FIRST, SECOND = "first-table", "second-table"
BEFORE_IT_ALL = START - timedelta(days=9)
SWITCHED = Lives(
    TableLife(LATER_STREAM, FIRST, BEFORE_IT_ALL),
    {STREAM_ARN: TableLife(STREAM_ARN, FIRST, BEFORE_IT_ALL)},
)
ANEW = replace(SWITCHED, current=TableLife(LATER_STREAM, SECOND, START + timedelta(seconds=60.5)))
UNCLEAR = Lives()


def of_stream(row, arn=LATER_STREAM):
    return HistoryRow.from_change(replace(row.change, event_source_arn=arn))


def across_two_streams(*, has_baseline_between):
    """Rows of two streams that fit each other, perhaps with a baseline of when there was none."""
    first, last = rows_of(item("1", a=number(1)), item("1", a=number(1), b=number(1)))
    baseline = of_stream(baseline_of(first.change.new_image, hours=0.01), TABLE_ARN)
    return [first, *([baseline] if has_baseline_between else []), of_stream(last)]


@pytest.mark.parametrize("has_baseline_between", [False, True])
@pytest.mark.parametrize(
    ("lives", "reason", "is_dated"),
    [
        (SWITCHED, "the stream of the table was switched off and on between", True),
        (UNCLEAR, "another stream begins", True),
        (ANEW, "the table was made anew between", False),
    ],
)
def test_nothing_is_sure_across_two_streams(lives, reason, is_dated, has_baseline_between):
    """Changes between are not recorded; and no row of a table that is gone made this item."""
    rows = across_two_streams(has_baseline_between=has_baseline_between)

    found = asked(rows, lives=lives)

    assert (found["b"].row, found["b"].certainty) == (rows[-1], Certainty.EXACT)
    for path in ("Id", "a"):
        assert found[path].row == (rows[0] if is_dated else None)
        assert found[path].certainty is Certainty.BOUNDED
        assert reason in found[path].reason


@pytest.mark.parametrize(("lives", "is_dated"), [(SWITCHED, True), (ANEW, False)])
def test_the_live_item_is_of_its_own_stream(lives, is_dated):
    """The last row is of the stream before, and what the live item holds may be as old or not."""
    rows = rows_of(item("1", a=number(1)))

    found = asked(rows, lives=lives)

    assert {one.certainty for one in found.values()} == {Certainty.BOUNDED}
    assert [one.row for one in found.values()] == [rows[0] if is_dated else None] * 2


def test_a_state_of_the_table_before_is_put_down_to_its_rows():
    """It was so while that table was there."""
    rows = rows_of(item("1", a=number(1)))
    at, later = START + timedelta(seconds=30), of_stream(baseline_of(item("1")))
    evidence = Evidence(rows[0].change.keys, at, at, START, rows[0], later, lives=ANEW)

    assert [one.row for one in blame(evidence, rows, None)] == [rows[0], rows[0]]


def test_a_row_of_another_table_is_passed_over():
    """It made nothing what it is, and nobody knows what was there meanwhile."""
    rows = rows_of(
        item("1", a=number(1)), item("1", a=number(2)), item("1", a=number(2), b=number(1))
    )
    arn = STREAM_ARN.replace("Employee", "Customer")
    rows[1] = of_stream(rows[1], arn)

    found = asked(rows, provenance=Provenance(TABLE_ARN))

    assert (found["b"].row, found["b"].certainty) == (rows[2], Certainty.EXACT)
    assert (found["a"].row, found["a"].certainty) == (None, Certainty.BOUNDED)
    assert (found["Id"].row, found["Id"].certainty) == (rows[0], Certainty.BOUNDED)
    for path in ("a", "Id"):
        assert found[path].reason == f"a row on the way back is of another table, {arn}"
