"""How much changed and when, counted by day and drawn as bars. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from math import ceil
from typing import Protocol

from reports.page.time_axis import Tick, TimeAxis
from stream_core.change import EventName

_DAY = timedelta(days=1)
_WEEK = 7 * _DAY
# More bars than this cannot be told apart.
_MOST_BARS = 120
HEIGHT = 150.0
"""The highest bar, in pixels."""
_GRID_LINES = 4
_WIDEST_BAR = 8.0


class Recorded(Protocol):
    """An entry of the index `ByTime`, as far as it is counted here."""

    @property
    def sort_key(self) -> str:
        """The row's sort key, which begins with its time."""

    @property
    def event_name(self) -> EventName:
        """What happened."""


@dataclass(frozen=True)
class Activity:
    """The changes of a range of time, counted.

    Attributes:
        since, until: the range, both ends included, UTC.
        per_day: changes of each UTC day that had any, by event.
    """

    since: datetime
    until: datetime
    per_day: Mapping[date, Mapping[EventName, int]]

    @classmethod
    def counted(cls, since: datetime, until: datetime, entries: Iterable[Recorded]) -> "Activity":
        """Count entries, in any order; none of them is kept."""
        per_day: dict[date, Counter[EventName]] = {}
        for entry in entries:
            try:
                day = date.fromisoformat(entry.sort_key[: len("2018-03-03")])
            except ValueError:
                # No history row: the findings tell of it.
                continue
            per_day.setdefault(day, Counter())[entry.event_name] += 1
        return cls(since, until, per_day)

    @property
    def totals(self) -> dict[EventName, int]:
        """The changes of the whole range by event, those that never happened left out."""
        total: Counter[EventName] = Counter()
        for counts in self.per_day.values():
            total.update(counts)
        return {event: total[event] for event in EventName if total[event]}


@dataclass(frozen=True)
class Block:
    """The changes of one event in one bar; `top` and `height` in pixels."""

    event: EventName
    count: int
    top: float
    height: float


@dataclass(frozen=True)
class Bar:
    """The changes of a day, a week or a month; `offset` and `width` in percent."""

    since: date
    offset: float
    width: float
    blocks: list[Block]

    @property
    def count(self) -> int:
        """All of its changes."""
        return sum(block.count for block in self.blocks)


@dataclass(frozen=True)
class GridLine:
    """A line across, and how many changes it stands for."""

    top: float
    count: int


@dataclass(frozen=True)
class DrawnActivity:
    """What there is to draw.

    Attributes:
        unit: what a bar stands for: `day`, `week` or `month`.
    """

    axis: TimeAxis
    unit: str
    bars: list[Bar]
    grid: list[GridLine]

    @property
    def ticks(self) -> list[Tick]:
        """Labels between the ends; in a few days there are none but hours, which are no use."""
        return self.axis.ticks() if self.axis.end - self.axis.start > _WEEK else []

    @property
    def first_day(self) -> date:
        """The day at the left end."""
        return self.axis.start.date()

    @property
    def last_day(self) -> date:
        """The day at the right end."""
        return (self.axis.end - _DAY).date()


def draw(activity: Activity) -> DrawnActivity:
    """Lay out the changes of each day, or of each week or month where there are too many days."""
    days = activity.until.date() - activity.since.date()
    unit = "day" if days / _DAY < _MOST_BARS else "week" if days / _WEEK < _MOST_BARS else "month"
    counts: dict[date, Counter[EventName]] = {}
    for day, by_event in activity.per_day.items():
        counts.setdefault(_start_of(unit, day), Counter()).update(by_event)
    first = _start_of(unit, activity.since.date())
    axis = TimeAxis.over(_midnight(first), _midnight(_start_of_next(unit, activity.until.date())))
    most = max((counter.total() for counter in counts.values()), default=0)
    step = _round_step(most)
    top = step * max(ceil(most / step), 1)
    grid = [GridLine(_top(count, top), count) for count in range(0, top + 1, step)]
    bars = [_bar(axis, unit, day, counts[day], top) for day in sorted(counts)]
    return DrawnActivity(axis, unit, bars, grid)


def _bar(axis: TimeAxis, unit: str, day: date, counts: Mapping[EventName, int], top: int) -> Bar:
    start, end = axis.at(_midnight(day)), axis.at(_midnight(_start_of_next(unit, day)))
    blocks, below = [], 0
    for event in EventName:
        if count := counts.get(event, 0):
            upper = _top(below + count, top)
            blocks.append(Block(event, count, upper, round(_top(below, top) - upper, 2)))
            below += count
    width = min((end - start) * 0.85, _WIDEST_BAR)
    return Bar(day, round((start + end - width) / 2, 3), round(width, 3), blocks)


def _top(count: int, whole: int) -> float:
    return round(HEIGHT * (1 - count / whole), 2)


def _round_step(most: int) -> int:
    """1, 2 or 5 and zeros, so that a few steps reach `most`."""
    step = 1
    while step * _GRID_LINES < most:
        step = step * 5 // 2 if str(step)[0] == "2" else step * 2
    return step


def _start_of(unit: str, day: date) -> date:
    if unit == "month":
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if unit == "week" else day


def _start_of_next(unit: str, day: date) -> date:
    first = _start_of(unit, day)
    if unit == "month":
        return (first + timedelta(days=31)).replace(day=1)
    return first + (_WEEK if unit == "week" else _DAY)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
