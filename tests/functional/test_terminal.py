"""The program on a real terminal: colours, the pager, Ctrl-C, and pipes that close."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import uuid
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import click
import pytest
from more_itertools import chunked

from stream_core.history_row import HistoryRow
from tests.eventually import GIVEN_UP_AFTER_S
from tests.factories import change, item, number
from tests.tables import create_history_table

pytestmark = pytest.mark.functional

PROGRAM = str(Path(sys.executable).with_name("itemtrail"))
CTRL_C = b"\x03"
ROWS, TIME_SHARDS = 200, 4
# A row in each of so many hours, each a partition of the index to ask.
HOURS, SOME_HOURS = 2500, 700
LONG_WORK = ("changes", "--since", "2017-01-01", "--until", "2017-12-31")
ALL_CHANGES = ("changes", "1", "--since", "2018-03-03")


class Terminal:
    """A program on a terminal of its own, 40 lines of 80 columns."""

    def __init__(self, arguments, environment):
        """Start the program."""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
        self._process = subprocess.Popen(
            # The terminal becomes the session's own, so that Ctrl-C reaches who it should.
            [sys.executable, "-c", ON_A_TERMINAL, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
        )
        os.close(slave)
        self._shown = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        os.close(self._master)

    @property
    def shown(self):
        """Everything that was shown so far, escape sequences and all."""
        return self._shown.decode("utf-8", "replace")

    def type(self, keys):
        """Press keys."""
        os.write(self._master, keys)

    def until(self, text):
        """Wait until a text is shown."""
        self._read(lambda: text in self.shown)
        assert text in self.shown

    def end(self):
        """Wait for the end of the program; gives its exit status."""
        self._read(lambda: False)
        return self._process.wait(GIVEN_UP_AFTER_S)

    def _read(self, enough):
        deadline = time.monotonic() + GIVEN_UP_AFTER_S
        while not enough():
            left = deadline - time.monotonic()
            assert left > 0, f"it never came true:\n{self.shown[-2000:]}"
            if select.select([self._master], [], [], left)[0] and not self._take():
                return

    def _take(self):
        """Read what is shown now; false if there will be no more."""
        try:
            read = os.read(self._master, 65536)
        except OSError:
            # So Linux says that nobody has the terminal open any more.
            read = b""
        self._shown += read
        return bool(read)


ON_A_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture(scope="module")
def environment(local_stack, dynamodb):
    """What a program needs to ask a history table: of one item, changed again and again."""
    history = f"history-{uuid.uuid4().hex[:12]}"
    create_history_table(dynamodb, history)
    images = [item("1", Count=number(count)) for count in range(ROWS + 1)]
    for sequence, (old, new) in enumerate(pairwise(images), start=1):
        row = HistoryRow.from_change(change(old, new, sequence=sequence))
        dynamodb.put_item(TableName=history, Item=row.to_item(TIME_SHARDS))
    own = {"ITEMTRAIL_HISTORY_TABLE": history, "TERM": "xterm-256color"}
    kept = {name: value for name, value in os.environ.items() if name not in ("LESS", "PAGER")}
    return kept | local_stack.environment() | own


@pytest.fixture(scope="module")
def long_history(environment, dynamodb):
    """The same of a history whose index takes a while to read."""
    history = f"history-{uuid.uuid4().hex[:12]}"
    create_history_table(dynamodb, history)
    began = datetime(2017, 1, 1, tzinfo=UTC).timestamp()
    images = [item("1", Count=number(count)) for count in range(HOURS + 1)]
    rows = [
        HistoryRow.from_change(change(old, new, sequence=hour, at=began + 3600 * hour))
        for hour, (old, new) in enumerate(pairwise(images), start=1)
    ]
    for batch in chunked(rows, 25):
        puts = [{"PutRequest": {"Item": row.to_item(TIME_SHARDS)}} for row in batch]
        dynamodb.batch_write_item(RequestItems={history: puts})
    return environment | {"ITEMTRAIL_HISTORY_TABLE": history}


def piped(arguments, environment, **options):
    """Run a program in a pipe."""
    return subprocess.run(
        [PROGRAM, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=GIVEN_UP_AFTER_S,
        **options,
    )


def test_a_terminal_gets_a_table_in_colour(environment):
    """Within a pager that shows all, such as cat, all of it is shown at once."""
    with Terminal([PROGRAM, "history", "1"], environment | {"PAGER": "cat"}) as terminal:
        status = terminal.end()

    plain = click.unstyle(terminal.shown).replace("\r\n", "\n")
    assert status == 0
    assert "\x1b[33m~" in terminal.shown
    assert plain.count("Count:") == ROWS
    assert plain.count("same second") == ROWS - 1
    assert all(len(line) <= 80 for line in plain.splitlines())


def test_a_reader_may_leave_the_pager_at_any_time(environment):
    """The first lines are there at once; `q` ends it all, with status 0 and no word."""
    with Terminal([PROGRAM, *ALL_CHANGES], environment) as terminal:
        terminal.until("Count")
        terminal.type(b"q")
        status = terminal.end()

    assert status == 0
    assert "Traceback" not in terminal.shown
    assert "Error" not in terminal.shown


@pytest.mark.parametrize("form", ["table", "jsonl"])
def test_ctrl_c_ends_long_work(long_history, form):
    """Progress is shown meanwhile; then there is 130 and no traceback."""
    arguments = [PROGRAM, *LONG_WORK, "--event", "remove", "--output", form]
    with Terminal(arguments, long_history) as terminal:
        terminal.until("hours")
        terminal.type(CTRL_C)
        status = terminal.end()

    assert status == 130
    assert "Traceback" not in terminal.shown
    assert "Error" not in terminal.shown


def test_binary_is_refused_on_a_terminal(environment):
    """One line says where to send it."""
    with Terminal([PROGRAM, "history", "1", "--output", "parquet"], environment) as terminal:
        status = terminal.end()

    assert status == 2
    assert terminal.shown.startswith("Error: --output parquet is binary: send it into a file")


def test_a_table_in_a_pipe_is_plain(environment):
    """No colour, no pager, nothing on stderr."""
    ran = piped(["history", "1", "--output", "table"], environment | {"PAGER": "false"})

    assert (ran.returncode, ran.stderr) == (0, "")
    assert "\x1b" not in ran.stdout
    assert ran.stdout.count("Count:") == ROWS


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "table", "parquet"])
def test_a_pipe_may_close(environment, form):
    """`| head -1` ends the program with status 0, and nobody complains."""
    command = f"set -o pipefail; {PROGRAM} history 1 --output {form} | head -c 1"
    ran = subprocess.run(
        ["bash", "-c", command],
        env=environment,
        capture_output=True,
        check=False,
        timeout=GIVEN_UP_AFTER_S,
    )

    assert (ran.returncode, len(ran.stdout), ran.stderr) == (0, 1, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
@pytest.mark.parametrize("form", ["json", "parquet"])
def test_a_full_disk_is_one_line(environment, form):
    """What was not written was not written: exit 2."""
    command = f"{PROGRAM} history 1 --output {form} > /dev/full"
    ran = subprocess.run(
        ["bash", "-c", command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=GIVEN_UP_AFTER_S,
    )

    assert ran.returncode == 2
    assert ran.stderr == "Error: the answer cannot be written: No space left on device\n"


def test_progress_of_what_goes_into_a_file_is_on_the_terminal(long_history, tmp_path):
    """Stdout has the answer alone, stderr how far it is."""
    file = tmp_path / "changes.json"
    until = datetime(2017, 1, 1, tzinfo=UTC) + timedelta(hours=SOME_HOURS)
    typed = f"{PROGRAM} changes --since 2017-01-01 --until {until:%Y-%m-%dT%H:%M} > {file}"
    with Terminal(["/bin/sh", "-c", typed], long_history) as terminal:
        status = terminal.end()

    assert status == 0
    assert "hours" in terminal.shown
    assert file.read_text().count('"key"') == SOME_HOURS
