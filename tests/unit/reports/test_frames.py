"""Frames: times in UTC, exact values, absent told from NULL, columns that cannot be mixed up."""

import base64
import io
import itertools
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from reports.frames import (
    _times,
    blame_frame,
    changes_frame,
    difference_frame,
    findings_frame,
    history_frame,
    scd2_frame,
    states_frame,
)
from reports.states.actor import Actor
from reports.states.blame import Blame
from reports.states.columns import MOST_WITHIN
from reports.states.differences import differences
from reports.states.evidence import Evidence
from reports.states.spans import timeline
from reports.states.timeline import Certainty, ItemState
from reports.verification.continuity import Finding, FindingKind
from stream_core.history_row import HistoryRow
from tests.factories import COMPLETE, NOON, change, item, number, text
from tests.strategies import items

KEYS = {"Id": text("1")}
START = datetime.fromtimestamp(NOON, UTC)
TTL = ("Service", "dynamodb.amazonaws.com")
LONG = "1234567890123456789.0123456789012345678"
FIRST = item("1", a={"NULL": True}, n={"N": LONG}, s={"SS": ["x", "y"]}, b={"B": b"\x00"})
SECOND = item("1", n=number(2), m={"M": {"x": {"L": [number(1)]}}})


@pytest.fixture
def rows():
    """An item that is inserted, changed twice in a second, and expires."""
    states = [None, FIRST, SECOND, FIRST, None]
    at = [0, 60, 60, 120]
    return [
        HistoryRow.from_change(
            change(
                old,
                new,
                at=NOON + at[place],
                sequence=place + 1,
                user_identity=TTL if new is None else None,
            )
        )
        for place, (old, new) in enumerate(itertools.pairwise(states))
    ]


@pytest.fixture
def states(rows):
    """The same item's states, with the time before its first row."""
    now = START + timedelta(days=1)
    newest = Evidence(
        *({"Id": text("1")}, now, now, START - timedelta(days=1), rows[-1], None, True, None),
        **COMPLETE,
    )
    return list(timeline(rows, newest))


def test_a_states_frame_has_the_absences_too(states):
    """Before the INSERT and after the REMOVE there was no item, and that is known."""
    frame = states_frame(states)

    assert list(frame["exists"]) == [False, True, True, True, False]
    assert list(frame["item"].isna()) == [True, False, False, False, True]
    assert list(frame["is_current"]) == [False] * 5
    assert set(frame["certainty"]) == {"exact"}
    assert frame["valid_from"].dtype == "datetime64[us, UTC]"
    assert frame["valid_from"][0] == states[0].at
    assert frame["key"][0] == {"Id": "1"}
    assert list(frame["event_name"]) == ["INSERT", "INSERT", "MODIFY", "MODIFY", "REMOVE"]


def test_scd2_has_one_line_a_version_and_one_column_a_path(states):
    """Each time lies in one version; absent is NA, NULL is None, sets and bytes are kept."""
    frame = scd2_frame(states)

    assert list(frame.columns[:2]) == ["id", "Id"]
    assert list(frame.columns[-7:]) == [
        "valid_from",
        "valid_to",
        "is_current",
        "certainty",
        "basis",
        "reason",
        "sequence_number",
    ]
    assert list(frame["n"]) == [Decimal(LONG), Decimal(2), Decimal(LONG)]
    assert list(frame["m.x[0]"]) == [pd.NA, Decimal(1), pd.NA]
    assert frame["a"][0] is None
    assert frame["a"][1] is pd.NA
    assert frame["s"][0] == {"x", "y"}
    assert frame["b"][0] == b"\x00"
    at = START + timedelta(seconds=60)
    valid = frame[(frame["valid_from"] <= at) & (frame["valid_to"] > at)]
    assert list(valid["sequence_number"]) == ["3"]


def test_scd2_keeps_odd_names_apart():
    """An attribute named `a.b` is not `b` in `a`; one named `valid_to` is not the version's end."""
    image = item("1", **{"a.b": number(1), "a": {"M": {"b": number(2)}}, "valid_to": number(3)})
    row = HistoryRow.from_change(change(None, image))
    now = START + timedelta(days=1)
    newest = Evidence({"Id": text("1")}, now, now, START, row, None, True, image)

    frame = scd2_frame(timeline([row], newest))

    assert (frame['"a.b"'][0], frame["a.b"][0], frame['"valid_to"'][0]) == (1, 2, 3)
    assert frame["valid_to"][0] is pd.NaT
    assert list(frame["is_current"]) == [True]


