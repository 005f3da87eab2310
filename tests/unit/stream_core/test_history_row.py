"""A change becomes a row under a key that sorts, sealed by a digest over all it says."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from stream_core.attribute_values import canonical_json, containers, item_size
from stream_core.change import EventName, UserIdentity
from stream_core.errors import IntegrityError
from stream_core.history_row import (
    MAX_ITEM_BYTES,
    HistoryRow,
    OverflowPointer,
    RedrivenFrom,
    fits_inline,
    sort_key_after,
    sort_key_of,
    time_bucket,
    time_text,
)
from tests.factories import change, item, nested, number, text

AT = datetime(2018, 3, 3, 18, 46, tzinfo=UTC)
OLD, NEW = item("1", Name=text("Ada")), item("1", Name=text("Grace"))
POINTER = OverflowPointer("bucket", "overflow/abc.json.gz", "ab" * 32, 7, "version-1")


def full_change():
    """A change with every field set."""
    return change(OLD, NEW, sequence=111, user_identity=("Service", "dynamodb.amazonaws.com"))


def test_a_row_has_the_documented_attributes():
    """Names and types of a row are those of the design, and nothing else is in it."""
    row = HistoryRow.from_change(full_change())

    stored = row.to_item(time_shards=1)

    assert stored == {
        "Id": text("1"),
        "ApproximateCreationDateTime": text("2018-03-03T14:06:00.000000Z#" + "0" * 37 + "111"),
        "Keys": {"M": {"Id": text("1")}},
        "EventName": text("MODIFY"),
        "OldImage": {"M": OLD},
        "NewImage": {"M": NEW},
        "SequenceNumber": text("111"),
        "EventId": text("event-111"),
        "EventSourceARN": text(full_change().event_source_arn),
        "AwsRegion": text("eu-west-1"),
        "SizeBytes": number(59),
        "UserIdentity": {
            "M": {"type": text("Service"), "principalId": text("dynamodb.amazonaws.com")}
        },
        "Digest": {"B": row.digest},
        "TimeBucket": text("2018-03-03T14#00"),
        "Format": number(1),
    }


def test_what_a_record_lacks_is_absent_from_its_row():
    """Missing images and optional fields leave no empty attribute."""
    poor = replace(change(None, NEW), aws_region=None, size_bytes=None)

    stored = HistoryRow.from_change(poor).to_item(4)

    assert not {"OldImage", "AwsRegion", "SizeBytes", "UserIdentity", "Overflow"} & stored.keys()
    assert HistoryRow.from_item(stored).change == poor


def test_a_stored_row_reads_back_equal():
    """Writing and reading a row loses nothing."""
    row = HistoryRow.from_change(full_change())

    again = HistoryRow.from_item(row.to_item(4))

    assert again == row
    again.check()


def test_an_expiry_by_ttl_is_visible_in_the_row():
    """FACTS 9.41: who deleted is part of the row and under its digest."""
    expiry = change(OLD, None, user_identity=("Service", "dynamodb.amazonaws.com"))
    by_hand = replace(expiry, user_identity=None)

    assert HistoryRow.from_change(expiry).to_item(1)["UserIdentity"]["M"]["type"] == text("Service")
    assert HistoryRow.from_change(expiry).digest != HistoryRow.from_change(by_hand).digest


@pytest.mark.parametrize(
    "altered",
    [
        {"item_id": "2"},
        {"event_id": "other"},
        {"event_name": EventName.INSERT},
        {"event_source_arn": "arn:other"},
        {"aws_region": "us-east-1"},
        {"aws_region": None},
        {"sequence_number": "112"},
        {"size_bytes": 60},
        {"size_bytes": None},
        {"keys": {"Id": text("2")}},
        {"old_image": None},
        {"old_image": NEW},
        {"new_image": OLD},
        {"new_image": item("1", Name=text("Grace"), more={"NULL": True})},
        {"user_identity": None},
        {"user_identity": UserIdentity("Service", "somebody")},
    ],
)
def test_no_field_can_be_altered_unnoticed(altered):
    """The digest covers every field of a change."""
    row = HistoryRow.from_change(full_change())

    forged = replace(row, change=replace(row.change, **altered))

    with pytest.raises(IntegrityError, match="digest mismatch"):
        forged.check()


@pytest.mark.parametrize("altered", [{"sort_key": "2018"}, {"digest": b""}])
def test_key_and_digest_cannot_be_altered_unnoticed(altered):
    """The digest covers the row's own key."""
    with pytest.raises(IntegrityError, match="digest mismatch"):
        replace(HistoryRow.from_change(full_change()), **altered).check()


def test_the_digest_is_the_documented_one():
    """Anybody can compute it: SHA-256 over the canonical form of what the row says."""
    row = HistoryRow.from_change(full_change())

    stored = row.to_item(3)
    sealed = {
        name: stored[name] for name in stored if name not in ("Digest", "TimeBucket", "Format")
    }

    assert row.digest == hashlib.sha256(canonical_json(sealed)).digest()


def test_the_digest_does_not_depend_on_spelling():
    """A table that normalises numbers and orders sets anew leaves the digest right."""
    one = HistoryRow.from_change(change(None, item(a={"N": "1.50"}, b={"SS": ["x", "y"]})))
    other = HistoryRow.from_change(change(None, item(b={"SS": ["y", "x"]}, a={"N": "1.5"})))

    assert one.digest == other.digest


