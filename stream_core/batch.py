"""One invocation of a consumer: read the records, have them stored, account for every one.

The consumer's own part is a `store` function. What it cannot store now goes back to the event
source mapping, what can never be stored goes to quarantine, and nothing is passed over.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from botocore.exceptions import BotoCoreError, ClientError

from stream_core.change import Change, StreamRecord, read_record, read_sequence_number
from stream_core.errors import MalformedRecordError, UnstoredRecordError
from stream_core.quarantine import Quarantine
from stream_core.retry import Patience, Retry, classify, error_code

BatchResponse: TypeAlias = dict[str, list[dict[str, str]]]


@dataclass(frozen=True, slots=True)
class Delivery:
    """A record as it was delivered, with the change it was read to."""

    record: StreamRecord
    change: Change


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that can never be stored, and why."""

    record: StreamRecord
    error: Exception


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

    def note(self, error: ClientError | BotoCoreError) -> Retry:
        """Count an error for the log and say whether to try again."""
        self.errors[error_code(error)] += 1
        return classify(error)


Store: TypeAlias = Callable[[list[Delivery], Patience], Outcome]


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


def consume(
    records: Iterable[StreamRecord], store: Store, quarantine: Quarantine, patience: Patience
) -> Summary:
    """Have every record of a batch stored, quarantined or reported.

    Raises:
        ViewTypeError: the stream lacks images; nothing was written.
        UnstoredRecordError: a record that cannot be named to Lambda is not stored anywhere, so
            that only failing as a whole brings it back.
    """
    deliveries, outcome = _read(records)
    outcome.merge(store(deliveries, patience))
    remaining = patience.work_off(
        outcome.refused, lambda refusals: _quarantine(refusals, quarantine, outcome)
    )
    outcome.unstored += [refusal.record for refusal in remaining]
    newest = max((delivery.change.created_at for delivery in deliveries), default=None)
    return Summary(_response(outcome.unstored), outcome, newest)


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


def _quarantine(refusals: list[Refusal], quarantine: Quarantine, outcome: Outcome) -> list[Refusal]:
    """Quarantine records; returns those worth another attempt."""
    to_retry: list[Refusal] = []
    for refusal in refusals:
        try:
            quarantine.put(refusal.record, refusal.error)
        except (ClientError, BotoCoreError) as error:
            if outcome.note(error) is Retry.TRANSIENT:
                to_retry.append(refusal)
            else:
                outcome.unstored.append(refusal.record)
        else:
            outcome.counts["Quarantined"] += 1
    return to_retry


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
