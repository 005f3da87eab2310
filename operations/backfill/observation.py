"""When an item was what was read of it, as exactly as changes are stamped. Pure.

A baseline takes its place among the changes of its item by its time alone, and has to be where it
shows what it should: not after a change it does not know, nor before one it knows. Changes of its
own second are no matter (it sorts first in it, and readers know that it shows some moment of it).
But a request may be under way when the second turns, and then it is not known in which of the two
the item was read: so it is read once more. Where every read takes that long, two that agree have
to do: what they show was so at the moment between them, unless it was changed and changed back.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from stream_core.attribute_values import Item, same_item

# A read that takes a tenth of a second is within one nine times of ten.
_READS = 8


@dataclass(frozen=True, slots=True)
class Observation:
    """An item as it was at some moment between two.

    Attributes:
        keys: its key.
        item: the item, None where there was none.
        since: when the read was sent.
        until: when its answer was there.
    """

    keys: Item
    item: Item | None
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Dated:
    """An item as it was at a time.

    Attributes:
        at: the time, as the engine stamps changes.
    """

    keys: Item
    item: Item
    at: datetime


@dataclass
class DatedItems:
    """What became of some observations, by id.

    Attributes:
        tick: how exactly the engine stamps changes.
        dated: those whose time is known.
        gone: items that were deleted before it was.
        restless: items that had changed each time they were read.
    """

    tick: timedelta
    dated: dict[str, Dated] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    restless: set[str] = field(default_factory=set)

    def take(self, identifier: str, observation: Observation) -> bool:
        """Date an item by one observation; False: it may be of one second or another."""
        latest = stamp(observation.until, self.tick)
        if stamp(observation.since, self.tick) != latest or observation.item is None:
            return False
        self.dated[identifier] = Dated(observation.keys, observation.item, latest)
        return True

    def take_later(self, identifier: str, observation: Observation) -> bool:
        """Date an item by a later observation, by which it may have been deleted."""
        if observation.item is None:
            self.gone.add(identifier)
            return True
        return self.take(identifier, observation)

    def take_both(self, identifier: str, before: Observation, later: Observation) -> None:
        """Make do with the last two observations."""
        if later.item is None or not same_item(before.item, later.item):
            self.restless.add(identifier)
        else:
            moment = stamp(before.until, self.tick)
            self.dated[identifier] = Dated(later.keys, later.item, moment)


def date(
    observations: Mapping[str, Observation],
    look_again: Callable[[Mapping[str, Observation]], Mapping[str, Observation]],
    tick: timedelta,
) -> DatedItems:
    """Find a time for each observation of an item that was there; most need no second look.

    Args:
        observations: the observations by id.
        look_again: reads some of the items once more, surely later than before.
        tick: how exactly the engine stamps changes.
    """
    dates = DatedItems(tick)
    before: Mapping[str, Observation] = {}
    undated = {
        identifier: observation
        for identifier, observation in observations.items()
        if not dates.take(identifier, observation)
    }
    for _ in range(_READS):
        if not undated:
            return dates
        before = undated
        undated = {
            identifier: later
            for identifier, later in look_again(before).items()
            if not dates.take_later(identifier, later)
        }
    for identifier, later in undated.items():
        dates.take_both(identifier, before[identifier], later)
    return dates


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def tick_of(table_arn: str) -> timedelta:
    """How exactly the engine behind a table stamps changes.

    API reference, StreamRecord: to the second. DynamoDB Local, whose region is `ddblocal`, does it
    to the minute: within it a baseline stamped to the second would sort after later changes.
    """
    _, _, _, region, *_ = [*table_arn.split(":"), "", "", "", ""]
    return timedelta(minutes=1) if region == "ddblocal" else timedelta(seconds=1)


def stamp(moment: datetime, tick: timedelta) -> datetime:
    """A time rounded down, as the engine rounds the times of changes."""
    return moment - (moment - _EPOCH) % tick
