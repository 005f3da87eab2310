"""The tables in memory answer as moto does, so that what is tested on them means something."""

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from stream_core.history_row import ID, SORT_KEY, sort_key_after
from tests.factories import item, number
from tests.unit.memory_tables import HISTORY, SOURCE, Recorded, moment

INDEX = {
    "IndexName": "ByTime",
    "KeySchema": [
        {"AttributeName": "TimeBucket", "KeyType": "HASH"},
        {"AttributeName": SORT_KEY, "KeyType": "RANGE"},
    ],
    "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["EventName"]},
}


@pytest.fixture(scope="module")
def recorded():
    """Four items of thirty rows each, within an hour of one shard."""
    world = Recorded(shards=1)
    for n in range(120):
        world.write(f"item-{n % 4}", item(f"item-{n % 4}", Count=number(n)), at=n)
    return world


@pytest.fixture(scope="module")
def moto(recorded):
    """A client of moto with the same items in the same tables."""
    with mock_aws():
        client = boto3.Session("test", "test", region_name="us-east-1").client("dynamodb")
        for name, description in recorded.client.descriptions.items():
            types = [ID, SORT_KEY, "TimeBucket"] if name == HISTORY else ["Id"]
            client.create_table(
                TableName=name,
                KeySchema=description["KeySchema"],
                AttributeDefinitions=[
                    {"AttributeName": one, "AttributeType": "S"} for one in types
                ],
                BillingMode="PAY_PER_REQUEST",
                **({"GlobalSecondaryIndexes": [INDEX]} if name == HISTORY else {}),
            )
            for stored in recorded.client.items[name].values():
                client.put_item(TableName=name, Item=stored)
        yield client
        client.close()


@pytest.fixture
def both(recorded, moto):
    return recorded.client, moto


def all_pages(operation, **request):
    """Every item, page by page."""
    pages = []
    while True:
        answer = operation(**request)
        pages.append(answer["Items"])
        if "LastEvaluatedKey" not in answer:
            return pages
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("options", [{}, {"Limit": 7}, {"Limit": 1}])
def test_a_query_answers_alike(both, forward, options):
    """The same rows in the same order, the same pages where a limit makes them."""
    memory, moto = (
        all_pages(
            client.query,
            TableName=HISTORY,
            KeyConditionExpression="#id = :id AND #time BETWEEN :low AND :high",
            ExpressionAttributeNames={"#id": ID, "#time": SORT_KEY},
            ExpressionAttributeValues={
                ":id": {"S": "item-1"},
                ":low": {"S": sort_key_after(moment(5))},
                ":high": {"S": sort_key_after(moment(101))},
            },
            ScanIndexForward=forward,
            **options,
        )
        for client in both
    )

    assert [row for page in memory for row in page] == [row for page in moto for row in page]
    assert len(memory[0]) == len(moto[0])


def test_a_query_of_the_index_answers_alike(both, recorded):
    """The same entries in the same order, with no more than was asked for."""
    bucket = recorded.rows[0].to_item(1)["TimeBucket"]

    memory, moto = (
        all_pages(
            client.query,
            TableName=HISTORY,
            IndexName="ByTime",
            KeyConditionExpression="#bucket = :bucket AND #time BETWEEN :low AND :high",
            ProjectionExpression="#id, #time, #event",
            ExpressionAttributeNames={
                "#bucket": "TimeBucket",
                "#time": SORT_KEY,
                "#id": ID,
                "#event": "EventName",
            },
            ExpressionAttributeValues={
                ":bucket": bucket,
                ":low": {"S": sort_key_after(moment(5))},
                ":high": {"S": sort_key_after(moment(101))},
            },
            Limit=10,
        )
        for client in both
    )

    assert memory[:9] == moto[:9]
    assert sum(map(len, memory)) == sum(map(len, moto)) == 96


@pytest.mark.parametrize("table", [HISTORY, SOURCE])
def test_the_segments_of_a_scan_answer_alike(both, table):
    """Together they hold every item once, with the attributes asked for."""
    names = {"#id": "Id", "#event": "EventName"}

    memory, moto = (
        [
            scanned
            for segment in range(3)
            for page in all_pages(
                client.scan,
                TableName=table,
                Segment=segment,
                TotalSegments=3,
                Limit=9,
                ProjectionExpression=", ".join(names),
                ExpressionAttributeNames=names,
            )
            for scanned in page
        ]
        for client in both
    )

    assert sorted(map(str, memory)) == sorted(map(str, moto))


def test_batches_and_single_items_answer_alike(both, recorded):
    """What is there is given, what is not is left out, and 101 keys are refused."""
    row = recorded.rows[3].to_item(1)
    keys = [
        {ID: row[ID], SORT_KEY: row[SORT_KEY]},
        {ID: {"S": "nobody"}, SORT_KEY: row[SORT_KEY]},
    ]
    too_many = [{ID: {"S": f"item-{n}"}, SORT_KEY: row[SORT_KEY]} for n in range(101)]

    for client in both:
        answer = client.batch_get_item(RequestItems={HISTORY: {"Keys": keys}})
        assert answer["Responses"][HISTORY] == [row]
        assert not answer["UnprocessedKeys"]
        found, missing = (
            client.get_item(TableName=SOURCE, Key={"Id": {"S": one}}, ConsistentRead=True)
            for one in ("item-1", "nobody")
        )
        assert (found["Item"], "Item" in missing) == (recorded.live("item-1"), False)
        with pytest.raises(ClientError):
            client.batch_get_item(RequestItems={HISTORY: {"Keys": too_many}})


def test_a_missing_table_is_answered_alike(both):
    """The code that the reader looks for."""
    for client in both:
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            client.describe_table(TableName="Nope")


def test_pages_are_cut_where_a_test_wants_them(recorded):
    """A page stands for a megabyte: it ends where it is full, and only then goes on."""
    recorded.client.page = 8
    pages = all_pages(recorded.client.scan, TableName=HISTORY)
    recorded.client.page = 1000

    assert [len(page) for page in pages] == [8] * 15
