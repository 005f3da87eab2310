"""Both writers against an emulator's DynamoDB and S3: what is stored is what was delivered."""

import hashlib
import json
import random
from itertools import pairwise, permutations

import pytest
from botocore.exceptions import ClientError

from history_writer.overflow_bucket import OverflowBucket
from history_writer.writer import HistoryWriter
from replica_writer.settle import Settler
from replica_writer.tables import ReplicaTable, SourceTable
from replica_writer.writer import ReplicaWriter
from stream_core.attribute_values import item_size
from stream_core.batch import consume
from stream_core.change import read_record
from stream_core.errors import IntegrityError
from stream_core.history_row import HistoryRow, sort_key_after
from stream_core.overflow_object import unpack
from stream_core.quarantine import Quarantine
from tests.factories import (
    FIRST_SEQUENCE,
    Clock,
    item,
    lambda_record,
    load_event,
    nested,
    number,
    sets_sorted,
    text,
    versions,
    with_image,
    without,
)

pytestmark = pytest.mark.functional

NOTHING_FAILED = {"batchItemFailures": []}
EVERYTHING = {
    "text": text("é😀"),
    "empty text": text(""),
    "39 digits": number("9" * 38 + "0"),
    "greatest": number("9" * 38 + "0" * 88),
    "smallest": number("0." + "0" * 129 + "1"),
    "negative": number("-1.5"),
    "bytes": {"B": b"\x00\x01\xff"},
    "no bytes": {"B": b""},
    "true": {"BOOL": True},
    "null": {"NULL": True},
    "list": {"L": [{"L": []}, {"M": {}}, {"N": "1"}]},
    "a.b": {"M": {"S": {"M": {"N": text("v")}}, "#x": {"B": b"x"}}},
    "S": text("S"),
    "NULL": text("NULL"),
    "texts": {"SS": ["a", "b", ""]},
    "numbers": {"NS": ["-1", "2", "3.5"]},
    "binaries": {"BS": [b"", b"\x01"]},
}


class System:
    """Both writers with one test's tables."""

    def __init__(self, dynamodb, s3, names, key_names):
        self.dynamodb, self.s3, self.names, self.key_names = dynamodb, s3, names, key_names
        self.history = HistoryWriter(
            dynamodb, OverflowBucket(s3, names.overflow), names.history, time_shards=4
        )
        self.replica = ReplicaWriter(
            Settler(ReplicaTable(dynamodb, names.replica), SourceTable(dynamodb, names.source))
        )

    def close(self):
        self.history.pool.shutdown()
        self.replica.settler.pool.shutdown()

    def record(self, *records):
        """Have records written into the history."""
        return self._consume("history", records)

    def replicate(self, *records):
        """Have records brought to the replica."""
        return self._consume("replica", records)

    def rows(self):
        """All rows, by item and then in their order."""
        found = self._scan(self.names.history)
        rows = [HistoryRow.from_item(row) for row in found]
        return sorted(rows, key=lambda row: (row.id, row.sort_key))

    def put(self, new):
        self.dynamodb.put_item(TableName=self.names.source, Item=new)

    def of_source(self):
        return self._scan(self.names.source)

    def of_replica(self):
        return self._scan(self.names.replica)

    def quarantined(self):
        """Everything in quarantine."""
        listed = self.s3.list_objects_v2(Bucket=self.names.quarantine).get("Contents", [])
        return [json.loads(self._read(self.names.quarantine, one["Key"])) for one in listed]

    def images(self, row):
        """A row's images from its overflow object, in the version it names."""
        pointer = row.overflow
        body = self._read(pointer.bucket, pointer.key, VersionId=pointer.version_id)
        return unpack(pointer, body)

    def _read(self, bucket, key, **options):
        answer = self.s3.get_object(Bucket=bucket, Key=key, **options)
        with answer["Body"] as body:
            return body.read()

    def _consume(self, consumer, records):
        writer = getattr(self, consumer)
        quarantine = Quarantine(self.s3, self.names.quarantine, consumer)
        # Nothing here is throttled, so no pause is ever needed.
        clock = Clock()
        table_arn = records[0]["eventSourceARN"].partition("/stream/")[0]
        summary = consume(
            {"Records": list(records)}, table_arn, writer.store, quarantine, clock.patience
        )
        assert clock.pauses_s == []
        return summary

    def _scan(self, table):
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        return sorted(
            (sets_sorted(found) for page in pages for found in page["Items"]),
            key=lambda one: str([one[name] for name in self.key_names if name in one]),
        )


