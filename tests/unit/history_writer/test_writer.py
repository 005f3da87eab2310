"""Every change becomes one row, written once; a row that cannot be written is accounted for."""

import base64
import gzip
import hashlib
import json
import re

import pytest

from history_writer.overflow_bucket import OverflowBucket
from history_writer.writer import HistoryWriter
from stream_core.attribute_values import wire_json
from stream_core.errors import IntegrityError, RefusedRecordError
from stream_core.history_row import HistoryRow
from stream_core.overflow_object import unpack
from stream_core.retry import MARGIN_MS
from tests.factories import (
    FIRST_SEQUENCE,
    Clock,
    deliveries,
    inserts,
    item,
    lambda_record,
    nested,
    number,
    one_attempt,
    text,
    versions,
)
from tests.fakes import (
    DENIED,
    INVALID,
    THROTTLED,
    FakeDynamoDB,
    FakeS3,
    client_error,
    hold_until_side_by_side,
    lose_answer,
    parse_insert,
    read_timeout,
    refuse_call,
    refuse_statements,
)

TABLE = "trail"
INSERT, GET = "batch_execute_statement", "batch_get_item"


class Crash(BaseException):
    """The function ends here, as when its time or its memory runs out."""


@pytest.fixture
def dynamodb():
    return FakeDynamoDB(**{TABLE: ("Id", "ApproximateCreationDateTime")})


@pytest.fixture
def s3():
    return FakeS3()


@pytest.fixture
def store(dynamodb, s3):
    """Store records, by default with one attempt for everything."""
    writer = HistoryWriter(dynamodb, OverflowBucket(s3, "large"), TABLE, time_shards=4)

    def store(records, patience=None):
        return writer.store(deliveries(records), patience or one_attempt())

    yield store
    writer.pool.shutdown()


@pytest.fixture
def rows(dynamodb):
    """The rows in the table, in order."""
    return lambda: [HistoryRow.from_item(stored) for stored in dynamodb.items(TABLE)]


def large(identifier="big", size=410_000, **options):
    """A record whose row does not fit into an item."""
    return lambda_record(new=item(identifier, Data=text("x" * size)), **options)


def is_item(identifier):
    return lambda row: row["Id"] == text(identifier)


def numbers(records):
    return [record["dynamodb"]["SequenceNumber"] for record in records]


def refusals(outcome):
    """The sequence numbers that were refused, with their errors."""
    return {
        refusal.record["dynamodb"]["SequenceNumber"]: refusal.error for refusal in outcome.refused
    }


def assert_clean(outcome):
    assert (outcome.unstored, outcome.refused, dict(outcome.errors)) == ([], [], {})


def test_changes_become_rows(store, rows):
    """Each change is one row that says exactly what the record said, under its digest."""
    records = versions(3)

    outcome = store(records)

    assert_clean(outcome)
    assert outcome.counts == {"RowsWritten": 3}
    assert [row.change for row in rows()] == [delivery.change for delivery in deliveries(records)]
    for row in rows():
        row.check()


def test_no_records_need_no_request(store, dynamodb, s3):
    """FACTS 9.62: nothing to do is nothing done."""
    assert_clean(store([]))
    assert not dynamodb.calls
    assert not s3.calls


def test_calls_are_under_way_side_by_side(store, dynamodb, monkeypatch):
    """A call does not wait for the one before it."""
    hold_until_side_by_side(monkeypatch, dynamodb, INSERT)

    assert_clean(store(inserts(50)))


def test_rows_go_in_by_25_and_only_as_inserts(store, dynamodb, rows):
    """A call holds at most 25 statements, each an INSERT, with all data in its parameters."""
    outcome = store(inserts(60))

    requests = dynamodb.requests(INSERT)
    assert outcome.counts["RowsWritten"] == len(rows()) == 60
    assert sorted(len(request["Statements"]) for request in requests) == [10, 25, 25]
    assert {operation for operation, _ in dynamodb.calls} == {INSERT}
    for statement in requests[0]["Statements"]:
        assert re.fullmatch(
            r"""INSERT INTO "trail" VALUE \{('\w+': \?, )+'\w+': \?\}""", statement["Statement"]
        )


