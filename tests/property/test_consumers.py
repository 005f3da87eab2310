"""Whatever is delivered, however often and in whatever order, and whatever fails meanwhile."""

import json
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from history_writer.overflow_bucket import OverflowBucket
from history_writer.writer import HistoryWriter
from replica_writer.settle import Settler
from replica_writer.tables import ReplicaTable, SourceTable
from replica_writer.writer import ReplicaWriter
from stream_core.batch import consume
from stream_core.history_row import HistoryRow
from stream_core.quarantine import Quarantine
from tests.factories import (
    TABLE_ARN,
    item,
    lambda_record,
    number,
    one_attempt,
    text,
    with_image,
    without,
)
from tests.fakes import (
    DENIED,
    INVALID,
    THROTTLED,
    FakeDynamoDB,
    FakeS3,
    client_error,
    leave_unprocessed,
    lose_answer,
    read_timeout,
    refuse_statements,
)

IDS = ["a", "b", "c"]
ATTEMPTS = 200
OPERATIONS = ["batch_execute_statement", "batch_write_item", "batch_get_item", "put_object"]


class World:
    """A source table with its stream, both consumers and all they write to."""

    def __init__(self):
        self.dynamodb = FakeDynamoDB(
            source=("Id",), replica=("Id",), trail=("Id", "ApproximateCreationDateTime")
        )
        self.s3 = FakeS3()
        self.stream = []
        self._numbers = count(99 * 10**20, 10**21)
        self.history = HistoryWriter(
            self.dynamodb, OverflowBucket(self.s3, "large"), "trail", time_shards=2
        )
        self.replica = ReplicaWriter(
            Settler(ReplicaTable(self.dynamodb, "replica"), SourceTable(self.dynamodb, "source"))
        )

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.history.pool.shutdown()
        self.replica.settler.pool.shutdown()

    def change(self, identifier, state):
        """Bring an item of the source to a state; the stream has a record if that changes it."""
        old = next(
            (one for one in self.dynamodb.items("source") if one["Id"] == text(identifier)), None
        )
        new = None if state is None else item(identifier, State=number(state))
        if old == new:
            return
        if new is None:
            self.dynamodb.remove("source", old)
        else:
            self.dynamodb.put("source", new)
        self.stream.append(lambda_record(old, new, sequence=next(self._numbers)))

    def deliver(self, consumer, records):
        """One invocation; returns the records that Lambda would deliver again."""
        store = getattr(self, consumer).store
        quarantine = Quarantine(self.s3, "bad", consumer)
        response = consume(
            {"Records": records}, TABLE_ARN, store, quarantine, one_attempt()
        ).response
        lowest = [failure["itemIdentifier"] for failure in response["batchItemFailures"]]
        return [record for record in records if lowest and sequence(record) >= int(lowest[0])]

    def quarantined(self):
        return [json.loads(body)["Record"] for body in self.s3.bodies("bad").values()]

    def rows(self):
        return [HistoryRow.from_item(row) for row in self.dynamodb.items("trail")]


def sequence(record):
    try:
        return int(record["dynamodb"]["SequenceNumber"])
    except (KeyError, ValueError):
        return 0


CHANGES = st.lists(
    st.tuples(st.sampled_from(IDS), st.sampled_from([None, 1, 2, 3])), min_size=1, max_size=12
)
FAULTS = st.lists(
    st.tuples(
        st.sampled_from(OPERATIONS),
        st.sampled_from(
            [
                None,
                THROTTLED,
                DENIED,
                read_timeout(),
                client_error("InternalServerError", 500),
                "lost answer",
                "one left",
            ]
        ),
    ),
    max_size=12,
)


def disturb(world, faults):
    """Let calls fail, answers get lost and single items be handed back."""
    for operation, fault in faults:
        if fault == "lost answer":
            entry = lose_answer()
        elif fault != "one left":
            entry = fault
        elif operation == "batch_execute_statement":
            entry = refuse_statements(lambda row: row["Id"] == text("a"), "ThrottlingError")
        elif operation == "put_object":
            entry = THROTTLED
        else:
            entry = leave_unprocessed(lambda one: one["Id"] == text("a"))
        world.dynamodb.script(operation, entry)
        if operation == "put_object":
            world.s3.script(operation, entry)


