"""A stretch of time as a drawn axis: positions in percent, labels at round moments. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

# Labels that fit side by side on a page.
_MOST_TICKS = 6
_SHORTEST = timedelta(seconds=10)
_MINUTE = timedelta(minutes=1)
# Labels of the two ends stand there already.
_FREE = (12, 88)
_STEPS = [
    *(timedelta(seconds=n) for n in (1, 2, 5, 10, 15, 30)),
    *(timedelta(minutes=n) for n in (1, 2, 5, 10, 15, 30)),
    *(timedelta(hours=n) for n in (1, 2, 3, 6, 12)),
    *(timedelta(days=n) for n in (1, 2, 5, 10)),
]
_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200)
_DAY = timedelta(days=1)


class Tick(NamedTuple):
    """A label on the axis."""

    at: float
    label: str


@dataclass(frozen=True)
class TimeAxis:
    """The time from `start` to `end`, from left to right."""

    start: datetime
    end: datetime

    @classmethod
    def over(cls, start: datetime, end: datetime) -> "TimeAxis":
        """An axis of at least ten seconds."""
        return cls(start, max(end, start + _SHORTEST))

    def at(self, moment: datetime) -> float:
        """Where a moment is, in percent; one off the axis is at its end."""
        share = (moment - self.start) / (self.end - self.start)
        return round(100 * min(max(share, 0.0), 1.0), 3)

    def ticks(self) -> list[Tick]:
        """Round moments between the ends, few enough to be read."""
        first, last = _FREE
        return [
            Tick(at, label)
            for moment, label in self._moments()
            if first < (at := self.at(moment)) < last
        ]

    def ends(self) -> tuple[str, str]:
        """What to write at both ends."""
        pattern = "%Y-%m-%d" if self.end - self.start > 3 * _DAY else "%Y-%m-%d %H:%M:%S"
        return self.start.strftime(pattern), self.end.strftime(pattern)

    def _moments(self) -> Iterator[tuple[datetime, str]]:
        span = self.end - self.start
        step = next((size for size in _STEPS if span / size <= _MOST_TICKS), None)
        if step is None:
            yield from self._months()
            return
        pattern = "%m-%d" if step >= _DAY else "%H:%M" if step >= _MINUTE else "%H:%M:%S"
        if step < _DAY < span:
            # The same hour comes twice.
            pattern = f"%m-%d {pattern}"
        midnight = self.start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        moment = midnight + ((self.start - midnight) // step) * step
        while moment <= self.end:
            yield moment, moment.strftime(pattern)
            moment += step

    def _months(self) -> Iterator[tuple[datetime, str]]:
        span = (self.end.year - self.start.year) * 12 + self.end.month - self.start.month
        step = next(size for size in _MONTHS if span / size <= _MOST_TICKS)
        number = (self.start.year * 12 + self.start.month - 1) // step * step
        last = self.end.year * 12 + self.end.month - 1
        for month in range(number, last + 1, step):
            moment = datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)
            yield moment, moment.strftime("%Y-%m" if step < 12 else "%Y")  # noqa: PLR2004 - a year
