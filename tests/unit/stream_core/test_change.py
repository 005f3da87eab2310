"""Records of both shapes read to equal changes; a record that breaks a rule is told by the rule."""

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest

from stream_core.change import (
    EventName,
    UserIdentity,
    read_keys,
    read_record,
    read_sequence_number,
)
from stream_core.errors import MalformedRecordError, ViewTypeError
from tests.factories import (
    NOON,
    STREAM_ARN,
    api_record,
    item,
    lambda_record,
    load_event,
    number,
    text,
    with_image,
    without,
)

OLD, NEW = item("1", Name=text("Ada")), item("1", Name=text("Grace"), Photo={"B": b"\x00\x01"})


def set_field(record, field_name, value):
    """A record with one field of its `dynamodb` part changed."""
    changed = deepcopy(record)
    changed["dynamodb"][field_name] = value
    return changed


def test_the_documented_event_is_read():
    """AWS's sample event reads to an insert, a modification and a removal of item 101."""
    insert, modify, remove = map(read_record, load_event("insert_modify_remove")["Records"])

    assert [change.event_name for change in (insert, modify, remove)] == [
        EventName.INSERT,
        EventName.MODIFY,
        EventName.REMOVE,
    ]
    assert insert.keys == modify.keys == remove.keys == {"Id": number(101)}
    assert (insert.old_image, remove.new_image) == (None, None)
    assert insert.new_image == modify.old_image == {"Id": number(101), "Message": text("New item!")}
    assert modify.new_image == remove.old_image
    assert insert.created_at == datetime(2015, 4, 9, tzinfo=UTC)
    assert insert.sequence_number == "4421584500000000017450439091"
    assert insert.size_bytes == 26
    assert insert.aws_region == "us-east-1"
    assert insert.event_id == "c4ca4238a0b923820dcc509a6f75849b"
    assert insert.event_source_arn.endswith(":table/TestTable/stream/2015-06-27T00:48:05.899")
    assert insert.user_identity is None


def test_an_expiry_by_ttl_is_told_from_a_delete():
    """FACTS 9.41: the identity DynamoDB gives itself survives."""
    (expiry,) = map(read_record, load_event("ttl_remove")["Records"])

    assert expiry.event_name is EventName.REMOVE
    assert expiry.user_identity == UserIdentity("Service", "dynamodb.amazonaws.com")
    assert expiry.keys == {"SessionId": text("f3a1"), "Started": number(1465259400)}


@pytest.mark.parametrize(
    ("event", "digits", "count"), [("dynamodb_local", 21, 4), ("ministack", 30, 2)]
)
def test_records_of_emulators_are_read(event, digits, count):
    """Whole minutes, a size of 0 and other lengths of sequence numbers are no obstacle."""
    changes = [read_record(record) for record in load_event(event)["Records"]]

    assert len(changes) == count
    assert {len(change.sequence_number) for change in changes} == {digits}
    assert len({change.created_at for change in changes}) == 1
    for earlier, later in pairwise(changes):
        assert earlier.new_image == later.old_image


def test_binary_of_a_lambda_event_is_decoded_everywhere():
    """FACTS 9.1, 9.2, 9.3, 9.5, 9.42: keys, sets and nested values hold the same bytes."""
    (change,) = map(read_record, load_event("binary")["Records"])

    assert change.keys == {"Id": {"B": b"\xff\x00\x01"}}
    assert change.new_image == {
        "Id": {"B": b"\xff\x00\x01"},
        "Bytes": {"B": b"\x00\x01"},
        "Nothing": {"B": b""},
        "Set": {"BS": [b"", b"\x01"]},
        "Nested": {
            "L": [{"M": {"Deep": {"B": b"\x00\x01"}, "Set": {"BS": [b"\xde\xad\xbe\xef"]}}}]
        },
    }


@pytest.mark.parametrize(("old", "new"), [(None, NEW), (OLD, NEW), (OLD, None)])
def test_both_shapes_read_to_the_same_change(old, new):
    """FACTS 9.60: datetime, bytes and PrincipalId of the streams API equal Lambda's JSON."""
    options = {"user_identity": ("Service", "dynamodb.amazonaws.com"), "at": NOON + 0.25}

    from_lambda = read_record(lambda_record(old, new, **options))
    from_api = read_record(api_record(old, new, **options), STREAM_ARN)

    assert from_lambda == from_api
    assert from_lambda.old_image == old
    assert from_lambda.new_image == new


