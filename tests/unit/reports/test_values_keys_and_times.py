"""Keys, times, values and differences are read and shown without bending anything."""

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from reports import KeyShapeError, TimeFormatError
from reports.inputs.keys import KeySchema, key_text
from reports.inputs.paths import path_text
from reports.inputs.times import read_time
from reports.states.differences import differences
from reports.states.values import to_python, value_to_text
from tests.factories import item, number, text

NOW = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)
BY_ID = KeySchema({"Id": "N"})
BY_NAME = KeySchema({"Name": "S"})
COMPOSITE = KeySchema({"Artist": "S", "Year": "N"})
BINARY = KeySchema({"Hash": "B"})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2018-03-03T18:46:00Z", datetime(2018, 3, 3, 18, 46, tzinfo=UTC)),
        ("2018-03-03T20:46:00+02:00", datetime(2018, 3, 3, 18, 46, tzinfo=UTC)),
        ("2018-03-03 18:46", datetime(2018, 3, 3, 18, 46, tzinfo=UTC)),
        ("2018-03-03", datetime(2018, 3, 3, tzinfo=UTC)),
        ("now", NOW),
        ("2h ago", NOW - timedelta(hours=2)),
        ("15 minutes ago", NOW - timedelta(minutes=15)),
        ("1 Day ago", NOW - timedelta(days=1)),
        (datetime(2018, 3, 3, 18, 46), datetime(2018, 3, 3, 18, 46, tzinfo=UTC)),  # noqa: DTZ001
    ],
)
def test_times_are_iso_8601_or_so_long_ago(given, expected):
    """A time without an offset is UTC, and relative times count back from now."""
    assert read_time(given, NOW) == expected
    assert read_time(given, NOW).tzinfo is UTC


@pytest.mark.parametrize(
    "given", ["", "yesterday", "2018-13-01", "2 fortnights ago", "99999999w ago"]
)
def test_other_times_are_refused_with_an_example(given):
    """What is no time is named, with a form that would do."""
    with pytest.raises(TimeFormatError, match=r"use ISO 8601, e\.g\. 2026-01-31T18:46:00Z"):
        read_time(given, NOW)


@pytest.mark.parametrize(
    ("schema", "words", "expected"),
    [
        (BY_ID, ["42"], {"Id": {"N": "42"}}),
        (BY_ID, ["1e2"], {"Id": {"N": "100"}}),
        (BY_ID, ["Id=42"], {"Id": {"N": "42"}}),
        (BY_ID, ['{"Id": 42}'], {"Id": {"N": "42"}}),
        (BY_ID, ['{"Id": {"N": "42.0"}}'], {"Id": {"N": "42"}}),
        (BY_NAME, ["a=b"], {"Name": {"S": "a=b"}}),
        (BY_NAME, ["1.0"], {"Name": {"S": "1.0"}}),
        (BY_NAME, ['{"x": 1}'], {"Name": {"S": '{"x": 1}'}}),
        (COMPOSITE, ["Year=1999", "Artist=x=y"], {"Artist": {"S": "x=y"}, "Year": {"N": "1999"}}),
        (BINARY, ["AAE="], {"Hash": {"B": b"\x00\x01"}}),
    ],
)
def test_a_key_on_the_command_line_takes_its_types_from_the_schema(schema, words, expected):
    """A plain value, NAME=VALUE pairs and JSON make the same typed key."""
    assert schema.key_of_text(words) == expected


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (BY_ID, ["abc"]),
        (BY_ID, ["1", "2"]),
        (BY_ID, [""]),
        (BY_ID, ['{"Id": "42"}']),
        (BY_ID, ['{"Id": {"S": "42"}}']),
        (BY_ID, ['{"Id": 1, "Other": 2}']),
        (BY_ID, ['{"Id": true}']),
        (COMPOSITE, ["x"]),
        (COMPOSITE, ["Artist=x"]),
        (BINARY, ["not base64"]),
    ],
)
def test_a_key_of_the_wrong_shape_is_refused_with_the_right_one(schema, words):
    """The error names the table's key and gives an example of it."""
    with pytest.raises(KeyShapeError, match=r"its key is .*: give e\.g\. \w+="):
        schema.key_of_text(words)


def test_a_python_key_keeps_its_type_and_a_float_is_refused():
    """A float is refused, because which number it was meant to be cannot be told."""
    assert BY_ID.key_of({"Id": 1}) == BY_ID.key_of({"Id": Decimal("1.0")}) == {"Id": {"N": "1"}}
    assert BINARY.key_of({"Hash": b"\x00"}) == {"Hash": {"B": b"\x00"}}

    for wrong in (1.0, "1", True, None):
        with pytest.raises(KeyShapeError, match="Id is not a number"):
            BY_ID.key_of({"Id": wrong})


def test_keys_are_shown_as_they_can_be_typed():
    """What is shown of a key is what the command line takes."""
    keys = {"Artist": {"S": "x y"}, "Year": {"N": "1999"}}

    assert key_text(keys) == "Artist=x y Year=1999"
    assert COMPOSITE.key_of_text(["Artist=x y", "Year=1999"]) == keys


