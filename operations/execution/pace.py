"""How fast an operation works, how long it waits, to whom it reports, and by which clock."""

from dataclasses import dataclass, field

from operations.execution.rate import Rate
from reports.access.machine import Machine
from reports.access.progress import Progress, silent
from stream_core.retry import Patience

# Minutes of throttling are over after that, or last for hours.
USUAL_PATIENCE_S = 60.0
_SHARE_OF_WAITED = 0.2


def pause_s(waited_s: float, least_s: float) -> float:
    """How long to pause before a row is looked for again: the longer, the longer it was waited."""
    return max(least_s, waited_s * _SHARE_OF_WAITED)


@dataclass
class Pace:
    """The pace of an operation.

    Attributes:
        per_second: no more items a second than this; None: no limit.
        patience_s: how long to wait for a table that is throttled or out of reach and, in a
            comparison, for a difference to pass; None: as long as suits the operation.
        progress: called with what is being done, and how far it is.
        machine: the machine to run on.
        rate: the budget that all threads of the operation share.

    Raises:
        RefusedError: the rate is not greater than zero.
    """

    per_second: float | None = None
    patience_s: float | None = None
    progress: Progress = silent
    machine: Machine = field(default_factory=Machine)
    rate: Rate = field(init=False)

    def __post_init__(self) -> None:
        self.rate = Rate(self.per_second, self.machine.clock, self.machine.sleep)

    def wait_s(self, usual_s: float) -> float:
        """How long to wait: the patience asked for, else so long as is usual."""
        return usual_s if self.patience_s is None else self.patience_s

    def patience(self, usual_s: float = USUAL_PATIENCE_S) -> Patience:
        """Patience that begins now."""
        return self.machine.patience(self.wait_s(usual_s))

    def at_once(self, most: int) -> int:
        """How many items are read by one call: what fits into it, but no more than a second's."""
        return most if self.per_second is None else max(1, min(most, int(self.per_second)))
