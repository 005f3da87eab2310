"""Sums keep all 38 digits, where Python's default context would keep 28."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from reports.states.values import delta, total
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
