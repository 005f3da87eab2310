"""Redrive: what succeeded is put away, what did not stays and is listed, and nothing else moves.

S3 is moto's; the tables are fakes, because moto has no batch of PartiQL inserts.
"""

import json
from collections import Counter
from datetime import UTC, datetime

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from history_writer.overflow_bucket import OverflowBucket
from history_writer.writer import HistoryWriter
from operations.deployed_tables import DeployedTables
from operations.errors import OperationError, RefusedError
from operations.execution.pace import Pace
from operations.redrive import run as redrive_run
from operations.redrive.contents import Leftover, Load, Lost
from operations.redrive.delivery import Cause
from operations.redrive.run import names_of, redrive
from replica_writer.settle import Settler
from replica_writer.tables import ReplicaTable, SourceTable
from reports.access.machine import Machine
from reports.deployment.stack import Consumer, Stack
from stream_core.attribute_values import read_item
from stream_core.change import read_record
from stream_core.control_row import read_control_row
from stream_core.errors import MalformedRecordError
from stream_core.history_row import HistoryRow, RedrivenFrom
from stream_core.item_id import key_digest
from stream_core.quarantine import Quarantine
from tests.factories import (
    FIRST_SEQUENCE,
    STREAM_ARN,
    TABLE_ARN,
    inserts,
    item,
    lambda_record,
    number,
    text,
    versions,
    with_image,
    without,
)
from tests.fakes import DENIED, THROTTLED, FakeDynamoDB, client_error, refuse_statements
from tests.left_behind import FakeStreams, Shard, invocation
from tests.recorded_history import StillClock

BUCKET, CALLER = "quarantine", "arn:aws:iam::123456789012:user/ann"
HISTORY, REPLICA = Consumer.HISTORY_WRITER, Consumer.REPLICA_WRITER
HISTORY_FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:trail-history-writer"
IMPATIENT = Pace(patience_s=0)
NAMES = {"uuid-h": HISTORY, "uuid-r": REPLICA, "trail-history-writer": HISTORY}
OF_HISTORY = "aws/lambda/uuid-h/shardId-0/2026/11/25/2026-11-25T10.00.00-1"
OF_REPLICA = "aws/lambda/uuid-r/shardId-0/2026/11/25/2026-11-25T10.00.00-1"
OF_ANYBODY = "aws/lambda/uuid-x/shardId-0/2026/11/25/2026-11-25T10.00.00-1"


@pytest.fixture(scope="module")
def session():
    """One session, because reading the service models takes longer than a test."""
    return boto3.Session("test", "test", region_name="us-east-1")


class World:
    """A bucket on moto, tables in memory, a stream of one shard."""

    region_name = "eu-west-1"

    def __init__(self, session):
        self.s3 = session.client("s3")
        self.s3.create_bucket(Bucket=BUCKET)
        self.tables = FakeDynamoDB(
            history=("Id", "ApproximateCreationDateTime"), source=("Id",), replica=("Id",)
        )
        self.controls = FakeDynamoDB(history=("Id", "ApproximateCreationDateTime"))
        self.streams = FakeStreams({})
        self.deployment = self.deploy()

    def deploy(self, **options):
        options = {"quarantine_bucket": BUCKET, "time_shards": 4} | options
        deployment = DeployedTables("Employee", self, **options)
        writer = HistoryWriter(self.tables, OverflowBucket(self.s3, "overflow"), "history", 4)
        settler = Settler(ReplicaTable(self.tables, "replica"), SourceTable(self.tables, "source"))
        deployment.s3, deployment.history_writer, deployment.settler = self.s3, writer, settler
        deployment.dynamodb, deployment.caller = self.controls, CALLER
        self.describe_source()
        return deployment

    def describe_source(self, key_type="S"):
        """Let the source table tell of its key and its stream."""
        table = {
            "TableName": "Employee",
            "TableArn": TABLE_ARN,
            "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": key_type}],
            "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
            "StreamSpecification": {"StreamEnabled": True},
            "LatestStreamArn": STREAM_ARN,
        }
        self.controls.describe_table = lambda **_: {"Table": table}

    def client(self, service, **_options):
        """A session's client of the stream."""
        assert service == "dynamodbstreams"
        return self.streams

    def runs(self):
        return [read_control_row(read_item(row)) for row in self.controls.items("history")]

    def put(self, key, document):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        return key

    def quarantine(self, record, consumer=HISTORY):
        return Quarantine(self.s3, BUCKET, consumer.value).put(record, ValueError("refused"))

    def objects(self):
        listed = self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return [one["Key"] for one in listed]

    def body(self, key):
        with self.s3.get_object(Bucket=BUCKET, Key=key)["Body"] as body:
            return body.read()

    def redrive(self, **options):
        options = {"apply": True, "names": NAMES, "pace": IMPATIENT} | options
        return redrive(self.deployment, **options)

    def rows(self):
        return [HistoryRow.from_item(read_item(row)) for row in self.tables.items("history")]

    def sequences(self):
        return sorted(int(row.change.sequence_number) for row in self.rows())


