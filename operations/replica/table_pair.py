"""A source table and its replica, read side by side as they are now; nothing is written."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from operations.deployed_tables import DeployedTables
from operations.errors import RefusedError
from operations.execution.pace import Pace
from operations.execution.request import answer_to
from operations.replica.compared_table import ComparedTable, unreadable
from replica_writer.tables import Keys
from reports.access.machine import Machine
from reports.access.table_description import TableDescription
from stream_core.attribute_values import Item, own_attributes, same_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_GIVE_UP_AFTER_S = 30.0


@dataclass(frozen=True)
class TablePair:
    """Both tables, known to be two and to have the same key."""

    source: ComparedTable
    replica: ComparedTable

    @classmethod
    def open(cls, deployment: DeployedTables, pace: Pace) -> "TablePair":
        """The tables of a deployment.

        Args:
            deployment: names both tables.
            pace: how many items a second, of both tables together.

        Raises:
            RefusedError: no replica is named, it is the source itself, or it has another key.
            OperationError: one of them cannot be read.
        """
        name, client = deployment.replica.name, deployment.replica_client
        source = _describe(deployment.dynamodb, deployment.source_table, "source", pace.machine)
        replica = _describe(client, name, "replica", pace.machine)
        _require_pair(source, replica)
        # Two clients for the source: one reads pages fast, the other writes requests fast.
        return cls(
            ComparedTable("source", source, deployment.dynamodb, deployment.source.client, pace),
            ComparedTable("replica", replica, client, client, pace),
        )

    def states(self, keys: Keys) -> dict[str, tuple[Item | None, Item | None]]:
        """What items are in the source and in the replica, by id; the replica is read first.

        In that order a state of the replica that differs lies between two reads of the source, if
        the source was read before as well.

        Raises:
            OperationError: a table cannot be read.
        """
        replica = self.replica.read(keys)
        source = self.source.read(keys)
        return {identifier: (source[identifier], replica[identifier]) for identifier in keys}


def equal(source: Item | None, replica: Item | None) -> bool:
    """Whether two items are the same but for what global tables add to them."""
    return source == replica or same_item(own_attributes(source), own_attributes(replica))


def _describe(client: "DynamoDBClient", name: str, role: str, machine: Machine) -> TableDescription:
    patience = machine.patience(_GIVE_UP_AFTER_S)
    try:
        answer = answer_to(lambda: client.describe_table(TableName=name), patience, name)
    except (ClientError, BotoCoreError) as error:
        raise unreadable(role, name, client, error) from error
    return TableDescription(answer["Table"])


def _require_pair(source: TableDescription, replica: TableDescription) -> None:
    if _identity(source) == _identity(replica):
        raise RefusedError(
            f"'{replica.name}' is the source table itself: give the replica's name, its "
            "region and, in another account, its role"
        )
    if source.key != replica.key:
        raise RefusedError(
            f"the key of the replica '{replica.name}' is {_key_text(replica)}, the source's is"
            f" {_key_text(source)}: give the table that was made as the source's replica"
        )


def _identity(table: TableDescription) -> str:
    # Not every engine has ids; where there are some, a table made anew under a name is another.
    return table.table_id or table.arn


def _key_text(table: TableDescription) -> str:
    parts = zip(table.key, ("HASH", "RANGE"), strict=False)
    return ", ".join(f"{name} ({tag}, {kind})" for (name, tag), kind in parts)
