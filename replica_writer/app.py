"""The function's handler: wiring only."""

import os
from functools import cache
from typing import Any

from replica_writer.parts import settler_of
from replica_writer.settings import ReplicaSettings
from replica_writer.writer import ReplicaWriter
from stream_core.batch import BatchResponse, consume
from stream_core.clients import s3_client
from stream_core.observability import report
from stream_core.quarantine import Quarantine
from stream_core.retry import Patience

CONSUMER = "replica_writer"


@cache
def _parts() -> tuple[str, ReplicaWriter, Quarantine]:
    settings = ReplicaSettings.read(os.environ)
    quarantine = Quarantine(s3_client(), settings.quarantine_bucket, CONSUMER)
    return settings.source_table_arn, ReplicaWriter(settler_of(settings)), quarantine


def handler(event: dict[str, Any], context: Any) -> BatchResponse:
    """Bring a batch of stream records to the replica table."""
    table_arn, writer, quarantine = _parts()
    patience = Patience(context.get_remaining_time_in_millis)
    summary = consume(event, table_arn, writer.store, quarantine, patience, writer.store_malformed)
    report("ReplicaLagMs", summary)
    return summary.response
