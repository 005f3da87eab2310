"""Backfill beside a second writer, killed and resumed: nothing lost, doubled, stale or undead."""

import json
from collections import Counter, defaultdict
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from unittest import mock

import pytest

from operations.backfill import baselines, source_facts
from operations.backfill import run as backfill_run
from operations.backfill.observation import Dated, DatedItems, stamp
from operations.execution.service_clock import ServiceClock
from operations.execution.under_way import UnderWay
from replica_writer.settle import Settled
from reports.access.machine import Machine
from reports.states.evidence import Evidence
from reports.states.row_states import state_before
from reports.states.timeline import Certainty, judge
from reports.verification.continuity import FindingKind, Head, Link, judge_chain
from stream_core.attribute_values import digest, read_item
from stream_core.change import EventName
from stream_core.history_row import HistoryRow
from stream_core.item_id import CONTROL_ID, item_id
from stream_core.overflow_object import unpack
from tests.factories import COMPLETE, NOON
from tests.simulation.backfilled import plan, run, run_again, slow_plan

pytestmark = pytest.mark.bank

SEEDS = range(8)
SNAPSHOT = EventName.SNAPSHOT
END = datetime.fromtimestamp(NOON, UTC) + timedelta(days=3)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("planned", [plan, slow_plan])
def test_a_backfill_beside_a_writer_is_whole(planned, seed):
    """Replica and source are one, every item is reconstructable at any time, no baseline is wrong.

    And further backfills find nothing to add.
    """
    problems, _ = checked(planned, seed)

    assert problems == [], f"seed {seed}"


def test_the_seeds_go_through_what_matters():
    """Kills, errors, items changed before and during the backfill, both kinds of engines."""
    stats = sum((checked(plan, seed)[1] for seed in SEEDS), Counter())

    assert stats["backfill KilledError"] >= 10
    assert stats["backfill OperationError"] + stats["backfill ClientError"] >= 1
    assert stats["items baselines"] >= 50
    assert stats["items already_there"] >= 10
    assert stats["items changed_first"] >= 10
    assert 2 <= stats["minutes"] <= 8


def test_a_seed_is_one_run():
    """The same seed has the same requests, the same kills and the same tables."""
    first, second = (run(plan(3), trace=True) for _ in range(2))

    assert first.world.trace == second.world.trace
    assert first.world.store.tables == second.world.store.tables


@contextmanager
def without_journal():
    """What is under way is not remembered."""
    with mock.patch.object(UnderWay, "keys", []):
        yield


@contextmanager
def with_the_time_of_sending():
    """A read is taken to show the second it was sent in."""
    with mock.patch.object(baselines, "date", partial(date_by, "since")):
        yield


@contextmanager
def with_the_time_of_the_answer():
    """A read is taken to show the second its answer came in."""
    with mock.patch.object(baselines, "date", partial(date_by, "until")):
        yield


def date_by(end, sightings, _look_again, tick):
    found = {
        identifier: Dated(one.keys, one.item, stamp(getattr(one, end), tick))
        for identifier, one in sightings.items()
    }
    return DatedItems(tick, found)


@contextmanager
def with_the_clock_of_the_machine():
    """What answers say of the service's clock is not looked at."""
    with mock.patch.object(ServiceClock, "_learn"):
        yield


@contextmanager
def with_seconds_everywhere():
    """A baseline is stamped to the second where changes are stamped to the minute."""
    with mock.patch.object(source_facts, "tick_of", return_value=timedelta(seconds=1)):
        yield


@contextmanager
def without_a_look_at_the_history():
    """Every item gets a baseline, whether it needs one or not."""
    with mock.patch.object(baselines.Baselines, "_first_row", return_value=None):
        yield


@contextmanager
def without_settling():
    """What was read is put into the replica, as a plain copy does."""

    def put(settler, keys, *_args, **_options):
        with settler.budget.allowance(len(keys)) as allowance:
            items = settler.source.read(list(keys), keys, patience(), Settled(), allowance).states
        settler.replica.write(list(keys), items, keys, patience())
        return backfill_run_settled(len(keys))

    with mock.patch.object(backfill_run, "settle_all", put):
        yield


def patience():
    return Machine().patience(0)


def backfill_run_settled(count):
    return mock.Mock(
        unstored=frozenset(),
        restless=frozenset(),
        refused={},
        errors=Counter(),
        failed=frozenset(),
        writes=count,
        deletes=0,
    )


@pytest.mark.parametrize(
    ("mutation", "likely"),
    [
        (without_journal, 11),
        (with_the_time_of_sending, 1),
        (with_the_time_of_the_answer, 1),
        (with_the_clock_of_the_machine, 5),
        (with_seconds_everywhere, 0),
        (without_a_look_at_the_history, 0),
        (without_settling, 0),
    ],
)
def test_a_broken_backfill_is_noticed(mutation, likely):
    """Each way to do it wrong shows within some seeds; the likely one is tried first."""
    with mutation():
        noticed = any(_is_broken(slow_plan(seed)) for seed in (likely, *range(200)))

    assert noticed


def _is_broken(given):
    return bool(problems_of(given, run(given), again=False))


# ---- What must hold --------------------------------------------------------------------------


@cache
def checked(planned, seed):
    """What is wrong at the end of a seed's run, and what it went through."""
    given = planned(seed)
    outcome = run(given)
    counts = outcome.result.counts.as_json()
    stats = outcome.world.stats + Counter({f"items {name}": counts[name] for name in counts})
    stats["minutes"] += given.minutes
    return problems_of(given, outcome), stats


