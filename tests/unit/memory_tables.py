"""A source table and its history in memory, read through the API as DynamoDB answers it.

`tests/unit/test_memory_tables.py` holds the client against moto.
"""

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from email.utils import format_datetime
from functools import cache
from itertools import count, zip_longest
from threading import Lock
from types import SimpleNamespace
from zlib import crc32

from botocore.paginate import Paginator

from reports.access.row_reader import RowReader
from stream_core.attribute_values import same_item
from stream_core.change import EventName
from stream_core.history_row import ID, SORT_KEY, HistoryRow
from tests.factories import NOON, change, complete, item, number
from tests.fakes import client_error
from tests.service_limits import (
    MAX_BATCH_BYTES,
    MAX_PAGE_BYTES,
    MAX_READS,
    check_batch,
    check_expressions,
    within,
)

START = datetime.fromtimestamp(NOON, UTC)
HISTORY, SOURCE = "EmployeeHistory", "Employee"
_CONDITION = re.compile(r"(#\w+) = (:\w+)(?: AND (#\w+) BETWEEN (:\w+) AND (:\w+))?")
_EXACT = Context(prec=50)
_PAGINATION = {
    "input_token": "ExclusiveStartKey",
    "output_token": "LastEvaluatedKey",
    "result_key": ["Items", "Count"],
    "limit_key": "Limit",
}
_LIMIT = SimpleNamespace(
    input_shape=SimpleNamespace(members={"Limit": SimpleNamespace(type_name="integer")})
)


@cache
def _hash(content):
    return crc32(repr(content).encode())


def _content(value):
    """What a key holds, equal where the service takes it for equal."""
    ((tag, content),) = value.items()
    return Decimal(content).normalize(_EXACT) if tag == "N" else content


def _ignored(*_arguments, **_options):
    """Handlers of a real client have nothing to do here: no answer has a wire form."""


