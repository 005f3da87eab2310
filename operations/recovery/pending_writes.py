"""What runs have announced of items, and no row shows: nothing is planned over it.

A history that stands still shows neither what a run has done to an item, nor what good writers did
after that: the item may look as the bad job left it, and hold a good value.
"""

from dataclasses import dataclass
from datetime import datetime

from operations.deployed_tables import DeployedTables
from operations.execution.pace import Pace
from operations.execution.service_clock import ServiceClock
from operations.execution.since_plan import pending_reason
from reports.access.own_writes import find_own_writes
from reports.states.own_writes import LATEST, NO_OWN_WRITES, OwnWrites
from reports.states.watermark import STREAM_KEEPS, Watermark


@dataclass(frozen=True)
class PendingWrites:
    """Says of each item whether a run was about to write it; may be asked side by side.

    Attributes:
        own: what runs have written.
        recorded_until: what is stamped until then is in the history, if it was made.
        is_measured: whether that is known, and not only how long a stream keeps a change.
    """

    own: OwnWrites = NO_OWN_WRITES
    recorded_until: datetime | None = None
    is_measured: bool = False

    @classmethod
    def find(cls, deployment: DeployedTables, pace: Pace) -> "PendingWrites":
        """What runs have announced; to be asked before the rows and the items that are planned.

        One Query, where there were no runs.
        """
        reader = deployment.reader
        own = find_own_writes(reader)
        if not own.runs:
            return cls()
        clock, table = ServiceClock(pace.machine.now), deployment.source_table
        clock.ask(lambda: deployment.dynamodb.describe_table(TableName=table))
        now = clock.earliest()
        both = (reader.watermark, reader.lives.proven)
        known = [watermark.at for watermark in both if isinstance(watermark, Watermark)]
        # A person's clock, and so what they declare, may be ahead.
        recorded_until = min(max(known), now) if known else now - STREAM_KEEPS
        return cls(own, recorded_until, bool(known))

    def reason(self, identifier: str) -> str | None:
        """Why an item is not to be planned, by its `Id`; None: nothing is in the way.

        Raises:
            IntegrityError: its history is not what was written.
        """
        if self.recorded_until is None:
            return None
        write = self.own.pending(identifier, self.recorded_until)
        if write is None:
            return None
        over_at = write.at + LATEST + STREAM_KEEPS
        return pending_reason(write, None if self.is_measured else over_at)
