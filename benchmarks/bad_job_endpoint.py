"""A table that a bad job has been through, and its history, of any size, to be taken back.

How many items there are is in the tables' names: `source-10000`, `history-10000`. Every item was
inserted the day before, the job changed its salary, and every tenth has another change since, of
another attribute. Both tables are answered from memory, with DynamoDB's own limits; a write has to
meet its condition. What it does not know it refuses. Runs as a process of its own, so that its work
is not counted as the client's:

    python -m benchmarks.bad_job_endpoint DELAY_MS
"""

import asyncio
import base64
import re
import sys
from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from typing import Any

from benchmarks.endpoint import (
    AnsweringEndpoint,
    Answers,
    RefusedError,
    invalid,
    require_size,
    serve,
)
from benchmarks.processes import TABLE_ARN
from benchmarks.writers import record
from stream_core.attribute_values import Item
from stream_core.change import EventName, read_record
from stream_core.history_row import ID, SORT_KEY, HistoryRow

BEGAN = datetime(2026, 11, 25, 12, tzinfo=UTC)
"""When the bad job began; it lasted ten minutes."""
ENDED = BEGAN + timedelta(minutes=10)
BEFORE = BEGAN - timedelta(hours=1)
"""A moment at which every item was as it is to be."""
PRESENT = BEGAN + timedelta(hours=4)
"""When it is taken back."""
# Whenever a run writes, of those that begin then.
_TAKEN_BACK = PRESENT + timedelta(minutes=2)
_INSERTED, _LATER = BEGAN - timedelta(days=1), BEGAN + timedelta(hours=2)
_SHARDS = 4
_SOME = 10
# Developer Guide, Query and Scan; API reference, BatchGetItem and BatchExecuteStatement.
_PAGE_BYTES, _KEYS_A_BATCH, _WRITES_A_BATCH = 1024 * 1024, 100, 25
_NAMES = re.compile(r"(source|history)-(\d+)")
_RANGE = re.compile(r"(#\w+) = (:\w+)(?: AND (#\w+) (?:BETWEEN (:\w+) AND (:\w+)|>= (:\w+)))?")
_CLAUSE = re.compile(r"attribute_exists\((#\w+)\)|(#\w+) = (:\w+)")
_SETS = re.compile(r"SET (#\w+ = :\w+(?:, #\w+ = :\w+)*)")
# As many as a run looks for, at most.
_FOLLOWED = 200
# What IN finds comes in pages: Developer Guide, PartiQL operators.
_SELECT = re.compile(
    r'SELECT "Id", "(\w+)" FROM "([\w-]+)" WHERE "Id" IN \[[?, ]+\] AND "\1" >= \?'
)
_ROWS_A_PAGE, _MOST_IN = 10, 50
_FIELD = re.compile(r"'(\w+)': \?")
_STREAM = f"{TABLE_ARN.rpartition('/')[0]}/source-%d/stream/2026-11-25T00:00:00.000"


def keys_of(number: int) -> Item:
    """The key of the item with this number."""
    return {"Id": {"S": f"employee-{number}"}}


def image(number: int, salary: str, notes: str = "as hired") -> Item:
    """The item with this number, of about 400 bytes."""
    written: Item = record(number)["dynamodb"]["NewImage"]
    return {**written, **keys_of(number), "Salary": {"N": salary}, "Remarks": {"S": notes}}


def _is_changed_since(number: int) -> bool:
    return number % _SOME == 0


def _undone(number: int) -> Item:
    """An item with the bad job's change taken back, and what came since kept."""
    return image(number, "4200", "promoted" if _is_changed_since(number) else "as hired")


def _restored(number: int) -> Item:
    """An item as it was before the job."""
    return image(number, "4200")


def _states(number: int) -> Iterator[tuple[datetime, Item]]:
    yield _INSERTED, image(number, "4200")
    yield BEGAN + timedelta(seconds=number % 600), image(number, "42")
    if _is_changed_since(number):
        yield _LATER, image(number, "42", "promoted")


