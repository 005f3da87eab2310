"""Between the consumers' real boto3 clients and the store: requests are read where they are sent.

Each request lets others run before it is carried out and before its answer arrives, and may meet
a fault at either side of its effect.
"""

import json
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from botocore.awsrequest import AWSResponse

from stream_core.attribute_values import read_item
from tests.service_limits import (
    MAX_BATCH_BYTES,
    MAX_ITEM_BYTES,
    MAX_READS,
    MAX_STATEMENTS,
    MAX_WRITES,
    within,
)
from tests.simulation.faults import lost_answer, no_connection, odd_error
from tests.simulation.scheduler import MS, SECOND, KilledError
from tests.simulation.store import RefusedError

_SIGNATURE_LIFE = 15 * 60 * SECOND
"""How old a signed request may be to be carried out."""
_RESULTS = ("Responses", "Items", "Item", "Table")
_REMAINDERS = ("UnprocessedItems", "UnprocessedKeys")


@dataclass(frozen=True)
class Call:
    """A request, read.

    Attributes:
        resource: the table or bucket it is about.
        size: its bytes.
        sender: the invocation that sends it.
        at: when it was signed.
        is_late: nobody waits for its effect any more.
    """

    service: str
    operation: str
    resource: str
    url: str
    body: Any
    size: int = 0
    if_none_match: bool = False
    sender: Any = None
    at: int = 0
    is_late: bool = False

    def __str__(self):
        return f"{self.operation} {self.resource}"