def test_a_record_of_the_streams_api_needs_its_streams_name():
    """Only the caller knows which stream a record of the API is from."""
    with pytest.raises(MalformedRecordError, match="eventSourceARN is missing"):
        read_record(api_record(new=NEW))


@pytest.mark.parametrize(
    "at",
    [
        1520085960,
        1520085960.0,
        datetime(2018, 3, 3, 14, 6, tzinfo=UTC),
        datetime(2018, 3, 3, 16, 6, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_times_become_utc(at):
    """Seconds and datetimes of any zone are the same moment."""
    record = set_field(lambda_record(new=NEW), "ApproximateCreationDateTime", at)

    created_at = read_record(record).created_at

    assert created_at == datetime(2018, 3, 3, 14, 6, tzinfo=UTC)
    assert created_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "at",
    [
        *[None, "2018-03-03T14:06:00Z", True, float("nan"), float("inf"), 1e20, [], {}],
        datetime(2018, 3, 3, 14, 6),  # noqa: DTZ001 - a time without a zone is the case
    ],
)
def test_what_is_no_time_is_refused(at):
    """A time is never guessed."""
    with pytest.raises(MalformedRecordError, match="ApproximateCreationDateTime"):
        read_record(set_field(lambda_record(new=NEW), "ApproximateCreationDateTime", at))


def test_a_null_image_is_an_absent_one():
    """FACTS 9.24: `NewImage: null` with REMOVE, `OldImage: null` with INSERT."""
    remove = with_image(lambda_record(OLD, None), None)
    insert = with_image(lambda_record(None, NEW), None, "OldImage")

    assert read_record(remove) == read_record(lambda_record(OLD, None))
    assert read_record(insert) == read_record(lambda_record(None, NEW))


@pytest.mark.parametrize("view_type", ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "", None])
def test_a_stream_without_both_images_is_refused(view_type):
    """FACTS 9.43: the message tells the view type and what to do."""
    record = set_field(lambda_record(OLD, NEW), "StreamViewType", view_type)

    with pytest.raises(ViewTypeError, match=f"view type is {view_type}.*enable it with NEW_AND_"):
        read_record(record)


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (without(lambda_record(OLD, NEW), "OldImage"), "OldImage is missing"),
        (without(lambda_record(OLD, NEW), "NewImage"), "NewImage is missing"),
        (without(lambda_record(OLD, None), "OldImage"), "OldImage is missing"),
        (with_image(lambda_record(OLD, None), NEW), "NewImage does not belong"),
        (with_image(lambda_record(None, NEW), OLD, "OldImage"), "OldImage does not belong"),
        (with_image(lambda_record(OLD, NEW), item("2")), "NewImage has another key than Keys"),
        (with_image(lambda_record(OLD, NEW), {"Id": number(1)}), "NewImage has another key"),
        (with_image(lambda_record(OLD, NEW), {}), "NewImage has another key than Keys"),
        (with_image(lambda_record(OLD, NEW), []), "NewImage: not a map"),
        (with_image(lambda_record(OLD, NEW), {"b": {"B": "?"}}), "NewImage: B is not strict"),
        (without(lambda_record(OLD, NEW), "Keys"), "Keys: not a map"),
        (without(lambda_record(OLD, NEW), "SequenceNumber"), "SequenceNumber is not"),
        (without(lambda_record(OLD, NEW), "ApproximateCreationDateTime"), "ApproximateCreation"),
        (lambda_record(OLD, NEW) | {"eventSourceARN": 7}, "eventSourceARN is missing"),
        (lambda_record(OLD, NEW) | {"dynamodb": None}, "the record has no dynamodb part"),
        ({}, "the record has no dynamodb part"),
        (None, "the record has no dynamodb part"),
        ("a text", "the record has no dynamodb part"),
    ],
)
def test_a_broken_record_is_malformed(record, problem):
    """FACTS 9.63: every broken field is refused with the field's name in the message."""
    with pytest.raises(MalformedRecordError, match=problem):
        read_record(record)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("eventID", [None, "", 7]),
        ("awsRegion", [None, 7]),
        ("userIdentity", [None, "me", {}, {"type": None, "principalId": None}]),
    ],
)
def test_a_record_need_not_say_where_it_comes_from(field, values):
    """What only describes a record's provenance is recorded as missing where it is not there."""
    whole = read_record(lambda_record(OLD, NEW))
    name = {"eventID": "event_id", "awsRegion": "aws_region", "userIdentity": "user_identity"}

    for value in values:
        change = read_record(lambda_record(OLD, NEW) | {field: value})

        assert change == replace(whole, **{name[field]: None})