class World:
    """Both tables with so many items, and what was asked of them."""

    def __init__(self, items: int) -> None:
        """Every item as the bad job, and others since, have left it."""
        self.calls: Counter[str] = Counter()
        self.items: dict[str, Item] = {}
        self.rows: dict[str, list[tuple[str, Item]]] = defaultdict(list)
        self.by_time: dict[str, list[tuple[str, str, Item]]] = defaultdict(list)
        self._numbers = range(items)
        self._sequence, self._followed = count(100000000003218256368), 0
        for number in self._numbers:
            old = None
            for at, new in _states(number):
                whole = _record(number, at, old, new) | {
                    "SequenceNumber": str(next(self._sequence))
                }
                self.record(_row(items, number, whole))
                old = new
            self.items[f"employee-{number}"] = old or {}
        for entries in self.by_time.values():
            entries.sort(key=lambda entry: entry[:2])

    def record(self, item: Item) -> None:
        """A row is in the history, and in its index."""
        place = item[ID]["S"], item[SORT_KEY]["S"]
        insort(self.rows[place[0]], (place[1], item), key=lambda row: row[0])
        if bucket := item.get("TimeBucket"):
            self.by_time[bucket["S"]].append((place[1], place[0], item))

    def follow(self, number: int, old: Item) -> None:
        """Have the first writes of a run recorded: that it sees them is what it waits for."""
        if self._followed < _FOLLOWED:
            self._followed += 1
            new = self.items[f"employee-{number}"]
            whole = _record(number, _TAKEN_BACK, old, new)
            whole["SequenceNumber"] = str(next(self._sequence))
            self.record(_row(len(self.items), number, whole))

    def count(self, wanted: Callable[[int], Item]) -> int:
        """How many items are as they are to be."""
        return sum(self.items[f"employee-{number}"] == wanted(number) for number in self._numbers)


def _record(number: int, at: datetime, old: Item | None, new: Item) -> Item:
    """What a stream record says of a change."""
    images = {"NewImage": new} | ({"OldImage": old} if old else {})
    stamp = at.timestamp()
    return {
        "ApproximateCreationDateTime": stamp,
        "Keys": keys_of(number),
        "SizeBytes": 700,
    } | images


def _row(items: int, number: int, body: dict[str, Any]) -> Item:
    """The stored row of a change, as it is on the wire."""
    name = EventName.MODIFY if "OldImage" in body else EventName.INSERT
    whole = {**record(number), "eventName": name.value, "dynamodb": body}
    item = HistoryRow.from_change(read_record(whole, _STREAM % items)).to_item(_SHARDS)
    return {**item, "Digest": {"B": base64.b64encode(item["Digest"]["B"]).decode()}}