def problems_of(given, outcome, *, again=True):
    """Everything that is wrong at the end of a run."""
    world = outcome.world
    problems = [*world.problems, *world.store.broken, *_replica(world)]
    histories = _histories(world)
    for identifier, rows in histories.items():
        keys = rows[0].change.keys
        life = _life(outcome, identifier)
        problems += [f"{identifier}: {what}" for what in _chain(outcome, keys, rows, life)]
        problems += [f"{identifier}: {what}" for what in _as_of(keys, rows, life)]
        baselines_ = [row for row in rows if row.change.event_name is SNAPSHOT]
        if len(baselines_) > 1:
            problems.append(f"{identifier} has {len(baselines_)} baselines")
    missing = {item_id(_keys(world, one)) for one in world.source.items.values()} - set(histories)
    problems += [f"{identifier} has no history" for identifier in missing]
    if again and not problems:
        problems += _additions(given, outcome)
    return problems


def _additions(given, outcome):
    """What further backfills add that they should not."""
    world = outcome.world
    # Deleted before it was read and put back afterwards: that one is new to the next backfill.
    late = {
        identifier
        for identifier, rows in _histories(world).items()
        if {row.change.event_name for row in rows[:1]} & {EventName.MODIFY, EventName.REMOVE}
        and all(row.change.event_name is not SNAPSHOT for row in rows)
    }
    for allowed in (late, set()):
        before = {key for key, _ in _rows(world)}
        result = run_again(given, outcome)
        added = {json.loads(key)["Id"]["S"] for key in {key for key, _ in _rows(world)} - before}
        if not added <= allowed or result.counts.baselines != len(added):
            yield f"a further backfill added {added}, {result.counts}"
        yield from _replica(world)


def _replica(world):
    replica, source = world.store.tables["replica"], world.source.items
    return [
        f"replica: {name} is {replica.get(name)}, not {source.get(name)}"
        for name in sorted(replica.keys() | source.keys())
        if replica.get(name) != source.get(name)
    ]


def _histories(world):
    """Rows by item, in their order, images loaded and digests checked."""
    rows = defaultdict(list)
    for _, item in _rows(world):
        row = HistoryRow.from_item(read_item(item))
        if row.overflow is not None:
            packed = world.store.buckets["overflow"][row.overflow.key][-1]
            row = row.with_images(*unpack(row.overflow, packed))
        row.check()
        rows[row.id].append(row)
    return {one: sorted(rows[one], key=lambda row: row.sort_key) for one in sorted(rows)}


def _rows(world):
    """The rows of items, with their places."""
    stored = world.store.tables["history"].items()
    return [(key, item) for key, item in stored if item["Id"]["S"] != CONTROL_ID]


def _keys(world, item):
    return read_item({name: item[name] for name in world.store.keys["source"]})


def _life(outcome, identifier):
    """An item's true states: the time each began, as the engine stamps it, and the image."""
    world = outcome.world
    began = [
        read_item(item)
        for item in outcome.initial.values()
        if item_id(_keys(world, item)) == identifier
    ]
    states = [(datetime.min.replace(tzinfo=UTC), began[0] if began else None)]
    for record in world.source.log:
        body = record.true["dynamodb"]
        if item_id(read_item(body["Keys"])) == identifier:
            at = datetime.fromtimestamp(body["ApproximateCreationDateTime"], UTC)
            image = body.get("NewImage")
            states.append((at, None if image is None else read_item(image)))
    return states


def _chain(outcome, keys, rows, life):
    """What `verify` would find that nobody has declared."""
    links = [
        Link(
            row.sort_key,
            row.change.event_name,
            row.change.created_at,
            _state(state_before(row)),
            _state(row.change.new_image),
            row.change.event_source_arn,
        )
        for row in rows
    ]
    gap = outcome.result.gap
    for finding in judge_chain(keys, links, Head(_state(life[-1][1]))):
        declared = (
            finding.kind is FindingKind.MISSING_START
            and life[0][1] is not None
            and finding.until <= datetime.fromisoformat(gap["to"])
        )
        if not declared:
            yield f"{finding.kind} at {finding.sort_key}"


def _state(image):
    return None if image is None else digest(image)


def _as_of(keys, rows, life):
    """Answers that are not the truth, at every time there is one for and between."""
    stamps = {at for at, _ in life[1:]} | {row.change.created_at for row in rows}
    moments_ = {at + timedelta(seconds=step) for at in stamps for step in (-0.5, 0, 0.5, 30)}
    horizon = datetime.fromtimestamp(NOON - 1, UTC)
    for at in sorted(moments_):
        if at < horizon:
            continue
        truth = [image for began, image in life if began <= at][-1]
        answer = judge(_evidence(keys, at, rows, life[-1][1], horizon))
        if answer.image != truth:
            yield f"as of {at} it is said to be {answer.certainty} {answer.image}, not {truth}"
        baseline = [row for row in rows if row.change.event_name is SNAPSHOT]
        if answer.certainty is not Certainty.EXACT and (
            life[0][1] is None or (baseline and baseline[0].change.created_at <= at)
        ):
            yield f"as of {at} it is only {answer.certainty}: {answer.reason}"


def _evidence(keys, at, rows, live, horizon):
    """As `RowReader` gathers it."""
    after = [row for row in rows if row.change.created_at > at]
    if len(after) > 1 and after[0].change.event_name is SNAPSHOT:
        is_same = after[1].change.created_at == after[0].change.created_at
        after = after[1:] if is_same else after
    return Evidence(
        keys,
        at,
        now=END,
        horizon=horizon,
        before=next((row for row in reversed(rows) if row.change.created_at <= at), None),
        after=after[0] if after else None,
        live_was_read=not after,
        live=live if not after else None,
        **COMPLETE,
    )
