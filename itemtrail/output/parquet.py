"""Answers as Parquet, by pyarrow, which nothing else here needs."""

import importlib
import io
import sys
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from itemtrail.extras import how_to_install
from itemtrail.output.json_and_csv import flat_text
from itemtrail.records.kinds import FieldKind, Record, RecordKind
from reports.errors import ReportError

# A row group is held in memory until it is written, and images are large.
_MOST_ROWS = 50_000
_MOST_TEXT = 16 * 1024 * 1024


def require_pyarrow() -> None:
    """See that Parquet can be written, before anything is read for it.

    Raises:
        ReportError: it cannot.
    """
    _pyarrow("pyarrow.parquet")


def write_parquet(kind: RecordKind, records: Iterable[Record]) -> None:
    """Write a Parquet file to stdout, a column a field, row group by row group.

    Times are `timestamp[us, UTC]`, flags booleans, integers int64, all else text, the nested as
    compact JSON. Should reading fail on the way, the file lacks its end and no reader takes it.
    """
    arrow = _pyarrow("pyarrow")
    schema = arrow.schema([(name, _type(arrow, field)) for name, field in kind.fields.items()])
    groups = (arrow.record_batch(columns, schema=schema) for columns in _row_groups(kind, records))
    write_batches(schema, groups)


def write_batches(schema: Any, batches: Iterable[Any]) -> None:
    """Write Arrow record batches as a Parquet file to stdout, a row group each.

    Raises:
        ReportError: Parquet has no type for a column.
    """
    arrow, parquet = _pyarrow("pyarrow"), _pyarrow("pyarrow.parquet")
    sink = _Sink()
    try:
        writer = parquet.ParquetWriter(sink, schema)
    except arrow.ArrowNotImplementedError as error:
        sink.is_abandoned = True
        raise ReportError(f"Parquet cannot hold a column of the answer: {error}: CAST it") from None
    try:
        for batch in batches:
            writer.write_batch(batch)
        writer.close()
    except BaseException:
        sink.is_abandoned = True
        raise
    sys.stdout.buffer.flush()


class _Sink(io.RawIOBase):
    """Stdout, until it is abandoned: a writer that is dropped would still end its file."""

    is_abandoned = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if not self.is_abandoned:
            sys.stdout.buffer.write(data)
        return len(data)


def _row_groups(kind: RecordKind, records: Iterable[Record]) -> Iterator[list[list[Any]]]:
    """The columns of as many records as fit into a row group, again and again."""
    rows: list[list[Any]] = []
    size = 0
    for record in records:
        rows.append([_value(field, record[name]) for name, field in kind.fields.items()])
        size += sum(len(value) for value in rows[-1] if isinstance(value, str))
        if len(rows) >= _MOST_ROWS or size >= _MOST_TEXT:
            yield list(map(list, zip(*rows, strict=True)))
            rows, size = [], 0
    if rows:
        yield list(map(list, zip(*rows, strict=True)))


def _value(kind: FieldKind, value: Any) -> Any:
    if kind not in (FieldKind.TEXT, FieldKind.WIRE):
        return value
    text = flat_text(kind, value)
    # A lone surrogate, which streams can carry, is no text to Arrow.
    return text and text.encode("utf-8", "backslashreplace").decode("utf-8")


def _type(arrow: ModuleType, kind: FieldKind) -> Any:
    match kind:
        case FieldKind.TIME:
            return arrow.timestamp("us", tz="UTC")
        case FieldKind.FLAG:
            return arrow.bool_()
        case FieldKind.INTEGER:
            return arrow.int64()
        case _:
            return arrow.string()


def _pyarrow(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ReportError(f"Parquet needs pyarrow: {how_to_install('parquet')}") from None
