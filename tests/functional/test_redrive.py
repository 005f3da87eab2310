"""Redrive on an emulator's tables, stream and bucket: as if nothing had ever failed."""

import contextlib
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from history_writer.overflow_bucket import OverflowBucket
from history_writer.writer import HistoryWriter
from operations.deployed_tables import DeployedTables
from operations.errors import RefusedError
from operations.execution.pace import Pace
from operations.redrive.delivery import Cause
from operations.redrive.from_stream import redrive_from_stream
from operations.redrive.objects import StreamRange
from operations.redrive.run import redrive
from reports.deployment.stack import Consumer
from reports.states.watermark import Basis, Watermark
from reports.verification.continuity import FindingKind
from reports.verification.verify import verify
from stream_core.batch import Delivery
from stream_core.change import read_record
from stream_core.item_id import CONTROL_ID
from stream_core.quarantine import Quarantine
from tests.eventually import GIVEN_UP_AFTER_S
from tests.factories import Clock, item, lambda_form, nested, number, text
from tests.left_behind import invocation

pytestmark = pytest.mark.functional

EVERYTHING = {
    "no text": text(""),
    "digits": number("9" * 38 + "0"),
    "smallest": number("0." + "0" * 129 + "1"),
    "bytes": {"B": b"\x00\x01\xff"},
    "binaries": {"BS": [b"", b"\x01"]},
    "numbers": {"NS": ["-1", "2", "3.5"]},
    "null": {"NULL": True},
    "S": {"M": {"a.b": {"L": [{"B": b"x"}, {"BOOL": False}]}}},
    "deep": nested(31),
}
MAPPING = {"uuid-h": Consumer.HISTORY_WRITER, "uuid-r": Consumer.REPLICA_WRITER}


class System:
    """A table with its stream, and what follows it, none of which has worked so far."""

    def __init__(self, local_stack, dynamodb, s3, names):
        self.dynamodb, self.s3, self.names = dynamodb, s3, names
        self.streams = local_stack.client("dynamodbstreams")
        s3.put_bucket_versioning(
            Bucket=names.quarantine, VersioningConfiguration={"Status": "Enabled"}
        )
        table = dynamodb.update_table(
            TableName=names.source,
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )["TableDescription"]
        self.stream_arn = table["LatestStreamArn"]
        described = self.streams.describe_stream(StreamArn=self.stream_arn)
        (self.shard,) = described["StreamDescription"]["Shards"]
        self.deployment = DeployedTables(
            names.source,
            local_stack.session(),
            history_table=names.history,
            time_shards=4,
            overflow_bucket=names.overflow,
            quarantine_bucket=names.quarantine,
            replica_table=names.replica,
        )

    def live(self):
        """A table's life: inserts, changes, deletes and rebirths of three items."""
        for n in range(24):
            key = str(n % 3)
            if n % 8 == 7:
                self.dynamodb.delete_item(TableName=self.names.source, Key=item(key))
            else:
                more = EVERYTHING if n % 5 == 0 else {}
                new = item(key, Version=number(n), **more)
                self.dynamodb.put_item(TableName=self.names.source, Item=new)

    def records(self):
        """The stream as the streams API gives it."""
        iterator = self.streams.get_shard_iterator(
            StreamArn=self.stream_arn,
            ShardId=self.shard["ShardId"],
            ShardIteratorType="TRIM_HORIZON",
        )["ShardIterator"]
        return self.streams.get_records(ShardIterator=iterator)["Records"]

    def delivered(self, record):
        """The same record as Lambda delivers it."""
        body = dict(record["dynamodb"])
        body["ApproximateCreationDateTime"] = body["ApproximateCreationDateTime"].timestamp()
        whole = {**record, "dynamodb": body, "eventSourceARN": self.stream_arn}
        return json.loads(json.dumps(lambda_form(whole)))

    def place(self, records):
        """Where some records are in the stream."""
        numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
        return StreamRange(
            self.stream_arn, self.shard["ShardId"], numbers[0], numbers[-1], len(records)
        )

    def put(self, key, document):
        self.s3.put_object(
            Bucket=self.names.quarantine, Key=key, Body=json.dumps(document).encode()
        )
        return key

    def objects(self):
        listed = self.s3.list_objects_v2(Bucket=self.names.quarantine).get("Contents", [])
        return [one["Key"] for one in listed]

    def rows(self, table=None):
        """The rows of items as they are stored, in order; an overflow object's version aside."""
        stored = self.scan(table or self.names.history)
        found = [row for row in stored if row["Id"]["S"] != CONTROL_ID]
        for row in found:
            if "Overflow" in row:
                del row["Overflow"]["M"]["VersionId"]
        return sorted(found, key=lambda row: row["ApproximateCreationDateTime"]["S"])

    def scan(self, table):
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        return [found for page in pages for found in page["Items"]]

    def redrive(self, **options):
        options = {
            "apply": True,
            "names": MAPPING,
            "pace": Pace(patience_s=GIVEN_UP_AFTER_S),
        } | options
        return redrive(self.deployment, **options)

    def redrive_from_stream(self, *consumers, **options):
        options = {
            "apply": True,
            "consumers": consumers or tuple(Consumer),
            "pace": Pace(patience_s=GIVEN_UP_AFTER_S),
        } | options
        return redrive_from_stream(self.deployment, **options)

    def write(self, records, table):
        """Write records as the function would have, had it not failed."""
        writer = HistoryWriter(
            self.dynamodb, OverflowBucket(self.s3, self.names.overflow), table, 4
        )
        with writer.pool:
            deliveries = [Delivery(record, read_record(record)) for record in records]
            outcome = writer.store(deliveries, Clock().patience)
        assert not outcome.unstored
        assert not outcome.refused

    def items(self, table):
        return sorted(self.scan(table), key=lambda found: found["Id"]["S"])

    def close(self):
        self.streams.close()
        self.deployment.pool.shutdown()


