"""The canary: the one item that an acceptance run writes, and what becomes of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from operations.acceptance.wait import TimeLimit
from operations.deployed_tables import DeployedTables
from operations.errors import RefusedError
from reports.access.clients import CLIENT_CONFIG
from stream_core.attribute_values import Item
from stream_core.history_row import HistoryRow
from stream_core.item_id import item_id
from stream_core.retry import error_code

MARK = "itemtrail-accept"
"""The attribute that says of an item that it is a run's canary, and of which run."""
ROW_WAIT_S = 300.0
_FILLER = "filler"
# Two such images pass an item's 400 KB; of one letter they are next to nothing once compressed.
_LARGE = 210_000
_CONDITION_FAILED = frozenset({"ConditionalCheckFailedException", "TransactionCanceledException"})


@dataclass
class Canary:
    """An item of the followed table that this run makes, changes and deletes.

    Attributes:
        tables: the table that is followed, and its history.
        keys: the canary's key.
        run: the id of the run.
        time_limit: how long it is waited for.
        row: the history's row of its beginning, once it is there.
        row_ms: how long after the write that was seen, in milliseconds.
        repeated: the error code of the same transaction sent once more; None: a success.
        began: when it was written.
        is_written: whether it was, and so its rows stay.
    """

    tables: DeployedTables
    keys: Item
    run: str
    time_limit: TimeLimit = field(default_factory=TimeLimit)
    row: HistoryRow | None = None
    row_ms: int = 0
    repeated: str | None = None
    began: datetime = field(init=False)
    is_written: bool = False
    _last: Item = field(default_factory=dict)

    @cached_property
    def dynamodb(self) -> Any:
        """A client for the followed table."""
        tables = self.tables
        return tables.session.client(
            "dynamodb", endpoint_url=tables.endpoint_url, config=CLIENT_CONFIG
        )

    @property
    def item(self) -> Item:
        """The canary as it begins."""
        return {**self.keys, MARK: {"S": self.run}}

    @cached_property
    def identifier(self) -> str:
        """Its `Id` in the history."""
        return item_id(self.keys)

    def begin(self) -> None:
        """Write it, by a transaction that is sent twice, and wait for its row.

        Raises:
            RefusedError: there is an item with this key already.
        """
        (name, *_) = self.keys
        put = {
            "TableName": self.tables.source_table,
            "Item": self.item,
            "ConditionExpression": "attribute_not_exists(#key)",
            "ExpressionAttributeNames": {"#key": name},
        }
        self.began = self.time_limit.machine.now()
        try:
            self._transact({"Put": put}, "begin")
        except ClientError as error:
            if error_code(error) not in _CONDITION_FAILED:
                raise
            raise RefusedError(
                f"{self.tables.source_table} has an item {self.identifier} already: name a key "
                "with --canary that it has not"
            ) from error
        self.is_written, self._last = True, self.item
        clock = self.time_limit.machine.clock
        began = clock()
        self.repeated = self._repeated(lambda: self._transact({"Put": put}, "begin"))
        self.row = self.wait_for_row(lambda row: row.change.new_image == self.item)
        self.row_ms = round((clock() - began) * 1000)

    def grow(self) -> HistoryRow | None:
        """Change it twice so that its row does not fit; the row, None: it did not come."""
        for letter in "ab":
            filler = {"S": letter * _LARGE}
            self.dynamodb.update_item(
                TableName=self.tables.source_table,
                Key=self.keys,
                UpdateExpression="SET #filler = :filler",
                ConditionExpression="#mark = :run",
                ExpressionAttributeNames={"#filler": _FILLER, "#mark": MARK},
                ExpressionAttributeValues={":filler": filler, ":run": {"S": self.run}},
            )
            self._last = {**self.item, _FILLER: filler}
        return self.wait_for_row(lambda row: row.overflow is not None and self._is_own(row))

    def insert_anew(self) -> HistoryRow | None:
        """Delete it and write it by a PartiQL INSERT; that one's row, None: it did not come."""
        self.delete()
        item = {**self.item, "by": {"S": "PartiQL INSERT"}}
        fields = ", ".join(f"'{name}': ?" for name in item)
        self.dynamodb.execute_statement(
            Statement=f'INSERT INTO "{self.tables.source_table}" VALUE {{{fields}}}',
            Parameters=list(item.values()),
        )
        self._last = item
        return self.wait_for_row(lambda row: row.change.new_image == item)

    def end(self) -> HistoryRow | None:
        """Delete it; the row of that, None: it did not come."""
        self.delete()
        return self.wait_for_row(
            lambda row: row.change.new_image is None and row.change.old_image == self._last
        )

    def delete(self) -> None:
        """Delete it, and nothing that is not this run's; harmless where it is gone."""
        try:
            self.dynamodb.delete_item(
                TableName=self.tables.source_table,
                Key=self.keys,
                ConditionExpression="#mark = :run",
                ExpressionAttributeNames={"#mark": MARK},
                ExpressionAttributeValues={":run": {"S": self.run}},
            )
        except ClientError as error:
            if error_code(error) not in _CONDITION_FAILED:
                raise

    def wait_for_row(self, is_meant: Callable[[HistoryRow], bool]) -> HistoryRow | None:
        """Its row that is meant, once the history has it; None: not in time."""

        def look() -> HistoryRow | None:
            rows = self.tables.reader.rows(self.identifier)
            return next(filter(is_meant, rows), None)

        return self.time_limit.wait_for(look, ROW_WAIT_S)

    def _is_own(self, row: HistoryRow) -> bool:
        """Whether a row is of this run: another may have had a canary of the same key."""
        return (row.change.new_image or {}).get(MARK) == {"S": self.run}

    def replica_item(self) -> Item | None:
        """What the replica has of it."""
        answer: Any = self.tables.replica_client.get_item(
            TableName=self.tables.replica_table or "", Key=self.keys, ConsistentRead=True
        )
        item: Item | None = answer.get("Item")
        return item

    def _transact(self, part: Any, step: str) -> None:
        self.dynamodb.transact_write_items(
            TransactItems=[part], ClientRequestToken=f"accept-{self.run}-{step}"
        )

    @staticmethod
    def _repeated(call: Callable[[], None]) -> str | None:
        try:
            call()
        except ClientError as error:
            return error_code(error)
        return None