@pytest.fixture
def world(session):
    with mock_aws():
        yield World(session)


def batch(records, **options):
    return invocation({"Records": records}, **options) | {"DDBStreamBatchInfo": None}


def digest_of(identifier):
    return key_digest(identifier)


def test_a_quarantined_record_becomes_a_row_and_is_put_away(world):
    """The object goes to `done/` under its old key, byte by byte."""
    key = world.quarantine(lambda_record(new=item("1")))
    body = world.body(key)

    result = world.redrive()

    assert result.is_clean
    assert (result.applied, result.objects, result.records) == (True, 1, 1)
    assert result.done == (key,)
    assert result.counts["RowsWritten"] == 1
    assert world.objects() == [f"done/{key}"]
    assert world.body(f"done/{key}") == body
    assert world.sequences() == [FIRST_SEQUENCE]
    (row,) = world.rows()
    assert row.redriven_from == RedrivenFrom(f"s3://{BUCKET}/{key}", None, CALLER)


def test_a_redrive_says_in_the_history_that_its_rows_come_late(world):
    """Who, from when on, and of which stream; once, however many groups there are."""
    world.put(OF_HISTORY, batch(inserts(3)))
    world.put(f"{OF_HISTORY}2", batch(inserts(120, first=FIRST_SEQUENCE + 10)))
    clock = StillClock()

    assert world.redrive(pace=Pace(machine=Machine(now=clock.now))).is_clean

    (run,) = world.runs()
    assert (run.command, run.who, run.stream_arn) == ("redrive", CALLER, STREAM_ARN)
    assert run.started == clock.now()


def test_a_long_redrive_goes_on_saying_so(world):
    """Half of the time that a run row speaks for has passed: another one is written."""
    for place in range(3):
        world.put(f"{OF_HISTORY}{place}", batch(inserts(110, first=FIRST_SEQUENCE + 200 * place)))
    starts = [datetime(2026, 1, 1, 0, minute, tzinfo=UTC) for minute in (0, 29, 30)]
    # The stream is looked at first.
    times = iter([starts[0], *starts])

    world.redrive(pace=Pace(machine=Machine(now=lambda: next(times))))

    runs = sorted(world.runs(), key=lambda run: run.started)
    assert [run.started for run in runs] == [starts[0], starts[2]]
    assert [run.run[-2:] for run in runs] == ["-1", "-2"]


def test_nothing_is_announced_for_the_replica_or_in_a_dry_run(world):
    """Nor is a row of the history written then."""
    world.put(OF_HISTORY, batch(inserts(1)))
    world.put(OF_REPLICA, batch(inserts(1)))

    world.redrive(apply=False)
    world.redrive(consumers=[REPLICA])

    assert world.runs() == []


@pytest.mark.parametrize("problem", [DENIED, client_error("ThrottlingException")])
def test_records_come_back_though_they_cannot_be_announced(world, problem):
    """What is lost is worse than a finding of the check."""
    world.put(OF_HISTORY, batch(inserts(1)))
    world.controls.always("batch_execute_statement", problem)

    assert world.redrive().is_clean

    assert world.sequences() == [FIRST_SEQUENCE]


def test_nothing_happens_without_apply(world):
    """A dry run lists what would be done, and touches neither tables nor objects."""
    good = world.quarantine(lambda_record(new=item("1")))
    bad = world.put(OF_HISTORY, batch([*inserts(2), without(lambda_record(new=item()), "Keys")]))

    result = world.redrive(apply=False)

    assert not result.applied
    assert result.done == (good,)
    assert (result.objects, result.records) == (2, 3)
    assert [one.where for one in result.leftovers] == [bad]
    assert sorted(world.objects()) == sorted([good, bad])
    assert world.tables.calls == []