@pytest.fixture
def system(local_stack, dynamodb, s3, make_tables):
    made = System(local_stack, dynamodb, s3, make_tables())
    with contextlib.closing(made):
        yield made


def test_everything_that_failed_comes_back_as_if_it_had_not(system, make_tables):
    """Single records, whole batches in both forms, and batches of which only the place is left."""
    system.live()
    found = system.records()
    records = [system.delivered(record) for record in found]
    assert len(found) == 24
    for record in records[:6]:
        Quarantine(system.s3, system.names.quarantine, "history_writer").put(record, ValueError())
    as_text = json.dumps({"Records": records[6:12]})
    system.put(
        "aws/lambda/uuid-h/shardId-0/2026/11/25/1", invocation(as_text, system.place(found[6:12]))
    )
    event = {"Records": records[4:14]}
    system.put(
        "aws/lambda/uuid-h/shardId-0/2026/11/25/2", invocation(event, system.place(found[4:14]))
    )
    system.put(
        "aws/lambda/uuid-r/shardId-0/2026/11/25/1",
        invocation({"Records": records[:20]}, system.place(found[:20])),
    )
    pointer = json.dumps(invocation(place=system.place(found[14:]), function="arn:of:nobody"))
    system.put("pointers/message.json", {"Messages": [{"Body": pointer}]})
    before = system.objects()

    planned = system.redrive(apply=False)
    untouched = (system.objects(), system.rows(), system.scan(system.names.replica))
    result = system.redrive()
    again = system.redrive()

    assert untouched == (before, [], [])
    assert sorted(planned.done) == sorted(result.done) == before
    assert planned.is_clean
    assert result.is_clean
    assert result.counts["RowsWritten"] == 24
    assert (again.objects, again.done) == (0, ())
    assert sorted(system.objects()) == [f"done/{key}" for key in before]
    fault_free = make_tables().history
    system.write(records, fault_free)
    assert system.rows() == system.rows(fault_free)
    assert system.items(system.names.replica) == system.items(system.names.source)


def test_what_the_stream_has_lost_is_told(system):
    """Its pointer stays; what is still there is stored."""
    system.live()
    found = system.records()
    place = system.place(found[:10])
    gone = StreamRange(place.stream_arn, place.shard_id, "1", place.end, place.batch_size + 1)
    elsewhere = StreamRange(place.stream_arn, "shardId-000-gone", "1", "2", 2)
    keys = [
        system.put("pointers/1", invocation(place=gone)),
        system.put("pointers/2", invocation(place=elsewhere)),
    ]

    result = system.redrive()

    assert [(one.where, one.remaining, one.reason) for one in result.lost] == [
        ("pointers/1", 10, "its oldest records have expired"),
        ("pointers/2", 0, "the shard, or the stream, is no longer there"),
    ]
    assert [one.place for one in result.lost] == [gone, elsewhere]
    assert result.done == ()
    assert system.objects() == keys
    assert len(system.rows()) == 10


def test_an_object_mended_by_hand_is_redriven(system):
    """Until then it stays where it is, also beside its versions."""
    system.live()
    (record, *_) = map(system.delivered, system.records())
    broken = json.loads(json.dumps(record))
    broken["dynamodb"]["NewImage"]["Broken"] = {"B": "A"}
    quarantine = Quarantine(system.s3, system.names.quarantine, "history_writer")
    key = quarantine.put(broken, ValueError())

    first = system.redrive()
    system.put(key, {"Format": 1, "Record": record})
    second = system.redrive()

    assert [one.why for one in first.leftovers] == [Cause.MALFORMED]
    assert second.done == (key,)
    assert system.objects() == [f"done/{key}"]
    assert len(system.rows()) == 1


