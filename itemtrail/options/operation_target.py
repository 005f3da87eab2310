"""Options of the commands that work on a whole deployment: which one, how fast, and whether."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import click

from itemtrail.options.kinds import asked_at
from itemtrail.options.target import (
    BASIS,
    RECORDED_UNTIL,
    WHERE,
    Command,
    Target,
    stack_option,
    targeted,
)
from operations.deployed_tables import DeployedTables
from operations.errors import RefusedError
from reports.access.by_time import MOST_SHARDS
from reports.access.private_files import state_folder
from reports.access.table_description import describe
from reports.deployment.stack import Consumer, Stack
from reports.inputs.keys import KeySchema
from reports.states.watermark import declared_watermark, read_basis

_OUTPUTS = {
    "source_table": "SourceTableName",
    "history_table": "HistoryTableName",
    "replica_table": "ReplicaTableName",
    "replica_region": "ReplicaRegion",
    "overflow_bucket": "OverflowBucketName",
    "quarantine_bucket": "QuarantineBucketName",
    "time_shards": "TimeShards",
}
GOES_ON = (
    "interrupted: what is settled stays so; the same command goes on, and first settles what was "
    "under way"
)


@dataclass(frozen=True)
class OperationTarget(Target):
    """Which tables and buckets to work on, and where.

    Attributes:
        needs: without which of a stack's tables there is nothing to do.
    """

    needs: ClassVar[Consumer | None] = None

    replica_table: str | None = None
    replica_region: str | None = None
    replica_role_arn: str | None = None
    overflow_bucket: str | None = None
    quarantine_bucket: str | None = None

    def find(self) -> tuple[DeployedTables, Stack | None]:
        """What is meant, named or found through a stack, and the stack.

        Raises:
            RefusedError: it names no source table, or other parts than the stack's.
            ReportError: the stack was deployed without what is needed, and no other is named.
            TableNotFoundError: there is no such stack.
        """
        session, stack = self.session(), None
        parts: dict[str, Any] = {name: getattr(self, name) for name in _OUTPUTS}
        role = self.replica_role_arn
        if self.stack is not None:
            stack = Stack.read(session, self.stack, self.endpoint_url)
            parts |= _of_stack(stack, parts)
            role = role or stack.replica_role_arn
            if self.needs and parts[f"{self.needs.table}_table"] is None:
                stack.require(self.needs)
        source_table = parts.pop("source_table")
        if source_table is None:
            raise RefusedError("which source table? give --stack NAME, or --source-table NAME")
        return (
            DeployedTables(
                source_table,
                session,
                endpoint_url=self.endpoint_url,
                replica_role_arn=role,
                second_look_queue=stack.second_look_queue if stack else None,
                stack=self.stack,
                stream_arn=stack.outputs.get("SourceStreamArn") if stack else None,
                declared=declared_watermark(self.recorded_until, asked_at()),
                basis=read_basis(self.basis),
                **parts,
            ),
            stack,
        )


@dataclass(frozen=True)
class HistoryTarget(OperationTarget):
    """The same for what goes by the history."""

    needs = Consumer.HISTORY_WRITER


@dataclass(frozen=True)
class ReplicaTarget(OperationTarget):
    """The same for what works on the replica."""

    needs = Consumer.REPLICA_WRITER


def _of_stack(stack: Stack, named: dict[str, Any]) -> dict[str, Any]:
    """The parts that a stack names.

    Raises:
        RefusedError: another one is given. What belongs to one table must not reach another.
    """
    parts: dict[str, Any] = {
        name: stack.outputs[output] for name, output in _OUTPUTS.items() if output in stack.outputs
    }
    if "time_shards" in parts:
        parts["time_shards"] = stack.time_shards
    for name, value in parts.items():
        if named[name] not in (None, value):
            option = f"--{name.replace('_', '-')}"
            raise RefusedError(
                f"{option} {named[name]} is not what stack '{stack.name}' has ({value}): leave it "
                "out, or name everything and no stack"
            )
    return parts


def consumers_there(deployment: DeployedTables, stack: Stack | None) -> tuple[Consumer, ...]:
    """The consumers that were deployed.

    Without a stack nobody says so: then it is both, and a table that is not named is asked for.
    """
    named = {
        Consumer.HISTORY_WRITER: deployment.history_table,
        Consumer.REPLICA_WRITER: deployment.replica_table,
    }
    return tuple(consumer for consumer in Consumer if stack is None or named[consumer] is not None)


def consumers_meant(
    requested: Collection[Consumer], there: Collection[Consumer], stack: Stack | None
) -> Collection[Consumer]:
    """The consumers to work for: those asked for, else all that there are.

    Raises:
        ReportError: the stack was deployed without one that is asked for.
    """
    for consumer in requested:
        if stack is not None and consumer not in there:
            stack.require(consumer)
    return requested or there


def source_key_schema(deployment: DeployedTables) -> KeySchema:
    """The key of the source table.

    Raises:
        TableNotFoundError: there is no such table.
    """
    if deployment.history_table is not None:
        # A wrong history table must not pass for an empty one.
        return deployment.reader.key_schema
    return describe(deployment.dynamodb, deployment.source_table).key_schema


def _named(option: str, what: str, **more: Any) -> Callable[[Any], Any]:
    return click.option(option, metavar="NAME", help=f"{what}, where there is no stack.", **more)


_SOURCE = _named(
    "--source-table", "Table that is followed", envvar="ITEMTRAIL_SOURCE_TABLE", show_envvar=True
)
_HISTORY = _named(
    "--history-table", "Its history", envvar="ITEMTRAIL_HISTORY_TABLE", show_envvar=True
)
_REPLICA = (
    _named("--replica-table", "Its replica"),
    _named("--replica-region", "The replica's region"),
    click.option(
        "--replica-role-arn",
        metavar="ARN",
        help="Role that may write the replica, where that is in another account.",
    ),
)
_OVERFLOW = _named("--overflow-bucket", "Bucket of images too large for a row")
_QUARANTINE = _named("--quarantine-bucket", "Bucket of what failed")


_TIME_SHARDS = click.option(
    "--time-shards",
    metavar="N",
    type=click.IntRange(1, MOST_SHARDS),
    help="Partitions an hour of the index ByTime, where there is no stack.",
)


_ALL = (_SOURCE, _HISTORY, *_REPLICA, _OVERFLOW)


def backfill_target_options(command: Command) -> Command:
    """Add the options that name all that a backfill needs; they arrive as `target`."""
    return _operating(command, *_ALL, _TIME_SHARDS)


def redrive_target_options(command: Command) -> Command:
    """The same, and the bucket of what failed."""
    return _operating(command, *_ALL, _QUARANTINE, _TIME_SHARDS)


def replica_target_options(command: Command) -> Command:
    """The same for what works on the replica, and asks the history at most."""
    return _operating(command, _SOURCE, _HISTORY, *_REPLICA, kind=ReplicaTarget)


def source_target_options(command: Command) -> Command:
    """The same for what works on the source by its history."""
    parts = (_SOURCE, _HISTORY, RECORDED_UNTIL, BASIS, _TIME_SHARDS)
    return _operating(command, *parts, kind=HistoryTarget)


def place_options(command: Command) -> Command:
    """Add the options that say where a table is; they arrive as `target`."""
    return targeted(command, WHERE)


def _operating(
    command: Command,
    *parts: Callable[[Any], Any],
    kind: type[OperationTarget] = OperationTarget,
) -> Command:
    options = (stack_option(required=False), *parts, *WHERE)
    return targeted(command, options, kind)


def apply_option(command: Command) -> Command:
    """Add the option without which nothing is written."""
    return click.option(
        "--apply", is_flag=True, help="Do it; without this nothing is written (a dry run)."
    )(command)


def rate_option(command: Command) -> Command:
    """Add the option that says how fast to be."""
    return click.option(
        "--rate",
        metavar="N",
        type=click.FloatRange(min=0, min_open=True),
        help="No more items a second than this.",
    )(command)


def state_option(command: Command, operation: str) -> Command:
    """Add the option that names the file of what a killed run leaves to the next one."""
    return click.option(
        "--state",
        "state_path",
        metavar="FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        help="File that keeps which items are being settled, for the next one to settle again if "
        f"this one is killed; {operation}-TABLE-REGION.json in ~/.local/state/itemtrail by "
        "default.",
    )(command)


def default_state(operation: str, table: str, deployment: DeployedTables) -> Path:
    """The state file of an operation on a table, in the folder of the user's state."""
    # A table may be named by its ARN.
    name = f"{operation}-{table.rpartition('/')[2]}-{deployment.session.region_name}.json"
    return state_folder() / name


def segments_option(default: int, most: int) -> Callable[[Command], Command]:
    """Add the option that says how many parts of a table to read side by side."""
    return click.option(
        "--segments",
        metavar="N",
        type=click.IntRange(1, most),
        default=default,
        show_default=True,
        help="How many parts of the table to work on side by side.",
    )
