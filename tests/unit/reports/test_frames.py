"""Frames: times in UTC, exact values, absent told from NULL, columns that cannot be mixed up."""

import base64
import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pandas as pd
import pytest

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
from reports.states.differences import differences
from reports.states.timeline import Certainty, Evidence, timeline
from reports.verification.continuity import Finding, FindingKind
from stream_core.history_row import HistoryRow
from tests.factories import COMPLETE, NOON, change, item, number, text

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
    assert frame["valid_from"][0] is pd.NaT
    assert frame["key"][0] == {"Id": "1"}
    assert list(frame["event_name"]) == ["INSERT", "INSERT", "MODIFY", "MODIFY", "REMOVE"]


def test_scd2_has_one_line_a_version_and_one_column_a_path(states):
    """Each time lies in one version; absent is NA, NULL is None, sets and bytes are kept."""
    frame = scd2_frame(states)

    assert list(frame.columns[:1]) == ["Id"]
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
    found = differences(FIRST, SECOND)
    finding = Finding(FindingKind.ORDER, {"Id": text("1")}, START, None, "x", "why")
    blamed = Blame(("n",), number(1), rows[0], Actor(None, None, None), Certainty.EXACT, "")
    for make, something in (
        (history_frame, rows),
        (changes_frame, rows),
        (states_frame, states),
        (difference_frame, found),
        (findings_frame, [finding]),
        (blame_frame, [blamed]),
    ):
        full, empty = make(something), make([])
        assert list(full.columns) == list(empty.columns)
        assert list(full.dtypes) == list(empty.dtypes), make
    assert len(scd2_frame([])) == 0


def test_the_delta_of_numbers_is_exact():
    """All 38 digits; anything but two numbers has none."""
    frame = difference_frame(differences(FIRST, SECOND)).set_index("path")

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
    found = difference_frame(differences(FIRST, SECOND), coerce=True).set_index("path")
    assert isinstance(found["delta"]["n"], float)


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
