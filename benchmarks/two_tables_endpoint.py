"""A source, its replica and an empty history, of any size, that cost the machine next to nothing.

How many items a table has is in its name: `source-20000`, `replica-20000`, `history-20000`, and
`differing-20000`, a replica in which the item in the middle is another one. `recorded-20000` is a
history that has the last change of each item, long ago, and `restored-20000` a table that is not
there before it is made. Items and rows are made when they are asked for. Writes are looked at,
counted and forgotten: what is not the source's item is refused, and so is a history row written
twice. Runs as a process of its own, so that its work is not counted as the client's:

    python -m benchmarks.two_tables_endpoint DELAY_MS
"""

import asyncio
import base64
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from benchmarks.endpoint import (
    AnsweringEndpoint,
    Answers,
    RefusedError,
    invalid,
    require_size,
    serve,
)
from benchmarks.writers import record
from stream_core.attribute_values import Item, item_size
from stream_core.change import read_record
from stream_core.history_row import ID, SORT_KEY, HistoryRow
from stream_core.item_id import CONTROL_ID

_NAMES = re.compile(r"(source|replica|differing|history|recorded|restored)-(\d+)")
_HISTORIES = ("history", "recorded")
_ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/"
_STREAM = f"{_ARN}source-%d/stream/2026-11-25T00:00:00.000"
_SHARDS = 4
CREATED_AT: float = record(0)["dynamodb"]["ApproximateCreationDateTime"]
"""When the tables were made, and all items changed, in seconds of Unix time."""
_INSERT = re.compile(r'INSERT INTO "([\w-]+)" VALUE \{.*\}')
_FIELD = re.compile(r"'(\w+)': \?")
# Developer Guide, Scan; API reference, BatchGetItem, BatchWriteItem and BatchExecuteStatement.
_PAGE_BYTES, _KEYS_A_BATCH, _WRITES_A_BATCH = 1024 * 1024, 100, 25


def image(number: int) -> Item:
    """The item with this number."""
    item: Item = record(number)["dynamodb"]["NewImage"]
    return item


_NUMBER = 987654321
_ITEM = json.dumps(image(_NUMBER)).replace("%", "%%").replace(str(_NUMBER), "%(number)d")
_ITEMS_A_PAGE = _PAGE_BYTES // item_size(image(_NUMBER))


def row(items: int, number: int) -> Item:
    """The row of the change that made an item what it is, as it is on the wire."""
    change = read_record(record(number), _STREAM % items)
    stored = HistoryRow.from_change(change).to_item(_SHARDS)
    return {**stored, "Digest": {"B": base64.b64encode(stored["Digest"]["B"]).decode()}}


_ROW_NAMES = (ID, SORT_KEY, "EventName")
_SEQUENCE = int(record(0)["dynamodb"]["SequenceNumber"])
_PLACE = json.dumps({name: row(1, 0)[name] for name in _ROW_NAMES}).replace("%", "%%")
_PLACE = _PLACE.replace('"0"', '"%(number)d"').replace(str(_SEQUENCE), "%(sequence)d")


@dataclass
class Table:
    """A table, and what was asked of it since it was last looked at."""

    kind: str
    name: str
    items: int
    requests: int = 0
    taken: int = 0
    tags: list[dict[str, str]] | None = None

    def __post_init__(self) -> None:
        self.written = bytearray(self.items)

    def counts(self) -> list[int]:
        """Requests, items read or written, and different items written; begins anew."""
        counts = [self.requests, self.taken, sum(self.written)]
        self.requests = self.taken = 0
        self.tags = None
        self.written = bytearray(self.items)
        return counts

    def text(self, number: int) -> str:
        """An item's JSON."""
        if self.kind == "recorded":
            return json.dumps(row(self.items, number))
        if self.kind == "differing" and number == self.items // 2:
            return json.dumps(image(number) | {"Salary": {"N": "1"}})
        return _ITEM % {"number": number}

    def take(self, item: Item) -> None:
        """An item is put."""
        number = int(item["Id"]["N"])
        if not 0 <= number < self.items or json.loads(self.text(number)) != item:
            raise invalid(f"item {number} of {self.name} is not so")
        self.taken += 1
        self.written[number] = 1

    def append(self, row: Item) -> None:
        """A row is put, unless there is one."""
        number = int(row["Id"]["S"])
        if self.written[number]:
            raise RefusedError("DuplicateItemException", "Duplicate primary key exists in table")
        if row["EventName"] != {"S": "SNAPSHOT"} or row["Keys"] != {
            "M": {"Id": {"N": str(number)}}
        }:
            raise invalid(f"the row of item {number} is no baseline of it")
        self.take(row["NewImage"]["M"])


