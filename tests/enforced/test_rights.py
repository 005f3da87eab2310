"""What the deployed policies allow, asked of an engine that holds requests against them.

`tests/unit/template/test_permissions.py` asks every action of an evaluator of our own. These are
requests over the wire, as the handlers and an intruder make them, judged by others' code.
"""

import json
import subprocess
import sys

import pytest
from botocore.exceptions import ClientError

from stream_core.item_id import item_id
from tests.deployed_stack import as_delivered
from tests.factories import number, text
from tests.templates import BREAK_GLASS

NOTHING_FAILED = {"batchItemFailures": []}
NAMES = ["Id", "ApproximateCreationDateTime", "Digest"]
# Larger than what a history row has room for.
LARGE = "x" * 390_000


class Source:
    """The sample table, to which items are written by whoever owns the account."""

    def __init__(self, stack):
        self.stack, self.dynamodb = stack, stack.client("dynamodb")
        self.table, self.stream = (
            stack.outputs["SourceTableName"],
            stack.outputs["SourceStreamArn"],
        )

    def put(self, identifier, value):
        """Write an item; returns its records as Lambda delivers them."""
        keys = {"Id": number(identifier)}
        self.dynamodb.put_item(TableName=self.table, Item=keys | {"value": text(value)})
        return [record for record in self._records() if record["dynamodb"]["Keys"] == keys]

    def _records(self):
        streams = self.stack.client("dynamodbstreams")
        described = streams.describe_stream(StreamArn=self.stream)["StreamDescription"]
        for shard in described["Shards"]:
            iterator = streams.get_shard_iterator(
                StreamArn=self.stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while iterator and (page := streams.get_records(ShardIterator=iterator))["Records"]:
                yield from (as_delivered(record, self.stream) for record in page["Records"])
                iterator = page.get("NextShardIterator")


@pytest.fixture(scope="module")
def source(stack):
    return Source(stack)


@pytest.fixture(scope="module")
def recorded(stack, source):
    """The key of a history row that the history writer has written."""
    records = source.put(1, "of person 1")
    assert stack.invoke("HistoryWriterFunction", records)[0] == NOTHING_FAILED
    (row,) = rows(stack, 1)
    return {name: row[name] for name in NAMES[:2]}


def rows(stack, identifier):
    """An item's history rows, as the account's owner reads them."""
    answer = stack.client("dynamodb").query(
        TableName=stack.outputs["HistoryTableName"],
        KeyConditionExpression="Id = :id",
        ExpressionAttributeValues={":id": text(item_id({"Id": number(identifier)}))},
    )
    return answer["Items"]


def is_refused(request):
    """Whether a request is denied; every other answer but success is an error of the test."""
    try:
        request()
    except ClientError as error:
        if error.response["Error"]["Code"] in ("AccessDeniedException", "AccessDenied"):
            return True
        raise
    return False


# ---- The handlers, with their roles' credentials --------------------------------------------


def test_handlers_store_what_is_delivered_and_know_it_again(stack, source):
    records = source.put(2, "of person 2")
    for metric in ("RowsWritten", "Duplicates"):
        answer, log = stack.invoke("HistoryWriterFunction", records)
        assert answer == NOTHING_FAILED
        assert f'"{metric}":1' in log
    assert [row["NewImage"]["M"]["value"] for row in rows(stack, 2)] == [text("of person 2")]

    for _ in range(2):
        assert stack.invoke("ReplicaWriterFunction", records)[0] == NOTHING_FAILED
    copied = stack.client("dynamodb").get_item(
        TableName=stack.outputs["ReplicaTableName"], Key={"Id": number(2)}
    )
    assert copied["Item"]["value"] == text("of person 2")


def test_large_images_reach_their_bucket_and_stay_there(stack, source):
    bucket = stack.outputs["OverflowBucketName"]
    source.put(3, LARGE)
    answer, _ = stack.invoke("HistoryWriterFunction", source.put(3, LARGE + "y"))
    assert answer == NOTHING_FAILED
    stored = stack.client("s3").list_object_versions(Bucket=bucket)["Versions"]
    assert stored
    for role in (stack.role("HistoryWriterRole"), stack.role("ReplicaWriterRole")):
        s3 = stack.client("s3", as_role=role)
        key = {"Bucket": bucket, "Key": stored[0]["Key"]}
        assert is_refused(lambda s3=s3, key=key: s3.get_object(**key))
        assert is_refused(lambda s3=s3, key=key: s3.delete_object(**key))


def test_what_cannot_be_stored_is_kept_aside(stack, source):
    (record,) = source.put(4, "of person 4")
    record["dynamodb"]["NewImage"]["value"] = {"N": "no number"}
    assert stack.invoke("HistoryWriterFunction", [record])[0] == NOTHING_FAILED
    listed = stack.client("s3").list_objects_v2(
        Bucket=stack.outputs["QuarantineBucketName"], Prefix="quarantine/history_writer/"
    )
    (stored,) = listed["Contents"]
    assert record["dynamodb"]["SequenceNumber"] in stored["Key"]
    assert rows(stack, 4) == []


def test_buckets_want_tls(stack, administrator):
    s3, bucket = stack.client("s3", as_role=administrator), stack.outputs["OverflowBucketName"]
    owner, body = stack.client("s3"), {"Key": "x", "Body": b""}
    s3.put_object(Bucket=bucket, **body)
    owner.put_bucket_policy(Bucket=bucket, Policy=stack.bucket_policy("OverflowBucket"))
    assert is_refused(lambda: s3.put_object(Bucket=bucket, **body))
    owner.delete_bucket_policy(Bucket=bucket)


# ---- The history's policy -------------------------------------------------------------------


def changes_of(client, table, key):
    """Every way of DynamoDB to change or remove an item, and to have it removed."""
    row = key | {"forged": text("row")}
    where = (
        f"WHERE Id = '{key['Id']['S']}' AND ApproximateCreationDateTime = '{key[NAMES[1]]['S']}'"
    )
    update = f'UPDATE "{table}" SET forged = 1 {where}'  # noqa: S608 - our own names
    delete = f'DELETE FROM "{table}" {where}'  # noqa: S608 - our own names
    put = {"Put": {"TableName": table, "Item": row}}
    expiry = {"Enabled": True, "AttributeName": "ExpiresAt"}
    return {
        "PutItem": lambda: client.put_item(TableName=table, Item=row),
        "UpdateItem": lambda: client.update_item(TableName=table, Key=key),
        "DeleteItem": lambda: client.delete_item(TableName=table, Key=key),
        "BatchWriteItem": lambda: client.batch_write_item(
            RequestItems={table: [{"PutRequest": {"Item": row}}]}
        ),
        "TransactWriteItems": lambda: client.transact_write_items(TransactItems=[put]),
        "UPDATE": lambda: client.execute_statement(Statement=update),
        "DELETE": lambda: client.execute_statement(Statement=delete),
        "UPDATE in a batch": lambda: client.batch_execute_statement(
            Statements=[{"Statement": update}]
        ),
        "DELETE in a transaction": lambda: client.execute_transaction(
            TransactStatements=[{"Statement": delete}]
        ),
        "UpdateTimeToLive": lambda: client.update_time_to_live(
            TableName=table, TimeToLiveSpecification=expiry
        ),
    }


def not_refused(requests):
    """The names of requests that are not denied."""
    return {name for name, request in requests.items() if not is_refused(request)}


def test_nobody_changes_the_history(stack, recorded, administrator):
    table, before = stack.outputs["HistoryTableName"], rows(stack, 1)
    for role in (
        administrator,
        *map(stack.role, ("HistoryWriterRole", "ReplicaWriterRole", "SecondLookRole")),
        stack.outputs["ReportReaderRoleArn"],
    ):
        client = stack.client("dynamodb", as_role=role)
        assert not_refused(changes_of(client, table, recorded)) == set(), role
    assert rows(stack, 1) == before


@pytest.mark.xfail(strict=True, reason="fakecloud takes a session's ARN for aws:PrincipalArn")
def test_break_glass_removes_a_row(stack, source):
    """IAM User Guide: for a session `aws:PrincipalArn` is the ARN of its role."""
    stack.invoke("HistoryWriterFunction", source.put(6, "of person 6"))
    (row,) = rows(stack, 6)
    request = {"TableName": stack.outputs["HistoryTableName"]}
    request["Key"] = {name: row[name] for name in NAMES[:2]}
    stack.make_administrator("break-glass")
    stack.client("dynamodb", as_role=BREAK_GLASS).delete_item(**request)
    assert rows(stack, 6) == []


def test_an_administrator_changes_what_has_no_such_policy(stack, source, administrator):
    """The engine refuses for the policy, and not everything."""
    client = stack.client("dynamodb", as_role=administrator)
    client.put_item(TableName=source.table, Item={"Id": number(5)})
    client.update_item(TableName=source.table, Key={"Id": number(5)})
    client.delete_item(TableName=source.table, Key={"Id": number(5)})


# ---- What each role reads -------------------------------------------------------------------


def test_history_writer_reads_digests_and_nothing_else(stack, recorded):
    table = stack.outputs["HistoryTableName"]
    client = stack.client("dynamodb", as_role=stack.role("HistoryWriterRole"))

    def batch(**projection):
        return client.batch_get_item(RequestItems={table: {"Keys": [recorded], **projection}})

    (row,) = batch(ProjectionExpression=", ".join(NAMES))["Responses"][table]
    assert set(row) == set(NAMES)
    select = f'SELECT * FROM "{table}"'  # noqa: S608 - our own names
    reads = {
        "without a projection": batch,
        "an image": lambda: batch(ProjectionExpression="Id, NewImage"),
        "a part of one": lambda: batch(ProjectionExpression="Id, NewImage.Id"),
        "GetItem": lambda: client.get_item(TableName=table, Key=recorded),
        "Query": lambda: client.query(
            TableName=table,
            KeyConditionExpression="Id = :id",
            ExpressionAttributeValues={":id": recorded["Id"]},
        ),
        "Scan": lambda: client.scan(TableName=table),
        "SELECT": lambda: client.execute_statement(Statement=select),
        "the index": lambda: client.query(
            TableName=table,
            IndexName="ByTime",
            KeyConditionExpression="TimeBucket = :bucket",
            ExpressionAttributeValues={":bucket": text("2026-01-01T00#00")},
        ),
        "the source": lambda: client.scan(TableName=stack.outputs["SourceTableName"]),
        "the replica": lambda: client.scan(TableName=stack.outputs["ReplicaTableName"]),
    }
    assert not_refused(reads) == set()


def test_history_writer_says_nothing_of_the_history_itself(stack):
    table = stack.outputs["HistoryTableName"]
    client = stack.client("dynamodb", as_role=stack.role("HistoryWriterRole"))

    def insert(identifier):
        return client.execute_statement(
            Statement=f"INSERT INTO \"{table}\" VALUE {{'Id': ?, '{NAMES[1]}': ?}}",
            Parameters=[text(identifier), text("x")],
        )

    assert not is_refused(lambda: insert("an item"))
    assert is_refused(lambda: insert("!itemtrail"))


@pytest.mark.usefixtures("recorded")
def test_reports_are_read_with_the_readers_role_alone(stack):
    environment = stack.environment(stack.outputs["ReportReaderRoleArn"])
    options = ["--stack", stack.name, "--output", "jsonl"]
    process = subprocess.run(
        [sys.executable, "-m", "itemtrail", "history", "1", *options],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout.splitlines()[0])["event_name"] == "INSERT"


def test_reader_writes_no_table(stack):
    client = stack.client("dynamodb", as_role=stack.outputs["ReportReaderRoleArn"])
    keys = {"Id": number(1)}
    for name in ("SourceTableName", "ReplicaTableName"):
        table = stack.outputs[name]
        writes = {
            "PutItem": lambda table=table: client.put_item(TableName=table, Item=keys),
            "DeleteItem": lambda table=table: client.delete_item(TableName=table, Key=keys),
            "UpdateItem": lambda table=table: client.update_item(TableName=table, Key=keys),
        }
        assert not_refused(writes) == set(), name
