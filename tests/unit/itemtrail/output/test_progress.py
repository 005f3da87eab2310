"""How far long work is, on a terminal only."""

import contextlib
import sys

import pytest
from rich.text import Text

from itemtrail.output import progress as progress_module
from itemtrail.output.answer import tell
from itemtrail.output.terminal import draw
from tests.unit.itemtrail.stdout import Stdout


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


@pytest.mark.parametrize("say", [tell, lambda text: draw([text], sys.stdout)])
def test_what_is_said_meanwhile_is_not_glued_to_the_bar(stderr, screen, say):
    """Room is made for it, and how far it is comes below."""
    with progress_at(stderr, screen) as progress:
        progress("items", 1, 9)
        say("run 1")
        begun = stderr.text
        progress("items", 2, 9)
        shown = stderr.text.removeprefix(begun)

    # Up to the line that the bar was in, which is emptied.
    assert begun.removesuffix("run 1\n").endswith("\r\x1b[1A\x1b[2K")
    assert "2 of 9" in Text.from_ansi(shown).plain


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