def test_a_failed_batch_goes_where_it_was_meant_to(world):
    """Told by the mapping in its key: the history's to the history, the other's to the replica."""
    world.tables.put("source", item("item-000", Name=text("now")))
    world.put(OF_HISTORY, batch(inserts(3)))

    world.redrive()
    rows, replica = world.sequences(), world.tables.items("replica")
    world.put(OF_REPLICA, batch(inserts(1, first=7)))
    world.redrive()

    assert rows == world.sequences() == [FIRST_SEQUENCE + n for n in range(3)]
    assert replica == []
    assert world.tables.items("replica") == [item("item-000", Name=text("now"))]
    assert world.objects() == [f"done/{OF_HISTORY}", f"done/{OF_REPLICA}"]


def test_what_cannot_be_told_apart_goes_to_both(world):
    """Both consumers take any record, so one too many does no harm."""
    world.tables.put("source", item("1", Name=text("now")))
    world.put(OF_ANYBODY, batch([lambda_record(new=item("1"))], function="arn:of:nobody"))

    result = world.redrive()

    assert result.is_clean
    assert world.sequences() == [FIRST_SEQUENCE]
    assert world.tables.items("replica") == [item("1", Name=text("now"))]


def test_an_old_image_never_reaches_the_replica(world):
    """What a record says of its item is not believed: the source is asked."""
    world.tables.put("replica", item("1", Name=text("stale")))
    world.quarantine(lambda_record(new=item("1", Name=text("old"))), REPLICA)

    result = world.redrive()

    assert result.counts == {"Settled": 1}
    assert world.tables.items("replica") == []
    assert world.sequences() == []


def test_any_order_and_any_number_of_times_is_one_state(world):
    """Twice the same records in several objects: each is one row."""
    records = versions(10)
    for n, some in enumerate((records[5:], records[:7], records[::-1])):
        world.put(f"{OF_HISTORY}{n}", batch(some))

    first = world.redrive()
    rows = world.rows()
    for key in first.done:
        world.put(key, world.body(f"done/{key}"))
    second = world.redrive()

    assert first.is_clean
    assert second.is_clean
    assert len(rows) == 10
    assert world.rows() == rows
    assert "RowsWritten" not in second.counts
    assert second.counts["Duplicates"] == 10


def test_a_malformed_record_stays_until_it_is_mended(world):
    """It is listed with its number, a digest of its key, and the reason; never with its data."""
    record = with_image(lambda_record(new=item("secret")), {"Id": text("secret"), "B": {"B": "A"}})
    key = Quarantine(world.s3, BUCKET, HISTORY.value).put(record, MalformedRecordError("why"))

    result = world.redrive()

    assert result.leftovers == (
        Leftover(
            key,
            Cause.MALFORMED,
            "NewImage: B is not strict base64",
            None,
            str(FIRST_SEQUENCE),
            digest_of("secret"),
        ),
    )
    assert world.objects() == [key]
    world.put(key, {"Format": 1, "Record": lambda_record(new=item("secret"))})
    assert world.redrive().is_clean
    assert world.objects() == [f"done/{key}"]


@pytest.mark.parametrize("record", [None, "text", {}, {"dynamodb": {"Keys": {"Id": 1}}}])
def test_a_record_that_is_none_is_listed(world, record):
    """With neither a number nor a key."""
    key = world.put("quarantine/history_writer/unnumbered-1.json", {"Format": 1, "Record": record})

    (left,) = world.redrive().leftovers

    assert (left.where, left.why) == (key, Cause.MALFORMED)
    assert (left.sequence_number, left.key_digest) == (None, None)


def test_an_object_with_a_failing_record_stays_whole(world):
    """The good ones in it are stored all the same."""
    records = inserts(5)
    world.tables.always(
        "batch_execute_statement",
        refuse_statements(lambda row: row["Id"] == text("item-002"), "ValidationException"),
    )
    key = world.put(OF_HISTORY, batch(records))
    body = world.body(key)

    # A refused row is tried once more with its images in the overflow bucket.
    world.s3.create_bucket(Bucket="overflow")
    result = world.redrive()

    assert result.leftovers == (
        Leftover(
            key,
            Cause.REFUSED,
            "the table answers ValidationException",
            HISTORY,
            str(FIRST_SEQUENCE + 2),
            digest_of("item-002"),
        ),
    )
    assert result.done == ()
    assert world.sequences() == [FIRST_SEQUENCE + n for n in (0, 1, 3, 4)]
    assert (world.objects(), world.body(key)) == ([key], body)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (THROTTLED, "ProvisionedThroughputExceededException"),
        (DENIED, "AccessDeniedException"),
    ],
)
def test_what_is_not_stored_stays_in_every_object_that_has_it(world, error, reason):
    """The same record twice: neither object is put away on the strength of the other."""
    record = lambda_record(new=item("1"))
    keys = [world.quarantine(record), world.put(OF_HISTORY, batch([record]))]
    world.tables.always("batch_execute_statement", error)

    result = world.redrive()

    assert {one.where for one in result.leftovers} == set(keys)
    assert {(one.why, one.reason) for one in result.leftovers} == {(Cause.UNSTORED, reason)}
    assert sorted(world.objects()) == sorted(keys)


