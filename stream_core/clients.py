"""The consumers' boto3 clients: no hidden retries, short time-outs, values sent as they are."""

import base64
import json
import logging
import re
import socket
import struct
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from stream_core.answer_budget import MeasuringSession
from stream_core.attribute_values import wire_json

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

# Requests of one invocation that may be under way at the same time: enough to keep another region
# busy, and few enough not to fight over the interpreter when the table is near (make bench).
CONCURRENCY = 12
CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 2, 8

CLIENT_CONFIG = Config(
    # Retries are ours (`retry.Patience`): botocore's know nothing of the invocation's deadline.
    retries={"mode": "standard", "total_max_attempts": 1},
    connect_timeout=CONNECT_TIMEOUT_S,
    read_timeout=READ_TIMEOUT_S,
    max_pool_connections=CONCURRENCY,
    # The values were checked when the record was read; the service checks them too.
    parameter_validation=False,
    # Tells these writes from all others in CloudTrail; botocore's own text is also put together
    # anew for every request, at an eighth of its cost.
    user_agent="itemtrail",
)
_BODY = "itemtrail_body"
_BINARY = re.compile(rb'"BS?"')
# From here on an answer is mostly short values, or a few long texts: it is worth looking.
_LARGE_BYTES, _MOST_SHARED = 256 * 1024, 10_000
# For each request that carries items: what botocore still has to see of it, to find the endpoint.
_OUTLINES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "BatchExecuteStatement": lambda _: {"Statements": []},
    "BatchWriteItem": lambda request: {
        "RequestItems": {table: [] for table in request["RequestItems"]}
    },
    "BatchGetItem": lambda request: {
        "RequestItems": {table: {"Keys": []} for table in request["RequestItems"]}
    },
    "TransactWriteItems": lambda request: {
        "TransactItems": [
            {kind: {"TableName": action["TableName"]} for kind, action in write.items()}
            for write in request["TransactItems"]
        ]
    },
}


def dynamodb_client(
    session: boto3.Session | None = None, region: str = "", endpoint_url: str | None = None
) -> "DynamoDBClient":
    """A DynamoDB client that sends wire values as they are, and takes them as they stand."""
    # boto3's default session, like its models, is loaded once for all clients.
    make = boto3.client if session is None else session.client
    client = make(
        "dynamodb", region_name=region or None, endpoint_url=endpoint_url, config=CLIENT_CONFIG
    )
    _abort_when_given_up(client)
    keep_data_out_of_logs()
    send_items_as_they_stand(client)
    take_answers_as_they_stand(client, ("BatchExecuteStatement", "BatchGetItem"))
    endpoint: Any = client._endpoint  # type: ignore[attr-defined]  # noqa: SLF001 - no event sees an answer unread
    endpoint.http_session = MeasuringSession(endpoint.http_session)
    return client


def send_items_as_they_stand(client: "DynamoDBClient") -> None:
    """Write requests that carry items by `wire_json`.

    botocore would walk every value by its service model to write the JSON that it already is,
    which takes longer than all the rest of a batch. Signing, sending, time-outs and errors stay
    botocore's.
    """
    events: Any = client.meta.events
    for operation in _OUTLINES:
        events.register(f"provide-client-params.dynamodb.{operation}", _set_aside)
        events.register(f"before-call.dynamodb.{operation}", _put_in)


def take_answers_as_they_stand(client: "DynamoDBClient", operations: Iterable[str]) -> None:
    """Read the answers of operations that carry items without walking them by the service model.

    The values are the same, binary as bytes included.
    """
    events: Any = client.meta.events
    for operation in operations:
        events.register(f"before-parse.dynamodb.{operation}", _take_over)


def sqs_client(
    session: boto3.Session | None = None, endpoint_url: str | None = None
) -> "SQSClient":
    """An SQS client."""
    make = boto3.client if session is None else session.client
    return make("sqs", endpoint_url=endpoint_url, config=CLIENT_CONFIG)


def s3_client() -> "S3Client":
    """An S3 client."""
    keep_data_out_of_logs()
    return boto3.client("s3", config=CLIENT_CONFIG)


def keep_data_out_of_logs() -> None:
    """Keep the libraries below quiet: at DEBUG, which Lambda can set for all, they log bodies."""
    for library in ("boto3", "botocore", "urllib3"):
        logging.getLogger(library).setLevel(logging.WARNING)


def _abort_when_given_up(client: "DynamoDBClient") -> None:
    """Have a closed connection forget what it has not sent.

    The kernel would go on sending the rest of a request that was given up, for minutes: it would
    take effect when others have written since. Source: socket(7), SO_LINGER. botocore has no
    setting for it.
    """
    manager: Any = client._endpoint.http_session._manager  # type: ignore[attr-defined] # noqa: SLF001
    options = manager.connection_pool_kw.get("socket_options") or []
    abort = (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    manager.connection_pool_kw["socket_options"] = [*options, abort]


def _set_aside(
    params: dict[str, Any], model: Any, context: dict[str, Any], **_: object
) -> dict[str, Any]:
    context[_BODY] = wire_json(params, sort_keys=False)
    return _OUTLINES[model.name](params)


def _put_in(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    params["body"] = context.pop(_BODY)


def _take_over(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object
) -> None:
    body = response_dict["body"]
    if response_dict["status_code"] == HTTPStatus.OK:
        # Only binary differs between the JSON and what botocore makes of it.
        decode = _with_bytes if _BINARY.search(body) else None
        if len(body) > _LARGE_BYTES:
            decode = partial(_shared, {})
        customized_response_dict.update(json.loads(body, object_hook=decode))
        response_dict["body"] = b"{}"


def _shared(
    values: dict[tuple[str, object], dict[str, Any]], value: dict[str, Any]
) -> dict[str, Any]:
    """The same short value as before: of a list of 200,000, one dictionary is kept."""
    value = _with_bytes(value)
    if len(value) != 1:
        return value
    ((tag, content),) = value.items()
    if isinstance(content, dict | list | bytes) or len(values) >= _MOST_SHARED:
        return value
    return values.setdefault((tag, content), value)


def _with_bytes(value: dict[str, Any]) -> dict[str, Any]:
    # Of each value of an answer it is asked, and few are binary.
    if len(value) != 1 or not ("B" in value or "BS" in value):
        return value
    # A map with an attribute named B holds a dict under it, a binary value holds a text.
    match value:
        case {"B": str(text)}:
            return {"B": base64.b64decode(text)}
        case {"BS": list(texts)}:
            return {"BS": list(map(base64.b64decode, texts))}
    return value
