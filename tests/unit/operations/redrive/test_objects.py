"""What Lambda and the consumers leave behind is read back whole, in every form it comes in."""

import json

import pytest

from operations.redrive.objects import (
    StreamRange,
    UnreadableObjectError,
    owners_of,
    read_batches,
)
from reports.deployment.stack import Consumer
from tests.factories import inserts, item, lambda_record, text
from tests.left_behind import FUNCTION, PLACE, invocation

HISTORY, REPLICA = Consumer.HISTORY_WRITER, Consumer.REPLICA_WRITER
BOTH = frozenset(Consumer)


def encoded(document):
    return json.dumps(document).encode()


@pytest.mark.parametrize("form", [lambda event: event, json.dumps], ids=["object", "text"])
def test_a_failed_batch_is_read_from_either_form_of_payload(form):
    """AWS documents the event as escaped text; as an object it is the same."""
    records = inserts(4)

    (batch,) = read_batches(encoded(invocation(form({"Records": records}))))

    assert list(batch.records) == records
    assert (batch.place, batch.function, batch.short_by) == (None, FUNCTION, 0)


def test_a_batch_with_fewer_records_than_it_had_says_so():
    """A record that is not in its object is not passed over."""
    (batch,) = read_batches(encoded(invocation({"Records": inserts(3)})))

    assert (len(batch.records), batch.short_by) == (3, 1)


def test_a_quarantined_record_is_read_as_it_is():
    """Also one that is no record at all."""
    record = lambda_record(new=item("1", Name=text("\ud800")))
    kept = {"Format": 1, "Consumer": "history_writer", "Error": "E", "Reason": "r"}

    (batch,) = read_batches(encoded({**kept, "Record": record}))
    (odd,) = read_batches(encoded({**kept, "Record": None}))

    assert batch.records == (record,)
    assert odd.records == (None,)


def test_a_pointer_says_where_its_batch_was():
    """What a queue gets has no records in it."""
    (batch,) = read_batches(encoded(invocation()))

    assert (batch.records, batch.place, batch.function) == ((), PLACE, FUNCTION)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda text: {"Messages": [{"MessageId": "1", "Body": text}]},
        lambda text: [{"MessageId": "1", "Body": text}],
        lambda text: {"Records": [{"eventSource": "aws:sqs", "body": text}]},
        lambda text: {"Type": "Notification", "Message": text},
        lambda text: {"Body": json.dumps({"Type": "Notification", "Message": text})},
        lambda text: {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": text}}]},
    ],
)
def test_pointers_are_found_inside_of_messages(wrap):
    """As `aws sqs receive-message` prints them, as a function gets them, through SNS or not."""
    (batch,) = read_batches(encoded(wrap(json.dumps(invocation()))))

    assert batch.place == PLACE


def test_a_file_may_have_a_document_a_line():
    """Lines end at line feeds only: other separators are data."""
    record = lambda_record(new=item("1", Name=text("a\u2028b\x85")))
    lines = [
        json.dumps(invocation()),
        "",
        json.dumps(invocation({"Records": [record]}), ensure_ascii=False),
    ]

    first, second = read_batches("\r\n".join(lines).encode())

    assert first.place == PLACE
    assert second.records == (record,)


def test_a_bare_event_is_a_batch():
    """An event that somebody kept has its records in it, and names no function."""
    records = inserts(2)

    (batch,) = read_batches(encoded({"Records": records}))

    assert (list(batch.records), batch.function) == (records, None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"no JSON",
        b"7",
        b"{}",
        b"[]",
        b'{"Messages": []}',
        b'{"a": 1}\n{"b": ',
        b"[" * 100_000,
        encoded({"Format": 2, "Record": {}}),
        encoded({"payload": "no JSON"}),
        encoded({"payload": {"Records": []}}),
        encoded({"payload": {"detail": {}}}),
        encoded({"Body": "a message of somebody else"}),
        encoded({"DDBStreamBatchInfo": {"shardId": "s", "streamArn": "a"}}),
        encoded(invocation(place=StreamRange("a", "s", "first", "last", 1))),
    ],
)
def test_anything_else_is_refused(body):
    """What is not known to be read whole is not read at all, and nothing of it is quoted."""
    with pytest.raises(UnreadableObjectError) as refusal:
        read_batches(body)

    assert "somebody" not in str(refusal.value)


@pytest.mark.parametrize(
    ("key", "function", "expected"),
    [
        ("quarantine/history_writer/1-a.json", None, {HISTORY}),
        ("quarantine/replica_writer/1-a.json", FUNCTION, {REPLICA}),
        ("quarantine/another/1-a.json", None, BOTH),
        ("aws/lambda/uuid-r/shardId-0/2026/11/25/x", None, {REPLICA}),
        ("aws/lambda/uuid-r/shardId-0/2026/11/25/x", FUNCTION, {REPLICA}),
        ("aws/lambda/uuid-x/shardId-0/2026/11/25/x", FUNCTION, {HISTORY}),
        ("aws/lambda/uuid-x/shardId-0/2026/11/25/x", f"{FUNCTION}:3", {HISTORY}),
        ("aws/lambda/uuid-x/shardId-0/2026/11/25/x", None, BOTH),
        ("aws/lambda/uuid-x/shardId-0/2026/11/25/x", f"{FUNCTION}-2", BOTH),
        ("pointers/uuid-r", FUNCTION, {HISTORY}),
        ("pointers/a.json", "function", BOTH),
        ("", None, BOTH),
    ],
)
def test_whose_it_is_is_told_by_mapping_or_function(key, function, expected):
    """By exact names only: a wrong guess would keep a record from the history."""
    names = {"uuid-r": REPLICA, "trail-history-writer": HISTORY}

    assert owners_of(key, function, names) == expected


def test_a_file_that_an_editor_saved_is_read_as_it_is():
    """Some put a mark of UTF-8 in front."""
    records = inserts(2)

    (batch,) = read_batches(b"\xef\xbb\xbf" + encoded(invocation({"Records": records})))

    assert list(batch.records) == records
