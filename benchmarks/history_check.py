"""Whether the benchmark's endpoint answers as moto does: the same small history, the same requests.

Runs as a process of its own, because moto takes over every client of its process:

    python -m benchmarks.history_check
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError
from moto import mock_aws

from benchmarks.history import BY_TIME, HISTORY, SOURCE, TIME_SHARDS, History, history, skewed
from benchmarks.processes import serving_history
from stream_core.attribute_values import item_size
from stream_core.history_row import ID, SORT_KEY, time_text

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Few enough for moto; and enough for several pages, which moto does not make.
_FEW, _MANY, _ITEMS = 240, 4_000, 12
# Short enough for an hour and shard of the index to have several rows.
_HOURS = timedelta(hours=4)
_PAGE_BYTES = 1024 * 1024
_BATCH_BYTES = 20_000
_SEGMENTS = 3


@dataclass(frozen=True)
class _Request:
    operation: str
    arguments: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.operation} {json.dumps(self.arguments)}"


def main() -> None:
    """Compare every answer; AssertionError at the first that differs."""
    small = history("check-few", skewed(_FEW, _ITEMS), _HOURS)
    session = boto3.Session("test", "test", region_name="us-east-1")
    with serving_history(small.folder) as endpoint:
        ours = session.client("dynamodb", endpoint_url=endpoint.url)
        rows, live = (_everything(ours, table) for table in (HISTORY, SOURCE))
        requests = [*_requests(small, rows)]
        answers = [_answer(ours, request) for request in requests]
    with serving_history(history("check-many", skewed(_MANY, _ITEMS)).folder) as endpoint:
        ours = session.client("dynamodb", endpoint_url=endpoint.url)
        many = _everything(ours, HISTORY)
        _check_pages(ours, many)
        _check_segments(ours, many)
    with serving_history(small.folder, str(_BATCH_BYTES)) as endpoint:
        _check_batches(session.client("dynamodb", endpoint_url=endpoint.url), rows)
    with mock_aws():
        theirs = session.client("dynamodb")
        _fill(theirs, small, {HISTORY: rows, SOURCE: live})
        for request, answer in zip(requests, answers, strict=True):
            expected = _answer(theirs, request)
            if answer != expected:
                raise AssertionError(f"{request}: {str(answer)[:200]}, moto {str(expected)[:200]}")


def _requests(small: History, rows: list[dict[str, Any]]) -> Iterator[_Request]:
    yield from _by_item(rows)
    yield from _by_time(small, rows)
    keys = [{name: row[name] for name in (ID, SORT_KEY)} for row in rows[::7]]
    absent = [
        {ID: rows[0][ID], SORT_KEY: {"S": "2"}},
        {ID: {"S": "order-none"}, SORT_KEY: {"S": "~"}},
    ]
    for more in ({}, {"ProjectionExpression": "#n", "ExpressionAttributeNames": {"#n": "Keys"}}):
        batch = {HISTORY: {"Keys": [*keys, *absent], "ConsistentRead": True, **more}}
        yield _Request("batch_get_item", {"RequestItems": batch})
    for key in ({ID: row[ID]} for row in rows[::50]):
        yield _Request("get_item", {"TableName": SOURCE, "Key": key, "ConsistentRead": True})
    for none in ("", "x"):
        yield _Request("get_item", {"TableName": SOURCE, "Key": {ID: {"S": f"order-0{none}"}}})
    yield _Request("get_item", {"TableName": "none", "Key": {ID: {"S": "order-none"}}})
    yield _Request("get_item", {"TableName": HISTORY, "Key": {ID: {"S": "order-none"}}})
    for attributes in (("Id", "Keys"), ("Id", SORT_KEY, "EventName"), ("Digest", "Keys")):
        names = {f"#{name}": name for name in attributes}
        projected = {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}
        yield _Request("scan", {"TableName": HISTORY, **projected})


def _by_item(rows: list[dict[str, Any]]) -> Iterator[_Request]:
    """Queries on the table: every comparison, around rows of several items, both ways."""
    for row in (rows[0], rows[len(rows) // 3], rows[-1]):
        time = row[SORT_KEY]["S"]
        for condition in ("", *(f" AND #t {sign} :t" for sign in ("<", "<=", "=", ">=", ">"))):
            yield from _both_ways(row[ID], ID, SORT_KEY, condition, {":t": {"S": time}})
        for bounds in ((" ", "~"), (f"{time} ", "~"), (" ", time), (time, time), ("~", "~~")):
            low, high = ({"S": bound} for bound in bounds)
            condition = " AND #t BETWEEN :low AND :high"
            yield from _both_ways(row[ID], ID, SORT_KEY, condition, {":low": low, ":high": high})


def _by_time(small: History, rows: list[dict[str, Any]]) -> Iterator[_Request]:
    """Queries on the index."""
    middle = small.start + (small.end - small.start) / 2
    for row in rows[:: len(rows) // 3]:
        hour = row[SORT_KEY]["S"][:13]
        low, high = {"S": f"{hour}:20"}, row[SORT_KEY]
        for shard in range(TIME_SHARDS):
            bucket = {"S": f"{hour}#{shard:02d}"}
            for condition in ("", " AND #t BETWEEN :low AND :high", " AND #t > :low"):
                values = {":low": low, ":high": high}
                for request in _both_ways(bucket, "TimeBucket", SORT_KEY, condition, values):
                    yield _Request("query", request.arguments | {"IndexName": BY_TIME})
    bucket = {"S": f"{time_text(middle)[:13]}#00"}
    for request in _both_ways(bucket, "TimeBucket", SORT_KEY, "", {}):
        yield _Request("query", request.arguments | {"IndexName": BY_TIME, "ConsistentRead": True})


def _both_ways(
    partition: dict[str, str], key: str, sort_key: str, condition: str, values: dict[str, Any]
) -> Iterator[_Request]:
    used = {name: value for name, value in values.items() if name in condition.split()}
    names = {"#k": key, **({"#t": sort_key} if condition else {})}
    query = {
        "TableName": HISTORY,
        "KeyConditionExpression": f"#k = :k{condition}",
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": {":k": partition, **used},
    }
    for forward in (True, False):
        for limit in ({}, {"Limit": 7}):
            yield _Request("query", {**query, "ScanIndexForward": forward, **limit})


def _answer(client: "DynamoDBClient", request: _Request) -> Any:
    """The whole answer, its pages together; what DynamoDB gives in no order, sorted."""
    try:
        if request.operation == "query":
            # One page more than the first shows that the next begins where the last ended.
            pages = client.get_paginator("query").paginate(
                **request.arguments,
                PaginationConfig={"MaxItems": 3 * request.arguments.get("Limit", 9**9)},
            )
            return [item for page in pages for item in page["Items"]]
        if request.operation == "scan":
            pages = client.get_paginator("scan").paginate(**request.arguments)
            return sorted(
                json.dumps(item, sort_keys=True, default=repr)
                for page in pages
                for item in page["Items"]
            )
        answer = getattr(client, request.operation)(**request.arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    if "Responses" in answer:
        items = answer["Responses"][HISTORY]
        return sorted(json.dumps(item, sort_keys=True, default=repr) for item in items)
    return answer.get("Item")


def _everything(client: "DynamoDBClient", table: str) -> list[dict[str, Any]]:
    pages = client.get_paginator("scan").paginate(TableName=table)
    return [item for page in pages for item in page["Items"]]


def _check_pages(client: "DynamoDBClient", rows: list[dict[str, Any]]) -> None:
    """Pages are as full as they may be, counted before projection."""
    names = {"#n": "Keys"}
    projected = {"ProjectionExpression": "#n", "ExpressionAttributeNames": names}
    begin = 0
    for page in client.get_paginator("scan").paginate(TableName=HISTORY, **projected):
        end = begin + len(page["Items"])
        size, following = (sum(map(item_size, rows[begin:upto])) for upto in (end, end + 1))
        if size > _PAGE_BYTES or (end < len(rows) and following <= _PAGE_BYTES):
            raise AssertionError(f"a page of {size} bytes; one item more makes {following}")
        begin = end
    if begin != len(rows):
        raise AssertionError(f"{begin} rows in pages, {len(rows)} in all")


def _check_segments(client: "DynamoDBClient", rows: list[dict[str, Any]]) -> None:
    """Segments have every row once, and an item's rows are all in one."""
    segments = []
    for segment in range(_SEGMENTS):
        pages = client.get_paginator("scan").paginate(
            TableName=HISTORY, Segment=segment, TotalSegments=_SEGMENTS
        )
        segments.append([row for page in pages for row in page["Items"]])
    if [row for segment in segments for row in segment] != rows:
        raise AssertionError("the segments together are not the table")
    ids = [{row[ID]["S"] for row in segment} for segment in segments]
    if len(set.union(*ids)) != sum(map(len, ids)):
        raise AssertionError("an item's rows are in two segments")


