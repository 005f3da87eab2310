"""Requests of writes as they are sent, again perhaps: what the tries that failed tell."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from stream_core.retry import CallError, Retry, classify_code, error_code

NO_REASON = "None"
"""The code of a write that would have been made, but for another one of its transaction."""
_CANCELLED = "TransactionCanceledException"
# Something of the same name was carried out.
_NAMESAKE = "IdempotentParameterMismatchException"


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Of each write of a transaction the code of the reason why that was cancelled."""

    codes: list[str]
    is_void: bool = False


@dataclass
class SentWrite:
    """A request that is made once or more.

    Attributes:
        is_answered: none of its tries may have been carried out, or may be later.
    """

    operation: Callable[..., Any]
    request: dict[str, Any]
    is_answered: bool = True

    def once(self) -> Any:
        """The answer to a try; a cancelled transaction of one write is told by its one reason.

        Raises:
            ClientError, BotoCoreError: as the service, or the way to it, has it.
        """
        try:
            return self.operation(**self.request)
        except ClientError as error:
            # The client itself has tried before, and does not say what came of that.
            retried = error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0)
            self.is_answered &= CallError.after(error).is_answered and not retried
            self.is_answered &= error_code(error) != _NAMESAKE
            reasons: Any = error.response.get("CancellationReasons") or [{}]
            code = reasons[0].get("Code", NO_REASON)
            if error_code(error) != _CANCELLED or code == NO_REASON:
                raise
            answer: Any = {"Error": {"Code": code, "Message": reasons[0].get("Message", "")}}
            raise ClientError(answer, error.operation_name) from error
        except BotoCoreError as error:
            self.is_answered &= CallError.after(error).is_answered
            raise


def together(operation: Callable[..., object], **request: Any) -> object:
    """The answer to a transaction, also that a write of it cannot be made.

    Raises:
        ClientError, BotoCoreError: as the service, or the way to it, has it.
    """
    try:
        return operation(**request)
    except ClientError as error:
        reasons: Any = error.response.get("CancellationReasons") or []
        codes = [reason.get("Code", NO_REASON) for reason in reasons]
        obstacles = [code for code in codes if code != NO_REASON]
        if error_code(error) != _CANCELLED or not obstacles:
            raise
        if any(classify_code(code) is not Retry.TRANSIENT for code in obstacles):
            return Cancelled(codes)
        answer: Any = {"Error": {"Code": obstacles[0], "Message": ""}}
        raise ClientError(answer, error.operation_name) from error
