"""Reading what the runs of a history have announced."""

from collections import defaultdict
from collections.abc import Iterator
from threading import Lock

from reports.access.row_reader import RowReader
from reports.states.own_writes import NO_OWN_WRITES, OwnWrites
from stream_core.announcement import OWN_PREFIX, OwnWrite, standing
from stream_core.control_row import REDRIVE, RUN_PREFIX, RunRow
from stream_core.history_row import HistoryRow

# A question about more items than this is one about very many: one reading of all costs less.
_MANY_ITEMS = 100
_LAST = "~"


def find_own_writes(reader: RowReader) -> OwnWrites:
    """What this program has written to the table of a history.

    One Query finds the runs. Their announcements are read where a row is asked about, item by
    item, and all at once when many are; where no run ever was, none are.
    """
    runs = {
        row.run: row
        for row in reader.control_rows(RUN_PREFIX, RUN_PREFIX + _LAST)
        if isinstance(row, RunRow) and row.command != REDRIVE
    }
    if not runs:
        return NO_OWN_WRITES

    def rows(identifier: str, after: str, until: str) -> Iterator[HistoryRow]:
        return reader.rows(identifier, after=after, until=until)

    return OwnWrites(runs, _Announcements(reader).of_item, rows)


class _Announcements:
    """The announced writes of items; may be asked side by side."""

    def __init__(self, reader: RowReader) -> None:
        self._reader = reader
        self._lock = Lock()
        self._questions = 0
        self._all: dict[str, list[OwnWrite]] | None = None

    def of_item(self, item: str) -> list[OwnWrite]:
        """Those of one item, by its hash."""
        with self._lock:
            self._questions += 1
            if self._questions > _MANY_ITEMS and self._all is None:
                self._all = defaultdict(list)
                for write in self._read(OWN_PREFIX):
                    self._all[write.item].append(write)
            if self._all is not None:
                return self._all.get(item, [])
        return self._read(f"{OWN_PREFIX}{item}#")

    def _read(self, prefix: str) -> list[OwnWrite]:
        return standing(self._reader.control_rows(prefix, prefix + _LAST))
