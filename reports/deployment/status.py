"""The state of a deployment now: tables, mappings, lag, and what is kept aside."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import boto3

from reports.access.parallel import in_order
from reports.access.table_description import NOT_FOUND
from reports.deployment.stack import Consumer, Stack, TableRole
from reports.deployment.stack_reader import (
    FAILED_BATCHES,
    LAG_WINDOW,
    UNREADABLE,
    StackReader,
    reason_of,
)
from reports.deployment.watermark import stack_watermark
from reports.states.watermark import NoWatermark, Watermark
from stream_core.retry import error_code

Read = TypeVar("Read")

_NOT_MEASURED = (
    f"no IteratorAge of the last {LAG_WINDOW.seconds // 60} minutes, as when nothing is invoked"
)


@dataclass(frozen=True)
class TableStatus:
    """One table.

    Attributes:
        exists: None where that is not known.
        status: DynamoDB's word, e.g. `ACTIVE`; None where it cannot be read.
        items: as DescribeTable counts them, which AWS brings up to date about every six hours.
        size_bytes: from the same count.
        created_at: when the table was made, UTC.
        problem: why something is None.
    """

    role: TableRole
    name: str
    region: str
    exists: bool | None
    status: str | None = None
    items: int | None = None
    size_bytes: int | None = None
    created_at: datetime | None = None
    problem: str | None = None


@dataclass(frozen=True)
class ConsumerStatus:
    """One function and the event source mapping that invokes it.

    Attributes:
        state: Lambda's word, e.g. `Enabled`; None where it cannot be read.
        last_result: Lambda's word on the last batch.
        problem: why the two are None.
        lag_ms: the greatest age of a record that the function was given in the last 15 minutes;
            None where that is not known.
        lag_problem: why it is None, which is no problem when nothing was invoked.
    """

    consumer: Consumer
    function: str
    mapping: str
    state: str | None = None
    last_result: str | None = None
    problem: str | None = None
    lag_ms: float | None = None
    lag_problem: str | None = None


@dataclass(frozen=True)
class KeptAside:
    """Records that a consumer could never write, or batches that Lambda gave up on.

    Attributes:
        what: e.g. `records of history_writer`.
        prefix: where they are in the quarantine bucket.
        count: how many; None where they cannot be counted.
        at_least: counting stopped at `count`: there are more, and one of them may be newer.
        newest: when the newest was put there, UTC.
        problem: why `count` is None.
    """

    what: str
    prefix: str
    count: int | None
    at_least: bool = False
    newest: datetime | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Status:
    """A deployment at a moment; what it was deployed without is not in it.

    Attributes:
        region: where all of it is but, maybe, the replica.
        at: when this was read, UTC.
        watermark: up to when the history is complete, or why that is not known; None without one.
    """

    stack: str
    region: str
    at: datetime
    tables: tuple[TableStatus, ...]
    consumers: tuple[ConsumerStatus, ...]
    kept_aside: tuple[KeptAside, ...]
    quarantine_bucket: str
    watermark: Watermark | NoWatermark | None = None

    @property
    def horizon(self) -> datetime | None:
        """When the history began, UTC; None where its table cannot be read, or there is none."""
        began = (table.created_at for table in self.tables if table.role is TableRole.HISTORY)
        return next(began, None)

    @property
    def clean(self) -> bool:
        """Whether all of it could be read and nothing in it needs a look.

        The lag is left out: how much of it is too much is for an alarm to say.
        """
        return (
            all(table.status == "ACTIVE" for table in self.tables)
            and all(consumer.state == "Enabled" for consumer in self.consumers)
            and all(kept.count == 0 for kept in self.kept_aside)
        )


def read_status(session: boto3.Session, stack: Stack, endpoint_url: str | None = None) -> Status:
    """Ask AWS how a deployment is; what cannot be read has its reason beside it, never a zero.

    Raises:
        ReportError: the stack lacks an output that says where something is.
    """
    at = datetime.now(UTC)
    with StackReader(session, stack, endpoint_url) as reader:
        tables = [partial(_table, reader, role) for role in stack.table_roles]
        consumers = [partial(_consumer, reader, consumer, at) for consumer in stack.consumers]
        kept_aside = [
            *(
                partial(_kept_aside, reader, f"records of {consumer}", consumer.quarantine)
                for consumer in stack.consumers
            ),
            partial(_kept_aside, reader, "batches that Lambda gave up on", FAILED_BATCHES),
        ]
        return Status(
            stack=stack.name,
            region=reader.region(TableRole.SOURCE),
            at=at,
            tables=tuple(in_order(_call, tables)),
            consumers=tuple(in_order(_call, consumers)),
            kept_aside=tuple(in_order(_call, kept_aside)),
            quarantine_bucket=stack.quarantine_bucket,
            watermark=stack_watermark(reader)
            if Consumer.HISTORY_WRITER in stack.consumers
            else None,
        )


def _call(read: Callable[[], Read]) -> Read:
    return read()


def _table(reader: StackReader, role: TableRole) -> TableStatus:
    name, region = reader.table_name(role), reader.region(role)
    try:
        table = reader.table(role)
    except UNREADABLE as error:
        exists = False if error_code(error) == NOT_FOUND else None
        return TableStatus(role, name, region, exists, problem=reason_of(error))
    return TableStatus(
        role,
        name,
        region,
        exists=True,
        status=table.status,
        items=table.items,
        size_bytes=table.size_bytes,
        created_at=table.created_at,
    )


def _consumer(reader: StackReader, consumer: Consumer, now: datetime) -> ConsumerStatus:
    lag_ms, lag_problem = _lag(reader, consumer, now)
    state, last_result, problem = _mapping(reader, consumer)
    return ConsumerStatus(
        consumer,
        reader.stack.function(consumer),
        reader.stack.mapping_id(consumer),
        state,
        last_result,
        problem,
        lag_ms,
        lag_problem,
    )


def _mapping(reader: StackReader, consumer: Consumer) -> tuple[str | None, str | None, str | None]:
    try:
        mapping = reader.mapping(consumer)
    except UNREADABLE as error:
        return None, None, reason_of(error)
    return mapping["State"], mapping.get("LastProcessingResult"), None


def _lag(reader: StackReader, consumer: Consumer, now: datetime) -> tuple[float | None, str | None]:
    try:
        lag_ms = reader.lag_ms(consumer, now)
    except UNREADABLE as error:
        return None, reason_of(error)
    return lag_ms, _NOT_MEASURED if lag_ms is None else None


def _kept_aside(reader: StackReader, what: str, prefix: str) -> KeptAside:
    try:
        objects = reader.kept_aside(prefix)
    except UNREADABLE as error:
        return KeptAside(what, prefix, None, problem=reason_of(error))
    return KeptAside(what, prefix, objects.count, objects.at_least, objects.newest)
