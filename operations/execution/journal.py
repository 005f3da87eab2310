"""What a run did, kept on this machine as it happens: who is killed knows what was under way.

JSON Lines: a header, then a line before each write and a line after it. What is about to be written
is on the disk before the run goes on. What became of it survives the process at once, and the
machine with the next line of the first kind, or at the end: where it is lost, the run looks at the
item once more. It holds digests and places in the plan, and no item data but its reasons.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

from operations.errors import JournalError, RefusedError
from operations.execution.item_writer import WriteOutcome
from reports.access.file_lock import locked
from reports.access.private_files import kept_file, state_folder
from stream_core.announcement import OwnWrite
from stream_core.attribute_values import wire_json
from stream_core.history_row import time_text

_VERSION = 1


def journal_path(run: str, folder: Path | None = None) -> Path:
    """Where the journal of a run is, by default in the folder of the user's state.

    Raises:
        OSError: the user has no home.
    """
    return (folder or state_folder()) / f"run-{run}.jsonl"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A write that was about to be made.

    Attributes:
        at: by the service's clock, UTC.
        before, after: digests of the item's own attributes, None: there is no item.
    """

    at: datetime
    before: bytes | None
    after: bytes | None


@dataclass
class RunJournal:
    """The journal of one run, open; may be written side by side.

    Attributes:
        is_begun: a process of this machine has begun the run, or was let join it, before.
        attempts: the writes that were about to be made, by the number of their item.
        done: what became of items that are done with, and why.
        unwritten: those whose latest attempt left nothing in the table, by its answer; what was
            decided without a request says nothing of an attempt.
    """

    path: Path
    _file: BinaryIO
    is_begun: bool = False
    attempts: dict[int, list[Attempt]] = field(default_factory=dict)
    done: dict[int, tuple[WriteOutcome, str]] = field(default_factory=dict)
    unwritten: set[int] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)

    @classmethod
    @contextlib.contextmanager
    def opened(cls, path: Path, run: str, plan_digest: str) -> Iterator["RunJournal"]:
        """The journal of a run, kept from other processes until the end of the block.

        Raises:
            RefusedError: another process is carrying out the run.
            JournalError: it cannot be read or written, or is of another run.
        """
        header = {"itemtrail_run": _VERSION, "run": run, "plan": plan_digest}
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(path.with_name(f"{path.name}.lock")))
                file = kept_file(path)
            except BlockingIOError as error:
                raise RefusedError(
                    f"run {run} is being carried out by another process here ({path}): wait for it"
                ) from error
            except OSError as error:
                raise JournalError(f"the journal {path} cannot be written: {error}") from error
            stack.callback(_close, file)
            journal = cls(path, file)
            journal._begin(header)
            yield journal

    def begun(self) -> None:
        """Keep that the run may be gone on with from here: nobody else had begun it, or it joined.

        A header alone does not say so: who was refused has left one, too.
        """
        if not self.is_begun:
            self.is_begun = True
            self._append([{"begun": True}])
            self.flush()

    def about_to_write(self, writes: Iterable[OwnWrite]) -> None:
        """Keep that some items are about to be written."""
        with self._lock:
            lines = []
            for write in writes:
                attempt = Attempt(write.at, write.before, write.after)
                self._attempted(write.number, attempt)
                lines.append(
                    {
                        "n": write.number,
                        "at": time_text(write.at),
                        "before": _hex(write.before),
                        "after": _hex(write.after),
                    }
                )
            self._append(lines)
        self.flush()

    def withdraw(self, writes: Iterable[OwnWrite]) -> None:
        """Keep that some writes are surely not made: what was tried before counts again.

        Raises:
            JournalError: it cannot be written.
        """
        with self._lock:
            lines = [{"n": write.number, "withdrawn": time_text(write.at)} for write in writes]
            for line in lines:
                self._withdrawn(line)
            self._append(lines)
        self.flush()

    def flush(self) -> None:
        """See that all of it is on the disk.

        Raises:
            JournalError: it cannot be written.
        """
        with _reported(self.path):
            os.fsync(self._file.fileno())

    def settle(
        self, number: int, outcome: WriteOutcome, reason: str, *, is_unwritten: bool = False
    ) -> None:
        """Keep what became of an item.

        Args:
            number: the item's number in the plan.
            outcome: what became of it.
            reason: why; no item data.
            is_unwritten: its latest attempt was answered, and left nothing in the table.
        """
        line: dict[str, Any] = {"n": number, "outcome": outcome.value, "reason": reason}
        if is_unwritten:
            line["unwritten"] = True
        with self._lock:
            self._settled(line)
            self._append([line])

    def _begin(self, header: dict[str, Any]) -> None:
        *lines, rest = self._file.read().split(b"\n")
        if not lines:
            # Nothing, or a header that never became whole.
            self._file.truncate(0)
            self._append([header])
            return
        try:
            first, *entries = map(json.loads, lines)
            for line in entries:
                self._read(line)
        except (ValueError, KeyError, TypeError, AttributeError):
            first = None
        if first != header:
            raise JournalError(
                f"the journal {self.path} is of another run, or was edited: move it away"
            )
        if rest:
            # The line that was being written when the process was ended: it counts for nothing.
            self._file.truncate(self._file.tell() - len(rest))

    def _read(self, line: dict[str, Any]) -> None:
        self.is_begun = True
        if "begun" in line:
            return
        if "outcome" in line:
            self._settled(line)
            return
        if "withdrawn" in line:
            self._withdrawn(line)
            return
        attempt = Attempt(
            datetime.fromisoformat(line["at"]), _bytes(line["before"]), _bytes(line["after"])
        )
        self._attempted(line["n"], attempt)

    def _attempted(self, number: int, attempt: Attempt) -> None:
        self.attempts.setdefault(number, []).append(attempt)
        # What became of it before counts no longer.
        self.done.pop(number, None)
        self.unwritten.discard(number)

    def _withdrawn(self, line: dict[str, Any]) -> None:
        number, at = line["n"], datetime.fromisoformat(line["withdrawn"])
        tried = self.attempts.pop(number, [])
        if remaining := [attempt for attempt in tried if attempt.at != at]:
            self.attempts[number] = remaining
            if remaining[-1] != tried[-1]:
                # It was announced because what was tried before had left nothing.
                self.unwritten.add(number)

    def _settled(self, line: dict[str, Any]) -> None:
        number = line["n"]
        self.done[number] = (WriteOutcome(line["outcome"]), line["reason"])
        if line.get("unwritten"):
            self.unwritten.add(number)

    def _append(self, lines: Iterable[dict[str, Any]]) -> None:
        with _reported(self.path):
            self._file.write(b"".join(wire_json(line, sort_keys=False) + b"\n" for line in lines))
            self._file.flush()


@contextlib.contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Have a file that cannot be written reported as such."""
    try:
        yield
    except OSError as error:
        raise JournalError(f"the journal {path} cannot be written: {error}") from error


def _close(file: BinaryIO) -> None:
    # What could not be written was told when that was tried: closing tries it once more.
    with contextlib.suppress(OSError):
        file.close()


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()


def _bytes(value: str | None) -> bytes | None:
    return None if value is None else bytes.fromhex(value)