class MemoryTables:
    """The reading half of a DynamoDB client.

    Attributes:
        page: how many items an answer of Query or Scan holds at most; stands for its megabyte.
        batch: how many keys BatchGetItem works off; the others come back unprocessed.
        lagging: rows, as (`Id`, sort key), that the index does not show yet.
        before: what to do once, before the next call of an operation is carried out.
        calls: how often each operation was called.
        clock: gives what answers about items say of when they were given; None: they do not.
        stale: what reads that are not consistent are answered from, where it is not what is stored.
        requests: every request, in order, with the operation's name.
    """

    def __init__(self, *, page=1000, batch=MAX_READS, **descriptions):
        self.page = page
        self.batch = batch
        self.descriptions = descriptions
        self.items = {name: {} for name in descriptions}
        self.lagging = set()
        self.stale = {}
        self.clock = None
        self.before = defaultdict(list)
        self.calls = Counter()
        self.requests = []
        self.meta = SimpleNamespace(
            region_name="us-east-1",
            endpoint_url="http://memory",
            events=SimpleNamespace(register=_ignored),
        )
        self._lock = Lock()

    def put(self, table, item):
        self.items[table][self._place(table, item)] = item

    def remove(self, table, item):
        self.items[table].pop(self._place(table, item), None)

    def get(self, table, keys):
        return self.items[table].get(self._place(table, keys))

    def describe_table(self, TableName):  # noqa: N803 - names of the API, here and below
        self._note("describe_table", TableName=TableName)
        if TableName not in self.descriptions:
            raise client_error("ResourceNotFoundException")
        return {"Table": self.descriptions[TableName]}

    def describe_time_to_live(self, TableName):  # noqa: N803
        self._note("describe_time_to_live", TableName=TableName)
        return {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}

    def list_tags_of_resource(self, ResourceArn):  # noqa: N803
        self._note("list_tags_of_resource", ResourceArn=ResourceArn)
        return {"Tags": []}

    def get_item(self, TableName, Key, ConsistentRead):  # noqa: N803
        self._note("get_item", TableName=TableName, ConsistentRead=ConsistentRead)
        item = self._stored(TableName, ConsistentRead).get(self._place(TableName, Key))
        return ({} if item is None else {"Item": item}) | self._date()

    def batch_get_item(self, RequestItems):  # noqa: N803
        self._note("batch_get_item", RequestItems=RequestItems)
        ((table, request),) = RequestItems.items()
        keys = request["Keys"]
        check_batch(keys, [self._place(table, key) for key in keys], MAX_READS)
        check_expressions(request)
        stored = self._stored(table, request.get("ConsistentRead"))
        found = [stored.get(self._place(table, key)) for key in keys[: self.batch]]
        size = within([item or {} for item in found], MAX_BATCH_BYTES)
        found, left = found[:size], keys[size:]
        return {
            "Responses": {table: [item for item in reversed(found) if item is not None]},
            "UnprocessedKeys": {table: {**request, "Keys": left}} if left else {},
        }

    def scan(self, TableName, Segment=0, TotalSegments=1, **request):  # noqa: N803
        self._note("scan", TableName=TableName, Segment=Segment, **request)
        check_expressions(request)
        index = "IndexName" in request
        names = [*(["TimeBucket"] if index else []), *self._key_names(TableName)]

        def place(item):
            contents = tuple(_content(item[name]) for name in names)
            return _hash(contents[0]), contents

        items = sorted(
            (
                item
                for item in self._stored(TableName, request.get("ConsistentRead")).values()
                if not (index and self._is_hidden(item))
                and place(item)[0] % TotalSegments == Segment
            ),
            key=place,
        )
        return self._answer(items, place, names, request) | self._date()

    def query(self, TableName, KeyConditionExpression, **request):  # noqa: N803
        self._note("query", TableName=TableName, **request)
        names, values = request["ExpressionAttributeNames"], request["ExpressionAttributeValues"]
        partition, value, sort, low, high = _CONDITION.fullmatch(KeyConditionExpression).groups()
        check_expressions({"KeyConditionExpression": KeyConditionExpression, **request})
        index = request.get("IndexName")
        found = [
            item
            for item in self._stored(TableName, request.get("ConsistentRead")).values()
            if item.get(names[partition]) == values[value]
            and (sort is None or values[low]["S"] <= item[names[sort]]["S"] <= values[high]["S"])
            and not (index and self._is_hidden(item))
        ]
        # What an index has under one sort key is in no order that anybody could know.
        place = lambda item: (item[SORT_KEY]["S"], _hash(item[ID]["S"]) if index else 0)  # noqa: E731
        forward = request.get("ScanIndexForward", True)
        key_names = [*self._key_names(TableName), *([names[partition]] if index else [])]
        found.sort(key=place, reverse=not forward)
        return self._answer(found, place if forward else None, key_names, request)

    def get_paginator(self, operation):
        return Paginator(getattr(self, operation), _PAGINATION, _LIMIT)

    def _date(self):
        if self.clock is None:
            return {}
        date = format_datetime(self.clock(), usegmt=True)
        return {"ResponseMetadata": {"HTTPHeaders": {"date": date}}}

    def _note(self, operation, **request):
        with self._lock:
            self.calls[operation] += 1
            self.requests.append((operation, request))
            waiting = self.before[operation]
            happens = waiting.pop(0) if waiting else None
        if happens is not None:
            happens()

    def _answer(self, items, place, key_names, request):
        start, limit = request.get("ExclusiveStartKey"), request.get("Limit")
        if start is not None and place is not None:
            items = items[bisect_right([place(item) for item in items], place(start)) :]
        elif start is not None:
            items = items[1 + [self._key(key_names, item) for item in items].index(start) :]
        size = min(self.page, limit or self.page)
        size = within(items[:size], MAX_PAGE_BYTES)
        page = items[:size]
        answer = {"Items": [_projected(item, request) for item in page], "Count": len(page)}
        if page and (len(page) == limit or len(items) > size):
            answer["LastEvaluatedKey"] = self._key(key_names, page[-1])
        return answer

    def fall_behind(self):
        """From now on, reads that are not consistent show what is stored now."""
        self.stale = {name: dict(items) for name, items in self.items.items()}

    def _stored(self, table, is_consistent):
        items = self.items[table]
        # A copy: others may write meanwhile.
        return dict(items if is_consistent else self.stale.get(table, items))

    def _key_names(self, table):
        return [one["AttributeName"] for one in self.descriptions[table]["KeySchema"]]

    def _place(self, table, item):
        return tuple(_content(item[name]) for name in self._key_names(table))

    def _is_hidden(self, item):
        """Whether the index does not show a row: not yet, or never."""
        return "TimeBucket" not in item or (item[ID]["S"], item[SORT_KEY]["S"]) in self.lagging

    @staticmethod
    def _key(names, item):
        return {name: item[name] for name in names}


