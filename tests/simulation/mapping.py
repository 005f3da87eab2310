"""The event source mapping, as Lambda's guide documents it, for one consumer.

At least once; in order per item; a parent shard before its children; a batch as a whole when its
invocation fails, from the lowest reported record on when it says which failed; bisected on error;
again and again until the records are too old, then into the failure bucket, records and all.

Source: Lambda Developer Guide, "Using AWS Lambda with Amazon DynamoDB"; FACTS 27-34.
"""

import json
import zlib
from collections import deque
from dataclasses import dataclass, field
from functools import partial

from tests.simulation.scheduler import MS, SECOND
from tests.simulation.source import Record, Shard

_PAYLOAD_BYTES = 6 * 1024 * 1024
"""Lambda quotas: an event has no more."""
_LONGEST_PAUSE = 1800 * SECOND


@dataclass
class Attempt:
    """Records that are delivered together, and how often they were."""

    records: list[Record]
    tries: int = 0
    again: bool = False


@dataclass(eq=False)
class Lane:
    """One shard's records of some items: what is delivered in order.

    With a parallelization factor, a shard has several; an item is always in the same one.
    """

    shard: Shard
    queue: deque[Record] = field(default_factory=deque)
    work: list[Attempt] = field(default_factory=list)
    busy: bool = False


class Mapping:
    """Delivers a stream to one consumer."""

    def __init__(self, world, consumer):
        self.consumer = consumer
        self._world = world
        self._settings = world.scenario.settings
        self._rng = world.rng(f"mapping {consumer}")
        self._lanes = {}
        self._seen = {}

    def arrived(self, shard, record):
        """A record is in the stream."""
        place = zlib.crc32(record.item.encode()) % self._settings.parallel
        lane = self._lanes.setdefault((shard.name, place), Lane(shard))
        lane.queue.append(record)
        self._kick(lane)

    def drained(self, shard):
        """Whether everything of a shard and of its ancestors is dealt with."""
        lanes = [lane for (name, _), lane in self._lanes.items() if name == shard.name]
        return not any(lane.busy or lane.queue for lane in lanes) and (
            shard.parent is None or self.drained(shard.parent)
        )

    def _kick(self, lane):
        parent = lane.shard.parent
        if lane.busy or not lane.queue or (parent and not self.drained(parent)):
            return
        lane.busy = True
        wait = self._settings.window + self._rng.randrange(250 * MS)
        self._world.scheduler.after(wait, partial(self._take, lane))

    def _take(self, lane):
        records = [lane.queue.popleft()]
        room = _PAYLOAD_BYTES - len(records[0].text)
        while lane.queue and len(records) < self._settings.batch_size:
            room -= len(lane.queue[0].text.encode())
            if room < 0:
                break
            records.append(lane.queue.popleft())
        lane.work.append(Attempt(records))
        self._go_on(lane)

    def _go_on(self, lane):
        if lane.work:
            self._deliver(lane)
            return
        lane.busy = False
        for other in list(self._lanes.values()):
            self._kick(other)

    def _deliver(self, lane):
        attempt = lane.work[0]
        oldest = attempt.records[0]
        if self._world.scheduler.now - oldest.at > self._settings.max_age:
            self._give_up(lane.work.pop(0))
            self._go_on(lane)
            return
        attempt.tries += 1
        self._check_order(attempt.records)
        self._world.stats["deliveries"] += len(attempt.records)
        self._world.invoke(
            self.consumer,
            [record.text for record in attempt.records],
            partial(self._finished, lane, attempt),
        )

    def _finished(self, lane, attempt, outcome):
        done = checkpoint([str(record.sequence) for record in attempt.records], outcome)
        if done:
            self._world.acknowledged(self.consumer, attempt.records[:done])
        left = attempt.records[done:]
        lane.work.pop(0)
        if not left:
            if not attempt.again and self._rng.random() < self._settings.duplicates:
                self._world.stats["fault: duplicate"] += 1
                self._world.disturb(record.item for record in attempt.records)
                lane.work.insert(0, Attempt(attempt.records, again=True))
            self._go_on(lane)
            return
        if done or len(left) == 1 or _says_which(outcome):
            lane.work.insert(0, Attempt(left, attempt.tries, attempt.again))
        else:
            middle = len(left) // 2
            self._world.stats["bisected"] += 1
            lane.work[:0] = [
                Attempt(left[:middle], attempt.tries, attempt.again),
                Attempt(left[middle:], attempt.tries, attempt.again),
            ]
        pause = min(_LONGEST_PAUSE, SECOND * 2**attempt.tries)
        self._world.scheduler.after(
            self._rng.randrange(100 * MS, pause), partial(self._go_on, lane)
        )

    def _give_up(self, attempt):
        """Lambda's invocation record of records that were too old."""
        self._check_order(attempt.records)
        numbers = [record.number for record in attempt.records]
        self._world.note(f"{self.consumer} mapping gives up {numbers}")
        self._world.stats["fault: too old"] += len(numbers)
        self._world.store.put_object(
            "failures",
            f"aws/lambda/{self.consumer}/shard/{numbers[0]}-{self._world.scheduler.now}.json",
            failure_object(self.consumer, [record.text for record in attempt.records]),
        )

    def _check_order(self, records):
        """The simulation's own promise: an item's records come in order the first time."""
        for record in records:
            # Two streams are read side by side.
            last = self._seen.get((record.stream, record.item), -1)
            before = [
                one.number
                for one in self._world.source.log[last + 1 : record.number]
                if one.item == record.item and one.stream == record.stream
            ]
            if record.number > last:
                if before:
                    raise AssertionError(f"{record} delivered before {before}")
                self._seen[record.stream, record.item] = record.number


def _says_which(outcome):
    return isinstance(outcome, dict) and bool(outcome.get("batchItemFailures"))


def checkpoint(sequences, outcome):
    """How many records of a batch are dealt with, by what its invocation returned.

    Source: Lambda Developer Guide, "Configuring partial batch response with DynamoDB": what is
    returned empty is success; an empty, missing or unknown identifier fails the whole batch;
    of several the lowest counts, by number.
    """
    if isinstance(outcome, BaseException):
        return 0
    failures = (outcome or {}).get("batchItemFailures") or []
    named = [failure.get("itemIdentifier") for failure in failures]
    if any(name not in sequences for name in named):
        return 0
    return min([sequences.index(min(named, key=int))] if named else [len(sequences)])


def failure_object(consumer, texts):
    """What Lambda puts into an on-failure bucket."""
    return json.dumps(
        {
            "requestContext": {
                "requestId": "0f1e2d3c",
                "functionArn": f"arn:aws:lambda:eu-west-1:123456789012:function:{consumer}",
                "condition": "RecordAgeExceeded",
                "approximateInvokeCount": 1,
            },
            "version": "1.0",
            "payload": {"Records": [json.loads(text) for text in texts]},
        }
    ).encode()
