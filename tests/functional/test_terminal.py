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

from stream_core.change import read_record
from stream_core.history_row import HistoryRow
from tests.eventually import GIVEN_UP_AFTER_S
from tests.factories import change, item, lambda_record, number, text
from tests.tables import create_history_table, create_table

pytestmark = pytest.mark.functional

PROGRAM = str(Path(sys.executable).with_name("itemtrail"))
CTRL_C = b"\x03"
ROWS, TIME_SHARDS = 200, 4
# A row in each of so many hours, each a partition of the index to ask.
HOURS, SOME_HOURS = 2500, 700
LONG_WORK = ("changes", "--since", "2017-01-01", "--until", "2017-12-31")
BAD_JOB = ("undo", "--since", "1h ago", "--attribute", "status", "--until")
ALL_CHANGES = ("changes", "1", "--since", "2018-03-03")


def in_bank(*values):
    """More of the same, each a program of its own."""
    return [pytest.param(value, marks=pytest.mark.bank) for value in values]


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


def test_a_terminal_shows_what_nobody_sees(environment, dynamodb):
    """A name that looks like another one is another one."""
    row = HistoryRow.from_change(change(None, item("2", By=text("ad\u3164min\u2800"))))
    history = environment["ITEMTRAIL_HISTORY_TABLE"]
    dynamodb.put_item(TableName=history, Item=row.to_item(TIME_SHARDS))

    with Terminal([PROGRAM, "history", "2"], environment | {"PAGER": "cat"}) as terminal:
        terminal.end()

    assert r"By: ad\u3164min\u2800" in click.unstyle(terminal.shown)


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


@pytest.mark.parametrize("form", ["jsonl", "table", *in_bank("json", "csv", "parquet")])
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


ITEMS = 40


@pytest.fixture
def damaged(environment, dynamodb):
    """The same of a table in which a job has closed all items; what is in it, how to undo it."""
    source, history = (f"{name}-{uuid.uuid4().hex[:12]}" for name in ("source", "history"))
    create_table(dynamodb, source, {"Id": "S"})
    create_history_table(dynamodb, history)
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    table = dynamodb.update_table(TableName=source, StreamSpecification=stream)
    arn = table["TableDescription"]["LatestStreamArn"]
    made_at = int(time.time())
    for identifier in map(str, range(ITEMS)):
        states = [item(identifier, status=text(status)) for status in ("open", "closed")]
        record = lambda_record(*states, at=made_at)
        row = HistoryRow.from_change(
            read_record(record | {"eventSourceARN": arn, "awsRegion": arn.split(":")[3]})
        )
        dynamodb.put_item(TableName=history, Item=row.to_item(TIME_SHARDS))
        dynamodb.put_item(TableName=source, Item=states[1])

    def statuses():
        items = dynamodb.scan(TableName=source, ConsistentRead=True)["Items"]
        return {one["status"]["S"] for one in items}

    # What the history is said to be complete until must not lie in the future.
    time.sleep(max(0, made_at + 2 - time.time()))
    recorded, until = (
        datetime.fromtimestamp(made_at + seconds, UTC).isoformat() for seconds in (2, 1)
    )
    own = {"ITEMTRAIL_HISTORY_TABLE": history, "ITEMTRAIL_SOURCE_TABLE": source}
    own |= {"ITEMTRAIL_RECORDED_UNTIL": recorded, "PAGER": "less"}
    return environment | own, statuses, [*BAD_JOB, until, "--apply"]


@pytest.mark.parametrize("typed", [b"q", b"\x04", *in_bank(b"q\n", b"\n", b"no\n")])
def test_what_is_not_a_yes_writes_nothing(damaged, typed):
    """Nor what somebody presses who takes the plan for a page to leave, nor the end of input."""
    surroundings, statuses, job = damaged
    with Terminal([PROGRAM, *job], surroundings) as terminal:
        terminal.until("Type yes to go on: ")
        terminal.type(typed)
        if typed == b"q":
            terminal.type(b"\n")
        status = terminal.end()

    assert (status, statuses()) == (2, {"closed"})
    assert "nothing was written: the answer was not yes" in terminal.shown


def test_ctrl_c_at_the_question_writes_nothing(damaged):
    """It says so, and ends as it does everywhere."""
    surroundings, statuses, job = damaged
    with Terminal([PROGRAM, *job], surroundings) as terminal:
        terminal.until("Type yes to go on: ")
        terminal.type(CTRL_C)
        status = terminal.end()

    assert (status, statuses()) == (130, {"closed"})
    assert "nothing was written" in terminal.shown


def test_a_yes_at_a_terminal_carries_out_what_was_shown(damaged):
    """All items of which the same is to be done are one line of the plan."""
    surroundings, statuses, job = damaged
    with Terminal([PROGRAM, *job], surroundings) as terminal:
        terminal.until("Type yes to go on: ")
        plan = " ".join(click.unstyle(terminal.shown).split())
        terminal.type(b"yes\n")
        status = terminal.end()

    assert (status, statuses()) == (0, {"open"})
    assert "40 items:" in plan
    assert "~ status: closed → open" in plan
    assert f"40 items would be written in {surroundings['ITEMTRAIL_SOURCE_TABLE']}." in plan


