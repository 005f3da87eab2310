"""A run ends when nothing was answered for a minute, and for no other reason."""

import pytest

from operations.execution.standstill import Standstill
from reports.access.machine import Machine
from tests.factories import Clock


class Passing(Clock):
    """A machine on which time passes when the test says so."""

    @property
    def machine(self):
        return Machine(clock=lambda: -self.left_ms / 1000, sleep=self.sleep, jitter=lambda: 1.0)


@pytest.fixture
def clock():
    return Passing()


def test_a_minute_in_which_nothing_is_asked_is_no_standstill(clock):
    """A slow rate was asked for: what fails after its pause has all its time."""
    standstill = Standstill(clock.machine)
    standstill.moved()

    clock.sleep(300)

    assert standstill.reason is None
    fresh = Standstill(clock.machine).patience()
    assert standstill.patience().remaining_ms() == fresh.remaining_ms()


def test_a_failure_counts_from_the_last_success(clock):
    """Of two asked side by side: what was answered meanwhile shows that the table answers."""
    standstill = Standstill(clock.machine)
    since = standstill.now()
    clock.sleep(40)
    standstill.moved()
    clock.sleep(20)

    standstill.failed(since)

    assert standstill.reason is None
    clock.sleep(39)
    assert "nothing has succeeded for 60 seconds" in standstill.reason


def test_a_success_ends_a_standstill(clock):
    """The next failure has all its time again."""
    standstill = Standstill(clock.machine)
    since = standstill.now()
    clock.sleep(61)
    standstill.failed(since)
    assert standstill.reason

    standstill.moved()

    assert standstill.reason is None
