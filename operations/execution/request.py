"""A request that is made until it is answered, or until patience runs out."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from operations.errors import NoAnswerError
from stream_core.retry import Patience, Retry, classify, error_code

Answer = TypeVar("Answer")


def codes_text(errors: Iterable[str]) -> str:
    """Codes of the errors met, for a message; without any, time ran out before an answer came."""
    return ", ".join(sorted(errors)) or "no answer"


def answer_to(request: Callable[[], Answer], patience: Patience, table: str) -> Answer:
    """The answer to a request, made again while it fails for a passing reason.

    Args:
        request: makes the request once.
        patience: how long to go on.
        table: what is asked, for the message.

    Raises:
        NoAnswerError: it was still throttled or out of reach when patience ran out.
        ClientError, BotoCoreError: it was refused for another reason.
    """
    answers: list[Answer] = []
    errors: list[Exception] = []

    def attempt(pending: list[None]) -> list[None]:
        try:
            answers.append(request())
        except (ClientError, BotoCoreError) as error:
            if classify(error) is not Retry.TRANSIENT:
                raise
            errors.append(error)
            return pending
        return []

    if patience.work_off([None], attempt):
        raise NoAnswerError(
            f"'{table}' does not answer ({error_code(errors[-1])}): try again later, or slower"
        ) from errors[-1]
    return answers[0]
