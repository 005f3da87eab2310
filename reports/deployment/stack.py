"""The deployed stack: its tables, buckets and functions, by the outputs of template.yaml."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from reports.access.clients import CLIENT_CONFIG
from reports.errors import ReportError, TableNotFoundError
from stream_core.retry import error_code

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

# Without these it is of another template; any other may be missing in one deployed long ago.
_REQUIRED = ("SourceTableName", "QuarantineBucketName")


class TableRole(StrEnum):
    """What a table is for."""

    SOURCE = "source"
    HISTORY = "history"
    REPLICA = "replica"


class Consumer(StrEnum):
    """A function that follows the stream."""

    HISTORY_WRITER = "history_writer"
    REPLICA_WRITER = "replica_writer"

    @property
    def table(self) -> TableRole:
        """What it writes."""
        return TableRole.HISTORY if self is Consumer.HISTORY_WRITER else TableRole.REPLICA

    @property
    def quarantine(self) -> str:
        """Where it keeps records that can never be written."""
        return f"quarantine/{self.value}/"


# A consumer that is there has a table, also in a stack deployed long ago.
_TABLES = {
    Consumer.HISTORY_WRITER: "HistoryTableName",
    Consumer.REPLICA_WRITER: "ReplicaTableName",
}
# How template.yaml names what belongs to a consumer.
_PARTS = {
    Consumer.HISTORY_WRITER: "HistoryWriter",
    Consumer.REPLICA_WRITER: "ReplicaWriter",
}


def extent_of(consumers: Collection[Consumer]) -> str:
    """What a deployment makes of the stream, in words."""
    parts = " and ".join(consumer.table for consumer in consumers)
    # The parameter of template.yaml has the same words.
    return parts if len(consumers) > 1 else f"{parts} only (Consumers={parts})"


@dataclass(frozen=True)
class Stack:
    """A stack of template.yaml.

    Attributes:
        name: the stack's name.
        outputs: its outputs by the names of template.yaml.
        parameters: what it was deployed with.
    """

    name: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, session: boto3.Session, name: str, endpoint_url: str | None = None) -> "Stack":
        """Ask CloudFormation for a stack.

        Raises:
            TableNotFoundError: there is no such stack.
            ReportError: the stack is not one of template.yaml.
        """
        described = _describe(session, name, endpoint_url)
        stack = cls(
            name,
            {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])},
            {
                parameter["ParameterKey"]: parameter.get("ParameterValue", "")
                for parameter in described.get("Parameters", [])
            },
        )
        missing = [output for output in _REQUIRED if output not in stack.outputs]
        if not missing and not stack.consumers:
            missing = list(_TABLES.values())
        if missing:
            raise ReportError(
                f"stack '{name}' ({described['StackStatus']}) has no output "
                f"{' and no output '.join(missing)}: give the stack that template.yaml made"
            )
        return stack

    @property
    def consumers(self) -> tuple[Consumer, ...]:
        """What follows the stream; a stack may have been deployed with one of both only."""
        return tuple(consumer for consumer in Consumer if _TABLES[consumer] in self.outputs)

    @property
    def table_roles(self) -> tuple[TableRole, ...]:
        """What it has tables for."""
        return (TableRole.SOURCE, *(consumer.table for consumer in self.consumers))

    def require(self, consumer: Consumer) -> None:
        """See that it has a consumer.

        Raises:
            ReportError: it was deployed without.
        """
        if consumer in self.consumers:
            return
        other = next(candidate for candidate in Consumer if candidate is not consumer)
        raise ReportError(
            f"stack '{self.name}' follows '{self.source_table}' with its "
            f"{other.value.replace('_', ' ')} only (Consumers={other.table}) and has no "
            f"{consumer.table} table: give the stack that has one"
        )

    @property
    def source_table(self) -> str:
        """The table that is followed."""
        return self._output("SourceTableName")

    @property
    def source_stream_arn(self) -> str:
        """The stream that is read, as it was when the stack was deployed."""
        return self._output("SourceStreamArn")

    @property
    def history_table(self) -> str:
        """The table of the history rows."""
        return self._output("HistoryTableName", Consumer.HISTORY_WRITER)

    @property
    def replica_table(self) -> str:
        """The standby copy."""
        return self._output("ReplicaTableName", Consumer.REPLICA_WRITER)

    @property
    def replica_region(self) -> str:
        """Where the standby copy is."""
        return self._output("ReplicaRegion", Consumer.REPLICA_WRITER)

    @property
    def replica_role_arn(self) -> str | None:
        """The role that writes a replica in another account; None in the stack's own."""
        has_replica = Consumer.REPLICA_WRITER in self.consumers
        return (has_replica and self.parameters.get("ReplicaRoleArn")) or None

    @property
    def second_look_queue(self) -> str | None:
        """URL of the queue of items to look at once more; None where there is no such look."""
        return self.outputs.get("SecondLookQueueUrl")

    @property
    def overflow_bucket(self) -> str:
        """Where images are that do not fit into a row."""
        return self._output("OverflowBucketName", Consumer.HISTORY_WRITER)

    @property
    def quarantine_bucket(self) -> str:
        """Where records and batches are kept aside that could not be written."""
        return self._output("QuarantineBucketName")

    @property
    def time_shards(self) -> int | None:
        """Partitions an hour of the index `ByTime`; None where the stack does not say."""
        shards = self.outputs.get("TimeShards")
        return None if shards is None else int(shards)

    @property
    def alarm_topic(self) -> str:
        """ARN of the topic that the alarms tell."""
        return self._output("AlarmTopicArn")

    @property
    def is_emulated(self) -> bool:
        """Whether it was deployed for an emulator, without what emulators refuse."""
        return self.parameters.get("Emulator") == "true"

    def function(self, consumer: Consumer) -> str:
        """The name of a consumer's function."""
        return self._output(f"{_PARTS[consumer]}FunctionName", consumer)

    def mapping_id(self, consumer: Consumer) -> str:
        """The UUID of a consumer's event source mapping."""
        return self._output(f"{_PARTS[consumer]}MappingId", consumer)

    def _output(self, key: str, writer: Consumer | None = None) -> str:
        if writer is not None:
            self.require(writer)
        try:
            return self.outputs[key]
        except KeyError:
            raise ReportError(
                f"stack '{self.name}' has no output {key}: deploy template.yaml again"
            ) from None


def _describe(session: boto3.Session, name: str, endpoint_url: str | None) -> "StackTypeDef":
    formation = session.client("cloudformation", endpoint_url=endpoint_url, config=CLIENT_CONFIG)
    try:
        return formation.describe_stacks(StackName=name)["Stacks"][0]
    except ResponseParserError as error:
        raise ReportError(
            f"{formation.meta.endpoint_url} does not answer as CloudFormation: name the tables "
            "instead, with --history-table and --source-table"
        ) from error
    except ClientError as error:
        if error_code(error) != "ValidationError":
            raise
        raise TableNotFoundError(
            f"no stack '{name}' in {formation.meta.region_name}: check --stack and --region"
        ) from error
