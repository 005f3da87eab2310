"""A deployed stack as a user sees it: its tables, buckets, functions and stream."""

import base64
import contextlib
import json
import uuid
from datetime import UTC, datetime
from functools import cached_property

import boto3

from reports.deployment.doctor import examine
from reports.deployment.stack import Stack
from reports.deployment.status import read_status
from stream_core.item_id import CONTROL_ID
from tests.eventually import eventually
from tests.factories import lambda_form, sets_sorted

# MiniStack ignores point-in-time recovery, resource policies and Object Lock in a template, and
# never gives the state of an index, nor does it keep a mapping's metrics; nobody subscribes to
# alarms here.
UNTRUE_HERE = dict.fromkeys(
    (
        "emulator",
        "mapping metrics",
        "point-in-time recovery",
        "index ByTime",
        "append-only",
        "control rows",
        "object lock",
        "alarm topic",
    )
)


class DeployedStack:
    """One stack of the template, deployed on the emulator.

    Attributes:
        name, outputs: those of the stack.
        began: before it was deployed first, in whole seconds.
        source: the name of the table that it follows, whose key is the number `Id`.
    """

    def __init__(self, local_stack, name, template, parameters):
        self.local_stack, self.name, self.template = local_stack, name, template
        self.parameters = dict(parameters)
        self.began = datetime.now(UTC).replace(microsecond=0)
        self._closing = contextlib.ExitStack()
        self._emptied_at = 0
        self.deploy()

    def deploy(self, **changed):
        """Create the stack, or update it."""
        self.parameters |= changed
        self.outputs = self.local_stack.deploy(self.name, self.parameters, template=self.template)
        self.source = self.outputs["SourceTableName"]

    def close(self):
        """Close the clients."""
        self._closing.close()

    def client(self, service, region=None):
        """A client that is closed with the stack's others."""
        client = self.local_stack.client(service, region)
        return self._closing.enter_context(contextlib.closing(client))

    dynamodb = cached_property(lambda self: self.client("dynamodb"))
    replica = cached_property(lambda self: self.client("dynamodb", self.outputs["ReplicaRegion"]))
    streams = cached_property(lambda self: self.client("dynamodbstreams"))
    functions = cached_property(lambda self: self.client("lambda"))
    s3 = cached_property(lambda self: self.client("s3"))
    logs = cached_property(lambda self: self.client("logs"))
    cloudwatch = cached_property(lambda self: self.client("cloudwatch"))

    # ---- The source ------------------------------------------------------------------------

    def put(self, identifier, **attributes):
        item = {**key_of(identifier), **attributes}
        self.dynamodb.put_item(TableName=self.source, Item=item)
        return item

    def delete(self, identifier):
        self.dynamodb.delete_item(TableName=self.source, Key=key_of(identifier))

    def source_item(self, identifier):
        return self.dynamodb.get_item(TableName=self.source, Key=key_of(identifier)).get("Item")

    def records(self, identifier=None):
        """The stream's records since the stack was emptied, of an item or of all.

        They are as Lambda delivers them.
        """
        records = self._stream()[self._emptied_at :]
        keys = None if identifier is None else key_of(identifier)
        return [
            as_delivered(record, self.outputs["SourceStreamArn"])
            for record in records
            if keys in (None, record["dynamodb"]["Keys"])
        ]

    @property
    def shard(self):
        """The name of the stream's only shard."""
        arn = self.outputs["SourceStreamArn"]
        (shard,) = self.streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        return shard["ShardId"]

    def _stream(self):
        iterator = self.streams.get_shard_iterator(
            StreamArn=self.outputs["SourceStreamArn"],
            ShardId=self.shard,
            ShardIteratorType="TRIM_HORIZON",
        )["ShardIterator"]
        records = []
        while iterator:
            page = self.streams.get_records(ShardIterator=iterator)
            iterator = page.get("NextShardIterator") if page["Records"] else None
            records += page["Records"]
        return records

    # ---- What the functions make of it -----------------------------------------------------

    def rows(self, identifier):
        """An item's history rows as they are stored, in the order of their sort key."""
        return self.dynamodb.query(
            TableName=self.outputs["HistoryTableName"],
            KeyConditionExpression="Id = :id",
            ExpressionAttributeValues={":id": {"S": str(identifier)}},
            ConsistentRead=True,
        )["Items"]

    def replica_item(self, identifier):
        table = self.outputs["ReplicaTableName"]
        return self.replica.get_item(TableName=table, Key=key_of(identifier)).get("Item")

    def recorded(self):
        """Ids of the items of all history rows, one for each row."""
        rows = scan(self.dynamodb, self.outputs["HistoryTableName"])
        return sorted(int(row["Id"]["S"]) for row in rows if row["Id"]["S"] != CONTROL_ID)

    def replicated(self):
        """Ids of the replica's items."""
        items = scan(self.replica, self.outputs["ReplicaTableName"])
        return sorted(int(item["Id"]["N"]) for item in items)

    def caught_up(self, identifier, changes):
        """Wait until both functions have done their work for an item; returns its rows."""
        eventually(lambda: len(self.rows(identifier)) >= changes)
        eventually(
            lambda: (
                sets_sorted(self.replica_item(identifier))
                == sets_sorted(self.source_item(identifier))
            )
        )
        rows = self.rows(identifier)
        assert len(rows) == changes
        return rows

    def invoke(self, writer, records):
        """Invoke a function with some records; returns its answer, error and log."""
        name = {"history_writer": "HistoryWriter", "replica_writer": "ReplicaWriter"}[writer]
        response = self.functions.invoke(
            FunctionName=self.outputs[f"{name}FunctionName"],
            LogType="Tail",
            Payload=json.dumps({"Records": records}),
        )
        log = base64.b64decode(response.get("LogResult", "")).decode()
        return json.load(response["Payload"]), response.get("FunctionError"), log

    def quarantined(self, writer, record):
        """What the quarantine bucket holds of a record, as the writer put it there."""
        prefix = f"quarantine/{writer}/{record['dynamodb']['SequenceNumber']}-"
        bucket = self.outputs["QuarantineBucketName"]
        listed = self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        return [
            json.load(self.s3.get_object(Bucket=bucket, Key=stored["Key"])["Body"])
            for stored in listed
        ]

    def log_text(self):
        """Everything that both functions ever logged."""
        lines = []
        for name in ("HistoryWriter", "ReplicaWriter"):
            group = f"/aws/lambda/{self.outputs[f'{name}FunctionName']}"
            pages = self.logs.get_paginator("filter_log_events").paginate(logGroupName=group)
            lines += [event["message"] for page in pages for event in page["events"]]
        return "\n".join(lines)

    def empty(self):
        """Take away all items, rows and records kept aside, as if nothing had happened yet."""
        for item in scan(self.dynamodb, self.source):
            self.dynamodb.delete_item(TableName=self.source, Key={"Id": item["Id"]})
        # The stream is handled in order: whoever has done this has done all before it.
        last = uuid.uuid4().int % 10**30
        self.put(last)
        self.caught_up(last, 1)
        self.delete(last)
        self.caught_up(last, 2)
        history = self.outputs["HistoryTableName"]
        for row in scan(self.dynamodb, history):
            key = {name: row[name] for name in ("Id", "ApproximateCreationDateTime")}
            self.dynamodb.delete_item(TableName=history, Key=key)
        table = self.outputs["ReplicaTableName"]
        for item in scan(self.replica, table):
            self.replica.delete_item(TableName=table, Key={"Id": item["Id"]})
        bucket = self.outputs["QuarantineBucketName"]
        for stored in self.s3.list_objects_v2(Bucket=bucket).get("Contents", []):
            self.s3.delete_object(Bucket=bucket, Key=stored["Key"])
        self._emptied_at = len(self._stream())

    # ---- What itemtrail says of it ---------------------------------------------------------

    @cached_property
    def stack(self):
        """The stack as itemtrail reads it."""
        return Stack.read(self.session, self.name, self.local_stack.endpoint_url)

    @cached_property
    def session(self):
        """A session as a person has one, who names the emulator by `--endpoint-url` alone."""
        return boto3.Session("test", "test", region_name=self.local_stack.region)

    def status(self):
        return read_status(self.session, self.stack, self.local_stack.endpoint_url)

    def advice(self):
        return examine(self.session, self.stack, self.local_stack.endpoint_url)

    def findings(self):
        """What is found, but for what this emulator cannot do."""
        return [
            advice
            for advice in self.advice()
            if advice.ok is not True and UNTRUE_HERE.get(advice.check, True) is not advice.ok
        ]


def key_of(identifier):
    return {"Id": {"N": str(identifier)}}


def scan(dynamodb, table):
    """All items of a table, read consistently."""
    pages = dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return [item for page in pages for item in page["Items"]]


def as_delivered(record, stream_arn):
    """A record of the streams API in the form that Lambda would give it."""
    body = record["dynamodb"]
    seconds = body["ApproximateCreationDateTime"].timestamp()
    body = body | {"ApproximateCreationDateTime": seconds}
    return lambda_form(record | {"dynamodb": body, "eventSourceARN": stream_arn})
