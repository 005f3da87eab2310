"""MiniStack, which refuses what web pages and foreign names send; run as a program.

    python -m itemtrail.local.guarded_emulator

MiniStack checks no credentials: any page that is open in a browser on this machine could send it a
simple request (one for which CORS asks nobody), such as one that makes a function and runs it. A
browser adds what the page cannot leave out, `Origin` or `Sec-Fetch-Site`
(https://www.w3.org/TR/fetch-metadata/), and a page whose name was made to point here (DNS
rebinding) has that name in `Host`.
"""

import importlib
from collections.abc import Awaitable, Callable
from typing import Any

_OWN_NAMES = (b"127.0.0.1", b"localhost")
_OF_A_BROWSER = frozenset((b"origin", b"sec-fetch-site"))
_WHY = b"refused: no web page and no other name may be used to reach this emulator\n"
_POLICY_VIOLATION = 1008

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Any, Send], Awaitable[None]]


def guarded(app: App) -> App:
    """The same application, without what a browser's pages may have sent."""

    async def guard(scope: Scope, receive: Any, send: Send) -> None:
        if scope["type"] == "lifespan" or _is_of_a_program(scope["headers"]):
            await app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        else:
            headers = [(b"content-type", b"text/plain")]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": _WHY})

    return guard


def _is_of_a_program(headers: list[tuple[bytes, bytes]]) -> bool:
    hosts = [value.partition(b":")[0].lower() for name, value in headers if name == b"host"]
    sent = {name for name, _ in headers}
    return len(hosts) == 1 and hosts[0] in _OWN_NAMES and not sent & _OF_A_BROWSER


def main() -> None:
    """Run MiniStack behind the guard."""
    emulator: Any = importlib.import_module("ministack.app")
    emulator.app = guarded(emulator.app)
    emulator.main()


if __name__ == "__main__":
    main()
