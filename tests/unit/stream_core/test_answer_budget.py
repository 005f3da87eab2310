"""However large the items of a table are, only so much of its answers is in memory at a time."""

import threading

from stream_core.answer_budget import AnswerBudget


def test_a_call_waits_for_room_before_it_is_made():
    """An answer is not made to wait on its way: what is not read would be timed out."""
    budget = AnswerBudget(total=1_000, item_size=600)
    starts, is_in = threading.Event(), threading.Event()

    def second():
        starts.set()
        with budget.allowance(1):
            is_in.set()

    with budget.allowance(1):
        thread = threading.Thread(target=second)
        thread.start()
        starts.wait(5)
        assert not is_in.wait(0.05)
    thread.join(5)

    assert is_in.is_set()


def test_one_item_larger_than_all_is_read_alone():
    """An item cannot be cut; nothing else is in memory meanwhile."""
    budget = AnswerBudget(total=1_000, item_size=10)

    with budget.allowance(1) as other, budget.allowance(1) as large:
        assert other.size == 10
        assert not budget.grow(large, 5_000)
    with budget.allowance(1) as large:
        assert budget.grow(large, 5_000)
    with budget.allowance(1) as after:
        assert after.size == 1_000
