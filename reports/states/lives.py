"""Which table each stream of a history is of, and since when its rows are complete. Pure.

A row names the stream that its record came from. Another stream is one of two things: the same
table's, whose stream was switched off and on, so that changes in between are not recorded; or that
of another table of the same name, so that whatever the first one held has ended. Control rows tell
them apart, and the source table tells of its own stream; where neither does, the rows have to.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from reports.states.watermark import Basis, Watermark
from stream_core.control_row import BackfillMark, ControlRow, ProofMark, TableLife
from stream_core.history_row import time_text


class Boundary(StrEnum):
    """What lies between the records of two streams."""

    GAP = "gap"
    """The stream of one table was switched off and on: changes in between are not recorded."""
    OTHER_TABLE = "other table"
    """The table was made anew: its items are none of the table before."""
    UNCLEAR = "unclear"
    """Nothing says which of the two it is."""


@dataclass(frozen=True)
class Crossing:
    """The boundary between a row and what follows it.

    Attributes:
        boundary: what it is.
        over_at: by this moment another table was there, UTC; None: not known.
    """

    boundary: Boundary
    over_at: datetime | None = None

    def reason(self, start: datetime, end: datetime, *, is_gone: bool) -> str:
        """Why a state between two moments is no surer, in words."""
        between = f"between {time_text(start)} and {time_text(end)}"
        if self.boundary is Boundary.GAP:
            return (
                f"the stream of the table was switched off and on {between}: changes of that time "
                "are missing"
            )
        if self.boundary is Boundary.OTHER_TABLE:
            return f"the table was made anew {between}, and what it held ended with it"
        if is_gone:
            return (
                f"{between} another stream begins: the table was made anew, or a delete is missing"
            )
        return (
            f"{between} another stream begins: the stream was switched off and on, and changes "
            "are missing, or the table was made anew"
        )


@dataclass(frozen=True)
class Lives:
    """What the history, and the source table, say of the streams of the history.

    Attributes:
        current: the stream of the source table, with its table; None where none is known.
        tables: the table of each stream, as far as a control row tells.
        marks: the first finished backfill of each stream.
        proven: up to when a kept proof shows the history of the current stream to be complete;
            None where none is kept.
    """

    current: TableLife | None = None
    tables: Mapping[str, TableLife] = field(default_factory=dict)
    marks: Mapping[str, BackfillMark] = field(default_factory=dict)
    proven: Watermark | None = None

    @classmethod
    def read(cls, rows: Iterable[ControlRow], current: TableLife | None) -> "Lives":
        """What control rows say, and what the source table is now."""
        tables: dict[str, TableLife] = {}
        marks: dict[str, BackfillMark] = {}
        proofs: list[ProofMark] = []
        for row in rows:
            if isinstance(row, TableLife):
                tables[row.stream_arn] = row
            elif isinstance(row, ProofMark):
                proofs.append(row)
            elif isinstance(row, BackfillMark) and (
                row.stream_arn not in marks or row.started < marks[row.stream_arn].started
            ):
                marks[row.stream_arn] = row
        return cls(current, tables, marks, _proven(proofs, current))

    def mark(self, stream_arn: str | None) -> BackfillMark | None:
        """The first finished backfill of a stream, if it was of the table that the stream is of."""
        mark = None if stream_arn is None else self.marks.get(stream_arn)
        if mark is None or stream_arn is None:
            return None
        table = self._table(stream_arn)
        is_of_it = table is None or mark.table_id == table.table_id
        return mark if is_of_it else None

    def crossing(
        self, stream_arn: str, created_at: datetime, later_arn: str | None
    ) -> Crossing | None:
        """What lies between a row and what follows it; None: the same stream goes on.

        Args:
            stream_arn: the stream of the row.
            created_at: when its change was made.
            later_arn: the stream of what follows; None: it is not known.
        """
        if later_arn is None or not is_another_stream(stream_arn, later_arn):
            return None
        earlier, later = self._table(stream_arn), self._table(later_arn)
        over_at = self._next_table(earlier, created_at)
        if later is None:
            return Crossing(Boundary.UNCLEAR, over_at)
        if earlier is not None and earlier.table_id and later.table_id:
            is_same = earlier.table_id == later.table_id
        else:
            # Stamps are whole seconds.
            is_same = created_at >= later.created_at.replace(microsecond=0)
        if is_same:
            return Crossing(Boundary.GAP)
        return Crossing(Boundary.OTHER_TABLE, min(over_at or later.created_at, later.created_at))

    def _next_table(self, earlier: TableLife | None, created_at: datetime) -> datetime | None:
        """When the first other table of the name was made after a change; None: not known.

        Also one between the table of the change and that of what follows: the first ended by then.
        """
        table_id = earlier.table_id if earlier else ""
        lives = [*self.tables.values(), *([self.current] if self.current else [])]
        return min(
            (
                life.created_at
                for life in lives
                # Stamps are whole seconds.
                if life.created_at.replace(microsecond=0) > created_at
                and not (table_id and life.table_id == table_id)
            ),
            default=None,
        )

    def _table(self, stream_arn: str) -> TableLife | None:
        if self.current is not None and stream_arn == self.current.stream_arn:
            return self.current
        return self.tables.get(stream_arn)


def _proven(proofs: Iterable[ProofMark], current: TableLife | None) -> Watermark | None:
    """What the proofs of the table's present stream show; others say nothing of its records."""
    if current is None:
        return None
    origin = current.stream_arn, current.table_id
    known = (proof for proof in proofs if (proof.stream_arn, proof.table_id) == origin)
    last = max(known, key=lambda proof: proof.until, default=None)
    if last is None:
        return None
    reason = f"every record of the stream was a row at {time_text(last.finished)}, as kept"
    return Watermark(last.until, Basis.COMPARED, reason)


def is_another_stream(stream_arn: str, later_arn: str) -> bool:
    """Whether two ARNs are of two streams of one table's name.

    A baseline that was taken while there was no stream has the ARN of the table.
    """
    table, _, label = stream_arn.partition("/stream/")
    later_table, _, later_label = later_arn.partition("/stream/")
    return table == later_table and label != later_label and bool(label) and bool(later_label)
