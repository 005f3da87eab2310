"""What must hold at the end of a run, whatever happened in it.

Written against the log of the source, with as little of the code under test as can be: rows are
compared as JSON, and only the seal of a row is checked with `HistoryRow`.
"""

import base64
import gzip
import hashlib
import json
import random
from collections import Counter, defaultdict

from stream_core.attribute_values import read_item
from stream_core.history_row import HistoryRow
from stream_core.overflow_object import unpack
from tests.simulation.world import World, canonical

CONSUMERS = ("history", "replica")


class BrokenPromiseError(Exception):
    """A run ended in a state that must not be; names everything that is wrong with it."""

    def __init__(self, problems):
        super().__init__("\n".join(problems))
        self.problems = problems


def check(scenario, *, trace=False):
    """Run a scenario to its end, redrive what it left, and hold all of it against the source.

    Raises:
        BrokenPromiseError: something was lost, doubled, changed or is unaccounted for.
    """
    world = World(scenario, trace=trace)
    problems = world.problems
    world.run()
    for consumer in CONSUMERS:
        problems += _unaccounted(world, consumer) + _needless(world, consumer)
    problems += _rows(world, complete=False)
    before = Counter(len(world.quarantined(consumer)) for consumer in CONSUMERS)
    if not problems:
        world.refusing = False
        world.redrive(_redriven(world))
        problems += _rows(world, complete=True) + _replica(world)
        if before != Counter(len(world.quarantined(consumer)) for consumer in CONSUMERS):
            problems.append("redriving quarantined something")
    problems += world.store.broken
    if problems:
        error = BrokenPromiseError(problems)
        error.world = world
        raise error
    return world


def _unaccounted(world, consumer):
    """Records that are neither stored, nor in quarantine, nor in a failure object."""
    kept = set(world.quarantined(consumer)) | set(given_up_records(world, consumer))
    lost = [record for record in world.source.log if canonical(json.loads(record.text)) not in kept]
    if consumer == "history":
        lost = [one for one in lost if not world.store.rows_of_event[one.true["eventID"]]]
        return [f"history: {record} is lost" for record in lost]
    replica, source = world.store.tables["replica"], world.source.states()
    excused = {one.item for one in world.source.log} - {one.item for one in lost}
    partly = {one.item for one in world.source.log if one not in set(lost)}
    return [
        f"replica: {item} is {replica.get(item)}, not {source.get(item)}"
        for item in _differing(world)
        if item not in excused | partly and not world.looks.awaits(item)
    ]


def _differing(world):
    """Items of the replica that are not what was promised."""
    replica, source = world.store.tables["replica"], world.source.states()
    return [
        item
        for item in sorted(replica.keys() | source.keys())
        if replica.get(item) != source.get(item)
        # Without a look at the source, a late delivery puts an older state back: but no other.
        and not (
            item in world.disturbed and replica.get(item) in world.source.states_since(item, -1)
        )
    ]


def _needless(world, consumer):
    """Records in quarantine that nothing was wrong with, and forgeries that are not."""
    quarantined = set(world.quarantined(consumer))
    poisoned = {one.item for one in world.source.log if one.write.poison}
    wrong = {
        canonical(json.loads(record.text))
        for record in world.source.log
        if not record.whole
        or world.refused_for_good(record)
        or (consumer == "replica" and record.item in poisoned)
    }
    problems = []
    if consumer == "history":
        problems = [f"a forgery passed: {one}" for one in world.forged if one not in quarantined]
        wrong |= set(world.forged)
    return problems + [f"{consumer}: quarantined {one}" for one in sorted(quarantined - wrong)]


def _rows(world, *, complete):
    """What is wrong with the history, row by row and in its order."""
    problems = []
    log = {record.true["eventID"]: record for record in world.source.log}
    order = defaultdict(list)
    for key in sorted(world.store.tables["history"], key=_sort_key):
        row = world.store.tables["history"][key]
        record = log[row["EventId"]["S"]]
        order[record.item].append(record.number)
        problems += [f"{record}: {what}" for what in _row(world, row, record)]
    for item, numbers in order.items():
        expected = [one.number for one in _in_order(world) if one.item == item]
        if complete and numbers != expected:
            problems.append(f"history of {item} is {numbers}, not {expected}")
        if numbers != [number for number in expected if number in numbers]:
            problems.append(f"history of {item} is out of order: {numbers}")
    missing = {one.item for one in world.source.log} - order.keys()
    return problems + [f"no history of {item}" for item in sorted(missing) if complete]


def _in_order(world):
    """The records as their rows sort: by what they tell of their time, then by their number.

    That is the order in which they happened, unless the service's clock goes back.
    """
    return sorted(
        world.source.log,
        key=lambda one: (
            one.true["dynamodb"]["ApproximateCreationDateTime"],
            one.stream,
            one.sequence,
        ),
    )


def _row(world, row, record):
    body = record.true["dynamodb"]
    images = {name: row[name]["M"] for name in ("OldImage", "NewImage") if name in row}
    sealed = HistoryRow.from_item(read_item(row))
    if sealed.overflow is not None:
        if images:
            yield "has images and a pointer to them"
        packed = world.store.buckets["overflow"][sealed.overflow.key][0]
        if sealed.overflow.version_id != world.store.versions("overflow", sealed.overflow.key)[0]:
            yield "does not point to the first version of its object"
        images = json.loads(gzip.decompress(packed))
        sealed = sealed.with_images(*unpack(sealed.overflow, packed))
    if images != {name: body[name] for name in ("OldImage", "NewImage") if name in body}:
        yield f"has images {images}"
    if row["Keys"]["M"] != body["Keys"] or row["EventName"]["S"] != record.true["eventName"]:
        yield "has another key or name"
    if row["SequenceNumber"]["S"] != body["SequenceNumber"]:
        yield "has another sequence number"
    sealed.check()


def _sort_key(key):
    names = json.loads(key)
    return names["Id"]["S"], names["ApproximateCreationDateTime"]["S"]


def _replica(world):
    replica, source = world.store.tables["replica"], world.source.states()
    return [
        f"replica: {item} is {replica.get(item)}, not {source.get(item)} after redriving"
        for item in _differing(world)
    ]


def given_up_records(world, consumer):
    """Records in failure objects, as canonical text."""
    return [
        canonical(record)
        for versions in world.store.buckets["failures"].values()
        for record in _payload(versions[-1], consumer)
    ]


def _payload(body, consumer):
    failure = json.loads(body)
    if not failure["requestContext"]["functionArn"].endswith(f":{consumer}"):
        return []
    return failure["payload"]["Records"]


def _redriven(world):
    """All that was kept aside, twice, in any order and any batches; what was broken is mended."""
    dice: random.Random = world.rng("redrive")
    mended = {canonical(json.loads(one.text)): json.dumps(one.true) for one in world.source.log}
    deliveries = []
    for consumer in CONSUMERS:
        kept = [*world.quarantined(consumer), *given_up_records(world, consumer)]
        texts = [mended[one] for one in kept if one not in world.forged] * 2
        dice.shuffle(texts)
        while texts:
            size = dice.randint(1, 20)
            deliveries.append((consumer, texts[:size]))
            texts = texts[size:]
    world.stats["redriven"] += sum(len(texts) for _, texts in deliveries)
    return deliveries


def fingerprint(world):
    """One number for everything that happened and came of it."""
    state = json.dumps([world.trace, world.store.tables, sorted(world.stats.items())])
    return base64.b16encode(hashlib.sha256(state.encode()).digest()[:8]).decode()
