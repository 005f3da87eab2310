"""What must be true of an item's values."""

import pytest

from reports.errors import ReportError
from reports.states.item_conditions import ItemCondition, Operator
from tests.factories import number, text

ITEM = {
    "Name": text("Åsa"),
    "Salary": number("1e3"),
    "Data": {"B": b"\x01\x02"},
    "Open": {"BOOL": True},
    "Address": {"M": {"City": text("Oslo")}},
    "Tags": {"SS": ["a", "b"]},
}


def accepts(path, operator, value):
    return ItemCondition(path, Operator(operator), value).accepts(ITEM)


@pytest.mark.parametrize(
    ("path", "operator", "value"),
    [
        (("Name",), "=", "Åsa"),
        (("Name",), "=", '{"S": "Åsa"}'),
        (("Name",), ">", "Z"),
        (("Name",), "<=", "Åsa"),
        (("Name",), "begins_with", "Å"),
        (("Salary",), "=", "1000.0"),
        (("Salary",), ">", "999"),
        (("Salary",), ">=", '{"N": "1000"}'),
        (("Salary",), "<", "1000.1"),
        (("Salary",), "!=", '{"S": "1000"}'),
        (("Data",), ">", '{"B": "AQ=="}'),
        (("Data",), "begins_with", '{"B": "AQ=="}'),
        (("Open",), "=", "true"),
        (("Address", "City"), "=", "Oslo"),
        (("Tags",), "=", '{"SS": ["b", "a"]}'),
        (("Missing",), "!=", "x"),
    ],
)
def test_is_true(path, operator, value):
    """Numbers as numbers, texts and binary byte by byte."""
    assert accepts(path, operator, value)


@pytest.mark.parametrize(
    ("path", "operator", "value"),
    [
        (("Name",), "=", "asa"),
        (("Name",), "!=", "Åsa"),
        (("Name",), "begins_with", "s"),
        (("Salary",), "<", "1000"),
        (("Salary",), "<=", "few"),
        (("Salary",), "begins_with", "1"),
        (("Salary",), "<", '{"S": "9"}'),
        (("Data",), ">", "AQ=="),
        (("Open",), ">", "false"),
        (("Missing",), "<", "x"),
        (("Missing",), "=", "x"),
        (("Address", "Street"), "=", "x"),
    ],
)
def test_is_not_true(path, operator, value):
    """Values of two types have no order, nor has what is not there."""
    assert not accepts(path, operator, value)


def test_a_wire_value_that_is_none_is_refused():
    """Before anything is read."""
    with pytest.raises(ReportError, match="not an attribute value"):
        ItemCondition(("a",), Operator.EQUAL, '{"N": "one"}')


def test_it_is_told_as_it_is_written():
    """For a plan that is shown."""
    assert str(ItemCondition(("a", "b.c", 0), Operator.AT_MOST, "3")) == 'a."b.c"[0] <= 3'