def test_a_forgery_stays_and_does_not_keep_the_original(world):
    """In whatever order they come: what is stored decides, not what comes first in a call."""
    original = lambda_record(new=item("1", Name=text("Ada")))
    forged = lambda_record(new=item("1", Name=text("Eve")))
    world.tables.put("history", HistoryRow.from_change(read_record(original)).to_item(4))
    bad = world.put("quarantine/history_writer/0-forged.json", {"Format": 1, "Record": forged})
    good = world.put("quarantine/history_writer/1-good.json", {"Format": 1, "Record": original})

    result = world.redrive()

    (left,) = result.leftovers
    assert (left.where, left.why) == (bad, Cause.CONFLICT)
    assert "has another digest" in left.reason
    assert result.done == (good,)
    (row,) = world.rows()
    assert row.change.new_image["Name"] == text("Ada")


def test_an_item_that_never_holds_still_stays(world):
    """Restless is not settled: nobody else will look at it again."""
    world.tables.put("source", item("1", Version=number(0)))
    versions_ = iter(range(1, 1000))

    def change(_request, carry_out):
        answer = carry_out()
        world.tables.put("source", item("1", Version=number(next(versions_))))
        return answer

    world.tables.always("batch_write_item", change)
    key = world.quarantine(lambda_record(new=item("1")), REPLICA)

    (left,) = world.redrive().leftovers

    assert (left.where, left.why, left.consumer) == (key, Cause.RESTLESS, REPLICA)
    assert world.objects() == [key]


def test_a_replica_that_refuses_an_item_keeps_its_object(world):
    """With the table's code and without the item."""
    world.tables.put("source", item("1"))
    refusal = client_error("ValidationException", message="secret item")
    world.tables.always("batch_write_item", refusal)
    key = world.quarantine(lambda_record(new=item("1")), REPLICA)

    (left,) = world.redrive().leftovers

    assert (left.where, left.why) == (key, Cause.REFUSED)
    assert left.reason == "the table answers ValidationException"


def test_records_of_another_table_are_left_alone(world):
    """A pointer or an object of somebody else must not write into this history."""
    record = lambda_record(new=item("1")) | {
        "eventSourceARN": STREAM_ARN.replace("/Employee/", "/Payroll/")
    }
    key = world.put(OF_HISTORY, batch([record]))
    document = invocation()
    document["DDBStreamBatchInfo"]["streamArn"] = record["eventSourceARN"]
    pointer = world.put("pointers/1.json", document)

    result = world.redrive()

    assert [(one.where, one.why) for one in result.leftovers] == [
        (key, Cause.FOREIGN),
        (pointer, Cause.FOREIGN),
    ]
    assert world.rows() == []
    assert world.streams.calls == []


@pytest.mark.parametrize(
    "time", ["2018-03-03T12:00:00+00:00", "2018-03-03T13:00:00+01:00", 1520078400.0]
)
def test_what_get_records_printed_is_redriven_from_a_file(world, tmp_path, time):
    """It names no stream, and its times are text: who gives the file vouches for the rest."""
    record = lambda_record(new=item("1", photo={"B": "AAE="}))
    record.pop("eventSourceARN")
    record["dynamodb"] |= {"ApproximateCreationDateTime": time}
    path = tmp_path / "get-records.json"
    path.write_text(json.dumps({"Records": [record], "NextShardIterator": "x"}))
    world.describe_source()

    result = world.redrive(files=[path], consumers=[HISTORY], deployed=[HISTORY])

    (row,) = world.rows()
    assert (result.leftovers, result.done) == ((), (str(path),))
    assert row.change.event_source_arn == STREAM_ARN
    assert row.change.created_at == datetime(2018, 3, 3, 12, tzinfo=UTC)


