"""The unit tests' stand-ins answer as an emulator does, wherever the writers rely on it."""

import uuid

import pytest
from botocore.exceptions import ClientError

from tests import refusals
from tests.factories import item, number, text
from tests.fakes import FakeDynamoDB, FakeS3
from tests.tables import create_history_table, create_table

pytestmark = pytest.mark.functional

TABLE = "table"


@pytest.fixture(params=["fake", "ministack"])
def client(request):
    """A client and a table whose key is Id."""
    if request.param == "fake":
        return FakeDynamoDB(table=("Id",)), TABLE
    tables = request.getfixturevalue("make_tables")()
    return request.getfixturevalue("dynamodb"), tables.replica


def insert(table, *items):
    return [
        {
            "Statement": f'INSERT INTO "{table}" VALUE {{'
            + ", ".join(f"'{name}': ?" for name in one)
            + "}",
            "Parameters": list(one.values()),
        }
        for one in items
    ]


def codes(answer):
    return [response.get("Error", {}).get("Code", "") for response in answer["Responses"]]


def test_an_insert_refuses_a_key_that_exists(client):
    """The one is a duplicate and stays as it was, the others are stored."""
    dynamodb, table = client
    dynamodb.batch_execute_statement(Statements=insert(table, item("1", Old=number(1))))

    answer = dynamodb.batch_execute_statement(
        Statements=insert(table, item("0"), item("1", New=number(2)), item("2"))
    )

    assert codes(answer) == ["", "DuplicateItem", ""]
    found = dynamodb.batch_get_item(
        RequestItems={table: {"Keys": [item("1")], "ConsistentRead": True}}
    )
    assert found["Responses"][table] == [item("1", Old=number(1))]
    assert found["UnprocessedKeys"] == {}


@pytest.mark.parametrize("ids", [["1", "2", "1"], [str(n) for n in range(26)]])
def test_a_call_that_breaks_the_rules_is_refused_as_a_whole(client, ids):
    """A key twice, or more than 25 items: nothing of it is carried out."""
    dynamodb, table = client
    items = [item(one) for one in ids]

    with pytest.raises(ClientError, match="ValidationException"):
        dynamodb.batch_write_item(
            RequestItems={table: [{"PutRequest": {"Item": one}} for one in items]}
        )

    keys = [item(one) for one in sorted(set(ids))]
    found = dynamodb.batch_get_item(RequestItems={table: {"Keys": keys}})
    assert found["Responses"][table] == []


def test_writes_put_replace_and_delete(client):
    """A put replaces the whole item; deleting what is not there is a success."""
    dynamodb, table = client
    puts = [item("1", Old=number(1)), item("2")]
    dynamodb.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": p}} for p in puts]})

    answer = dynamodb.batch_write_item(
        RequestItems={
            table: [
                {"PutRequest": {"Item": item("1", New=number(2))}},
                {"DeleteRequest": {"Key": item("2")}},
                {"DeleteRequest": {"Key": item("3")}},
            ]
        }
    )

    assert answer["UnprocessedItems"] == {}
    found = dynamodb.batch_get_item(
        RequestItems={table: {"Keys": [item("1"), item("2"), item("3")]}}
    )
    assert found["Responses"][table] == [item("1", New=number(2))]


def test_reads_are_projected(client):
    """Only the attributes that were asked for come back, and only where they are."""
    dynamodb, table = client
    puts = [item("1", Digest={"B": b"\x00"}, Image=text("x"))]
    dynamodb.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": p}} for p in puts]})

    found = dynamodb.batch_get_item(
        RequestItems={
            table: {
                "Keys": [item("1")],
                "ConsistentRead": True,
                "ProjectionExpression": "#id, #digest, #none",
                "ExpressionAttributeNames": {"#id": "Id", "#digest": "Digest", "#none": "None"},
            }
        }
    )

    assert found["Responses"][table] == [item("1", Digest={"B": b"\x00"})]


@pytest.mark.parametrize("kind", ["fake", "ministack"])
def test_versions_of_an_object_are_told_apart(request, kind):
    """A versioned bucket names each version, also of the same content."""
    if kind == "fake":
        s3, bucket = FakeS3(), "bucket"
    else:
        s3 = request.getfixturevalue("s3")
        bucket = request.getfixturevalue("make_tables")().overflow

    versions = [s3.put_object(Bucket=bucket, Key="k", Body=b"x")["VersionId"] for _ in range(2)]

    assert len(set(versions)) == 2
    assert all(versions)


@pytest.fixture(scope="module")
def probed(dynamodb):
    """Two tables on the emulator, with what the probes that read need."""
    suffix = uuid.uuid4().hex[:12]
    names = f"items-{suffix}", f"history-{suffix}"
    create_table(dynamodb, names[0], {"Id": "S"})
    create_history_table(dynamodb, names[1])
    for big in refusals.MANY:
        dynamodb.put_item(TableName=names[0], Item=big)
    return names


@pytest.mark.parametrize("name", refusals.ALL)
def test_the_emulator_is_otherwise_only_where_that_is_known(name, dynamodb, probed):
    """It refuses what AWS documents, as the doubles do; what it does otherwise is listed."""
    refusals.check(name, dynamodb, *probed, engine="ministack")
