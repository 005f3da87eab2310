"""The queue of second looks, and the mapping that invokes their function.

A message comes when its delay is over, again when its visibility times out, and until it is done
with: then to the queue of failures. Source: SQS Developer Guide, "visibility timeout" and
"dead-letter queues"; template.yaml.
"""

import json
from dataclasses import dataclass
from functools import partial

from tests.factories import NOON
from tests.simulation.scheduler import SECOND
from tests.simulation.source import item_name

_VISIBILITY = 1860 * SECOND
_LONGEST_DELAY_S = 900
_MOST_BYTES = 256 * 1024
_MOST_RECEIVES = 4
"""Far fewer than the template has, so that an item that is refused comes to an end."""
_DELAY_TO_THE_SECOND = 2 * SECOND


@dataclass(eq=False)
class _Message:
    """A message in the queue."""

    number: int
    body: str
    receives: int = 0
    is_done: bool = False

    def __post_init__(self):
        content = json.loads(self.body)
        self.items = {item_name(key) for key in content["Keys"]}
        self.due = int((content["Due"] - NOON) * SECOND)


class Looks:
    """The queue, its queue of failures, and its deliveries."""

    def __init__(self, world):
        self._world = world
        self._waiting = []
        self._dead = []

    def send(self, call):
        """Take a message."""
        world, delay_s = self._world, call.body["DelaySeconds"]
        now, longest = world.scheduler.now, world.scenario.settings.timeout
        if not 0 <= delay_s <= _LONGEST_DELAY_S or call.size > _MOST_BYTES:
            world.store.broken.append(f"a message of {call.size} bytes, delayed by {delay_s} s")
        world.stats["looks"] += 1
        message = _Message(world.stats["looks"], call.body["MessageBody"])
        # The bound that docs/consumers.md gives.
        if message.due > now + longest + 16 * 60 * SECOND:
            world.problems.append(f"a look is due {message.due - now} µs after {call.sender}")
        late_by = call.at + delay_s * SECOND - max(call.at, message.due)
        if delay_s < _LONGEST_DELAY_S and late_by > _DELAY_TO_THE_SECOND:
            world.problems.append(f"a look comes {late_by} µs late")
        self._waiting.append(message)
        world.scheduler.after(delay_s * SECOND, partial(self._deliver, message))

    def awaits(self, item):
        """Whether an item is going to be looked at, if only when the failures are redriven."""
        return any(item in message.items for message in self._waiting + self._dead)

    def redrive(self, delay):
        """Move the queue of failures back into the queue."""
        for message in self._dead:
            message.receives = 0
            self._waiting.append(message)
            self._world.scheduler.after(delay, partial(self._deliver, message))
        self._dead = []

    def _deliver(self, message):
        if message.is_done:
            return
        if message.receives == _MOST_RECEIVES:
            self._waiting.remove(message)
            self._dead.append(message)
            return
        message.receives += 1
        self._world.scheduler.after(_VISIBILITY, partial(self._deliver, message))
        name = f"look-{message.number}"
        text = json.dumps({"messageId": name, "eventID": name, "body": message.body})
        finished = partial(self._finished, message, self._world.scheduler.now)
        self._world.invoke("look", [text], finished, message.items)

    def _finished(self, message, since, outcome):
        # SQS takes the receipt of a message that has come again, and deletes it all the same.
        if isinstance(outcome, BaseException) or outcome["batchItemFailures"] or message.is_done:
            return
        message.is_done = True
        if since >= message.due:
            self._world.judge_look(message.items, since)
        (self._waiting if message in self._waiting else self._dead).remove(message)