def test_twenty_changes_in_one_second_are_twenty_rows_in_order(store, rows):
    """FACTS 9.44: the sequence number completes the key."""
    store(versions(20)[::-1])

    assert [row.change.new_image["Version"] for row in rows()] == [number(n) for n in range(20)]


def test_a_removal_and_an_insert_in_one_second_are_both_kept(store, rows):
    """FACTS 9.54: both are there, in the order they happened, also with longer numbers."""
    store(
        [
            lambda_record(None, item("1", New=text("y")), sequence=10**22),
            lambda_record(item("1", Old=text("x")), None, sequence=99 * 10**20),
        ]
    )

    assert [row.change.event_name for row in rows()] == ["REMOVE", "INSERT"]


def test_a_redelivery_adds_nothing(store, rows, dynamodb):
    """FACTS 9.45: a second delivery is compared by a consistent read and counted."""
    records = inserts(30)
    store(records)
    before = rows()

    outcome = store(records)

    assert_clean(outcome)
    assert outcome.counts == {"Duplicates": 30}
    assert rows() == before
    for request in dynamodb.requests(GET):
        assert request["RequestItems"][TABLE]["ConsistentRead"] is True


def test_only_the_digest_is_read_back(store, dynamodb):
    """A redelivery reads keys and digests, never images."""
    records = inserts(1)
    store(records)

    store(records)

    (request,) = dynamodb.requests(GET)
    asked = request["RequestItems"][TABLE]
    assert asked["ProjectionExpression"] == "#id, #time, #digest"
    assert set(asked["ExpressionAttributeNames"].values()) == {
        "Id",
        "ApproximateCreationDateTime",
        "Digest",
    }


def test_a_redelivery_with_news_adds_the_news(store, rows):
    """A batch that overlaps an earlier one is stored in full."""
    records = inserts(10)
    store(records[:6])

    outcome = store(records[3:])

    assert_clean(outcome)
    assert outcome.counts == {"Duplicates": 3, "RowsWritten": 4}
    assert len(rows()) == 10


def test_the_same_key_with_other_content_is_an_alarm(store, rows):
    """FACTS 9.46: the original stays, the other record is refused with the reason."""
    original = lambda_record(new=item("1", Name=text("Ada")))
    other = lambda_record(new=item("1", Name=text("Eve")))
    store([original])

    outcome = store([other, *inserts(1, first=7)])

    assert len(rows()) == 2
    assert rows()[-1].change.new_image["Name"] == text("Ada")
    assert outcome.counts == {"DigestConflicts": 1, "RowsWritten": 1}
    assert outcome.errors == {"DigestConflict": 1}
    assert outcome.unstored == []
    (error,) = refusals(outcome).values()
    assert isinstance(error, IntegrityError)
    assert [refusal.record for refusal in outcome.refused] == [other]


def test_a_stored_row_without_a_digest_is_an_alarm(store, dynamodb):
    """FACTS 9.46: what is in the row's place but is no row is never taken for a redelivery."""
    (record,) = inserts(1)
    row = HistoryRow.from_change(deliveries([record])[0].change)
    dynamodb.put(TABLE, {"Id": text(row.id), "ApproximateCreationDateTime": text(row.sort_key)})

    outcome = store([record])

    assert outcome.counts == {"DigestConflicts": 1}
    assert [refusal.record for refusal in outcome.refused] == [record]


def test_a_record_twice_in_a_batch_is_sent_once(store, dynamodb, rows):
    """FACTS 9.45: a call that names a key twice would be refused as a whole."""
    records = inserts(3)

    outcome = store([*records, records[1]])

    assert_clean(outcome)
    assert outcome.counts == {"RowsWritten": 3, "Duplicates": 1}
    assert len(rows()) == 3
    assert len(dynamodb.requests(INSERT)) == 1


