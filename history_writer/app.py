"""The function's handler: wiring only."""

import os
from functools import cache
from typing import Any

from history_writer.overflow_bucket import OverflowBucket
from history_writer.settings import HistorySettings
from history_writer.writer import HistoryWriter
from stream_core.batch import BatchResponse, consume
from stream_core.clients import dynamodb_client, s3_client
from stream_core.observability import report
from stream_core.quarantine import Quarantine
from stream_core.retry import Patience

CONSUMER = "history_writer"


@cache
def _parts() -> tuple[str, HistoryWriter, Quarantine]:
    settings = HistorySettings.read(os.environ)
    s3 = s3_client()
    writer = HistoryWriter(
        dynamodb=dynamodb_client(),
        overflow=OverflowBucket(s3, settings.overflow_bucket),
        history_table=settings.history_table,
        time_shards=settings.time_shards,
    )
    return settings.source_table_arn, writer, Quarantine(s3, settings.quarantine_bucket, CONSUMER)


def handler(event: dict[str, Any], context: Any) -> BatchResponse:
    """Write a batch of stream records into the history table."""
    table_arn, writer, quarantine = _parts()
    patience = Patience(context.get_remaining_time_in_millis)
    summary = consume(event, table_arn, writer.store, quarantine, patience)
    report("HistoryLagMs", summary)
    return summary.response