def test_the_frame_of_nothing_has_the_columns_and_types_of_any_other(rows, states):
    """An empty answer can be concatenated with another one."""
    finding = Finding(FindingKind.ORDER, {"Id": text("1")}, START, None, "x", "why")
    blamed = Blame(("n",), number(1), rows[0], Actor(None, None, None), Certainty.EXACT, "")
    for make, something in (
        (history_frame, rows),
        (changes_frame, rows),
        (states_frame, states),
        (partial(difference_frame, KEYS), differences(FIRST, SECOND)),
        (findings_frame, [finding]),
        (partial(blame_frame, KEYS), [blamed]),
    ):
        full, empty = make(something), make([])
        assert list(full.columns) == list(empty.columns)
        assert list(full.dtypes) == list(empty.dtypes), make
    assert len(scd2_frame([])) == 0


def test_the_delta_of_numbers_is_exact():
    """All 38 digits; anything but two numbers has none."""
    frame = difference_frame(KEYS, differences(FIRST, SECOND)).set_index("path")

    assert frame["delta"]["n"] == Decimal("-1234567890123456787.0123456789012345678")
    assert frame["delta"]["a"] is None
    assert list(frame.loc["a", ["old", "new", "old_type", "new_type"]]) == [
        None,
        None,
        "NULL",
        None,
    ]


def test_coerced_values_are_floats_plain_texts_and_lists(rows):
    """What is lost by it is said in `to_python`."""
    frame = history_frame(rows, coerce=True)

    assert frame["item"][0] == {
        "Id": "1",
        "a": None,
        "n": float(LONG),
        "s": ["x", "y"],
        "b": base64.b64encode(b"\x00").decode(),
    }
    assert frame["item"][1]["m"] == {"x": [1.0]}
    found = difference_frame(KEYS, differences(FIRST, SECOND), coerce=True).set_index("path")
    assert found["delta"].dtype == "float64"
    assert found["delta"]["n"] == 2 - float(LONG)


def test_coerced_numbers_are_columns_that_compare_and_plot(rows, states):
    """A column of nothing but numbers is float64, NaN where one is absent."""
    frame = scd2_frame(states, coerce=True)

    assert (frame["n"].dtype, frame["m.x[0]"].dtype) == ("float64", "float64")
    assert list(frame["m.x[0]"].isna()) == [True, False, True]
    assert len(frame[frame["n"] > 1]) == 3
    assert list(frame["s"]) == [["x", "y"], None, ["x", "y"]]
    blamed = [
        Blame((name,), value, rows[0], Actor(None, None, None), Certainty.EXACT, "")
        for name, value in (("a", number(1)), ("b", number(2)))
    ]
    assert blame_frame(KEYS, blamed, coerce=True)["value"].dtype == "float64"


def test_a_key_is_never_coerced():
    """A float keeps 16 digits: it would be the key of another item, or none at all."""
    keys = {"Id": number(9007199254740993), "Part": {"B": b"\x00"}}
    image = keys | {"n": number(1)}
    row = HistoryRow.from_change(change(None, image, keys=keys))
    state = ItemState(keys, START, image, Certainty.EXACT, "", valid_from=START, row=row)
    exact = {"Id": Decimal(9007199254740993), "Part": b"\x00"}

    versions = scd2_frame([state], coerce=True)
    for frame in (changes_frame([row], coerce=True), states_frame([state], coerce=True), versions):
        kept = pd.read_parquet(io.BytesIO(frame.to_parquet()))
        for one in (frame, kept):
            key = one["key"][0] if "key" in one else dict(one[["Id", "Part"]].iloc[0])
            assert key == exact
            assert [type(value) for value in key.values()] == [Decimal, bytes]
    assert versions["n"].dtype == "float64"


def test_every_frame_has_an_id_to_group_and_merge_by_and_no_column_hides_a_method(rows, states):
    """`frame.at` and `frame.item` stay what pandas has there, and `id` can be hashed."""
    for frame in _every_frame(rows, states):
        assert set(frame["id"]) == {"1"}
        assert list(frame.groupby("id").groups) == ["1"]
        assert [name for name in frame.columns if hasattr(pd.DataFrame, name)] == []


