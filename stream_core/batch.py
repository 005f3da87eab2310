"""One invocation of a consumer: read the records, have them stored, account for every one.

The consumer's own part is a `store` function. What it cannot store now goes back to the event
source mapping, what can never be stored goes to quarantine, and nothing is passed over.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from stream_core.change import Change, StreamRecord, read_record, read_sequence_number
from stream_core.errors import (
    EventError,
    ForeignRecordError,
    IntegrityError,
    MalformedRecordError,
    UnstoredRecordError,
)
from stream_core.history_row import RedrivenFrom
from stream_core.quarantine import Quarantine, Refusal
from stream_core.retry import CallError, Patience, Retry

BatchResponse: TypeAlias = dict[str, list[dict[str, str]]]


@dataclass(frozen=True, slots=True)
class Delivery:
    """A record as it was delivered, with the change it was read to.

    Attributes:
        redriven_from: set where no stream delivered it.
    """

    record: StreamRecord
    change: Change
    redriven_from: RedrivenFrom | None = None


@dataclass
class Outcome:
    """What became of some records; those in neither list are stored.

    Attributes:
        unstored: to be delivered again.
        refused: to be quarantined.
        counts: the consumer's metrics, by name.
        errors: codes of the errors met, for the log.
    """

    unstored: list[StreamRecord] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def merge(self, other: "Outcome") -> None:
        """Take over what became of some other records."""
        self.unstored += other.unstored
        self.refused += other.refused
        self.counts += other.counts
        self.errors += other.errors

    def note(self, error: CallError) -> Retry:
        """Count an error for the log and say whether to try again."""
        self.errors[error.code] += 1
        return error.retry


Store: TypeAlias = Callable[[list[Delivery], Patience], Outcome]
StoreMalformed: TypeAlias = Callable[[list[Refusal], Patience], Outcome]


@dataclass(frozen=True)
class Summary:
    """One batch, accounted for.

    Attributes:
        response: what the handler returns to Lambda.
        newest: the time of the newest change read, None where none could be.
    """

    response: BatchResponse
    outcome: Outcome
    newest: datetime | None


def consume(  # noqa: PLR0913, PLR0917 - what an invocation is made of
    event: object,
    table_arn: str,
    store: Store,
    quarantine: Quarantine,
    patience: Patience,
    store_malformed: StoreMalformed | None = None,
) -> Summary:
    """Have every record of a batch stored, quarantined or reported.

    Args:
        event: what Lambda called the function with.
        table_arn: the followed table, whose records alone are taken.
        store: the consumer's own part.
        quarantine: where refused records go.
        patience: how long the invocation may go on.
        store_malformed: what the consumer can do for records that cannot be read; by default
            nothing, and they are quarantined.

    Raises:
        EventError: it is no batch of records; nothing was written.
        ForeignRecordError: a record is of another table; nothing was written.
        ViewTypeError: the stream lacks images; nothing was written.
        UnstoredRecordError: a record that cannot be named to Lambda is not stored anywhere, so
            that only failing as a whole brings it back.
    """
    records = _records_of(event)
    for record in records:
        require_stream_of(table_arn, record)
    deliveries, outcome = _read(records)
    if store_malformed is not None:
        malformed, outcome.refused = outcome.refused, []
        outcome.merge(store_malformed(malformed, patience))
    outcome.merge(store(deliveries, patience))
    if _is_refused_alike(outcome.refused, records):
        # Whatever is wrong, it is not with each of these records.
        outcome.counts["RefusedAlike"] += 1
        outcome.unstored += [refusal.record for refusal in outcome.refused]
        outcome.refused = []
    pending = patience.work_off(
        outcome.refused, lambda refusals: _quarantine(refusals, quarantine, patience, outcome)
    )
    outcome.unstored += [refusal.record for refusal in pending]
    if outcome.unstored:
        outcome.counts["Unstored"] += len(outcome.unstored)
    newest = max((delivery.change.created_at for delivery in deliveries), default=None)
    return Summary(_response(outcome.unstored), outcome, newest)


def require_stream_of(table_arn: str, record: object) -> None:
    """See that a record comes from a stream of a table.

    Raises:
        ForeignRecordError: it does not, or does not say where it comes from.
    """
    arn = record.get("eventSourceARN") if isinstance(record, Mapping) else None
    if not isinstance(arn, str) or not arn.startswith(f"{table_arn}/stream/"):
        raise ForeignRecordError(
            f"a record is of the stream {arn}, not of a stream of {table_arn}: none of its batch "
            "is written; have the function read the stream of the table that it follows"
        )


def _records_of(event: object) -> list[StreamRecord]:
    records = event.get("Records") if isinstance(event, Mapping) else None
    if not isinstance(records, list):
        raise EventError("the event has no list of Records: it is not of an event source mapping")
    return records


def _read(records: Iterable[StreamRecord]) -> tuple[list[Delivery], Outcome]:
    deliveries: list[Delivery] = []
    outcome = Outcome()
    for record in records:
        try:
            deliveries.append(Delivery(record, read_record(record)))
        except MalformedRecordError as error:
            outcome.refused.append(Refusal(record, error))
            outcome.errors[str(error)] += 1
    outcome.counts["RecordsRead"] = len(deliveries) + len(outcome.refused)
    return deliveries, outcome


def _is_refused_alike(refused: list[Refusal], records: list[StreamRecord]) -> bool:
    """Whether all of a batch is refused for one reason, and it is a batch of more than one item.

    Tables, roles and streams that are set up differently from what the function expects refuse
    every record; a record that cannot be stored is seldom the whole of a batch. A stored row with
    another content is a finding about that row, whatever the others are.
    """
    if not refused:
        return False
    reasons = {
        f"{type(refusal.error).__name__} {getattr(refusal.error, 'code', refusal.error)}"
        for refusal in refused
        if not isinstance(refusal.error, IntegrityError)
    }
    items = {_keys_as_delivered(record) for record in records}
    # A consumer refuses each record, or each item by its last record.
    return len(reasons) == 1 and len(items) > 1 and len(refused) in (len(records), len(items))


def _keys_as_delivered(record: StreamRecord) -> str:
    body = record.get("dynamodb")
    return repr(body.get("Keys") if isinstance(body, Mapping) else None)


def _quarantine(
    refusals: list[Refusal], quarantine: Quarantine, patience: Patience, outcome: Outcome
) -> list[Refusal]:
    """Quarantine records; returns those worth another attempt."""
    retries: list[Refusal] = []
    for refusal, error in zip(refusals, quarantine.put_all(refusals, patience), strict=True):
        if error is None:
            outcome.counts["Quarantined"] += 1
        elif outcome.note(error) is Retry.TRANSIENT:
            retries.append(refusal)
        else:
            outcome.unstored.append(refusal.record)
    return retries


def _response(unstored: list[StreamRecord]) -> BatchResponse:
    """Name the lowest unstored record: Lambda delivers again from there on.

    Source: Lambda Developer Guide, "Configuring partial batch response with DynamoDB".
    """
    if not unstored:
        return {"batchItemFailures": []}
    try:
        # As integers: sequence numbers differ in length.
        lowest = min(map(read_sequence_number, unstored), key=int)
    except MalformedRecordError as error:
        raise UnstoredRecordError(
            f"{len(unstored)} records are not stored, one of them without a sequence number"
        ) from error
    return {"batchItemFailures": [{"itemIdentifier": lowest}]}
