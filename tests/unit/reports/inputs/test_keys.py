"""Keys are read and shown without bending anything."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from reports import KeyShapeError
from reports.inputs.keys import KeySchema, key_text

BY_ID = KeySchema({"Id": "N"})
BY_NAME = KeySchema({"Name": "S"})
COMPOSITE = KeySchema({"Artist": "S", "Year": "N"})
BINARY = KeySchema({"Hash": "B"})


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

    for wrong in ("1", True, None, np.bool_(True), pd.NA, pd.NaT, Decimal("NaN")):
        with pytest.raises(KeyShapeError, match="Id is not a number"):
            BY_ID.key_of({"Id": wrong})
    for wrong in (1.0, np.float64(7), float("nan")):
        with pytest.raises(KeyShapeError, match=r"Id is the float .*: use Decimal; its key is Id"):
            BY_ID.key_of({"Id": wrong})


@pytest.mark.parametrize(
    ("schema", "key", "expected"),
    [
        (BY_ID, {"Id": np.int64(7)}, {"Id": {"N": "7"}}),
        (BY_ID, pd.DataFrame({"Id": [7]})["Id"][0], {"Id": {"N": "7"}}),
        (BY_ID, 7, {"Id": {"N": "7"}}),
        (BY_ID, Decimal("7.50"), {"Id": {"N": "7.5"}}),
        (BY_ID, "Id=7", {"Id": {"N": "7"}}),
        (BY_ID, '{"Id": {"N": "7"}}', {"Id": {"N": "7"}}),
        (BY_NAME, "a b", {"Name": {"S": "a b"}}),
        (BY_NAME, {"Name": np.str_("x")}, {"Name": {"S": "x"}}),
        (BINARY, b"\x00", {"Hash": {"B": b"\x00"}}),
        (COMPOSITE, "'Artist=x y' Year=1999", {"Artist": {"S": "x y"}, "Year": {"N": "1999"}}),
    ],
)
def test_a_key_may_be_its_value_or_a_text_and_a_cell_of_a_frame(schema, key, expected):
    """A value alone stands for a key of one attribute, a text for what the command line takes."""
    assert schema.key_of(key) == expected


@pytest.mark.parametrize(
    ("schema", "key"),
    [
        *((BY_ID, key) for key in (None, [7], (7,), {1: 2}, b"7", np.array([1, 2]), pd.NaT)),
        *((COMPOSITE, key) for key in (7, ("x", 1999), "Artist='x", {"Artist": "x"})),
    ],
    ids=repr,
)
def test_any_other_key_is_refused_and_no_other_error_is_raised(schema, key):
    """In one line that names the table's key and gives an example."""
    with pytest.raises(KeyShapeError, match=r"^not a key of the table: .*; its key is .*: give"):
        schema.key_of(key)


def test_keys_are_shown_as_they_can_be_typed():
    """What is shown of a key is what the command line takes."""
    keys = {"Artist": {"S": "x y"}, "Year": {"N": "1999"}}

    assert key_text(keys) == "Artist=x y Year=1999"
    assert COMPOSITE.key_of_text(["Artist=x y", "Year=1999"]) == keys


@pytest.mark.parametrize(("tag", "value"), [("S", ""), ("B", b"")])
def test_an_empty_key_is_refused_here_and_not_by_the_service(tag, value):
    """The service's message names neither the attribute nor what to do."""
    with pytest.raises(KeyShapeError):
        KeySchema({"Id": tag}).key_of({"Id": value})


def test_a_key_in_json_may_have_a_fraction():
    """It stays the decimal number that was written."""
    assert KeySchema({"Id": "N"}).key_of_text(['{"Id": 1.50}']) == {"Id": {"N": "1.5"}}


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("Emp=42", "it has no attribute Emp"),
        ('{"Id": 42', """'{"Id": 42' is no JSON that names Id"""),
        ('{"Emp": 42}', """'{"Emp": 42}' is no JSON that names Id"""),
        ("abc", "Id is not a number"),
    ],
)
def test_what_is_wrong_with_a_word_is_told(word, why):
    """A wrong name, or JSON that does not close, is not a number that is none."""
    with pytest.raises(KeyShapeError) as refused:
        BY_ID.key_of_text([word])

    assert str(refused.value).startswith(f"not a key of the table: {why}; its key is Id (N)")
