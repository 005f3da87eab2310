"""Who brings records to the tables of the consumers, and keeps account of what is under way."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from operations.deployed_tables import DeployedTables
from operations.execution.pace import USUAL_PATIENCE_S, Pace
from operations.execution.settlement import by_id, settle_all
from operations.execution.standstill import Standstill
from operations.execution.state_file import StateFile
from operations.execution.under_way import UnderWay, UnderWayFile
from operations.redrive.announcement import Announcement
from operations.redrive.contents import Load
from operations.redrive.delivery import Redelivery, to_history, to_replica
from reports.deployment.stack import Consumer
from stream_core.batch import Delivery

# A row is written; to settle an item is to read the source, to write, and to read it again.
_TOUCHES = {Consumer.HISTORY_WRITER: 1, Consumer.REPLICA_WRITER: 3}


class Courier:
    """Brings loads to the consumers' tables."""

    def __init__(
        self,
        deployment: DeployedTables,
        consumers: Collection[Consumer],
        pace: Pace,
        under_way: UnderWay,
    ) -> None:
        self.standstill = standstill = Standstill(pace.machine, pace.wait_s(USUAL_PATIENCE_S))
        self._rate = pace.rate
        self._under_way = under_way
        self._ways: dict[Consumer, Callable[[list[Delivery]], Redelivery]] = {}
        # Made now, so that what is not named is missed before anything is written.
        if Consumer.HISTORY_WRITER in consumers:
            writer = deployment.history_writer
            announcement = Announcement(
                deployment.dynamodb,
                writer.history_table,
                deployment.caller,
                pace,
            )

            def announced(deliveries: list[Delivery]) -> Redelivery:
                announcement.make(deliveries[0].change.event_source_arn)
                return to_history(writer, deliveries, standstill.patience())

            self._ways[Consumer.HISTORY_WRITER] = announced
        self._settler = deployment.settler if Consumer.REPLICA_WRITER in consumers else None
        if (settler := self._settler) is not None:
            self._ways[Consumer.REPLICA_WRITER] = lambda deliveries: to_replica(
                settler, deliveries, standstill.patience, under_way
            )

    def settle_again(self) -> None:
        """Settle what an earlier redrive may have left half-way; what cannot be now stays kept."""
        keys = by_id(self._under_way.remaining)
        if self._settler is not None and keys:
            self._rate.take(_TOUCHES[Consumer.REPLICA_WRITER] * len(keys))
            settle_all(self._settler, keys, self.standstill.patience, self._under_way)

    def deliver(self, group: list[Load]) -> Counter[str]:
        """Bring a group of loads; returns what was written."""
        counts: Counter[str] = Counter()
        for consumer, deliver in self._ways.items():
            deliveries = _for(consumer, group)
            if deliveries:
                self._rate.take(_TOUCHES[consumer] * len(deliveries))
                since = self.standstill.now()
                redelivery = deliver(deliveries)
                if redelivery.is_unsent(deliveries):
                    self.standstill.failed(since)
                else:
                    self.standstill.moved()
                counts += redelivery.counts
                _leave(redelivery, consumer, group)
        return counts


def _for(consumer: Consumer, group: list[Load]) -> list[Delivery]:
    return [
        delivery for load in group for delivery, takers in load.deliveries if consumer in takers
    ]


def _leave(redelivery: Redelivery, consumer: Consumer, group: list[Load]) -> None:
    for load in group:
        for delivery, takers in load.deliveries:
            undelivered = redelivery.failed.get(id(delivery.record))
            if undelivered and consumer in takers:
                load.leave_record(delivery.record, undelivered, consumer)


@contextmanager
def open_courier(
    deployment: DeployedTables,
    consumers: Collection[Consumer],
    state_path: str | Path | None,
    pace: Pace,
) -> Iterator[Courier]:
    """A courier, alone with its state file; the file stays if the work on it is interrupted.

    Args:
        deployment: the tables.
        consumers: whose tables to bring records to.
        state_path: where to keep which items are being settled; None: nowhere.
        pace: how fast, and for how long nothing may succeed.

    Raises:
        RefusedError: a table or a bucket is not named.
        StateFileError: the state file is of another run, or cannot be used.
    """
    file = None
    if state_path is not None and Consumer.REPLICA_WRITER in consumers:
        file = StateFile(state_path, _about(deployment))
    with file.alone() if file else nullcontext():
        kept = UnderWayFile(file)
        yield Courier(deployment, consumers, pace, kept.under_way)
        kept.close()


def _about(deployment: DeployedTables) -> dict[str, object]:
    return {
        "operation": "redrive",
        "source": deployment.source_table,
        "replica": [
            deployment.replica_region,
            deployment.replica_table,
            deployment.replica_role_arn,
        ],
    }
