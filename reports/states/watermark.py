"""Up to when a history is known to be complete, and on what that rests. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from reports.errors import ReportError
from reports.inputs.times import TimeRole, read_time
from stream_core.history_row import time_text

# Stamps are whole seconds: a change stamped at an instant may be made up to a second later.
TICK = timedelta(seconds=1)
# Developer guide, DynamoDB Streams: after a day a record may be removed from the stream.
STREAM_KEEPS = timedelta(hours=24)
_UNITS = (
    (timedelta(days=1), "days"),
    (timedelta(hours=1), "hours"),
    (timedelta(minutes=1), "minutes"),
)
_SECONDS = (timedelta(seconds=1), "seconds")
PROVE = "`itemtrail status --prove --keep`"
"""What keeps a proof."""


class Basis(StrEnum):
    """What the certainty of an exact answer rests on."""

    MEASURED = "measured"
    """The metrics of the deployed stack, and that nothing is kept aside."""
    AGED = "aged"
    """The maximum record age: what is older is written, kept aside, or lost."""
    DECLARED = "declared"
    """The word of the person who asks: `--recorded-until`."""
    COMPARED = "compared"
    """The stream was held against the history record by record: `status --prove`."""
    LIVE = "live"
    """The state now, read consistently from the source table."""


@dataclass(frozen=True)
class Watermark:
    """Up to when every change is in the history.

    Attributes:
        at: every change stamped at or before this moment is recorded, UTC.
        basis: what that rests on.
        reason: the same in words.
    """

    at: datetime
    basis: Basis
    reason: str

    @property
    def last(self) -> datetime:
        """The last moment of which every change is recorded, whose second has ended by then.

        A change is stamped with its second, so that a later one of that second counts as well.
        """
        return self.at.replace(microsecond=0) - timedelta(microseconds=1)

    def covers(self, moment: datetime) -> bool:
        """Whether every change is recorded that is stamped at a moment, or before it."""
        return moment <= self.last

    def doubt(self, now: datetime) -> str:
        """Why a later answer is not exact, in words."""
        fresh = _length(max(now - self.at, TICK))
        more = f"; {PROVE} proves a later moment" if self.basis is Basis.COMPARED else ""
        return (
            f"a change of the last {fresh} may still be on its way: the history "
            f"is known to be complete until {time_text(self.at)} ({self.basis}){more}"
        )


@dataclass(frozen=True)
class NoWatermark:
    """It is not known up to when the history is complete.

    Attributes:
        reason: why not, and what to do about it, in words.
    """

    reason: str = (
        "whether records are on their way or kept aside is not known; give --stack or "
        "--recorded-until"
    )

    def covers(self, moment: datetime) -> bool:  # noqa: ARG002 - it covers no moment
        """Nothing is known to be complete."""
        return False

    def doubt(self, now: datetime) -> str:  # noqa: ARG002 - as `Watermark.doubt`
        """Why no answer about the past is exact, in words."""
        return self.reason


def read_basis(basis: str | None) -> Basis | None:
    """The basis that answers have to have; None: any.

    Raises:
        ReportError: it is none that can be asked for.
    """
    if basis not in (None, Basis.COMPARED):
        raise ReportError(f"basis: {basis!r} cannot be asked for: give 'compared', or leave it out")
    return None if basis is None else Basis.COMPARED


def declared_watermark(until: Any | None, now: datetime) -> Watermark | None:
    """The watermark that a person vouches for; none without a time.

    Args:
        until: a time as `read_time` takes it, a day as its last instant; None: it is not known.
        now: the present.

    Raises:
        TimeFormatError: that is no time.
        ReportError: it lies in the future.
    """
    if until is None:
        return None
    moment = read_time(until, now, role=TimeRole.END, argument="recorded_until")
    if moment > now:
        raise ReportError(
            f"the history cannot be complete until {time_text(moment)}, which lies in the future: "
            "give the time up to which every change is known to be recorded"
        )
    return Watermark(moment, Basis.DECLARED, "declared by the person who asks")


def may_arrive_after(watermark: Watermark | NoWatermark, now: datetime) -> datetime:
    """The moment after which a change may have been made that is not recorded, and not lost either.

    Without a watermark that is what the stream still holds.
    """
    return watermark.at if isinstance(watermark, Watermark) else now - STREAM_KEEPS


def _length(span: timedelta) -> str:
    """A length of time in its largest unit of which there are at least two, rounded up."""
    length, unit = next((entry for entry in _UNITS if span >= 2 * entry[0]), _SECONDS)
    return f"{-(-span // length)} {unit}"
