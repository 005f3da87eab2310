"""What is read for a restore keeps to its rate, and is waited for as what it writes is."""

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import ClientError

from operations.execution.pace import USUAL_PATIENCE_S, Pace
from operations.execution.standstill import Standstill
from stream_core.retry import LONGEST_PAUSE_S, Retry, classify

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_READS = ("Scan", "Query", "GetItem", "BatchGetItem", "DescribeTable")
_SHORTEST_PAUSE_S = 0.5


class PacedReads:
    """Has all reads of a client, by whichever thread, keep to a pace, for as long as it lasts.

    A read that is throttled, or has no answer, is made again until nothing at all has been read for
    as long as the pace has patience; then it is the client's own to give up.
    """

    def __init__(self, client: "DynamoDBClient", pace: Pace) -> None:
        """Nothing is changed yet.

        Args:
            client: reads the tables.
            pace: how many items and rows a second, and how long nothing may be answered.
        """
        self._events: Any = client.meta.events
        self._pace = pace
        self._standstill = Standstill(pace.machine, pace.wait_s(USUAL_PATIENCE_S))
        self._handlers = [
            (f"{event}.dynamodb.{operation}", handler)
            for operation in _READS
            for event, handler in (("after-call", self._count), ("needs-retry", self._pause_s))
        ]

    def __enter__(self) -> Self:
        for event, handler in self._handlers:
            self._events.register(event, handler)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for event, handler in self._handlers:
            self._events.unregister(event, handler)

    def _count(self, parsed: dict[str, Any], **_: object) -> None:
        if "Error" in parsed:
            return
        self._standstill.moved()
        in_tables = parsed.get("Responses", {}).values()
        items = len(parsed.get("Items", ())) + ("Item" in parsed) + sum(map(len, in_tables))
        self._pace.rate.take(items)

    def _pause_s(
        self,
        response: tuple[Any, dict[str, Any]] | None,
        caught_exception: Exception | None,
        operation: Any,
        attempts: int,
        **_: object,
    ) -> float | None:
        """How long to wait for another try, as botocore has it; None: there is none."""
        error = caught_exception
        if error is None and response is not None and "Error" in response[1]:
            answer: Any = response[1]
            error = ClientError(answer, operation.name)
        if error is None or classify(error) is not Retry.TRANSIENT:
            return None
        self._standstill.failed(self._standstill.now())
        if self._standstill.reason is not None:
            return None
        pause_s: float = min(LONGEST_PAUSE_S, _SHORTEST_PAUSE_S * 2 ** min(attempts, 8))
        return pause_s * (1 + self._pace.machine.jitter()) / 2
