"""A DynamoDB endpoint over a generated history that costs the machine next to nothing.

An emulator that keeps its tables in lists and sorts them for each query would measure itself. This
one speaks the part of the protocol that reports use, with DynamoDB's own limits: pages of 1 MB
counted before projection, 100 keys and 16 MB a batch. What it does not know it refuses. Runs as a
process of its own, so that its work is not counted as the client's:

    python -m benchmarks.history_endpoint FOLDER [BYTES_A_BATCH]
"""

import asyncio
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.endpoint import Endpoint, RefusedError, serve
from benchmarks.history_files import Rows, View, order_of

_PAGE_BYTES = 1024 * 1024
_BATCH_BYTES = 16 * 1024 * 1024
_KEYS_A_BATCH = 100
# Greater than every text of a key.
_END = b"\xff"
_NAME, _VALUE = r"([\w#]+)", r"(:\w+)"
_CONDITION = re.compile(
    rf"\(?{_NAME} = {_VALUE}\)?"
    rf"(?: AND \(?{_NAME} (?:BETWEEN {_VALUE} AND {_VALUE}|(<=|>=|<|>|=) {_VALUE})\)?)?"
)
_READS = {"TableName", "ConsistentRead", "ProjectionExpression", "ExpressionAttributeNames"}
_PAGES = _READS | {"Limit", "ExclusiveStartKey"}
_KNOWN = {
    "Query": _PAGES
    | {"IndexName", "KeyConditionExpression", "ExpressionAttributeValues", "ScanIndexForward"},
    "Scan": _PAGES | {"Segment", "TotalSegments"},
    "GetItem": _READS | {"Key"},
    "BatchGetItem": {"RequestItems"},
    "DescribeTable": {"TableName"},
}


class Table:
    """One table: its items in the order of its key, and in that of its index if it has one."""

    def __init__(self, folder: Path, head: Sequence[str], description: dict[str, Any]) -> None:
        """Open its files."""
        self.description = description
        self.name = description["TableName"]
        self.key = _names(description)
        rows = Rows(folder, self.name, head)
        self.view = View(rows, self.key)
        self.indexes = {}
        for index in description.get("GlobalSecondaryIndexes", ()):
            name = index["IndexName"]
            key = [*_names(index), *(name for name in self.key if name not in _names(index))]
            projected = [*key, *index["Projection"]["NonKeyAttributes"]]
            self.indexes[name] = View(rows, key, order_of(folder, self.name, name), projected)

    def row(self, key: dict[str, Any]) -> int | None:
        """The number of the item with this key."""
        texts = _texts(key, self.key)
        place = self.view.place(*texts)
        exists = place < len(self.view) and self.view.key(place) == texts
        return self.view.row(place) if exists else None


