"""Tables for tests, on whatever answers: moto or the emulator."""

import boto3

from tests.service_limits import check_expressions


def refusing_session():
    """A session for moto whose queries are refused where DynamoDB, and not moto, refuses them."""
    session = boto3.Session("test", "test", region_name="eu-west-1")
    session.events.register(
        "before-parameter-build.dynamodb.Query", lambda params, **_: check_expressions(params)
    )
    return session


def create_table(client, name, types, index=None):
    """A table whose key is the first one or two attributes of `types`."""
    client.create_table(
        TableName=name,
        KeySchema=key_schema(list(types)[:2]),
        AttributeDefinitions=[
            {"AttributeName": attribute, "AttributeType": kind} for attribute, kind in types.items()
        ],
        BillingMode="PAY_PER_REQUEST",
        **({"GlobalSecondaryIndexes": [index]} if index else {}),
    )


def create_history_table(client, name):
    """A history table with its index, as template.yaml has it."""
    types = {"Id": "S", "ApproximateCreationDateTime": "S", "TimeBucket": "S"}
    index = {
        "IndexName": "ByTime",
        "KeySchema": key_schema(["TimeBucket", "ApproximateCreationDateTime"]),
        "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["EventName"]},
    }
    create_table(client, name, types, index)


def key_schema(names):
    """The partition key and, where there is a second name, the sort key."""
    return [
        {"AttributeName": name, "KeyType": kind}
        for name, kind in zip(names, ("HASH", "RANGE"), strict=False)
    ]
