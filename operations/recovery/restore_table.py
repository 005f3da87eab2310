"""Restore a whole table as of an instant, into a new one; the source is only read.

The new table is protected against deletion, and recoverable to any second, once everything is in
it: one that is neither was interrupted, and may be deleted and begun anew.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Literal, TypeAlias, cast

from more_itertools import chunked

from operations.deployed_tables import DeployedTables
from operations.errors import RefusedError
from operations.execution.guard import require_history_of
from operations.execution.pace import Pace
from operations.execution.request import codes_text
from operations.recovery.new_table import NewTable, encryption_of
from replica_writer.tables import MAX_WRITES, ReplicaTable
from reports.access.clients import CONCURRENCY
from reports.access.parallel import in_order
from reports.access.progress import Progress
from reports.access.row_reader import RowReader
from reports.access.table_description import describe
from reports.errors import TableNotFoundError
from reports.inputs.keys import KeySchema
from reports.states.timeline import Certainty, ItemState
from reports.table.as_of import TableAsOf, table_states
from stream_core.attribute_values import Item, own_attributes
from stream_core.item_id import item_id

# Enough to see what they have in common; all are counted.
MOST_LISTED = 1000


@dataclass(frozen=True, slots=True)
class Uncertain:
    """An item whose state as of the instant is not exact.

    Attributes:
        exists: whether there was such an item, as far as is known; if so, it is in the new table.
    """

    keys: Item
    exists: bool
    certainty: Certainty
    reason: str


@dataclass(frozen=True, slots=True)
class Unwritten:
    """An item that is not in the new table, and should be."""

    keys: Item
    reason: str


@dataclass(frozen=True)
class TableRestored:
    """What a restore of a table did, or, in a dry run, would do.

    Attributes:
        applied: whether anything was written.
        method, reason: how the states were found, see `reports.table.as_of.TableAsOf`.
        items: how many are in the new table, or would be.
        uncertain: how many states are not exact, by the reason why.
        listed: the first of those.
        unwritten: what the new table did not take.
        notes: what else to know about the new table.
    """

    applied: bool
    new_table: str
    method: Literal["history", "rewind"]
    reason: str
    items: int
    uncertain: Counter[str]
    listed: tuple[Uncertain, ...]
    unwritten: tuple[Unwritten, ...]
    notes: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """Whether every state is exact, and all of them are in the new table."""
        return not self.uncertain and not self.unwritten


@dataclass
class _RestoreTotals:
    items: int = 0
    uncertain: Counter[str] = field(default_factory=Counter)
    listed: list[Uncertain] = field(default_factory=list)
    unwritten: list[Unwritten] = field(default_factory=list)

    def existing(self, states: Iterable[ItemState]) -> Iterator[ItemState]:
        """The states of items that existed; of all, those that are not exact are noted."""
        for state in states:
            if state.certainty is not Certainty.EXACT:
                self.uncertain[state.reason] += 1
                if len(self.listed) < MOST_LISTED:
                    self.listed.append(
                        Uncertain(state.keys, state.exists, state.certainty, state.reason)
                    )
            if state.exists:
                yield state

    def result(
        self, new_table: str, as_of: TableAsOf, *, applied: bool, notes: Iterable[str]
    ) -> TableRestored:
        return TableRestored(
            applied,
            new_table,
            as_of.method,
            as_of.reason,
            self.items,
            self.uncertain,
            tuple(self.listed),
            tuple(self.unwritten),
            tuple(notes),
        )


_Batch: TypeAlias = dict[str, ItemState]
"""States of items that are written together, by id."""


def restore_table(  # noqa: PLR0913 - the whole order, as it is given
    deployment: DeployedTables,
    at: datetime,
    new_table: str,
    *,
    apply: bool = False,
    key_schema: KeySchema | None = None,
    pace: Pace,
) -> TableRestored:
    """Write every item as it was at an instant into a new table, made for it.

    It gets the source's key and encryption key, is billed on demand, and has no indexes and no
    stream. In a dry run the same is read, and nothing is made.

    Args:
        deployment: the source table and its history.
        at: the instant, changes stamped at it included.
        new_table: the name of the new table; one that exists has to be empty.
        apply: without it nothing is written.
        key_schema: the source's key, partition key first; needed where the source is gone. What
            its last rows say is uncertain then, because nothing confirms them.
        pace: how fast, how long each call is tried, what is called with the items written and
            what is read for them.

    Raises:
        RefusedError: the new table is not empty, has another key, or is one of the deployment's;
            the history is another table's.
        TableNotFoundError: there is no history table.
    """
    if new_table in {deployment.source_table, deployment.history_table, deployment.replica_table}:
        raise RefusedError(f"'{new_table}' is in use here: name a table that does not exist")
    reader, keys, encryption = _source(deployment, key_schema, pace)
    target = NewTable(deployment.dynamodb, new_table)
    was_there = target.is_there(keys)
    as_of = table_states(reader, at, pace.machine.now(), certain=False, progress=pace.progress)
    if not apply:
        totals = _fill(as_of, lambda _batch: [], pace.progress)
        return totals.result(new_table, as_of, applied=False, notes=())
    if not was_there:
        target.create(keys, encryption)
    replica = ReplicaTable(deployment.source.client, new_table)
    totals = _fill(as_of, partial(_write, replica, pace), pace.progress)
    there = f"'{new_table}' was there before: its settings are as they were"
    notes = [there] if was_there else target.protect()
    return totals.result(new_table, as_of, applied=True, notes=notes)


def _source(
    deployment: DeployedTables, key_schema: KeySchema | None, pace: Pace
) -> tuple[RowReader, KeySchema, Mapping[str, Any] | None]:
    """What reads the history and, if it is still there, the source; its key and encryption."""
    reader = deployment.reader
    # Whatever else is wrong, a history table that is none must not pass for an empty one.
    _ = reader.horizon
    try:
        table = describe(reader.dynamodb, deployment.source_table)
    except TableNotFoundError as error:
        if key_schema is None:
            raise RefusedError(
                f"the table '{deployment.source_table}' is gone: say what its key was, partition "
                "key first (--key-attribute NAME:TYPE)"
            ) from error
        return deployment.reader_with(None), key_schema, None
    # Its stream may be another than the stack's by now: the source is only read.
    require_history_of(deployment, table, pace)
    return reader, table.key_schema, encryption_of(table)


def _fill(
    as_of: TableAsOf, write: Callable[[_Batch], list[Unwritten]], progress: Progress
) -> _RestoreTotals:
    totals = _RestoreTotals()
    # Closed by hand: left to the interpreter, its threads might outlive an error.
    states = cast("Generator[ItemState, None, None]", as_of.states)

    def written(batch: _Batch) -> tuple[int, list[Unwritten]]:
        return len(batch), write(batch)

    with closing(states):
        batches = map(_batch, chunked(totals.existing(states), MAX_WRITES))
        with closing(in_order(written, batches, ahead=2 * CONCURRENCY)) as calls:
            for count, unwritten in calls:
                totals.items += count - len(unwritten)
                totals.unwritten += unwritten
                progress("items restored", totals.items, None)
    return totals


def _batch(states: Iterable[ItemState]) -> _Batch:
    # A call that names a key twice would be refused.
    return {item_id(state.keys): state for state in states}


def _write(replica: ReplicaTable, pace: Pace, batch: _Batch) -> list[Unwritten]:
    pace.rate.take(len(batch))
    keys = {identifier: state.keys for identifier, state in batch.items()}
    wanted = {identifier: own_attributes(state.image) for identifier, state in batch.items()}
    problems = replica.write(list(batch), wanted, keys, pace.patience())
    return [
        *(
            Unwritten(keys[identifier], f"the table answers {codes_text(problems.errors)}")
            for identifier in problems.unstored
        ),
        *(
            Unwritten(keys[identifier], f"the table answers {error.code}")
            for identifier, error in problems.refused.items()
        ),
    ]
