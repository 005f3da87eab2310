"""A record that can never be stored is kept whole, with the reason, under one name."""

import json

import pytest

from stream_core.errors import IntegrityError, MalformedRecordError
from stream_core.quarantine import Quarantine, Refusal
from tests.factories import item, lambda_record, one_attempt, text, without
from tests.fakes import DENIED, FakeS3, client_error, hold_until_side_by_side

ERROR = MalformedRecordError("NewImage: B is not strict base64")


@pytest.fixture
def s3():
    return FakeS3()


@pytest.fixture
def quarantine(s3):
    return Quarantine(s3, "bad-records", "history_writer")


def test_the_record_is_kept_whole_with_the_reason(s3, quarantine):
    """The object has the documented fields and the record exactly as it was delivered."""
    record = lambda_record(new=item(a=text("\ud800é"), b={"B": b"\x00"})) | {"extra": [None, 1.5]}

    key = quarantine.put(record, ERROR)

    (body,) = s3.objects["bad-records", key]
    assert json.loads(body) == {
        "Format": 1,
        "Consumer": "history_writer",
        "Error": "MalformedRecordError",
        "Reason": "NewImage: B is not strict base64",
        "Record": record,
    }


def test_objects_are_named_by_consumer_and_sequence_number(quarantine):
    """The name tells whose and which record it is."""
    key = quarantine.put(lambda_record(new=item(), sequence=12345), ERROR)

    assert key.startswith("quarantine/history_writer/12345-")
    assert key.endswith(".json")


def test_a_redelivered_record_writes_the_same_object(s3, quarantine):
    """Repeating makes no second object; another record with the same number makes one."""
    record = lambda_record(new=item())

    first = quarantine.put(record, ERROR)
    second = quarantine.put(dict(reversed(record.items())), ERROR)
    other = quarantine.put(lambda_record(new=item("2")), ERROR)

    assert first == second != other
    assert len(s3.bodies("bad-records")) == 2


@pytest.mark.parametrize(
    "record", [without(lambda_record(new=item()), "SequenceNumber"), {}, {"dynamodb": 7}]
)
def test_a_record_without_a_number_is_kept_too(s3, quarantine, record):
    """Whatever was delivered is evidence."""
    key = quarantine.put(record, ERROR)

    assert key.startswith("quarantine/history_writer/unnumbered-")
    assert json.loads(s3.objects["bad-records", key][0])["Record"] == record


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (IntegrityError("another digest"), "IntegrityError"),
        (client_error("ValidationException"), "ValidationException"),
    ],
)
def test_the_error_is_named(s3, quarantine, error, name):
    """Errors of the service go by their code, ours by their class."""
    key = quarantine.put(lambda_record(new=item()), error)

    body = json.loads(s3.objects["bad-records", key][0])
    assert (body["Error"], body["Reason"]) == (name, str(error))


def test_records_are_put_side_by_side(s3, quarantine, monkeypatch):
    """A put does not wait for the one before it: there may be many, and little time."""
    hold_until_side_by_side(monkeypatch, s3, "put_object")
    refusals = [Refusal(lambda_record(new=item(key)), ERROR) for key in "12"]

    assert quarantine.put_all(refusals, one_attempt()) == [None, None]


def test_a_failed_put_is_raised(s3, quarantine):
    """Nobody may believe that a record is in quarantine when it is not."""
    s3.script("put_object", DENIED)

    with pytest.raises(type(DENIED)):
        quarantine.put(lambda_record(new=item()), ERROR)
    assert not s3.objects