@pytest.mark.parametrize("size", ["59", True, 10**38 + 1, -1, 59.0, None])
def test_a_size_that_is_none_is_recorded_as_missing(size):
    """It is no part of what happened to the item."""
    assert read_record(set_field(lambda_record(OLD, NEW), "SizeBytes", size)).size_bytes is None


def test_half_a_user_identity_is_recorded_as_far_as_it_goes():
    """No member of it is required by the API."""
    record = lambda_record(OLD, NEW) | {"userIdentity": {"type": "Service"}}

    assert read_record(record).user_identity == UserIdentity("Service", None)


@pytest.mark.parametrize("name", ["UPSERT", "modify", "SNAPSHOT", None, ["INSERT"]])
@pytest.mark.parametrize(("old", "new"), [(None, NEW), (OLD, NEW), (OLD, None)])
def test_the_images_say_what_happened_too(name, old, new):
    """An event name that is missing or unknown follows from which images there are."""
    record = lambda_record(old, new)

    assert read_record(record | {"eventName": name}) == read_record(record)


def test_a_record_without_name_and_images_says_nothing():
    """Then nobody can tell what happened."""
    record = without(without(lambda_record(OLD, NEW), "OldImage"), "NewImage")

    with pytest.raises(MalformedRecordError, match="neither an image nor a known eventName"):
        read_record(record | {"eventName": "UPSERT"})


def test_the_key_is_read_whatever_else_is_wrong():
    """Who settles needs no more."""
    record = lambda_record(OLD, NEW) | {"eventName": 7, "eventID": None}
    record["dynamodb"] = {"Keys": record["dynamodb"]["Keys"]}

    assert read_keys(record) == item("1")


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"Id": {"BOOL": True}},
        {"Id": {"M": {"x": {"S": "1"}}}},
        {"Id": {"S": "1"}, "a": {"S": "2"}, "b": {"S": "3"}},
    ],
)
def test_keys_that_no_table_can_have_are_malformed(keys):
    """FACTS 9.63: a record with an impossible key is that record's own failure."""
    image = item("1") | keys
    record = set_field(with_image(lambda_record(None, item("1")), image), "Keys", keys)

    with pytest.raises(MalformedRecordError, match=r"^Keys|^a key attribute"):
        read_record(record)


@pytest.mark.parametrize("digits", ["1", "111", "0" * 29 + "1", "9" * 40])
def test_sequence_numbers_are_kept_digit_by_digit(digits):
    """A sequence number is a text of up to 40 digits, leading zeros included."""
    assert read_sequence_number(lambda_record(new=NEW, sequence=digits)) == digits


@pytest.mark.parametrize("odd", ["", "1" * 41, "-1", "+1", "1_0", "1.0", "\u0661", " 1", None, 111])
def test_what_is_no_sequence_number_is_refused(odd):
    """FACTS 9.63: a record that cannot be placed in its stream is malformed."""
    record = set_field(lambda_record(new=NEW), "SequenceNumber", odd)

    with pytest.raises(MalformedRecordError, match="SequenceNumber is not"):
        read_record(record)


def test_equal_keys_may_be_spelled_differently():
    """A key of the image equals the record's key when DynamoDB takes it for equal."""
    record = with_image(lambda_record(None, {"Id": number("1")}), {"Id": number("1.0")})

    assert read_record(record).new_image == {"Id": number("1.0")}


def test_no_message_repeats_data():
    """FACTS 9.63: messages of broken records are logged, so they hold no keys and no values."""
    canary = item("canary", canary=text("canary"))
    broken = [
        with_image(lambda_record(None, canary), canary | {"canary": {"N": "canary"}}),
        with_image(lambda_record(None, canary), item("other-canary")),
        set_field(lambda_record(None, canary), "Keys", {"canary": {"X": "canary"}}),
        set_field(lambda_record(None, canary), "ApproximateCreationDateTime", "canary"),
        set_field(lambda_record(None, canary), "SequenceNumber", "canary"),
    ]

    for record in broken:
        with pytest.raises(MalformedRecordError) as caught:
            read_record(record)
        assert "canary" not in str(caught.value)
