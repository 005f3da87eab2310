"""What a restore into a new table comes to, before anything is made or counted."""

from dataclasses import dataclass

from operations.deployed_tables import DeployedTables
from operations.errors import RefusedError
from operations.execution.guard import require_history_of
from operations.execution.pace import Pace
from operations.execution.request import answer_to
from operations.recovery.table.new_table import NewTable, Standing
from operations.recovery.table.order import OrderTag, TableOrder
from operations.recovery.table.settings import TableSettings, gone_since, unknown_settings
from operations.recovery.table.settings_reader import settings_of
from reports.access.row_reader import RowReader
from reports.access.table_description import TableDescription, describe
from reports.errors import TableNotFoundError
from reports.inputs.keys import KeySchema


@dataclass(frozen=True)
class TablePlan:
    """What a restore of a table is going to do; nothing is made yet.

    Attributes:
        keys: the key of both tables.
        settings: what the new table is made with, if it is not there yet.
        standing: how far the new table is.
        tag: of the order.
        reader: reads the history and, if it is still there, the source.
    """

    order: TableOrder
    keys: KeySchema
    settings: TableSettings
    standing: Standing
    tag: OrderTag
    reader: RowReader

    @property
    def left_out(self) -> tuple[str, ...]:
        """What the source has and the new table does not get, in words."""
        if not self.standing.is_made_for_it:
            return ()
        attribute = self.settings.ttl_attribute
        if self.order.with_ttl and attribute is None:
            return (
                "a time to live, as far as is known the source has none",
                *self.settings.left_out,
            )
        if attribute is None or self.order.with_ttl:
            return self.settings.left_out
        ttl = (
            f"the time to live (by {attribute}), or items whose time is over would be deleted "
            "again: --ttl turns it on once all is there, later does aws dynamodb "
            f"update-time-to-live --table-name {self.order.new_table} "
            f"--time-to-live-specification Enabled=true,AttributeName={attribute}"
        )
        return (ttl, *self.settings.left_out)


def plan_table(
    deployment: DeployedTables,
    order: TableOrder,
    settings: TableSettings | None = None,
    *,
    pace: Pace,
) -> TablePlan:
    """Find out what a restore into a new table comes to, as far as nothing has to be counted.

    Args:
        deployment: the source table and its history.
        order: what is to be restored.
        settings: what the new table is to be made with; None: as the source is now.
        pace: how long each call is tried.

    Raises:
        RefusedError: the new table has what this order has not begun, is finished, has another
            key, or is one of the deployment's; the history is another table's; the selection
            does not fit the key.
        TableNotFoundError: there is no history table.
    """
    used = {deployment.source_table, deployment.history_table, deployment.replica_table}
    if order.new_table in used:
        raise RefusedError(f"'{order.new_table}' is in use here: name a table that does not exist")
    reader = deployment.reader
    # Whatever else is wrong, a history table that is none must not pass for an empty one.
    _ = reader.horizon
    new_table = NewTable(deployment.dynamodb, order.new_table, pace)
    if (source := source_of(deployment, pace)) is None:
        reader = deployment.reader_with(None)
        gone = _GoneSource.of_order(deployment, order.key_schema, new_table)
        keys, own_settings = gone.keys, gone.settings
    else:
        # Its stream may be another than the stack's by now: the source is only read.
        require_history_of(deployment, source, pace)
        keys, own_settings = source.key_schema, settings_of(reader.dynamodb, source)
    settings = settings or own_settings
    order.selection.require_fit(keys)
    history = describe(reader.dynamodb, reader.history_table)
    tag = OrderTag.of_order(order, source or deployment.source_table, history)
    tag = tag.with_settings(settings)
    return TablePlan(order, keys, settings, new_table.standing(keys, tag), tag, reader)


def table_key(
    deployment: DeployedTables, key_schema: KeySchema | None, new_table: str
) -> KeySchema:
    """The key of the source; where it is gone, of what was begun from it, or what is said of it.

    Args:
        deployment: names the source.
        key_schema: what is said, if anything is.
        new_table: the table that is restored into.

    Raises:
        RefusedError: it is gone, nothing is begun, and nothing is said.
    """
    if (source := source_of(deployment, Pace())) is not None:
        return source.key_schema
    begun = NewTable(deployment.dynamodb, new_table, Pace())
    return _GoneSource.of_order(deployment, key_schema, begun).keys


def read_table(deployment: DeployedTables) -> TableDescription:
    """The table that is read for a restore: the source; where that is gone, its history."""
    source = source_of(deployment, Pace())
    return source or describe(deployment.dynamodb, deployment.reader.history_table)


def source_of(deployment: DeployedTables, pace: Pace) -> TableDescription | None:
    """The source, if it is still there."""
    name = deployment.source_table
    try:
        return describe(
            deployment.dynamodb, name, lambda ask: answer_to(ask, pace.patience(), name)
        )
    except TableNotFoundError:
        return None


@dataclass(frozen=True)
class _GoneSource:
    """What is known of a source that is gone: what the table has that was begun from it."""

    keys: KeySchema
    settings: TableSettings

    @classmethod
    def of_order(
        cls, deployment: DeployedTables, key_schema: KeySchema | None, new_table: NewTable
    ) -> "_GoneSource":
        """What is known of it.

        Raises:
            RefusedError: nothing is: no restore was begun, and its key is not said.
        """
        begun, tag = new_table.begun() or (None, None)
        if begun is not None and tag is not None and tag.is_of(deployment.source_table):
            made = settings_of(deployment.dynamodb, begun)
            return cls(begun.key_schema, gone_since(made, tag.ttl_attribute, tag.recovery_days))
        if key_schema is None:
            raise RefusedError(
                f"the table '{deployment.source_table}' is gone: say what its key was, partition "
                "key first (--key-attribute NAME:TYPE)"
            )
        return cls(key_schema, unknown_settings(key_schema))
