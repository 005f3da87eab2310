"""The parts of both handlers, made of their settings."""

from replica_writer.assumed_role import session_as
from replica_writer.look_queue import LookQueue
from replica_writer.settings import ReplicaSettings
from replica_writer.settle import Settler
from replica_writer.tables import ReplicaTable, SourceTable
from stream_core.clients import dynamodb_client, sqs_client


def settler_of(settings: ReplicaSettings) -> Settler:
    """What makes items of the replica equal to the source."""
    session = session_as(settings.replica_role_arn) if settings.replica_role_arn else None
    queue_url = settings.second_look_queue
    return Settler(
        ReplicaTable(dynamodb_client(session, settings.replica_region), settings.replica_table),
        SourceTable(dynamodb_client(), settings.source_table) if settings.settle else None,
        queue=LookQueue(sqs_client(), queue_url) if queue_url else None,
    )
