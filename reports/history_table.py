"""The history table as a person asks it."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import boto3
from more_itertools import always_iterable

from reports.access.by_time import IndexEntry
from reports.access.clients import CLIENT_CONFIG, dynamodb_client
from reports.access.faulty_rows import RowFault
from reports.access.machine import Machine
from reports.access.own_writes import find_own_writes
from reports.access.progress import Progress, silent
from reports.access.row_reader import RowReader
from reports.deployment.watermark import WatermarkFinder
from reports.inputs.keys import Key, KeySchema
from reports.inputs.paths import Path, as_path
from reports.inputs.times import Time, TimeRole, read_time
from reports.states.blame import Blame, blame
from reports.states.differences import Difference, own_differences
from reports.states.evidence import Evidence
from reports.states.selection import Selection
from reports.states.spans import timeline
from reports.states.stream_order import in_stream_order
from reports.states.timeline import ItemState, judge, weaker_of
from reports.states.watermark import NoWatermark, Watermark, declared_watermark, read_basis
from reports.table.as_of import TableAsOf, require_exact, table_states
from reports.table.changes import changed_rows
from reports.table.versions import item_versions, table_versions
from reports.verification.gaps import Gap
from reports.verification.verdicts import Verification
from reports.verification.verify import verify
from stream_core.history_row import HistoryRow, sort_key_after, time_text
from stream_core.item_id import item_id

if TYPE_CHECKING:
    import pandas as pd


class HistoryTable:
    """Questions to one history table, and to the source table where it may be read.

    Most questions have two forms: one answers with a pandas frame, the other streams `HistoryRow`s
    or `ItemState`s in wire values, for more than fits in memory. Every answer rests on rows whose
    digests were checked: a row that is not what was written is marked with its `fault`, and no
    state that rests on it is exact. A change that `undo` or `restore` made has its `run`.

    Example:
        >>> trail = HistoryTable("EmployeeHistory", source_table="Employee")
        >>> state = trail.as_of({"Id": 1}, "2018-03-03T18:46:00Z")
        >>> state.item, state.certainty

    Raises:
        KeyShapeError, TimeFormatError, PathFormatError: a key, time or path cannot be read.
        TableNotFoundError: there is no such table.
        IntegrityError: reading is `strict`, and a row or its overflow object was altered.
    """

    def __init__(  # noqa: PLR0913 - all that is asked, and how
        self,
        history_table: str,
        source_table: str | None = None,
        *,
        session: boto3.Session | None = None,
        endpoint_url: str | None = None,
        time_shards: int | None = None,
        stack: str | None = None,
        recorded_until: "Time | None" = None,
        basis: str | None = None,
        overflow_bucket: str | None = None,
        machine: Machine | None = None,
        strict: bool = False,
    ) -> None:
        """Prepare to ask; nothing is sent yet.

        Args:
            history_table: the table's name.
            source_table: the table whose history it is. Without it nothing confirms the newest
                row of an item, and answers that rest on it are `unknown`.
            session: credentials and region, as in boto3; by default AWS_REGION counts too.
            endpoint_url: another endpoint than AWS, as in boto3.
            time_shards: the stack's `TimeShards`: `verify` holds rows against it, no more.
            stack: tells up to when the history is complete; by default the one of the table's tag.
            recorded_until: up to when you know the history to be complete; no stack is asked then.
            basis: `compared`: `exact` rests on a proof that `status --prove --keep` kept, and on
                nothing else but the live item.
            overflow_bucket: the stack's output `OverflowBucketName`, for `verify` alone.
            machine: the clock; the command line has all times of a command count from one moment.
            strict: raise at the first row that is not what was written, instead of marking it.
        """
        self._now = (machine or Machine()).now
        session = session or boto3.Session(region_name=os.environ.get("AWS_REGION") or None)
        declared = declared_watermark(recorded_until, self._now())
        finder = WatermarkFinder(session, endpoint_url, history_table, stack, declared)
        self._reader = RowReader(
            dynamodb_client(session, endpoint_url),
            session.client("s3", endpoint_url=endpoint_url, config=CLIENT_CONFIG),
            history_table,
            source_table,
            time_shards,
            overflow_bucket=overflow_bucket,
            find_watermark=finder.find,
            basis=read_basis(basis),
            strict=strict,
        )

    @property
    def key_schema(self) -> KeySchema:
        """The key of the source table, from the table or, without it, from a history row."""
        return self._reader.key_schema

    @property
    def horizon(self) -> datetime:
        """When the history began, UTC: nothing earlier was recorded."""
        return self._reader.horizon

    @property
    def watermark(self) -> Watermark | NoWatermark:
        """Up to when the history is complete, or why that is not known; asked once."""
        return self._reader.watermark

    @property
    def faults(self) -> list[RowFault]:
        """The rows, met by the questions so far, that are not what was written."""
        return list(self._reader.faults.values())

    def history(self, key: Key, *, coerce: bool = False) -> "pd.DataFrame":
        """Every version of an item, oldest first; see `frames.history_frame`."""
        from reports.frames import history_frame

        return history_frame(list(self.rows(key)), coerce=coerce)

    def rows(self, key: Key) -> Iterator[HistoryRow]:
        """The rows of an item in the order they were made; of an altered one what can be read."""
        rows = self._reader.rows(item_id(self.key_schema.key_of(key)))
        return map(find_own_writes(self._reader).noted, in_stream_order(rows))

    def as_of(self, key: Key, at: Time, *, certain: bool = False) -> ItemState:
        """An item as it was at an instant, changes stamped at that instant included.

        The newest row up to the instant gives its NewImage; without one, the oldest row after it
        gives its OldImage; without any, the live item stands. However long the history is, two
        items are read, and a third only where the live item has just changed or a baseline is
        next to the instant. The state `now` is the live item, whatever is recorded of it.

        Raises:
            UncertainError: a `certain` answer was asked for, and there is only a weaker one.
        """
        state = judge(self._evidence(key, at))
        if certain:
            require_exact(state)
        return state

    def diff(self, key: Key, start: Time, end: Time, *, coerce: bool = False) -> "pd.DataFrame":
        """The net difference of an item between two instants, by attribute path.

        See `frames.difference_frame` for the columns; `frame.attrs` has the `certainty` of the
        weaker of the two states, its `basis` and its `reason`.
        """
        from reports.frames import certainty_of, difference_frame

        old, new, changes = self.differences(key, start, end)
        frame = difference_frame(old.keys, changes, coerce=coerce)
        times = {"from": time_text(old.at), "to": time_text(new.at)}
        frame.attrs = certainty_of(weaker_of(old, new)) | times
        return frame

    def differences(
        self, key: Key, start: Time, end: Time
    ) -> tuple[ItemState, ItemState, list[Difference]]:
        """The states at two instants and what differs between them, in wire values."""
        keys, now = self.key_schema.key_of(key), self._now()
        since = read_time(start, now, role=TimeRole.BEFORE, argument="start")
        until = read_time(end, now, argument="end")
        old, new = (judge(self._reader.evidence(keys, at, now)) for at in (since, until))
        return old, new, own_differences(old.image, new.image)

    def timeline(self, key: Key, *, coerce: bool = False) -> "pd.DataFrame":
        """Every state of an item since the history began, absences too: `frames.states_frame`."""
        from reports.frames import states_frame

        return states_frame(list(self.states(key)), coerce=coerce)

    def states(self, key: Key) -> Iterator[ItemState]:
        """The states of an item in order, also that between the horizon and its first row."""
        _ = self._reader.lives
        newest = self._evidence(key, "now")
        until = newest.last_sort_key
        rows = self._reader.rows(item_id(newest.keys), until=until) if until else ()
        return map(find_own_writes(self._reader).noted_state, timeline(rows, newest))

    def blame(
        self,
        key: Key,
        at: Time = "now",
        *,
        actor_attribute: Path | str | None = None,
        coerce: bool = False,
    ) -> "pd.DataFrame":
        """For every attribute path its value, since when, by which change and by whom.

        `actor_attribute` is the path in which the application names who writes, such as
        `updated_by`. See `frames.blame_frame` for the columns; `frame.attrs` has the `certainty`,
        the `basis` and the `reason` of the state itself.
        """
        from reports.frames import blame_frame, certainty_of

        state, blames = self.blames(key, at, actor_attribute=actor_attribute)
        frame = blame_frame(state.keys, blames, coerce=coerce)
        frame.attrs = certainty_of(state) | {"at": time_text(state.at)}
        return frame

    def blames(
        self, key: Key, at: Time = "now", *, actor_attribute: Path | str | None = None
    ) -> tuple[ItemState, list[Blame]]:
        """The state at an instant, and the change behind each of its values, in wire form."""
        named_by = as_path(actor_attribute, "actor_attribute")
        _ = self._reader.lives  # vouches for rows that are read after it
        evidence, noted = self._evidence(key, at), find_own_writes(self._reader).noted
        identifier, until = item_id(evidence.keys), sort_key_after(evidence.at)
        rows = self._reader.rows(identifier, until=until, newest_first=True)
        newest_first = in_stream_order(map(noted, rows), newest_first=True)
        return judge(evidence), blame(evidence, newest_first, named_by)

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

        See `frames.changes_frame` for the columns, and `frames.completeness_of` for `frame.attrs`:
        up to when no change is missing, and why one may be later in the range.
        """
        from reports.frames import changes_frame, completeness_of

        where, now = where or Selection(), self._now()
        since, until = self._range(start, end, now)
        # It speaks of the rows that are read after it was asked.
        completeness = completeness_of(self.watermark, until, now)
        rows = list(self.changed_rows(since, until, where, key))
        frame = changes_frame(rows, where.actor_path, coerce=coerce)
        frame.attrs = {"since": time_text(since), "until": time_text(until)} | completeness
        return frame

    def changed_rows(  # noqa: PLR0913 - the whole question, as it is asked
        self,
        start: Time,
        end: Time = "now",
        where: Selection | None = None,
        key: Key | None = None,
        *,
        progress: Progress = silent,
        undecided: Callable[[HistoryRow], object] = lambda _row: None,
        examined: Callable[[HistoryRow], object] = lambda _row: None,
    ) -> Iterator[HistoryRow]:
        """The rows of the changes made in a range of time, streamed in the order of time.

        Read through the index `ByTime`, which follows the table within a second or so; of one
        item (`key`) from the table itself. Changes that would be meant if only they named their
        actor, deletes above all, go to `undecided`; all that are read go to `examined`.
        """
        since, until = self._range(start, end, self._now())
        identifier = None if key is None else item_id(self.key_schema.key_of(key))
        return changed_rows(
            self._reader,
            since,
            until,
            where or Selection(),
            identifier=identifier,
            progress=progress,
            undecided=undecided,
            examined=examined,
        )

    def entries(
        self, start: Time, end: Time = "now", *, progress: Progress = silent
    ) -> Iterator[IndexEntry]:
        """Which rows there are of a range of time, in its order, without reading them."""
        return self._reader.by_time.entries(*self._range(start, end, self._now()), progress)

    def between(
        self, start: Time, end: Time = "now", key: Key | None = None, *, coerce: bool = False
    ) -> "pd.DataFrame":
        """The versions active in a range, of one item or of all; see `frames.states_frame`."""
        from reports.frames import states_frame

        since, until = self._range(start, end, self._now())
        frame = states_frame(list(self.versions(since, until, key)), coerce=coerce)
        frame.attrs = {"since": time_text(since), "until": time_text(until)}
        return frame

    def versions(
        self, start: Time, end: Time = "now", key: Key | None = None, *, progress: Progress = silent
    ) -> Iterator[ItemState]:
        """The versions active in a range of time, item by item, each item's oldest first."""
        now = self._now()
        since, until = self._range(start, end, now)
        if key is None:
            return table_versions(self._reader, since, until, now, progress)
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
        at = time_text(answer.at)
        frame.attrs = {"at": at, "method": answer.method, "reason": answer.reason}
        return frame

    def table_states(
        self, at: Time, *, certain: bool = False, progress: Progress = silent
    ) -> TableAsOf:
        """The whole table as it was at an instant, streamed.

        Either all of the history is read, or the live table is rewound by the changes made since:
        whichever is cheaper. Memory grows with the number of items, not of changes. `certain` has
        the history read, and refuses anything that is not `exact`.

        Raises:
            UncertainError: an item's state is weaker; also while the states are streamed.
        """
        now = self._now()
        moment = read_time(at, now, argument="at")
        return table_states(self._reader, moment, now, certain=certain, progress=progress)

    def findings(
        self, keys: Iterable[Key] | Key | None = None, gaps: Sequence[Gap] = ()
    ) -> "pd.DataFrame":
        """What `verify` finds, one line a finding.

        See `frames.findings_frame` for the columns; `frame.attrs` has both verdicts.
        """
        from reports.frames import findings_frame

        verification = self.verify(keys, gaps)
        frame = findings_frame(verification.findings)
        frame.attrs = {name: verdict.value for name, (verdict, _) in verification.verdicts.items()}
        return frame

    def verify(
        self,
        keys: Iterable[Key] | Key | None = None,
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
        # A key that stands for a list of one would be taken apart.
        listed = always_iterable(keys, base_type=(str, bytes, Mapping))
        wanted = None if keys is None else list(map(self.key_schema.key_of, listed))
        return verify(self._reader, wanted, gaps, progress)

    def _evidence(self, key: Key, at: Time) -> Evidence:
        now = self._now()
        moment = read_time(at, now, argument="at")
        return self._reader.evidence(self.key_schema.key_of(key), moment, now)

    def _range(self, start: Time, end: Time, now: datetime) -> tuple[datetime, datetime]:
        return (
            read_time(start, now, role=TimeRole.START, argument="start"),
            read_time(end, now, role=TimeRole.END, argument="end"),
        )
