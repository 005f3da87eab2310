"""Finding out up to when a history is complete: from its stack, as far as that can be read."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import boto3

from reports.access.bounded import OversizeError
from reports.access.clients import CLIENT_CONFIG
from reports.access.parallel import in_order
from reports.access.service_date import date_of
from reports.access.table_description import describe
from reports.deployment.delivery import FAILURES, Deliveries, Measured, QuietTime, watermark_of
from reports.deployment.stack import Consumer, Stack, TableRole
from reports.deployment.stack_reader import (
    FAILED_BATCHES,
    POINTERS,
    UNREADABLE,
    StackReader,
    reason_of,
)
from reports.errors import ReportError
from reports.states.stream_order import earliest_before
from reports.states.watermark import NoWatermark, Watermark

_STACK_TAG = "aws:cloudformation:stack-name"
# Lambda's most, for a stack that was deployed without saying so.
_LONGEST_TIMEOUT_S = 900
# Each is read; more of them are an incident that has to be seen to first.
_MOST_KEPT_ASIDE = 200
_POLLED = "PolledEventCount"
_AGE = "IteratorAge"
# Of the function; the others are counted by the mapping.
_OF_FUNCTION = {"Errors", "Throttles", _AGE}


@dataclass(frozen=True)
class WatermarkFinder:
    """Asks a stack, and finds it where it is not named.

    Attributes:
        history_table: whose watermark is wanted.
        stack: the name of the stack that writes it; None: the table's tag tells.
        declared: what the person who asks vouches for; then nothing is asked.
    """

    session: boto3.Session
    endpoint_url: str | None
    history_table: str
    stack: str | None = None
    declared: Watermark | None = None

    def find(self) -> Watermark | NoWatermark:
        """The watermark, or why there is none; an answer never fails for it."""
        if self.declared is not None:
            return self.declared
        try:
            name = self.stack or self._tagged()
            if name is None:
                return NoWatermark()
            stack = Stack.read(self.session, name, self.endpoint_url)
            if stack.history_table != self.history_table:
                return NoWatermark(f"stack '{name}' writes another history table")
            with StackReader(self.session, stack, self.endpoint_url) as reader:
                return stack_watermark(reader)
        except UNREADABLE as error:
            return _unreadable(error)

    def _tagged(self) -> str | None:
        client = self.session.client(
            "dynamodb", endpoint_url=self.endpoint_url, config=CLIENT_CONFIG
        )
        arn = describe(client, self.history_table).arn
        pages = client.get_paginator("list_tags_of_resource").paginate(ResourceArn=arn)
        tags = {tag["Key"]: tag["Value"] for page in pages for tag in page.get("Tags", [])}
        return tags.get(_STACK_TAG)


def stack_watermark(reader: StackReader) -> Watermark | NoWatermark:
    """Up to when the history of a stack is complete, or why that is not known."""
    try:
        return watermark_of(_delivery(reader))
    except UNREADABLE as error:
        return _unreadable(error)


def _unreadable(error: Exception) -> NoWatermark:
    return NoWatermark(
        f"up to when the history is complete cannot be read ({reason_of(error)}); "
        "--recorded-until says it where it is known"
    )


def _delivery(reader: StackReader) -> Deliveries:
    """What there is to know, in this order: what fails after the metrics are read is kept aside."""
    mapping: Mapping[str, Any] = reader.mapping(Consumer.HISTORY_WRITER)
    now = date_of(mapping)
    if now is None:
        raise ReportError("Lambda's answer does not say when it was given")
    source = reader.table(TableRole.SOURCE)
    timeout = timedelta(seconds=int(reader.stack.parameters.get("Timeout") or _LONGEST_TIMEOUT_S))
    measured, unmeasured = _measured(reader, QuietTime.before(now, timeout))
    age_s = int(mapping.get("MaximumRecordAgeInSeconds", -1))
    modified_at: datetime = mapping["LastModified"]
    return Deliveries(
        now=now,
        timeout=timeout,
        maximum_age=timedelta(seconds=age_s) if age_s > 0 else None,
        state=mapping["State"],
        modified_at=modified_at.astimezone(UTC),
        follows_latest=source.has_stream and source.stream_arn == mapping["EventSourceArn"],
        measured=measured,
        unmeasured=unmeasured,
        kept_aside=list(kept_aside(reader)),
    )


def _measured(reader: StackReader, window: QuietTime) -> tuple[Measured | None, str]:
    mapping = {"EventSourceMappingUUID": reader.stack.mapping_id(Consumer.HISTORY_WRITER)}
    function = {"FunctionName": reader.stack.function(Consumer.HISTORY_WRITER)}
    metrics = {
        name: function if name in _OF_FUNCTION else mapping for name in (*FAILURES, _POLLED, _AGE)
    }
    try:
        points = reader.metrics(metrics, window.begin, window.end + timedelta(minutes=1))
    except UNREADABLE as error:
        return None, f"the metrics cannot be read ({reason_of(error)})"
    age = timedelta(milliseconds=max(points[_AGE], default=0))
    if not points[_POLLED]:
        return Measured(age=age), "the mapping counts no events in the last half hour"
    if sum(points[_POLLED]) and not points[_AGE]:
        return Measured(age=age), "records were polled whose age is not known"
    failures = {name: sum(points[name]) for name in FAILURES}
    return Measured(was_polled=True, failures=failures, age=age), ""


def kept_aside(reader: StackReader) -> Iterator[datetime | None]:
    """For each object that the history lacks records of, the earliest stamp one of them may have.

    None is for an object that does not say of when it is.

    Raises:
        ReportError: there are too many of them to look at.
    """
    keys = [
        key
        for prefix in (Consumer.HISTORY_WRITER.quarantine, FAILED_BATCHES, POINTERS)
        for key in reader.object_keys(prefix)
        if not key.startswith(_of_the_replica(reader.stack))
    ]
    if len(keys) > _MOST_KEPT_ASIDE:
        raise ReportError(f"{len(keys)} objects are kept aside: redrive them")
    if any(key.startswith(POINTERS) for key in keys):
        yield None
        return
    yield from in_order(partial(_earliest_in, reader), keys)


def _earliest_in(reader: StackReader, key: str) -> datetime | None:
    try:
        return _earliest(reader.kept_object(key))
    except OversizeError:
        return None


def _of_the_replica(stack: Stack) -> tuple[str, ...]:
    """Where batches are that the history does not lack."""
    if Consumer.REPLICA_WRITER not in stack.consumers:
        return ()
    return (f"{FAILED_BATCHES}{stack.mapping_id(Consumer.REPLICA_WRITER)}/",)


def _earliest(body: bytes) -> datetime | None:
    """The earliest stamp that a quarantined record, or one of a batch given up on, may have.

    Of a batch Lambda names the first and the last arrival, and times between may go back.
    """
    try:
        match json.loads(body):
            case {"Record": {"dynamodb": {"ApproximateCreationDateTime": int() | float() as at}}}:
                return datetime.fromtimestamp(at, UTC)
            case {
                "DDBStreamBatchInfo": {
                    "approximateArrivalOfFirstRecord": str(first),
                    "approximateArrivalOfLastRecord": str(last),
                }
            }:
                return earliest_before(min(_arrival(first), _arrival(last)))
    except (ValueError, RecursionError, OverflowError, OSError):
        pass
    return None


def _arrival(text: str) -> datetime:
    arrival = datetime.fromisoformat(text)
    return arrival if arrival.tzinfo else arrival.replace(tzinfo=UTC)
