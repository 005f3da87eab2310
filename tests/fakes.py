"""In-memory stand-ins for DynamoDB and S3 that follow a script of faults and keep every call.

`tests/functional/test_fakes_on_ministack.py` holds them against an emulator.
"""

import re
from collections import defaultdict
from copy import deepcopy
from itertools import islice
from threading import Barrier, Lock
from types import SimpleNamespace

from botocore.exceptions import ClientError, ReadTimeoutError

from stream_core.attribute_values import canonical_json
from tests.service_limits import (
    MAX_BATCH_BYTES,
    MAX_READS,
    MAX_STATEMENTS,
    MAX_WRITES,
    check_batch,
    check_expressions,
    check_item,
    within,
)

# Until calls that do not come side by side are given up.
_PATIENCE_S = 10
_INSERT = re.compile(r'INSERT INTO "([^"]+)" VALUE \{(.*)\}')
# What a run asks of several items at once.
_SELECT = re.compile(
    r'SELECT "Id", "ApproximateCreationDateTime" FROM "([^"]+)" '
    r'WHERE "Id" IN \[\?(?:, \?)*\] AND "ApproximateCreationDateTime" >= \?'
)


def client_error(code, status=400, operation="Operation", message="refused"):
    """An error as a service answers it."""
    return ClientError(
        {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": status},
        },
        operation,
    )


def read_timeout():
    """An answer that never came: whether the request was carried out is unknown."""
    return ReadTimeoutError(endpoint_url="https://dynamodb.example")


THROTTLED = client_error("ProvisionedThroughputExceededException")
DENIED = client_error("AccessDeniedException")
INVALID = client_error("ValidationException")


class _Scripted:
    """Calls are kept; the next entry of an operation's script is what happens to its next call.

    An entry is an error to raise, a function of the request and of the real answer, or None for
    an undisturbed call. A script that has run out leaves calls undisturbed.
    """

    def __init__(self):
        self.calls = []
        self._scripts = defaultdict(list)
        self._always = {}
        self._lock = Lock()

    def script(self, operation, *entries):
        """Add to what happens to the next calls of an operation."""
        self._scripts[operation] += entries

    def always(self, operation, entry):
        """What happens to every call of an operation that has no script left."""
        self._always[operation] = entry

    def requests(self, operation):
        """The requests that were made, in order."""
        return [request for name, request in self.calls if name == operation]

    def _call(self, operation, request, carry_out):
        with self._lock:
            self.calls.append((operation, deepcopy(request)))
            request = deepcopy(request)  # What is sent over a wire shares nothing.
            script = self._scripts[operation]
            entry = script.pop(0) if script else self._always.get(operation)
            if isinstance(entry, BaseException):
                raise entry
            if entry is None:
                return carry_out(**request)
            return entry(request, lambda **changed: carry_out(**(request | changed)))


class FakeDynamoDB(_Scripted):
    """Tables by name, each a dictionary of items by key; refuses what the service refuses.

    Attributes:
        stale: what reads that are not consistent are answered from, where it is not what is stored.
    """

    def __init__(self, **key_names):
        super().__init__()
        self.key_names = key_names
        self.tables = {name: {} for name in key_names}
        self.stale = {}

    def batch_execute_statement(self, **request):
        return self._call("batch_execute_statement", request, self._insert_all)

    def batch_write_item(self, **request):
        return self._call("batch_write_item", request, self._write_all)

    def batch_get_item(self, **request):
        return self._call("batch_get_item", request, self._get_all)

    def put(self, table, item):
        """Put an item directly, as somebody else would."""
        self.tables[table][self._key(table, item)] = deepcopy(item)

    def remove(self, table, item):
        """Delete an item directly."""
        self.tables[table].pop(self._key(table, item), None)

    def items(self, table):
        """The items of a table, ordered by key."""
        return [deepcopy(item) for _, item in sorted(self.tables[table].items())]

    def fall_behind(self):
        """From now on, reads that are not consistent show what is stored now."""
        self.stale = {name: dict(items) for name, items in self.tables.items()}

    def _key(self, table, item):
        return canonical_json({name: item[name] for name in self.key_names[table]})

    def _insert_all(self, Statements):  # noqa: N803 - names of the API
        parsed = [parse_insert(statement) for statement in Statements]
        keys = [self._key(table, item) for table, item in parsed]
        check_batch(Statements, keys, MAX_STATEMENTS)
        return {
            "Responses": [self._insert(*row, key) for row, key in zip(parsed, keys, strict=True)]
        }

    def _insert(self, table, item, key):
        try:
            check_item(item, self.key_names[table])
        except ClientError as refusal:
            # Inside of an answer, this code is another one.
            return {"Error": {**refusal.response["Error"], "Code": "ValidationError"}}
        if key in self.tables[table]:
            return {"Error": {"Code": "DuplicateItem", "Message": "exists"}}
        self.tables[table][key] = deepcopy(item)
        return {"TableName": table}

    def _write_all(self, RequestItems):  # noqa: N803
        check_batch(RequestItems, RequestItems, MAX_WRITES)
        for table, requests in RequestItems.items():
            keys = [self._key(table, written_item(request)) for request in requests]
            check_batch(requests, keys, MAX_WRITES)
            for put in filter(None, (request.get("PutRequest") for request in requests)):
                check_item(put["Item"], self.key_names[table])
            for request, key in zip(requests, keys, strict=True):
                if "PutRequest" in request:
                    self.tables[table][key] = deepcopy(request["PutRequest"]["Item"])
                else:
                    self.tables[table].pop(key, None)
        return {"UnprocessedItems": {}}

    def _get_all(self, RequestItems):  # noqa: N803
        responses, unprocessed = {}, {}
        check_batch(RequestItems, RequestItems, MAX_READS)
        for table, request in RequestItems.items():
            keys = {self._key(table, key): key for key in request["Keys"]}
            check_batch(
                request["Keys"], [self._key(table, key) for key in request["Keys"]], MAX_READS
            )
            check_expressions(request)
            stored = self.tables[table]
            if not request.get("ConsistentRead"):
                stored = self.stale.get(table, stored)
            items = {key: stored[key] for key in keys if key in stored}
            answered = dict(islice(items.items(), within(items.values(), MAX_BATCH_BYTES)))
            responses[table] = [_projected(item, request) for item in answered.values()]
            remaining = [
                key for place, key in keys.items() if place in items.keys() - answered.keys()
            ]
            if remaining:
                unprocessed[table] = request | {"Keys": remaining}
        return {"Responses": responses, "UnprocessedKeys": unprocessed}


