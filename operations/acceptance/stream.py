"""What becomes of a change on its way from the stream into history and replica."""

import base64
import contextlib
import json
from dataclasses import dataclass
from typing import Any

from operations.acceptance.belief import (
    AttemptResult,
    Belief,
    UntriedError,
    confirmed,
    is_denied,
    not_tried,
    refuted,
)
from operations.acceptance.canary import ROW_WAIT_S
from operations.acceptance.kept_objects import bodies, take_away
from operations.acceptance.trial import Trial
from reports.deployment.stack import Consumer
from stream_core.history_row import HistoryRow

_MOST_DELAY_S = 60
_REPLICA_WAIT_S = 60.0
# As answers to a token that is not known, or known of another request.
_TOKEN_IGNORED = frozenset(
    {
        "ConditionalCheckFailedException",
        "IdempotentParameterMismatchException",
        "TransactionCanceledException",
    }
)
# Not strict base64: no writer may store this, and none may lose it.
_POISON = {"B": "not base64"}


def put_becomes_row(trial: Trial) -> AttemptResult:
    """The canary's row is there, and soon."""
    window = int(trial.stack.parameters.get("MaximumBatchingWindowInSeconds") or 0)
    if trial.canary.row is None:
        return refuted(f"no row within {ROW_WAIT_S:.0f} s: itemtrail doctor says more")
    seconds = trial.canary.row_ms / 1000
    text = f"{seconds:.1f} s from the write until the row was read"
    return confirmed(text) if seconds <= window + _MOST_DELAY_S else refuted(text)


def replica_is_equal(trial: Trial) -> AttemptResult:
    """The replica has the canary as the source has it."""
    if Consumer.REPLICA_WRITER not in trial.stack.consumers:
        return not_tried("the stack has no replica (Consumers=history)")
    began = trial.machine.clock()

    def look() -> bool | None:
        return True if trial.canary.replica_item() == trial.canary.item else None

    place = trial.stack.replica_region
    if trial.wait_for(look, _REPLICA_WAIT_S) is None:
        return refuted(f"the replica in {place} differs after {_REPLICA_WAIT_S:.0f} s")
    return confirmed(
        f"equal in {place}, {trial.machine.clock() - began:.1f} s after the history had the row"
    )


def transaction_token_repeats(trial: Trial) -> AttemptResult:
    """The canary's first write was sent twice with a token."""
    code = trial.canary.repeated
    text = f"the same TransactWriteItems once more: {code or 'a success'}"
    if code is None:
        return confirmed(text)
    return refuted(text) if code in _TOKEN_IGNORED else not_tried(text)


def redelivery_is_known(trial: Trial) -> AttemptResult:
    """The deployed function, given the canary's record once more, takes it for a duplicate."""
    answer = _delivered(trial, [_record(trial.row)])
    is_known = not answer.failures and answer.counts.get("Duplicates") == 1
    return _judged(answer, str(answer), as_believed=is_known)


def poison_is_isolated(trial: Trial) -> AttemptResult:
    """The deployed function, given a record that cannot be read beside one that can."""
    good, poison = _record(trial.row), _record(trial.row)
    # Shorter than any that DynamoDB gives.
    number = str(int(trial.canary.run, 16))
    poison["dynamodb"] |= {"NewImage": {"poison": _POISON}, "SequenceNumber": number}
    # Of another item: records that are all refused alike are nobody's poison.
    poison["dynamodb"]["Keys"] = {"poison": {"S": trial.canary.run}}
    prefix = f"{Consumer.HISTORY_WRITER.quarantine}{number}-"
    trial.clean_up.later("the quarantined record", lambda: take_away(trial, prefix))
    answer = _delivered(trial, [good, poison])
    is_kept = any(json.loads(body).get("Record") == poison for body in bodies(trial, prefix))
    text = f"{answer}; {'' if is_kept else 'not '}whole in quarantine"
    return _judged(answer, text, as_believed=is_kept and not answer.failures)


