"""Settling any number of items until they hold still, and telling of those that do not."""

import os
import signal
import threading
from functools import partial

import pytest

from operations.execution.settlement import KEYS_A_CALL, settle_all
from operations.execution.under_way import UnderWay
from reports.access.machine import Machine
from stream_core.errors import RefusedRecordError
from tests.factories import item, number, text
from tests.fakes import DENIED, THROTTLED, client_error, refuse_call
from tests.two_tables import TwoTables, factory

WRITE, READ = "batch_write_item", "batch_get_item"


class Tables(TwoTables):
    """A source, a replica, a settler between them, and time that only pauses take."""

    def __init__(self, **options):
        super().__init__(**options)
        self.now = 0.0
        self.pauses_s = []

    def sleep(self, seconds):
        self.pauses_s.append(seconds)
        self.now += seconds

    def settle_all(self, *identifiers, patience_s=60.0):
        keys = {identifier: item(identifier) for identifier in identifiers}
        machine = Machine(clock=lambda: self.now, sleep=self.sleep)
        return settle_all(self.settler, keys, partial(machine.patience, patience_s), UnderWay())

    def put(self, *items):
        for one in items:
            self.source.put("source", one)

    def change_at_every_read(self, identifier, times):
        """Change an item right after it is read, so many times."""
        versions = iter(range(1, times + 1))

        def entry(_request, carry_out):
            answer = carry_out()
            version = next(versions, None)
            if version is not None:
                self.put(item(identifier, Version=number(version)))
            return answer

        self.source.always(READ, entry)


@pytest.fixture
def make_tables():
    with factory(Tables) as make:
        yield make


@pytest.fixture
def tables(make_tables):
    return make_tables()


def test_any_number_of_items_is_settled(tables):
    """Missing, different, extraneous and equal items, more than one call takes, end equal."""
    names = [f"{n:04d}" for n in range(2 * KEYS_A_CALL + 7)]
    tables.put(*(item(name, Count=number(1)) for name in names if int(name) % 4))
    for name in names[::3]:
        tables.replica.put("replica", item(name, Count=number(2)))

    settled = tables.settle_all(*names)

    assert tables.of_replica() == tables.of_source()
    assert not settled.failed
    assert settled.writes == len(names)
    asked = [len(request["RequestItems"]["source"]["Keys"]) for request in reads(tables)]
    assert sum(asked) == 2 * len(names)


def reads(tables):
    return tables.source.requests(READ)


def test_a_restless_item_is_settled_until_it_rests(tables):
    """Ten changes, each between a read and the write after it: the eleventh state is the end."""
    tables.put(item("1", Version=number(0)), item("2"))
    tables.change_at_every_read("1", times=10)

    settled = tables.settle_all("1", "2")

    assert tables.of_replica() == tables.of_source()
    assert tables.of_replica()[0] == item("1", Version=number(10))
    assert not settled.failed
    assert settled.corrections > 4
    assert len(tables.pauses_s) >= 1


def test_an_item_that_never_rests_is_told(tables):
    """It ends when patience does, and the others are settled all the same."""
    tables.put(item("1"), item("2"))
    tables.change_at_every_read("1", times=10**6)

    settled = tables.settle_all("1", "2", patience_s=30)

    assert settled.restless == settled.failed == {"1"}
    assert 20 < tables.now <= 30
    assert item("2") in tables.of_replica()


def test_what_is_throttled_for_too_long_is_told(tables):
    """Items neither written nor refused are named, with the code."""
    tables.put(item("1"))
    tables.replica.always(WRITE, THROTTLED)

    settled = tables.settle_all("1", patience_s=10)

    assert settled.unstored == settled.failed == {"1"}
    assert settled.errors["ProvisionedThroughputExceededException"] > 3
    assert tables.now <= 10


def test_throttling_that_passes_does_no_harm(tables):
    """Both tables refuse for a while: everything is settled in the end."""
    tables.put(item("1"))
    tables.source.script(READ, THROTTLED, None, THROTTLED)
    tables.replica.script(WRITE, THROTTLED, client_error("TransactionConflictException"))

    settled = tables.settle_all("1")

    assert not settled.failed
    assert tables.of_replica() == tables.of_source()


def test_a_missing_permission_is_told_at_once(tables):
    """Nothing is gained by trying again."""
    tables.put(item("1"))
    tables.source.always(READ, DENIED)

    settled = tables.settle_all("1")

    assert settled.unstored == {"1"}
    assert settled.errors == {"AccessDeniedException": 1}
    assert tables.now == 0


def test_a_refused_item_stands_alone(tables):
    """One that the replica never takes is named with its answer, in whatever call it is."""
    names = [f"{n:04d}" for n in range(KEYS_A_CALL + 30)]
    tables.put(*map(item, names))
    tables.replica.always(WRITE, refuse_call(lambda one: one == item("0310")))

    settled = tables.settle_all(*names)

    assert settled.refused.keys() == settled.failed == {"0310"}
    assert isinstance(settled.refused["0310"], RefusedRecordError)
    assert len(tables.of_replica()) == len(names) - 1


def test_nothing_to_settle_is_no_request(tables):
    """An empty order sends nothing."""
    settled = tables.settle_all()

    assert not settled.failed
    assert tables.source.calls == tables.replica.calls == []


def test_without_a_source_it_cannot_settle(make_tables):
    """There is no guess here that could stand."""
    tables = make_tables(read_source=False)

    with pytest.raises(ValueError, match="source"):
        tables.settle_all("1")


def test_an_interrupt_waits_for_the_read_after_the_write(tables):
    """Between a write and the read that corrects it, Ctrl-C would leave a state of the past."""
    tables.put(item("1", Name=text("old")))
    interrupted = threading.Event()

    def interrupt(_request, carry_out):
        answer = carry_out()
        os.kill(os.getpid(), signal.SIGINT)
        interrupted.wait(0.05)  # Long enough for the main thread to notice.
        tables.put(item("1", Name=text("new")))
        return answer

    tables.replica.script(WRITE, interrupt)

    with pytest.raises(KeyboardInterrupt):
        tables.settle_all("1")

    assert tables.of_replica() == tables.of_source() == [item("1", Name=text("new"))]


def test_other_threads_settle_in_their_own(tables):
    """Only the main thread is ever interrupted, so only there another one is needed."""
    tables.put(item("1"))
    before = threading.active_count()
    results = []
    thread = threading.Thread(target=lambda: results.append(tables.settle_all("1")))

    thread.start()
    thread.join()

    assert not results[0].failed
    # Those of the settler's pool alone.
    assert threading.active_count() - before <= 2


def test_patience_lasts_as_long_as_it_is_told():
    """Another attempt begins while there is time, and none after."""
    now, begun = [100.0], []

    def attempt(pending):
        begun.append(now[0])
        return pending

    def sleep(seconds):
        now[0] += seconds

    patience = Machine(clock=lambda: now[0], sleep=sleep, jitter=lambda: 1.0).patience(10)

    assert patience.work_off(["work"], attempt) == ["work"]
    assert 105 < begun[-1] <= 110


def test_no_patience_tries_once():
    """No time left means one attempt and no pause."""
    attempts = []

    left = (
        Machine(clock=lambda: 5.0)
        .patience(0)
        .work_off(["work"], lambda pending: attempts.append(1) or pending)
    )

    assert (left, len(attempts)) == (["work"], 1)