class Answers:
    """What the endpoint answers, and the count of what it read for it."""

    def __init__(self, folder: Path, batch_bytes: int = _BATCH_BYTES) -> None:
        """Open the tables of a folder; a batch is answered up to so many bytes."""
        self._batch_bytes = batch_bytes
        about = json.loads(Path(folder, "about.json").read_text("utf-8"))
        tables = [Table(folder, table["head"], table["description"]) for table in about["tables"]]
        self._tables = {table.name: table for table in tables}
        self._counts: dict[str, list[int]] = {}

    def answer(self, operation: str, request: dict[str, Any]) -> bytes:
        """The answer's body.

        Raises:
            RefusedError: the service would refuse the request, or it is not known here.
        """
        if operation == "Counts":
            counts, self._counts = self._counts, {}
            return json.dumps(counts).encode()
        unknown = request.keys() - _KNOWN.get(operation, set())
        if operation not in _KNOWN or unknown:
            raise _invalid(f"the benchmark's endpoint does not know {operation} {unknown}")
        if operation == "BatchGetItem":
            return self._batch(request["RequestItems"])
        table = self._table(request["TableName"])
        if operation == "DescribeTable":
            return json.dumps({"Table": table.description}).encode()
        answers = {"Query": self._query, "Scan": self._scan, "GetItem": self._get}
        return answers[operation](table, request)

    def _table(self, name: str) -> Table:
        if name not in self._tables:
            raise RefusedError("ResourceNotFoundException", "Requested resource not found")
        return self._tables[name]

    def _query(self, table: Table, request: dict[str, Any]) -> bytes:
        view = table.view
        if index := request.get("IndexName"):
            view = table.indexes[index]
            if request.get("ConsistentRead"):
                raise _invalid("Consistent reads are not supported on global secondary indexes")
        begin, end = _range(view, request)
        forward = request.get("ScanIndexForward", True)
        if start := request.get("ExclusiveStartKey"):
            texts = _texts(start, view.key_names)
            begin = max(begin, view.place(*texts, _END)) if forward else begin
            end = end if forward else min(end, view.place(*texts))
        places = range(begin, max(begin, end))
        return self._page("Query", view, places if forward else places[::-1], request)

    def _scan(self, table: Table, request: dict[str, Any]) -> bytes:
        view, segments = table.view, request.get("TotalSegments", 1)
        # As in DynamoDB all items of one partition key are in one segment.
        begin, end = (
            view.place(view.key(place)[0]) if place < len(view) else place
            for segment in (request.get("Segment", 0), request.get("Segment", 0) + 1)
            for place in (len(view) * segment // segments,)
        )
        if start := request.get("ExclusiveStartKey"):
            begin = view.place(*_texts(start, view.key_names), _END)
        return self._page("Scan", view, range(begin, end), request)

    def _page(self, operation: str, view: View, places: range, request: dict[str, Any]) -> bytes:
        limit, size, taken = request.get("Limit"), 0, 0
        for place in places[:limit]:
            size += view.size(place)
            if size > _PAGE_BYTES and taken:
                size -= view.size(place)
                break
            taken += 1
        self._count(operation, taken, size)
        page = view.items(places[:taken], _projection(request))
        rest = b""
        # Whether more follow is not looked at when the limit ends a page.
        if taken < len(places) or taken == limit:
            rest = b',"LastEvaluatedKey":' + view.key_json(places[taken - 1])
        return b'{"Items":[%b],"Count":%d,"ScannedCount":%d%b}' % (page, taken, taken, rest)

    def _get(self, table: Table, request: dict[str, Any]) -> bytes:
        row = table.row(request["Key"])
        self._count("GetItem", row is not None, 0 if row is None else table.view.size(row))
        if row is None:
            return b"{}"
        return b'{"Item":%b}' % table.view.items(range(row, row + 1), _projection(request))

    def _batch(self, wanted: dict[str, Any]) -> bytes:
        keys = [(name, key) for name, request in wanted.items() for key in request["Keys"]]
        if len({json.dumps(key, sort_keys=True) for key in keys}) < len(keys):
            raise _invalid("Provided list of item keys contains duplicates")
        if not 0 < len(keys) <= _KEYS_A_BATCH:
            raise _invalid("Too many items requested for the BatchGetItem call")
        size, unprocessed = 0, dict[str, Any]()
        responses: dict[str, list[bytes]] = {name: [] for name in wanted}
        for name, key in keys:
            table = self._table(name)
            row = table.row(key)
            size += 0 if row is None else table.view.size(row)
            if size > self._batch_bytes:
                unprocessed.setdefault(name, wanted[name] | {"Keys": []})["Keys"].append(key)
            elif row is not None:
                names = _projection(wanted[name])
                responses[name].append(table.view.items(range(row, row + 1), names))
        self._count("BatchGetItem", sum(map(len, responses.values())), min(size, self._batch_bytes))
        # DynamoDB promises no order either.
        tables = (
            b'"%b":[%b]' % (name.encode(), b",".join(responses[name][::-1])) for name in responses
        )
        return b'{"Responses":{%b},"UnprocessedKeys":%b}' % (
            b",".join(tables),
            json.dumps(unprocessed).encode(),
        )

    def _count(self, operation: str, rows: int, size: int) -> None:
        counts = self._counts.setdefault(operation, [0, 0, 0])
        self._counts[operation] = [counts[0] + 1, counts[1] + rows, counts[2] + size]


class HistoryEndpoint(Endpoint):
    """One connection to a generated history."""

    def __init__(self, answers: Answers) -> None:
        """Answer at once."""
        super().__init__(0, {})
        self._answers = answers

    def _response(self, operation: str, body: bytes) -> bytes:
        return self._answers.answer(_OPERATIONS.get(operation, operation), json.loads(body))


# The base class reads the names of fields and operations in lower case.
_OPERATIONS = {name.lower(): name for name in (*_KNOWN, "Counts")}


def _invalid(why: str) -> RefusedError:
    return RefusedError("ValidationException", why)


def _names(description: dict[str, Any]) -> list[str]:
    return [element["AttributeName"] for element in description["KeySchema"]]


def _texts(key: dict[str, Any], names: Sequence[str]) -> tuple[bytes, ...]:
    if key.keys() != set(names):
        raise _invalid("The provided key element does not match the schema")
    return tuple(key[name]["S"].encode() for name in names)


def _resolved(request: dict[str, Any], name: str) -> str:
    names: dict[str, str] = request.get("ExpressionAttributeNames", {})
    return names.get(name, name)


def _projection(request: dict[str, Any]) -> list[str] | None:
    names = request.get("ProjectionExpression")
    return names and [_resolved(request, name.strip()) for name in names.split(",")]


def _range(view: View, request: dict[str, Any]) -> tuple[int, int]:
    """The places that a key condition takes in."""
    condition = _CONDITION.fullmatch(request["KeyConditionExpression"])
    if condition is None:
        raise _invalid(f"the benchmark's endpoint cannot read {request['KeyConditionExpression']}")
    hash_name, hash_value, range_name, *values, comparison, bound = condition.groups()
    names = [_resolved(request, name) for name in (hash_name, range_name) if name]
    if names != list(view.key_names[: len(names)]):
        raise _invalid("Query condition missed key schema element")
    texts = {
        name: value["S"].encode() for name, value in request["ExpressionAttributeValues"].items()
    }
    partition = texts[hash_value]
    least: tuple[bytes, ...] = (partition,)
    most: tuple[bytes, ...] = (partition, _END)
    if values[0]:
        least, most = (partition, texts[values[0]]), (partition, texts[values[1]], _END)
    if comparison in ("<", "<=", "="):
        most = (partition, texts[bound], *([] if comparison == "<" else [_END]))
    if comparison in (">", ">=", "="):
        least = (partition, texts[bound], *([_END] if comparison == ">" else []))
    return view.place(*least), view.place(*most)


if __name__ == "__main__":
    _answers = Answers(Path(sys.argv[1]), *map(int, sys.argv[2:]))
    asyncio.run(serve(lambda: HistoryEndpoint(_answers)))
