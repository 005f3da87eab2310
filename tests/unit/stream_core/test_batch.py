"""Every record of a batch is stored, quarantined or reported; none is passed over."""

import json
from datetime import UTC, datetime

import pytest

from stream_core.batch import Outcome, Refusal, consume
from stream_core.errors import RefusedRecordError, UnstoredRecordError, ViewTypeError
from stream_core.quarantine import Quarantine
from stream_core.retry import MARGIN_MS, Retry
from tests.factories import (
    NOON,
    Clock,
    inserts,
    item,
    lambda_record,
    load_event,
    one_attempt,
    with_image,
    without,
)
from tests.fakes import DENIED, FakeS3, client_error, read_timeout


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


def failures(*numbers):
    return {"batchItemFailures": [{"itemIdentifier": str(number)} for number in numbers]}


def test_good_records_are_all_stored(s3, quarantine):
    """A batch without trouble reports nothing and quarantines nothing."""
    records, store = inserts(5), Store()

    summary = consume(records, store, quarantine, one_attempt())

    assert summary.response == failures()
    assert store.given == records
    assert summary.outcome.counts["RecordsRead"] == 5
    assert not s3.calls


def test_an_empty_batch_is_a_success(s3, quarantine):
    """FACTS 9.62: no records, no failure."""
    summary = consume([], Store(), quarantine, one_attempt())

    assert summary.response == failures()
    assert summary.newest is None
    assert not s3.calls


@pytest.mark.parametrize(
    "poison",
    [
        pytest.param(lambda r: with_image(r, {"a": {"B": "?"}}), id="FACTS 9.4"),
        pytest.param(lambda r: with_image(r, {"a": {"N": "NaN"}}), id="FACTS 9.10"),
        pytest.param(lambda r: with_image(r, {"a": {}}), id="FACTS 9.15"),
        pytest.param(lambda r: r | {"eventName": "UPSERT"}, id="FACTS 9.63: eventName"),
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

    summary = consume(records, store, quarantine, one_attempt())

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
        consume(records, store, quarantine, one_attempt())

    assert not store.given
    assert not s3.calls


def test_a_refused_record_is_quarantined(s3, quarantine):
    """What the table refuses for good does not hold up the shard."""
    records = inserts(3)

    summary = consume(records, Store(refused=[1]), quarantine, one_attempt())

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

    summary = consume(records, Store(unstored=[0, 1, 2]), quarantine, one_attempt())

    assert summary.response == failures(min(sequences, key=int))


def test_only_what_is_not_stored_is_reported(quarantine):
    """FACTS 9.35: the third of ten fails: exactly its number is named."""
    records = inserts(10)

    summary = consume(records, Store(unstored=[2]), quarantine, one_attempt())

    assert summary.response == failures(records[2]["dynamodb"]["SequenceNumber"])


def test_a_quarantine_is_tried_again_while_there_is_time(s3, quarantine):
    """A transient failure of the bucket costs a pause, not a report."""
    clock, records = Clock(), inserts(3)
    s3.script("put_object", read_timeout(), client_error("SlowDown", 503))

    summary = consume(records, Store(refused=[0, 1]), quarantine, clock.patience)

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

    summary = consume(records, Store(refused=[1]), quarantine, clock.patience)

    assert summary.response == failures(records[1]["dynamodb"]["SequenceNumber"])
    assert len(s3.calls) == tries
    assert summary.outcome.counts["Quarantined"] == 0
    assert summary.outcome.errors[error.response["Error"]["Code"]] == tries


def test_an_unstored_record_before_an_unquarantined_one_is_reported(s3, quarantine):
    """The two kinds of failure have one lowest number."""
    records = inserts(4)
    s3.always("put_object", DENIED)

    summary = consume(records, Store(unstored=[1], refused=[3]), quarantine, one_attempt())

    assert summary.response == failures(records[1]["dynamodb"]["SequenceNumber"])
    assert len(summary.outcome.unstored) == 2


@pytest.mark.parametrize("nameless", [{"eventName": "INSERT"}, {"dynamodb": {}}])
def test_a_nameless_record_that_is_nowhere_fails_the_invocation(s3, quarantine, nameless):
    """FACTS 9.63: without a number to report only a failure as a whole brings it back."""
    s3.always("put_object", DENIED)

    with pytest.raises(UnstoredRecordError, match="2 records are not stored, one of them without"):
        consume([*inserts(2), nameless], Store(unstored=[0]), quarantine, one_attempt())


def test_a_nameless_record_in_quarantine_does_not_stop_the_others(s3, quarantine):
    """Its batch mates are reported by number as usual."""
    records = [{"eventName": "INSERT"}, *inserts(2)]

    summary = consume(records, Store(unstored=[1]), quarantine, one_attempt())

    assert summary.response == failures(records[2]["dynamodb"]["SequenceNumber"])
    assert quarantined(s3) == [records[0]]


def test_the_newest_change_is_told(quarantine):
    """The lag is measured from the newest change of the batch, wherever it stands in it."""
    times = [NOON + 5, NOON + 9, NOON]
    records = [lambda_record(new=item(str(n)), sequence=n + 1, at=at) for n, at in enumerate(times)]

    summary = consume(records, Store(), quarantine, one_attempt())

    assert summary.newest == datetime(2018, 3, 3, 14, 6, 9, tzinfo=UTC)


def test_the_documented_event_passes_whole(quarantine):
    """AWS's sample event is three good records."""
    store = Store()

    summary = consume(
        load_event("insert_modify_remove")["Records"], store, quarantine, one_attempt()
    )

    assert len(store.given) == 3
    assert summary.response == failures()


def test_outcomes_add_up():
    """Taking over another outcome loses nothing of either."""
    first, second = inserts(2)
    one, other = Outcome(unstored=[first]), Outcome(unstored=[second])
    one.counts["Rows"] = 1
    other.counts["Rows"] = 2
    other.refused.append(Refusal(first, RefusedRecordError("ValidationException", "x")))
    assert other.note(read_timeout()) is Retry.TRANSIENT

    one.merge(other)

    assert one.unstored == [first, second]
    assert one.refused == other.refused
    assert (one.counts["Rows"], one.errors["ReadTimeoutError"]) == (3, 1)
