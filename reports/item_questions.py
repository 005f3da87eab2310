"""Questions about one item of a history table."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import boto3

from reports.blame import Blame, blame
from reports.by_time import ByTime
from reports.clients import CLIENT_CONFIG, dynamodb_client
from reports.differences import Difference, differences
from reports.errors import UncertainError
from reports.keys import KeySchema, key_text
from reports.paths import Path
from reports.row_reader import RowReader
from reports.timeline import Certainty, ItemState, judge, timeline, weaker_of
from reports.times import read_time
from stream_core.history_row import HistoryRow, sort_key_after, time_text
from stream_core.item_id import item_id

if TYPE_CHECKING:
    import pandas as pd

Key: TypeAlias = Mapping[str, Any]
"""An item's key by attribute name, as Python or wire values."""
Time: TypeAlias = str | datetime
"""A moment, ISO 8601 text, or text such as `2h ago`."""


class ItemQuestions:
    """What can be asked about one item; see `HistoryTable`."""

    def __init__(
        self,
        history_table: str,
        source_table: str | None = None,
        *,
        session: boto3.Session | None = None,
        endpoint_url: str | None = None,
        time_shards: int | None = None,
    ) -> None:
        """Prepare to ask; nothing is sent yet.

        Args:
            history_table: the table's name.
            source_table: the table whose history it is. Without it nothing confirms the newest
                row of an item, and answers that rest on it are `unknown`.
            session: credentials and region, as in boto3.
            endpoint_url: another endpoint than AWS, as in boto3.
            time_shards: partitions an hour of the index `ByTime`, the stack's parameter
                `TimeShards`. Without it all 100 that there can be are read.
        """
        session = session or boto3.Session()
        self._reader = RowReader(
            dynamodb_client(session, endpoint_url),
            session.client("s3", endpoint_url=endpoint_url, config=CLIENT_CONFIG),
            history_table,
            source_table,
        )
        self._time_shards = time_shards
        self._by_time = ByTime(self._reader, time_shards)

    @property
    def key_schema(self) -> KeySchema:
        """The key of the source table, from the table or, without it, from a history row."""
        return self._reader.key_schema

    @property
    def horizon(self) -> datetime:
        """When the history began, UTC: nothing earlier was recorded."""
        return self._reader.horizon

    def history(self, key: Key, *, coerce: bool = False) -> "pd.DataFrame":
        """Every version of an item, oldest first; see `frames.history_frame`."""
        from reports.frames import history_frame

        return history_frame(list(self.rows(key)), coerce=coerce)

    def rows(self, key: Key) -> Iterator[HistoryRow]:
        """The rows of an item, oldest first, images loaded and digests checked."""
        return self._reader.rows(item_id(self.key_schema.key_of(key)))

    def as_of(self, key: Key, at: Time, *, certain: bool = False) -> ItemState:
        """An item as it was at an instant, changes stamped at that instant included.

        The newest row up to the instant gives its NewImage; without one, the oldest row after it
        gives its OldImage; without any, the live item stands. However long the history is, two
        items are read, and a third only where the live item has just changed or a baseline is
        next to the instant.

        Raises:
            UncertainError: a `certain` answer was asked for, and there is only a weaker one.
        """
        now = datetime.now(UTC)
        moment = read_time(at, now)
        state = judge(self._reader.evidence(self.key_schema.key_of(key), moment, now))
        if certain and state.certainty is not Certainty.EXACT:
            raise UncertainError(
                f"the state of {key_text(state.keys)} as of {time_text(moment)} is only "
                f"{state.certainty}: {state.reason}"
            )
        return state

    def diff(self, key: Key, start: Time, end: Time, *, coerce: bool = False) -> "pd.DataFrame":
        """The net difference of an item between two instants, by attribute path.

        See `frames.difference_frame` for the columns; `frame.attrs` has the `certainty` of the
        weaker of the two states and its `reason`.
        """
        from reports.frames import difference_frame

        old, new, found = self.differences(key, start, end)
        frame = difference_frame(found, coerce=coerce)
        weaker = weaker_of(old, new)
        frame.attrs = {"certainty": weaker.certainty.value, "reason": weaker.reason}
        return frame

    def differences(
        self, key: Key, start: Time, end: Time
    ) -> tuple[ItemState, ItemState, list[Difference]]:
        """The states at two instants and what differs between them, in wire values."""
        old, new = self.as_of(key, start), self.as_of(key, end)
        return old, new, differences(old.image, new.image)

    def timeline(self, key: Key, *, coerce: bool = False) -> "pd.DataFrame":
        """What the history means: every state of an item, how long it lasted, and how sure it is.

        The time before the first row is a state too, as is an absence; see `frames.states_frame`.
        """
        from reports.frames import states_frame

        return states_frame(list(self.states(key)), coerce=coerce)

    def states(self, key: Key) -> Iterator[ItemState]:
        """The states of an item in order, also that before its first row."""
        keys, now = self.key_schema.key_of(key), datetime.now(UTC)
        newest = self._reader.evidence(keys, now, now)
        until = newest.before.sort_key if newest.before else " "
        return timeline(self._reader.rows(item_id(keys), until=until), newest)

    def blame(
        self,
        key: Key,
        at: Time = "now",
        *,
        actor_attribute: Path | None = None,
        coerce: bool = False,
    ) -> "pd.DataFrame":
        """For every attribute path its value, since when, by which change and by whom.

        `actor_attribute` is the path in which the application names who writes. See
        `frames.blame_frame` for the columns; `frame.attrs` has the `certainty` and `reason` of
        the state itself.

        Example:
            >>> trail.blame({"Id": 42}, actor_attribute=("UpdatedBy",))
        """
        from reports.frames import blame_frame

        state, found = self.blames(key, at, actor_attribute=actor_attribute)
        frame = blame_frame(found, coerce=coerce)
        frame.attrs = {"certainty": state.certainty.value, "reason": state.reason}
        return frame

    def blames(
        self, key: Key, at: Time = "now", *, actor_attribute: Path | None = None
    ) -> tuple[ItemState, list[Blame]]:
        """The state at an instant, and the change behind each of its values, in wire form."""
        state = self.as_of(key, at)
        rows = self._reader.rows(
            item_id(state.keys), until=sort_key_after(state.at), newest_first=True
        )
        return state, blame(state, rows, actor_attribute)
