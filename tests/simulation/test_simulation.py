"""The consumers lose nothing, whatever fails: a few seeds of what `make simulate` runs."""

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from replica_writer import settle
from reports.states.evidence import Evidence
from reports.states.timeline import Certainty, judge
from stream_core.attribute_values import read_item
from stream_core.history_row import HistoryRow
from tests.factories import COMPLETE
from tests.simulation import model, shrink
from tests.simulation.scenario import Outage, Scenario, Settings, Write, draw
from tests.simulation.scheduler import MS, SECOND
from tests.simulation.source import item_keys
from tests.simulation.wire import Call
from tests.simulation.world import Invocation, World

pytestmark = pytest.mark.bank

SEEDS = range(40)
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_doubled_or_changed(seed):
    """FACTS 9.71: history is the log, the replica is the source, whatever is not is kept aside."""
    scenario = draw(seed)
    failure = shrink.failure_of(scenario)

    assert failure is None, shrink.report(seed, scenario)


def test_a_seed_is_one_run():
    """The same seed gives the same interleaving, the same faults and the same tables."""
    for seed in (4, 11):
        runs = {model.fingerprint(model.check(draw(seed), trace=True)) for _ in range(2)}

        assert len(runs) == 1


def test_a_failure_is_told_as_short_as_it_gets():
    """Of a long run only what matters for its failure is left, one event a line."""

    def fails(candidate):
        return sum(write.attributes is None for write in candidate.writes) >= 2

    scenario = next(draw(seed) for seed in range(99) if fails(draw(seed)))

    short = shrink.shrink(scenario, fails)

    assert [write.attributes for write in short.writes] == [None, None]
    assert not short.strays
    assert not short.outages
    assert not any(short.settings.rates.values())


def test_without_faults_nothing_is_kept_aside():
    """A calm run writes every row once and quarantines nothing."""
    writes = tuple(Write(n * 10 * MS, n % 3, {"Version": {"N": str(n)}}) for n in range(30))

    world = model.check(Scenario(1, Settings(batch_size=7), writes))

    assert world.stats["history: RowsWritten"] == 30
    assert world.stats["deliveries"] == 60
    assert world.stats["redriven"] == 0


def test_without_the_source_the_stream_alone_is_followed():
    """`Settle=false`: where nothing is delivered again late, the replica is the source."""
    writes = tuple(
        Write(n * SECOND, n % 3, {"Version": {"N": str(n)}} if n % 4 else None) for n in range(30)
    )

    world = model.check(Scenario(3, Settings(batch_size=7, settle=False), writes))

    assert world.disturbed == set()
    assert world.store.tables["replica"] == world.source.items


def test_a_stream_made_again_goes_on_with_one_history():
    """Its numbers are low again, and its records come while older ones still do."""
    writes = tuple(Write(n * 100 * MS, n % 2, {"Version": {"N": str(n)}}) for n in range(20))
    later = tuple(replace(write, at=write.at + 60 * SECOND) for write in writes)
    outages = (Outage("replica", 0, 70 * SECOND, "AccessDeniedException"),)

    world = model.check(
        Scenario(4, Settings(), writes + later, remade=(30 * SECOND,), outages=outages)
    )

    numbers = [record.sequence for record in world.source.log]
    assert numbers != sorted(numbers)
    assert world.stats["history: RowsWritten"] == 40


def test_writes_that_take_effect_late_are_healed_by_the_second_look():
    """Also at the last moment at which their signature holds; without a look they are not made."""
    writes = tuple(Write(n * SECOND, n % 3, {"Version": {"N": str(n)}}) for n in range(40))
    settings = Settings(timeout=60 * SECOND, rates={"late": 0.3}, second_look=True)

    world = model.check(Scenario(6, settings, writes))
    without = model.check(Scenario(6, replace(settings, second_look=False), writes))

    assert world.stats["fault: replica written late"] > 0
    assert world.stats["look: Healed"] > 0
    assert without.stats["fault: replica written late"] == 0
    assert without.stats["look: SecondLooks"] == 0


