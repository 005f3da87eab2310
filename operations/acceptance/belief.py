"""A belief about AWS, and what came of trying it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from operations.errors import OperationError
from stream_core.retry import error_code

if TYPE_CHECKING:
    from operations.acceptance.trial import Trial

DENIALS = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
"""The codes that refuse whoever asks, and not what is asked for."""
# What an account's own policies say, and the table's, as "Troubleshoot access denied error
# messages" of the IAM User Guide has it.
_BY_RESOURCE = "explicit deny in a resource-based policy"


class BeliefOutcome(StrEnum):
    """What trying a belief came to."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    NOT_TRIED = "not tried"


class UntriedError(OperationError):
    """A belief cannot be tried here; the message says why."""


@dataclass(frozen=True)
class AttemptResult:
    """What trying a belief came to, and by what that is known: no item's data but the canary's."""

    outcome: BeliefOutcome
    evidence: str


def confirmed(evidence: str) -> AttemptResult:
    """It is as it is believed."""
    return AttemptResult(BeliefOutcome.CONFIRMED, evidence)


def refuted(evidence: str) -> AttemptResult:
    """It is otherwise."""
    return AttemptResult(BeliefOutcome.REFUTED, evidence)


def not_tried(reason: str) -> AttemptResult:
    """Nothing is known of it."""
    return AttemptResult(BeliefOutcome.NOT_TRIED, reason)


@dataclass(frozen=True)
class Belief:
    """Something that the product rests on, and that only an account can settle.

    Attributes:
        id: its name, for ever: records are compared by it.
        sentence: what is believed.
        source: the file that says so, at the mark `(check: ID)`.
        attempt: tries it; None: no program can.
        untried: why it is not tried: by no program, or not on an emulator.
    """

    id: str
    sentence: str
    source: str
    attempt: "Callable[[Trial], AttemptResult] | None" = None
    untried: str = ""


@dataclass(frozen=True)
class TriedBelief:
    """A belief, and what came of it.

    Attributes:
        duration_ms: how long the attempt took.
    """

    belief: Belief
    result: AttemptResult
    duration_ms: int


def is_denied(code: str) -> bool:
    """Whether an error code refuses whoever asks, and not what is asked for."""
    return code in DENIALS


def request_text(error: ClientError) -> str:
    """The operation, the error's code and the request's id: what support asks for."""
    request = error.response.get("ResponseMetadata", {}).get("RequestId", "unknown")
    return f"{error.operation_name}: {error_code(error)} (request {request})"


def table_denies(
    call: Callable[[], Any], *, passed: str, allows: Callable[[], bool]
) -> AttemptResult:
    """Whether a table's own policy denies a call that could change nothing if it did not.

    Args:
        call: makes the call.
        passed: the error code of a call that every policy let pass.
        allows: asks whether the caller's own policies allow it, where the denial does not say.
    """
    try:
        call()
    except ClientError as error:
        code, text = error_code(error), request_text(error)
        if is_denied(code):
            return _of_denial(error, allows)
        if code == passed:
            return refuted(f"{text}: no policy denied it; nothing was changed")
        return not_tried(text)
    return refuted(
        "it was carried out: no policy denied it; there was nothing that it could change"
    )


def _of_denial(error: ClientError, allows: Callable[[], bool]) -> AttemptResult:
    text = request_text(error)
    if _BY_RESOURCE in error.response.get("Error", {}).get("Message", ""):
        return confirmed(f"{text}, {_BY_RESOURCE}")
    if allows():
        return confirmed(f"{text}, which the caller's own policies allow by IAM's simulator")
    return not_tried(
        f"{text}, which does not name the table's policy: accept with credentials that may do "
        "everything else, as an administrator's"
    )
