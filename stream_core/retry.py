"""Trying again within one invocation: full-jitter backoff while its deadline leaves time."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError

from stream_core.clients import CONNECT_TIMEOUT_S, READ_TIMEOUT_S
from stream_core.errors import RefusedRecordError

T = TypeVar("T")

# The slowest request still comes back, or times out, before the invocation is ended, and a second
# is left to answer in: a request under way at the end would have the whole batch repeated.
MARGIN_MS = (CONNECT_TIMEOUT_S + READ_TIMEOUT_S + 1) * 1000
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 5.0


@dataclass(frozen=True)
class Patience:
    """How long an invocation may go on trying.

    Attributes:
        remaining_ms: milliseconds until the invocation is ended, as the Lambda context gives it.
        sleep: pauses for so many seconds.
        jitter: a random number in [0, 1).
    """

    remaining_ms: Callable[[], int]
    sleep: Callable[[float], object] = time.sleep
    jitter: Callable[[], float] = random.random

    def work_off(self, pending: list[T], attempt: Callable[[list[T]], list[T]]) -> list[T]:
        """Attempt some work, then again what is left of it, pausing in between.

        Source of the scheme: AWS Architecture Blog, "Exponential Backoff And Jitter".

        Args:
            pending: the pieces of work.
            attempt: tries some pieces once and returns those worth another attempt.

        Returns:
            What was still left when time ran out.
        """
        ceiling_s = _FIRST_PAUSE_S
        while pending:
            pending = attempt(pending)
            pause_s = self.jitter() * ceiling_s
            if not pending or self.remaining_ms() - pause_s * 1000 < MARGIN_MS:
                break
            self.sleep(pause_s)
            ceiling_s = min(_LONGEST_PAUSE_S, ceiling_s * 2)
        return pending


class Retry(Enum):
    """Whether a failed request deserves another try."""

    TRANSIENT = "transient"
    """Try again, in this invocation and then through the event source mapping."""
    PERMANENT = "permanent"
    """The request's content was refused: isolate the record and quarantine it."""
    UNKNOWN = "unknown"
    """Not the record's fault, as far as can be told (a missing permission or table):
    leave it to the event source mapping, so that nothing is lost once it is put right."""


# Error codes of the API reference (CommonErrors, BatchExecuteStatement, BatchWriteItem); the
# PartiQL forms inside a 200 answer come without the "Exception" suffix.
_TRANSIENT = frozenset(
    {
        "InternalServerError",
        "InternalFailure",
        "ItemCollectionInUse",
        "LimitExceeded",
        "ProvisionedThroughputExceeded",
        "ReplicatedWriteConflict",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingError",
        "TransactionConflict",
        "TransactionInProgress",
    }
)
_PERMANENT = frozenset(
    {
        "EntityTooLarge",
        "ItemCollectionSizeLimitExceeded",
        "RequestEntityTooLarge",
        "Serialization",
        "Validation",
        "ValidationError",
    }
)
_SERVER_ERROR = 500


def error_code(error: Exception) -> str:
    """The service's own code for an error, or the name of its class: no item data is in it."""
    if isinstance(error, RefusedRecordError):
        return error.code
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "Unknown"))
    return type(error).__name__


def classify_code(code: str) -> Retry:
    """Whether the service's error code asks for another try."""
    name = code.removesuffix("Exception")
    if name in _TRANSIENT:
        return Retry.TRANSIENT
    if name in _PERMANENT:
        return Retry.PERMANENT
    return Retry.UNKNOWN


def classify(error: BotoCoreError | ClientError) -> Retry:
    """Whether a failed call asks for another try."""
    if isinstance(error, HTTPClientError | BotoConnectionError):
        return Retry.TRANSIENT
    if isinstance(error, ClientError):
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= _SERVER_ERROR:
            return Retry.TRANSIENT
        return classify_code(error_code(error))
    return Retry.UNKNOWN
