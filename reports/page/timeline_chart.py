"""The life of an item as shapes on a time axis, in percent of its width. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from reports.page.time_axis import TimeAxis
from reports.states.timeline import Certainty, ItemState
from stream_core.history_row import HistoryRow

# Marks nearer than this would cover each other.
_APART = 2.4


@dataclass(frozen=True)
class Stretch:
    """A time in which the item was there, or was not, as far as is known.

    Attributes:
        offset, width: in percent.
        kind: `present`, `absent`, or `unknown` where nothing vouches for either.
        is_gap: within it a change is missing.
    """

    offset: float
    width: float
    kind: str
    is_gap: bool
    since: datetime | None
    until: datetime | None
    reason: str


@dataclass(frozen=True)
class Mark:
    """One or several changes at one place.

    Attributes:
        at: in percent.
        count: how many changes.
        kind: the event's name in lower case; `many` for several changes that are too near each
            other to be drawn apart, `second` where some of them are of one second.
    """

    at: float
    count: int
    kind: str
    since: datetime
    until: datetime


@dataclass
class _Cluster:
    """Changes that are drawn as one mark."""

    at: float
    rows: list[HistoryRow] = field(default_factory=list)

    def mark(self) -> Mark:
        moments = [row.change.created_at for row in self.rows]
        kind = "many" if len(set(moments)) == len(moments) else "second"
        if len(self.rows) == 1:
            kind = self.rows[0].change.event_name.value.lower()
        return Mark(self.at, len(self.rows), kind, moments[0], moments[-1])


@dataclass(frozen=True)
class DrawnTimeline:
    """What there is to draw."""

    axis: TimeAxis
    stretches: list[Stretch]
    marks: list[Mark]
    asked_at: float | None

    @property
    def gaps(self) -> list[Stretch]:
        """The stretches in which a change is missing."""
        return [stretch for stretch in self.stretches if stretch.is_gap]


def draw(
    states: Sequence[ItemState],
    rows: Iterable[HistoryRow],
    horizon: datetime,
    until: datetime,
    instant: datetime | None,
) -> DrawnTimeline:
    """Lay out the states of an item.

    Args:
        states: its states in order, the one before the first row included.
        rows: its rows, oldest first.
        horizon: when the history began.
        until: when they were read: nothing is drawn after it.
        instant: that was asked for, where it is another one.
    """
    starts = [state.valid_from for state in states if state.valid_from is not None]
    axis = TimeAxis.over(min([horizon, *starts]), until)
    return DrawnTimeline(
        axis,
        list(_stretches(axis, states, until)),
        [cluster.mark() for cluster in _clusters(axis, rows)],
        None if instant is None else axis.at(instant),
    )


def _stretches(axis: TimeAxis, states: Sequence[ItemState], until: datetime) -> Iterator[Stretch]:
    # States of one second last no time by the clock: the marks tell of them. Of a live item that
    # no row explains it is not known since when it is so: there is only the gap before it.
    lasting = [state for state in states if state.valid_from not in (None, state.valid_to)]
    for _, group in groupby(
        lasting, key=lambda state: (_kind(state), state.is_contradicted and id(state))
    ):
        same = list(group)
        first, last = same[0], same[-1]
        start = axis.at(first.valid_from or axis.start)
        end = axis.at(last.valid_to or until)
        yield Stretch(
            start,
            round(end - start, 3),
            _kind(first),
            first.is_contradicted,
            first.valid_from,
            last.valid_to,
            first.reason,
        )


def _kind(state: ItemState) -> str:
    if state.certainty is Certainty.UNKNOWN:
        return "unknown"
    return "present" if state.exists else "absent"


def _clusters(axis: TimeAxis, rows: Iterable[HistoryRow]) -> Iterator[_Cluster]:
    cluster: _Cluster | None = None
    for row in rows:
        at = axis.at(row.change.created_at)
        if cluster is None or at - cluster.at > _APART:
            if cluster is not None:
                yield cluster
            cluster = _Cluster(at)
        cluster.rows.append(row)
    if cluster is not None:
        yield cluster
