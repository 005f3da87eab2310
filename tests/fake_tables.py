"""The doubles' DynamoDB with what operations ask besides: descriptions, scans and queries."""

import re
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from zlib import crc32

from stream_core.attribute_values import canonical_json
from tests.factories import NOON
from tests.fakes import FakeDynamoDB, client_error
from tests.service_limits import MAX_PAGE_BYTES, check_expressions, within

_CONDITION = re.compile(r"(#\w+) = (:\w+)(?: AND (#\w+) BETWEEN (:\w+) AND (:\w+))?")

_BEGAN = datetime.fromtimestamp(NOON, UTC) - timedelta(days=1)


def describe(name, key_names, tag="S"):
    """A table as DescribeTable tells it."""
    return {
        "TableName": name,
        "TableId": f"id-{name}",
        "KeySchema": [
            {"AttributeName": key, "KeyType": kind}
            for key, kind in zip(key_names, ("HASH", "RANGE"), strict=False)
        ],
        "AttributeDefinitions": [
            {"AttributeName": key, "AttributeType": tag} for key in sorted(key_names)
        ],
        "CreationDateTime": _BEGAN,
    }


class FakeTables(FakeDynamoDB):
    """Tables that can be described, scanned in segments and queried; all reads are consistent.

    Attributes:
        descriptions: what DescribeTable answers, by name, beside how many items there are.
        page: how many items an answer of Scan holds at most; stands for its megabyte.
        rows: the same of Query.
        batch: how many keys BatchGetItem works off; the others come back unprocessed.
        date: tells the time of the service, for the headers of its answers; None: no headers.
        tick: called before a request is carried out.
    """

    def __init__(self, descriptions, *, page=1000, rows=1000, batch=100):
        names = {
            name: tuple(key["AttributeName"] for key in table["KeySchema"])
            for name, table in descriptions.items()
        }
        super().__init__(**names)
        self.descriptions = descriptions
        self.page, self.rows, self.batch = page, rows, batch
        self.date = None
        self.tick = lambda: None
        self.meta = SimpleNamespace(
            region_name="us-east-1", endpoint_url="https://dynamodb.example"
        )

    def describe_table(self, **request):
        return self._call("describe_table", request, self._describe)

    def scan(self, **request):
        return self._call("scan", request, self._scan)

    def query(self, **request):
        return self._call("query", request, self._query)

    def get_item(self, **request):
        return self._call("get_item", request, self._get)

    def get_paginator(self, operation):
        """As botocore's: goes on while there is more, and more is wanted."""

        def paginate(PaginationConfig=None, **request):  # noqa: N803 - names of the API, here and below
            wanted = (PaginationConfig or {}).get("MaxItems")
            while True:
                page = getattr(self, operation)(**request)
                page["Items"] = page["Items"][:wanted]
                yield page
                wanted = None if wanted is None else wanted - len(page["Items"])
                if "LastEvaluatedKey" not in page or wanted == 0:
                    return
                request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

        return SimpleNamespace(paginate=paginate)

    def get(self, table, item):
        """An item as it is stored; None: there is none."""
        return deepcopy(self.tables[table].get(self._key(table, item)))

    def _call(self, operation, request, carry_out):
        def answer(**request):
            headers = {"date": format_datetime(self.date(), usegmt=True)} if self.date else {}
            return carry_out(**request) | {"ResponseMetadata": {"HTTPHeaders": headers}}

        self.tick()
        return super()._call(operation, request, answer)

    def _describe(self, TableName):  # noqa: N803
        if TableName not in self.descriptions:
            raise client_error("ResourceNotFoundException")
        count = {"ItemCount": len(self.tables[TableName])}
        return {"Table": count | self.descriptions[TableName]}

    def _scan(self, TableName, Segment=0, TotalSegments=1, **request):  # noqa: N803
        partition = self.key_names[TableName][0]
        items = [
            item
            for _, item in sorted(self.tables[TableName].items())
            if crc32(canonical_json({"": item[partition]})) % TotalSegments == Segment
        ]
        return self._answer(TableName, items, request, self.page)

    def _query(self, TableName, KeyConditionExpression, **request):  # noqa: N803
        check_expressions({"KeyConditionExpression": KeyConditionExpression, **request})
        names, values = request["ExpressionAttributeNames"], request["ExpressionAttributeValues"]
        partition, value, sort, low, high = _CONDITION.fullmatch(KeyConditionExpression).groups()
        items = [
            item
            for _, item in sorted(self.tables[TableName].items())
            if item[names[partition]] == values[value]
            and (sort is None or values[low]["S"] <= item[names[sort]]["S"] <= values[high]["S"])
        ]
        if not request.get("ScanIndexForward", True):
            items.reverse()
        return self._answer(TableName, items, request, self.rows)

    def _answer(self, table, items, request, most):
        assert request["ConsistentRead"] is True
        limit = request.get("Limit")
        start = request.get("ExclusiveStartKey")
        if start is not None:
            place = self._key(table, start)
            is_forward = request.get("ScanIndexForward", True)
            items = [
                item
                for item in items
                if (self._key(table, item) > place) is is_forward
                and self._key(table, item) != place
            ]
        page = items[: min(most, limit or most)]
        page = page[: within(page, MAX_PAGE_BYTES)]
        answer = {"Items": [_shown(item, request) for item in page if _passes(item, request)]}
        # At its limit DynamoDB does not know yet whether there is more.
        if page and (len(page) == limit or len(page) < len(items)):
            answer["LastEvaluatedKey"] = {name: page[-1][name] for name in self.key_names[table]}
        return answer

    def _get(self, TableName, Key, ConsistentRead):  # noqa: N803
        assert ConsistentRead is True
        item = self.get(TableName, Key)
        return {} if item is None else {"Item": item}

    def _get_all(self, RequestItems):  # noqa: N803
        ((table, request),) = RequestItems.items()
        assert request["ConsistentRead"] is True
        keys = request["Keys"]
        answer = super()._get_all(RequestItems)  # It refuses what the service does.
        if keys[self.batch :]:
            answer = super()._get_all({table: request | {"Keys": keys[: self.batch]}})
            unread = answer["UnprocessedKeys"].get(table, {"Keys": []})["Keys"]
            remaining = [*unread, *keys[self.batch :]]
            answer["UnprocessedKeys"] = {table: request | {"Keys": remaining}}
        return answer


def _passes(item, request):
    """Whether a filter that asks for one value lets an item through."""
    if "FilterExpression" not in request:
        return True
    name, value = request["FilterExpression"].split(" = ")
    names, values = request["ExpressionAttributeNames"], request["ExpressionAttributeValues"]
    return item[names[name]] == values[value]


def _shown(item, request):
    """An item, or the attributes that were asked for; what goes over a wire shares nothing."""
    if "ProjectionExpression" not in request:
        return deepcopy(item)
    names = request["ExpressionAttributeNames"]
    shown = [names[name] for name in request["ProjectionExpression"].split(", ")]
    return deepcopy({name: item[name] for name in shown if name in item})
