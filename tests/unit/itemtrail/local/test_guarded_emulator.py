"""The emulator's guard: what a browser sends for a page does not get to the emulator."""

import asyncio

import pytest

from itemtrail.local.guarded_emulator import guarded

OWN = (b"host", b"127.0.0.1:4566")


def sent(kind, *headers):
    """What the emulator was asked, and what was answered, to a request with these headers."""
    asked, answers = [], []

    async def emulator(scope, _receive, _send):
        asked.append(scope["type"])

    async def send(event):
        answers.append(event)

    asyncio.run(guarded(emulator)({"type": kind, "headers": list(headers)}, None, send))
    return asked, answers


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("host", [b"127.0.0.1:4566", b"localhost:4566", b"LOCALHOST", b"127.0.0.1"])
def test_a_program_is_let_in(kind, host):
    """By whichever of this machine's names, and through a proxy's port."""
    assert sent(kind, (b"host", host), (b"x-amz-target", b"DynamoDB.PutItem")) == ([kind], [])


def test_the_start_is_let_in():
    """It has no headers."""
    assert sent("lifespan") == (["lifespan"], [])


REFUSED = {
    "a page's form or script": [OWN, (b"origin", b"http://evil.example")],
    "a page in a frame without a name": [OWN, (b"origin", b"null")],
    "a page's image": [OWN, (b"sec-fetch-site", b"cross-site")],
    "a page of another port": [OWN, (b"sec-fetch-site", b"same-site")],
    "a name that was made to point here": [(b"host", b"evil.example:4566")],
    "a name that begins as ours": [(b"host", b"127.0.0.1.evil.example")],
    "a name below ours": [(b"host", b"evil.localhost")],
    "an address of another kind": [(b"host", b"[::1]:4566")],
    "two names": [OWN, (b"host", b"evil.example")],
    "no name": [],
}


@pytest.mark.parametrize("headers", REFUSED.values(), ids=REFUSED)
def test_a_page_is_refused(headers):
    """Without a word of CORS, so that it cannot read why either."""
    asked, (start, body) = sent("http", *headers)

    assert asked == []
    assert (start["status"], start["headers"]) == (403, [(b"content-type", b"text/plain")])
    assert body["body"].startswith(b"refused: no web page")


@pytest.mark.parametrize("headers", REFUSED.values(), ids=REFUSED)
def test_a_page_opens_no_web_socket(headers):
    """CORS does not hold for those at all."""
    assert sent("websocket", *headers) == ([], [{"type": "websocket.close", "code": 1008}])
