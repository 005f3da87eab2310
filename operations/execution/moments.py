"""The moments that tell the attempts of a run from each other."""

from datetime import UTC, datetime, timedelta
from threading import Lock

from operations.execution.service_clock import ServiceClock


class Moments:
    """Moments by the service's clock, no two the same: each attempt at an item has its own."""

    def __init__(self, clock: ServiceClock) -> None:
        """Begin with no moment given out; may be asked side by side."""
        self._clock = clock
        self._lock = Lock()
        self._last = datetime.min.replace(tzinfo=UTC)

    def next(self) -> datetime:
        """A moment that has passed already, later than all before, UTC."""
        with self._lock:
            self._last = max(self._clock.earliest(), self._last + timedelta(microseconds=1))
            return self._last
