"""One run: the source changes, the mappings deliver, requests fail, until nothing is left to do."""

import json
import random
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace

from tests.factories import NOON
from tests.simulation.consumers import APPS, FUNCTIONS, in_world
from tests.simulation.faults import Faults
from tests.simulation.looks import Looks
from tests.simulation.mapping import Mapping, checkpoint
from tests.simulation.scheduler import HOUR, MS, SECOND, KilledError, Scheduler
from tests.simulation.source import Record, Source, item_keys, item_name
from tests.simulation.store import Store
from tests.simulation.wire import Wire

_SPARE_MS = 1000
"""A second before its limit at the latest an invocation answers."""
_FRESH = 7 * SECOND
"""An image of five seconds is written as it is, and times are rounded down to the second."""


@dataclass(eq=False)
class Invocation:
    """One run of a handler.

    Attributes:
        dead: its code does not go on.
        over: Lambda waits for it no longer; its code may go on nevertheless.
        records: what it was given.
        items: what its records are about, if it writes the replica.
        settled: of these, the ones that it has answered for.
        is_answered: its handler has come to its end.
    """

    number: int
    consumer: str
    started: int
    deadline: int
    on_outcome: Callable[[object], None]
    dead: bool = False
    over: bool = False
    records: Sequence[Record] = ()
    items: Collection[str] = ()
    settled: Collection[str] = ()
    is_answered: bool = False

    def __str__(self):
        return f"{self.consumer} {self.number}{' (given up)' if self.over else ''}"


