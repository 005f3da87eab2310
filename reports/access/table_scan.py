"""Reading a whole table page by page, its segments side by side."""

from collections.abc import Generator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Any

from reports.access.clients import CONCURRENCY
from reports.access.service_date import date_of
from stream_core.attribute_values import Item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def scan(
    dynamodb: "DynamoDBClient", table: str, attributes: tuple[str, ...] = (), **options: Any
) -> Generator[list[Item], None, None]:
    """The pages of a table, read consistently, in no order.

    Args:
        dynamodb: the client to read with.
        table: the table's name.
        attributes: only these top-level attributes of each item, all by default. The capacity
            consumed is the same; what is sent and read is less.
        options: of the request, e.g. `IndexName`; an index cannot be read consistently.
    """
    with closing(dated_scan(dynamodb, table, attributes, **options)) as pages:
        for page, _ in pages:
            yield page


def dated_scan(
    dynamodb: "DynamoDBClient", table: str, attributes: tuple[str, ...] = (), **options: Any
) -> Generator[tuple[list[Item], datetime | None], None, None]:
    """The same pages, each with when the service answered, UTC; None where it does not say."""
    names = {f"#n{number}": name for number, name in enumerate(attributes)}
    request: dict[str, Any] = {"TableName": table, "ConsistentRead": True} | options
    if names:
        request |= {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}

    def read(segment: int, start: Any) -> Any:
        place = {} if start is None else {"ExclusiveStartKey": start}
        return dynamodb.scan(**request, **place, Segment=segment, TotalSegments=CONCURRENCY)

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        under_way: dict[Future[Any], int] = {
            pool.submit(read, segment, None): segment for segment in range(CONCURRENCY)
        }
        try:
            while under_way:
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    segment, page = under_way.pop(future), future.result()
                    if start := page.get("LastEvaluatedKey"):
                        under_way[pool.submit(read, segment, start)] = segment
                    yield page["Items"], date_of(page)
        finally:
            for future in under_way:
                future.cancel()
