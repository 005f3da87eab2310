"""The replica ends in the source's state, whatever is delivered, in whatever order."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from replica_writer.writer import ReplicaWriter, SeenChanges
from stream_core.errors import MalformedRecordError, RefusedRecordError
from stream_core.quarantine import Refusal
from tests.factories import (
    FIRST_SEQUENCE,
    NOON,
    Clock,
    deliveries,
    inserts,
    item,
    lambda_record,
    load_event,
    number,
    one_attempt,
    text,
    versions,
    with_image,
    without,
)
from tests.fakes import (
    DENIED,
    THROTTLED,
    leave_unprocessed,
    lose_answer,
    refuse_call,
)
from tests.two_tables import TwoTables, factory

WRITE, READ = "batch_write_item", "batch_get_item"


class Pair(TwoTables):
    """A source, its replica and the writer between them."""

    def __init__(self, *key_names, **options):
        super().__init__(*key_names, **options)
        self.later = timedelta(0)
        self.writer = ReplicaWriter(
            self.settler, lambda: datetime.fromtimestamp(NOON, UTC) + self.later
        )

    def store(self, *records, patience=None):
        return self.writer.store(deliveries(records), patience or one_attempt())


@pytest.fixture
def make_pair():
    with factory(Pair) as make:
        yield make


@pytest.fixture
def pair(make_pair):
    return make_pair()


def put_all(pair, records):
    for record in records:
        pair.source.put("source", deliveries([record])[0].change.new_image)


FIRST, SECOND = item("1", Version=number(1)), item("1", Version=number(2))
THIRD = item("1", Reborn=text("yes"))
# One item's life: created, changed, removed and created anew.
LIFE = [
    lambda_record(None, FIRST, sequence=FIRST_SEQUENCE),
    lambda_record(FIRST, SECOND, sequence=FIRST_SEQUENCE + 1),
    lambda_record(SECOND, None, sequence=FIRST_SEQUENCE + 2),
    lambda_record(None, THIRD, sequence=FIRST_SEQUENCE + 3),
]


def assert_clean(outcome):
    assert (outcome.unstored, outcome.refused, dict(outcome.errors)) == ([], [], {})


def numbers(records):
    return {record["dynamodb"]["SequenceNumber"] for record in records}


def test_items_arrive_as_they_are(make_pair):
    """FACTS 9.1, 9.2, 9.3, 9.5, 9.42: binary keys and values are the same bytes, same types."""
    pair = make_pair()
    (record,) = load_event("binary")["Records"]
    put_all(pair, [record])

    outcome = pair.store(record)

    assert_clean(outcome)
    assert pair.of_replica() == pair.of_source()
    assert pair.of_replica()[0]["Bytes"] == {"B": b"\x00\x01"}
    assert outcome.counts["ReplicaWrites"] == 1


@pytest.mark.parametrize(
    ("key_names", "new"),
    [
        (("Id",), {"Id": number("1")}),
        (("Id", "At"), {"Id": number("1"), "At": {"B": b"\xff"}}),
        (("Name", "Id"), {"Name": text("a|b"), "Id": text("c"), "More": {"BOOL": False}}),
    ],
)
def test_the_right_item_is_written_and_deleted(make_pair, key_names, new):
    """FACTS 9.42: number, binary and composite keys find their item."""
    pair = make_pair(*key_names)
    pair.source.put("source", new)
    added = pair.store(lambda_record(None, new, key_names=key_names))
    there = pair.of_replica()
    pair.source.remove("source", new)
    removed = pair.store(lambda_record(new, None, key_names=key_names))

    assert there == [new]
    assert pair.of_replica() == []
    assert_clean(added)
    assert_clean(removed)


def test_the_same_batch_twice_is_the_same_state(pair):
    """FACTS 9.25: a redelivery changes nothing."""
    records = inserts(30)
    put_all(pair, records)

    pair.store(*records)
    once = pair.of_replica()
    outcome = pair.store(*records)

    assert_clean(outcome)
    assert pair.of_replica() == once == pair.of_source()


@pytest.mark.parametrize("order", list(permutations(range(4))))
@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_every_order_of_a_life_ends_in_one_state(pair, order, batch_size):
    """FACTS 9.26: 24 orders, one by one or in batches: the source's state."""
    pair.source.put("source", THIRD)
    delivered = [LIFE[n] for n in order]

    for start in range(0, 4, batch_size):
        assert_clean(pair.store(*delivered[start : start + batch_size]))

    assert pair.of_replica() == [THIRD]


def test_a_late_insert_does_not_bring_an_item_back(pair):
    """FACTS 9.27, 9.40: there is no tombstone that could expire: the source has no such item."""
    pair.store(LIFE[0])
    pair.store(LIFE[2])

    outcome = pair.store(LIFE[0])

    assert_clean(outcome)
    assert pair.of_replica() == []
    # It was delivered before, so the source was asked first.
    assert outcome.counts["Settled"] == 0


