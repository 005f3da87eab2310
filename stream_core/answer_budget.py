"""How much of what tables answer is in memory at a time, whatever they hold.

An answer of a few dozen items may be text of 100 MB and Python objects of 2 GB. So a call says
beforehand what its answer may take. A longer one is turned away before it is read, to be asked for
again in smaller portions or when there is room.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition, local
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ConnectionClosedError

from stream_core.calls import slices
from stream_core.errors import ItemtrailError

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest, AWSResponse

# Bytes of JSON. Python's objects take up to twenty times of it, copies of the text another four.
_TOTAL = 2 * 1024 * 1024
# Before any answer has shown better; 25 of these in each of 12 calls are far below the total.
_USUAL_ITEM = 1024
_CALL = local()


class LargeAnswerError(ItemtrailError):
    """An answer is larger than what its call may take; it was not read.

    Attributes:
        size: its bytes.
    """

    def __init__(self, size: int) -> None:
        """Keep the size, which says how to ask again."""
        super().__init__(f"an answer of {size:,} bytes was turned away")
        self.size = size


@dataclass
class AnswerBudget:
    """Bytes of JSON that the answers under way may have together.

    Attributes:
        item_size: what an item probably takes, as the latest answer showed.
    """

    total: int = _TOTAL
    item_size: float = _USUAL_ITEM
    _taken: int = 0
    _room: Condition = field(default_factory=Condition)

    def calls(self, ids: list[str]) -> list[list[str]]:
        """Cut a call so that the answer to each part probably takes no more than half of it all."""
        most = max(1, int(self.total / 2 / self.item_size))
        return slices(ids, most)

    @contextmanager
    def allowance(self, items: int) -> Iterator["Allowance"]:
        """Wait until there is room for the answer about so many items, and hold it."""
        allowance = Allowance(self, items, min(self.total, int(items * self.item_size)))
        with self._room:
            while self._taken and self._taken + allowance.size > self.total:
                self._room.wait()
            self._taken += allowance.size
        try:
            yield allowance
        finally:
            with self._room:
                self._taken -= allowance.size
                self._room.notify_all()

    def grow(self, allowance: "Allowance", size: int) -> bool:
        """Let an answer have more than was expected, if there is room."""
        with self._room:
            self.item_size = max(size / allowance.items, 1)
            more = size - allowance.size
            is_alone = self._taken == allowance.size
            # One item cannot be cut.
            is_one = allowance.items == 1
            if more > 0 and self._taken + more > self.total and not (is_alone and is_one):
                return False
            allowance.size += max(more, 0)
            self._taken += max(more, 0)
            return True


@dataclass
class Allowance:
    """What the answer of one call may take.

    Attributes:
        items: how many items are asked for.
        size: bytes held for it.
    """

    budget: AnswerBudget
    items: int
    size: int

    @contextmanager
    def of_this_call(self) -> Iterator[None]:
        """Hold the answers that this thread gets meanwhile to it."""
        _CALL.allowance = self
        try:
            yield
        finally:
            _CALL.allowance = None


class MeasuringSession:
    """Sends requests as the session it is made of; looks at an answer's size before it is read."""

    def __init__(self, session: Any) -> None:
        """Wrap botocore's HTTP session."""
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def send(self, request: "AWSPreparedRequest") -> "AWSResponse":
        """Send a request.

        Raises:
            LargeAnswerError: the answer was turned away.
        """
        allowance: Allowance | None = getattr(_CALL, "allowance", None)
        if allowance is None:
            return self._session.send(request)  # type: ignore[no-any-return]
        request.stream_output = True
        response: AWSResponse = self._session.send(request)
        size = int(response.headers.get("content-length", 0))
        if not allowance.budget.grow(allowance, size):
            response.raw.close()
            raise LargeAnswerError(size)
        try:
            response.content  # noqa: B018 - reads it
        except Exception as error:
            # Whatever the library below calls it: the answer did not come.
            raise ConnectionClosedError(endpoint_url=request.url, error=error) from error
        return response
