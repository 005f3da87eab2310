"""Bring a batch of changes to the replica: the last image of each item, then settle."""

from collections import defaultdict
from dataclasses import dataclass

from replica_writer.settle import Settler
from stream_core.batch import Delivery, Outcome, Refusal
from stream_core.retry import Patience


@dataclass(frozen=True)
class ReplicaWriter:
    """Writes changes into one replica table."""

    settler: Settler

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
            {identifier: delivery.change.new_image for identifier, delivery in last.items()},
        )
        outcome = Outcome(errors=settled.errors)
        outcome.counts["ReplicaWrites"] = settled.writes
        outcome.counts["Settled"] = settled.corrections
        outcome.counts["Restless"] = len(settled.restless)
        for identifier in settled.unstored:
            outcome.unstored += [delivery.record for delivery in by_item[identifier]]
        for identifier, error in settled.refused.items():
            outcome.refused.append(Refusal(last[identifier].record, error))
        return outcome