def test_such_records_with_another_key_or_in_the_bucket_are_left_alone(world, tmp_path):
    """Nothing says that they are of this table."""
    record = lambda_record(new=item("1"))
    record.pop("eventSourceARN")
    path = tmp_path / "get-records.json"
    path.write_text(json.dumps({"Records": [record]}))
    key = world.put(OF_HISTORY, batch([record]))
    world.describe_source(key_type="N")

    result = world.redrive(files=[path], consumers=[HISTORY], deployed=[HISTORY])

    assert [(one.where, one.why) for one in result.leftovers] == [
        (str(path), Cause.MALFORMED),
        (key, Cause.MALFORMED),
    ]
    assert world.rows() == []


def test_streams_without_images_are_left_alone(world):
    """A record that lacks images is not half a row."""
    record = lambda_record(new=item("1"))
    record["dynamodb"]["StreamViewType"] = "KEYS_ONLY"
    world.quarantine(record)

    (left,) = world.redrive().leftovers

    assert left.why is Cause.VIEW_TYPE


def test_records_of_another_stream_of_the_table_are_left_until_it_is_named(world):
    """It is told by which option."""
    older = f"{STREAM_ARN.partition('/stream/')[0]}/stream/2017-01-01T00:00:00.000"
    world.quarantine(lambda_record(new=item("1")) | {"eventSourceARN": older})

    (left,) = world.redrive().leftovers

    assert left.why is Cause.FOREIGN
    assert left.reason == "it is of another stream of Employee: give that by --stream-arn"
    assert world.rows() == []


def test_an_object_short_of_records_stays(world):
    """Its batch had more: they are neither here nor known to be stored."""
    document = invocation({"Records": inserts(3)})
    key = world.put(OF_HISTORY, document)

    (left,) = world.redrive().leftovers

    assert (left.where, left.why) == (key, Cause.SHORT)
    assert "1 records more" in left.reason
    assert len(world.rows()) == 3


def test_an_object_of_another_kind_is_listed(world):
    """And left where it is."""
    key = world.put("aws/lambda/readme.txt", b"keep this folder")
    world.put("aws/lambda/folder/", b"")
    world.put("elsewhere/1.json", b"{}")

    result = world.redrive()

    assert [(one.where, one.why) for one in result.leftovers] == [(key, Cause.UNREADABLE)]
    assert len(world.objects()) == 3


def test_an_object_larger_than_any_batch_is_not_read(world, monkeypatch):
    """Whoever may write there decides how large it is; it stays where it is."""
    monkeypatch.setattr("operations.redrive.bucket.MOST_KEPT_BYTES", 1000)
    key = world.put("aws/lambda/large", bytes(1001))

    (left,) = world.redrive().leftovers

    assert (left.where, left.why) == (key, Cause.UNREADABLE)
    assert left.reason == "it is larger than any record or batch: more than 1000 bytes"
    assert world.objects() == [key]


class TestOneConsumerOnly:
    """Only what is surely for it, or for both, is looked at."""

    def test_the_other_ones_objects_are_left(self, world):
        """They are neither read nor listed."""
        world.put(OF_HISTORY, batch(inserts(1)))
        world.put(OF_REPLICA, batch(inserts(1)))
        world.quarantine(inserts(2)[1], REPLICA)

        result = world.redrive(consumers=[HISTORY])

        assert result.is_clean
        assert (result.objects, result.done) == (1, (OF_HISTORY,))

    def test_an_object_of_either_stays(self, world):
        """It is stored for the one asked for; the other may still need it."""
        world.put(OF_ANYBODY, batch(inserts(1), function="arn:of:nobody"))

        result = world.redrive(consumers=[HISTORY])

        assert [one.why for one in result.leftovers] == [Cause.OWNER]
        assert len(world.rows()) == 1
        assert world.objects() == [OF_ANYBODY]

    def test_an_object_of_both_stays(self, world):
        """Several messages of different functions in one object."""
        pointer = invocation({"Records": inserts(1)}) | {"DDBStreamBatchInfo": None}
        other = json.loads(json.dumps(pointer).replace("history", "replica"))
        names = NAMES | {"trail-replica-writer": REPLICA}
        key = world.put("pointers/several.json", [pointer, other])

        result = world.redrive(consumers=[HISTORY], names=names)
        assert [one.why for one in result.leftovers] == [Cause.OWNER]
        both = world.redrive(names=names)

        assert both.done == (key,)

    def test_what_may_be_of_either_is_of_the_one_there_is(self, world):
        """Where the other was never deployed, nobody else needs the object."""
        world.put(OF_ANYBODY, batch(inserts(1), function="arn:of:nobody"))

        result = world.redrive(consumers=[HISTORY], deployed=[HISTORY])

        assert (result.is_clean, result.done) == (True, (OF_ANYBODY,))
        assert len(world.rows()) == 1

    def test_what_is_of_one_that_is_gone_is_left(self, world):
        """It was deployed once: its records are not the other's."""
        key = world.quarantine(inserts(1)[0], REPLICA)

        result = world.redrive(consumers=[HISTORY], deployed=[HISTORY])

        assert (result.is_clean, result.objects) == (True, 0)
        assert world.rows() == []
        assert world.objects() == [key]

    def test_none_is_refused(self, world):
        """That would be a way to do nothing and call it clean."""
        with pytest.raises(RefusedError, match="for which consumer"):
            world.redrive(consumers=[])