def _check_batches(client: "DynamoDBClient", rows: list[dict[str, Any]]) -> None:
    """A batch that is too large is answered in part; asking for the rest gives all."""
    remaining: Any = [{name: row[name] for name in (ID, SORT_KEY)} for row in rows[:90]]
    received: list[Any] = []
    answers = 0
    while remaining:
        answer = client.batch_get_item(RequestItems={HISTORY: {"Keys": remaining}})
        part = answer["Responses"][HISTORY]
        if not 0 < sum(map(item_size, part)) <= _BATCH_BYTES:
            raise AssertionError("a batch of no item, or of too many bytes")
        received += part
        remaining = answer["UnprocessedKeys"].get(HISTORY, {}).get("Keys")
        answers += 1
    received.sort(key=lambda row: (row[ID]["S"], row[SORT_KEY]["S"]))
    if received != rows[:90] or answers == 1:
        raise AssertionError(f"{len(received)} of 90 rows in {answers} answers")


def _fill(
    client: "DynamoDBClient", small: History, tables: dict[str, list[dict[str, Any]]]
) -> None:
    """Make the same tables, with the same items, in moto."""
    about = json.loads(Path(small.folder, "about.json").read_text("utf-8"))
    for description in (table["description"] for table in about["tables"]):
        made = {
            name: description[name] for name in ("TableName", "KeySchema", "AttributeDefinitions")
        }
        indexes = description.get("GlobalSecondaryIndexes")
        if indexes:
            wanted = ("IndexName", "KeySchema", "Projection")
            made["GlobalSecondaryIndexes"] = [
                {name: index[name] for name in wanted} for index in indexes
            ]
        client.create_table(**made, BillingMode="PAY_PER_REQUEST")
    for table, items in tables.items():
        for item in items:
            client.put_item(TableName=table, Item=item)


if __name__ == "__main__":
    main()