def forged(record, number, **images):
    """A record that nobody has seen in the stream, though it says so."""
    body = record["dynamodb"] | {"SequenceNumber": str(number)} | images
    return record | {"eventID": "f" * 32, "eventName": "MODIFY", "dynamodb": body}


def raised_and_back(system):
    """Two changes that mend each other, after an item's last: no chain is broken by them."""
    system.live()
    records = [system.delivered(record) for record in system.records()]
    system.write(records, system.names.history)
    last = next(one for one in reversed(records) if "NewImage" in one["dynamodb"])
    image, number_ = last["dynamodb"]["NewImage"], int(last["dynamodb"]["SequenceNumber"])
    raised = image | {"Salary": {"N": "99999"}}
    return [
        forged(last, number_ + 10**9, OldImage=image, NewImage=raised),
        forged(last, number_ + 10**9 + 1, OldImage=raised, NewImage=image),
    ]


def aged(record, hours):
    """The same as if it had been made earlier."""
    made = record["dynamodb"]["ApproximateCreationDateTime"] - hours * 3600
    return record | {"dynamodb": record["dynamodb"] | {"ApproximateCreationDateTime": made}}


def verified(system):
    system.deployment.declared = Watermark(datetime.now(UTC), Basis.DECLARED, "said so")
    return verify(system.deployment.reader)


def test_what_the_stream_never_had_becomes_no_row(system):
    """Whoever may put an object into the bucket made history with it, and both verdicts held."""
    records = raised_and_back(system)
    key = system.put(
        "aws/lambda/uuid-h/shardId-1/2026/11/30/x",
        invocation({"Records": records}, system.place(records)),
    )
    before = system.rows()

    planned = system.redrive(apply=False)
    result = system.redrive()

    assert [one.why for one in result.leftovers] == [Cause.CONTRADICTED] * 2
    assert planned.leftovers == result.leftovers
    assert (planned.planned, result.done) == ((), ())
    assert system.rows() == before
    assert system.objects() == [key]


@pytest.mark.parametrize("image", ["OldImage", "NewImage"])
def test_what_the_stream_has_otherwise_becomes_no_row(system, image):
    """Its number alone is not believed."""
    system.live()
    record = next(
        one for one in map(system.delivered, system.records()) if one["eventName"] == "MODIFY"
    )
    body = record["dynamodb"]
    other = record | {"dynamodb": body | {image: body[image] | {"Salary": {"N": "99999"}}}}
    path = "quarantine/history_writer/1-a.json"
    system.put(path, {"Format": 1, "Record": other})

    result = system.redrive()

    assert [(one.where, one.why) for one in result.leftovers] == [(path, Cause.CONTRADICTED)]
    assert system.rows() == []
    assert not result.is_clean


def test_a_record_of_another_account_or_stream_is_neither_stored_nor_asked_for(system, tmp_path):
    """The whole ARN counts: a file named the table and another account, and was believed."""
    system.live()
    (record, *_) = map(system.delivered, system.records())
    arns = [
        system.stream_arn.replace("000000000000", "999999999999"),
        system.stream_arn.replace("us-east-1", "eu-west-1"),
        f"{system.stream_arn[:-4]}.999",
    ]
    files = [tmp_path / f"{place}.json" for place in range(len(arns))]
    pointers = [tmp_path / f"pointer-{place}.json" for place in range(len(arns))]
    for arn, file, pointer in zip(arns, files, pointers, strict=True):
        file.write_text(json.dumps({"Records": [record | {"eventSourceARN": arn}]}))
        place = replace(system.place([record]), stream_arn=arn)
        pointer.write_text(json.dumps(invocation(place=place)))
    asked = []
    system.deployment.session.events.register(
        "before-send.dynamodb-streams", lambda request, **_: asked.append(request.body)
    )

    result = system.redrive(files=[*files, *pointers])

    assert [one.why for one in result.leftovers] == [Cause.FOREIGN] * 6
    assert result.lost == ()
    assert system.rows() == []
    assert not any(arn.encode() in body for arn in arns for body in asked)


