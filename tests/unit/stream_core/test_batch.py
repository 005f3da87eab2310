"""Every record of a batch is stored, quarantined or reported; none is passed over."""

import json
from datetime import UTC, datetime

import pytest

from stream_core.batch import Outcome, consume
from stream_core.errors import (
    EventError,
    ForeignRecordError,
    IntegrityError,
    RefusedRecordError,
    UnstoredRecordError,
    ViewTypeError,
)
from stream_core.quarantine import Quarantine, Refusal
from stream_core.retry import MARGIN_MS, CallError, Retry
from tests.factories import (
    NOON,
    STREAM_ARN,
    TABLE_ARN,
    Clock,
    inserts,
    item,
    lambda_record,
    load_event,
    one_attempt,
    text,
    with_image,
    without,
)
from tests.fakes import DENIED, FakeS3, client_error, read_timeout

# Of the event in tests/events.
DOCUMENTED_TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/TestTable"


@pytest.fixture
def s3():
    return FakeS3()


@pytest.fixture
def quarantine(s3):
    return Quarantine(s3, "bad", "test")


def quarantined(s3):
    """The records in quarantine."""
    return [json.loads(body)["Record"] for body in s3.bodies("bad").values()]


class Store:
    """A store that keeps what it is given and says what became of it."""

    def __init__(self, unstored=(), refused=()):
        self.given = []
        self._unstored = unstored
        self._refused = refused

    def __call__(self, deliveries, _patience):
        records = [delivery.record for delivery in deliveries]
        self.given += records
        return Outcome(
            unstored=[records[n] for n in self._unstored],
            refused=[
                Refusal(records[n], RefusedRecordError("ValidationException", "refused"))
                for n in self._refused
            ],
        )


def consumed(records, store, quarantine, patience):
    """Consume records as a batch of the followed table."""
    return consume({"Records": records}, TABLE_ARN, store, quarantine, patience)


def failures(*numbers):
    return {"batchItemFailures": [{"itemIdentifier": str(number)} for number in numbers]}


def test_good_records_are_all_stored(s3, quarantine):
    """A batch without trouble reports nothing and quarantines nothing."""
    records, store = inserts(5), Store()

    summary = consumed(records, store, quarantine, one_attempt())

    assert summary.response == failures()
    assert store.given == records
    assert summary.outcome.counts["RecordsRead"] == 5
    assert not s3.calls


def test_an_empty_batch_is_a_success(s3, quarantine):
    """FACTS 9.62: no records, no failure."""
    summary = consumed([], Store(), quarantine, one_attempt())

    assert summary.response == failures()
    assert summary.newest is None
    assert not s3.calls


@pytest.mark.parametrize(
    "poison",
    [
        pytest.param(lambda r: with_image(r, {"a": {"B": "?"}}), id="FACTS 9.4"),
        pytest.param(lambda r: with_image(r, {"a": {"N": "NaN"}}), id="FACTS 9.10"),
        pytest.param(lambda r: with_image(r, {"a": {}}), id="FACTS 9.15"),
        pytest.param(lambda r: without(r, "NewImage"), id="an INSERT without its image"),
        pytest.param(
            lambda r: {name: r[name] for name in r if name != "dynamodb"},
            id="FACTS 9.63: dynamodb",
        ),
        pytest.param(lambda r: without(r, "SequenceNumber"), id="FACTS 9.63: SequenceNumber"),
        pytest.param(lambda r: without(r, "Keys"), id="no Keys"),
        pytest.param(
            lambda r: r | {"dynamodb": r["dynamodb"] | {"Keys": {}}}, id="Keys without a key"
        ),
    ],
)
def test_a_malformed_record_is_isolated(s3, quarantine, poison):
    """FACTS 9.4, 9.10, 9.15, 9.52, 9.63: the one is quarantined whole, its batch goes on."""
    records, store = inserts(25), Store()
    records[12] = poison(records[12])

    summary = consumed(records, store, quarantine, one_attempt())

    assert summary.response == failures()
    assert store.given == records[:12] + records[13:]
    assert quarantined(s3) == [records[12]]
    assert summary.outcome.counts["Quarantined"] == 1
    assert summary.outcome.counts["RecordsRead"] == 25


