"""The forms for programs: whole, written as they arrive, harmless."""

import contextlib
import csv
import gc
import io
import json
import weakref

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemtrail.output import json_and_csv as writers
from itemtrail.output import parquet
from itemtrail.output.answer import Answer, give
from itemtrail.records.kinds import FieldKind, RecordKind
from reports.errors import ReportError
from tests.factories import number
from tests.strategies import items
from tests.unit.itemtrail.stdout import BINARY, FORMS, FULL, KIND, NOTHING, SAMPLES, Stdout


def read_csv(text_):
    return list(csv.reader(io.StringIO(text_, newline="")))


def test_json_is_one_array(stdout):
    """A list is one valid document, values in DynamoDB's form, times in ISO 8601, ASCII only."""
    stdout.take("json", SAMPLES)

    first, second, third = json.loads(stdout.text)
    assert first == FULL | {"at": "2018-03-03T14:06:00.000000Z"}
    assert second == NOTHING
    assert third["name"] == "é\ud800\x1b[31m"
    assert third["value"] == {"M": {"a": {"B": "AAE="}}}
    assert stdout.text.isascii()
    assert "\x1b" not in stdout.text


def test_jsonl_is_a_document_a_line(stdout):
    """What is read line by line is the same as the array."""
    stdout.take("jsonl", SAMPLES)
    lines = stdout.text.splitlines()
    stdout.clear()
    stdout.take("json", SAMPLES)

    assert [json.loads(line) for line in lines] == json.loads(stdout.text)


def test_csv_has_a_column_a_field(stdout):
    """The header names the fields in their order; the nested is compact JSON, nothing is empty."""
    stdout.take("csv", SAMPLES)

    header, *lines = read_csv(stdout.text)
    assert header == list(KIND.fields)
    assert lines == [
        [
            "2018-03-03T14:06:00.000000Z",
            "Murali",
            "true",
            "9007199254740993",
            '{"N":"12345678901234567890123456789012345678"}',
        ],
        [""] * 5,
        [
            "2018-03-03T14:06:00.000000Z",
            "é\\ud800\x1b[31m",
            "false",
            "9007199254740993",
            '{"M":{"a":{"B":"AAE="}}}',
        ],
    ]


def test_parquet_has_a_typed_column_a_field(stdout):
    """Times are microseconds in UTC, flags and integers are such, what is data stays text."""
    stdout.take("parquet", SAMPLES)

    table = stdout.table
    assert [(one.name, str(one.type)) for one in table.schema] == [
        ("at", "timestamp[us, tz=UTC]"),
        ("name", "string"),
        ("ok", "bool"),
        ("count", "int64"),
        ("value", "string"),
    ]
    first, second, third = table.to_pylist()
    assert first == FULL | {"value": '{"N":"12345678901234567890123456789012345678"}'}
    assert second == NOTHING
    assert third["name"] == "é\\ud800\x1b[31m"
    assert json.loads(third["value"]) == {"M": {"a": {"B": "AAE="}}}


def test_an_empty_answer_has_its_form_nevertheless(stdout):
    """What reads the answer finds an array, no line, a header, or a schema."""
    stdout.take("json", [])
    assert json.loads(stdout.text) == []

    stdout.clear()
    stdout.take("jsonl", [])
    assert stdout.text == ""

    stdout.take("csv", [])
    assert read_csv(stdout.text) == [list(KIND.fields)]

    stdout.clear()
    stdout.take("parquet", [])
    assert (stdout.table.column_names, stdout.table.num_rows) == (list(KIND.fields), 0)


@given(image=items)
def test_whatever_an_item_holds_comes_back_from_csv(image):
    """Odd names, deep nesting, binary and surrogates: the JSON in a cell is the item's own."""
    one_value = RecordKind("one value", {"value": FieldKind.WIRE})
    lines, table = Stdout(), Stdout()

    lines.take("jsonl", [{"value": image}], one_value)
    table.take("csv", [{"value": image}], one_value)

    _, (cell,) = read_csv(table.text)
    assert json.loads(cell) == json.loads(lines.text)["value"]


class Tracked(dict):
    """A record of which can be told how many there are."""

    __hash__ = object.__hash__


@pytest.mark.parametrize("form", FORMS)
def test_memory_does_not_grow_with_the_answer(stdout, monkeypatch, form):
    """No form holds more of the records than it is writing."""
    monkeypatch.setattr(parquet, "_MOST_ROWS", 10)
    alive, most = weakref.WeakSet(), 0

    def arriving():
        nonlocal most
        for _ in range(200):
            record = Tracked(FULL)
            alive.add(record)
            most = max(most, len(alive))
            yield record
            del record

    gc.collect()
    stdout.take(form, arriving())

    assert most <= 3
    assert stdout.buffer.tell() > 0


