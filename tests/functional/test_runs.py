"""Runs on an emulator, behind a proxy that loses answers; the history is written from the stream.

MiniStack keeps the idempotency tokens of transactions as AWS documents them, which moto does not.
"""

import threading
from contextlib import contextmanager

import pytest

from operations.deployed_tables import DeployedTables
from operations.execution.pace import Pace
from operations.execution.run import PlanRun
from operations.recovery.conditional_write import WriteOutcome
from reports.access.own_writes import find_own_writes
from stream_core.item_id import item_id
from tests.factories import complete, item, number
from tests.fault_proxy import FaultProxy
from tests.functional.test_restore_and_undo import trail  # noqa: F401 - a fixture
from tests.unit.operations.execution.test_run import plan_of

pytestmark = pytest.mark.functional

BAD, GOOD = item("1", V=number(2)), item("1", V=number(1))


@pytest.fixture
def proxy(local_stack):
    """In front of the emulator."""
    with FaultProxy(local_stack.endpoint_url) as made:
        yield made


@pytest.fixture
def deployment(trail, proxy, local_stack):  # noqa: F811 - the fixture
    """The trail's tables, reached through the proxy."""
    names = trail.names
    made = DeployedTables(
        names.source,
        local_stack.session(),
        proxy.url,
        history_table=names.history,
        time_shards=4,
        overflow_bucket=names.overflow,
    )
    complete(made.reader)
    yield made
    made.pool.shutdown()


@contextmanager
def recording(trail):  # noqa: F811 - the fixture
    """What happens in the block is recorded as it happens."""
    stop = threading.Event()

    def record():
        while not stop.wait(0.05):
            trail.record()

    recorder = threading.Thread(target=record)
    recorder.start()
    try:
        yield
    finally:
        stop.set()
        recorder.join()


def results_of(deployment, plan, folder, **options):
    run = PlanRun(deployment, plan, Pace(), "ada", "itemtrail 1", folder / "run.jsonl", **options)
    return {item_id(result.item.keys): result for result in run.results()}


@pytest.mark.parametrize(
    "change", [(BAD, None), (BAD, GOOD), (None, GOOD)], ids=["delete", "update", "put"]
)
def test_a_lost_answer_loses_no_later_write(trail, proxy, deployment, tmp_path, change):  # noqa: F811
    """Another writer puts it back before the repeat: the token keeps the repeat from undoing that.

    Without a token the delete would be carried out twice, and theirs be lost.
    """
    old, new = change
    if old is not None:
        trail.put(old)

    def put_back():
        if old is None:
            trail.delete("1")
        else:
            trail.put(old)

    proxy.lose_answer("TransactWriteItems", put_back)
    with recording(trail):
        (result,) = results_of(deployment, plan_of(("1", old, new)), tmp_path).values()

    assert result.outcome is WriteOutcome.WRITTEN
    assert proxy.requests.count("TransactWriteItems") == 2
    assert trail.items().get("1") == old


def test_what_a_run_wrote_is_known_from_the_history_alone(trail, deployment, tmp_path):  # noqa: F811
    """Its changes and no others; and the same plan from another folder writes nothing again."""
    changes = [(str(n), item(str(n), V=number(2)), item(str(n), V=number(1))) for n in range(30)]
    for _, old, _ in changes:
        trail.put(old)
    trail.record()
    plan = plan_of(*changes)

    done = results_of(deployment, plan, tmp_path)
    trail.record()
    trail.put(item("0", V=number(5)))
    trail.record()

    assert {result.outcome for result in done.values()} == {WriteOutcome.WRITTEN}
    own = find_own_writes(deployment.reader)
    for name, *_ in changes:
        runs = [own.run_of(row) is not None for row in deployment.reader.rows(name)]
        assert runs == [False, True, False][: 3 if name == "0" else 2]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    resumed = results_of(deployment, plan, elsewhere, may_join=True)
    assert {result.outcome for result in resumed.values()} == {WriteOutcome.WRITTEN}
    assert trail.items()["0"]["V"] == number(5)