@pytest.mark.parametrize("view_type", ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE"])
def test_a_stream_without_images_is_refused_as_a_whole(s3, quarantine, view_type):
    """FACTS 9.43: nothing is stored and nothing quarantined, the invocation fails loudly."""
    records, store = inserts(3), Store()
    records[2]["dynamodb"]["StreamViewType"] = view_type

    with pytest.raises(ViewTypeError, match=view_type):
        consumed(records, store, quarantine, one_attempt())

    assert not store.given
    assert not s3.calls


def test_a_refused_record_is_quarantined(s3, quarantine):
    """What the table refuses for good does not hold up the shard."""
    records = inserts(3)

    summary = consumed(records, Store(refused=[1]), quarantine, one_attempt())

    assert summary.response == failures()
    assert quarantined(s3) == [records[1]]


@pytest.mark.parametrize(
    "sequences",
    [
        ["100", "99", "101"],
        ["9900000000000000000000", "10000000000000000000000", "9800000000000000000000"],
        ["0" * 10 + "5", "10", "3"],
    ],
)
def test_the_lowest_unstored_record_is_reported_as_a_number(quarantine, sequences):
    """FACTS 9.35, 9.57: Lambda goes on from the numerically lowest, spelled as delivered."""
    records = [
        lambda_record(new=item(str(n)), sequence=sequence) for n, sequence in enumerate(sequences)
    ]

    summary = consumed(records, Store(unstored=[0, 1, 2]), quarantine, one_attempt())

    assert summary.response == failures(min(sequences, key=int))


def test_only_what_is_not_stored_is_reported(quarantine):
    """FACTS 9.35: the third of ten fails: exactly its number is named."""
    records = inserts(10)

    summary = consumed(records, Store(unstored=[2]), quarantine, one_attempt())

    assert summary.response == failures(records[2]["dynamodb"]["SequenceNumber"])


def test_a_quarantine_is_tried_again_while_there_is_time(s3, quarantine):
    """A transient failure of the bucket costs a pause, not a report."""
    clock, records = Clock(), inserts(3)
    s3.script("put_object", read_timeout(), client_error("SlowDown", 503))

    summary = consumed(records, Store(refused=[0, 1]), quarantine, clock.patience)

    assert summary.response == failures()
    assert sorted(map(str, quarantined(s3))) == sorted(map(str, records[:2]))
    assert len(clock.pauses_s) == 1
    assert summary.outcome.counts["Quarantined"] == 2
    assert summary.outcome.errors["SlowDown"] == summary.outcome.errors["ReadTimeoutError"] == 1


@pytest.mark.parametrize(
    ("error", "tries"),
    [(DENIED, 1), (client_error("NoSuchBucket", 404), 1), (client_error("SlowDown", 503), 9)],
)
def test_a_record_that_cannot_be_quarantined_is_reported(s3, quarantine, error, tries):
    """A record leaves the shard only once it is safe somewhere."""
    clock, records = Clock(left_ms=MARGIN_MS + 15_000), inserts(3)
    s3.always("put_object", error)

    summary = consumed(records, Store(refused=[1]), quarantine, clock.patience)

    assert summary.response == failures(records[1]["dynamodb"]["SequenceNumber"])
    assert len(s3.calls) == tries
    assert summary.outcome.counts["Quarantined"] == 0
    assert summary.outcome.errors[error.response["Error"]["Code"]] == tries


def test_an_unstored_record_before_an_unquarantined_one_is_reported(s3, quarantine):
    """The two kinds of failure have one lowest number."""
    records = inserts(4)
    s3.always("put_object", DENIED)

    summary = consumed(records, Store(unstored=[1], refused=[3]), quarantine, one_attempt())

    assert summary.response == failures(records[1]["dynamodb"]["SequenceNumber"])
    assert len(summary.outcome.unstored) == 2


@pytest.mark.parametrize("nameless", [{"eventName": "INSERT"}, {"dynamodb": {}}])
def test_a_nameless_record_that_is_nowhere_fails_the_invocation(s3, quarantine, nameless):
    """FACTS 9.63: without a number to report only a failure as a whole brings it back."""
    s3.always("put_object", DENIED)

    with pytest.raises(UnstoredRecordError, match="2 records are not stored, one of them without"):
        consumed(
            [*inserts(2), {"eventSourceARN": STREAM_ARN, **nameless}],
            Store(unstored=[0]),
            quarantine,
            one_attempt(),
        )


def test_a_nameless_record_in_quarantine_does_not_stop_the_others(s3, quarantine):
    """Its batch mates are reported by number as usual."""
    records = [{"eventName": "INSERT", "eventSourceARN": STREAM_ARN}, *inserts(2)]

    summary = consumed(records, Store(unstored=[1]), quarantine, one_attempt())

    assert summary.response == failures(records[2]["dynamodb"]["SequenceNumber"])
    assert quarantined(s3) == [records[0]]


def test_the_newest_change_is_told(quarantine):
    """The lag is measured from the newest change of the batch, wherever it stands in it."""
    times = [NOON + 5, NOON + 9, NOON]
    records = [lambda_record(new=item(str(n)), sequence=n + 1, at=at) for n, at in enumerate(times)]

    summary = consumed(records, Store(), quarantine, one_attempt())

    assert summary.newest == datetime(2018, 3, 3, 14, 6, 9, tzinfo=UTC)


def test_the_documented_event_passes_whole(quarantine):
    """AWS's sample event is three good records."""
    store = Store()

    event = load_event("insert_modify_remove")

    summary = consume(event, DOCUMENTED_TABLE, store, quarantine, one_attempt())

    assert len(store.given) == 3
    assert summary.response == failures()


def test_outcomes_add_up():
    """Taking over another outcome loses nothing of either."""
    first, second = inserts(2)
    one, other = Outcome(unstored=[first]), Outcome(unstored=[second])
    one.counts["Rows"] = 1
    other.counts["Rows"] = 2
    other.refused.append(Refusal(first, RefusedRecordError("ValidationException", "x")))
    assert other.note(CallError.after(read_timeout())) is Retry.TRANSIENT

    one.merge(other)

    assert one.unstored == [first, second]
    assert one.refused == other.refused
    assert (one.counts["Rows"], one.errors["ReadTimeoutError"]) == (3, 1)


FOREIGN = [
    pytest.param("arn:aws:dynamodb:eu-west-1:123456789012:table/Other/stream/X", id="table"),
    pytest.param("arn:aws:dynamodb:eu-west-1:123456789012:table/Employee2/stream/X", id="longer"),
    pytest.param("arn:aws:dynamodb:eu-west-1:999999999999:table/Employee/stream/X", id="account"),
    pytest.param("arn:aws:dynamodb:us-east-1:123456789012:table/Employee/stream/X", id="region"),
    pytest.param(TABLE_ARN, id="no stream"),
    pytest.param(None, id="none"),
    pytest.param(["x"], id="no text"),
]


@pytest.mark.parametrize("arn", FOREIGN)
def test_a_record_of_another_table_fails_the_batch(s3, quarantine, arn):
    """Nothing of the batch is stored, nothing quarantined, whichever record it is."""
    records, store = inserts(3), Store()
    records[2]["eventSourceARN"] = arn

    with pytest.raises(ForeignRecordError, match="not of a stream of"):
        consumed(records, store, quarantine, one_attempt())

    assert not store.given
    assert not s3.calls


def test_every_stream_of_the_table_is_taken(quarantine):
    """A stream that was switched off and on has another label: its records are the table's."""
    records = inserts(2)
    records[1]["eventSourceARN"] = f"{TABLE_ARN}/stream/2026-01-01T00:00:00.000"

    assert consumed(records, Store(), quarantine, one_attempt()).response == failures()


@pytest.mark.parametrize(
    "event",
    [
        {},
        [],
        None,
        inserts(1),
        {"Records": None},
        {"Records": {}},
        {"records": inserts(1)},
        {"requestContext": {}, "DDBStreamBatchInfo": {}, "payload": {"Records": inserts(1)}},
    ],
)
def test_what_is_no_batch_is_no_success(quarantine, event):
    """Lower-case names, another service's event, an object of the failure bucket: refused."""
    store = Store()

    with pytest.raises(EventError, match="no list of Records"):
        consume(event, TABLE_ARN, store, quarantine, one_attempt())

    assert not store.given


def test_a_batch_refused_alike_stays_in_the_stream(s3, quarantine):
    """When every record gets the same refusal, the table is set up differently: none is bad."""
    records = inserts(100)

    summary = consumed(records, Store(refused=range(100)), quarantine, one_attempt())

    assert summary.response == failures(records[0]["dynamodb"]["SequenceNumber"])
    assert summary.outcome.counts["RefusedAlike"] == 1
    assert not s3.calls


def test_a_batch_malformed_alike_stays_in_the_stream(s3, quarantine):
    """Times in milliseconds in every record, say."""
    records = [lambda_record(new=item(str(n)), sequence=n + 1) for n in range(20)]
    for record in records:
        record["dynamodb"]["ApproximateCreationDateTime"] *= 1000

    summary = consumed(records, Store(), quarantine, one_attempt())

    assert summary.response == failures(1)
    assert not s3.calls


@pytest.mark.parametrize("count", [1, 4])
def test_one_item_that_cannot_be_stored_does_not_block_its_shard(s3, quarantine, count):
    """A batch of one item's records may well be refused alike: the item is what is wrong."""
    records = [lambda_record(new=item("1", N=text(str(n))), sequence=n + 1) for n in range(count)]

    summary = consumed(records, Store(refused=range(count)), quarantine, one_attempt())

    assert summary.response == failures()
    assert quarantined(s3) == records


def test_conflicting_digests_are_quarantined_however_many_there_are(s3, quarantine):
    """Each says something about a stored row."""
    records = inserts(2)

    def store(deliveries, _patience):
        conflict = IntegrityError("another digest")
        return Outcome(refused=[Refusal(delivery.record, conflict) for delivery in deliveries])

    assert consumed(records, store, quarantine, one_attempt()).response == failures()
    assert quarantined(s3) == records


def test_nothing_is_quarantined_without_time_for_it(s3, quarantine):
    """A put that might end after the invocation is not begun: the record stays in the stream."""
    records = inserts(2)
    clock = Clock(left_ms=MARGIN_MS - 1)

    summary = consumed(records, Store(refused=[1]), quarantine, clock.patience)

    assert summary.response == failures(records[1]["dynamodb"]["SequenceNumber"])
    assert not s3.calls