@dataclass(frozen=True)
class _InvocationAnswer:
    """What an invocation of the history writer came to.

    Attributes:
        failures: how many records it wants once more.
        counts: its metrics, from the line that it logs.
        errors: the codes of what it met.
    """

    failures: int
    counts: dict[str, int]
    errors: dict[str, int]

    def __str__(self) -> str:
        counts = {**self.counts, **self.errors}
        counted = ", ".join(f"{name} {count}" for name, count in counts.items())
        return f"batchItemFailures {self.failures}; {counted or 'nothing counted'}"


def _judged(answer: _InvocationAnswer, text: str, *, as_believed: bool) -> AttemptResult:
    """What an invocation shows: one that met a throttle, and lacked no right, shows nothing."""
    if as_believed:
        return confirmed(text)
    hindered = answer.errors and not any(map(is_denied, answer.errors))
    return not_tried(text) if hindered else refuted(text)


def _delivered(trial: Trial, records: list[dict[str, Any]]) -> _InvocationAnswer:
    """Invoke the deployed history writer with records, as its mapping does.

    Raises:
        UntriedError: its log line was not answered.
    """
    answer = trial.client("lambda").invoke(
        FunctionName=trial.stack.function(Consumer.HISTORY_WRITER),
        Payload=json.dumps({"Records": records}).encode(),
        LogType="Tail",
    )
    body = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        return _InvocationAnswer(len(records), {}, {body.get("errorType", "FunctionError"): 1})
    for line in base64.b64decode(answer.get("LogResult", "")).splitlines():
        logged = None
        # The first line may be cut, and others are Lambda's own.
        with contextlib.suppress(ValueError):
            logged = json.loads(line)
        match logged:
            case {"message": "batch", "counts": dict(counts), "errors": dict(errors)}:
                return _InvocationAnswer(len(body["batchItemFailures"]), counts, errors)
    raise UntriedError("its log line is not in the answer: is LogLevel above INFO?")


def _record(row: HistoryRow) -> dict[str, Any]:
    """The stream record that a row was made of, as Lambda delivers it."""
    change = row.change
    body: dict[str, Any] = {
        "ApproximateCreationDateTime": change.created_at.timestamp(),
        "Keys": change.keys,
        "SequenceNumber": change.sequence_number,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
        "NewImage": change.new_image,
    }
    if change.size_bytes is not None:
        body["SizeBytes"] = change.size_bytes
    record = {
        "eventName": change.event_name.value,
        "eventSource": "aws:dynamodb",
        "eventVersion": "1.1",
        "eventSourceARN": change.event_source_arn,
        "dynamodb": body,
    }
    if change.event_id is not None:
        record["eventID"] = change.event_id
    if change.aws_region is not None:
        record["awsRegion"] = change.aws_region
    return json.loads(json.dumps(record, default=_base64))  # type: ignore[no-any-return]


def _base64(binary: bytes) -> str:
    return base64.b64encode(binary).decode("ascii")


BELIEFS = (
    Belief(
        "put-becomes-row",
        f"A change is a row within {_MOST_DELAY_S} seconds and the batching window.",
        "docs/consumers.md",
        put_becomes_row,
    ),
    Belief(
        "replica-is-equal",
        "An item is the same in the replica, also in another region.",
        "docs/consumers.md",
        replica_is_equal,
    ),
    Belief(
        "token-repeats-succeed",
        "A TransactWriteItems that is sent once more with its token succeeds, also where its "
        "condition does not hold any more.",
        "docs/operations.md",
        transaction_token_repeats,
    ),
    Belief(
        "redelivery-is-known",
        "The deployed history writer reads the digest of a row that is there, and takes a "
        "redelivered record for success.",
        "template.yaml",
        redelivery_is_known,
    ),
    Belief(
        "poison-is-isolated",
        "A record that cannot be read is kept whole in the quarantine bucket, and the records "
        "beside it are stored.",
        "docs/consumers.md",
        poison_is_isolated,
    ),
)
