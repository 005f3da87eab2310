"""Requests side by side: order, bounds, errors, and nothing left behind."""

import threading
from itertools import count, islice

import pytest

from reports.access.clients import CONCURRENCY
from reports.access.parallel import StoppedError, batches, in_order, pause


def test_results_come_in_the_order_asked_for():
    """However late the first one is."""
    second_is_done = threading.Event()

    def work(number):
        if number == 0:
            assert second_is_done.wait(10)
        if number == 1:
            second_is_done.set()
        return number

    assert list(in_order(work, range(100))) == list(range(100))


def test_an_endless_list_is_taken_only_as_fast_as_results_are():
    """What is ahead is bounded."""
    taken = []
    given = (taken.append(number) or number for number in count())

    results = in_order(lambda number: number, given, ahead=5)
    first = list(islice(results, 3))
    results.close()

    assert first == [0, 1, 2]
    assert len(taken) <= 8


def test_a_pause_ends_when_nobody_waits_for_results_any_more():
    """Who interrupts a slow operation is not kept waiting by what it was about to do."""
    begun, ended = threading.Event(), []

    def work(number):
        if number:
            begun.set()
            try:
                pause(60)
            except StoppedError:
                ended.append(number)
                raise
        assert begun.wait(10)
        return number

    results = in_order(work, range(2))
    assert next(results) == 0
    results.close()

    assert ended == [1]


def test_what_is_done_is_handed_out_before_more_is_taken():
    """A first result does not wait until enough others are under way."""
    taken = []
    done = {number: threading.Event() for number in range(10)}

    def work(number):
        done[number].set()
        return number

    def given():
        for number in range(10):
            taken.append(number)
            yield number
            # Until the next is asked for, this one has been worked on.
            assert done[number].wait(10)

    results = in_order(work, given(), ahead=10)

    assert next(results) == 0
    assert len(taken) < 10
    results.close()


def test_an_error_is_raised_in_its_place():
    """The results before it come first, those after it never."""

    def work(number):
        if number == 3:
            raise ValueError(number)
        return number

    results = in_order(work, range(10))

    assert list(islice(results, 3)) == [0, 1, 2]
    with pytest.raises(ValueError, match="3"):
        next(results)


def test_stopping_early_leaves_no_thread_and_begins_nothing_new():
    """What has begun is waited for, the rest is dropped."""
    before = threading.active_count()
    begun = []
    many_wait, stop = threading.Event(), threading.Event()

    def given():
        for number in count():
            if number == 90:
                many_wait.set()
            yield number

    def work(number):
        begun.append(number)
        assert (stop if number else many_wait).wait(10)
        return number

    results = in_order(work, given(), ahead=100)
    assert next(results) == 0
    later = threading.Timer(0.2, stop.set)
    later.start()
    results.close()
    later.join()

    assert len(begun) <= 2 * CONCURRENCY
    assert threading.active_count() == before


def test_batches_grow_so_that_the_first_results_come_soon():
    """Nothing is lost or reordered, and a full batch is not exceeded."""
    groups = list(batches(range(50), 10))

    assert [len(group) for group in groups] == [1, 2, 4, 8, 10, 10, 10, 5]
    assert [number for group in groups for number in group] == list(range(50))
    assert list(batches([], 10)) == []