def test_the_digest_does_not_depend_on_where_the_images_are():
    """A row whose images were moved out is the same row, once they are loaded."""
    row = HistoryRow.from_change(full_change())

    stored = replace(row, overflow=POINTER).to_item(4)
    loaded = HistoryRow.from_item(stored)

    assert not {"OldImage", "NewImage"} & stored.keys()
    assert loaded.overflow == POINTER
    assert loaded.digest == row.digest
    with pytest.raises(IntegrityError):
        loaded.check()
    loaded.with_images(OLD, NEW).check()


@pytest.mark.parametrize("version_id", ["v1", None])
def test_where_a_row_came_from_is_in_it_and_not_in_its_digest(version_id):
    """A redelivery of the record is the same row, and no conflict."""
    made = change(new=item("1"))
    plain = HistoryRow.from_change(made)
    source = RedrivenFrom("s3://quarantine/a", version_id, "arn:aws:iam::1:user/ann")
    row = HistoryRow.from_change(made, source)

    stored = row.to_item(4)

    fields = {"Place": text(source.place), "By": text(source.by)}
    fields |= {"VersionId": text(version_id)} if version_id else {}
    assert stored["RedrivenFrom"] == {"M": fields}
    assert HistoryRow.from_item(stored) == row
    assert row.digest == plain.digest
    assert "RedrivenFrom" not in plain.to_item(4)
    # Its size is measured: the names may be of any length.
    assert (plain.surely_fits, row.surely_fits) == (True, False)


def test_an_overflow_pointer_has_the_documented_attributes():
    """Bucket, key, digest, size and version are stored; a version only where there is one."""
    row = replace(HistoryRow.from_change(full_change()), overflow=POINTER)
    without_version = replace(row, overflow=replace(POINTER, version_id=None))

    assert row.to_item(4)["Overflow"] == {
        "M": {
            "Bucket": text("bucket"),
            "Key": text("overflow/abc.json.gz"),
            "SHA256": text("ab" * 32),
            "Bytes": number(7),
            "VersionId": text("version-1"),
        }
    }
    assert HistoryRow.from_item(without_version.to_item(4)).overflow.version_id is None


@pytest.mark.parametrize(
    "broken",
    [
        {"Format": number(2)},
        {"Format": None},
        {"Digest": None},
        {"Digest": text("x")},
        {"Keys": None},
        {"EventName": text("UPSERT")},
        {"ApproximateCreationDateTime": text("yesterday#1")},
        {"SizeBytes": number("1.5")},
        {"Overflow": {"M": {}}},
        {"Overflow": text("x")},
    ],
)
def test_an_item_that_is_no_row_is_an_integrity_error(broken):
    """Whatever else lies in the table is never read as a change."""
    stored = HistoryRow.from_change(full_change()).to_item(4) | broken
    stored = {name: value for name, value in stored.items() if value is not None}

    with pytest.raises(IntegrityError, match="history row"):
        HistoryRow.from_item(stored)


def test_rows_sort_by_time_then_by_number():
    """FACTS 9.54, 9.57: within a second the sequence number decides, as a number."""
    early, late = AT, AT + timedelta(seconds=1)
    in_order = [
        sort_key_of(early, "0"),
        sort_key_of(early, "9900000000000000000000"),
        sort_key_of(early, "10000000000000000000000"),
        sort_key_of(early, "9" * 40),
        sort_key_of(late, "1"),
    ]

    assert sorted(in_order) == in_order
    assert {len(key) for key in in_order} == {len(in_order[0])}


def test_a_bound_lies_above_its_second_and_below_the_next_moment():
    """The bound of `as_of(t)` takes in every change stamped t and none after it."""
    assert sort_key_of(AT, "9" * 40) < sort_key_after(AT)
    assert sort_key_after(AT) < sort_key_of(AT + timedelta(microseconds=1), "0")


def test_times_are_spelled_with_all_their_digits():
    """Microseconds are always there: without them text order would not be time order."""
    assert time_text(AT) == "2018-03-03T18:46:00.000000Z"
    assert time_text(AT.replace(microsecond=5)) == "2018-03-03T18:46:00.000005Z"


def test_a_bucket_is_an_hour_and_a_shard_of_the_item():
    """An item stays in its shard, shards stay below their count, and all of them are used."""
    shards = {time_bucket(AT, f"item-{n}", 8) for n in range(200)}

    assert shards == {f"2018-03-03T18#{shard:02d}" for shard in range(8)}
    assert time_bucket(AT, "x", 8)[-2:] == time_bucket(AT + timedelta(hours=9), "x", 8)[-2:]
    assert time_bucket(AT, "x", 1) == "2018-03-03T18#00"


def test_a_row_fits_up_to_the_last_byte():
    """FACTS 9.47: 400 KB are the limit, one byte more is too much."""
    room = MAX_ITEM_BYTES - len("a")

    assert fits_inline({"a": {"B": bytes(room)}})
    assert not fits_inline({"a": {"B": bytes(room + 1)}})
    assert item_size({"a": {"B": bytes(room)}}) == 409_600


def test_the_deepest_item_does_not_fit_into_a_row():
    """FACTS 9.21: wrapped in an image, 31 levels become 32, which the table refuses."""
    deepest = HistoryRow.from_change(change(None, item(a=nested(31)))).to_item(4)
    less_deep = HistoryRow.from_change(change(None, item(a=nested(30)))).to_item(4)

    assert containers(deepest) == 32
    assert not fits_inline(deepest)
    assert fits_inline(less_deep)
