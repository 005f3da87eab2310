"""Changes whose times go back: their sequence numbers tell the order."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reports.states.stream_order import (
    MOST_BACK,
    MOST_NEIGHBOURS,
    earliest_before,
    goes_back,
    in_stream_order,
    in_their_time,
    placed_rows,
)
from stream_core.change import EventName
from stream_core.history_row import HistoryRow
from tests.factories import NOON, STREAM_ARN, change, item, number

START = datetime.fromtimestamp(NOON, UTC)


def row(sequence, at, **fields):
    found = change(item(N=number(0)), item(N=number(1)), sequence=sequence, at=NOON + at)
    return HistoryRow.from_change(replace(found, **fields))


def by_time(rows):
    return sorted(rows, key=lambda one: one.sort_key)


def numbers(rows):
    return [int(one.change.sequence_number) for one in rows]


@pytest.mark.parametrize(
    "stamps",
    [
        (0, 1, 0),
        (0, 1, 2, 0, 1, 3),
        (5, 0, 1),
        (3, 2, 1, 0),
        (0, 1, 60, 2, 61),
        (0, 100, 200, 300, 1),
        (0, 0, 0),
    ],
)
def test_rows_come_in_the_order_in_which_they_were_made(stamps):
    """From the first one or from the last one, whatever their times are within minutes."""
    made = [row(n, at) for n, at in enumerate(stamps, 1)]

    assert list(in_stream_order(by_time(made))) == made
    assert list(in_stream_order(by_time(made)[::-1], newest_first=True)) == made[::-1]


def test_what_changed_its_place_is_told():
    """And what it changed places with; the others stand where their times say."""
    made = [row(n, at) for n, at in enumerate((0, 10, 12, 11, 20), 1)]

    assert [placed.was_moved for placed in placed_rows(by_time(made))] == [
        False,
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    "other",
    [
        {"event_source_arn": f"{STREAM_ARN}-later"},
        {"event_name": EventName.SNAPSHOT},
        {"sequence_number": ""},
        {"sequence_number": "seven"},
    ],
)
def test_numbers_tell_an_order_within_one_stream_only(other):
    """Those of another stream, and of what no stream gave, tell nothing."""
    rows = [row(9, 0), row(1, 1, **other)]

    assert not goes_back(*rows)
    assert list(in_stream_order(rows)) == rows


def test_the_number_of_an_altered_row_tells_nothing():
    """It may be what was altered."""
    rows = [row(9, 0), replace(row(1, 1), fault="digest mismatch")]

    assert list(in_stream_order(rows)) == rows


def test_numbers_are_compared_as_numbers():
    """As text `9` would come after `10`."""
    assert goes_back(row(10, 0), row(9, 1))
    assert not goes_back(row(9, 0), row(10, 1))


def test_rows_far_apart_are_not_held_back():
    """A life of years is streamed: nothing is looked for beyond minutes, or beyond many rows."""
    far = int(MOST_BACK.total_seconds()) + 1
    sparse = iter(in_stream_order(map(row, range(10, 0, -1), range(0, 10 * far, far))))
    dense = iter([row(n, n) for n in range(1000)])

    assert numbers(sparse) == list(range(10, 0, -1))
    assert numbers([next(in_stream_order(dense))]) == [0]
    assert numbers([next(dense)])[0] <= MOST_NEIGHBOURS + 2


def test_a_version_holds_until_the_next_one_was_made():
    """One that is stamped earlier begins with the one before it: no two hold at one time."""
    made = [row(1, 0), row(2, 5), row(3, 3), row(4, 9)]

    assert [
        (int((since - START).total_seconds()), until and int((until - START).total_seconds()))
        for _, since, until in in_their_time(made)
    ] == [(0, 5), (5, 5), (5, 9), (9, None)]


def test_the_first_moment_there_is_has_nothing_before_it():
    """A range may begin with the year 1."""
    first = datetime.min.replace(tzinfo=UTC)

    assert earliest_before(first) == first
    assert earliest_before(START) == START - MOST_BACK
    assert earliest_before(first + timedelta(seconds=1)) == first