def test_two_contents_under_one_key_in_a_batch_are_an_alarm(store, rows):
    """FACTS 9.46: the first is stored, the second refused."""
    first = lambda_record(new=item("1", Name=text("Ada")))
    second = lambda_record(new=item("1", Name=text("Eve")))

    outcome = store([first, second])

    assert [row.change.new_image["Name"] for row in rows()] == [text("Ada")]
    assert outcome.counts == {"RowsWritten": 1, "DigestConflicts": 1}
    assert [refusal.record for refusal in outcome.refused] == [second]


@pytest.mark.parametrize("code", ["DuplicateItem", "DuplicateItemException"])
def test_both_spellings_of_a_duplicate_are_understood(store, dynamodb, code):
    """Engines answer with or without the suffix."""
    records = inserts(2)
    store(records)
    dynamodb.script(INSERT, refuse_statements(lambda _: True, code))

    outcome = store(records)

    assert_clean(outcome)
    assert outcome.counts == {"Duplicates": 2}


def test_a_duplicate_that_the_call_itself_reports_is_compared(store, dynamodb):
    """A lone statement may have its error as the call's own."""
    records = inserts(1)
    store(records)
    dynamodb.script(INSERT, client_error("DuplicateItemException"))

    outcome = store(records)

    assert_clean(outcome)
    assert outcome.counts == {"Duplicates": 1}


def test_a_throttled_statement_alone_is_reported(store, dynamodb, rows):
    """FACTS 9.35: the third of ten is throttled: it is not stored, the other nine are."""
    records = inserts(10)
    dynamodb.script(INSERT, refuse_statements(is_item("item-002"), "ThrottlingError"))

    outcome = store(records)

    assert outcome.unstored == [records[2]]
    assert outcome.refused == []
    assert outcome.errors == {"ThrottlingError": 1}
    assert len(rows()) == outcome.counts["RowsWritten"] == 9


def test_a_throttled_statement_alone_is_sent_again(store, dynamodb, rows):
    """FACTS 9.35: while there is time it is sent again, without the nine."""
    clock, records = Clock(), inserts(10)
    dynamodb.script(
        INSERT,
        refuse_statements(is_item("item-002"), "ProvisionedThroughputExceeded"),
        refuse_statements(is_item("item-002"), "TransactionConflict"),
    )

    outcome = store(records, clock.patience)

    sizes = [len(request["Statements"]) for request in dynamodb.requests(INSERT)]
    assert sizes == [10, 1, 1]
    assert len(clock.pauses_s) == 2
    assert (outcome.unstored, outcome.refused) == ([], [])
    assert len(rows()) == 10


@pytest.mark.parametrize("error", [THROTTLED, read_timeout(), client_error("Whatever", 503)])
def test_a_failed_call_is_sent_again(store, dynamodb, rows, error):
    """FACTS 9.37: transient failures of the whole call are overcome in the invocation."""
    clock = Clock()
    dynamodb.script(INSERT, error, error)

    outcome = store(inserts(5), clock.patience)

    assert (outcome.unstored, outcome.refused) == ([], [])
    assert len(rows()) == 5
    assert [len(request["Statements"]) for request in dynamodb.requests(INSERT)] == [5, 5, 5]
    assert sum(outcome.errors.values()) == 10


def test_a_failing_table_has_everything_reported_in_time(store, dynamodb, s3):
    """FACTS 9.65: when time runs short, all that is not stored is returned."""
    clock, records = Clock(left_ms=MARGIN_MS + 2_000), inserts(5)
    dynamodb.always(INSERT, THROTTLED)

    outcome = store(records, clock.patience)

    assert outcome.unstored == records
    assert clock.left_ms >= MARGIN_MS
    assert outcome.refused == []
    assert not s3.calls


