"""The changes made in a range of time, to one item or to all of them."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from datetime import datetime
from functools import partial

from reports.access.by_time import IndexEntry, check_range
from reports.access.own_writes import find_own_writes
from reports.access.parallel import batches, in_order
from reports.access.progress import Progress, silent
from reports.access.row_reader import MOST_A_CALL, RowReader
from reports.states.selection import Selection
from stream_core.history_row import HistoryRow, sort_key_after, time_text


def changed_rows(  # noqa: PLR0913 - the whole question, as it is asked
    reader: RowReader,
    start: datetime,
    end: datetime,
    where: Selection,
    *,
    identifier: str | None = None,
    progress: Progress = silent,
    undecided: Callable[[HistoryRow], object] = lambda _row: None,
    examined: Callable[[HistoryRow], object] = lambda _row: None,
    paced: Callable[[], object] = lambda: None,
) -> Generator[HistoryRow, None, None]:
    """The changes made from `start` to `end`, both included, in the order of time, streamed.

    A change of the last second may be missing: AWS brings the index up to date a little later.

    Args:
        reader: finds the rows by their time, and reads them consistently.
        start: the first moment.
        end: the last moment.
        where: which changes are asked for.
        identifier: of this item only; its own rows are read then, and not the index.
        progress: is called with the hours of the index that are done.
        undecided: is called with every change that `where` leaves out only because nothing names
            who made it: all deletes, where an actor is asked for.
        examined: is called with every row that is read, asked for or not.
        paced: is called before each row that the index shows is read, and before an item's own are.

    Raises:
        ReportError: the range ends before it starts.
        IntegrityError: a row is in the index and not in the table, or is not what was written.
    """
    check_range(start, end)
    if identifier is None:
        entries = reader.by_time.entries(start, end, progress)
        rows = _rows_of_all(reader, entries, where, paced)
    else:
        paced()
        rows = _rows_of_one(reader, identifier, start, end)
    noted = partial(find_own_writes(reader).noted_in_order, since=start)
    return _accepted(rows, noted, where, undecided, examined)


def _rows_of_all(
    reader: RowReader,
    entries: Generator[IndexEntry, None, None],
    where: Selection,
    paced: Callable[[], object],
) -> Generator[HistoryRow, None, None]:
    def keys() -> Iterator[tuple[str, str]]:
        for entry in entries:
            if where.takes(entry.event_name):
                paced()
                yield entry.identifier, entry.sort_key

    # Closed by hand, here and below: left to the interpreter, threads might outlive an error.
    with closing(entries), closing(in_order(reader.fetch, batches(keys(), MOST_A_CALL))) as fetched:
        for rows in fetched:
            yield from rows


def _rows_of_one(
    reader: RowReader, identifier: str, start: datetime, end: datetime
) -> Generator[HistoryRow, None, None]:
    yield from reader.rows(identifier, after=time_text(start), until=sort_key_after(end))


def _accepted(
    rows: Generator[HistoryRow, None, None],
    noted: Callable[[Iterable[HistoryRow]], Iterable[HistoryRow]],
    where: Selection,
    undecided: Callable[[HistoryRow], object],
    examined: Callable[[HistoryRow], object],
) -> Generator[HistoryRow, None, None]:
    with closing(rows):
        for row in noted(rows):
            examined(row)
            if where.accepts(row):
                yield row
            elif where.undecided(row):
                undecided(row)
