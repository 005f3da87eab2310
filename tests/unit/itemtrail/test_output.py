"""The forms of an answer: whole, written as it arrives, harmless, readable."""

import contextlib
import csv
import gc
import importlib
import io
import json
import weakref
from datetime import UTC, datetime, timedelta

import click
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, Group
from rich.text import Text

from itemtrail.output import json_and_csv as writers
from itemtrail.output import parquet, terminal
from itemtrail.output import progress as progress_module
from itemtrail.output.answer import Answer, chosen_form, give
from itemtrail.records.items import version_record
from itemtrail.records.kinds import VERSION, FieldKind, RecordKind
from itemtrail.tables import cells, layout
from itemtrail.tables.items import state_table, version_blocks
from reports.errors import ReportError
from reports.states.timeline import Certainty, Evidence, ItemState, judge
from stream_core.history_row import HistoryRow
from tests.factories import change, item, number, text
from tests.strategies import items

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


@pytest.fixture
def stdout():
    """Standard output that is no terminal."""
    return Stdout()


@pytest.fixture
def screen(monkeypatch):
    """Standard output that is a terminal, 80 columns wide, and no pager."""
    monkeypatch.setenv("COLUMNS", "80")
    return Stdout(is_terminal=True)


def read_csv(text_):
    return list(csv.reader(io.StringIO(text_, newline="")))


# ---- Each form is whole ----------------------------------------------------------------------


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


# ---- As it arrives ---------------------------------------------------------------------------


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


def test_parquet_goes_out_row_group_by_row_group(stdout, monkeypatch):
    """A row group ends when it has rows or text enough."""
    monkeypatch.setattr(parquet, "_MOST_ROWS", 2)
    stdout.take("parquet", [FULL] * 5)
    by_rows = pyarrow.parquet.ParquetFile(io.BytesIO(stdout.buffer.getvalue())).metadata

    stdout.clear()
    monkeypatch.setattr(parquet, "_MOST_TEXT", 1)
    stdout.take("parquet", [FULL] * 3)
    by_text = pyarrow.parquet.ParquetFile(io.BytesIO(stdout.buffer.getvalue())).metadata

    assert [by_rows.row_group(group).num_rows for group in range(3)] == [2, 2, 1]
    assert by_text.num_row_groups == 3


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


# ---- Harmless --------------------------------------------------------------------------------


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


def test_csv_is_utf8_whatever_the_machine_writes(stdout):
    """A file that is passed on means the same everywhere."""
    stdout.reconfigure(encoding="latin-1")

    stdout.take("csv", [FULL | {"name": "Ł"}])

    assert "Ł" in stdout.text


# ---- Parquet and what it needs ---------------------------------------------------------------


def test_parquet_is_not_thrown_at_a_terminal(screen):
    """Binary would garble it: the line says where to send it."""
    with (
        contextlib.redirect_stdout(screen),
        pytest.raises(click.UsageError, match="binary: send it into a file, e"),
    ):
        chosen_form("parquet")

    assert screen.text == ""


def test_parquet_without_pyarrow_says_how_to_get_it(stdout, monkeypatch):
    """Before anything is read, and in one line."""

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)

    with (
        contextlib.redirect_stdout(stdout),
        pytest.raises(ReportError, match=r"pip install 'itemtrail\[parquet\]'"),
    ):
        chosen_form("parquet")
    assert stdout.text == ""


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "table"])
def test_no_other_form_needs_pyarrow(stdout, monkeypatch, form):
    """It is large, and an extra."""

    def missing(name):
        raise AssertionError(name)

    monkeypatch.setattr(importlib, "import_module", missing)

    assert chosen_form(form) == form
    stdout.give(Answer(KIND, [FULL], ["a table"]), form)
    assert stdout.text


@pytest.mark.parametrize(("is_terminal", "form"), [(True, "table"), (False, "json")])
def test_the_form_depends_on_who_reads_it(is_terminal, form):
    """A person gets a table, a program JSON, unless told otherwise."""
    with contextlib.redirect_stdout(Stdout(is_terminal=is_terminal)):
        assert chosen_form(None) == form
        assert chosen_form("csv") == "csv"


# ---- Tables ----------------------------------------------------------------------------------


KEYS = {"Id": text("1")}


def drawn(*blocks, width=200):
    console = Console(width=width)
    with console.capture() as captured:
        console.print(*blocks)
    return captured.get()


