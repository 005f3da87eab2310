"""Whether a history row can be of the table that the history follows. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from stream_core.change import EventName
from stream_core.history_row import HistoryRow

# API reference, StreamRecord; all zero is what a baseline has.
_NUMBER = re.compile(r"(?!0+\Z)[0-9]{21,40}", re.ASCII)
# Clocks may be wrong; by more than this a stamp is.
CLOCK_TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True)
class Provenance:
    """What is known of the followed table; nothing is said where it is not known.

    Attributes:
        table: its ARN, or its name where an engine tells no ARN.
        overflow_bucket: the only bucket that rows point into.
    """

    table: str | None = None
    overflow_bucket: str | None = None

    def other_table(self, row: HistoryRow) -> str | None:
        """The table or stream that a row is of instead, None where it is of the followed one."""
        arn = row.change.event_source_arn
        return None if self.is_followed(arn) else arn

    def is_followed(self, arn: str) -> bool:
        """Whether an ARN is of the followed table or a stream of it, as far as is known."""
        table = self.table
        if table is None or arn == table or arn.startswith(f"{table}/stream/"):
            return True
        return not table.startswith("arn:") and _table_name(arn) == table

    def other_table_fault(self, row: HistoryRow) -> str | None:
        """The same in words."""
        arn = self.other_table(row)
        return None if arn is None else f"it is of {arn}, not of the followed table {self.table}"

    def faults(self, row: HistoryRow) -> Iterator[str]:
        """What shows that no stream of the table told of a row, in words."""
        change, pointer = row.change, row.overflow
        if (fault := self.other_table_fault(row)) is not None:
            yield fault
        if change.event_name is not EventName.SNAPSHOT and not _NUMBER.fullmatch(
            change.sequence_number
        ):
            yield "its SequenceNumber is none: that has 21 to 40 digits, and is not 0"
        begun = _beginning(change.event_source_arn)
        if begun is not None and change.created_at < begun - CLOCK_TOLERANCE:
            yield "it is stamped before its stream was made"
        if (
            pointer is not None
            and self.overflow_bucket is not None
            and pointer.bucket != self.overflow_bucket
        ):
            yield f"its overflow object is in {pointer.bucket}, not in {self.overflow_bucket}"


def _table_name(arn: str) -> str:
    return arn.partition(":table/")[2].partition("/")[0]


def _beginning(stream_arn: str) -> datetime | None:
    """When a stream was made, which its label says; None where it does not."""
    try:
        begun = datetime.fromisoformat(stream_arn.partition("/stream/")[2])
    except ValueError:
        return None
    return begun.replace(tzinfo=UTC) if begun.tzinfo is None else begun
