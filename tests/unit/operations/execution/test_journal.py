"""The journal of a run survives whatever ends it, and is believed only where it fits."""

import errno
import io
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from operations.errors import JournalError, RefusedError
from operations.execution.item_writer import WriteOutcome
from operations.execution.journal import RunJournal
from stream_core.announcement import OwnWrite, item_hash
from tests.disk import recorded_steps
from tests.factories import STREAM_ARN

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)
WRITES = [
    OwnWrite("0123456789ab", number, item_hash(str(number)), b"\x01" * 32, None, AT, STREAM_ARN)
    for number in (1, 2)
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.jsonl"


def opened(path, run="0123456789ab", plan="sha256:00"):
    return RunJournal.opened(path, run, plan)


def filled(path):
    with opened(path) as journal:
        assert not journal.is_begun
        journal.about_to_write(WRITES)
        journal.settle(1, WriteOutcome.CONFLICT, "it has changed")
    return path.read_bytes()


def test_it_reads_back_as_it_was(path):
    """What was under way, and what came of it; for its owner alone."""
    filled(path)

    with opened(path) as journal:
        assert journal.is_begun
        assert set(journal.attempts) == {1, 2}
        assert (journal.attempts[2][0].at, journal.attempts[2][0].before) == (AT, b"\x01" * 32)
        assert journal.attempts[2][0].after is None
        assert journal.done == {1: (WriteOutcome.CONFLICT, "it has changed")}
        journal.about_to_write(WRITES[:1])
        assert journal.done == {}
    with opened(path) as journal:
        assert journal.done == {}
        assert len(journal.attempts[1]) == 2
    assert path.stat().st_mode & 0o777 == 0o600


def test_only_an_answer_tells_that_nothing_was_written(path):
    """A decision without a request neither says so nor takes it back; another attempt does."""
    with opened(path) as journal:
        journal.about_to_write(WRITES)
        journal.settle(1, WriteOutcome.CONFLICT, "it has changed", is_unwritten=True)
        journal.settle(1, WriteOutcome.REFUSED, "not intact")
        journal.settle(2, WriteOutcome.REFUSED, "not intact")
        assert journal.unwritten == {1}
    with opened(path) as journal:
        assert journal.unwritten == {1}
        journal.about_to_write(WRITES)
        assert journal.unwritten == set()
    with opened(path) as journal:
        assert journal.unwritten == set()


def test_what_was_withdrawn_is_no_attempt(path):
    """What was tried before it counts again, and has left nothing: else it would be repeated."""
    earlier = replace(WRITES[0], at=AT.replace(hour=11))
    with opened(path) as journal:
        journal.about_to_write([earlier])
        journal.about_to_write(WRITES)
        journal.withdraw(WRITES)
    with opened(path) as journal:
        assert [attempt.at for attempt in journal.attempts[1]] == [earlier.at]
        assert journal.unwritten == {1}
        assert 2 not in journal.attempts
        journal.about_to_write(WRITES)
        journal.withdraw([earlier])
        assert [attempt.at for attempt in journal.attempts[1]] == [AT]
        assert journal.unwritten == set()


def test_a_line_that_was_being_written_counts_for_nothing(path):
    """Cut anywhere: what is whole is believed, and what is appended is whole again."""
    content = filled(path)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with opened(path) as journal:
            known = len(journal.attempts) + len(journal.done)
            journal.settle(2, WriteOutcome.WRITTEN, "")
        assert known <= 3
        with opened(path) as journal:
            assert journal.done[2] == (WriteOutcome.WRITTEN, "")


@pytest.mark.parametrize(
    "spoiled",
    [
        lambda content: content.replace(b"0123456789ab", b"0123456789ac"),
        lambda content: content.replace(b'"n":2', b'"n":'),
        lambda content: content.replace(b"conflict", b"finished"),
        lambda content: content[content.index(b"\n") + 1 :],
    ],
)
def test_one_that_was_edited_is_refused(path, spoiled):
    """And so is that of another run."""
    content = filled(path)
    path.write_bytes(spoiled(content))

    with pytest.raises(JournalError, match="of another run, or was edited"), opened(path):
        pass
    path.write_bytes(content)
    with pytest.raises(JournalError), opened(path, plan="sha256:01"):
        pass


def test_who_was_refused_has_begun_nothing(path):
    """A header is written before it is known whether the run is another's."""
    with opened(path):
        pass
    with opened(path) as journal:
        assert not journal.is_begun
        journal.begun()
    with opened(path) as journal:
        assert journal.is_begun
        journal.begun()
    assert path.read_bytes().count(b"\n") == 2


def test_a_full_disk_is_told_once(path, monkeypatch):
    """And not once more, as something else, when the file is closed."""

    class Disk(io.FileIO):
        is_full = False

        def write(self, content):
            if self.is_full:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(content)

    disk = Disk(path, "a+")
    monkeypatch.setattr(
        "operations.execution.journal.kept_file", lambda _path: io.BufferedRandom(disk)
    )

    def settle():
        with opened(path) as journal:
            disk.is_full = True
            journal.settle(1, WriteOutcome.WRITTEN, "")

    with pytest.raises(JournalError, match="No space left"):
        settle()
    assert disk.closed


def test_only_what_is_about_to_be_written_waits_for_the_disk(path, monkeypatch):
    """What became of an item outlives the process at once; it may be looked at once more."""
    with opened(path) as journal:
        journal.begun()
        steps = recorded_steps(monkeypatch)
        journal.about_to_write(WRITES)
        assert len(steps) == 1
        for number in (1, 2):
            journal.settle(number, WriteOutcome.WRITTEN, "")
        assert len(steps) == 1
        assert path.read_bytes().count(b'"written"') == 2
        journal.about_to_write(WRITES[:1])
        assert len(steps) == 2


def test_another_process_is_kept_out(path):
    """As long as the run goes on."""
    with opened(path), pytest.raises(RefusedError, match="another process here"), opened(path):
        pass
    with opened(path):
        pass


def test_where_it_cannot_be_kept_nothing_begins(tmp_path):
    """Its folder is not there."""
    with pytest.raises(JournalError, match="cannot be written"), opened(tmp_path / "no" / "run"):
        pass