class TestPutAway:
    """An object leaves its place when its copy is there, and not before."""

    def test_a_copy_that_fails_leaves_the_object(self, world, monkeypatch):
        """The record is stored; the object can be redriven once more."""
        key = world.quarantine(lambda_record(new=item("1")))

        def fail(**_request):
            raise client_error("AccessDenied", 403)

        monkeypatch.setattr(world.s3, "copy_object", fail)
        result = world.redrive()

        assert [(one.where, one.why, one.reason) for one in result.leftovers] == [
            (key, Cause.UNMOVED, "the bucket answers AccessDenied")
        ]
        assert result.done == ()
        assert world.objects() == [key]

    def test_a_copy_that_is_not_whole_leaves_the_object(self, world, monkeypatch):
        """Whatever the service says."""
        key = world.quarantine(lambda_record(new=item("1")))
        monkeypatch.setattr(world.s3, "head_object", lambda **_: {"ContentLength": 3})

        (left,) = world.redrive().leftovers

        assert left.why is Cause.UNMOVED
        assert "has 3 of" in left.reason
        assert key in world.objects()

    def test_an_object_that_was_mended_meanwhile_stays(self, world):
        """What was redriven is not what is there now."""
        key = world.quarantine(lambda_record(new=item("1")))
        other = {"Format": 1, "Record": lambda_record(new=item("2"), sequence=7)}

        def change(_request, carry_out):
            world.put(key, other)
            return carry_out()

        world.tables.script("batch_execute_statement", change)
        result = world.redrive()
        first = world.objects()
        again = world.redrive()

        assert [one.why for one in result.leftovers] == [Cause.UNMOVED]
        assert key in first
        assert again.done == (key,)
        assert len(world.rows()) == 2

    def test_an_interrupt_between_copy_and_delete_loses_nothing(self, world, monkeypatch):
        """It is in two places then, and redriven again."""
        key = world.quarantine(lambda_record(new=item("1")))

        def interrupt(**_request):
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(world.s3, "delete_object", interrupt)
            with pytest.raises(KeyboardInterrupt):
                world.redrive()
        assert sorted(world.objects()) == sorted([key, f"done/{key}"])

        assert world.redrive().done == (key,)
        assert world.objects() == [f"done/{key}"]

    def test_an_object_somebody_else_has_put_away_is_nobodys_problem(self, world, monkeypatch):
        """Two redrives at once end as one."""
        key = world.quarantine(lambda_record(new=item("1")))
        read = world.s3.get_object

        def vanish(**request):
            world.s3.delete_object(Bucket=BUCKET, Key=key)
            return read(**request)

        monkeypatch.setattr(world.s3, "get_object", vanish)

        result = world.redrive()

        assert (result.is_clean, result.objects) == (True, 0)

    def test_an_object_that_cannot_be_read_is_listed(self, world, monkeypatch):
        """One in an archive, for example."""
        key = world.quarantine(lambda_record(new=item("1")))

        def fail(**_request):
            raise client_error("InvalidObjectState", 403)

        monkeypatch.setattr(world.s3, "get_object", fail)

        (left,) = world.redrive().leftovers

        assert (left.where, left.why) == (key, Cause.UNREADABLE)
        assert left.reason == "the bucket answers InvalidObjectState"