@pytest.mark.parametrize("form", ["json", "jsonl", "csv"])
def test_a_record_is_written_before_the_next_is_asked_for(stdout, form):
    """Whoever reads line by line need not wait for the end."""
    seen = []

    def arriving():
        for name in ("first", "second"):
            seen.append(stdout.text)
            yield FULL | {"name": name}

    stdout.take(form, arriving())

    assert "first" in seen[1]


@pytest.mark.parametrize("form", FORMS)
def test_half_an_answer_cannot_be_taken_for_a_whole_one(stdout, monkeypatch, form):
    """When reading fails on the way, arrays stay open and Parquet has no end."""
    monkeypatch.setattr(parquet, "_MOST_ROWS", 1)
    failed = False

    def failing():
        yield FULL
        yield FULL
        raise ReportError("no more")

    with contextlib.redirect_stdout(stdout):
        try:
            give(Answer(KIND, failing(), []), form)
        except ReportError:
            failed = True
        # A writer of Parquet that is dropped ends its file.
        gc.collect()

    assert failed
    if form == "json":
        with pytest.raises(json.JSONDecodeError):
            json.loads(stdout.text)
    if form == "parquet":
        with pytest.raises(pyarrow.ArrowInvalid):
            _ = stdout.table


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_that_fails_at_once_writes_nothing(stdout, form):
    """Not even a header: an empty file is no empty answer."""

    def failing():
        raise ReportError("nothing")
        yield

    with pytest.raises(ReportError):
        stdout.take(form, failing())

    assert stdout.text == ""


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\rx", "'\rx"),
        ("\nx", "'\nx"),
        ("  =1", "'  =1"),
        ("\xa0=1", "'\xa0=1"),
        ("\ufeff=1", "'\ufeff=1"),
        ("\uff1d1", "'\uff1d1"),
        ("'=1", "''=1"),
        ("'tis", "''tis"),
        ("a=1", "a=1"),
        ("1-1", "1-1"),
        ("", ""),
    ],
)
def test_no_cell_is_run_by_a_spreadsheet(stdout, name, cell):
    """A text that looks like a formula is told to be a text, whatever stands before it."""
    stdout.take("csv", [FULL | {"name": name}])

    assert read_csv(stdout.text)[1][1] == cell


@given(name=st.text(st.characters(exclude_categories=["Cs"])))
def test_one_leading_apostrophe_taken_away_gives_the_text(name):
    """The cell says exactly what the text was, and does not begin as a formula does."""
    out = Stdout()

    out.take("csv", [FULL | {"name": name}])

    cell = read_csv(out.text)[1][1]
    assert cell.removeprefix("'") == name
    assert cell.lstrip()[:1] not in tuple("=+-@")


def test_csv_does_not_control_a_terminal(screen):
    """On a terminal escape sequences are spelled out; a file gets the text as it is."""
    screen.take("csv", [BINARY])

    assert "\x1b" not in screen.text
    assert r"\x1b[31m" in screen.text


def test_csv_on_a_terminal_has_no_part_that_cannot_be_seen(screen):
    """As a table has none."""
    screen.take("csv", [FULL | {"name": "ad\u3164min"}])

    assert r"ad\u3164min" in screen.text


def test_csv_is_utf8_whatever_the_machine_writes(stdout):
    """A file that is passed on means the same everywhere."""
    stdout.reconfigure(encoding="latin-1")

    stdout.take("csv", [FULL | {"name": "Ł"}])

    assert "Ł" in stdout.text


def test_a_document_is_written_whole(stdout):
    """What is one answer is one JSON document, whatever its lines are."""
    stdout.give(Answer(KIND, [FULL], [], lambda: {"found": [FULL]}), "json")

    assert json.loads(stdout.text)["found"][0]["name"] == "Murali"
    assert writers.flat_text(FieldKind.TEXT, None) is None


def test_numbers_stay_as_they_are_spelled(stdout):
    """No value goes through a float on its way out."""
    spelled = number("1.10")

    stdout.take("jsonl", [FULL | {"value": spelled}])

    assert json.loads(stdout.text)["value"] == {"N": "1.10"}


def test_who_waits_at_the_other_end_gets_lines_soon(stdout, monkeypatch):
    """A line is passed on when the last was passed on a while ago."""
    flushes = []
    seconds = iter([0.0, 0.1, 0.3, 0.3, 0.4])
    monkeypatch.setattr(writers.time, "monotonic", lambda: next(seconds))
    monkeypatch.setattr(stdout, "flush", lambda: flushes.append(True))

    with contextlib.redirect_stdout(stdout):
        out = writers._Out()
        for line in ("soon", "late", "soon"):
            out.write(line)

    assert len(flushes) == 1