def test_a_thread_that_outlives_its_handler_is_noticed(monkeypatch):
    """An exception that ends a handler, and not the threads that it has started."""
    real, first = settle.Settler._slice_settled, iter([True])

    def slice_settled(*arguments):
        if next(first, False):
            raise OSError
        return real(*arguments)

    monkeypatch.setattr(settle, "_slices", lambda ids: [[one] for one in ids])
    monkeypatch.setattr(settle.Settler, "_slice_settled", slice_settled)
    writes = tuple(Write(n * MS, n, {"Version": {"N": str(n)}}) for n in range(9))

    with pytest.raises(model.BrokenPromiseError, match="after it has answered"):
        model.check(Scenario(7, Settings(slow=0.5), writes))


@pytest.mark.parametrize(("size", "taken"), [(2**24, True), (2**24 + 1, False)])
def test_a_request_over_16_mb_is_refused(size, taken):
    """Developer Guide, quotas: a call takes 16 MB, whatever is in it."""
    world = World(Scenario(5))
    requests = {"RequestItems": {"replica": [{"DeleteRequest": {"Key": item_keys("S", 1)}}]}}
    sender = Invocation(1, "replica", 0, 0, None)
    call = Call("dynamodb", "BatchWriteItem", "replica", "", requests, size, sender=sender)

    answer = world.wire._answered(call)

    assert (answer.status_code == 200) is taken


def test_what_is_given_up_comes_back_by_redriving():
    """FACTS 9.58, 9.59: records too old for Lambda are in failure objects, whole.

    So redriving them restores everything, also when the stream has lost them long since.
    """
    settings = Settings(
        batch_size=4,
        max_age=120 * SECOND,
        rates=dict.fromkeys(("throttled", "server_error"), 0.5),
    )
    writes = tuple(Write(n * SECOND, n % 3, {"Version": {"N": str(n)}}) for n in range(20))
    outages = tuple(outage(resource) for resource in ("history", "replica", "source", "quarantine"))

    world = model.check(Scenario(2, settings, writes, outages=outages))

    assert world.stats["fault: too old"] >= 20
    assert world.stats["redriven"] >= 40


def outage(resource):
    return Outage(resource, 5 * SECOND, 600 * SECOND, "AccessDeniedException")


@pytest.mark.parametrize("consumer", ["history", "replica"])
def test_the_largest_batch_fits_a_small_function(consumer):
    """FACTS 9.64: seven changes of 800 KB each stay well within 256 MB, the simulation included."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.simulation.memory", consumer],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    size, _, peak, answer = run.stdout.split(maxsplit=3)
    assert answer.strip() == "[{'batchItemFailures': []}]"
    assert float(size) > 5
    assert float(peak) < 160


def test_a_lost_record_never_makes_an_exact_answer_wrong():
    """FACTS 9.53: without any one row, what `as_of` calls exact is what the item was."""
    pace = 10 * SECOND
    writes = tuple(
        Write((n + 1) * pace, 0, None if n % 4 == 2 else {"Version": {"N": str(n % 3)}})
        for n in range(12)
    )
    world = model.check(Scenario(6, Settings(), writes))
    rows = [
        HistoryRow.from_item(read_item(world.store.tables["history"][key]))
        for key in sorted(world.store.tables["history"])
    ]
    (live,) = world.source.items.values() or [None]

    for lost in rows:
        known = [row for row in rows if row is not lost]
        answers = [judge(evidence_at(row.change.created_at, known, live)) for row in rows]

        truth = [row.change.new_image for row in rows]
        wrong = [
            answer.reason
            for answer, image in zip(answers, truth, strict=True)
            if answer.certainty is Certainty.EXACT and answer.image != image
        ]
        assert wrong == []
        assert answers[rows.index(lost)].certainty is not Certainty.EXACT


def evidence_at(moment, rows, live):
    """What the history and the live item say about a moment."""
    return Evidence(
        keys=rows[0].change.keys,
        at=moment,
        now=rows[-1].change.created_at + timedelta(days=1),
        horizon=rows[0].change.created_at - timedelta(days=1),
        before=next((row for row in reversed(rows) if row.change.created_at <= moment), None),
        after=next((row for row in rows if row.change.created_at > moment), None),
        live_was_read=True,
        live=live,
        **COMPLETE,
    )