@given(changes=CHANGES, data=st.data())
def test_any_order_and_repetition_ends_in_the_sources_state(changes, data):
    """FACTS 9.25-9.30: replays, permutations and any cut into batches converge."""
    with World() as world:
        for identifier, state in changes:
            world.change(identifier, state)
        records = data.draw(st.permutations(world.stream + world.stream[:4]))
        size = data.draw(st.integers(1, 5))

        for start in range(0, len(records), size):
            batch = records[start : start + size]
            assert world.deliver("replica", batch) == world.deliver("history", batch) == []

        assert world.dynamodb.items("replica") == world.dynamodb.items("source")
        assert sorted(row.change.event_id for row in world.rows()) == sorted(
            record["eventID"] for record in world.stream
        )


@given(changes=CHANGES, data=st.data())
def test_replays_while_the_source_goes_on_do_no_harm(changes, data):
    """FACTS 9.27, 9.30: between any two changes anything old may be delivered again."""
    with World() as world:
        for identifier, state in changes:
            before = len(world.stream)
            world.change(identifier, state)
            old = data.draw(st.lists(st.sampled_from(world.stream), max_size=3)) if before else []
            assert world.deliver("replica", world.stream[before:] + old) == []

        assert world.dynamodb.items("replica") == world.dynamodb.items("source")


@given(changes=CHANGES, faults=FAULTS, size=st.integers(1, 6))
def test_faults_delay_but_lose_nothing(changes, faults, size):
    """FACTS 9.32-9.36, 9.58: what is reported comes again, until all is as without faults."""
    with World() as world:
        for identifier, state in changes:
            world.change(identifier, state)
        disturb(world, faults)

        for consumer in ("history", "replica"):
            for start in range(0, len(world.stream), size):
                left = world.stream[start : start + size]
                for _ in range(ATTEMPTS):
                    if not left:
                        break
                    left = world.deliver(consumer, left)
                assert left == []

        assert world.dynamodb.items("replica") == world.dynamodb.items("source")
        assert [
            row.change.event_id for row in sorted(world.rows(), key=lambda row: row.sort_key)
        ] == [record["eventID"] for record in world.stream]
        assert world.quarantined() == []


POISON = [
    lambda record: with_image(record, {"Id": {"N": "x"}}),
    lambda record: without(record, "NewImage"),
    lambda record: {name: record[name] for name in record if name != "dynamodb"},
]


@given(
    poison=st.lists(st.tuples(st.integers(0, 29), st.sampled_from(POISON)), max_size=4),
    refused=st.sets(st.integers(0, 29), max_size=4),
    denied=st.sets(st.integers(0, 29), max_size=4),
    consumer=st.sampled_from(["history", "replica"]),
)
def test_every_record_has_exactly_one_fate(poison, refused, denied, consumer):
    """FACTS 9.52, 9.63: each record is stored, or quarantined whole, or comes again."""
    with World() as world:
        for n in range(30):
            world.change(f"{n:02d}", 1)
        records = list(world.stream)
        for position, spoil in poison:
            records[position] = spoil(world.stream[position])
        bad = {f"{n:02d}" for n in refused}
        late = {f"{n:02d}" for n in denied - refused}

        def answer(request, carry_out):
            if "Statements" in request:
                refuse = refuse_statements(lambda row: row["Id"]["S"] in bad, "ValidationError")
                return refuse_statements(lambda row: row["Id"]["S"] in late, "ThrottlingError")(
                    request, lambda **changed: refuse(request | changed, carry_out)
                )
            ((_table, writes),) = request["RequestItems"].items()
            ids = {write["PutRequest"]["Item"]["Id"]["S"] for write in writes}
            if ids & bad:
                raise INVALID
            return leave_unprocessed(lambda one: one["Id"]["S"] in late)(request, carry_out)

        for operation in ("batch_execute_statement", "batch_write_item"):
            world.dynamodb.always(operation, answer)

        again = world.deliver(consumer, records)

        poisoned = {position for position, _ in poison}
        quarantined = [records[n] for n in sorted(poisoned | refused)]
        reported = sorted((denied - refused) - poisoned)
        table = "trail" if consumer == "history" else "replica"
        stored = sorted({row["Id"]["S"] for row in world.dynamodb.items(table)})
        assert sorted(map(str, world.quarantined())) == sorted(map(str, quarantined))
        assert stored == [
            f"{n:02d}" for n in range(30) if n not in poisoned | refused | set(reported)
        ]
        assert again == (
            [record for record in records if sequence(record) >= sequence(records[reported[0]])]
            if reported
            else []
        )
