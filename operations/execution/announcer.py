"""What a run says of itself in the history: that it is, and what it is about to write.

Where the history may not be written, that is told once, and the run goes on with its local journal:
nothing in the history tells then which changes were the run's.
"""

from collections import deque
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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
from stream_core.control_row import OWN_PREFIX, OwnWrite, RunRow, item_hash, read_control_row
from stream_core.history_row import HistoryRow, time_text
from stream_core.retry import Patience, error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# What an engine or a policy answers to who may not write.
_NOT_ALLOWED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})


@dataclass
class Announcer:
    """Writes a run's rows into the history, and finds them there.

    Attributes:
        row: what the run says of itself.
        is_known: whether the run was there before it was announced here.
        problem: why the history does not tell of it; empty, if it does.
    """

    client: "DynamoDBClient"
    reader: RowReader
    row: RunRow
    is_known: bool = field(default=False, init=False)
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

    def announce(self, writes: Sequence[OwnWrite], patience: Patience) -> None:
        """Say what is about to be written.

        Raises:
            OperationError: the history does not answer; nothing is to be written then.
        """
        if self.problem:
            return

        def write(some: list[OwnWrite]) -> None:
            write_control_rows(self.client, self.reader.history_table, some, patience)

        try:
            with closing(in_order(write, chunked(writes, MOST_STATEMENTS))) as written:
                deque(written, maxlen=0)
        except ClientError as error:
            self._go_on_without(error)

    def announced(self, identifier: str) -> list[OwnWrite]:
        """What the run, here or elsewhere, was about to write to an item."""
        prefix = f"{OWN_PREFIX}{item_hash(identifier)}#{self.row.run}#"
        rows = self.reader.control_rows(prefix, f"{prefix}~")
        return [row for row in rows if isinstance(row, OwnWrite)]

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
