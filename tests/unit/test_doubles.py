"""What stands in for DynamoDB refuses what DynamoDB refuses; where moto does not is listed."""

import boto3
import pytest
from moto import mock_aws

from tests import refusals
from tests.factories import item, number
from tests.fake_tables import FakeTables
from tests.fakes import FakeDynamoDB
from tests.followed_table import FollowedClient
from tests.tables import create_history_table, create_table
from tests.unit.memory_tables import MemoryTables, describe

ITEMS, HISTORY = "items", "history"
KEYS = {ITEMS: ("Id",), HISTORY: ("Id", "ApproximateCreationDateTime")}
# Moto reads PartiQL by a library that is not here.
ON_MOTO = [name for name in refusals.ALL if not name.startswith("an insert")]


@pytest.fixture(scope="module")
def moto():
    with mock_aws():
        client = boto3.Session("test", "test", region_name="us-east-1").client("dynamodb")
        create_table(client, ITEMS, {"Id": "S"})
        create_history_table(client, HISTORY)
        for big in refusals.MANY:
            client.put_item(TableName=ITEMS, Item=big)
        yield client
        client.close()


def writing_half():
    return FakeDynamoDB(**KEYS)


def reading_half():
    return MemoryTables(**{name: describe(name, keys) for name, keys in KEYS.items()})


def operations_tables():
    return FakeTables({name: describe(name, keys) for name, keys in KEYS.items()})


@pytest.mark.parametrize("make", [writing_half, operations_tables])
@pytest.mark.parametrize("name", refusals.WRITES | refusals.READS)
def test_the_writing_half_refuses_what_dynamodb_does(name, make):
    double = make()
    for big in refusals.MANY:
        double.put(ITEMS, big)

    refusals.check(name, double, ITEMS, HISTORY)


@pytest.mark.parametrize(
    ("make", "name"),
    [(reading_half, name) for name in refusals.READS | refusals.QUERIES]
    # It has no index, and an index is never read consistently.
    + [(operations_tables, name) for name in refusals.QUERIES if "index" not in name],
)
def test_the_reading_half_refuses_what_dynamodb_does(name, make):
    double = make()
    for big in refusals.MANY:
        double.put(ITEMS, big)

    refusals.check(name, double, ITEMS, HISTORY)


@pytest.mark.parametrize("name", refusals.CONDITIONS)
def test_the_followed_client_refuses_what_dynamodb_does(name, moto):
    refusals.check(name, FollowedClient(moto, None), ITEMS, HISTORY)


@pytest.mark.parametrize("name", ON_MOTO)
def test_moto_is_otherwise_only_where_that_is_known(name, moto):
    refusals.check(name, moto, ITEMS, HISTORY, engine="moto")


@pytest.mark.parametrize("make", [writing_half, reading_half])
def test_a_read_that_is_not_consistent_may_be_stale(make):
    """What was written since the double fell behind is seen by consistent reads alone."""
    double = make()
    double.put(ITEMS, item(Version=number(1)))
    double.fall_behind()
    double.put(ITEMS, item(Version=number(2)))

    consistent, stale = (
        double.batch_get_item(
            RequestItems={ITEMS: {"Keys": [item()], "ConsistentRead": is_consistent}}
        )["Responses"][ITEMS]
        for is_consistent in (True, False)
    )

    assert (consistent, stale) == ([item(Version=number(2))], [item(Version=number(1))])


@pytest.mark.parametrize("operation", ["scan", "query"])
def test_a_page_is_a_megabyte(operation):
    """Of three rows of 390 KB two are answered, and that there is more."""
    double = reading_half()
    for n in range(3):
        row = {**item(Data={"S": "x" * 390_000}), "ApproximateCreationDateTime": {"S": str(n)}}
        double.put(HISTORY, row)
    condition = {
        "KeyConditionExpression": "#i = :i AND #s BETWEEN :a AND :b",
        "ExpressionAttributeNames": {"#i": "Id", "#s": "ApproximateCreationDateTime"},
        "ExpressionAttributeValues": {":i": {"S": "1"}, ":a": {"S": "0"}, ":b": {"S": "9"}},
    }

    answer = getattr(double, operation)(
        TableName=HISTORY, **(condition if operation == "query" else {})
    )

    assert answer["Count"] == 2
    assert answer["LastEvaluatedKey"]["ApproximateCreationDateTime"] == {"S": "1"}
