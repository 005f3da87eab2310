"""How far a backfill is, kept so that it can be killed at any moment and goes on from there."""

import threading
from dataclasses import dataclass
from datetime import datetime

from operations.backfill.results import Counts, PageResult, Problem, problems_of
from operations.errors import StateFileError
from operations.execution.state_file import State, StateFile
from operations.execution.under_way import UnderWay, read_keys
from reports.access.progress import Progress
from stream_core.attribute_values import Item
from stream_core.errors import MalformedRecordError
from stream_core.history_row import time_text
from stream_core.item_id import read_key


@dataclass
class BackfillPart:
    """A segment of the table, or a file of an export.

    Attributes:
        start: the last key that is done with; None: nothing is.
        done: whether all of it is.
    """

    start: Item | None = None
    done: bool = False

    def as_json(self) -> State:
        """For the state file."""
        return {"start": self.start, "done": self.done}

    @classmethod
    def of_json(cls, state: State) -> "BackfillPart":
        """From the state file."""
        start = state["start"]
        return cls(None if start is None else read_key(start), state["done"])


class Journal:
    """The parts of a backfill with what became of them; its methods may be called side by side.

    Attributes:
        started: when the first of its runs began, by the service's clock.
        counts: of all runs since the backfill was begun.
        refused: items that will never be done.
        under_way: keys that are being settled.
        ended: why this run ended before all was done; None: it did not.
        undone: why parts of this run could not be finished.
    """

    def __init__(
        self,
        parts: int,
        file: StateFile | None,
        started: datetime,
        expected: int,
        progress: Progress,
    ) -> None:
        """Go on from the file, where there is one.

        Args:
            parts: how many parts there are.
            file: where to keep the journal; None: nowhere, because nothing is written.
            started: when it begins, unless it goes on.
            expected: about how many items there are.
            progress: called with the items that are done with.

        Raises:
            StateFileError: the file was left by another run.
        """
        self._file = file
        self._lock = threading.Lock()
        self._expected = expected
        self._progress = progress
        self.started = started
        self.counts = Counts()
        self.refused: list[Problem] = []
        self.undone: list[Problem] = []
        self.ended: str | None = None
        self.parts = [BackfillPart() for _ in range(parts)]
        self.under_way = UnderWay(self._keep)
        if file is not None and (saved := file.load()) is not None:
            self._restore(file, saved)

    def _restore(self, file: StateFile, saved: State) -> None:
        try:
            self.started = datetime.fromisoformat(saved["started"])
            self.counts = Counts(**saved["counts"])
            self.refused = [Problem(*problem) for problem in saved["refused"]]
            self.parts = [BackfillPart.of_json(part) for part in saved["parts"]]
            self.under_way = UnderWay(self._keep, read_keys(file, saved["under_way"]))
        except (KeyError, TypeError, ValueError, MalformedRecordError) as error:
            raise StateFileError(
                f"the state file {file.path} was altered ({error}): delete it to begin anew"
            ) from error

    def finish(self, number: int, start: Item | None, result: PageResult) -> None:
        """A page of a part is done with.

        Args:
            number: the part.
            start: the key to go on from; None: the part is done.
            result: what became of the page.
        """
        with self._lock:
            self.parts[number] = BackfillPart(start, done=start is None)
            self.counts.add(result.counts)
            self.refused += problems_of(result.refused)
            self._save()
            done = self.counts.scanned
            self._progress("items", done, max(done, self._expected) or None)

    def leave(self, result: PageResult) -> None:
        """A page could not be done with: its part stays where it is."""
        with self._lock:
            self.undone += problems_of(result.undone)

    @property
    def is_finished(self) -> bool:
        """Whether every part is done, and nothing is left half-way."""
        return all(part.done for part in self.parts) and not self.under_way.keys

    def close(self) -> None:
        """Forget what is finished; keep what is not."""
        if self._file is not None and self.is_finished:
            self._file.remove()

    def _keep(self) -> None:
        with self._lock:
            self._save()

    def _save(self) -> None:
        if self._file is not None:
            self._file.save(
                {
                    "started": time_text(self.started),
                    "parts": [part.as_json() for part in self.parts],
                    "under_way": self.under_way.keys,
                    "counts": self.counts.as_json(),
                    "refused": [[problem.key_digest, problem.reason] for problem in self.refused],
                }
            )