class BadJobAnswers(Answers):
    """What the endpoint answers."""

    def __init__(self) -> None:
        """Begin with no table; each is there once it is named."""
        self._worlds: dict[int, World] = {}
        self.operations = {
            "describetable": self._describe,
            "scan": self._scan,
            "query": self._query,
            "getitem": self._get,
            "batchgetitem": self._get_batch,
            "batchexecutestatement": self._insert,
            "executestatement": self._select,
            "updateitem": self._update,
            "transactwriteitems": self._transact,
            "counts": self._counts,
        }

    def _world(self, table: str, operation: str) -> tuple[str, World]:
        known = _NAMES.fullmatch(table)
        if known is None:
            raise RefusedError("ResourceNotFoundException", "Requested resource not found")
        items = int(known[2])
        if items not in self._worlds:
            self._worlds[items] = World(items)
        self._worlds[items].calls[operation] += 1
        return known[1], self._worlds[items]

    def _counts(self, _: dict[str, Any]) -> dict[str, Any]:
        """What was asked of each size since the last time, and what came of it; all begins anew."""
        worlds, self._worlds = self._worlds, {}
        return {
            str(items): {
                "calls": world.calls,
                "undo": world.count(_undone),
                "restore": world.count(_restored),
            }
            for items, world in worlds.items()
        }

    def _describe(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["TableName"]
        kind, world = self._world(name, "DescribeTable")
        keys = [ID, SORT_KEY] if kind == "history" else ["Id"]
        held = sum(map(len, world.rows.values())) if kind == "history" else len(world.items)
        described = {
            "TableName": name,
            "TableArn": f"{TABLE_ARN.rpartition('/')[0]}/{name}",
            "TableStatus": "ACTIVE",
            "CreationDateTime": (BEGAN - timedelta(days=30)).timestamp(),
            "ItemCount": held,
            "TableSizeBytes": held * 1000,
            "KeySchema": [
                {"AttributeName": key, "KeyType": part}
                for key, part in zip(keys, ("HASH", "RANGE"), strict=False)
            ],
            "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in keys],
            "StreamSpecification": {"StreamEnabled": True},
            "LatestStreamArn": _STREAM % len(world.items),
        }
        return {"Table": described}

    def _scan(self, request: dict[str, Any]) -> dict[str, Any]:
        kind, world = self._world(request["TableName"], "Scan")
        if kind != "history" or request.get("TotalSegments", 1) < request.get("Segment", 0):
            raise invalid("the benchmark's endpoint scans the history alone")
        # All partition keys are in one segment: the others are empty.
        partitions = world.by_time if "IndexName" in request else world.rows
        rows: list[Item] = []
        if not request.get("Segment", 0):
            rows = [row[-1] for name in sorted(partitions) for row in partitions[name]]
        return _page(rows, request)

    def _query(self, request: dict[str, Any]) -> dict[str, Any]:
        kind, world = self._world(request["TableName"], "Query")
        matched = _RANGE.fullmatch(request["KeyConditionExpression"])
        if kind != "history" or matched is None:
            raise invalid(f"cannot read {request['KeyConditionExpression']}")
        partition, *bounds = (
            request["ExpressionAttributeValues"][name]["S"] if name else None
            for name in (matched[2], matched[4] or matched[6], matched[5])
        )
        index = "IndexName" in request
        rows: Sequence[Any] = (world.by_time if index else world.rows).get(partition or "", ())
        first = bisect_left(rows, bounds[0] or "", key=lambda row: row[0])
        last = bisect_right(rows, bounds[1] or "~", key=lambda row: row[0])
        found = [row[-1] for row in rows[first:last]]
        return _page(found if request.get("ScanIndexForward", True) else found[::-1], request)

    def _get(self, request: dict[str, Any]) -> dict[str, Any]:
        item = _stored(*self._world(request["TableName"], "GetItem"), request["Key"])
        return {"Item": item} if item else {}

    def _get_batch(self, request: dict[str, Any]) -> dict[str, Any]:
        ((table, asked),) = request["RequestItems"].items()
        require_size(asked["Keys"], _KEYS_A_BATCH)
        kind, world = self._world(table, "BatchGetItem")
        found = (_stored(kind, world, key) for key in asked["Keys"])
        # DynamoDB promises no order either.
        items = [item for item in found if item is not None][::-1]
        return {"Responses": {table: items}, "UnprocessedKeys": {}}

    def _insert(self, request: dict[str, Any]) -> dict[str, Any]:
        require_size(request["Statements"], _WRITES_A_BATCH)
        table = request["Statements"][0]["Statement"].split('"')[1]
        _, world = self._world(table, "BatchExecuteStatement")
        for statement in request["Statements"]:
            names = _FIELD.findall(statement["Statement"])
            row = dict(zip(names, statement["Parameters"], strict=True))
            if _stored("history", world, row):
                raise invalid("a control row is written twice")
            world.record(row)
        return {"Responses": [{"TableName": table}] * len(request["Statements"])}

    def _select(self, request: dict[str, Any]) -> dict[str, Any]:
        matched = _SELECT.fullmatch(request["Statement"])
        if matched is None or not request.get("ConsistentRead"):
            raise invalid(f"the benchmark's endpoint cannot read {request['Statement']}")
        _, world = self._world(matched[2], "ExecuteStatement")
        *identifiers, since = (value["S"] for value in request["Parameters"])
        require_size(identifiers, _MOST_IN)
        rows = [
            {ID: row[ID], SORT_KEY: row[SORT_KEY]}
            for identifier in identifiers
            for sort_key, row in world.rows.get(identifier, ())
            if sort_key >= since
        ]
        begin = int(request.get("NextToken", 0))
        end = begin + _ROWS_A_PAGE
        # Whether more follow is not looked at where a page is full.
        more = {"NextToken": str(end)} if end <= len(rows) else {}
        return {"Items": rows[begin:end]} | more

    def _update(self, request: dict[str, Any]) -> dict[str, Any]:
        _write(self._world(request["TableName"], "UpdateItem")[1], request)
        return {}

    def _transact(self, request: dict[str, Any]) -> dict[str, Any]:
        updates = [write["Update"] for write in request["TransactItems"]]
        require_size(updates, _KEYS_A_BATCH)
        _, world = self._world(updates[0]["TableName"], "TransactWriteItems")
        for update in updates:
            number = int(update["Key"]["Id"]["S"].rpartition("-")[2])
            old = dict(world.items[f"employee-{number}"])
            _write(world, update)
            world.follow(number, old)
        return {}


def _stored(kind: str, world: World, key: Item) -> Item | None:
    if kind == "source":
        return world.items.get(key["Id"]["S"])
    rows, sort_key = world.rows.get(key[ID]["S"], []), key[SORT_KEY]["S"]
    place = bisect_left(rows, sort_key, key=lambda row: row[0])
    return rows[place][1] if place < len(rows) and rows[place][0] == sort_key else None


def _write(world: World, update: dict[str, Any]) -> None:
    """Set attributes of an item that meets a condition, both of the simple kind."""
    names, values = update["ExpressionAttributeNames"], update["ExpressionAttributeValues"]
    item = world.items[update["Key"]["Id"]["S"]]
    for clause in update["ConditionExpression"].split(" AND "):
        exists, name, value = _parsed(_CLAUSE, clause)
        holds = names[exists] in item if exists else item.get(names[name]) == values[value]
        if not holds:
            raise RefusedError("ConditionalCheckFailedException", "The conditional request failed")
    (sets,) = _parsed(_SETS, update["UpdateExpression"])
    pairs = (part.split(" = ") for part in sets.split(", "))
    item.update({names[name]: values[value] for name, value in pairs})


@cache
def _parsed(pattern: re.Pattern[str], text: str) -> tuple[str, ...]:
    matched = pattern.fullmatch(text)
    if matched is None:
        raise invalid(f"the benchmark's endpoint cannot read {text}")
    return matched.groups()


def _page(rows: Sequence[Item], request: dict[str, Any]) -> dict[str, Any]:
    """A page of rows, from where the last one ended."""
    begin = 0
    if start := request.get("ExclusiveStartKey"):
        begin = 1 + next(
            place for place, row in enumerate(rows) if _is_at(row, start[ID], start[SORT_KEY])
        )
    size, page = 0, list[Item]()
    limit = request.get("Limit")
    for row in rows[begin : limit and begin + limit]:
        size += _size(row)
        if size > _PAGE_BYTES and page:
            break
        page.append(row)
    answer: dict[str, Any] = {"Count": len(page), "ScannedCount": len(page)}
    names = request.get("ExpressionAttributeNames", {})
    if shown := request.get("ProjectionExpression"):
        wanted_names = [names[name.strip()] for name in shown.split(",")]
        answer["Items"] = [
            {name: row[name] for name in wanted_names if name in row} for row in page
        ]
    else:
        answer["Items"] = page
    # Whether more follow is not looked at when the limit ends a page.
    if page and (begin + len(page) < len(rows) or len(page) == limit):
        kept = [ID, SORT_KEY, *(["TimeBucket"] if "IndexName" in request else [])]
        answer["LastEvaluatedKey"] = {name: page[-1][name] for name in kept}
    return answer


def _is_at(row: Item, identifier: Any, sort_key: Any) -> bool:
    return bool(row[SORT_KEY] == sort_key and row[ID] == identifier)


def _size(row: Item) -> int:
    # Near enough: what an item of this table's rows takes.
    return 600 if "OldImage" not in row else 1000


if __name__ == "__main__":
    _delay_s, _answers = float(sys.argv[1]) / 1000, BadJobAnswers()
    asyncio.run(serve(lambda: AnsweringEndpoint(_delay_s, _answers)))