def _projected(item, request):
    if "ProjectionExpression" not in request:
        return item
    names = request["ExpressionAttributeNames"]
    wanted = [names[name] for name in request["ProjectionExpression"].split(", ")]
    return {name: item[name] for name in wanted if name in item}


class Recorded:
    """A source table whose every change is recorded, unless a test wants otherwise.

    Attributes:
        client: both tables.
        reader: as the reports make it.
        rows: what was recorded, in order.
    """

    def __init__(
        self,
        *,
        shards=4,
        time_shards="known",
        source=True,
        began_s=-86400,
        key_names=("Id",),
        **options,
    ):
        self.client = MemoryTables(
            **{
                HISTORY: describe(HISTORY, [ID, SORT_KEY], began_s),
                SOURCE: describe(SOURCE, key_names, began_s - 86400),
            },
            **options,
        )
        self.shards = shards
        known = shards if time_shards == "known" else time_shards
        self.reader = complete(
            RowReader(self.client, None, HISTORY, SOURCE if source else None, known)
        )
        self.rows = []
        self._sequences = count(1)

    def live(self, identifier):
        return self.client.get(SOURCE, {"Id": {"S": identifier}})

    def write(self, identifier, image, at=0, **options):
        """Put an item, or delete it, so many seconds after the start; None for no change."""
        row = self.change(identifier, image, at, **options)
        if row is not None:
            self.record(row)
        return row

    def change(self, identifier, image, at=0, **options):
        """Put an item, or delete it; its row is given back, not recorded."""
        keys = {"Id": {"S": identifier}}
        old = self.live(identifier)
        if same_item(old, image):
            return None
        if image is None:
            self.client.remove(SOURCE, keys)
        else:
            self.client.put(SOURCE, image)
        sequence = next(self._sequences)
        return HistoryRow.from_change(
            change(old, image, at=NOON + at, sequence=sequence, **options)
        )

    def baseline(self, identifier, at=0):
        """Record what a backfill finds, if anything."""
        image = self.live(identifier)
        if image is None:
            return None
        found = change(None, image, at=NOON + at)
        row = HistoryRow.from_change(
            replace(found, event_name=EventName.SNAPSHOT, sequence_number="0")
        )
        self.record(row)
        return row

    def record(self, row):
        item = row.to_item(self.shards)
        self.client.put(HISTORY, item)
        self.rows.append(row)

    def counted(self, *, rows, row_bytes=500, items=100):
        """Have DescribeTable tell such sizes, whatever there is."""
        self.client.descriptions[HISTORY] |= {"ItemCount": rows, "TableSizeBytes": rows * row_bytes}
        self.client.descriptions[SOURCE] |= {"ItemCount": items}

    def forget(self, row):
        """Take a row away from the table; the index keeps nothing that the table has not."""
        self.client.remove(HISTORY, row.to_item(self.shards))
        self.rows.remove(row)


def describe(name, key_names, began_s=0, *, tags="", **sizes):
    """A table as DescribeTable tells it; its keys are texts, or of the types that `tags` spells."""
    return {
        "TableName": name,
        "TableArn": f"arn:aws:dynamodb:eu-west-1:123456789012:table/{name}",
        "KeySchema": [
            {"AttributeName": key, "KeyType": kind}
            for key, kind in zip(key_names, ("HASH", "RANGE"), strict=False)
        ],
        "AttributeDefinitions": [
            {"AttributeName": key, "AttributeType": tag}
            for key, tag in zip_longest(key_names, tags, fillvalue="S")
        ],
        "CreationDateTime": START + timedelta(seconds=began_s),
        "ItemCount": 0,
        "TableSizeBytes": 0,
        **sizes,
    }


def moment(seconds):
    """So many seconds after the start."""
    return START + timedelta(seconds=seconds)


def require_consistent_reads(client):
    """See that every request asked for what is stored now; an index cannot be asked so."""
    for operation, request in client.requests:
        if operation == "batch_get_item":
            ((_, asked),) = request["RequestItems"].items()
            assert asked.get("ConsistentRead") is True, request
        elif operation != "describe_table" and "IndexName" not in request:
            assert request.get("ConsistentRead") is True, request


def counted(world, changes, *, items=3, step_s=1):
    """So many changes, in turn of so many items, so many seconds apart."""
    for n in range(changes):
        name = f"item-{n % items}"
        world.write(name, item(name, Count=number(n)), at=n * step_s)
    return world


def places(rows):
    """Where rows are, in the order of time."""
    return [(row.sort_key, row.id) for row in rows]
