"""Answers for programs: JSON, lines of JSON, and CSV, in which nothing is lost.

An attribute value keeps DynamoDB's own form (`{"N": "1"}`, binary as base64), times are ISO 8601
in UTC. Everything is written as it arrives. docs/json.md lists the fields.
"""

import csv
import json
import re
import sys
import time
from base64 import b64encode
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from itemtrail.records.kinds import FieldKind, Record, RecordKind
from reports.unseen import visible
from stream_core.history_row import time_text

_FLUSH_AFTER_S = 0.2
_CRLF = "\r\n"
# What a spreadsheet takes for a formula, also after what it takes for blank, and what it takes for
# the end of a cell. An apostrophe of the text's own is doubled, so that one can be taken away.
_RUN_BY_A_SPREADSHEET = re.compile(
    "[\\s\x00\ufeff\u200b]*[=+\\-@\uff1d\uff0b\uff0d\uff20]|['\t\r\n]"
)


def write_document(record: Record) -> None:
    """Write one JSON document."""
    sys.stdout.write(document_text(record))


def document_text(record: Record) -> str:
    """One JSON document, as it is written; ASCII."""
    return f"{_INDENTED.encode(record)}\n"


def write_json(records: Iterable[Record]) -> None:
    """Write one JSON array, record by record."""
    out = _Out()
    between = "[\n"
    for record in records:
        # A line break within a text is escaped: all of these are of the form.
        text = _INDENTED.encode(record).replace("\n", "\n  ")
        out.write(f"{between}  {text}")
        between = ",\n"
    out.write("[]\n" if between == "[\n" else "\n]\n")


def write_jsonl(records: Iterable[Record]) -> None:
    """Write one JSON document a line."""
    out = _Out()
    for record in records:
        out.write(f"{_COMPACT.encode(record)}\n")


def write_csv(kind: RecordKind, records: Iterable[Record]) -> None:
    """Write a header and a line a record, a column a field.

    Nothing is an empty cell. A cell that a spreadsheet would run begins with an apostrophe, which
    is taken away to get the text.
    """
    write_utf8()
    shown = visible if sys.stdout.isatty() else str
    lines = csv.writer(_Lines())
    lines.writerow(kind.fields)
    for record in records:
        lines.writerow(shown(_cell(field, record[name])) for name, field in kind.fields.items())


def write_utf8() -> None:
    """Let stdout not depend on the machine: a file that is passed on means the same everywhere."""
    sys.stdout.reconfigure(  # type: ignore[union-attr]
        encoding="utf-8", errors="backslashreplace", newline=""
    )


def flat_text(kind: FieldKind, value: Any) -> str | None:
    """A field as text, the nested as compact JSON; None where there is nothing."""
    if value is None:
        return None
    match kind:
        case FieldKind.TIME:
            return time_text(value)
        case FieldKind.FLAG:
            return "true" if value else "false"
        case FieldKind.WIRE:
            return _COMPACT.encode(value)
        case _:
            return str(value)


class _Out:
    """Stdout, flushed often enough for whoever waits at the other end."""

    def __init__(self) -> None:
        self._flushed = time.monotonic()

    def write(self, text: str) -> None:
        sys.stdout.write(text)
        if time.monotonic() - self._flushed > _FLUSH_AFTER_S:
            sys.stdout.flush()
            self._flushed = time.monotonic()


class _Lines(_Out):
    """Stdout for `csv`, which quotes a line break of either kind only where lines end in both."""

    def write(self, text: str) -> None:
        super().write(f"{text.removesuffix(_CRLF)}\n")


def _cell(kind: FieldKind, value: Any) -> str:
    text = flat_text(kind, value) or ""
    # A number below zero begins as a formula does, and is none.
    return _harmless(text) if kind in (FieldKind.TEXT, FieldKind.WIRE) else text


def _harmless(cell: str) -> str:
    return f"'{cell}" if _RUN_BY_A_SPREADSHEET.match(cell) else cell


def _plain_value(value: bytes | datetime) -> str:
    return time_text(value) if isinstance(value, datetime) else b64encode(value).decode("ascii")


_INDENTED = json.JSONEncoder(indent=2, default=_plain_value, allow_nan=False)
_COMPACT = json.JSONEncoder(separators=(",", ":"), default=_plain_value, allow_nan=False)
