"""The time by the service's clock, which is what changes are stamped with.

This machine's clock may be seconds off. Every answer has the service's date, cut to the second, so
each tells within a second how far the clocks are apart, and those that were made as a second
turned, taken together, tell it within a few milliseconds.
"""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from reports.access.service_date import date_of

Answer = TypeVar("Answer")

_SECOND = timedelta(seconds=1)
# The many machines of a service differ among themselves, and a record is made a little later than
# its change.
_MARGIN = timedelta(milliseconds=25)
# The turn of a second is seen this exactly, in a second at most.
_POLL_S, _POLLS = 0.1, 12
_ENOUGH = timedelta(milliseconds=250)
# Clocks drift, and are set.
_FORGET_AFTER = timedelta(minutes=10)


class ServiceClock:
    """How far the service's clock is from this machine's; may be asked side by side."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        """Know nothing yet: until a date is seen the clocks are taken to agree.

        Args:
            now: the time of this machine.
        """
        self._now = now
        self._lock = threading.Lock()
        self._learned: datetime | None = None
        self._least = self._most = timedelta(0)

    def ask(self, request: Callable[[], Answer]) -> tuple[Answer, datetime, datetime]:
        """Make a request; its answer, and two times of the service between which it was made."""
        sent = self._now()
        answer = request()
        received = self._now()
        with self._lock:
            self._learn(answer, sent, received)
            return answer, sent + self._least - _MARGIN, received + self._most + _MARGIN

    def tune(self, request: Callable[[], object], sleep: Callable[[float], object]) -> None:
        """See the second turn, by making a request again and again for a second at most."""
        for _ in range(_POLLS):
            if self.doubt <= _ENOUGH:
                return
            sleep(_POLL_S)
            self.ask(request)

    @property
    def doubt(self) -> timedelta:
        """How long after an answer a request is surely later than it, by the service's clock."""
        with self._lock:
            return self._most - self._least + 2 * _MARGIN

    def earliest(self) -> datetime:
        """A time that the service's clock has passed already."""
        with self._lock:
            return self._now() + self._least - _MARGIN

    def latest(self) -> datetime:
        """A time that the service's clock has not passed yet."""
        with self._lock:
            return self._now() + self._most + _MARGIN

    def _learn(self, answer: Any, sent: datetime, received: datetime) -> None:
        date = date_of(answer)
        if date is None:
            return
        least, most = date - received - _MARGIN, date + _SECOND - sent + _MARGIN
        if self._learned is not None and received - self._learned < _FORGET_AFTER:
            both = max(least, self._least), min(most, self._most)
            if both[0] <= both[1]:
                self._least, self._most = both
                return
        # The first date, or the first one since a clock was set.
        self._least, self._most, self._learned = least, most, received