def test_a_row_of_what_the_stream_has_no_more_says_where_it_came_from(system):
    """For ever: object, version and who; and `verify` lists it, and holds all the same."""
    records = [aged(record, hours=25) for record in raised_and_back(system)]
    key = system.put(
        "aws/lambda/uuid-h/shardId-1/2026/11/30/x",
        invocation({"Records": records}, system.place(records)),
    )
    listed = system.s3.list_object_versions(Bucket=system.names.quarantine, Prefix=key)

    planned = system.redrive(apply=False)
    result = system.redrive()
    again = verified(system)

    assert [one.row.redriven_from is None for one in planned.planned] == [False, False]
    assert (result.done, result.counts["RowsWritten"]) == ((key,), 2)
    places = [row["RedrivenFrom"]["M"] for row in system.rows() if "RedrivenFrom" in row]
    assert (
        places
        == [
            {
                "Place": text(f"s3://{system.names.quarantine}/{key}"),
                "VersionId": text(listed["Versions"][0]["VersionId"]),
                "By": text(system.deployment.caller),
            }
        ]
        * 2
    )
    found = [one for one in again.findings if one.kind is FindingKind.REDRIVEN]
    assert len(found) == 2
    assert all(key in one.detail and system.deployment.caller in one.detail for one in found)


def test_what_was_kept_aside_of_an_older_stream_is_brought_back_where_it_is_named(system):
    """A table's stream was made anew: its ARN is another one, and given by hand."""
    system.live()
    (record, *_) = map(system.delivered, system.records())
    older = system.stream_arn
    for enabled in ({"StreamEnabled": False}, {"StreamEnabled": True}):
        view = {"StreamViewType": "NEW_AND_OLD_IMAGES"} if enabled["StreamEnabled"] else {}
        system.dynamodb.update_table(
            TableName=system.names.source, StreamSpecification=enabled | view
        )
    key = Quarantine(system.s3, system.names.quarantine, "history_writer").put(record, ValueError())

    (left,) = system.redrive().leftovers
    result = system.redrive(stream_arn=older)

    assert left.why is Cause.FOREIGN
    assert "--stream-arn" in left.reason
    assert result.done == (key,)
    (row,) = system.rows()
    assert row["EventSourceARN"] == text(older)
    assert "RedrivenFrom" not in row


def test_records_are_not_redriven_into_another_table_s_history(system, make_tables):
    """Nor put away: one line says whose history it is."""
    system.live()
    records = [system.delivered(record) for record in system.records()]
    system.write(records, system.names.history)
    key = system.put("aws/lambda/uuid-h/1", invocation({"Records": records}))
    system.deployment.source_table = make_tables().source

    with pytest.raises(RefusedError, match=f"is of .*{system.names.source}, not of"):
        system.redrive()

    assert system.objects() == [key]


@pytest.mark.bank
def test_what_only_the_stream_has_comes_back_from_it(system, make_tables):
    """A mapping was off, or a batch was dropped: rows and replica are as if nothing had failed."""
    system.live()
    records = [system.delivered(record) for record in system.records()]
    system.write([*records[:5], *records[14:]], system.names.history)

    planned = system.redrive_from_stream(apply=False)
    untouched = (len(system.rows()), system.scan(system.names.replica))
    result = system.redrive_from_stream()
    again = system.redrive_from_stream(apply=False)

    sequences = [record["dynamodb"]["SequenceNumber"] for record in records[5:14]]
    assert [one.sequence_number for one in planned.stream.missing] == sequences
    assert (planned.records, planned.stream.stored, planned.is_clean) == (24, 15, False)
    assert untouched == (15, [])
    assert (result.counts["RowsWritten"], result.counts["Settled"]) == (9, 3)
    assert (result.is_clean, again.is_clean, again.stream.missing) == (True, True, ())
    fault_free = make_tables().history
    system.write(records, fault_free)
    assert system.rows() == system.rows(fault_free)
    assert system.items(system.names.replica) == system.items(system.names.source)


def test_a_stream_that_was_switched_off_is_read_for_the_history(system):
    """What its readers had not read when another one took its place."""
    system.live()
    older = system.stream_arn
    for enabled in ({"StreamEnabled": False}, {"StreamEnabled": True}):
        view = {"StreamViewType": "NEW_AND_OLD_IMAGES"} if enabled["StreamEnabled"] else {}
        system.dynamodb.update_table(
            TableName=system.names.source, StreamSpecification=enabled | view
        )

    with pytest.raises(RefusedError, match="--consumer history_writer"):
        system.redrive_from_stream(stream_arn=older)
    result = system.redrive_from_stream(Consumer.HISTORY_WRITER, stream_arn=older)

    assert (result.is_clean, result.counts["RowsWritten"]) == (True, 24)
    assert {row["EventSourceARN"]["S"] for row in system.rows()} == {older}