def test_python_values_are_exact():
    """Numbers are exact decimals, sets sets, binary bytes, NULL None, and absence is absence."""
    long_number = "1234567890.1234567890123456789012345678"
    values = to_python(
        {
            "N": number(long_number),
            "NS": {"NS": ["1", long_number]},
            "BS": {"BS": [b"", b"\x00"]},
            "Null": {"NULL": True},
            "Bool": {"BOOL": True},
            "L": {"L": [{"M": {"S": text("")}}]},
        }
    )

    assert values == {
        "N": Decimal(long_number),
        "NS": {Decimal(1), Decimal(long_number)},
        "BS": {b"", b"\x00"},
        "Null": None,
        "Bool": True,
        "L": [{"S": ""}],
    }
    assert str(values["N"]) == long_number


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (text("Murali"), "Murali"),
        (number("1.50"), "1.50"),
        ({"B": b"\x00\x01"}, "base64:AAE="),
        ({"NULL": True}, "NULL"),
        ({"BOOL": False}, "false"),
        ({"NS": ["10", "9"]}, "{9, 10}"),
        ({"L": [number(1), {"M": {"a": text("b")}}]}, "[1, {a: b}]"),
    ],
)
def test_values_are_shown_in_one_line(value, expected):
    """A value is shown as people write it."""
    assert value_to_text(value) == expected


def found(old, new):
    return [(path_text(one.path), one.kind, one.old, one.new) for one in differences(old, new)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"SS": ["a", "b"]}, {"SS": ["b", "a"]}),
        ({"NS": ["1", "2.0"]}, {"NS": ["2", "1"]}),
        (number("1.50"), number("1.5")),
        ({"BS": [b"", b"x"]}, {"BS": [b"x", b""]}),
        ({"L": [{"M": {"a": {"SS": ["x", "y"]}}}]}, {"L": [{"M": {"a": {"SS": ["y", "x"]}}}]}),
    ],
)
def test_order_of_sets_and_spelling_of_numbers_is_no_difference(old, new):
    """FACTS 9.16, 9.17: sets compare as sets, numbers by value."""
    assert found(item(a=old), item(a=new)) == []


def test_null_absent_and_empty_are_three_things():
    """FACTS 9.18: NULL, absence and the empty string all differ from each other."""
    null, empty = {"NULL": True}, text("")

    assert found(item(a=null), item()) == [("a", "removed", null, None)]
    assert found(item(), item(a=empty)) == [("a", "added", None, empty)]
    assert found(item(a=null), item(a=empty)) == [("a", "changed", null, empty)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"BOOL": True}, number(1)),
        (text("1"), number(1)),
        ({"SS": ["AA=="]}, {"BS": [b"\x00"]}),
        ({"L": []}, {"M": {}}),
    ],
)
def test_a_changed_type_is_a_change(old, new):
    """FACTS 9.20: values that Python or JSON would call equal are told apart by their type."""
    assert found(item(a=old), item(a=new)) == [("a", "changed", old, new)]


def test_differences_inside_maps_and_lists_have_paths_of_their_own():
    """Maps and lists are followed inside, position by position."""
    old = item(a={"M": {"b": {"L": [number(1), number(2)]}, "c": text("x")}})
    new = item(a={"M": {"b": {"L": [number(1), number(3), number(4)]}, "d": text("x")}})

    assert found(old, new) == [
        ("a.b[1]", "changed", number(2), number(3)),
        ("a.b[2]", "added", None, number(4)),
        ("a.c", "removed", text("x"), None),
        ("a.d", "added", None, text("x")),
    ]


def test_paths_are_unambiguous():
    """An attribute named `a.b` is not `a` then `b`, and a quote in a name ends nothing."""
    paths = [("a", "b"), ("a.b",), ("a", 0), ("a[0]",), ('a"."b',), ('"a"', "b"), ("",), ("é",)]

    assert len({path_text(path) for path in paths}) == len(paths)
    assert path_text(("a.b",)) == '"a.b"'


def test_an_item_that_comes_or_goes_differs_in_every_attribute():
    """None stands for an absent item."""
    assert [one[1] for one in found(None, item(a=number(1)))] == ["added", "added"]
    assert [one[1] for one in found(item(a=number(1)), None)] == ["removed", "removed"]
    assert found(None, None) == []


def test_a_time_without_an_offset_is_utc_wherever_the_machine_is(monkeypatch):
    """A report means the same in Zurich and in Seattle."""
    monkeypatch.setenv("TZ", "Europe/Zurich")
    time.tzset()
    try:
        assert read_time("2026-03-03T18:46:00") == datetime(2026, 3, 3, 18, 46, tzinfo=UTC)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(("tag", "value"), [("S", ""), ("B", b"")])
def test_an_empty_key_is_refused_here_and_not_by_the_service(tag, value):
    """The service's message names neither the attribute nor what to do."""
    with pytest.raises(KeyShapeError):
        KeySchema({"Id": tag}).key_of({"Id": value})


def test_a_key_in_json_may_have_a_fraction():
    """It stays the decimal number that was written."""
    assert KeySchema({"Id": "N"}).key_of_text(['{"Id": 1.50}']) == {"Id": {"N": "1.5"}}
