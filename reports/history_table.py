"""The history table as a person asks it."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import boto3
import pandas as pd

from reports.clients import CLIENT_CONFIG, dynamodb_client
from reports.differences import Difference, differences
from reports.errors import UncertainError
from reports.frames import difference_frame, history_frame
from reports.keys import KeySchema, key_text
from reports.row_reader import RowReader
from reports.timeline import Certainty, ItemState, judge, weaker_of
from reports.times import read_time
from stream_core.history_row import HistoryRow, time_text
from stream_core.item_id import item_id


class HistoryTable:
    """Questions to one history table, and to the source table where it may be read.

    Example:
        >>> trail = HistoryTable("EmployeeHistory", source_table="Employee")
        >>> state = trail.as_of({"Id": 1}, "2018-03-03T18:46:00Z")
        >>> state.item, state.certainty
    """

    def __init__(
        self,
        history_table: str,
        source_table: str | None = None,
        *,
        session: boto3.Session | None = None,
        endpoint_url: str | None = None,
    ) -> None:
        """Prepare to ask; nothing is sent yet.

        Args:
            history_table: the table's name.
            source_table: the table whose history it is. Without it nothing confirms the newest
                row of an item, and answers that rest on it are `unknown`.
            session: credentials and region, as in boto3.
            endpoint_url: another endpoint than AWS, as in boto3.
        """
        session = session or boto3.Session()
        self._reader = RowReader(
            dynamodb_client(session, endpoint_url),
            session.client("s3", endpoint_url=endpoint_url, config=CLIENT_CONFIG),
            history_table,
            source_table,
        )

    @property
    def key_schema(self) -> KeySchema:
        """The key of the source table, from the table or, without it, from a history row.

        Raises:
            TableNotFoundError: there is no such table.
            ReportError: the history is empty and there is no source table to ask.
        """
        return self._reader.key_schema

    @property
    def horizon(self) -> datetime:
        """When the history began, UTC: nothing earlier was recorded.

        Raises:
            TableNotFoundError: there is no such table, or it is no history table.
        """
        return self._reader.horizon

    def history(self, key: Mapping[str, Any]) -> pd.DataFrame:
        """Every version of an item, oldest first; see `frames.history_frame` for the columns.

        Args:
            key: the item's key by attribute name, as Python or wire values.

        Raises:
            KeyShapeError: that is no key of the table.
            IntegrityError: a row, or an overflow object it points to, is not what was written.
        """
        return history_frame(list(self.rows(key)))

    def rows(self, key: Mapping[str, Any]) -> Iterator[HistoryRow]:
        """The rows of an item, oldest first, images loaded and digests checked."""
        return self._reader.rows(item_id(self.key_schema.key_of(key)))

    def as_of(
        self, key: Mapping[str, Any], at: str | datetime, *, certain: bool = False
    ) -> ItemState:
        """An item as it was at an instant, changes stamped at that instant included.

        The newest row up to the instant gives its NewImage; without one, the oldest row after it
        gives its OldImage; without any, the live item stands. However long the history is, two
        items are read, and a third only where the live item has just changed.

        Args:
            key: the item's key by attribute name, as Python or wire values.
            at: a moment, ISO 8601 text, or text such as `2h ago`.
            certain: refuse an answer that is not `exact`.

        Raises:
            UncertainError: `certain` was asked for, and the answer is weaker.
            KeyShapeError, TimeFormatError: the key or the time cannot be read.
            IntegrityError: a row, or an overflow object it points to, is not what was written.
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

    def diff(
        self, key: Mapping[str, Any], start: str | datetime, end: str | datetime
    ) -> pd.DataFrame:
        """The net difference of an item between two instants, by attribute path.

        See `frames.difference_frame` for the columns; `frame.attrs` has the `certainty` of the
        weaker of the two states and its `reason`.
        """
        old, new, found = self.differences(key, start, end)
        frame = difference_frame(found)
        weaker = weaker_of(old, new)
        frame.attrs = {"certainty": weaker.certainty.value, "reason": weaker.reason}
        return frame

    def differences(
        self, key: Mapping[str, Any], start: str | datetime, end: str | datetime
    ) -> tuple[ItemState, ItemState, list[Difference]]:
        """The states at two instants and what differs between them, in wire values."""
        old, new = self.as_of(key, start), self.as_of(key, end)
        return old, new, differences(old.image, new.image)
