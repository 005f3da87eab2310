"""Bring a batch of changes to the replica: what the stream says or the source, then settle."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from replica_writer.settle import Settled, Settler
from stream_core.batch import Delivery, Outcome
from stream_core.change import read_keys
from stream_core.errors import MalformedRecordError
from stream_core.item_id import item_id, key_digest
from stream_core.quarantine import Refusal
from stream_core.retry import Patience

if TYPE_CHECKING:
    from stream_core.attribute_values import Item

# A record of just now was hardly delivered before; times are rounded down to the second.
_FRESH = timedelta(seconds=5)
_MOST_REMEMBERED = 20_000


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class SeenChanges:
    """The newest change of each item that this process has handled, of as many as it remembers."""

    _newest: dict[str, tuple[str, int]] = field(default_factory=dict)

    def is_news(self, delivery: Delivery) -> bool:
        """Whether a change is newer than all of its item that came before it; remembers it."""
        change = delivery.change
        item, number = key_digest(change.item_id), int(change.sequence_number)
        # Numbers of different streams do not compare.
        stream, newest = self._newest.pop(item, (change.event_source_arn, -1))
        is_news = stream == change.event_source_arn and number > newest
        self._newest[item] = change.event_source_arn, number if is_news else max(number, newest)
        if len(self._newest) > _MOST_REMEMBERED:
            del self._newest[next(iter(self._newest))]
        return is_news


@dataclass(frozen=True)
class ReplicaWriter:
    """Writes changes into one replica table.

    Attributes:
        clock: the time now, UTC.
    """

    settler: Settler
    clock: Callable[[], datetime] = _now
    seen: SeenChanges = field(default_factory=SeenChanges)

    def store(self, deliveries: list[Delivery], patience: Patience) -> Outcome:
        """Make every item that changed equal to the source; harmless to repeat, in any order."""
        by_item: dict[str, list[Delivery]] = defaultdict(list)
        for delivery in deliveries:
            by_item[delivery.change.item_id].append(delivery)
        # As integers: sequence numbers differ in length.
        last = {
            identifier: max(group, key=lambda delivery: int(delivery.change.sequence_number))
            for identifier, group in by_item.items()
        }
        settled = self.settler.settle(
            {identifier: delivery.change.keys for identifier, delivery in last.items()},
            patience,
            {
                identifier: delivery.change.new_image
                for identifier, delivery in last.items()
                if self._is_trusted(delivery)
            },
        )
        outcome = _outcome(settled)
        for identifier in settled.unsettled - settled.refused.keys():
            outcome.unstored += [delivery.record for delivery in by_item[identifier]]
        for identifier, error in settled.refused.items():
            outcome.refused.append(Refusal(last[identifier].record, error))
        return outcome

    def store_malformed(self, refusals: list[Refusal], patience: Patience) -> Outcome:
        """Settle the items of records of which nothing can be read but the key.

        A record without a readable key is refused, and every one where the source must not be read.
        """
        by_item: dict[str, list[Refusal]] = defaultdict(list)
        keys: dict[str, Item] = {}
        refused: list[Refusal] = []
        for refusal in refusals:
            try:
                key = read_keys(refusal.record)
            except MalformedRecordError:
                refused.append(refusal)
            else:
                keys[item_id(key)] = key
                by_item[item_id(key)].append(refusal)
        if self.settler.source is None:
            return Outcome(refused=list(refusals))
        settled = self.settler.settle(keys, patience)
        outcome = _outcome(settled)
        outcome.refused += refused
        for identifier in settled.unsettled - settled.refused.keys():
            outcome.unstored += [refusal.record for refusal in by_item[identifier]]
        for identifier, error in settled.refused.items():
            outcome.refused.append(Refusal(by_item[identifier][-1].record, error))
        return outcome

    def _is_trusted(self, delivery: Delivery) -> bool:
        """Whether a change is probably the item's latest, so that its image may be written first.

        An old image would put the replica back in time until the source is read, and for as long as
        it cannot be read.
        """
        is_news = self.seen.is_news(delivery)
        age = self.clock() - delivery.change.created_at
        return self.settler.source is None or (is_news and abs(age) <= _FRESH)


def _outcome(settled: Settled) -> Outcome:
    outcome = Outcome(errors=settled.errors)
    outcome.counts["ReplicaWrites"] = settled.writes
    outcome.counts["Settled"] = settled.corrections
    outcome.counts["Restless"] = len(settled.restless)
    return outcome
