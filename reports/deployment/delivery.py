"""Up to when a history is complete, by what the deployment tells of its deliveries. Pure.

The rule rests on one assumption: a shard with waiting records is offered to the function, or a
failure or throttle of it is counted, at least every 30 minutes. What a metric says of a minute is
taken as settled after five.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from reports.states.watermark import TICK, Basis, NoWatermark, Watermark
from stream_core.history_row import time_text

QUIET = timedelta(minutes=30)
"""For so long nothing may have failed."""
_SETTLED = timedelta(minutes=5)
_MARGIN = timedelta(seconds=60)
_MINUTE = timedelta(minutes=1)
_UNKNOWN = "nothing tells up to when the history is complete"
FAILURES = (
    "Errors",
    "Throttles",
    "FailedInvokeEventCount",
    "DroppedEventCount",
    "OnFailureDestinationDeliveredEventCount",
)
"""Metrics of which a sum above zero says that a record may be waiting, or is gone."""


@dataclass(frozen=True)
class QuietTime:
    """The time that is looked at: from `begin` to `end`, both whole minutes and included."""

    begin: datetime
    end: datetime

    @classmethod
    def before(cls, now: datetime, timeout: timedelta) -> "QuietTime":
        """The last half hour of which all is known: an invocation is counted when it ends."""
        end = now - max(_SETTLED, timeout + _MARGIN)
        end = end.replace(second=0, microsecond=0)
        return cls(end - QUIET, end)


@dataclass(frozen=True)
class Measured:
    """What the metrics say of the quiet time.

    Attributes:
        was_polled: whether the mapping counts what it polls, and the age of that is known; without
            it no other count is known.
        failures: the sum of each metric of `FAILURES`.
        age: the greatest age of a record when it was sent; zero where none was.
    """

    was_polled: bool = False
    failures: Mapping[str, float] = field(default_factory=dict)
    age: timedelta = timedelta(0)


@dataclass(frozen=True)
class Deliveries:
    """What is known of the deliveries to the history writer.

    Attributes:
        now: the service's time.
        timeout: of the function.
        maximum_age: a record that is older is not tried again; None: there is no such limit.
        state: of the mapping, in Lambda's word.
        modified_at: when the mapping was last changed.
        follows_latest: whether it reads the stream that the table writes now.
        measured: what the metrics say of the quiet time; None where they cannot be read.
        kept_aside: for every object that is kept aside the earliest stamp that a record in
            it may have, None where it does not say.
        unmeasured: why there are no metrics, in words.
    """

    now: datetime
    timeout: timedelta
    maximum_age: timedelta | None
    state: str
    modified_at: datetime
    follows_latest: bool
    measured: Measured | None
    kept_aside: Sequence[datetime | None] = ()
    unmeasured: str = "the mapping counts no events"

    @property
    def quiet_time(self) -> QuietTime:
        """What is looked at."""
        return QuietTime.before(self.now, self.timeout)


def watermark_of(deliveries: Deliveries) -> Watermark | NoWatermark:
    """Up to when every change is recorded, as far as that is known."""
    refusal = _refusal(deliveries)
    if refusal is not None:
        return NoWatermark(refusal)
    failing = _failing(deliveries)
    if failing is None and deliveries.measured is not None:
        behind = deliveries.measured.age + deliveries.timeout + _MARGIN
        return _lowered(
            deliveries,
            deliveries.quiet_time.begin - behind,
            Basis.MEASURED,
            "nothing failed in the half hour before "
            f"{time_text(deliveries.quiet_time.end)}, and no older record waits",
        )
    if deliveries.maximum_age is None:
        return NoWatermark(f"{failing}, and the mapping gives up no record for its age")
    if deliveries.measured is not None and deliveries.measured.age > deliveries.maximum_age:
        return NoWatermark(
            f"{failing}, and a record of {deliveries.measured.age} was sent, though the mapping "
            f"gives up what is older than {deliveries.maximum_age}"
        )
    return _lowered(
        deliveries,
        deliveries.now - deliveries.maximum_age - QUIET,
        Basis.AGED,
        f"{failing}; a record older than {deliveries.maximum_age} is no longer on its way",
    )


def _refusal(deliveries: Deliveries) -> str | None:
    """Why not even the age of records tells anything."""
    if deliveries.state != "Enabled":
        return f"the history writer's mapping is {deliveries.state}: {_UNKNOWN}"
    if not deliveries.follows_latest:
        return f"the history writer does not follow the latest stream of the table: {_UNKNOWN}"
    changed_at, looked_at = deliveries.modified_at, deliveries.quiet_time.begin
    if changed_at >= looked_at:
        known_at = changed_at + (deliveries.now - looked_at) + _MINUTE
        changed = f"the history writer's mapping was changed at {time_text(changed_at)}"
        return f"{changed}: before {time_text(known_at)} {_UNKNOWN}"
    if None in deliveries.kept_aside:
        return f"a record is kept aside that does not say of when it is: {_UNKNOWN}"
    return None


def _failing(deliveries: Deliveries) -> str | None:
    """Why the metrics do not tell that all is well."""
    measured = deliveries.measured
    if measured is None or not measured.was_polled:
        return deliveries.unmeasured
    failed = [name for name in FAILURES if measured.failures.get(name, 0) > 0]
    return f"{' and '.join(failed)} in the last half hour" if failed else None


def _lowered(
    deliveries: Deliveries, until: datetime, basis: Basis, reason: str
) -> Watermark | NoWatermark:
    """The watermark, before the earliest record that is kept aside."""
    earliest = min((at for at in deliveries.kept_aside if at is not None), default=None)
    if earliest is not None and earliest - TICK < until:
        until = earliest - TICK
        reason += "; a record of that time is kept aside: redrive it"
    return Watermark(until, basis, reason)
