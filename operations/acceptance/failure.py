"""A batch that Lambda gives up on: whether it is delivered to S3, and what of it."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from operations.acceptance.belief import (
    AttemptResult,
    Belief,
    UntriedError,
    confirmed,
    not_tried,
    refuted,
)
from operations.acceptance.function_metrics import counted
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
_FAILURES = "DestinationDeliveryFailures"
_EMULATOR = "the emulator delivers no failed batch"


@dataclass(frozen=True)
class GivenUpBatch:
    """A batch that Lambda delivered.

    Attributes:
        condition: why it was given up, in Lambda's words; empty: it does not say.
        was_tried: whether the function was given it, and failed.
        numbers: the sequence numbers of its records.
    """

    condition: str
    was_tried: bool
    numbers: frozenset[str]


@dataclass(frozen=True)
class ForcedFailure:
    """What Lambda delivered of the record that was made to fail.

    Attributes:
        number: the record's sequence number.
        batches: what came in time.
        undelivered: how often Lambda could not deliver, by its function's metric.
    """

    number: str
    batches: tuple[GivenUpBatch, ...]
    undelivered: float = 0

    @property
    def has_record(self) -> bool:
        """Whether the record was delivered."""
        return any(self.number in batch.numbers for batch in self.batches)

    @property
    def batch(self) -> GivenUpBatch:
        """The record's batch, or what was delivered instead."""
        return max(self.batches, key=lambda batch: self.number in batch.numbers)

    @property
    def left_out(self) -> frozenset[str]:
        """The records that the mapping's filter leaves out, and that were delivered."""
        return frozenset().union(*(batch.numbers for batch in self.batches)) - {self.number}


def failure_is_delivered(trial: Trial) -> AttemptResult:
    """A batch that fails is in the bucket, with the canary's record, by the writer's role."""
    failure = _failure(trial)
    if not failure.batches:
        # It may only be late.
        text = (
            f"no object within {_DELIVERY_WAIT_S:.0f} s; {_FAILURES} counts {failure.undelivered:g}"
        )
        return refuted(text) if failure.undelivered else not_tried(text)
    has_record = "with" if failure.has_record else "without"
    text = f"delivered ({failure.batch.condition or 'no condition'}), {has_record} its record"
    return confirmed(text) if failure.has_record else refuted(text)


def old_record_is_not_tried(trial: Trial) -> AttemptResult:
    """The same batch was older than the mapping's greatest age from the start."""
    batch = _delivered(trial).batch
    if not batch.condition:
        return not_tried("what was delivered names no condition")
    tried = "after its function failed" if batch.was_tried else "and its function has not failed"
    text = f"delivered for {batch.condition}, {tried}"
    return refuted(text) if batch.was_tried else confirmed(text)


def filter_comes_before_age(trial: Trial) -> AttemptResult:
    """The canary's earlier records, as old, were left out by the mapping's filter."""
    failure = _delivered(trial)
    if failure.left_out:
        return refuted(f"{len(failure.left_out)} records that the filter leaves out were delivered")
    return confirmed("the canary's last record was delivered, and none that came before it")


def _delivered(trial: Trial) -> ForcedFailure:
    """What was delivered, and the canary's record with it.

    Raises:
        UntriedError: it was not.
    """
    failure = _failure(trial)
    if not failure.has_record:
        raise UntriedError("its record was not delivered: see failure-is-delivered")
    return failure


def _failure(trial: Trial) -> ForcedFailure:
    """What became of the record, which is made to fail when it is asked for first."""
    if "failure" not in trial.notes:
        try:
            trial.notes["failure"] = _forced(trial)
        except (UntriedError, ClientError) as error:
            trial.notes["failure"] = error
    failure = trial.notes["failure"]
    if isinstance(failure, Exception):
        raise failure
    return failure  # type: ignore[no-any-return]


def _forced(trial: Trial) -> ForcedFailure:
    """Have a mapping of the temporary function give up on the record of the canary's end."""
    if not trial.stack.parameters.get("SampleSourceTableName"):
        # It has a filter, and nobody knows yet whether the filter or the age comes first.
        raise UntriedError(
            "records of other items might be delivered too (filter-comes-before-age): it is tried "
            "on a stack with SampleSourceTableName alone"
        )
    name, keys, first = probe_name(trial), _of_the_canary(trial), trial.row
    began, row = trial.machine.now(), trial.canary.end()
    if row is None:
        raise UntriedError(f"the row {first.sort_key} came, and none of the canary's end")
    if trial.wait_for(lambda: _is_old(trial, began) or None, 2 * _AGE_S) is None:
        raise UntriedError("the clock of this machine stands still")
    client, number = trial.client("lambda"), row.change.sequence_number
    mapping = client.create_event_source_mapping(
        FunctionName=name,
        EventSourceArn=row.change.event_source_arn,
        StartingPosition="TRIM_HORIZON",
        MaximumRetryAttempts=0,
        MaximumRecordAgeInSeconds=_AGE_S,
        DestinationConfig={"OnFailure": {"Destination": _bucket_arn(trial)}},
        # Its last record alone: once that is delivered, those before it have been passed.
        FilterCriteria={"Filters": [{"Pattern": json.dumps({"eventName": ["REMOVE"]} | keys)}]},
    )["UUID"]
    prefix = f"{FAILED_BATCHES}{mapping}/"
    trial.clean_up.later("the batch that failed", lambda: take_away(trial, prefix))
    trial.clean_up.later(f"the mapping {mapping}", lambda: _delete_mapping(trial, mapping))

    def look() -> ForcedFailure | None:
        came = ForcedFailure(number, tuple(map(_read, bodies(trial, prefix))))
        return came if came.has_record else None

    if (failure := trial.wait_for(look, _DELIVERY_WAIT_S)) is not None:
        return failure
    undelivered = counted(trial, _FAILURES, name, began)
    return ForcedFailure(number, tuple(map(_read, bodies(trial, prefix))), undelivered)


def _is_old(trial: Trial, moment: datetime) -> bool:
    return (trial.machine.now() - moment).total_seconds() > _AGE_S


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


def _read(body: bytes) -> GivenUpBatch:
    document = json.loads(body)
    condition = document.get("requestContext", {}).get("condition", "")
    was_tried = bool(document.get("responseContext", {}).get("functionError"))
    try:
        records = [record for batch in read_batches(body) for record in batch.records]
    except ItemtrailError:
        records = []
    numbers = (record.get("dynamodb", {}).get("SequenceNumber") for record in records)
    return GivenUpBatch(condition, was_tried, frozenset(filter(None, numbers)))


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
    Belief(
        "filter-comes-before-age",
        "A mapping's filter leaves a record out before its age is looked at: what no filter lets "
        "through is not delivered as failed.",
        "docs/deployment.md",
        filter_comes_before_age,
        _EMULATOR,
    ),
)
