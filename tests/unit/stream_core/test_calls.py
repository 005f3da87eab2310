"""Calls side by side are all waited for, and are cut by count and by bytes."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_core.calls import cut, side_by_side


def test_results_are_in_order():
    """Whichever ends first."""
    with ThreadPoolExecutor(4) as pool:
        assert side_by_side(pool, str, range(20)) == [str(number) for number in range(20)]


def test_every_piece_has_ended_when_an_error_is_raised():
    """What an invocation has started must not go on after it."""
    may_end, ended = threading.Event(), []

    def work(piece):
        if piece == 0:
            may_end.set()
            raise ValueError("the first")
        assert may_end.wait(30)
        ended.append(piece)

    with ThreadPoolExecutor(4) as pool:
        with pytest.raises(ValueError, match="the first"):
            side_by_side(pool, work, range(4))
        assert sorted(ended) == [1, 2, 3]


@given(st.lists(st.integers(0, 40)), st.integers(1, 10), st.integers(1, 100))
def test_pieces_are_cut_by_count_and_by_bytes(sizes, most, most_bytes):
    """Nothing is lost, and only a piece alone may be larger than a group."""
    groups = list(cut(sizes, most, lambda size: size, most_bytes))

    assert [size for group in groups for size in group] == sizes
    assert all(0 < len(group) <= most for group in groups)
    assert all(sum(group) <= most_bytes or len(group) == 1 for group in groups)
