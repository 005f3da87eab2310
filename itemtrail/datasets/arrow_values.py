"""Values of an answer in Arrow as plain ones, such as JSON has, in which nothing is lost.

A number that JSON has no exact word for, a time, and binary are texts.
"""

import math
from base64 import b64encode
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import singledispatch
from typing import Any, TypeAlias

import pyarrow as pa

from stream_core.history_row import time_text

Plain: TypeAlias = Any
"""None, a flag, a number, a text; a list, or a dictionary with texts as its keys, of these."""


def plain_lines(batches: Iterable[pa.RecordBatch]) -> Iterator[list[Plain]]:
    """The lines of an answer, each as the values of its columns, in their order."""
    for batch in batches:
        # By column: a dictionary would drop one of two columns of a name.
        columns = [column.to_pylist() for column in batch.columns]
        for line in zip(*columns, strict=True):
            yield [plain(value) for value in line]


@singledispatch
def plain(value: Any) -> Plain:
    """A value from Arrow as a plain one; what has no form of its own here is its text."""
    return str(value)


@plain.register(type(None))
@plain.register(bool)
@plain.register(int)
@plain.register(str)
def _as_it_is(value: Any) -> Plain:
    return value


@plain.register
def _float(value: float) -> Plain:
    """A number, or the name of what is none: `nan`, `inf`."""
    return value if math.isfinite(value) else str(value)


@plain.register
def _decimal(value: Decimal) -> Plain:
    """A number if it is whole, as sums are; else its digits, because a float would bend them."""
    return int(value) if value.as_tuple().exponent == 0 else format(value, "f")


@plain.register
def _binary(value: bytes) -> Plain:
    return b64encode(value).decode("ascii")


@plain.register(date)
@plain.register(time)
def _iso(value: Any) -> Plain:
    return value.isoformat()


@plain.register
def _moment(value: datetime) -> Plain:
    """ISO 8601 in UTC; without a `Z` if it is of no zone."""
    return value.isoformat() if value.tzinfo is None else time_text(value)


@plain.register
def _duration(value: timedelta) -> Plain:
    return _span(0, value.days, value.seconds * 10**9 + value.microseconds * 1000)


@plain.register
def _interval(value: pa.MonthDayNano) -> Plain:
    return _span(value.months, value.days, value.nanoseconds)


@plain.register(list)
@plain.register(tuple)
def _list(value: Any) -> Plain:
    """A list; a map is one of its pairs, whose keys need not be texts."""
    return [plain(member) for member in value]


@plain.register(dict)
def _struct(value: dict[str, Any]) -> Plain:
    return {name: plain(member) for name, member in value.items()}


def _span(months: int, days: int, nanoseconds: int) -> str:
    seconds = format((Decimal(nanoseconds) / 10**9).normalize(), "f")
    return f"P{months}M{days}DT{seconds}S"
