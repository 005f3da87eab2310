"""Waiting for what AWS does in its own time, as long as the run has time."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from operations.acceptance.belief import UntriedError
from reports.access.machine import Machine

Value = TypeVar("Value")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _GROWTH = 0.25, 5.0, 1.3


@dataclass
class TimeLimit:
    """How long a run waits, of all that it waits for.

    Attributes:
        machine: the machine whose clock counts.
        until: when the run's time is over, in seconds of that clock.
    """

    machine: Machine = field(default_factory=Machine)
    until: float = math.inf

    def ends_in(self, seconds: float) -> None:
        """Wait for nothing longer than so many seconds from now."""
        self.until = self.machine.clock() + seconds

    def wait_for(self, look: Callable[[], Value | None], seconds: float) -> Value | None:
        """What a look gives, once it does; looks less and less often.

        Returns:
            None: it did not in so many seconds.

        Raises:
            UntriedError: the run's time was over before these seconds were.
        """
        machine = self.machine
        wanted = machine.clock() + seconds
        until, pause_s = min(wanted, self.until), _FIRST_PAUSE_S
        while (value := look()) is None and machine.clock() < until:
            machine.sleep(pause_s)
            pause_s = min(_LONGEST_PAUSE_S, pause_s * _GROWTH)
        if value is None and until < wanted:
            raise UntriedError("the time of the run was over before it was waited for long enough")
        return value
