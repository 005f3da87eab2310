"""The consumers' clients send what boto3 would send, faster and without its retries."""

import json

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from hypothesis import given, settings

from stream_core.clients import dynamodb_client, s3_client
from tests.factories import item, lambda_form, number
from tests.strategies import items

REGION = "eu-west-1"
KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
SESSION = boto3.Session(region_name=REGION, **KEYS)


class Wire:
    """What a client sends; answers with a document."""

    def __init__(self, client, **answer):
        self.requests = []
        self._answer = json.dumps(answer).encode()
        client.meta.events.register("before-send.dynamodb.*", self._take)

    def _take(self, request, **_):
        self.requests.append(request)
        return AWSResponse(request.url, 200, {}, _Raw(self._answer))


class _Raw:
    def __init__(self, body):
        self._body = body

    def stream(self, *_, **__):
        yield self._body


OURS, PLAIN = dynamodb_client(SESSION), SESSION.client("dynamodb")


def sent(client, operation, parameters, answer):
    wire = Wire(client, **answer)
    try:
        getattr(client, operation)(**parameters)
    finally:
        client.meta.events.unregister("before-send.dynamodb.*", wire._take)
    (request,) = wire.requests
    return request


@given(items)
@settings(max_examples=40)
def test_what_is_sent_is_what_boto3_would_send(one):
    """The body is the same document, for all types, with the same target and endpoint."""
    statement = {"Statement": "INSERT", "Parameters": [*one.values(), number(1)]}
    writes = [{"PutRequest": {"Item": one}}, {"DeleteRequest": {"Key": one}}]
    table = "arn:aws:dynamodb:eu-west-1:123456789012:table/t"
    change = {"TableName": table, "Key": item("1"), "UpdateExpression": "SET #a = :a"}
    values = {"ExpressionAttributeValues": {":a": {"M": one}}}
    actions = [{"Put": {"TableName": table, "Item": one}}, {"Update": change | values}]
    for operation, parameters, answer in (
        ("batch_execute_statement", {"Statements": [statement]}, {"Responses": [{}]}),
        ("batch_write_item", {"RequestItems": {"t": writes}}, {"UnprocessedItems": {}}),
        ("transact_write_items", {"TransactItems": actions, "ClientRequestToken": "one"}, {}),
    ):
        ours = sent(OURS, operation, parameters, answer)
        plain = sent(PLAIN, operation, parameters, answer)

        assert json.loads(ours.body) == json.loads(plain.body)
        assert ours.url == plain.url
        for header in ("X-Amz-Target", "Content-Type"):
            assert ours.headers[header] == plain.headers[header]
        assert int(ours.headers["Content-Length"]) == len(ours.body)


def test_answers_are_read_by_boto3():
    """What comes back is parsed as ever: unprocessed items hold bytes again."""
    write = {"PutRequest": {"Item": item("1", Photo={"B": "AAE="})}}
    wire = Wire(OURS, UnprocessedItems={"t": [write]})

    answer = OURS.batch_write_item(RequestItems={"t": [{"PutRequest": {"Item": item("1")}}]})
    OURS.meta.events.unregister("before-send.dynamodb.*", wire._take)

    assert answer["UnprocessedItems"]["t"][0]["PutRequest"]["Item"]["Photo"] == {"B": b"\x00\x01"}


@pytest.mark.parametrize("value", [number("1.50"), {"B": "AAE="}, {"BS": ["", "AQ=="]}])
def test_a_read_asks_and_answers_as_boto3_would(value):
    """Keys of every type are asked for, and what comes back is the same, binary included."""
    keys = {"t": {"Keys": [item("1"), {"Id": {"B": b"\x00"}}], "ConsistentRead": True}}
    answer = {"Responses": {"t": [item("1", Value=value)]}, "UnprocessedKeys": {}}
    said = []
    for client in (OURS, PLAIN):
        wire = Wire(client, **answer)
        told = client.batch_get_item(RequestItems=keys)
        client.meta.events.unregister("before-send.dynamodb.*", wire._take)
        said.append((json.loads(wire.requests[0].body), told["Responses"], told["UnprocessedKeys"]))

    assert said[0] == said[1]


@pytest.mark.parametrize("make", [dynamodb_client, s3_client])
def test_clients_leave_retries_to_us(make, monkeypatch):
    """There is one attempt a call, and it gives up well within an invocation."""
    for name, value in {
        "DEFAULT_REGION": REGION,
        "ACCESS_KEY_ID": "x",
        "SECRET_ACCESS_KEY": "x",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)

    config = make().meta.config

    assert config.retries["total_max_attempts"] == 1
    assert config.connect_timeout + config.read_timeout <= 10


@given(items)
@settings(max_examples=60)
def test_binary_in_an_answer_is_read_as_boto3_reads_it(one):
    """At every depth, next to attributes that are named as types are."""
    answer = {"Responses": {"t": [lambda_form(one)]}, "UnprocessedKeys": {}}
    said = []
    for client in (OURS, PLAIN):
        wire = Wire(client, **answer)
        said.append(client.batch_get_item(RequestItems={"t": {"Keys": [item("1")]}})["Responses"])
        client.meta.events.unregister("before-send.dynamodb.*", wire._take)

    assert said[0] == said[1] == {"t": [one]}
