"""So much a second and no more, however many threads ask."""

import threading
from collections.abc import Callable

from operations.errors import RefusedError


class Rate:
    """A budget of items or capacity units, shared by all threads of an operation."""

    def __init__(
        self,
        per_second: float | None,
        clock: Callable[[], float],
        sleep: Callable[[float], object],
    ) -> None:
        """Begin with nothing taken.

        Args:
            per_second: how much may be taken in a second, in the long run; None: no limit.
            clock: seconds that only ever grow.
            sleep: pauses for so many seconds.

        Raises:
            RefusedError: the rate is not greater than zero.
        """
        if per_second is not None and not 0 < per_second < float("inf"):
            raise RefusedError(f"a rate of {per_second} a second does nothing: give more than 0")
        self.per_second = per_second
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at = float("-inf")

    def take(self, count: float) -> None:
        """Take so much, as soon as what was taken before is paid for in time.

        What is taken at once may be more than a second's worth: the next one waits for it.
        """
        if self.per_second is None or count <= 0:
            return
        with self._lock:
            now = self._clock()
            turn = max(self._free_at, now)
            self._free_at = turn + count / self.per_second
        if turn > now:
            self._sleep(turn - now)
