"""A rate lets no more through in the long run, whoever asks."""

import threading

import pytest

from operations.errors import RefusedError
from operations.execution.pace import Pace
from operations.execution.rate import Rate


class Clock:
    """Time that passes by sleeping only."""

    def __init__(self):
        self.now = 100.0
        self.pauses = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds


def test_the_first_ones_go_at_once_and_the_next_wait_for_them():
    """What was taken is paid for in time by whoever comes next."""
    clock = Clock()
    rate = Rate(10, clock, clock.sleep)

    rate.take(5)
    rate.take(20)
    rate.take(1)

    assert clock.pauses == pytest.approx([0.5, 2.0])


def test_in_the_long_run_no_more_is_taken():
    """A thousand in pieces of any size take as long as a thousand one by one."""
    clock = Clock()
    rate = Rate(50, clock, clock.sleep)
    begun, sizes = clock.now, [1, 7, 25, 3, 64] * 10

    for size in sizes:
        rate.take(size)

    assert sum(sizes) - 64 == pytest.approx(50 * (clock.now - begun))


def test_time_that_was_not_used_is_not_saved_up():
    """After an hour of nothing the rate is still the rate, and no burst of an hour's worth."""
    clock = Clock()
    rate = Rate(10, clock, clock.sleep)
    rate.take(10)
    clock.now += 3600

    rate.take(10)
    rate.take(10)

    assert clock.pauses == pytest.approx([1.0])


def test_without_a_limit_nobody_waits():
    """None is no limit."""
    clock = Clock()
    rate = Rate(None, clock, clock.sleep)

    for _ in range(5):
        rate.take(1_000_000)

    assert clock.pauses == []


def test_nothing_taken_costs_nothing():
    """An empty page does not wait for the one before it."""
    clock = Clock()
    rate = Rate(1, clock, clock.sleep)
    rate.take(100)

    rate.take(0)

    assert clock.pauses == []


def test_all_threads_share_it():
    """Ten threads together get what one would: their waits are in one queue."""
    clock = Clock()
    waits = []
    rate = Rate(2, lambda: clock.now, waits.append)
    threads = [threading.Thread(target=rate.take, args=(4,)) for _ in range(10)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(waits) == pytest.approx([2.0 * n for n in range(1, 10)])


@pytest.mark.parametrize("per_second", [0, -1, float("nan"), float("inf")])
def test_a_rate_that_never_ends_is_refused(per_second):
    """Zero would wait for ever; so says the message."""
    with pytest.raises(RefusedError, match="give more than 0"):
        Pace(per_second)