class TestPointers:
    """Batches of which only the place is known come back from the stream."""

    def pointer(self, start, end, size):
        document = invocation()
        document["DDBStreamBatchInfo"] |= {
            "shardId": "a",
            "startSequenceNumber": str(start),
            "endSequenceNumber": str(end),
            "batchSize": size,
        }
        return document

    def test_a_batch_is_refetched(self, world):
        """Streams-API records carry no ARN: the pointer's is the row's."""
        world.streams.shards["a"] = Shard([1, 2, 3, 4])
        key = world.put("pointers/batch.json", self.pointer(2, 3, 2))

        result = world.redrive()

        assert (result.is_clean, result.done, result.records) == (True, (key,), 2)
        assert world.objects() == [f"done/{key}"]
        assert world.sequences() == [2, 3]
        assert {row.change.event_source_arn for row in world.rows()} == {STREAM_ARN}

    def test_what_has_expired_is_lost_and_said_to_be(self, world):
        """With its range and its size; the rest is stored, and the pointer stays."""
        world.streams.shards["a"] = Shard([1, 2, 3, 4], trimmed=2)
        key = world.put("pointers/batch.json", self.pointer(1, 3, 3))

        result = world.redrive()
        again = world.redrive()

        (lost,) = result.lost
        assert lost == Lost(key, lost.place, 1, "its oldest records have expired")
        assert (lost.place.start, lost.place.end, lost.place.batch_size) == ("1", "3", 3)
        assert not result.is_clean
        assert result.done == ()
        assert again.lost == result.lost
        assert world.objects() == [key]
        assert world.sequences() == [3]

    def test_a_stream_that_cannot_be_read_is_no_loss(self, world):
        """The pointer is as good as before."""
        world.streams.shards["a"] = Shard([1, 2])
        world.streams.script += [DENIED]
        key = world.put("pointers/batch.json", self.pointer(1, 2, 2))

        result = world.redrive()

        assert result.lost == ()
        assert [(one.where, one.why) for one in result.leftovers] == [(key, Cause.UNREADABLE)]

    def test_a_stream_of_another_region_is_no_loss(self, world):
        """It is not where it is looked for, which says nothing."""
        document = self.pointer(1, 2, 2)
        arn = STREAM_ARN.replace("eu-west-1", "us-east-1")
        document["DDBStreamBatchInfo"]["streamArn"] = arn
        key = world.put("pointers/batch.json", document)

        result = world.redrive()

        assert result.lost == ()
        assert [(one.where, one.why) for one in result.leftovers] == [(key, Cause.FOREIGN)]
        assert result.leftovers[0].reason == f"its stream is not of {TABLE_ARN}"
        assert world.streams.calls == []

    def test_an_object_of_lambda_without_its_records_is_a_pointer(self, world):
        """Whatever prefix it is under."""
        world.streams.shards["a"] = Shard([1, 2])
        world.put(OF_HISTORY, self.pointer(1, 2, 2))

        assert world.redrive().is_clean
        assert world.sequences() == [1, 2]

    def test_files_are_redriven_and_left(self, world, tmp_path):
        """They are on this machine and not in the bucket."""
        world.streams.shards["a"] = Shard([1, 2, 3])
        file = tmp_path / "queue.json"
        file.write_text(json.dumps({"Messages": [{"Body": json.dumps(self.pointer(1, 3, 3))}]}))

        result = redrive(
            world.deploy(quarantine_bucket=None),
            apply=True,
            names=NAMES,
            files=[file],
            pace=IMPATIENT,
        )

        assert (result.is_clean, result.done) == (True, (str(file),))
        assert file.exists()
        assert world.sequences() == [1, 2, 3]

    def test_a_file_that_is_too_large_is_named(self, world, tmp_path, monkeypatch):
        """None of it is done."""
        monkeypatch.setattr("operations.redrive.run.MOST_KEPT_BYTES", 1000)
        file = tmp_path / "messages.json"
        file.write_bytes(bytes(1001))

        with pytest.raises(OperationError, match=r"messages\.json is too large: .*; divide it"):
            world.redrive(files=[file])

    def test_a_missing_file_is_named(self, world, tmp_path):
        """Before anything is written."""
        with pytest.raises(OperationError, match=r"none\.json cannot be read: No such file"):
            world.redrive(files=[tmp_path / "none.json"])


def test_many_objects_go_in_few_calls(world):
    """Quarantined records are objects of their own, and rows of one call all the same."""
    for record in inserts(60):
        world.quarantine(record)
    told = []

    result = world.redrive(pace=Pace(progress=lambda *what: told.append(what)))

    assert len(result.done) == len(world.rows()) == 60
    assert len(world.tables.requests("batch_execute_statement")) == 3
    assert told == [("objects", 60, None)]