def test_one_failing_call_does_not_drag_the_others_along(store, dynamodb, rows):
    """Calls of one batch fail apart from each other."""
    records = inserts(60)
    dynamodb.script(INSERT, DENIED)

    outcome = store(records)

    stored = {row.change.sequence_number for row in rows()}
    assert len(outcome.unstored) in (10, 25)
    assert stored | set(numbers(outcome.unstored)) == set(numbers(records))
    assert stored.isdisjoint(numbers(outcome.unstored))


@pytest.mark.parametrize(
    "error", [DENIED, client_error("ResourceNotFoundException"), client_error("Unheard")]
)
def test_what_is_not_the_records_fault_is_reported_at_once(store, dynamodb, s3, error):
    """A missing permission or table is neither retried here nor blamed on a record."""
    clock, records = Clock(), inserts(3)
    dynamodb.always(INSERT, error)

    outcome = store(records, clock.patience)

    assert outcome.unstored == records
    assert outcome.refused == []
    assert len(dynamodb.calls) == 1
    assert clock.pauses_s == []
    assert not s3.calls


@pytest.mark.parametrize("code", ["AccessDenied", "ResourceNotFound", "Unheard"])
def test_a_statement_denied_by_itself_is_reported(store, dynamodb, rows, code):
    """Per-statement codes are judged like those of whole calls."""
    records = inserts(4)
    dynamodb.script(INSERT, refuse_statements(is_item("item-001"), code))

    outcome = store(records)

    assert outcome.unstored == [records[1]]
    assert outcome.refused == []
    assert len(rows()) == 3


def test_a_lost_answer_is_no_second_row(store, dynamodb, rows):
    """FACTS 9.33, 9.34: the rows were in already: they are recognised and counted."""
    dynamodb.script(INSERT, lose_answer())

    outcome = store(inserts(5), Clock().patience)

    assert (outcome.unstored, outcome.refused) == ([], [])
    assert outcome.counts == {"Duplicates": 5}
    assert len(rows()) == 5


def test_a_lost_answer_without_time_is_reported(store, dynamodb, rows):
    """FACTS 9.34: whether it is stored is unknown, so it is delivered again, harmlessly."""
    records = inserts(2)
    dynamodb.script(INSERT, lose_answer())

    first = store(records)
    second = store(records)

    assert first.unstored == records
    assert_clean(second)
    assert second.counts == {"Duplicates": 2}
    assert len(rows()) == 2


@pytest.mark.parametrize("position", [0, 12, 24])
def test_a_poison_row_in_a_call_is_isolated(store, dynamodb, s3, rows, position):
    """FACTS 9.52: 24 rows are stored, the refused one is tried lighter and then refused alone."""
    records = inserts(25)
    dynamodb.always(INSERT, refuse_call(is_item(f"item-{position:03d}")))

    outcome = store(records)

    assert refusals(outcome).keys() == {numbers(records)[position]}
    assert all(isinstance(error, RefusedRecordError) for error in refusals(outcome).values())
    assert outcome.unstored == []
    assert {row.change.sequence_number for row in rows()} == set(numbers(records)) - {
        numbers(records)[position]
    }
    assert outcome.counts["RowsWritten"] == 24
    assert len(s3.requests("put_object")) == 1


def test_several_poison_rows_are_isolated(store, dynamodb, rows):
    """FACTS 9.52: halving goes on until every one of them stands alone."""
    records = inserts(25)
    bad = {"item-003", "item-004", "item-019"}
    dynamodb.always(INSERT, refuse_call(lambda row: row["Id"]["S"] in bad))

    outcome = store(records)

    assert refusals(outcome).keys() == {numbers(records)[n] for n in (3, 4, 19)}
    assert outcome.unstored == []
    assert len(rows()) == 22


