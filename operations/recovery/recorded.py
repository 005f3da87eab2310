"""Whether a history has all that an undo rests on: no change of it may still be on its way."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from operations.errors import OperationError, RefusedError
from operations.execution.pace import Pace, pause_s
from reports.access.row_reader import RowReader
from reports.errors import ForeignRowError
from reports.states.watermark import PROVE, Basis, NoWatermark, Watermark
from stream_core.errors import IntegrityError
from stream_core.history_row import time_text

T = TypeVar("T")

# Metrics have a point a minute.
_POLL_S = 15.0
# A row takes a second or two; of a history that stands still no item is to be waited for long.
_PAUSE_S = 1.0
_MOST_READS = 5
_MOST_PAUSED_S = 60.0


BEHIND = (
    "the item is not what its last row left it: the change that made it so is still on its way, or "
    "is missing; try again later, and see what verify says of it"
)
_AT_ONCE = (
    f"At once: {PROVE} with --stack reads the stream and proves what is recorded, and the same "
    "command goes by that; where you know it, --recorded-until says it"
)


def unread_reason(error: IntegrityError) -> str:
    """Why nothing is written to an item, of whose history a row cannot be relied on."""
    if isinstance(error, ForeignRowError):
        return f"its history has a row of another table: {error}"
    return f"its history is not intact: {error}"


class BehindError(OperationError):
    """The rows of an item do not show all that was done to it."""


def await_recorded(reader: RowReader, until: datetime, *, wait: bool, pace: Pace) -> None:
    """See that every change up to an instant is in the history; to be asked before its rows.

    Args:
        reader: knows up to when the history is complete.
        until: the instant.
        wait: wait until it is so, where that is found out.
        pace: what is called while it waits, and by which clock.

    Raises:
        RefusedError: it is not known to be so.
    """
    began = pace.machine.clock()
    while not reader.watermark_at(until).covers(until):
        watermark = reader.watermark
        if not wait or isinstance(watermark, NoWatermark) or watermark.basis is Basis.DECLARED:
            raise RefusedError(_refusal(watermark, until, pace.machine.now()))
        complete = f"complete until {time_text(watermark.at)}, to be until {time_text(until)}"
        waited_s = int(pace.machine.clock() - began)
        pace.progress(f"waiting for the history: {complete}; seconds", waited_s, None)
        pace.machine.sleep(_POLL_S)
        reader.watermark = reader.find_watermark()


def _refusal(watermark: Watermark | NoWatermark, until: datetime, now: datetime) -> str:
    refusal = (
        f"what was done until {time_text(until)} may not all be in the history yet: "
        f"{watermark.doubt(now)}"
    )
    if isinstance(watermark, NoWatermark):
        return f"{refusal}. {_AT_ONCE}"
    if watermark.basis is Basis.COMPARED:
        # It says itself what to do.
        return refusal
    if watermark.basis is Basis.DECLARED:
        return f"{refusal}: give --recorded-until a later second than --until, if that is so"
    return f"{refusal}: --wait waits for it. {_AT_ONCE}"


class Lag:
    """How long a run waits, all in all, for rows of changes that its items show already.

    Attributes:
        remaining_s: how long it still does.
    """

    def __init__(self, pace: Pace) -> None:
        """Wait at this pace."""
        self._sleep = pace.machine.sleep
        self._most_s = pace.wait_s(_MOST_PAUSED_S)
        self.remaining_s = self._most_s

    def settled(self, read: Callable[[], tuple[bool, T]]) -> T:
        """What is read of an item once its last row and the item are the same.

        Args:
            read: reads both; says whether they are.

        Raises:
            BehindError: they are not.
        """
        is_settled, value = read()
        for _ in range(_MOST_READS - 1):
            if is_settled or not self.pause():
                break
            is_settled, value = read()
        if not is_settled:
            raise BehindError(BEHIND)
        return value

    def pause(self) -> bool:
        """Wait, longer the longer it has been waited; False: it was waited long enough."""
        if self.remaining_s <= 0:
            return False
        seconds = pause_s(self._most_s - self.remaining_s, _PAUSE_S)
        self.remaining_s -= seconds
        self._sleep(seconds)
        return True