class World:
    """Everything there is in one run."""

    def __init__(self, scenario, *, trace=False):
        self.scenario = scenario
        self.stats = Counter()
        self.trace = [] if trace else None
        self.scheduler = Scheduler(self.rng("scheduler"))
        self.source = Source(scenario.settings, self.rng("source"), self.rng("clock"))
        key = tuple(item_keys(scenario.settings.key_shape, 0))
        self.store = Store(
            {
                "source": key,
                "replica": key,
                "history": ("Id", "ApproximateCreationDateTime"),
            },
            self._refuses,
        )
        self.store.tables["source"] = self.source.items
        self.faults = Faults(scenario, self.rng("faults"), self.stats)
        self.wire = Wire(self)
        self.looks = Looks(self)
        self.forged = []
        self.problems = []
        self.refusing = True
        self._refused = {
            item_name(item_keys(scenario.settings.key_shape, number))
            for number in scenario.settings.refused_items
        }
        self._mappings = [Mapping(self, consumer) for consumer in APPS]
        self._dice = self.rng("invocations")
        self._alive = []
        self._last_writes = {}
        self._poisoned = self._refused | {
            item_name(item_keys(scenario.settings.key_shape, write.item))
            for write in scenario.writes
            if write.poison
        }
        self.disturbed = set()
        """Items whose older records came again, where nothing but the records is known."""

    def rng(self, purpose):
        """Dice of their own for each purpose: one use of them does not change another."""
        return random.Random(f"{self.scenario.seed} {purpose}")  # noqa: S311 - dice, not secrets

    def clock(self):
        """The time now, as the records tell it."""
        return datetime.fromtimestamp(NOON, UTC) + timedelta(microseconds=self.scheduler.now)

    def note(self, text):
        """Remember what happened, if a trace is wanted."""
        if self.trace is not None:
            self.trace.append(f"{self.scheduler.now / SECOND:12.4f} s  {text}")

    def run(self):
        """Let everything in the scenario happen, and go on until all is delivered."""
        for write in self.scenario.writes:
            self.scheduler.after(write.at, partial(self._write, write))
        for at, children in self.scenario.splits:
            self.scheduler.after(at, partial(self._split, children))
        for at in self.scenario.remade:
            self.scheduler.after(at, self._remake)
        for stray in self.scenario.strays:
            for consumer in APPS:
                self.scheduler.after(stray.at, partial(self._stray, stray, consumer))
        with in_world(self):
            self.scheduler.run()

    def redrive(self, deliveries):
        """Have records handled outside of any mapping, when the stream has long lost them.

        Args:
            deliveries: pairs of a consumer and its records.
        """
        self.note("redrive, 48 hours later")
        self.looks.redrive(48 * HOUR)
        for consumer, texts in deliveries:
            self.scheduler.after(48 * HOUR, partial(self._insist, consumer, texts))
        with in_world(self):
            self.scheduler.run()

    def invoke(self, consumer, texts, on_outcome, items=()):
        """Invoke a handler; `on_outcome` gets what it returned, or the exception it ended in."""
        self.stats["invocations"] += 1
        timeout = self.scenario.settings.timeout
        invocation = Invocation(
            self.stats["invocations"],
            consumer,
            self.scheduler.now,
            self.scheduler.now + timeout,
            on_outcome,
            items=items,
        )
        numbers = _numbers(texts)
        self.note(f"{invocation} starts with {numbers}")
        if consumer in APPS:
            invocation.records = [self.source.log[int(number)] for number in numbers]
        if consumer == "replica":
            invocation.items = {record.item for record in invocation.records}
        event = {"Records": [json.loads(text) for text in texts]}
        context = SimpleNamespace(get_remaining_time_in_millis=partial(self._left_ms, invocation))
        self._alive.append(invocation)
        self.scheduler.spawn(
            partial(FUNCTIONS[consumer].handler, event, context),
            invocation,
            partial(self._handler_done, invocation),
        )
        self.scheduler.after(timeout, partial(self._time_out, invocation))
        if self.refusing and self._dice.random() < self.scenario.settings.zombies:
            delay = self._dice.randrange(MS, 60 * MS)
            self.scheduler.after(delay, partial(self._take_for_dead, invocation))

    def _end(self, invocation, outcome):
        if not invocation.over:
            self.note(f"{invocation} ends: {outcome!r:.200}")
            invocation.over = True
            invocation.on_outcome(outcome)

    def _handler_done(self, invocation, task):
        self._alive.remove(invocation)
        invocation.is_answered = True
        outcome = task.error or task.result
        if not (invocation.over or invocation.dead) and self._left_ms(invocation) < _SPARE_MS:
            self.problems.append(
                f"{invocation} answers {self._left_ms(invocation)} ms before its end"
            )
        settings = self.scenario.settings
        if invocation.consumer == "replica" and settings.settle and not settings.second_look:
            invocation.settled = _answered_for(invocation.records, outcome)
            for item in sorted(invocation.items - self._poisoned):
                self._judge_rest(item)
        self._end(invocation, outcome)

    def judge_look(self, items, since):
        """What a look found equal is equal, where nobody has written meanwhile."""
        for item in sorted(items):
            at, _ = self._last_writes.get(item, (-1, None))
            state = self.store.tables["replica"].get(item)
            if at < since and state not in self.source.states_since(item, since):
                self.problems.append(
                    f"{self.scheduler.now / SECOND:.4f} s: a look is done with {item}: {state}"
                )

    def _time_out(self, invocation):
        if not invocation.over:
            self.problems.append(f"{invocation} times out")
            invocation.dead = True
            self._end(invocation, TimeoutError("the invocation timed out"))
        elif self.scenario.settings.second_look:
            invocation.dead = True

    def disturb(self, items):
        """Something delivers items' records again when newer ones may have been written."""
        if not self.scenario.settings.settle:
            self.disturbed |= set(items)

    def _take_for_dead(self, invocation):
        if not invocation.over and not invocation.dead:
            self.disturb(invocation.items)
            self.stats["fault: two at once"] += 1
            self._end(invocation, TimeoutError("taken for dead, though it goes on"))

    def crash(self, invocation):
        """The invocation ends here and now, whatever it was doing."""
        invocation.dead = True
        raise KilledError

    def acknowledged(self, consumer, records):
        """The mapping will not deliver some records again: they must be somewhere."""
        for record in records:
            if not self._accounted(consumer, record):
                self.problems.append(
                    f"{self.scheduler.now / SECOND:.4f} s: {consumer} acknowledged {record}, "
                    "which is neither stored nor quarantined"
                )

    def judge_write(self, item, request, sender):
        """Nothing older is written than what the source still held when the sender began."""
        state = request["PutRequest"]["Item"] if "PutRequest" in request else None
        since = sender.started - _FRESH if self.scenario.settings.settle else -1
        if not any(state == one for one in self.source.states_since(item, since)):
            self.problems.append(
                f"{self.scheduler.now / SECOND:.4f} s: {sender} puts {item} back in time: {state}"
            )

        self._last_writes[item] = self.scheduler.now, sender

    def _judge_rest(self, item):
        """Where nobody writes any more, the replica is what the source was after the last write.

        So the end of whatever was delivered late, twice or side by side is never an older state.
        """
        at, writer = self._last_writes.get(item, (0, None))
        if writer is None or item not in writer.settled:
            return  # It has been reported, or its sender has died: it is delivered again.
        if any(item in invocation.items for invocation in self._alive):
            return
        state = self.store.tables["replica"].get(item)
        if state not in self.source.states_since(item, at):
            self.problems.append(
                f"{self.scheduler.now / SECOND:.4f} s: {writer} leaves {item} back in time: {state}"
            )

    def quarantined(self, consumer):
        """The records in a consumer's quarantine, as canonical text."""
        return [
            canonical(json.loads(versions[-1])["Record"])
            for key, versions in self.store.buckets["quarantine"].items()
            if key.startswith(f"quarantine/{consumer}_writer/")
        ]

    def refused_for_good(self, record):
        """Whether no table takes the item of a record."""
        return record.item in self._refused

    def _accounted(self, consumer, record):
        if consumer == "history":
            stored = self.store.rows_of_event[record.true["eventID"]] > 0
        else:
            # Another invocation may be in the midst of writing something older, and repairing it.
            later = any(one.item == record.item for one in self.source.log[record.number + 1 :])
            stored = (
                later
                or any(one.consumer == consumer for one in self._alive)
                or self._in_replica(record.item)
                or record.item in self.disturbed
                or self.looks.awaits(record.item)
            )
        return stored or canonical(json.loads(record.text)) in self.quarantined(consumer)

    def _in_replica(self, item):
        return self.store.tables["replica"].get(item) == self.source.state(item)

    def _left_ms(self, invocation):
        left = (invocation.deadline - self.scheduler.now) // MS
        # What goes on after it was given up goes on as long as it likes; with a second look, whose
        # bound rests on the bound of invocations, until its own end.
        is_endless = invocation.over and not self.scenario.settings.second_look
        return max(left, 30_000) if is_endless else left

    def _refuses(self, table, item):
        if not self.refusing:
            return False
        if table == "history":
            image = item.get("NewImage", {}).get("M", {})
            keys = item.get("Keys")
            return "Poison" in image or (keys and item_name(keys["M"]) in self._refused)
        return "Poison" in item or self.store.key("replica", item) in self._refused

    def _write(self, write):
        change = self.source.write(write, self.scheduler.now)
        if change is None:
            return
        shard, record = change
        self.stats["events"] += 1
        broken = f" malformed: {write.malformed}" if write.malformed else ""
        self.note(f"{record} {record.true['eventName']} {record.item} in {shard.name}{broken}")
        for mapping in self._mappings:
            mapping.arrived(shard, record)

    def _split(self, children):
        shard = self.source.split(children)
        self.stats["splits"] += 1
        self.note(f"{shard.name} closes, goes on in {[child.name for child in shard.children]}")

    def _remake(self):
        self.source.remake()
        self.stats["streams made again"] += 1
        self.note("the stream is switched off and on")

    def _stray(self, stray, consumer):
        dice = self.rng(f"stray {stray} {consumer}")
        log = self.source.log
        records = [dice.choice(log) for _ in range(stray.count)] if log else []
        texts = [record.text for record in records]
        self.stats["fault: late or out of order"] += bool(texts)
        if stray.forged and consumer == "history":
            stored = [
                one for one in log if one.whole and self.store.rows_of_event[one.true["eventID"]]
            ]
            if stored:
                forgery = _forge(dice.choice(stored))
                self.forged.append(canonical(json.loads(forgery)))
                self.stats["fault: forged"] += 1
                texts.append(forgery)
        if texts:
            self._insist(consumer, texts)

    def _insist(self, consumer, texts):
        def finished(outcome):
            sequences = [json.loads(text)["eventID"] for text in texts]
            failed = isinstance(outcome, BaseException) or outcome["batchItemFailures"]
            if failed or checkpoint(sequences, outcome) < len(texts):
                # By halves: several items that are refused alike are refused as a batch for ever.
                middle = len(texts) // 2
                for half in filter(None, (texts[:middle], texts[middle:])):
                    self.scheduler.after(20 * 60 * SECOND, partial(self._insist, consumer, half))

        self.stats["deliveries"] += len(texts)
        self.disturb(self.source.log[int(number)].item for number in _numbers(texts))
        self.invoke(consumer, texts, finished)


def _answered_for(records, outcome):
    """The items of a batch of which nothing will be delivered again."""
    if isinstance(outcome, BaseException):
        return set()
    items = {record.item for record in records}
    if not outcome["batchItemFailures"]:
        return items
    sequences = [record.sequence for record in records]
    if sequences != sorted(sequences):
        return set()
    done = checkpoint(list(map(str, sequences)), outcome)
    return items - {record.item for record in records[done:]}


def canonical(record):
    """A record as text, whatever the order of its fields."""
    return json.dumps(record, sort_keys=True)


def _forge(record):
    forged = json.loads(record.text)
    image = "NewImage" if "NewImage" in forged["dynamodb"] else "OldImage"
    forged["dynamodb"][image]["Forged"] = {"BOOL": True}
    return json.dumps(forged)


def _numbers(texts):
    return [json.loads(text)["eventID"].removeprefix("event-") for text in texts]
