"""A DynamoDB endpoint that costs next to nothing: it answers after a set time, and stores nothing.

Reads are answered from the items it is started with, so that a consumer that reads its source
finds what it wrote. Runs as a process of its own, so that its work is not counted as the client's:

    python -m benchmarks.endpoint DELAY_MS ITEMS_FILE
"""

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


class RefusedError(Exception):
    """A request that is answered with an error: the service's code, and why."""

    @property
    def content(self) -> bytes:
        """The answer's body."""
        code, message = self.args
        fault = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message}
        return json.dumps(fault).encode("ascii")


class Endpoint(asyncio.Protocol):
    """One connection: requests in, answers out in the same order."""

    def __init__(self, delay_s: float, items: dict[str, str]) -> None:
        """Answer after `delay_s`; `items` has each item's JSON by its key's."""
        self._delay_s = delay_s
        self._items = items
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._received[:end]).decode("latin-1")
            fields = dict(
                line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line
            )
            length = int(fields.get("content-length", 0))
            if len(self._received) < end + 4 + length:
                if "expect" in fields and len(self._received) == end + 4:
                    self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                return
            body = bytes(self._received[end + 4 : end + 4 + length])
            del self._received[: end + 4 + length]
            operation = fields.get("x-amz-target", "").rpartition(".")[2]
            try:
                self._answer("200 OK", self._response(operation, body))
            except RefusedError as refused:
                self._answer("400 Bad Request", refused.content)

    def _answer(self, status: str, content: bytes) -> None:
        head = (
            f"HTTP/1.1 {status}\r\ncontent-type: application/x-amz-json-1.0\r\n"
            f"content-length: {len(content)}\r\n\r\n"
        )
        answer = head.encode("ascii") + content
        if self._delay_s:
            asyncio.get_running_loop().call_later(self._delay_s, self._transport.write, answer)
        else:
            self._transport.write(answer)

    def _response(self, operation: str, body: bytes) -> bytes:
        match operation:
            case "batchexecutestatement":
                count = body.count(b'"Statement"')
                return b'{"Responses":[' + b",".join([b'{"TableName":"h"}'] * count) + b"]}"
            case "batchwriteitem":
                return b'{"UnprocessedItems":{}}'
            case "batchgetitem":
                return self._read(json.loads(body))
            case "":
                return b""  # S3, which takes anything else for a failure
            case _:
                return b"{}"

    def _read(self, request: dict[str, Any]) -> bytes:
        ((table, wanted),) = request["RequestItems"].items()
        keys = (json.dumps(key, sort_keys=True) for key in wanted["Keys"])
        items = ",".join(self._items[key] for key in keys if key in self._items)
        return f'{{"Responses":{{"{table}":[{items}]}},"UnprocessedKeys":{{}}}}'.encode()


class Answers:
    """What the operations of tables answer.

    Attributes:
        operations: by their names in small letters; each gives its answer, as JSON or for it.
    """

    operations: Mapping[str, Callable[[dict[str, Any]], str | dict[str, Any]]]

    def answer(self, operation: str, request: dict[str, Any]) -> str:
        """The answer's body.

        Raises:
            RefusedError: the service would refuse the request, or it is not known here.
        """
        if operation not in self.operations:
            raise invalid(f"the benchmark's endpoint does not know {operation}")
        try:
            answer = self.operations[operation](request)
            return answer if isinstance(answer, str) else json.dumps(answer)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise invalid(
                f"the benchmark's endpoint cannot read a {operation}: {error!r}"
            ) from error


class AnsweringEndpoint(Endpoint):
    """One connection to tables that answer for themselves."""

    def __init__(self, delay_s: float, answers: Answers) -> None:
        """Answer after `delay_s`."""
        super().__init__(delay_s, {})
        self._answers = answers

    def _response(self, operation: str, body: bytes) -> bytes:
        return self._answers.answer(operation, json.loads(body)).encode()


def require_size(batch: list[Any], most: int) -> None:
    """Refuse a batch as the service does.

    Raises:
        RefusedError: it has none, or more than `most`.
    """
    if not 0 < len(batch) <= most:
        raise invalid(f"a batch of {len(batch)}, more than {most}")


def invalid(why: str) -> RefusedError:
    """What the service refuses for its form."""
    return RefusedError("ValidationException", why)


async def serve(make: Callable[[], Endpoint]) -> None:
    """Listen on a free port, print it, and answer until the process ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(make, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    _delay_s, _items = float(sys.argv[1]) / 1000, json.loads(Path(sys.argv[2]).read_text("utf-8"))
    asyncio.run(serve(lambda: Endpoint(_delay_s, _items)))