class Wire:
    """What happens to the requests of one world."""

    def __init__(self, world):
        self._world = world
        self._rng = world.rng("wire")

    def send(self, call):
        """Carry a request out and answer it, or fail in one of the ways requests fail."""
        world, rng = self._world, self._rng
        invocation = world.scheduler.current.invocation
        call = replace(call, sender=invocation, at=world.scheduler.now)
        world.stats["requests"] += 1
        if invocation.is_answered:
            world.problems.append(f"{invocation} sends {call} after it has answered")
        fault = None
        if self._may_fail(invocation):
            fault = world.faults.strike(call, world.scheduler.now)
        struck = f" !! {fault.kind} {fault.code}" if fault else ""
        world.note(f"  {invocation} {call} {len(_entries(call)) or ''}{struck}")
        self._travel(call)
        crashes = fault is not None and fault.kind == "crash"
        if crashes and not fault.after and self._may_fail(invocation):
            world.crash(invocation)
        answer = self._meet(call, fault)
        world.scheduler.pause(self._latency())
        if fault and fault.kind == "late" and world.scenario.settings.second_look:
            world.scheduler.pause(8 * SECOND)
        if crashes and self._may_fail(invocation):
            world.crash(invocation)
        if fault and fault.kind == "lost_answer":
            timed_out = rng.random() < 0.3
            world.scheduler.pause(8 * SECOND if timed_out else MS)
            raise lost_answer(0 if timed_out else 1)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _travel(self, call):
        try:
            self._world.scheduler.pause(self._latency())
        except KilledError:
            # What an invocation sent before its end may still arrive. Rows cannot be overwritten;
            # of items, only a second look mends that.
            if call.resource == "history" and self._rng.random() < 0.5:
                self._answered(replace(call, is_late=True))
            elif call.resource == "replica" and self._rng.random() < 0.5:
                self._late(call, None)
            raise

    def _may_fail(self, invocation):
        """Whether anything mends what an invocation leaves: Lambda may have given it up."""
        return not invocation.over or self._world.scenario.settings.second_look

    def _meet(self, call, fault):
        """The effect of a request, and the answer to it."""
        if fault is None or fault.kind in {"lost_answer", "crash"}:
            return self._answered(call)
        if not fault.whole:
            return self._answered(call, fault.code if _entries(call) else "")
        special = getattr(self, f"_{fault.kind}", None)
        if special is not None:
            return special(call, fault)
        if fault.after:
            self._answered(call)
        return _error(call, fault.status, fault.code)

    def _no_connection(self, _call, _fault):
        choice = self._rng.randrange(2)
        self._world.scheduler.pause(choice * 2 * SECOND)
        return no_connection(choice)

    def _odd_error(self, call, fault):
        if fault.after:
            self._answered(call)
        return odd_error(self._rng.randrange(4))

    def _garbled(self, call, fault):
        """The request is carried out, and its answer is damaged."""
        how = fault.code
        if how == "nameless":
            return self._answered(call, how)
        answer = self._answered(call)
        body = b"".join(answer.raw.stream())
        if answer.status_code != HTTPStatus.OK:
            return answer
        if how == "cut" or call.service == "s3":
            return _response(call, 200, body[: len(body) // 2], answer.headers)
        content = json.loads(body)
        if how == "too few":
            responses = content.get("Responses")
            if isinstance(responses, list):
                del responses[self._rng.randrange(len(responses)) :]
        else:
            names = _RESULTS if how == "without results" else _REMAINDERS
            content = {name: part for name, part in content.items() if name not in names}
        return _json(call, content)

    def _late(self, call, _fault):
        """The request is carried out long after its sender has given up waiting."""
        has_look = self._world.scenario.settings.second_look
        if call.resource != "replica":
            delay = self._rng.randrange(30 * SECOND)
        elif has_look and call.operation == "BatchWriteItem":
            delay = self._rng.choice(
                (
                    self._rng.randrange(30 * SECOND),
                    self._rng.randrange(_SIGNATURE_LIFE),
                    _SIGNATURE_LIFE - self._rng.randrange(SECOND),
                )
            )
            # As long as the signature is old, and not as it has travelled.
            delay = max(0, call.at + delay - self._world.scheduler.now)
        else:
            # No unconditional write could bear it.
            if not call.sender.dead:
                self._answered(call)
            return lost_answer(0)
        self._world.scheduler.after(delay, partial(self._take_effect, replace(call, is_late=True)))
        return lost_answer(0)

    def _take_effect(self, call):
        """What its sender has long given up, or died of."""
        world = self._world
        world.note(f"  {call.sender} {call} takes effect late")
        if call.resource == "replica":
            world.stats["fault: replica written late"] += 1
            ((_, requests),) = call.body["RequestItems"].items()
            for item in sorted(world.store.write_key("replica", each) for each in requests):
                if not world.looks.awaits(item):
                    world.problems.append(f"{call.sender} writes {item} after the last look at it")
        self._answered(call)

    def _latency(self):
        slow = self._rng.random() < self._world.scenario.settings.slow
        return self._rng.randrange(1, 400 * MS if slow else 10 * MS)

    def _answered(self, call, entry_error=""):
        if call.sender.is_answered and not call.is_late:
            self._world.problems.append(f"{call} of {call.sender} after it has answered")
        carry_out = getattr(self, f"_{call.operation}", None)
        if carry_out is None:
            self._world.store.broken.append(f"unknown operation {call.operation}")
            return _error(call, 400, "UnknownOperationException")
        if call.service == "dynamodb" and call.size > MAX_BATCH_BYTES:
            self._world.stats["fault: too large a request"] += 1
            if self._rng.random() < 0.5:
                return _error(call, 413, "RequestEntityTooLarge")
            return _error(call, 400, "ValidationException", "Request size exceeded 16 MB")
        try:
            return carry_out(call, entry_error)
        except RefusedError as refusal:
            return _error(call, 400, refusal.code, refusal.message)

    def _some(self, keys):
        """Some entries of a call, whatever order they came in; at least one."""
        if not keys:
            return set()
        return set(self._rng.sample(sorted(keys), self._rng.randint(1, len(keys))))

    def _BatchExecuteStatement(self, call, entry_error):  # noqa: N802 - the API's name
        store, statements = self._world.store, call.body["Statements"]
        rows = [store.row(each) for each in statements]
        keys = [store.key("history", row) for row in rows]
        if not 0 < len(keys) <= MAX_STATEMENTS or len(set(keys)) < len(keys):
            raise RefusedError("ValidationException", "too many statements, or a key twice")
        if self._world.scenario.settings.refuses_calls:
            for row in rows:
                store.check("history", row)
        failing = self._some(keys) if entry_error else set()
        return _json(
            call,
            {
                "Responses": [
                    self._insert(each, entry_error if key in failing else "")
                    for key, each in zip(keys, statements, strict=True)
                ]
            },
        )

    def _insert(self, statement, code):
        message = "refused"
        if not code:
            try:
                self._world.store.insert(statement)
            except RefusedError as refusal:
                code, message = refusal.code, refusal.message
            else:
                return {"TableName": "history"}
        if code == "nameless":
            return {"Error": self._rng.choice(({}, {"Message": message}, {"Code": None}))}
        # Inside of a 200 answer, codes lack their ending, and this one has another.
        code = code.removesuffix("Exception")
        code = "ValidationError" if code == "Validation" else code
        return {"Error": {"Code": code, "Message": message}}

    def _BatchWriteItem(self, call, entry_error):  # noqa: N802
        store = self._world.store
        ((table, requests),) = call.body["RequestItems"].items()
        keys = [store.write_key(table, each) for each in requests]
        if not 0 < len(keys) <= MAX_WRITES or len(set(keys)) < len(keys):
            raise RefusedError("ValidationException", "too many requests, or a key twice")
        for each in requests:
            if "PutRequest" in each:  # One bad item has the whole call refused.
                store.check(table, each["PutRequest"]["Item"])
        left = self._some(keys) if entry_error else set()
        for key, each in zip(keys, requests, strict=True):
            if key not in left:
                store.write(table, each)
                self._world.judge_write(key, each, call.sender)
        unprocessed = [each for key, each in zip(keys, requests, strict=True) if key in left]
        return _json(call, {"UnprocessedItems": {table: unprocessed} if unprocessed else {}})

    def _BatchGetItem(self, call, entry_error):  # noqa: N802
        store = self._world.store
        ((table, asked),) = call.body["RequestItems"].items()
        keys = {store.key(table, key): key for key in asked["Keys"]}
        if not 0 < len(keys) <= MAX_READS or len(keys) < len(asked["Keys"]):
            raise RefusedError("ValidationException", "too many keys, or a key twice")
        if not asked.get("ConsistentRead"):
            store.broken.append(f"a read of {table} that is not consistent")
        left = self._some(list(keys)) if entry_error else set()
        names = asked.get("ExpressionAttributeNames")
        found = [
            store.read(table, keys[name], names and names.values())
            for name in sorted(keys)
            if name not in left
        ]
        self._rng.shuffle(found)
        items = [item for item in found if item is not None]
        answer = {"Responses": {table: items}, "UnprocessedKeys": {}}
        may_be_large = len(items) > MAX_BATCH_BYTES // MAX_ITEM_BYTES
        if may_be_large and len(json.dumps(items)) > MAX_BATCH_BYTES:
            most = within([read_item(item) for item in items], MAX_BATCH_BYTES)
            left |= {store.key(table, item) for item in items[most:]}
            del items[most:]
        if left:
            unread = {table: {**asked, "Keys": [keys[name] for name in sorted(left)]}}
            answer["UnprocessedKeys"] = unread
        return _json(call, answer)

    def _SendMessage(self, call, _entry_error):  # noqa: N802
        self._world.looks.send(call)
        return _json(call, {"MessageId": "message"})

    def _PutObject(self, call, _entry_error):  # noqa: N802
        key = unquote(urlsplit(call.url).path)[1:]
        if call.if_none_match and key in self._world.store.buckets[call.resource]:
            return _error(call, 412, "PreconditionFailed")
        version = self._world.store.put_object(call.resource, key, call.body)
        return _response(call, 200, b"", {"x-amz-version-id": version})

    def _ListObjectVersions(self, call, _entry_error):  # noqa: N802
        (key,) = parse_qs(urlsplit(call.url).query)["prefix"]
        versions = self._world.store.versions(call.resource, key)
        listed = "".join(
            f"<Version><Key>{key}</Key><VersionId>{version}</VersionId></Version>"
            for version in reversed(versions)
        )
        body = f"<ListVersionsResult><IsTruncated>false</IsTruncated>{listed}</ListVersionsResult>"
        return _response(call, 200, body.encode())


def read_call(event_name, request):
    """The request that botocore is about to send."""
    _, service, operation = event_name.split(".")
    if service == "s3":
        bucket = urlsplit(request.url).hostname.partition(".")[0]
        condition = "If-None-Match" in request.headers
        body = _s3_body(request.body)
        return Call(service, operation, bucket, request.url, body, len(body), condition)
    body = json.loads(request.body)
    if service == "sqs":
        return Call(service, operation, "looks", request.url, body, len(request.body))
    resource = "history" if "Statements" in body else next(iter(body.get("RequestItems", "?")))
    return Call(service, operation, resource, request.url, body, len(request.body))


def _s3_body(body):
    if body is None or isinstance(body, bytes | bytearray):
        return bytes(body or b"")
    sent = body.read()
    if not hasattr(body, "_raw"):
        return sent
    whole, place = b"", 0
    while True:  # aws-chunked: a length in hex, so many bytes, until a length of zero.
        line, _, _ = sent[place:].partition(b"\r\n")
        length = int(line, 16)
        if not length:
            return whole
        start = place + len(line) + 2
        whole += sent[start : start + length]
        place = start + length + 2


def _entries(call):
    if call.service != "dynamodb":
        return []
    if "Statements" in call.body:
        return call.body["Statements"]
    asked = next(iter(call.body["RequestItems"].values()))
    return asked["Keys"] if isinstance(asked, dict) else asked


def _json(call, answer):
    body = json.dumps(answer, ensure_ascii=False).encode()
    return _response(call, 200, body, {"content-length": str(len(body))})


def _error(call, status, code, message="refused"):
    if call.service == "s3":
        return _response(
            call, status, f"<Error><Code>{code}</Code><Message>m</Message></Error>".encode()
        )
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message}
    return _response(call, status, json.dumps(body).encode() if code else b"")


def _response(call, status, body, headers=None):
    return AWSResponse(call.url, status, headers or {}, _Raw(body))


class _Raw:
    def __init__(self, body):
        self._body = body

    def stream(self, *_, **__):
        yield self._body

    def close(self):
        self._body = b""