@pytest.fixture
def make_system(dynamodb, s3, make_tables):
    made = []

    def make(**key_types):
        key_types = key_types or {"Id": "S"}
        made.append(System(dynamodb, s3, make_tables(**key_types), tuple(key_types)))
        return made[-1]

    yield make
    for system in made:
        system.close()


@pytest.fixture
def system(make_system):
    return make_system()


def noise(size):
    """Bytes that no compression makes smaller, the same in every run."""
    return random.Random(size).randbytes(size)  # noqa: S311 - no secret


def test_every_type_is_stored_exactly(system):
    """FACTS 9.1-9.23: a row read back has the very values of its record, and its digest holds."""
    old, new = item("1", **EVERYTHING), item("1", **EVERYTHING, more=text("x"))

    summary = system.record(lambda_record(old, new))

    assert summary.response == NOTHING_FAILED
    (row,) = system.rows()
    assert row.change.old_image == sets_sorted(old)
    assert row.change.new_image == sets_sorted(new)
    row.check()


def test_a_second_delivery_adds_nothing(system):
    """FACTS 9.45: rows stay as they were and are counted as duplicates."""
    records = versions(30)
    system.record(*records)
    before = system.rows()

    summary = system.record(*records)

    assert summary.response == NOTHING_FAILED
    assert summary.outcome.counts == {"RecordsRead": 30, "Duplicates": 30}
    assert system.rows() == before


def test_other_content_under_a_key_is_quarantined(system):
    """FACTS 9.46: the original stays intact, the other record is kept with the reason."""
    original = lambda_record(new=item("1", Name=text("Ada")))
    forged = lambda_record(new=item("1", Name=text("Eve")))
    system.record(original)

    summary = system.record(forged)

    assert summary.response == NOTHING_FAILED
    assert summary.outcome.counts["DigestConflicts"] == 1
    (row,) = system.rows()
    assert row.change.new_image["Name"] == text("Ada")
    row.check()
    (kept,) = system.quarantined()
    assert kept["Record"] == forged
    assert (kept["Error"], kept["Consumer"]) == ("IntegrityError", "history")


def test_twenty_changes_in_a_second_are_twenty_rows(system):
    """FACTS 9.44: they read back in the order they happened, newest first on demand."""
    system.record(*versions(20)[::-1])

    row = system.rows()[0]
    answer = system.dynamodb.query(
        TableName=system.names.history,
        KeyConditionExpression="Id = :id AND ApproximateCreationDateTime <= :until",
        ExpressionAttributeValues={
            ":id": text("1"),
            ":until": text(sort_key_after(row.change.created_at)),
        },
        ScanIndexForward=False,
    )
    found = [HistoryRow.from_item(stored).change.new_image["Version"] for stored in answer["Items"]]
    assert found == [number(n) for n in range(19, -1, -1)]


def test_changes_are_found_by_their_hour(system):
    """The index lists keys and event names of an hour's shard, in order, without the images."""
    system.record(*versions(3))

    (bucket,) = {
        stored["TimeBucket"]["S"]
        for stored in system.dynamodb.scan(TableName=system.names.history)["Items"]
    }
    found = system.dynamodb.query(
        TableName=system.names.history,
        IndexName="ByTime",
        KeyConditionExpression="TimeBucket = :bucket",
        ExpressionAttributeValues={":bucket": text(bucket)},
    )["Items"]
    assert [row["EventName"]["S"] for row in found] == ["INSERT", "MODIFY", "MODIFY"]
    assert all("NewImage" not in row for row in found)


def test_two_images_of_400_kb_overflow(system):
    """FACTS 9.47: images that nothing compresses are kept outside, whole and verified."""
    old, new = (item("1", Data={"B": noise(size)}) for size in (400_000, 400_001))

    summary = system.record(lambda_record(old, new))

    assert summary.outcome.counts["Overflowed"] == 1
    (row,) = system.rows()
    assert row.overflow.version_id
    assert system.images(row) == (old, new)
    row.with_images(*system.images(row)).check()


