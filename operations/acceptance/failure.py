"""A batch that Lambda gives up on: whether it is delivered to S3, and what of it."""

import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from operations.acceptance.belief import (
    AttemptResult,
    Belief,
    UntriedError,
    confirmed,
    refuted,
)
from operations.acceptance.kept_objects import bodies, take_away
from operations.acceptance.probe import probe_name
from operations.acceptance.trial import Trial
from operations.redrive.objects import read_batches
from reports.deployment.stack_reader import FAILED_BATCHES
from stream_core.errors import ItemtrailError
from stream_core.retry import error_code

# The least that Lambda takes.
_AGE_S = 60
_DELIVERY_WAIT_S = 600.0
_DELETED_WAIT_S = 120.0
_EMULATOR = "the emulator delivers no failed batch"


@dataclass(frozen=True)
class GivenUpBatch:
    """What Lambda delivered of the batch that was made to fail.

    Attributes:
        condition: why it was given up, in Lambda's words.
        has_record: whether the canary's record is in it.
    """

    condition: str
    has_record: bool


def failure_is_delivered(trial: Trial) -> AttemptResult:
    """A batch that fails is in the bucket, with the canary's record, by the writer's role."""
    batch = _given_up(trial)
    if batch is None:
        return refuted(f"no object within {_DELIVERY_WAIT_S:.0f} s")
    text = f"delivered ({batch.condition}), {'with' if batch.has_record else 'without'} its record"
    return confirmed(text) if batch.has_record else refuted(text)


def old_record_is_not_tried(trial: Trial) -> AttemptResult:
    """The same batch was older than the mapping's greatest age from the start."""
    batch = _given_up(trial)
    if batch is None:
        raise UntriedError("nothing was delivered: see failure-is-delivered")
    text = f"the condition is {batch.condition}"
    return confirmed(text) if "age" in batch.condition.lower() else refuted(text)


def _given_up(trial: Trial) -> GivenUpBatch | None:
    """What became of the batch, which is made to fail when it is asked for first."""
    if "batch" not in trial.notes:
        try:
            trial.notes["batch"] = _forced(trial)
        except (UntriedError, ClientError) as error:
            trial.notes["batch"] = error
    batch = trial.notes["batch"]
    if isinstance(batch, Exception):
        raise batch
    return batch  # type: ignore[no-any-return]


def _forced(trial: Trial) -> GivenUpBatch | None:
    """Have a mapping of the temporary function give up on the canary's record."""
    name, row = probe_name(trial), trial.row
    is_old = trial.wait_for(lambda: _is_old(trial) or None, 2 * _AGE_S)
    if is_old is None:
        raise UntriedError("the clock of this machine stands still")
    mapping = trial.client("lambda").create_event_source_mapping(
        FunctionName=name,
        EventSourceArn=row.change.event_source_arn,
        StartingPosition="TRIM_HORIZON",
        MaximumRetryAttempts=0,
        MaximumRecordAgeInSeconds=_AGE_S,
        DestinationConfig={"OnFailure": {"Destination": _bucket_arn(trial)}},
        # No other item's record reaches the function, or the bucket.
        FilterCriteria={"Filters": [{"Pattern": json.dumps(_of_the_canary(trial))}]},
    )["UUID"]
    prefix = f"{FAILED_BATCHES}{mapping}/"
    trial.clean_up.later("the batch that failed", lambda: take_away(trial, prefix))
    trial.clean_up.later(f"the mapping {mapping}", lambda: _delete_mapping(trial, mapping))
    read: list[GivenUpBatch] = []

    def look() -> GivenUpBatch | None:
        read[:] = [_read(body, row.change.sequence_number) for body in bodies(trial, prefix)]
        return next((batch for batch in read if batch.has_record), None)

    return trial.wait_for(look, _DELIVERY_WAIT_S) or next(iter(read), None)


def _is_old(trial: Trial) -> bool:
    return (trial.machine.now() - trial.canary.began).total_seconds() > _AGE_S


def _bucket_arn(trial: Trial) -> str:
    return f"arn:{trial.partition}:s3:::{trial.stack.quarantine_bucket}"


def _of_the_canary(trial: Trial) -> dict[str, Any]:
    """A filter for the canary's records; a stream's records have a key's value as text."""
    keys = {
        name: {tag: [text]}
        for name, value in trial.canary.keys.items()
        for tag, text in value.items()
    }
    if any("B" in value for value in keys.values()):
        raise UntriedError("no filter is known that names a binary key")
    return {"dynamodb": {"Keys": keys}}


def _read(body: bytes, sequence_number: str) -> GivenUpBatch:
    condition = json.loads(body).get("requestContext", {}).get("condition", "unknown")
    try:
        records = [record for batch in read_batches(body) for record in batch.records]
    except ItemtrailError:
        records = []
    numbers = {record.get("dynamodb", {}).get("SequenceNumber") for record in records}
    return GivenUpBatch(condition, sequence_number in numbers)


def _delete_mapping(trial: Trial, mapping: str) -> None:
    """Delete a mapping and wait until it is gone: it could deliver once more."""
    client = trial.client("lambda")

    def look() -> bool | None:
        try:
            state = client.get_event_source_mapping(UUID=mapping)["State"]
            if state not in ("Deleting", "Creating", "Updating"):
                client.delete_event_source_mapping(UUID=mapping)
        except ClientError as error:
            if error_code(error) == "ResourceNotFoundException":
                return True
            if error_code(error) != "ResourceInUseException":
                raise
        return None

    if trial.wait_for(look, _DELETED_WAIT_S) is None:
        raise UntriedError("it is being deleted still")


BELIEFS = (
    Belief(
        "failure-is-delivered",
        "Lambda delivers a batch that it gives up on to the quarantine bucket, with its records, "
        "by the rights of the function's role.",
        "template.yaml",
        failure_is_delivered,
        _EMULATOR,
    ),
    Belief(
        "old-record-is-not-tried",
        "A mapping gives its function no record that is older than MaximumRecordAgeInSeconds from "
        "the start, and delivers it as failed.",
        "docs/deployment.md",
        old_record_is_not_tried,
        _EMULATOR,
    ),
)
