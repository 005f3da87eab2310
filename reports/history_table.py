"""The history table as a person asks it."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from reports.by_time import Entry, changed_rows
from reports.gaps import Gap
from reports.item_questions import ItemQuestions, Key, Time
from reports.progress import Progress, silent
from reports.selection import Selection
from reports.timeline import ItemState
from reports.times import read_time
from reports.verdicts import Verification
from reports.verify import verify
from reports.versions import item_versions, table_versions
from reports.whole_table import TableAsOf, table_states
from stream_core.history_row import HistoryRow
from stream_core.item_id import item_id

if TYPE_CHECKING:
    import pandas as pd


class HistoryTable(ItemQuestions):
    """Questions to one history table, and to the source table where it may be read.

    A key is given by attribute name, as Python or wire values; a time as a `datetime`, ISO 8601
    text, or text such as `2h ago`. Most questions have two forms: one answers with a pandas
    frame, the other streams `HistoryRow`s or `ItemState`s in wire values, for more than fits in
    memory. Every answer rests on rows whose digests were checked.

    Example:
        >>> trail = HistoryTable("EmployeeHistory", source_table="Employee")
        >>> state = trail.as_of({"Id": 1}, "2018-03-03T18:46:00Z")
        >>> state.item, state.certainty

    Raises:
        KeyShapeError, TimeFormatError, PathFormatError: a key, time or path cannot be read.
        TableNotFoundError: there is no such table.
        IntegrityError: a row, or an overflow object it points to, is not what was written.
    """

    def changes(
        self,
        start: Time,
        end: Time = "now",
        where: Selection | None = None,
        key: Key | None = None,
        *,
        coerce: bool = False,
    ) -> "pd.DataFrame":
        """The changes made in a range of time, both ends included, in their order.

        See `frames.changes_frame` for the columns.

        Example:
            >>> closed = Selection(attribute=("status",), old="open", new="closed")
            >>> trail.changes("2026-03-01", "2026-03-31", closed)
        """
        from reports.frames import changes_frame

        where = where or Selection()
        rows = list(self.changed_rows(start, end, where, key))
        return changes_frame(rows, where.actor_attribute, coerce=coerce)

    def changed_rows(  # noqa: PLR0913 - the whole question, as it is asked
        self,
        start: Time,
        end: Time = "now",
        where: Selection | None = None,
        key: Key | None = None,
        *,
        progress: Progress = silent,
        undecided: Callable[[HistoryRow], object] = lambda _row: None,
    ) -> Iterator[HistoryRow]:
        """The rows of the changes made in a range of time, streamed in the order of time.

        Read through the index `ByTime`, one query an hour and shard, side by side; of one item
        (`key`) from the table itself. The index follows the table within a second or so. Changes
        that would be meant if only they named their actor, deletes above all, go to `undecided`.
        """
        since, until = self._range(start, end)
        identifier = None if key is None else item_id(self.key_schema.key_of(key))
        return changed_rows(
            self._reader,
            self._by_time,
            since,
            until,
            where or Selection(),
            identifier=identifier,
            progress=progress,
            undecided=undecided,
        )

    def entries(
        self, start: Time, end: Time = "now", *, progress: Progress = silent
    ) -> Iterator[Entry]:
        """Which rows there are of a range of time, in its order, without reading them."""
        return self._by_time.entries(*self._range(start, end), progress)

    def between(
        self, start: Time, end: Time = "now", key: Key | None = None, *, coerce: bool = False
    ) -> "pd.DataFrame":
        """The versions that were active in a range of time: of one item, or of the whole table.

        See `frames.states_frame` for the columns.
        """
        from reports.frames import states_frame

        return states_frame(list(self.versions(start, end, key)), coerce=coerce)

    def versions(
        self,
        start: Time,
        end: Time = "now",
        key: Key | None = None,
        *,
        progress: Progress = silent,
    ) -> Iterator[ItemState]:
        """The versions active in a range of time, item by item, each item's oldest first."""
        since, until = self._range(start, end)
        now = datetime.now(UTC)
        if key is None:
            return table_versions(self._reader, self._by_time, since, until, now, progress)
        return item_versions(self._reader, self.key_schema.key_of(key), since, until, now)

    def scd2(self, key: Key | None = None, *, coerce: bool = False) -> "pd.DataFrame":
        """All versions as a dimension of type 2, of one item or of the whole table.

        One column an attribute path; see `frames.scd2_frame`.
        """
        from reports.frames import scd2_frame

        states = self.versions(datetime.min.replace(tzinfo=UTC), "now", key)
        return scd2_frame(states, coerce=coerce)

    def table_as_of(
        self, at: Time, *, certain: bool = False, coerce: bool = False
    ) -> "pd.DataFrame":
        """The whole table as it was at an instant, one line an item.

        See `frames.states_frame` for the columns; `frame.attrs` has the `method` and its
        `reason`. Items that may have been there, but are not sure to, are lines with `exists`
        false.
        """
        from reports.frames import states_frame

        answer = self.table_states(at, certain=certain)
        frame = states_frame(list(answer.states), coerce=coerce)
        frame.attrs = {"method": answer.method, "reason": answer.reason}
        return frame

    def table_states(
        self, at: Time, *, certain: bool = False, progress: Progress = silent
    ) -> TableAsOf:
        """The whole table as it was at an instant, streamed.

        Either all of the history is read, or the live table is rewound by the changes made since:
        whichever is cheaper. Memory grows with the number of items, not of changes.

        `certain` has the history read, and refuses anything that is not `exact`.

        Raises:
            UncertainError: an item's state is weaker; also while the states are streamed.
        """
        now = datetime.now(UTC)
        moment = read_time(at, now)
        return table_states(
            self._reader, self._by_time, moment, now, certain=certain, progress=progress
        )

    def verify(
        self,
        keys: Sequence[Key] | None = None,
        gaps: Sequence[Gap] = (),
        *,
        progress: Progress = silent,
    ) -> Verification:
        """Whether the history is intact, and whether it is complete: two verdicts.

        Every row's digest and overflow object is checked, every item's rows are chained (the new
        image of one is the old image of the next), and the last is held against the live item.

        `keys` are the items to look at, by default all of them; known `gaps` (see
        `gaps.read_gaps`) are listed as declared and break no verdict.
        """
        wanted = None if keys is None else [self.key_schema.key_of(key) for key in keys]
        return verify(self._reader, wanted, gaps, progress, time_shards=self._time_shards)

    def _range(self, start: Time, end: Time) -> tuple[datetime, datetime]:
        now = datetime.now(UTC)
        return read_time(start, now), read_time(end, now)
