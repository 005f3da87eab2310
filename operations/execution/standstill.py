"""How long a run has got no further: whoever refuses for good ends it, instead of each item.

Time in which nothing is asked, as by a slow rate, is none in which nothing is answered.
"""

import threading

from reports.access.machine import Machine
from stream_core.retry import LONGEST_PAUSE_S, Patience

MOST_S = 60.0
"""Minutes of throttling are over after that, or last for hours."""


class Standstill:
    """The time since which nothing succeeds any more; may be asked and told side by side."""

    def __init__(self, machine: Machine, most_s: float = MOST_S) -> None:
        """Nothing has failed yet.

        Args:
            machine: whose clock counts.
            most_s: after so many seconds without a success the run is to end.
        """
        self._machine = machine
        self._most_s = most_s
        self._lock = threading.Lock()
        self._since: float | None = None
        self._moved_at = machine.clock()

    def now(self) -> float:
        """The time, to be given to `failed` when what begins now has failed."""
        return self._machine.clock()

    def patience(self) -> Patience:
        """As much as the run has left."""
        return self._machine.patience(self.remaining_s())

    def moved(self) -> None:
        """Something succeeded."""
        with self._lock:
            self._since, self._moved_at = None, self._machine.clock()

    def failed(self, since: float) -> None:
        """What began at a time has failed, all of it."""
        with self._lock:
            # Something else may have succeeded meanwhile.
            since = max(since, self._moved_at)
            self._since = since if self._since is None else min(since, self._since)

    @property
    def reason(self) -> str | None:
        """Why the run is to end; None: it may go on."""
        with self._lock:
            since = self._since
        # With less than a pause left, another try may not come.
        if since is None or self.remaining_s() > LONGEST_PAUSE_S:
            return None
        return (
            f"nothing has succeeded for {self._most_s:.0f} seconds: ended with what was done; run "
            "the same command again when the tables answer"
        )

    def remaining_s(self) -> float:
        """How many seconds the run has left without a success."""
        with self._lock:
            since = self._since
        return self._most_s if since is None else self._most_s - (self.now() - since)
