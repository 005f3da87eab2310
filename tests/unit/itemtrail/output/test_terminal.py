"""What a person sees: nothing that controls the terminal, through a pager."""

import pytest
from rich.text import Text

from itemtrail.output import terminal
from itemtrail.output.answer import Answer, tell
from itemtrail.records.kinds import VERSION
from itemtrail.tables.items import version_blocks
from reports.errors import ReportError
from stream_core.history_row import HistoryRow
from tests.factories import change, item, text
from tests.unit.itemtrail.stdout import KEYS, KIND, ROW, Stdout


def test_text_from_a_table_cannot_control_the_terminal(screen):
    """Escape sequences and line breaks in values are shown, not obeyed; markup is no markup."""
    evil = item("1", Name=text("a\x1b[31mred\nnext[bold]b"), Lone=text("\ud800"))
    rows = [HistoryRow.from_change(change(None, evil))]

    screen.give(Answer(VERSION, [], version_blocks({"Id": text("\x9b1")}, rows)), "table")

    shown = Text.from_ansi(screen.text).plain
    assert r"a\x1b[31mred\nnext[bold]b" in shown
    assert r"\ud800" in shown
    assert r"History of Id=\x9b1" in shown


def test_text_from_a_table_has_no_part_that_cannot_be_seen(screen):
    """Two names that look the same are told apart, in the table and in what is said beside it."""
    evil = item("1", Name=text("ad\u3164min"), Note=text("a\u2800b\u00a0c\ufe0f"))
    rows = [HistoryRow.from_change(change(None, evil))]

    screen.give(Answer(VERSION, [], version_blocks({"Id": text("1\u034f")}, rows)), "table")

    shown = Text.from_ansi(screen.text).plain
    assert r"ad\u3164min" in shown
    assert r"a\u2800b\xa0c\ufe0f" in shown
    assert r"History of Id=1\u034f" in shown


def test_a_table_in_a_pipe_has_neither_colours_nor_a_pager(stdout, monkeypatch):
    """It is plain text then."""
    monkeypatch.setattr(terminal.click, "echo_via_pager", None)

    stdout.give(Answer(VERSION, [], version_blocks(KEYS, [ROW])), "table")

    assert "+ Name: Murali" in stdout.text
    assert "\x1b" not in stdout.text


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


def test_what_is_done_meanwhile_is_in_no_pager(pager):
    """Whoever leaves a pager would end the writing, and Ctrl-C would be the pager's."""
    screen = Stdout(is_terminal=True)

    screen.give(Answer(KIND, [], ["one"], is_applied=True), "table")

    assert (screen.text, pager) == ("one\n", [])


@pytest.mark.usefixtures("pager")
def test_a_dumb_terminal_gets_no_pager(monkeypatch):
    """It could not leaf back."""
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(terminal.click, "echo_via_pager", None)
    screen = Stdout(is_terminal=True)

    screen.give(Answer(KIND, [], ["one"]), "table")

    assert screen.text == "one\n"


def test_a_remark_does_not_control_a_terminal(capsys):
    """It may quote what a table holds."""
    tell("kept: \x1b[2J")

    assert capsys.readouterr().err == "kept: \\x1b[2J\n"