def test_text_from_a_table_cannot_control_the_terminal(screen):
    """Escape sequences and line breaks in values are shown, not obeyed; markup is no markup."""
    evil = item("1", Name=text("a\x1b[31mred\nnext[bold]b"), Lone=text("\ud800"))
    rows = [HistoryRow.from_change(change(None, evil))]

    screen.give(Answer(VERSION, [], version_blocks({"Id": text("\x9b1")}, rows)), "table")

    shown = Text.from_ansi(screen.text).plain
    assert r"a\x1b[31mred\nnext[bold]b" in shown
    assert r"\ud800" in shown
    assert r"History of Id=\x9b1" in shown


def test_a_table_in_a_pipe_has_neither_colours_nor_a_pager(stdout, monkeypatch):
    """It is plain text then."""
    monkeypatch.setattr(terminal.click, "echo_via_pager", None)

    stdout.give(Answer(VERSION, [], version_blocks(KEYS, [ROW])), "table")

    assert "+ Name: Murali" in stdout.text
    assert "\x1b" not in stdout.text


ROW = HistoryRow.from_change(change(None, item("1", Name=text("Murali"))))


def test_long_values_are_cut_in_tables_with_their_size():
    """A table stays readable; all other forms have the whole value."""
    photo = item("1", Photo={"B": b"\x00" * 5000}, Note=text("x" * 5000))
    rows = [HistoryRow.from_change(change(None, photo))]
    state = judge(Evidence(KEYS, AT, AT, AT, before=rows[0]))

    for table in (Group(*version_blocks(KEYS, rows)), state_table(state)):
        assert "… (5,000 bytes)" in drawn(table)
        assert "… (5,000 characters)" in " ".join(drawn(table).split())
    assert len(version_record(rows[0], None)["new_image"]["Photo"]["B"]) == 5000


@pytest.mark.parametrize("width", [80, 140])
def test_columns_do_not_depend_on_the_rows(width):
    """Blocks of a table that are drawn one after the other line up."""
    rows = [
        HistoryRow.from_change(change(None, item("1", a=text("x" * length)), sequence=length))
        for length in (1, 30, 5, 200)
    ]

    lines = drawn(*version_blocks(KEYS, rows), width=width).splitlines()

    places = {line.index("+ a:") for line in lines if "+ a:" in line}
    assert len(places) == 1
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (ItemState(KEYS, AT, None, Certainty.EXACT, "so"), "no such item"),
        (
            judge(
                Evidence(
                    *(KEYS, AT, AT, AT),
                    before=HistoryRow.from_change(change(item("1"), None)),
                    live_was_read=True,
                )
            ),
            "deleted from 2018-03-03 14:06:00 to now",
        ),
        (
            judge(Evidence(KEYS, AT, AT, AT, after=ROW)),
            "valid from an unknown time to 2018-03-03 14:06:00",
        ),
    ],
)
def test_a_state_says_since_when_it_holds(state, expected):
    """Deleted, never there, and unknown beginnings are told apart."""
    assert expected in drawn(state_table(state))


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (timedelta(0), "0 s"),
        (timedelta(seconds=59), "59 s"),
        (timedelta(minutes=3, seconds=5), "3 min 5 s"),
        (timedelta(hours=1, seconds=5), "1 h"),
        (timedelta(days=1, hours=1), "1 day 1 h"),
        (timedelta(days=364, hours=23, minutes=59), "364 days 23 h"),
    ],
)
def test_a_span_is_told_in_words(span, expected):
    """Two units at most: more tell nobody anything."""
    assert cells.lasting(span) == expected


def test_the_first_line_is_shown_at_once_and_later_ones_in_blocks():
    """Nobody waits for a first line, and long tables draw fast."""
    sizes = [len(block) for block in layout.blocks(range(1000))]

    assert sizes[:5] == [1, 2, 4, 8, 16]
    assert max(sizes) == 128
    assert sum(sizes) == 1000


def test_slow_lines_do_not_wait_for_a_block_to_fill(monkeypatch):
    """When lines come slowly each is shown as it comes."""
    clock = iter(range(1000))
    monkeypatch.setattr(layout, "monotonic", lambda: next(clock))

    assert max(len(block) for block in layout.blocks(range(20))) == 2


# ---- The pager -------------------------------------------------------------------------------


@pytest.fixture
def pager(monkeypatch):
    """A terminal with a pager; gives what the pager was told, and how."""
    told = []

    def page(texts, color):
        told.append((list(texts), color))

    monkeypatch.setattr(terminal.sys, "stdin", Stdout(is_terminal=True))
    monkeypatch.setattr(terminal.click, "echo_via_pager", page)
    for name, value in {"PAGER": "", "TERM": "xterm", "LESS": "", "NO_COLOR": ""}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("LESS")
    return told


