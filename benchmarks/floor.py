"""The floor: the very requests a writer sent, sent again with `http.client` and nothing else."""

import http.client
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Request:
    """One request as it went over the wire."""

    host: str
    path: str
    headers: dict[str, str]
    body: bytes


def recorded(client: Any, requests: list[Request]) -> None:
    """Keep every request that a boto3 client sends from now on."""

    def keep(request: Any, **_: object) -> None:
        url = urlsplit(request.url)
        headers = {
            name: value.decode() if isinstance(value, bytes) else str(value)
            for name, value in request.headers.items()
        }
        requests.append(Request(url.netloc, url.path or "/", headers, request.body))

    client.meta.events.register("before-send.dynamodb.*", keep)


def send_again(requests: Sequence[Request], connections: int) -> None:
    """Send requests over so many connections, each in turn."""
    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(_send, [requests[n::connections] for n in range(connections)]))


def _send(requests: Sequence[Request]) -> None:
    if not requests:
        return
    connection = http.client.HTTPConnection(requests[0].host)
    for request in requests:
        connection.request("POST", request.path, request.body, request.headers)
        connection.getresponse().read()
    connection.close()