@pytest.mark.parametrize(
    ("late", "later"),
    [(LIFE[0], 6), (LIFE[2], 6), (LIFE[0], -6), (LIFE[0], 0), (LIFE[2], 0)],
)
def test_an_old_image_is_not_written_before_the_source_is_read(pair, late, later):
    """Old by its time, or delivered before: it does not stand while the source cannot be read."""
    pair.source.put("source", THIRD)
    if later == 0:
        pair.store(late)
    pair.store(LIFE[3])
    pair.later = timedelta(seconds=later)
    pair.source.always(READ, THROTTLED)

    outcome = pair.store(late)

    assert numbers(outcome.unstored) == numbers([late])
    assert pair.of_replica() == [THIRD]


def test_a_change_older_than_one_seen_is_not_written_first(pair):
    """A record behind a later one of its item is old, though it was never delivered."""
    pair.source.put("source", THIRD)
    pair.store(LIFE[3])
    pair.source.always(READ, THROTTLED)

    pair.store(LIFE[2])

    assert pair.of_replica() == [THIRD]


def test_a_fresh_change_costs_one_read(pair):
    """A change of just now is written first: while the source cannot be read, it stands."""
    pair.source.put("source", SECOND)
    pair.source.always(READ, THROTTLED)

    pair.store(LIFE[0])
    pair.store(LIFE[1])

    assert pair.of_replica() == [SECOND]
    assert len(pair.source.requests(READ)) == 2


def test_without_settling_the_image_is_all_there_is(make_pair):
    """SETTLE=false: old and redelivered images are written as well."""
    pair = make_pair(read_source=False)
    pair.later = timedelta(hours=1)

    assert_clean(pair.store(LIFE[1]))
    assert_clean(pair.store(LIFE[0]))

    assert pair.of_replica() == [FIRST]


def test_what_is_remembered_is_limited(monkeypatch):
    """The memory of a process does not grow with the table."""
    monkeypatch.setattr("replica_writer.writer._MOST_REMEMBERED", 2)
    seen = SeenChanges()
    first, *others = deliveries(inserts(3))

    assert all(map(seen.is_news, [first, *others]))
    assert seen.is_news(first)
    assert not seen.is_news(others[-1])


def test_a_restless_item_is_reported(pair):
    """Another delivery may be under way that writes an older state: the item is settled again."""
    records = [*versions(2), *inserts(1, first=FIRST_SEQUENCE + 9)]
    put_all(pair, records)
    numbers_of_versions = iter(range(10**6))

    def change(_request, carry_out):
        pair.source.put("source", item("1", Version=number(next(numbers_of_versions))))
        return carry_out()

    pair.source.always(READ, change)

    outcome = pair.store(*records)

    assert numbers(outcome.unstored) == numbers(records[:2])
    assert outcome.counts["Restless"] == 1


def test_a_write_without_answer_is_reported(pair):
    """It may take effect after everything else, so its item is settled again."""
    records = inserts(3)
    put_all(pair, records)
    pair.replica.script(WRITE, lose_answer())

    outcome = pair.store(*records, patience=Clock().patience)

    assert numbers(outcome.unstored) == numbers(records)
    assert pair.of_replica() == pair.of_source()


@pytest.mark.parametrize("settle", [True, False])
def test_the_newest_of_a_batch_is_chosen_by_number(make_pair, settle):
    """FACTS 9.28: 9900… (22 digits) comes before 10000… (23 digits), as text it would not."""
    pair = make_pair(read_source=settle)
    pair.source.put("source", SECOND)
    older = lambda_record(None, FIRST, sequence=99 * 10**20)
    newer = lambda_record(FIRST, SECOND, sequence=10**22)

    for batch in ([older, newer], [newer, older]):
        outcome = pair.store(*batch)

        assert pair.of_replica() == [SECOND]
        assert outcome.counts["ReplicaWrites"] == 1


@pytest.mark.parametrize("late", [LIFE[0], LIFE[1], LIFE[2]])
def test_records_of_an_older_stream_do_no_harm(pair, late):
    """FACTS 9.29, 9.30: a new stream starts with low numbers: they are not compared with old."""
    pair.source.put("source", THIRD)
    fresh = lambda_record(None, THIRD, sequence=1)

    for record in (LIFE[3], fresh, late):
        assert_clean(pair.store(record))

    assert pair.of_replica() == [THIRD]


def test_several_changes_of_an_item_are_one_write(pair):
    """FACTS 9.31: only the last image of a batch is written: a call may name a key once."""
    records = versions(20)
    put_all(pair, records)

    outcome = pair.store(*records)

    assert_clean(outcome)
    assert pair.of_replica() == pair.of_source() == [item("1", Version=number(19))]
    (request,) = pair.replica.requests(WRITE)
    assert len(request["RequestItems"]["replica"]) == 1