class TwoTablesAnswers(Answers):
    """What the endpoint answers."""

    def __init__(self) -> None:
        """Begin with no table; each is there once it is named."""
        self._tables: dict[str, Table] = {}
        self.operations = {
            "describetable": self._describe,
            "scan": self._scan,
            "query": self._query,
            "getitem": self._get,
            "batchgetitem": self._get_batch,
            "putitem": self._put,
            "batchwriteitem": self._put_batch,
            "batchexecutestatement": self._insert,
            "createtable": self._create,
            "listtagsofresource": self._tags,
            # What is switched on once a table is filled costs a call each.
            "tagresource": lambda _: "{}",
            "updatetable": lambda _: "{}",
            "updatecontinuousbackups": lambda _: "{}",
            "counts": self._counts,
        }

    def _table(self, name: str) -> Table:
        if name not in self._tables:
            known = _NAMES.fullmatch(name)
            if known is None:
                raise RefusedError("ResourceNotFoundException", "Requested resource not found")
            self._tables[name] = Table(known[1], name, int(known[2]))
        table = self._tables[name]
        table.requests += 1
        return table

    def _counts(self, _: dict[str, Any]) -> str:
        return json.dumps({name: table.counts() for name, table in self._tables.items()})

    def _describe(self, request: dict[str, Any]) -> str:
        table = self._table(request["TableName"])
        if table.kind == "restored" and table.tags is None:
            raise RefusedError("ResourceNotFoundException", "Requested resource not found")
        keys = {"Id": "N"}
        if table.kind in _HISTORIES:
            keys = {"Id": "S", "ApproximateCreationDateTime": "S"}
        described = {
            "TableName": table.name,
            "TableArn": f"{_ARN}{table.name}",
            "TableStatus": "ACTIVE",
            "CreationDateTime": CREATED_AT,
            "ItemCount": 0 if table.kind == "history" else table.items,
            "KeySchema": [
                {"AttributeName": name, "KeyType": kind}
                for name, kind in zip(keys, ("HASH", "RANGE"), strict=False)
            ],
            "AttributeDefinitions": [
                {"AttributeName": name, "AttributeType": tag} for name, tag in keys.items()
            ],
            "StreamSpecification": {"StreamEnabled": True},
            "LatestStreamArn": _STREAM % table.items,
            "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
        }
        return json.dumps({"Table": described})

    def _create(self, request: dict[str, Any]) -> str:
        self._table(request["TableName"]).tags = request["Tags"]
        return self._describe(request)

    def _tags(self, request: dict[str, Any]) -> str:
        table = self._table(request["ResourceArn"].rpartition("/")[2])
        return json.dumps({"Tags": table.tags or []})

    def _scan(self, request: dict[str, Any]) -> str:
        table = self._table(request["TableName"])
        if "IndexName" in request:
            # Of the time that is asked for, the last minutes, there is nothing.
            return '{"Items":[],"Count":0,"ScannedCount":0}'
        segment, segments = request.get("Segment", 0), request.get("TotalSegments", 1)
        begin, end = (table.items * boundary // segments for boundary in (segment, segment + 1))
        if start := request.get("ExclusiveStartKey"):
            begin = int(start["Id"]["S" if table.kind in _HISTORIES else "N"]) + 1
        most = min(request.get("Limit", _ITEMS_A_PAGE), _ITEMS_A_PAGE)
        last = min(begin + most, end)
        table.taken += last - begin
        page = ",".join(_read(table, number, request) for number in range(begin, last))
        # Whether more follow is not looked at when the limit ends a page.
        more = last < end or last - begin == most
        tag = "S" if table.kind in _HISTORIES else "N"
        rest = f',"LastEvaluatedKey":{{"Id":{{"{tag}":"{last - 1}"}}}}' if more else ""
        return f'{{"Items":[{page}],"Count":{last - begin},"ScannedCount":{last - begin}{rest}}}'

    def _query(self, request: dict[str, Any]) -> str:
        if self._table(request["TableName"]).kind not in _HISTORIES:
            raise invalid("the benchmark's endpoint answers only queries of control rows")
        return '{"Items":[],"Count":0,"ScannedCount":0}'

    def _get(self, request: dict[str, Any]) -> str:
        table = self._table(request["TableName"])
        items = list(_existing(table, [request["Key"]], request))
        return f'{{"Item":{items[0]}}}' if items else "{}"

    def _get_batch(self, request: dict[str, Any]) -> str:
        answers = []
        for name, wanted in request["RequestItems"].items():
            require_size(wanted["Keys"], _KEYS_A_BATCH)
            items = list(_existing(self._table(name), wanted["Keys"], wanted))
            # DynamoDB promises no order either.
            answers.append(f'"{name}":[{",".join(items[::-1])}]')
        return f'{{"Responses":{{{",".join(answers)}}},"UnprocessedKeys":{{}}}}'

    def _put(self, request: dict[str, Any]) -> str:
        table = self._table(request["TableName"])
        (table.append if table.kind == "history" else table.take)(request["Item"])
        return "{}"

    def _put_batch(self, request: dict[str, Any]) -> str:
        for name, requests in request["RequestItems"].items():
            require_size(requests, _WRITES_A_BATCH)
            table = self._table(name)
            for put in requests:
                table.take(put["PutRequest"]["Item"])
        return '{"UnprocessedItems":{}}'

    def _insert(self, request: dict[str, Any]) -> str:
        require_size(request["Statements"], _WRITES_A_BATCH)
        names = [_inserts(statement["Statement"]) for statement in request["Statements"]]
        table = self._table(names[0][0])
        for (_, fields), statement in zip(names, request["Statements"], strict=True):
            stored = dict(zip(fields, statement["Parameters"], strict=True))
            # What is said of the table as a whole is of no item.
            if stored[ID] != {"S": CONTROL_ID}:
                table.append(stored)
        return json.dumps({"Responses": [{"TableName": table.name}] * len(names)})


def _read(table: Table, number: int, request: dict[str, Any]) -> str:
    # Only keys are ever projected, and of a history what kind of change it was.
    if "ProjectionExpression" in request and table.kind == "recorded":
        return _PLACE % {"number": number, "sequence": _SEQUENCE + number}
    if "ProjectionExpression" in request:
        return f'{{"Id":{{"N":"{number}"}}}}'
    return table.text(number)


def _existing(table: Table, keys: list[Item], request: dict[str, Any]) -> Iterator[str]:
    for key in keys:
        number = int(key["Id"]["S" if table.kind in _HISTORIES else "N"])
        if 0 <= number < table.items:
            table.taken += 1
            yield _read(table, number, request)


@cache
def _inserts(statement: str) -> tuple[str, list[str]]:
    """The table and the attributes of an `INSERT`."""
    matched = _INSERT.fullmatch(statement)
    if matched is None:
        raise invalid(f"the benchmark's endpoint cannot read {statement}")
    return matched[1], _FIELD.findall(statement)


if __name__ == "__main__":
    _delay_s, _answers = float(sys.argv[1]) / 1000, TwoTablesAnswers()
    asyncio.run(serve(lambda: AnsweringEndpoint(_delay_s, _answers)))