def hold_until_side_by_side(monkeypatch, client, operation, calls=2):
    """No request of an operation is answered before so many are under way."""
    answer, barrier = getattr(client, operation), Barrier(calls)

    def wait(**request):
        barrier.wait(_PATIENCE_S)
        return answer(**request)

    monkeypatch.setattr(client, operation, wait)


class FakeS3(_Scripted):
    """Objects by bucket and key, each a list of versions."""

    def __init__(self, *, versioned=True):
        super().__init__()
        self.objects = defaultdict(list)
        self._versioned = versioned

    def put_object(self, **request):
        return self._call("put_object", request, self._put)

    def bodies(self, bucket):
        """The latest body of every object, by key."""
        return {
            key: versions[-1] for (name, key), versions in self.objects.items() if name == bucket
        }

    def get_paginator(self, operation):
        """Of the versions of objects only, newest first as S3 lists them; a page each."""
        assert operation == "list_object_versions"
        return SimpleNamespace(paginate=self._versions)

    def _versions(self, Bucket, Prefix):  # noqa: N803
        for (bucket, key), bodies in self.objects.items():
            if bucket == Bucket and key.startswith(Prefix):
                for number in range(len(bodies), 0, -1):
                    yield {"Versions": [{"Key": key, "VersionId": f"version-{number}"}]}

    def _put(self, Bucket, Key, Body, IfNoneMatch=None, **_options):  # noqa: N803
        if IfNoneMatch == "*" and self.objects[Bucket, Key]:
            raise client_error("PreconditionFailed", 412, "PutObject")
        self.objects[Bucket, Key].append(Body)
        number = len(self.objects[Bucket, Key])
        return {"VersionId": f"version-{number}"} if self._versioned else {}


def parse_insert(statement):
    """Table and item of a PartiQL INSERT with parameters."""
    table, fields = _INSERT.fullmatch(statement["Statement"]).groups()
    names = re.findall(r"'([^']+)': \?", fields)
    return table, dict(zip(names, statement["Parameters"], strict=True))


def parse_select(request):
    """Table, ids, first sort key and place of a PartiQL SELECT of rows of some items."""
    (table,) = _SELECT.fullmatch(request["Statement"]).groups()
    *identifiers, first = (value["S"] for value in request["Parameters"])
    return table, identifiers, first, int(request.get("NextToken", 0))


def written_item(request):
    """What a request of BatchWriteItem writes: an item, or the key it deletes."""
    put = request.get("PutRequest")
    return put["Item"] if put else request["DeleteRequest"]["Key"]


def refuse_call(is_bad, error=INVALID):
    """A whole call is refused when one of its inserts or writes is bad."""

    def entry(request, carry_out):
        if "Statements" in request:
            items = [parse_insert(statement)[1] for statement in request["Statements"]]
        else:
            ((_table, writes),) = request["RequestItems"].items()
            items = [written_item(write) for write in writes]
        if any(map(is_bad, items)):
            raise error
        return carry_out()

    return entry


def refuse_statements(is_bad, code):
    """Bad inserts are answered with an error that quotes them, the rest are carried out."""

    def entry(request, carry_out):
        statements = request["Statements"]
        good = [each for each in statements if not is_bad(parse_insert(each)[1])]
        answers = iter(carry_out(Statements=good)["Responses"] if good else [])
        return {
            "Responses": [
                next(answers) if statement in good else problem(statement)
                for statement in statements
            ]
        }

    def problem(statement):
        return {"Error": {"Code": code, "Message": f"refused: {statement['Parameters']}"}}

    return entry


def leave_unprocessed(is_left):
    """Writes or reads of some items are handed back instead of being carried out."""

    def entry(request, carry_out):
        ((table, batch),) = request["RequestItems"].items()
        is_read = isinstance(batch, dict)
        entries = batch["Keys"] if is_read else batch
        item_of = dict if is_read else written_item
        remaining = [entry for entry in entries if is_left(item_of(entry))]
        done = [entry for entry in entries if not is_left(item_of(entry))]

        def some(entries):
            return {table: batch | {"Keys": entries} if is_read else entries} if entries else {}

        answer = carry_out(RequestItems=some(done)) if done else {"Responses": {table: []}}
        return answer | {"UnprocessedKeys" if is_read else "UnprocessedItems": some(remaining)}

    return entry


def lose_answer(error=None):
    """The call is carried out, its answer is lost."""

    def entry(_request, carry_out):
        carry_out()
        raise error or read_timeout()

    return entry


def _projected(item, request):
    names = request.get("ExpressionAttributeNames")
    if not names:
        return deepcopy(item)
    return deepcopy({name: item[name] for name in names.values() if name in item})
