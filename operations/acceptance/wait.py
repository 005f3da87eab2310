"""Waiting for what AWS does in its own time."""

from collections.abc import Callable
from typing import TypeVar

from reports.access.machine import Machine

Value = TypeVar("Value")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _GROWTH = 0.25, 5.0, 1.3


def wait_for(look: Callable[[], Value | None], seconds: float, machine: Machine) -> Value | None:
    """What a look gives, once it does; looks less and less often. None: not in so many seconds."""
    until, pause_s = machine.clock() + seconds, _FIRST_PAUSE_S
    while (value := look()) is None and machine.clock() < until:
        machine.sleep(pause_s)
        pause_s = min(_LONGEST_PAUSE_S, pause_s * _GROWTH)
    return value
