"""What is known around an instant. Pure."""

from dataclasses import dataclass
from datetime import datetime

from reports.states import reasons
from reports.states.lives import Boundary, Crossing, Lives
from reports.states.provenance import Provenance
from reports.states.row_states import state_before
from reports.states.watermark import NoWatermark, Watermark
from stream_core.attribute_values import Item, same_item
from stream_core.history_row import HistoryRow


@dataclass(frozen=True)
class Evidence:
    """What is known around an instant.

    Attributes:
        before: the newest row stamped at or before the instant.
        after: the oldest row stamped later.
        live_was_read: whether the source table was asked; `live` is its answer.
        now: when the evidence was gathered.
        horizon: when the history began.
        watermark: up to when the history is complete, or why that is not known.
        since: when `before` began to hold, where that is not its own time.
        until: when it ended, where that is not the time of `after`.
        is_disordered: times of changes around the instant contradict their numbers.
        last_by_time: the sort key of the newest row up to the instant, where numbers contradict it.
        lives: which table each stream is of, and which finished backfills vouch for its items.
        provenance: what rows of this history have to be of.
    """

    keys: Item
    at: datetime
    now: datetime
    horizon: datetime
    before: HistoryRow | None = None
    after: HistoryRow | None = None
    live_was_read: bool = False
    live: Item | None = None
    watermark: Watermark | NoWatermark = NoWatermark()  # noqa: RUF009 - it is frozen
    lives: Lives = Lives()  # noqa: RUF009 - it is frozen
    provenance: Provenance = Provenance()  # noqa: RUF009 - it is frozen
    since: datetime | None = None
    until: datetime | None = None
    is_disordered: bool = False
    last_by_time: str | None = None

    @property
    def last_sort_key(self) -> str | None:
        """The sort key of the newest row that was read up to the instant; None: there is none."""
        return self.last_by_time or (self.before.sort_key if self.before else None)

    @property
    def fault(self) -> str | None:
        """Which of the rows is not what was written, in words; None: neither is known not to be."""
        return reasons.fault_beside(self.before, self.after)

    @property
    def fits(self) -> bool:
        """Whether what is known on both sides of the instant is one state, as far as known."""
        if self.after is None and not self.live_was_read:
            return True
        return same_item(self.before.change.new_image if self.before else None, self.following)

    @property
    def later_stream(self) -> str | None:
        """The stream of what comes after the instant: of the next row, or of the source table."""
        if self.after is not None:
            return self.after.change.event_source_arn
        current = self.lives.current
        return None if current is None else current.stream_arn

    @property
    def complete_since(self) -> datetime | None:
        """When the first finished backfill of that stream began; None without one.

        An item that was there then has a row.
        """
        mark = self.lives.mark(self.later_stream)
        return None if mark is None else mark.started

    @property
    def crossing(self) -> Crossing | None:
        """What lies between the row before and what follows it; None: the same stream."""
        is_open = self.after is None and not self.live_was_read
        if self.before is None or is_open or self.fault is not None:
            return None
        change = self.before.change
        return self.lives.crossing(change.event_source_arn, change.created_at, self.later_stream)

    @property
    def following(self) -> Item | None:
        """The item right before what follows: the next row, or the live item."""
        return self.live if self.after is None else state_before(self.after)

    @property
    def ended_by(self) -> datetime | None:
        """By when the item of the row before has ended with its table; None: it is not known."""
        crossing, image = self.crossing, self.before.change.new_image if self.before else None
        if crossing is None or crossing.boundary is Boundary.GAP or image is None:
            return None
        goes_on = same_item(image, self.following)
        return None if crossing.boundary is Boundary.UNCLEAR and goes_on else crossing.over_at

    @property
    def other_table(self) -> str | None:
        """The other table that one of the rows is of, if any is: it tells nothing of this one."""
        rows = (row for row in (self.before, self.after) if row is not None)
        return next(filter(None, map(self.provenance.other_table, rows)), None)

    @property
    def is_of_now(self) -> bool:
        """Whether the live item tells of the present; a later row shows it was read after that."""
        return self.live_was_read and self.at == self.now and self.after is None
