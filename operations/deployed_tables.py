"""The tables and buckets that an operation works on, and the parts made for them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import boto3

from history_writer.overflow_bucket import OverflowBucket
from history_writer.writer import HistoryWriter
from operations.errors import RefusedError
from operations.execution.operator_name import caller_name
from replica_writer.assumed_role import session_as
from replica_writer.look_queue import LookQueue
from replica_writer.settle import Settler
from replica_writer.tables import ReplicaTable, SourceTable
from reports.access.clients import CLIENT_CONFIG
from reports.access.clients import dynamodb_client as reading_client
from reports.access.row_reader import RowReader
from reports.deployment.watermark import WatermarkFinder
from reports.errors import TableNotFoundError
from reports.inputs.keys import KeySchema
from reports.states.watermark import Basis, Watermark
from stream_core.clients import CONCURRENCY, dynamodb_client, sqs_client

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client


@dataclass
class DeployedTables:
    """A source table and what was deployed next to it; a part that is not set is made at need.

    Attributes:
        time_shards: partitions an hour of the index `ByTime`, which rows are written under.
        replica_region: where the replica is; by default where the source is.
        replica_role_arn: the role that may write a replica in another account.
        second_look_queue: URL of the queue of items to look at once more.
        stack: the stack's name, whose metrics tell up to when the history is complete; by default
            the one that the history table's tag names.
        stream_arn: the stream that the stack reads; None where no stack was named.
        declared: up to when it is known to be complete; no stack is asked then.
        basis: what that has to rest on; None: on anything.
    """

    source_table: str
    session: boto3.Session
    endpoint_url: str | None = None
    history_table: str | None = None
    time_shards: int | None = None
    overflow_bucket: str | None = None
    quarantine_bucket: str | None = None
    replica_table: str | None = None
    replica_region: str | None = None
    replica_role_arn: str | None = None
    second_look_queue: str | None = None
    stack: str | None = None
    stream_arn: str | None = None
    declared: Watermark | None = None
    basis: Basis | None = None
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(CONCURRENCY))

    @cached_property
    def caller(self) -> str:
        """Who is at work, as AWS knows it."""
        return caller_name(self.session, self.endpoint_url)

    @cached_property
    def reader(self) -> RowReader:
        """Reads the history and the live items."""
        return self.reader_with(self.source_table)

    def reader_with(self, source_table: str | None) -> RowReader:
        """The same, with this source table or with none."""
        history = self._named(self.history_table, "history table")
        finder = WatermarkFinder(
            self.session, self.endpoint_url, history, self.stack, self.declared
        )
        return RowReader(
            self.dynamodb,
            self.s3,
            history,
            source_table,
            self.time_shards,
            find_watermark=finder.find,
            basis=self.basis,
        )

    @property
    def key_schema(self) -> KeySchema:
        """The key of the source, which has to be there to be written.

        Raises:
            TableNotFoundError: a table is not there.
        """
        # Of a history that is not there something else is to be said.
        _ = self.reader.horizon
        try:
            return self.reader.key_schema
        except TableNotFoundError as error:
            anew = "itemtrail restore --into TABLE makes it anew from its history"
            raise TableNotFoundError(f"{error}. If it was deleted, {anew}") from error

    @cached_property
    def dynamodb(self) -> "DynamoDBClient":
        """A client for reading in the source's region."""
        return reading_client(self.session, self.endpoint_url)

    @cached_property
    def s3(self) -> "S3Client":
        """A client for the buckets."""
        return self.session.client("s3", endpoint_url=self.endpoint_url, config=CLIENT_CONFIG)

    @cached_property
    def history_writer(self) -> HistoryWriter:
        """Appends rows as the Lambda function does."""
        if self.time_shards is None:
            raise RefusedError(
                "how many partitions an hour has the index ByTime? give --stack, or --time-shards "
                "as the stack's parameter TimeShards says"
            )
        return HistoryWriter(
            dynamodb_client(self.session, endpoint_url=self.endpoint_url),
            OverflowBucket(self.s3, self._named(self.overflow_bucket, "overflow bucket")),
            self._named(self.history_table, "history table"),
            self.time_shards,
            self.pool,
        )

    @cached_property
    def source(self) -> SourceTable:
        """Says what items are."""
        return SourceTable(
            dynamodb_client(self.session, endpoint_url=self.endpoint_url), self.source_table
        )

    @cached_property
    def replica(self) -> ReplicaTable:
        """Is made equal to the source."""
        name = self._named(self.replica_table, "replica table")
        return ReplicaTable(self.replica_client, name)

    @cached_property
    def replica_client(self) -> "DynamoDBClient":
        """A client for the replica, where and in whose account it is."""
        session = self.session
        if self.replica_role_arn:
            # boto3 has no other way to its own session, which knows the profile.
            session = session_as(self.replica_role_arn, session._session)  # noqa: SLF001
        region = self.replica_region or self.session.region_name or ""
        return dynamodb_client(session, region, self.endpoint_url)

    @cached_property
    def settler(self) -> Settler:
        """Makes items of the replica equal to the source."""
        queue = None
        if self.second_look_queue:
            sqs = sqs_client(self.session, self.endpoint_url)
            queue = LookQueue(sqs, self.second_look_queue)
        return Settler(self.replica, self.source, self.pool, queue=queue)

    def _named(self, name: str | None, what: str) -> str:
        if name is None:
            option = what.replace(" ", "-")
            raise RefusedError(f"which {what}? give --stack, or --{option} NAME")
        return name