def test_what_is_written_is_in_no_pager_and_ctrl_c_says_how_it_stands(damaged, tmp_path):
    """How far it is is shown meanwhile; the line that goes on with it can be copied, and does."""
    surroundings, statuses, (*job, _) = damaged
    path = str(tmp_path / "undo.plan")
    piped([*job, "--plan-out", path], surroundings)
    order = [PROGRAM, "undo", "--plan", path, "--apply"]
    with Terminal([*order, "--rate", "10"], surroundings) as terminal:
        terminal.until("Type yes to go on: ")
        terminal.type(b"yes\n")
        # Nobody records here what is written: after the first portion the run waits for that.
        terminal.until("waiting for the history")
        terminal.type(CTRL_C)
        status = terminal.end()
    lines = click.unstyle(terminal.shown).replace("\r", "\n").splitlines()
    *_, stands, go_on = [line for line in lines if line]
    before = statuses()
    # Whatever shows nothing of what it is given.
    with Terminal(order, surroundings | {"PAGER": "false"}) as terminal:
        terminal.until("Type yes to go on: ")
        terminal.type(b"yes\n")
        done = terminal.end()

    assert (status, before) == (130, {"open", "closed"})
    assert stands.startswith("interrupted: run ")
    assert go_on == f"this goes on with it: itemtrail undo --plan {path} --apply"
    assert (done, statuses()) == (0, {"open"})
    assert "40 items written" in terminal.shown


def test_a_plan_in_a_file_is_asked_about_unless_its_digest_is_given(damaged, tmp_path):
    """As one that is made just now is, with the same brake."""
    surroundings, statuses, (*job, _) = damaged
    path = str(tmp_path / "undo.plan")
    made = piped([*job, "--plan-out", path], surroundings)
    order = ["undo", "--plan", path, "--apply"]

    with Terminal([PROGRAM, *order, "--most", "39"], surroundings) as terminal:
        terminal.until("to go on: ")
        terminal.type(b"yes\n")
        refused = terminal.end()
    braked = piped([*order, "--most", "39"], surroundings)
    before = statuses()
    told = made.stderr.partition("carry it out: itemtrail ")[2].split()
    with Terminal([PROGRAM, *told], surroundings) as terminal:
        status = terminal.end()

    assert (refused, braked.returncode, before) == (2, 2, {"closed"})
    assert "that is more than 39 (--most); nothing was written" in braked.stderr
    assert (status, statuses()) == (0, {"open"})
    assert "Type " not in terminal.shown


def test_a_yes_is_no_name_of_a_table(damaged):
    """Where more would be changed than --most says, the table's name is asked for."""
    surroundings, statuses, job = damaged
    order = [PROGRAM, *job, "--most", "39"]
    name = surroundings["ITEMTRAIL_SOURCE_TABLE"]
    with Terminal(order, surroundings) as terminal:
        terminal.until("to go on: ")
        terminal.type(b"yes\n")
        refused = terminal.end()
    before = statuses()
    with Terminal(order, surroundings) as terminal:
        terminal.until("to go on: ")
        terminal.type(f"{name}\n".encode())
        status = terminal.end()

    assert (refused, before) == (2, {"closed"})
    assert (status, statuses()) == (0, {"open"})


@pytest.mark.parametrize("more", [(), ("--yes", "--most", "39")])
def test_without_a_terminal_nothing_is_taken_for_a_yes(damaged, more):
    """A script has to say it, and how many at most if they are many."""
    surroundings, statuses, job = damaged

    ran = piped([*job, *more], surroundings)
    before = statuses()
    done = piped([*job, "--yes"], surroundings)

    assert (ran.returncode, before) == (2, {"closed"})
    assert "nothing was written" in ran.stderr
    assert (done.returncode, statuses()) == (0, {"open"})
    assert done.stderr.startswith("Plan: ")


def test_a_plan_that_was_kept_is_carried_out_and_nothing_else(damaged, tmp_path):
    """Also when the present of its relative times is another one; once more it does nothing."""
    surroundings, statuses, (*job, _) = damaged
    path = str(tmp_path / "undo.plan")

    made = piped([*job, "--plan-out", path], surroundings)
    before = statuses()
    shown = piped(["undo", "--plan", path, "--show", "--output", "table"], surroundings)
    digest = shown.stdout.split()[-1]
    refused = piped(["undo", "--plan", path, "--apply", "--approve", "sha256:0"], surroundings)
    order = ["undo", "--plan", path, "--apply", "--approve", digest, "--output", "table"]
    done, again = piped(order, surroundings), piped(order, surroundings)

    assert (made.returncode, before) == (0, {"closed"})
    assert "40 items: " in shown.stdout
    assert (refused.returncode, done.returncode, again.returncode) == (2, 0, 0)
    assert statuses() == {"open"}
    assert "40 items written" in done.stdout
    # What became of it is in its journal.
    assert again.stdout == done.stdout
