"""How long a run goes on trying: as a whole, and each of its items."""

from reports.access.machine import Machine
from stream_core.retry import LONGEST_PAUSE_S, MARGIN_MS, Patience


class RunPatience:
    """Patience that all items of a run share; may be asked side by side.

    An item that is refused again and again is given up after its time. A run is over when for that
    long no item at all had an answer: a table that refuses for good does not cost the time once for
    each of them.

    Attributes:
        is_over: whether nothing was answered for too long.
    """

    def __init__(self, machine: Machine, seconds: float) -> None:
        """Begin now.

        Args:
            machine: its clock counts.
            seconds: how long nothing may be answered.
        """
        self._machine = machine
        self._seconds = seconds
        self._last_answer = machine.clock()
        self.is_over = False

    def of_one(self) -> Patience:
        """The patience for one item, or one call, that begins now."""
        given_up = self._machine.clock() + self._seconds

        def remaining_ms() -> int:
            end = min(given_up, self._last_answer + self._seconds)
            return max(0, int((end - self._machine.clock()) * 1000)) + MARGIN_MS

        return Patience(remaining_ms, self._machine.sleep, self._machine.jitter)

    def answered(self) -> None:
        """Note that something was answered."""
        self._last_answer = self._machine.clock()
        self.is_over = False

    def given_up(self) -> None:
        """Note that an item was given up."""
        silent_s = self._machine.clock() - self._last_answer
        # A pause that would have gone on for longer than the patience was not taken.
        self.is_over = silent_s >= self._seconds - LONGEST_PAUSE_S
