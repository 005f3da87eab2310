"""Asking the history why an item differs."""

from botocore.exceptions import BotoCoreError, ClientError

from operations.replica.compared_table import ComparedTable, unreadable
from operations.replica.discrepancies import Discrepancy, DiscrepancyKind
from operations.replica.reasons import Explanation, Reason, explain, past_of, unexplained
from operations.replica.table_pair import equal
from operations.replica.watch import WatchResult
from reports.access.machine import Machine
from reports.access.row_reader import RowReader
from stream_core.attribute_values import Item
from stream_core.errors import ItemtrailError
from stream_core.history_row import SORT_KEY
from stream_core.retry import error_code


class Explainer:
    """Explains differences by one history."""

    def __init__(self, history: RowReader | None, source: ComparedTable, machine: Machine) -> None:
        """Explain with this history; without one nothing is known.

        Raises:
            TableNotFoundError: there is no such table, or it is no history table.
            OperationError: it cannot be read.
        """
        self._history = history
        self._source = source
        self._now = machine.now
        if history is not None:
            _require_readable(history)

    def version(self, identifier: str) -> str | None:
        """The newest row of an item, which is another one when the item has changed."""
        if self._history is None:
            return None
        try:
            newest = next(self._history.items(identifier, newest_first=True, limit=1), None)
        except (ClientError, BotoCoreError):
            # The states alone decide then, as without a history; `explain` says what is wrong.
            return None
        return None if newest is None else str(newest[SORT_KEY]["S"])

    def explain(self, result: WatchResult) -> Discrepancy | None:
        """What was found of an item, and why; None: it has changed since it was looked at.

        Raises:
            OperationError: the source cannot be read.
        """
        source, replica = result.states
        at = self._now()
        explanation = self._explanation(result.suspect.identifier, source, replica)
        if explanation.reason is Reason.LOST_EVENT and self._has_changed(result):
            # What was missing from the source's state when that was read is only newer.
            return None
        kind = DiscrepancyKind.between(source, replica)
        return Discrepancy(result.suspect.key, kind, at, explanation, source, replica)

    def _explanation(
        self, identifier: str, source: Item | None, replica: Item | None
    ) -> Explanation:
        if self._history is None:
            return unexplained("no history table was given, so the reason is not known")
        try:
            past = past_of(self._history.rows(identifier, newest_first=True), replica)
        except ItemtrailError as error:
            return unexplained(f"the history of the item cannot be read: {error}")
        except (ClientError, BotoCoreError) as error:
            return unexplained(f"the history cannot be read: {error_code(error)}")
        return explain(source, replica, past)

    def _has_changed(self, result: WatchResult) -> bool:
        identifier, key = result.suspect.identifier, result.suspect.key
        return not equal(self._source.read({identifier: key})[identifier], result.states[0])


def _require_readable(history: RowReader) -> None:
    """Find out now that it is no history table, and not after all else is done."""
    try:
        _ = history.horizon
    except (ClientError, BotoCoreError) as error:
        name, needed = history.history_table, "DescribeTable and Query"
        raise unreadable("history", name, history.dynamodb, error, needed) from error