def test_it_keeps_to_a_rate(world):
    """So many records a second, in the long run: each is read, and its row written."""
    for n in range(3):
        world.put(f"{OF_HISTORY}{n}", batch(inserts(100, first=1000 * n)))
    pauses = []
    machine = Machine(clock=lambda: sum(pauses), sleep=pauses.append)

    world.redrive(pace=Pace(50, machine=machine))

    assert pauses == [2] * 5


def test_a_dry_run_keeps_to_a_rate_too(world):
    """It reads as much."""
    for n in range(3):
        world.put(f"{OF_HISTORY}{n}", batch(inserts(100, first=1000 * n)))
    pauses = []
    machine = Machine(clock=lambda: sum(pauses), sleep=pauses.append)

    world.redrive(pace=Pace(50, machine=machine), apply=False)

    assert pauses == [2] * 2


def test_what_is_not_named_is_refused_before_anything_is_done(session):
    """With what to give."""
    deployment = DeployedTables("Employee", session)

    with pytest.raises(RefusedError, match=r"quarantine bucket.*--quarantine-bucket"):
        redrive(deployment, pace=Pace())
    with mock_aws(), pytest.raises(RefusedError, match="time-shards"):
        redrive(
            DeployedTables("Employee", session, quarantine_bucket=BUCKET), apply=True, pace=Pace()
        )


def test_a_bucket_that_is_not_there_is_an_error(world):
    """An empty list would pass for nothing left behind."""
    with pytest.raises(ClientError, match="NoSuchBucket"):
        redrive(world.deploy(quarantine_bucket="nowhere"), pace=IMPATIENT)


def test_a_stack_names_its_consumers():
    """By mapping and function; an older one by what it has."""
    outputs = {
        "HistoryWriterMappingId": "uuid-h",
        "HistoryWriterFunctionName": "trail-history-writer",
        "ReplicaWriterMappingId": "uuid-r",
    }

    assert names_of(Stack("trail", outputs)) == NAMES


def test_results_count_what_was_written(world):
    """Rows, duplicates and settled items, together over all objects."""
    for n in range(2):
        world.put(f"{OF_ANYBODY}{n}", batch(inserts(2), function="arn:of:nobody"))

    result = world.redrive()

    assert result.counts == Counter(RowsWritten=2, Settled=2)


def test_what_is_delivered_together_is_bounded_by_its_size(monkeypatch):
    """A batch may be of few records, and large."""
    monkeypatch.setattr(redrive_run, "_MOST_BYTES", 100)
    loads = [Load(str(place), None, size=60) for place in range(5)]

    assert [len(group) for group in redrive_run._groups(loads)] == [2, 2, 1]


# ---- A run that is killed, and tables that refuse for good -----------------------------------


class Killed(BaseException):
    """As if the process was gone."""


def test_the_next_redrive_settles_what_a_killed_one_left(world, tmp_path):
    """Also when the next one is about something else: no item is left that the source has not."""
    state, path = tmp_path / "state", tmp_path / "records.json"
    path.write_text(json.dumps({"Records": inserts(1)}))
    world.tables.put("source", item("item-000"))

    def kill(_request, carry_out):
        carry_out()
        raise Killed

    world.tables.script("batch_write_item", kill)
    with pytest.raises(Killed):
        world.redrive(files=[path], state_path=state)
    replica = world.tables.items("replica")
    for one in world.tables.items("source"):
        world.tables.remove("source", one)

    result = world.redrive(state_path=state)

    assert (len(replica), result.objects) == (1, 0)
    assert world.tables.items("replica") == []
    assert not state.exists()


def test_tables_that_refuse_for_good_end_the_run(world):
    """After a minute of it, not a minute for every hundred records; the rest stays."""
    for n in range(8):
        world.put(f"{OF_HISTORY}{n}", batch(inserts(100, first=1000 * n)))
    world.tables.always("batch_execute_statement", THROTTLED)
    pauses = []
    machine = Machine(clock=lambda: sum(pauses), sleep=pauses.append)

    result = world.redrive(pace=Pace(machine=machine))

    assert "nothing has succeeded for 60 seconds" in result.ended
    assert not result.is_clean
    assert (result.done, result.objects < 8) == ((), True)
    assert sum(pauses) < 90