def _every_frame(rows, states, **options):
    finding = Finding(FindingKind.ORDER, KEYS, START, None, "x", "why")
    blamed = [
        Blame((name,), value, rows[0], Actor(None, None, None), Certainty.EXACT, "")
        for name, value in FIRST.items()
    ]
    return [
        history_frame(rows, **options),
        changes_frame(rows, ("s",), **options),
        states_frame(states, **options),
        scd2_frame(states, **options),
        difference_frame(KEYS, differences(FIRST, SECOND), **options),
        blame_frame(KEYS, blamed, **options),
        findings_frame([finding]),
    ]


@pytest.mark.parametrize("options", [{}, {"coerce": True}])
def test_every_frame_goes_into_parquet_and_comes_back_the_same(rows, states, options):
    """Values, absences and attributes of the frame, also of a part of it and of an empty one."""
    for frame in _every_frame(rows, states, **options):
        frame.attrs = {"certainty": "exact"}
        for part in (frame, frame[1:], frame[frame["id"] == "2"], frame[[*frame.columns[:3]]]):
            kept = pd.read_parquet(io.BytesIO(part.to_parquet()))

            assert_frame_equal(part, kept, check_index_type=False)
            assert kept.attrs == frame.attrs
            for name in part.columns:
                assert list(map(type, part[name])) == list(map(type, kept[name])), name


def test_a_program_that_knows_no_such_columns_reads_texts(states, tmp_path):
    """Numbers and maps in DynamoDB's own form, absent as null, texts as they are."""
    scd2_frame(states).to_parquet(tmp_path / "scd2.parquet", index=False)
    program = "import pandas, sys; frame = pandas.read_parquet(sys.argv[1]);"
    program += "print(frame.fillna('-')[['Id', 'n', 'a', 's']].to_json(orient='values'))"

    ran = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "scd2.parquet"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(ran.stdout)[:2] == [
        ["1", f'{{"N":"{LONG}"}}', '{"NULL":true}', '{"SS":["x","y"]}'],
        ["1", '{"N":"2"}', "-", "-"],
    ]


@settings(max_examples=50)
@given(st.lists(items, min_size=1, max_size=3))
def test_any_value_comes_back_from_parquet(images):
    """Whatever DynamoDB can hold, and whatever is mixed in a column."""
    moment = START
    versions = [
        ItemState(KEYS, moment, image, Certainty.EXACT, "", valid_from=moment) for image in images
    ]
    for frame in (scd2_frame(versions), states_frame(versions), scd2_frame(versions, coerce=True)):
        assert_frame_equal(frame, pd.read_parquet(io.BytesIO(frame.to_parquet())))


def test_a_map_that_is_keyed_by_ids_is_one_column():
    """As many columns as items would be a square of cells: twice the items are twice the cells."""

    def frame(count):
        images = [
            item(str(place), lines={"M": {f"line-{place}": {"L": [number(place)]}}}, a=number(1))
            for place in range(count)
        ]
        return scd2_frame(
            ItemState({"Id": image["Id"]}, START, image, Certainty.EXACT, "", valid_from=START)
            for image in images
        )

    few, some, many = frame(MOST_WITHIN), frame(MOST_WITHIN + 1), frame(2 * MOST_WITHIN + 2)

    assert few['lines."line-7"[0]'][7] == 7
    assert some["lines"][7] == {"line-7": [7]}
    assert many.size == 2 * some.size
    assert len(many.columns) == len(some.columns) == len(few.columns) - MOST_WITHIN + 1


def test_changes_name_who_made_them(rows):
    """An expiry by TTL by its identity, an application by the attribute it writes."""
    frame = changes_frame(rows, ("s",))

    assert frame["actor"][3] == "dynamodb.amazonaws.com"
    assert frame["actor"][0] == "{x, y}"
    assert frame["actor_caveat"][0] is None
    assert list(frame["changed"])[1] == ["a", "b", "m", "n", "s"]


def test_findings_are_lines_with_their_bounds():
    """An open bound is NaT, the class is a plain text."""
    frame = findings_frame(
        [Finding(FindingKind.MISSING_START, {"Id": text("1")}, None, START, "k", "why", "known")]
    )

    assert dict(frame.iloc[0]) == {
        "id": "1",
        "finding": "MISSING_START",
        "key": {"Id": "1"},
        "since": pd.NaT,
        "until": pd.Timestamp(START),
        "sort_key": "k",
        "detail": "why",
        "declared": "known",
        "missing": None,
    }


@pytest.mark.parametrize("moments", [[], [None], [datetime(2018, 3, 3, tzinfo=UTC)]])
def test_times_are_of_microseconds_whatever_they_are(moments):
    """Frames with and without rows go together."""
    assert _times(moments).dtype == "datetime64[us, UTC]"
