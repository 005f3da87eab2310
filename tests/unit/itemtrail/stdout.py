"""A standard output that tests can look at, and what is written to it."""

import contextlib
import io
from datetime import UTC, datetime

import pyarrow.parquet

from itemtrail.output.answer import Answer, give
from itemtrail.records.kinds import FieldKind, RecordKind
from stream_core.history_row import HistoryRow
from tests.factories import change, item, text

KIND = RecordKind(
    "sample",
    {
        "at": FieldKind.TIME,
        "name": FieldKind.TEXT,
        "ok": FieldKind.FLAG,
        "count": FieldKind.INTEGER,
        "value": FieldKind.WIRE,
    },
)
AT = datetime(2018, 3, 3, 14, 6, tzinfo=UTC)
FULL = {
    "at": AT,
    "name": "Murali",
    "ok": True,
    "count": 2**53 + 1,
    "value": {"N": "12345678901234567890123456789012345678"},
}
NOTHING = dict.fromkeys(KIND.fields)
BINARY = FULL | {"name": "é\ud800\x1b[31m", "ok": False, "value": {"M": {"a": {"B": b"\x00\x01"}}}}
SAMPLES = [FULL, NOTHING, BINARY]
FORMS = ("json", "jsonl", "csv", "parquet")


class Stdout(io.TextIOWrapper):
    """Standard output that keeps what it was given."""

    def __init__(self, *, is_terminal=False):
        super().__init__(io.BytesIO(), "utf-8", "backslashreplace", newline="")
        self.is_terminal = is_terminal

    def isatty(self):
        return self.is_terminal

    @property
    def text(self):
        self.flush()
        return self.buffer.getvalue().decode("utf-8")

    @property
    def table(self):
        self.flush()
        return pyarrow.parquet.read_table(io.BytesIO(self.buffer.getvalue()))

    def give(self, answer, form):
        """Give an answer to this standard output. pytest puts its own back after every fixture."""
        with contextlib.redirect_stdout(self):
            give(answer, form)

    def take(self, form, given_records, kind=KIND):
        """Write records to this standard output."""
        self.give(Answer(kind, given_records, []), form)

    def clear(self):
        self.flush()
        self.buffer.truncate(self.buffer.seek(0))


KEYS = {"Id": text("1")}
ROW = HistoryRow.from_change(change(None, item("1", Name=text("Murali"))))
