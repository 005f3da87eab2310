"""The source table as it is now, read once and kept small in memory."""

import marshal
import zlib
from collections import deque
from collections.abc import Iterator
from datetime import datetime

from reports.access.progress import Progress
from reports.access.row_reader import RowReader
from reports.access.table_description import describe
from reports.access.table_scan import dated_scan
from reports.errors import ReportError
from stream_core.attribute_values import Item


class LiveTable:
    """The items of the source table, each as it was at some moment of the reading.

    They are held because what the history says has to be read after them: a change seen live,
    and not in the history, could else have been recorded in between. As Python objects they would
    take several times their size in the table; compressed they take a fraction of it.
    """

    def __init__(self, reader: RowReader, progress: Progress) -> None:
        """Read the table now, consistently; `progress` is called with the items read.

        Raises:
            ReportError: no source table was given.
        """
        if reader.source_table is None:
            raise ReportError("no source table was given")
        self._pages: deque[tuple[bytes, datetime | None]] = deque()
        self.count = 0
        expected = describe(reader.dynamodb, reader.source_table).items or 0
        for page, read_at in dated_scan(reader.dynamodb, reader.source_table):
            self.count += len(page)
            # Written and read by this very process, so marshal's format is safe, and fast.
            self._pages.append((zlib.compress(marshal.dumps(page), 1), read_at))
            progress("live items", self.count, max(expected, self.count))

    def items(self) -> Iterator[tuple[Item, datetime | None]]:
        """Every item, and when it was read, by the service's clock, as far as that is known.

        Each comes once: what is handed out is forgotten.
        """
        while self._pages:
            page, read_at = self._pages.popleft()
            for item in marshal.loads(zlib.decompress(page)):  # noqa: S302 - see above
                yield item, read_at