def test_a_refused_statement_is_refused_alone(store, dynamodb, rows):
    """FACTS 9.52: the table's reason is kept with the record."""
    records = inserts(5)
    dynamodb.always(INSERT, refuse_statements(is_item("item-001"), "ValidationError"))

    outcome = store(records)

    ((sequence_number, error),) = refusals(outcome).items()
    assert (sequence_number, error.code) == (numbers(records)[1], "ValidationError")
    assert str(error).startswith("ValidationError: refused: ")
    assert len(rows()) == 4


def test_a_row_refused_for_its_size_is_stored_without_its_images(store, dynamodb, s3, rows):
    """A table that reckons sizes or depths otherwise still gets the row, images in the bucket."""
    records = inserts(3)

    def too_big(row):
        return row["Id"] == text("item-001") and "NewImage" in row

    dynamodb.always(INSERT, refuse_statements(too_big, "ValidationError"))

    outcome = store(records)

    assert (outcome.unstored, outcome.refused) == ([], [])
    assert outcome.counts == {"RowsWritten": 3, "Overflowed": 1}
    (moved,) = [row for row in rows() if row.overflow]
    assert unpack(moved.overflow, s3.objects["large", moved.overflow.key][0]) == (
        None,
        records[1]["dynamodb"]["NewImage"],
    )


def test_halving_mixed_failures_loses_nothing(store, dynamodb, rows):
    """FACTS 9.52: a throttle while halving concerns its half alone."""
    records = inserts(8)
    dynamodb.script(INSERT, INVALID, THROTTLED, None)

    outcome = store(records)

    assert outcome.unstored == records[:4]
    assert outcome.refused == []
    assert len(rows()) == 4


def test_a_failing_comparison_is_tried_again(store, dynamodb):
    """A duplicate is acknowledged only after it was compared."""
    records, clock = inserts(3), Clock()
    store(records)
    dynamodb.script(GET, THROTTLED, read_timeout())

    outcome = store(records, clock.patience)

    assert (outcome.unstored, outcome.refused) == ([], [])
    assert outcome.counts == {"Duplicates": 3}
    assert len(clock.pauses_s) == 2


@pytest.mark.parametrize("error", [THROTTLED, DENIED])
def test_a_duplicate_that_cannot_be_compared_is_reported(store, dynamodb, error):
    """Without a comparison nobody knows whether the stored row is this record."""
    records = inserts(3)
    store(records)
    dynamodb.always(GET, error)

    outcome = store(records)

    assert outcome.unstored == records
    assert outcome.refused == []
    assert "Duplicates" not in outcome.counts


def test_an_unprocessed_comparison_is_tried_again(store, dynamodb):
    """FACTS 9.36: rows that were not answered for are asked for again."""
    records, clock = inserts(3), Clock()
    store(records)

    def nothing_read(request, _carry_out):
        return {"Responses": {}, "UnprocessedKeys": request["RequestItems"]}

    dynamodb.script(GET, nothing_read)

    outcome = store(records, clock.patience)
    dynamodb.always(GET, nothing_read)
    without_time = store(records)

    assert outcome.counts == {"Duplicates": 3}
    assert (outcome.unstored, outcome.refused) == ([], [])
    assert without_time.unstored == records


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(large(), id="too large"),
        pytest.param(lambda_record(new=item("big", Deep=nested(31))), id="FACTS 9.21: too deep"),
    ],
)
def test_what_does_not_fit_goes_to_the_bucket(store, s3, rows, record):
    """FACTS 9.21, 9.47: the row points to an object that holds exactly the images."""
    outcome = store([record])

    assert_clean(outcome)
    assert outcome.counts == {"Overflowed": 1, "RowsWritten": 1}
    (row,) = rows()
    assert row.overflow.version_id == "version-1"
    assert row.change.new_image is None
    images = unpack(row.overflow, s3.objects["large", row.overflow.key][0])
    assert images == (None, record["dynamodb"]["NewImage"])
    row.with_images(*images).check()


