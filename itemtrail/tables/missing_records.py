"""Records of a stream that the history lacks, as a table."""

from collections.abc import Sequence

from rich.table import Column, Table

from itemtrail.tables import cells
from itemtrail.tables.layout import Row, capped, folded
from operations.stored_rows import MissingRecord

_COLUMNS = (
    Column("not in the history", width=cells.WHEN_WIDTH),
    folded("key"),
    folded("sequence number"),
)


def missing_table(missing: Sequence[MissingRecord]) -> Table:
    """When each change was made, of which item, and its place in the stream."""
    return capped(_COLUMNS, missing, _missing_row)


def _missing_row(record: MissingRecord) -> Row:
    return (
        "not readable" if record.created_at is None else cells.when(record.created_at),
        "" if record.keys is None else cells.key_cell(record.keys),
        record.sequence_number,
    )
