"""What a run says of itself in the history: that it is, and what it is about to write.

Where the history may not be written, that is told once, and the run goes on with its local journal:
nothing in the history tells then which changes were the run's.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from botocore.exceptions import ClientError
from more_itertools import chunked

from operations.control_rows import (
    MOST_STATEMENTS,
    insert_control_rows,
    stored_control_row,
    write_control_rows,
)
from operations.errors import RefusedError
from reports.access.parallel import in_order
from reports.access.row_reader import RowReader
from reports.states.own_writes import OwnWrites
from stream_core.announcement import (
    OWN_PREFIX,
    PORTION_PREFIX,
    AnnouncedPortion,
    OwnWrite,
    standing,
)
from stream_core.control_row import ControlRow, RunRow, intact_control_rows, read_control_row
from stream_core.history_row import SORT_KEY, HistoryRow, time_text
from stream_core.retry import Patience, error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_PROCESS_DIGITS = 12
# What an engine or a policy answers to who may not write.
_NOT_ALLOWED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})


@dataclass
class Announcer:
    """Writes a run's rows into the history, and finds them there.

    Attributes:
        row: what the run says of itself.
        is_known: whether other processes, before or beside this one, have announced writes of it.
        process: tells this process from them.
        problem: why the history does not tell of it; empty, if it does.
    """

    client: "DynamoDBClient"
    reader: RowReader
    row: RunRow
    is_known: bool = field(default=False, init=False)
    process: str = field(default_factory=lambda: uuid4().hex[:_PROCESS_DIGITS], init=False)
    problem: str = field(default="", init=False)

    def begin(self, patience: Patience, *, may_go_on: bool) -> None:
        """Say that the run begins.

        Args:
            patience: how long to go on trying.
            may_go_on: also where another has begun it.

        Raises:
            RefusedError: another is carrying it out, or was.
            OperationError: the history does not answer; go on later.
        """
        table = self.reader.history_table
        try:
            if not insert_control_rows(self.client, table, [self.row], patience):
                return
            stored = read_control_row(stored_control_row(self.client, table, self.row, patience))
        except ClientError as error:
            self._go_on_without(error)
            return
        if stored == self.row:
            # The answer to the first request for it was lost.
            return
        self.is_known = True
        if isinstance(stored, RunRow):
            if not may_go_on:
                raise RefusedError(
                    f"run {stored.run} of this plan was begun by {stored.who} at "
                    f"{time_text(stored.started)}: --join goes on with it, beside them or after"
                )
            self.row = stored

    def announce(
        self, groups: Sequence[Sequence[OwnWrite]], at: datetime, patience: Patience
    ) -> None:
        """Say what is about to be written.

        Args:
            groups: the writes, by the transaction that is to make them.
            at: the moment by the service's clock, no two the same.
            patience: how long to go on trying.

        Raises:
            OperationError: the history does not answer; nothing is to be written then.
        """
        alone = [write for group in groups if len(group) == 1 for write in group]
        together = [group for group in groups if len(group) > 1]
        portions = [self._portion(group, group[0].at) for group in together]
        portions += [self._portion(alone, at)] if alone else []
        # In this order: who finds a write finds with what others it is made.
        self._write(portions, patience)
        self._write([write for group in groups for write in group], patience)

    def _portion(self, writes: Sequence[OwnWrite], at: datetime) -> AnnouncedPortion:
        items = tuple(write.item for write in writes)
        return AnnouncedPortion(self.row.run, self.process, items, at, self.row.stream_arn)

    def withdraw(self, writes: Sequence[OwnWrite], patience: Patience) -> None:
        """Say of announced writes that they are surely not made, and are in nobody's way.

        Raises:
            OperationError: the history does not answer.
        """
        self._write([write.withdrawn() for write in writes], patience)

    def _write(self, rows: Sequence[ControlRow], patience: Patience) -> None:
        if self.problem:
            return

        def write(some: list[ControlRow]) -> None:
            write_control_rows(self.client, self.reader.history_table, some, patience)

        try:
            with closing(in_order(write, chunked(rows, MOST_STATEMENTS))) as written:
                deque(written, maxlen=0)
        except ClientError as error:
            self._go_on_without(error)

    def others_since(self, since: datetime) -> set[str]:
        """Of which items other processes have announced writes since a moment, see `item_hash`."""
        first = f"{PORTION_PREFIX}{time_text(since)}"
        stored = self.reader.control_items(first, f"{PORTION_PREFIX}~")
        # Of a long run its own are very many.
        foreign = (item for item in stored if not item[SORT_KEY]["S"].endswith(self.process))
        return _items_of(intact_control_rows(foreign))

    def items_at(self, moment: datetime) -> set[str]:
        """Of which items the run has announced one transaction at a moment, see `item_hash`."""
        prefix = f"{PORTION_PREFIX}{time_text(moment)}#{self.row.run}#"
        return _items_of(self.reader.control_rows(prefix, f"{prefix}~"))

    def announced(self, item: str) -> list[OwnWrite]:
        """What the run, here or elsewhere, was about to write to an item, see `item_hash`."""
        return standing(self._rows_of(item))

    def has_withdrawn(self, item: str, moment: datetime) -> bool:
        """Whether the run has taken back what it announced of an item at a moment."""
        writes = (row for row in self._rows_of(item) if isinstance(row, OwnWrite))
        return any(write.is_withdrawn and write.at == moment for write in writes)

    def _rows_of(self, item: str) -> list[ControlRow]:
        """What the run has written into the history of its writes to an item."""
        prefix = f"{OWN_PREFIX}{item}#{self.row.run}#"
        return self.reader.control_rows(prefix, f"{prefix}~")

    def own(self, writes: Sequence[OwnWrite], rows: Sequence[HistoryRow]) -> OwnWrites:
        """What tells the changes of some writes to one item among its rows since the first."""
        of_this_run = {self.row.run: self.row}
        return OwnWrites(of_this_run, lambda _item: writes, lambda _id, _after, _until: rows)

    def _go_on_without(self, error: ClientError) -> None:
        if error_code(error) not in _NOT_ALLOWED:
            raise error
        self.problem = (
            f"'{self.reader.history_table}' may not be written ({error_code(error)}, allow "
            "dynamodb:PartiQLInsert): its answers will not tell which changes this run made"
        )


def _items_of(rows: Iterable[ControlRow]) -> set[str]:
    """The items of the announced portions among some rows."""
    return {item for row in rows if isinstance(row, AnnouncedPortion) for item in row.items}