def test_an_altered_or_missing_object_is_an_error(system):
    """FACTS 9.49: a later version cannot take the place of the one that was written."""
    system.record(lambda_record(new=item("1", Data={"B": noise(410_000)})))
    (row,) = system.rows()
    where = {"Bucket": row.overflow.bucket, "Key": row.overflow.key}

    system.s3.put_object(**where, Body=b"something else")
    still_whole = system.images(row)
    with pytest.raises(IntegrityError):
        unpack(row.overflow, system._read(*where.values()))
    system.s3.delete_object(**where, VersionId=row.overflow.version_id)

    assert still_whole[1]["Data"]["B"] == noise(410_000)
    with pytest.raises(ClientError, match="NoSuch"):
        system.images(row)


def test_the_deepest_legal_item_is_stored(system):
    """FACTS 9.21: 31 containers fit into the source, not into a row: into the bucket."""
    deepest = item("1", Deep=nested(31))
    system.put(deepest)

    summary = system.record(lambda_record(new=deepest))
    replicated = system.replicate(lambda_record(new=deepest))

    assert summary.response == replicated.response == NOTHING_FAILED
    assert system.images(system.rows()[0]) == (None, deepest)
    assert system.of_replica() == [deepest]


@pytest.mark.parametrize("size", [409_600, 420_000])
def test_rows_at_the_limit_are_stored(system, size):
    """A row of exactly 400 KB is written inline, one that the table refuses goes to the bucket."""
    empty = HistoryRow.from_change(read_record(lambda_record(new=item("1", Data=text("")))))
    new = item("1", Data=text("x" * (size - item_size(empty.to_item(4)))))

    summary = system.record(lambda_record(new=new))

    assert summary.response == NOTHING_FAILED
    (row,) = system.rows()
    assert (row.overflow is None) is (size == 409_600)
    assert summary.outcome.errors == {}


def test_the_largest_item_is_replicated_byte_by_byte(system):
    """FACTS 9.39: nothing is added, so even a full item has room in the replica."""
    new = item("1", Data={"B": noise(409_600 - len("Id1Data"))})
    system.put(new)

    summary = system.replicate(lambda_record(new=new))

    assert summary.response == NOTHING_FAILED
    (found,) = system.of_replica()
    assert hashlib.sha256(found["Data"]["B"]).digest() == hashlib.sha256(new["Data"]["B"]).digest()
    assert found == new == system.of_source()[0]


def test_every_type_is_replicated_exactly(system):
    """FACTS 9.1-9.23: source and replica cannot be told apart."""
    new = item("1", **EVERYTHING)
    system.put(new)

    summary = system.replicate(lambda_record(new=new))

    assert summary.response == NOTHING_FAILED
    assert system.of_replica() == system.of_source() == [sets_sorted(new)]
    assert "Settled" not in summary.outcome.counts


def test_every_order_of_delivery_is_one_state(system):
    """FACTS 9.26: INSERT, MODIFY, REMOVE, INSERT in all orders end in the source's item."""
    first, second, third = (item("1", State=number(n)) for n in range(3))
    images = [None, first, second, None, third]
    life = [
        lambda_record(old, new, sequence=FIRST_SEQUENCE + n)
        for n, (old, new) in enumerate(pairwise(images))
    ]
    system.put(third)

    for order in permutations(life):
        for record in order:
            assert system.replicate(record).response == NOTHING_FAILED
        assert system.of_replica() == [third]


def test_a_removed_item_stays_removed(system):
    """FACTS 9.27, 9.38: a late INSERT does not bring it back, a second REMOVE does no harm."""
    insert, remove = lambda_record(None, item("1")), lambda_record(item("1"), None, sequence=7)

    for record in (insert, remove, insert, remove):
        assert system.replicate(record).response == NOTHING_FAILED
        assert system.of_replica() == []


@pytest.mark.parametrize("event", ["dynamodb_local", "ministack", "insert_modify_remove"])
def test_records_of_other_engines_work_the_same(make_system, event):
    """Minute times and 21 digits, or 30 digits: each record is a row, the replica is right."""
    records = load_event(event)["Records"]
    ((kind, _),) = records[0]["dynamodb"]["Keys"]["Id"].items()
    system = make_system(Id=kind)

    summaries = [system.record(*records), system.record(*records), system.replicate(*records)]

    assert [summary.response for summary in summaries] == [NOTHING_FAILED] * 3
    assert [row.change for row in system.rows()] == [read_record(record) for record in records]
    assert system.of_replica() == []


