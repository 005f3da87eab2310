"""The handler of the second look: wiring only."""

import os
from functools import cache
from typing import Any

from replica_writer.look import SecondLook
from replica_writer.parts import settler_of
from replica_writer.settings import ReplicaSettings
from replica_writer.tables import SourceTable
from stream_core.batch import BatchResponse, Outcome, Summary
from stream_core.errors import SettingsError
from stream_core.observability import report
from stream_core.retry import Patience

# A look is late on purpose.
_NO_LAG = ""


@cache
def _parts() -> SecondLook:
    settler = settler_of(ReplicaSettings.read(os.environ))
    if settler.queue is None:
        raise SettingsError("wrong settings: SECOND_LOOK_QUEUE is not set")
    replica = SourceTable(settler.replica.client, settler.replica.name)
    return SecondLook(settler, replica, settler.queue)


def handler(event: dict[str, Any], context: Any) -> BatchResponse:
    """Look at the items of some messages; those that are not done with stay in the queue."""
    second_look = _parts()
    patience = Patience(context.get_remaining_time_in_millis)
    outcome = Outcome()
    failures = [
        {"itemIdentifier": message["messageId"]}
        for message in event["Records"]
        if not second_look.take(message["body"], patience, outcome)
    ]
    response: BatchResponse = {"batchItemFailures": failures}
    report(_NO_LAG, Summary(response, outcome, None))
    return response
