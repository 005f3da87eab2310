"""Python values and text are exact: sums keep all 38 digits, where Python's default keeps 28."""

from decimal import Decimal
from fractions import Fraction

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.states.values import delta, to_python, total, value_to_text
from tests.factories import number, text
from tests.strategies import numbers


def test_a_sum_of_38_digit_numbers_is_exact():
    """FACTS 9.67."""
    values = [Decimal("0.1"), None, Decimal(10**37), Decimal("1E-130"), Decimal("9.99E+125")]

    assert total(values) == sum(Fraction(value) for value in values if value is not None)
    assert sum(value for value in values if value is not None) != total(values)


@given(st.lists(numbers().map(Decimal), max_size=5), numbers().map(Decimal))
def test_sums_and_differences_are_those_of_the_numbers(values, other):
    """Whatever the magnitudes."""
    assert Fraction(total(values)) == sum(map(Fraction, values))
    assert Fraction(delta(other, total(values))) == sum(map(Fraction, values)) - Fraction(other)


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


def test_what_is_not_there_counts_for_nothing_in_a_sum():
    """None for NULL, and pandas' NA, which `scd2` has for an absent attribute."""
    assert total([Decimal("1.50"), None, pd.NA, Decimal(2)]) == Decimal("3.50")
