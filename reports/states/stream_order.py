"""The order of an item's changes where their times go back. Pure.

Rows are kept by time. DynamoDB's clock may go back by a second or so, and a later change then
carries an earlier time: of an item's records in one stream the sequence numbers tell the order.
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_StreamRecord.html
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from more_itertools import nth

from stream_core.change import EventName
from stream_core.history_row import HistoryRow

MOST_BACK = timedelta(minutes=5)
"""By how much a time goes back at most, as far as that is looked for."""
MOST_NEIGHBOURS = 50
"""How many rows around one are looked at for it."""


def earliest_before(moment: datetime) -> datetime:
    """When what was made at a moment or later may be stamped."""
    return moment - min(MOST_BACK, moment - datetime.min.replace(tzinfo=UTC))


def goes_back(row: HistoryRow, following: HistoryRow) -> bool:
    """Whether the second of two rows was made before the first, by their sequence numbers."""
    return _are_of_one_stream(row, following) and _number(row) > _number(following)


class PlacedRow(NamedTuple):
    """A row in the order in which the changes were made.

    Attributes:
        was_moved: by time, it or a row that it changed places with stands elsewhere.
    """

    row: HistoryRow
    was_moved: bool


def in_stream_order(
    rows: Iterable[HistoryRow], *, newest_first: bool = False
) -> Iterator[HistoryRow]:
    """The rows of an item, which come by time, in the order in which they were made."""
    return (placed.row for placed in placed_rows(rows, newest_first=newest_first))


def placed_rows(rows: Iterable[HistoryRow], *, newest_first: bool = False) -> Iterator[PlacedRow]:
    """The same, with what changed its place.

    Args:
        rows: the rows; no more of them are read ahead than may have to change their places.
        newest_first: they come from the last one backwards.
    """
    waiting: list[PlacedRow] = []
    for row in rows:
        while waiting and (len(waiting) > MOST_NEIGHBOURS or _lie_apart(waiting[0].row, row)):
            yield waiting.pop(0)
        place = len(waiting)
        for index in range(len(waiting) - 1, -1, -1):
            other = waiting[index].row
            pair = (row, other) if newest_first else (other, row)
            if goes_back(*pair):
                place = index
            elif _are_of_one_stream(*pair):
                break
        passed = [PlacedRow(placed.row, was_moved=True) for placed in waiting[place:]]
        waiting[place:] = [PlacedRow(row, was_moved=bool(passed)), *passed]
    yield from waiting


def in_their_time(
    rows: Iterable[HistoryRow],
) -> Iterator[tuple[HistoryRow, datetime, datetime | None]]:
    """Rows in the order in which they were made, since when and until when each holds.

    One that is stamped before the row that it follows holds since that one.
    """
    latest: datetime | None = None
    previous: HistoryRow | None = None
    for row in rows:
        since = max(latest or row.change.created_at, row.change.created_at)
        if previous is not None and latest is not None:
            yield previous, latest, since
        previous, latest = row, since
    if previous is not None and latest is not None:
        yield previous, latest, None


class Neighbours(NamedTuple):
    """The changes on both sides of an instant, in the order in which they were made.

    Attributes:
        before, after: their rows, None where there is none.
        since, until: when the first one, and when the second one, begins to hold.
        are_disordered: the stamps of others contradict that they are next to the instant.
    """

    before: HistoryRow | None
    after: HistoryRow | None
    since: datetime | None
    until: datetime | None
    are_disordered: bool


def neighbours(rows: Iterable[HistoryRow], at: datetime) -> Neighbours | None:
    """What is next to an instant among rows that come by time; None: no time goes back."""
    in_place = list(placed_rows(rows))
    if not any(placed.was_moved for placed in in_place):
        return None
    timed = [(row, since) for row, since, _ in in_their_time(placed.row for placed in in_place)]
    count = sum(since <= at for _, since in timed)
    none = (None, None)
    before, since = timed[count - 1] if count else none
    after, until = nth(timed, count, none)
    are_past = [placed.row.change.created_at <= at for placed in in_place]
    are_disordered = not all(are_past[:count]) or any(are_past[count:])
    return Neighbours(before, after, since, until, are_disordered)


def _are_of_one_stream(row: HistoryRow, following: HistoryRow) -> bool:
    return (
        _is_numbered(row)
        and _is_numbered(following)
        and row.change.event_source_arn == following.change.event_source_arn
    )


def _is_numbered(row: HistoryRow) -> bool:
    """Whether the number of a row tells its place; that of an altered one tells nothing."""
    number = row.change.sequence_number
    is_change = row.change.event_name is not EventName.SNAPSHOT
    return is_change and row.fault is None and number.isascii() and number.isdigit()


def _number(row: HistoryRow) -> int:
    return int(row.change.sequence_number)


def _lie_apart(row: HistoryRow, other: HistoryRow) -> bool:
    return abs(row.change.created_at - other.change.created_at) > MOST_BACK