def test_a_terminal_gets_a_pager_as_git_sets_it(pager, monkeypatch):
    """Colours kept, left at once when it all fits; the reader's own flags win."""
    Stdout(is_terminal=True).give(Answer(KIND, [], ["one", "two"]), "table")
    assert terminal.os.environ["LESS"] == "FRX"

    monkeypatch.setenv("LESS", "S")
    Stdout(is_terminal=True).give(Answer(KIND, [], ["one"]), "table")
    assert terminal.os.environ["LESS"] == "S"

    assert [texts for texts, _ in pager] == [["one\n", "two\n"], ["one\n"]]


@pytest.mark.parametrize(
    ("program", "colour"), [("", None), ("/usr/bin/less -S", None), ("cat", True)]
)
def test_a_pager_other_than_less_gets_colours(pager, monkeypatch, program, colour):
    """Whether less shows them click tells by its flags."""
    monkeypatch.setenv("PAGER", program)

    Stdout(is_terminal=True).give(Answer(KIND, [], ["one"]), "table")

    assert pager == [(["one\n"], colour)]


def test_no_pager_opens_for_nothing(pager):
    """An answer without a line is none to leaf through."""
    Stdout(is_terminal=True).give(Answer(KIND, [], []), "table")

    assert pager == []


@pytest.mark.parametrize("error", [ReportError("no more"), KeyboardInterrupt()])
def test_what_goes_wrong_while_paging_is_told_afterwards(pager, error):
    """The reader keeps what there is, the terminal stays whole, and the error is not lost."""

    def blocks():
        yield "one"
        raise error

    with pytest.raises(type(error)):
        Stdout(is_terminal=True).give(Answer(KIND, [], blocks()), "table")

    assert [texts for texts, _ in pager] == [["one\n"]]


@pytest.mark.usefixtures("pager")
def test_a_dumb_terminal_gets_no_pager(monkeypatch):
    """It could not leaf back."""
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(terminal.click, "echo_via_pager", None)
    screen = Stdout(is_terminal=True)

    screen.give(Answer(KIND, [], ["one"]), "table")

    assert screen.text == "one\n"


# ---- Waiting ---------------------------------------------------------------------------------


@pytest.fixture
def stderr(monkeypatch):
    """A terminal to wait at, where every look at the clock is a minute later."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    clock = iter(range(0, 6000, 60))
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: next(clock))
    # The thread that redraws would tick on.
    monkeypatch.setattr("rich.live._RefreshThread.start", lambda _self: None)
    monkeypatch.setattr("rich.live._RefreshThread.join", lambda _self: None)
    return Stdout(is_terminal=True)


@contextlib.contextmanager
def progress_at(stderr, stdout):
    with (
        contextlib.redirect_stderr(stderr),
        contextlib.redirect_stdout(stdout),
        progress_module.ProgressBar() as progress,
    ):
        yield progress


@pytest.mark.parametrize(
    ("told", "expected"),
    [(("hours", 1200, 8760), "1,200 of 8,760 "), (("items", 1200, None), "1,200 0:")],
)
def test_long_work_shows_how_far_it_is(stderr, stdout, told, expected):
    """What is done, how much of it, and of how much if that is known; nothing on stdout."""
    with progress_at(stderr, stdout) as progress:
        progress(*told)

    shown = Text.from_ansi(stderr.text).plain
    assert told[0] in shown
    assert expected in shown
    assert stdout.text == ""


def test_waiting_is_over_when_the_answer_begins(stderr, screen):
    """On one terminal the two never mix: nothing is shown from the first line on."""
    with progress_at(stderr, screen) as progress:
        progress("hours", 1, 9)
        progress.answer_begins()
        shown = stderr.text
        progress("hours", 2, 9)

    assert shown
    assert stderr.text == shown


def test_waiting_goes_on_while_the_answer_goes_into_a_file(stderr, stdout):
    """Whoever writes a large file wants to know how far it is."""
    with progress_at(stderr, stdout) as progress:
        progress.answer_begins()
        progress("hours", 1, 9)

    assert "1 of 9" in Text.from_ansi(stderr.text).plain


def test_nothing_is_shown_in_a_pipe(stdout, monkeypatch):
    """Nobody looks at it there."""
    monkeypatch.setattr(progress_module, "_PATIENCE_S", 0)
    pipe = Stdout()

    with progress_at(pipe, stdout) as progress:
        progress("hours", 1, 9)

    assert pipe.text == stdout.text == ""


def test_what_is_done_at_once_shows_nothing(stderr, stdout, monkeypatch):
    """A bar that flashes up tells nobody anything."""
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: 0.0)

    with progress_at(stderr, stdout) as progress:
        progress("hours", 1, 9)

    assert stderr.text == ""


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
