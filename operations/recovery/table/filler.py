"""Filling a new table by batches, with one patience for all of them."""

from collections.abc import Mapping
from threading import Lock
from typing import TypeAlias

from operations.errors import RunEndedError
from operations.execution.pace import USUAL_PATIENCE_S, Pace
from operations.execution.request import codes_text
from operations.execution.standstill import Standstill
from operations.recovery.table.hold import LOOK_EVERY_S, Hold
from operations.recovery.table.results import Unwritten
from replica_writer.tables import ReplicaTable
from reports.states.timeline import ItemState
from stream_core.attribute_values import own_attributes
from stream_core.retry import LONGEST_PAUSE_S, Patience

Batch: TypeAlias = Mapping[str, ItemState]
"""States of items that are written together, by id."""


class Filler:
    """Writes items into a table; may be asked side by side.

    Attributes:
        hold: of the run on the table; None: its engine keeps no tags, so nobody can take it over.
        written: how many items the table has taken.
        unwritten: those that it refuses.
    """

    def __init__(self, table: ReplicaTable, pace: Pace) -> None:
        """Nothing is written yet.

        Args:
            table: the table to fill.
            pace: how many items a second, and how long nothing may be taken.
        """
        self._table = table
        self._pace = pace
        self._standstill = Standstill(pace.machine, pace.wait_s(USUAL_PATIENCE_S))
        self._lock = Lock()
        self.hold: Hold | None = None
        self.written = 0
        self.unwritten: list[Unwritten] = []

    def write(self, batch: Batch) -> None:
        """Write at most 25 items, as often as it takes.

        Raises:
            RunEndedError: the table has taken nothing at all for too long, or is another run's.
        """
        self._pace.rate.take(len(batch))
        keys = {identifier: state.keys for identifier, state in batch.items()}
        wanted = {identifier: own_attributes(state.image) for identifier, state in batch.items()}
        pending, errors = list(batch), set[str]()
        while pending:
            if (reason := self._standstill.reason) is not None:
                raise RunEndedError(f"'{self._table.name}' answers {codes_text(errors)}: {reason}")
            if self.hold is not None:
                self.hold.require()
            since = self._standstill.now()
            problems = self._table.write(pending, wanted, keys, self._patience())
            errors |= problems.errors.keys()
            self._note(len(pending) - len(problems.unstored) - len(problems.refused))
            with self._lock:
                self.unwritten += [
                    Unwritten(keys[identifier], f"the table answers {error.code}")
                    for identifier, error in problems.refused.items()
                ]
            if len(problems.unstored) < len(pending):
                self._standstill.moved()
            else:
                self._standstill.failed(since)
                self._pause()
            pending = [identifier for identifier in pending if identifier in problems.unstored]

    def _patience(self) -> Patience:
        """No more than until the next look at who has the table."""
        return self._pace.machine.patience(min(LOOK_EVERY_S, self._standstill.remaining_s()))

    def _note(self, written: int) -> None:
        with self._lock:
            self.written += written

    def _pause(self) -> None:
        """What is refused at once, as without permission, is not asked for without end."""
        if self._standstill.reason is None:
            self._pace.machine.sleep(LONGEST_PAUSE_S)
