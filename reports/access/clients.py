"""The boto3 clients on a person's machine: they give up soon enough to say so."""

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from stream_core.clients import send_items_as_they_stand, take_answers_as_they_stand

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Requests under way at the same time: the network is busy, and one interpreter keeps up.
CONCURRENCY = 8
CLIENT_CONFIG = Config(
    # Adaptive mode would slow every thread down for the throttling of one partition.
    retries={"mode": "standard", "total_max_attempts": 5},
    connect_timeout=5,
    read_timeout=30,
    max_pool_connections=2 * CONCURRENCY,
    # As the consumers': botocore puts its own text together anew for every request.
    user_agent="itemtrail",
)


def dynamodb_client(session: boto3.Session, endpoint_url: str | None) -> "DynamoDBClient":
    """A DynamoDB client of a person: whole tables go through it, so it reads and writes fast."""
    # A fifth of a small request's cost is botocore checking its arguments; the service does too.
    config = CLIENT_CONFIG.merge(Config(parameter_validation=False))
    client = session.client("dynamodb", endpoint_url=endpoint_url, config=config)
    reads = ("BatchGetItem", "ExecuteStatement", "GetItem", "Query", "Scan")
    send_items_as_they_stand(client)
    take_answers_as_they_stand(client, reads)
    return client