def test_the_bucket_is_told_what_it_must_receive(store, s3):
    """The put carries the body's checksum and says how the object is to be read."""
    store([large()])

    (request,) = s3.requests("put_object")
    body = request["Body"]
    assert base64.b64decode(request["ChecksumSHA256"]) == hashlib.sha256(body).digest()
    assert (request["ContentType"], request["ContentEncoding"]) == ("application/json", "gzip")
    assert json.loads(gzip.decompress(body)).keys() == {"NewImage"}
    assert request["Bucket"] == "large"


def test_a_bucket_without_versions_is_no_obstacle(dynamodb, rows):
    """A pointer without a version is stored and read."""
    bucket = OverflowBucket(FakeS3(versioned=False), "large")
    writer = HistoryWriter(dynamodb, bucket, TABLE, time_shards=4)

    writer.store(deliveries([large()]), one_attempt())
    writer.pool.shutdown()

    assert rows()[0].overflow.version_id is None


@pytest.mark.parametrize("error", [DENIED, client_error("NoSuchBucket", 404), read_timeout()])
def test_no_row_without_its_object(store, dynamodb, s3, rows, error):
    """FACTS 9.48: a row is not written unless its object is; its batch mates are."""
    records = [large(sequence=7), *inserts(3)]
    s3.always("put_object", error)

    outcome = store(records)

    assert outcome.unstored == records[:1]
    assert outcome.refused == []
    assert len(rows()) == 3
    sent = dynamodb.requests(INSERT)[0]["Statements"]
    assert not [row for _, row in map(parse_insert, sent) if row["Id"] == text("big")]


def test_a_failing_bucket_is_tried_again(store, s3, rows):
    """A transient failure of the bucket is overcome in the invocation."""
    clock = Clock()
    s3.script("put_object", client_error("SlowDown", 503), read_timeout())

    outcome = store([large()], clock.patience)

    assert (outcome.unstored, outcome.refused) == ([], [])
    assert len(rows()) == 1
    assert len(clock.pauses_s) == 2
    assert outcome.counts["Overflowed"] == 1


def test_a_crash_between_object_and_row_leaves_an_orphan_only(store, dynamodb, s3, rows):
    """FACTS 9.48: the retry completes the row; the object, which is locked, is not put again."""
    dynamodb.script(INSERT, None, Crash())

    with pytest.raises(Crash):
        store([large()])
    crashed = (len(s3.bodies("large")), len(rows()))
    outcome = store([large()])

    assert crashed == (1, 0)
    assert_clean(outcome)
    assert (len(s3.bodies("large")), len(rows())) == (1, 1)
    assert rows()[0].overflow.version_id == "version-1"


def test_a_redelivered_large_change_is_a_duplicate(store, rows):
    """FACTS 9.45: the digest covers the images, not where an object's version put them."""
    store([large()])

    outcome = store([large()])

    assert_clean(outcome)
    assert outcome.counts == {"Duplicates": 1}
    assert rows()[0].overflow.version_id == "version-1"


def test_an_altered_large_change_is_an_alarm(store, rows):
    """FACTS 9.46: other images under the same key are noticed in the bucket too."""
    store([large()])

    outcome = store([large(size=410_001)])

    assert outcome.counts["DigestConflicts"] == 1
    assert len(outcome.refused) == len(rows()) == 1


def test_odd_texts_are_stored_like_any(store, rows):
    """FACTS 9.22, 9.23: odd names and texts travel in parameters, whatever they hold."""
    odd = ["a'b\": ?", "\ud800", "a\u0000b", "😀", "#x", "aws:rep:deleting", "S"]
    records = [
        lambda_record(new=item(name, **{name: text(name)}), sequence=FIRST_SEQUENCE + n)
        for n, name in enumerate(odd)
    ]

    outcome = store(records)

    assert_clean(outcome)
    assert {row.id for row in rows()} == set(odd)
    assert all(row.change.new_image[row.id] == text(row.id) for row in rows())