@pytest.mark.parametrize(
    ("key_types", "new", "identifier"),
    [
        ({"Id": "N"}, {"Id": number("1.5")}, "1.5"),
        ({"Id": "B"}, {"Id": {"B": b"\x00\xff"}}, "AP8="),
        ({"Who": "S", "At": "N"}, {"Who": text("a|b"), "At": number(7)}, "7|a\\|b"),
        ({"pk": "B", "sk": "B"}, {"pk": {"B": b"\x00"}, "sk": {"B": b"\x01"}}, "AA==|AQ=="),
        (
            {"pk": "S", "sk": "S"},
            {"pk": text("p" * 2048), "sk": text("s" * 1024)},
            "sha256:" + hashlib.sha256(b"p" * 2048 + b"|" + b"s" * 1024).hexdigest(),
        ),
    ],
)
def test_keys_of_every_kind_find_their_item(make_system, key_types, new, identifier):
    """FACTS 9.42, 9.50: number, binary, composite and longest keys, in history and replica."""
    system = make_system(**key_types)
    system.put(new)
    insert = lambda_record(None, new, key_names=tuple(key_types))
    remove = lambda_record(new, None, key_names=tuple(key_types), sequence=FIRST_SEQUENCE + 1)

    system.record(insert, remove)
    system.replicate(insert)
    there = system.of_replica()
    system.dynamodb.delete_item(TableName=system.names.source, Key=new)
    system.replicate(remove)

    assert [row.id for row in system.rows()] == [identifier] * 2
    assert [row.change.keys for row in system.rows()] == [new] * 2
    assert there == [new]
    assert system.of_replica() == []


def test_binary_of_a_lambda_event_is_binary_in_both_tables(make_system):
    """FACTS 9.1, 9.2, 9.3: bytes, not their base64."""
    system = make_system(Id="B")
    (record,) = load_event("binary")["Records"]
    image = read_record(record).new_image
    system.put(image)

    system.record(record)
    system.replicate(record)

    assert system.rows()[0].change.new_image == image
    assert system.of_replica() == [image]


@pytest.mark.parametrize("odd", ["a\u0000b", "😀", "\ufeff"])
def test_odd_texts_are_stored(system, odd):
    """FACTS 9.23: in keys, names and values."""
    new = item(odd, **{odd: text(odd)})
    system.put(new)

    summaries = system.record(lambda_record(new=new)), system.replicate(lambda_record(new=new))

    assert [summary.response for summary in summaries] == [NOTHING_FAILED] * 2
    assert system.rows()[0].change.new_image == new
    assert system.of_replica() == [new]


def test_poison_records_are_isolated(system):
    """FACTS 9.4, 9.52, 9.63: 23 of 25 are stored, two are in quarantine, whole."""
    records = versions(25)
    records[3] = with_image(records[3], {"Id": text("1"), "x": {"B": "?"}})
    records[17] = without(records[17], "NewImage")

    summary = system.record(*records)

    assert summary.response == NOTHING_FAILED
    assert len(system.rows()) == 23
    kept = [each["Record"] for each in system.quarantined()]
    assert sorted(kept, key=str) == sorted([records[3], records[17]], key=str)


def test_an_item_that_the_replica_refuses_is_isolated(system):
    """FACTS 9.52: an empty key is refused by the table, its 24 batch mates are replicated."""
    good = [lambda_record(new=item(f"{n:02d}"), sequence=n + 1) for n in range(24)]
    bad = lambda_record(new=item(""), sequence=99)
    for record in good:
        system.put(record["dynamodb"]["NewImage"])

    summary = system.replicate(*good[:12], bad, *good[12:])

    assert summary.response == NOTHING_FAILED
    assert [one["Id"]["S"] for one in system.of_replica()] == [f"{n:02d}" for n in range(24)]
    (kept,) = system.quarantined()
    assert kept["Record"] == bad
    assert kept["Reason"].startswith("ValidationException")
