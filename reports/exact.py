"""Exact arithmetic on DynamoDB's numbers.

Python's decimal context keeps 28 digits, DynamoDB 38: `frame["price"].sum()` rounds silently.
"""

from collections.abc import Iterable
from decimal import Context, Decimal, Inexact

# From 1E-130 to 9.99E+125 there are 256 places; the rest is for carries. More would raise.
_CONTEXT = Context(prec=300, traps=[Inexact])


def total(values: Iterable[Decimal | None]) -> Decimal:
    """The exact sum of numbers; None (an absent or NULL value) counts for nothing.

    Example:
        >>> total(frame["new"])
    """
    result = Decimal(0)
    for value in values:
        if value is not None:
            result = _CONTEXT.add(result, value)
    return result


def delta(old: Decimal, new: Decimal) -> Decimal:
    """The exact difference of two numbers."""
    return _CONTEXT.subtract(new, old)