def test_an_item_that_fails_has_all_its_records_reported(pair):
    """FACTS 9.32: A's two records are reported, B behind them is stored; nothing overtakes."""
    a, b = versions(2), inserts(1, first=FIRST_SEQUENCE + 9, prefix="b")
    put_all(pair, [*a, *b])
    pair.replica.always(WRITE, leave_unprocessed(lambda one: one["Id"] == text("1")))

    outcome = pair.store(a[0], *b, a[1])

    assert numbers(outcome.unstored) == numbers(a)
    assert outcome.refused == []
    assert pair.of_replica() == [item("b-000", Count=number(0))]


def test_a_refused_item_has_its_last_record_refused(pair):
    """FACTS 9.52: the record that holds the newest image goes to quarantine, with the reason."""
    a, b = versions(3), inserts(24)
    put_all(pair, [*a, *b])
    pair.replica.always(WRITE, refuse_call(lambda one: one["Id"] == text("1")))

    outcome = pair.store(*a, *b)

    (refusal,) = outcome.refused
    assert refusal.record == a[-1]
    assert isinstance(refusal.error, RefusedRecordError)
    assert refusal.error.code == "ValidationException"
    assert outcome.unstored == []
    assert len(pair.of_replica()) == 24


@pytest.mark.parametrize("error", [THROTTLED, DENIED])
@pytest.mark.parametrize("side", ["source", "replica"])
def test_what_cannot_be_confirmed_is_reported(pair, side, error):
    """A write that no read agreed with may be wrong, so its records come back."""
    records = inserts(30)
    put_all(pair, records)
    getattr(pair, side).always(READ if side == "source" else WRITE, error)

    outcome = pair.store(*records)

    assert numbers(outcome.unstored) == numbers(records)
    assert outcome.refused == []
    assert sum(outcome.errors.values()) == 2


def test_a_throttle_is_waited_out(pair):
    """FACTS 9.35: while there is time nothing is reported."""
    clock, records = Clock(), inserts(10)
    put_all(pair, records)
    pair.replica.script(WRITE, leave_unprocessed(lambda one: one["Id"] == text("item-002")))

    outcome = pair.store(*records, patience=clock.patience)

    assert (outcome.unstored, outcome.refused) == ([], [])
    assert pair.of_replica() == pair.of_source()
    assert outcome.counts["ReplicaWrites"] == 10


def test_an_expiry_in_the_source_is_a_delete_in_the_replica(make_pair):
    """FACTS 9.41: a REMOVE by TTL removes."""
    pair = make_pair("SessionId", "Started")
    (expiry,) = load_event("ttl_remove")["Records"]
    pair.replica.put("replica", expiry["dynamodb"]["OldImage"])

    assert_clean(pair.store(expiry))

    assert pair.of_replica() == []


def test_no_records_need_no_request(pair):
    """FACTS 9.62: nothing to do is nothing done."""
    assert_clean(pair.store())
    assert not pair.replica.calls
    assert not pair.source.calls


BROKEN = [
    without(LIFE[1], "ApproximateCreationDateTime"),
    with_image(LIFE[1], {"Id": {"S": "1"}, "X": {"B": "?"}}, "OldImage"),
    with_image(LIFE[1], {"Id": {"S": "another"}}),
    without(LIFE[1], "NewImage"),
    LIFE[1] | {"eventName": "UPSERT"},
]


def refusals(*records):
    return [Refusal(record, MalformedRecordError("broken")) for record in records]


@pytest.mark.parametrize("record", BROKEN)
def test_a_record_of_which_the_key_is_known_is_settled(pair, record):
    """The source says what the item is: nothing of the record is written, nothing is kept aside."""
    pair.source.put("source", THIRD)

    outcome = pair.writer.store_malformed(refusals(record), one_attempt())

    assert_clean(outcome)
    assert pair.of_replica() == [THIRD]


def test_a_record_without_a_key_is_refused(pair):
    """Without a key nobody knows which item to look at; the others of the batch are settled."""
    pair.source.put("source", THIRD)
    bad = without(LIFE[0], "Keys")

    outcome = pair.writer.store_malformed(refusals(bad, LIFE[1]), one_attempt())

    assert [refusal.record for refusal in outcome.refused] == [bad]
    assert outcome.unstored == []
    assert pair.of_replica() == [THIRD]


def test_a_malformed_record_that_cannot_be_settled_now_is_reported(pair):
    """Both records of the item come back."""
    pair.source.always(READ, THROTTLED)

    outcome = pair.writer.store_malformed(refusals(*BROKEN[:2]), one_attempt())

    assert numbers(outcome.unstored) == numbers(BROKEN[:1])
    assert len(outcome.unstored) == 2


def test_without_settling_a_malformed_record_is_refused(make_pair):
    """SETTLE=false: of the item nothing is known but what the record cannot say."""
    pair = make_pair(read_source=False)

    outcome = pair.writer.store_malformed(refusals(BROKEN[0]), one_attempt())

    assert [refusal.record for refusal in outcome.refused] == BROKEN[:1]
    assert pair.replica.calls == []
