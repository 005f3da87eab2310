"""Waiting for what other processes and threads do; nothing is asserted about how long it takes."""

import time

GIVEN_UP_AFTER_S = 180
"""When a test gives up what has hung; many times what a busy machine needs."""
_POLL_S = 0.01


def eventually(holds):
    """Wait until a condition holds; fails only when it has hung."""
    until = time.monotonic() + GIVEN_UP_AFTER_S
    while not holds():
        assert time.monotonic() < until, "it never came true"
        time.sleep(_POLL_S)
