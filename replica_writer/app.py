"""The function's handler: wiring only."""

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from replica_writer.assumed_role import session_as
from replica_writer.settings import ReplicaSettings
from replica_writer.settle import Settler
from replica_writer.tables import ReplicaTable, SourceTable
from replica_writer.writer import ReplicaWriter
from stream_core.batch import BatchResponse, consume
from stream_core.clients import dynamodb_client, s3_client
from stream_core.observability import report
from stream_core.quarantine import Quarantine
from stream_core.retry import Patience

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CONSUMER = "replica_writer"


@cache
def _parts() -> tuple[str, ReplicaWriter, Quarantine]:
    settings = ReplicaSettings.read(os.environ)
    replica = ReplicaTable(_replica_client(settings), settings.replica_table)
    source = SourceTable(dynamodb_client(), settings.source_table)
    writer = ReplicaWriter(Settler(replica, source if settings.settle else None))
    s3 = s3_client()
    return settings.source_table_arn, writer, Quarantine(s3, settings.quarantine_bucket, CONSUMER)


def _replica_client(settings: ReplicaSettings) -> "DynamoDBClient":
    session = session_as(settings.replica_role_arn) if settings.replica_role_arn else None
    return dynamodb_client(session, settings.replica_region)


def handler(event: dict[str, Any], context: Any) -> BatchResponse:
    """Bring a batch of stream records to the replica table."""
    table_arn, writer, quarantine = _parts()
    patience = Patience(context.get_remaining_time_in_millis)
    summary = consume(event, table_arn, writer.store, quarantine, patience)
    report("ReplicaLagMs", summary)
    return summary.response
