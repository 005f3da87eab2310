"""Values on a command line: what is text, and what is a number, a flag or a value of DynamoDB's."""

import pytest

from reports.errors import ReportError
from reports.inputs.values import read_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("ada", {"S": "ada"}),
        ("", {"S": ""}),
        ("12.50", {"N": "12.50"}),
        ("-1e3", {"N": "-1e3"}),
        ("007", {"S": "007"}),
        ("NaN", {"S": "NaN"}),
        ("9" * 38, {"N": "9" * 38}),
        ("true", {"BOOL": True}),
        ("false", {"BOOL": False}),
        ("True", {"S": "True"}),
        ("null", {"NULL": True}),
        ('{"S": "5"}', {"S": "5"}),
        ('{"SS": ["b", "a"]}', {"SS": ["b", "a"]}),
        ('"5"', {"S": '"5"'}),
        ("[" * 100_000, {"S": "[" * 100_000}),
    ],
)
def test_a_value_is_what_it_looks_like(text, value):
    """As `--to` takes it; all that is nothing else is text."""
    assert read_value(text) == value


@pytest.mark.parametrize(
    "text", ["9" * 39, '{"N": "x"}', '{"N": 1}', '{"a": 1}', "[1]", '{"a": NaN}']
)
def test_what_is_no_value_is_refused(text):
    """Rather than written as its text."""
    with pytest.raises(ReportError, match="not an attribute value"):
        read_value(text)
