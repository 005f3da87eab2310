"""Every question is answered in every form, with the documented fields."""

import csv
import io
import json

import pyarrow.parquet
import pytest

from itemtrail.cli import commands
from itemtrail.records import kinds as record_kinds
from itemtrail.records.kinds import FieldKind
from stream_core.history_row import time_text
from tests.unit.itemtrail.trail import BROKEN, EVERY_QUESTION, OPERATIONS, WAREHOUSE, Trail

LINES = {
    "history": record_kinds.VERSION,
    "as-of": record_kinds.STATE,
    "diff": record_kinds.DIFFERENCE_LINE,
    "blame": record_kinds.BLAME,
    "timeline": record_kinds.SPAN,
    "changes": record_kinds.CHANGE,
    "between": record_kinds.SPAN,
    "table-as-of": record_kinds.STATE,
    "verify": record_kinds.FINDING,
    "status": record_kinds.STATUS_LINE,
    "doctor": record_kinds.ADVICE,
}
DOCUMENTS = {
    "as-of": record_kinds.STATE,
    "diff": record_kinds.COMPARISON,
    "verify": record_kinds.VERIFICATION,
    "status": record_kinds.STATUS,
}
NESTED = {
    ("as-of", "row"): record_kinds.ROW,
    ("diff", "from"): record_kinds.STATE,
    ("diff", "differences"): record_kinds.DIFFERENCE,
    ("verify", "findings"): record_kinds.FINDING,
    ("status", "tables"): record_kinds.TABLE_STATUS,
    ("status", "consumers"): record_kinds.CONSUMER_STATUS,
    ("status", "kept_aside"): record_kinds.KEPT_ASIDE,
}
EVERY_COMMAND = pytest.mark.parametrize("command", EVERY_QUESTION)


def test_every_command_that_answers_is_asked_here():
    """The lists above miss no question; `demo` and `report` have no forms to choose from.

    `accept` is tried in test_accept.py.
    """
    asking = commands.commands.keys() - OPERATIONS - WAREHOUSE - {"accept", "demo", "report"}

    assert EVERY_QUESTION.keys() == LINES.keys() == asking


@EVERY_COMMAND
def test_json_has_the_documented_fields_in_order(run, command):
    """A list of records, or one document, each with the fields of its kind and no other."""
    _, out, _ = run(*EVERY_QUESTION[command], "--output", "json", trail=Trail(found=BROKEN))

    answer = json.loads(out)
    if command in DOCUMENTS:
        assert list(answer) == list(DOCUMENTS[command].fields)
    else:
        assert answer
        assert all(list(record) == list(LINES[command].fields) for record in answer)


@pytest.mark.parametrize(("command", "field"), NESTED)
def test_nested_records_have_the_documented_fields(run, command, field):
    """What is within a document is documented too."""
    _, out, _ = run(*EVERY_QUESTION[command], trail=Trail(found=BROKEN))

    nested = json.loads(out)[field]
    for record in nested if isinstance(nested, list) else [nested]:
        assert list(record) == list(NESTED[command, field].fields)


@EVERY_COMMAND
def test_csv_says_the_same_as_json(run, command):
    """Lines of JSON and of CSV have the same lines with the same fields."""
    question = (*EVERY_QUESTION[command], "--output")

    _, jsonl, _ = run(*question, "jsonl", trail=Trail(found=BROKEN))
    lines = [json.loads(line) for line in jsonl.splitlines()]
    _, out, _ = run(*question, "csv", trail=Trail(found=BROKEN))
    header, *cells = csv.reader(io.StringIO(out, newline=""))

    assert header == list(LINES[command].fields)
    assert len(lines) == len(cells) > 0
    for line, row in zip(lines, cells, strict=True):
        assert list(line) == header
        assert [_from_cell(cell, line[name]) for name, cell in zip(header, row, strict=True)] == [
            *line.values()
        ]


@EVERY_COMMAND
def test_parquet_says_the_same_as_json(run_on, capsysbinary, command):
    """The table has a row a line, typed by the kind of each field."""
    question = (*EVERY_QUESTION[command], "--output")

    run_on(*question, "jsonl", trail=Trail(found=BROKEN))
    lines = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    run_on(*question, "parquet", trail=Trail(found=BROKEN))
    table = pyarrow.parquet.read_table(io.BytesIO(capsysbinary.readouterr().out))

    assert table.column_names == list(LINES[command].fields)
    assert len(lines) == table.num_rows > 0
    for name, kind in LINES[command].fields.items():
        values = table[name].to_pylist()
        if kind is FieldKind.TIME:
            values = [value and time_text(value) for value in values]
        elif kind is FieldKind.WIRE:
            values = [value and json.loads(value) for value in values]
        assert values == [line[name] for line in lines]


def _from_cell(cell, expected):
    """What a cell says, where it is known what kind of thing it should say."""
    if expected is None:
        return None if cell == "" else cell
    if isinstance(expected, str):
        return cell.removeprefix("'")
    return json.loads(cell)
