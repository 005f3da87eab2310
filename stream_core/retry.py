"""Calls of one invocation: what their failures mean, and trying again while its deadline allows."""

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import TypeVar

from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError

from stream_core.clients import CONNECT_TIMEOUT_S, READ_TIMEOUT_S
from stream_core.errors import ItemtrailError, RefusedRecordError

T = TypeVar("T")

# The slowest request still comes back, or times out, before the invocation is ended, and a second
# is left to answer in: a request under way at the end would have the whole batch repeated.
MARGIN_MS = (CONNECT_TIMEOUT_S + READ_TIMEOUT_S + 1) * 1000
_FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 5.0
"""With less patience left than that there may be no other try."""


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
        "ConditionalRequestConflict",
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
# These refuse the credentials, whatever the request was.
_CREDENTIALS = frozenset({"AssumeRole", "AssumeRoleWithWebIdentity", "GetSessionToken"})
# How engines refuse the keys of a request: every item of the table would be refused alike.
_KEY_SCHEMA = re.compile(
    r"does not match the schema|missing the key |type mismatch for key "
    r"|required keys? was not given",
    re.IGNORECASE,
)


class CallError(ItemtrailError):
    """A call that did not succeed.

    Attributes:
        code: the service's own code for the error, or the name of the error's class.
        retry: whether it deserves another try.
        is_answered: False where the request may have taken effect, or may do so later.
    """

    def __init__(
        self, code: str, retry: "Retry", message: str, *, is_answered: bool = True
    ) -> None:
        """Keep what a consumer decides by."""
        super().__init__(message)
        self.code = code
        self.retry = retry
        self.is_answered = is_answered

    @classmethod
    def after(cls, error: Exception) -> "CallError":
        """What an error of any kind, raised by a call, means."""
        match error:
            case ClientError():
                answered = _status(error) < _SERVER_ERROR
            case _:
                answered = isinstance(error, EndpointConnectionError | ConnectTimeoutError)
        return cls(error_code(error), classify(error), str(error), is_answered=answered)


def error_code(error: Exception) -> str:
    """The service's own code for an error, or the name of its class: no item data is in it."""
    if isinstance(error, RefusedRecordError | CallError):
        return error.code
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "Unknown"))
    return type(error).__name__


def classify_code(code: str, message: str = "") -> Retry:
    """Whether the service's error code asks for another try.

    A refusal of the table's keys has the code of a bad record, and is known by its message.
    """
    name = code.removesuffix("Exception")
    if name in _TRANSIENT:
        return Retry.TRANSIENT
    if name in _PERMANENT and not _KEY_SCHEMA.search(message):
        return Retry.PERMANENT
    return Retry.UNKNOWN


def classify(error: Exception) -> Retry:
    """Whether a failed call asks for another try."""
    if isinstance(error, HTTPClientError | BotoConnectionError):
        return Retry.TRANSIENT
    if not isinstance(error, ClientError) or error.operation_name in _CREDENTIALS:
        return Retry.UNKNOWN
    if _status(error) >= _SERVER_ERROR:
        return Retry.TRANSIENT
    if _status(error) == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return Retry.PERMANENT
    return classify_code(error_code(error), error.response.get("Error", {}).get("Message", ""))


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


@dataclass(frozen=True)
class Patience:
    """How long an invocation may go on trying: every request of a consumer is made through it.

    Attributes:
        remaining_ms: milliseconds until the invocation is ended, as the Lambda context gives it.
        sleep: pauses for so many seconds.
        jitter: a random number in [0, 1).
    """

    remaining_ms: Callable[[], int]
    sleep: Callable[[float], object] = time.sleep
    jitter: Callable[[], float] = random.random

    def may_start(self) -> bool:
        """Whether a request that starts now still ends before the invocation does."""
        return self.remaining_ms() >= MARGIN_MS

    def call(self, request: Callable[[], T]) -> T:
        """Make a request and read its answer.

        Only what is positively an answer is a success: an error of whatever kind, also while the
        answer is read, is a failed call.

        Raises:
            CallError: the request was not started, failed, or its answer cannot be read.
        """
        if not self.may_start():
            raise CallError("OutOfTime", Retry.UNKNOWN, "no time for a request is left")
        try:
            return request()
        except Exception as error:
            raise CallError.after(error) from error

    def work_off(self, pending: list[T], attempt: Callable[[list[T]], list[T]]) -> list[T]:
        """Attempt some work, then again what is left of it, pausing in between.

        Source of the scheme: AWS Architecture Blog, "Exponential Backoff And Jitter".

        Args:
            pending: the pieces of work.
            attempt: tries some pieces once and returns those worth another attempt.

        Returns:
            What was still left when time ran out; all of it, if no request could start.
        """
        ceiling_s = _FIRST_PAUSE_S
        while pending and self.may_start():
            pending = attempt(pending)
            pause_s = self.jitter() * ceiling_s
            if not pending or self.remaining_ms() - pause_s * 1000 <= MARGIN_MS:
                break
            self.sleep(pause_s)
            ceiling_s = min(LONGEST_PAUSE_S, ceiling_s * 2)
        return pending
