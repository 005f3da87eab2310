"""Answers that come as Arrow record batches, in the form asked for, batch by batch."""

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import pyarrow as pa
from rich.console import JustifyMethod, RenderableType
from rich.table import Column
from rich.text import Text

from itemtrail.datasets.arrow_values import Plain, plain_lines
from itemtrail.output import parquet
from itemtrail.output.answer import Answer, give
from itemtrail.output.json_and_csv import flat_text
from itemtrail.output.progress import ProgressBar
from itemtrail.records.kinds import FieldKind, Record, RecordKind
from itemtrail.tables import cells
from itemtrail.tables.layout import listing, table_of
from reports.errors import ReportError

_LONGEST_CELL = 200
# A row group is held in memory until it is written.
_MOST_ROWS, _MOST_BYTES = 100_000, 64 * 1024 * 1024


def give_batches(reader: pa.RecordBatchReader, form: str, progress: ProgressBar) -> None:
    """Write or show an answer as it arrives.

    Raises:
        ReportError: two of its columns have the same name, or Parquet has no type for one.
    """
    _require_different_names(reader.schema)
    if form == "parquet":
        groups = _row_groups(reader)
        # Nothing is written before it is known that there is an answer.
        first = list(islice(groups, 1))
        progress.answer_begins()
        parquet.write_batches(reader.schema, chain(first, groups))
        return
    kind = RecordKind("line", {field.name: _kind(field.type) for field in reader.schema})
    answer = Answer(kind, _records(reader), _blocks(kind, reader))
    give(answer, form, progress)


def _require_different_names(schema: pa.Schema) -> None:
    for name in schema.names:
        if schema.names.count(name) > 1:
            raise ReportError(f"two columns are called {name}: give one another name with AS")


def _kind(column_type: Any) -> FieldKind:
    """What a column holds, once its values are plain."""
    kinds = pa.types
    if kinds.is_boolean(column_type):
        return FieldKind.FLAG
    if (
        kinds.is_integer(column_type)
        or kinds.is_floating(column_type)
        or kinds.is_decimal(column_type)
    ):
        return FieldKind.INTEGER
    return FieldKind.WIRE if kinds.is_nested(column_type) else FieldKind.TEXT


def _records(reader: pa.RecordBatchReader) -> Iterator[Record]:
    names = reader.schema.names
    for line in plain_lines(reader):
        yield dict(zip(names, line, strict=True))


def _row_groups(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in reader:
        held.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= _MOST_ROWS or size >= _MOST_BYTES:
            yield pa.concat_batches(held)
            held, rows, size = [], 0, 0
    if held:
        yield pa.concat_batches(held)


def _blocks(kind: RecordKind, reader: pa.RecordBatchReader) -> Iterator[RenderableType]:
    """An answer for people, as tables that continue each other; without lines just its columns."""
    columns = [_column(name, holds) for name, holds in kind.fields.items()]
    rows = (list(map(_cell, kind.fields.values(), line)) for line in plain_lines(reader))
    is_empty = True
    for block in listing(columns, rows):
        yield block
        is_empty = False
    if is_empty:
        yield from (table_of(columns), "")


def _column(name: str, holds: FieldKind) -> Column:
    justify: JustifyMethod = "right" if holds is FieldKind.INTEGER else "left"
    return Column(cells.plain(name), justify=justify, overflow="fold", ratio=1)


def _cell(kind: FieldKind, value: Plain) -> Text:
    text = flat_text(kind, value)
    if text is None:
        return Text("null", style="dim")
    if len(text) <= _LONGEST_CELL:
        return cells.plain(text)
    return cells.plain(f"{text[:_LONGEST_CELL]}… ({len(text):,} characters)")