def test_the_longest_key_is_stored_and_found(store, rows):
    """FACTS 9.50: its row has a key that fits, and the whole key as an attribute."""
    new = {"pk": text("p" * 2048), "sk": text("s" * 1024)}

    outcome = store([lambda_record(new=new, key_names=("pk", "sk"))])

    assert_clean(outcome)
    (row,) = rows()
    assert row.id.startswith("sha256:")
    assert row.change.keys == new


def test_nothing_is_put_under_lock_while_the_table_refuses_the_function(store, dynamodb, s3):
    """A denied table, delivered to again and again, leaves no object, and every row unstored."""
    dynamodb.always(INSERT, DENIED)
    records = [large(sequence=n + 1) for n in range(3)]

    outcomes = [store(records) for _ in range(10)]

    assert {len(outcome.unstored) for outcome in outcomes} == {3}
    assert s3.calls == []


def _answering(problem):
    """Every statement of a call is answered with an error."""
    return lambda request, _carry_out: {
        "Responses": [{"Error": problem} for _ in request["Statements"]]
    }


def test_nothing_is_put_under_lock_when_all_rows_are_refused(store, dynamodb, s3):
    """A table with other keys refuses every row: none of them is too large."""
    message = "One or more parameter values were invalid: Missing the key Pk in the item"
    dynamodb.always(INSERT, _answering({"Code": "ValidationError", "Message": message}))

    outcome = store(inserts(100))

    assert len(outcome.unstored) == 100
    assert outcome.refused == []
    assert s3.calls == []


def test_an_error_without_a_code_is_no_success(store, dynamodb, rows):
    """The API does not require one: what is not positively stored is not stored."""
    dynamodb.always(INSERT, _answering({"Message": "no code"}))

    outcome = store(inserts(2))

    assert len(outcome.unstored) == 2
    assert rows() == []


@pytest.mark.parametrize(
    "answer", [{}, {"Responses": []}, {"Responses": [{}]}, {"Responses": None}]
)
def test_an_answer_cut_short_is_no_success(store, dynamodb, answer):
    """Every row of the call is delivered again."""
    dynamodb.always(INSERT, lambda _request, _carry_out: answer)

    assert len(store(inserts(2)).unstored) == 2


@pytest.mark.parametrize(
    "answer", [{}, {"Responses": {}}, {"Responses": {}, "UnprocessedKeys": {}}]
)
def test_a_cut_answer_makes_no_row_absent(store, dynamodb, s3, answer):
    """A large row is put into the bucket only when it is known that there is no row of it."""
    dynamodb.always("batch_get_item", lambda _request, _carry_out: answer)

    outcome = store([large()])

    assert len(outcome.unstored) == 1
    assert s3.calls == []


def test_an_exception_of_any_kind_is_these_rows_unstored(store, dynamodb, rows):
    """A call that fails in a way no service does takes nothing else with it."""
    dynamodb.script(INSERT, KeyError("Responses"))

    outcome = store(inserts(100))

    assert len(outcome.unstored) == 25
    assert len(rows()) == 75


def test_calls_are_cut_by_bytes(store, dynamodb):
    """DynamoDB takes 16 MB a request: 25 rows of 240 KB, twice and escaped, are more."""
    body = "\u0436" * 60_000
    records = [
        lambda_record(
            item(str(n), Text=text(body)), item(str(n), Text=text(body + "x")), sequence=n
        )
        for n in range(1, 26)
    ]

    assert_clean(store(records))

    requests = dynamodb.requests(INSERT)
    assert sum(len(request["Statements"]) for request in requests) == 25
    assert max(len(wire_json(request)) for request in requests) < 16 * 1024 * 1024
    assert len(requests) > 1


def test_a_call_that_is_too_large_is_halved(store, dynamodb, rows):
    """413 is a refusal of the call, not of a row."""
    too_large = client_error("413", 413)
    dynamodb.script(INSERT, too_large, too_large)

    assert store(inserts(4)).unstored == []
    assert len(rows()) == 4
