"""What is about to be written is looked at once more, when no late write can be on its way."""

import json
from types import SimpleNamespace

import boto3
import pytest
from moto import mock_aws

from replica_writer import second_look
from replica_writer.look import SecondLook
from replica_writer.look_queue import Look, LookQueue
from replica_writer.settings import ReplicaSettings
from replica_writer.tables import SourceTable
from replica_writer.writer import ReplicaWriter
from stream_core.batch import Outcome
from stream_core.errors import MalformedRecordError, SettingsError
from tests.factories import (
    TABLE_ARN,
    Clock,
    deliveries,
    inserts,
    item,
    lambda_context,
    number,
    one_attempt,
    text,
)
from tests.fakes import DENIED, THROTTLED, client_error, refuse_call
from tests.two_tables import TwoTables, factory

WRITE, READ = "batch_write_item", "batch_get_item"
NOW = 1_796_012_712.5


class Looked(TwoTables):
    """A source and a replica whose writes are announced to a queue of moto's."""

    def __init__(self, *key_names, **options):
        super().__init__(*key_names, **options)
        self.now = NOW
        sqs = boto3.client("sqs", region_name="eu-west-1")
        url = sqs.create_queue(QueueName="looks")["QueueUrl"]
        self.sent = []
        self.failures = []
        real = sqs.send_message

        def send(**request):
            # Moto's time is the machine's: what would be delayed is kept instead.
            if self.failures:
                raise self.failures.pop(0)
            self.sent.append(request)
            return real(**request)

        self.sqs = SimpleNamespace(send_message=send)
        self.queue = LookQueue(self.sqs, url, lambda: self.now)
        object.__setattr__(self.settler, "queue", self.queue)
        self.look = SecondLook(self.settler, SourceTable(self.replica, "replica"), self.queue)

    def bodies(self):
        return [json.loads(request["MessageBody"]) for request in self.sent]

    def take(self, patience=None):
        """Deal with the oldest message; whether it is done with, and what became of it."""
        outcome = Outcome()
        body = self.sent.pop(0)["MessageBody"]
        return self.look.take(body, patience or one_attempt(), outcome), outcome


@pytest.fixture
def looked(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws(), factory(Looked) as make:
        yield make("Id")


def keys_of(items):
    return {one["Id"]["S"]: {"Id": one["Id"]} for one in items}


def test_keys_are_announced_before_the_first_write(looked):
    """They are due when the invocation has ended and its last request has died of age."""
    looked.source.put("source", item("1"))
    before = []
    looked.replica.script(
        WRITE, lambda _request, carry_out: before.append(len(looked.sent)) or carry_out()
    )

    settled = looked.settler.settle(keys_of([item("1")]), Clock(left_ms=50_000).patience)

    assert settled.unsettled == set()
    assert before == [1]
    (body,) = looked.bodies()
    assert body == {"Format": 1, "Due": NOW + 50 + 16 * 60, "Keys": [{"Id": {"S": "1"}}]}
    assert looked.sent[0]["DelaySeconds"] == 900


@pytest.mark.parametrize("error", [DENIED, THROTTLED, RuntimeError()])
def test_nothing_is_written_that_could_not_be_announced(looked, error):
    """If the send fails, the batch is unstored."""
    records = inserts(3)
    looked.failures = [error] * 3

    outcome = ReplicaWriter(looked.settler).store(deliveries(records), one_attempt())

    assert len(outcome.unstored) == len(records)
    assert looked.replica.calls == []
    assert sum(outcome.errors.values()) == 1


def test_a_send_that_fails_in_passing_is_made_again(looked):
    """An announcement is worth waiting for."""
    looked.failures = [client_error("ThrottlingException")]

    settled = looked.settler.settle(keys_of([item("1")]), Clock().patience)

    assert settled.unsettled == set()
    assert len(looked.sent) == 1


def test_messages_are_cut_by_bytes(looked):
    """A message of keys is at most 200 KB, whatever the keys are."""
    long_keys = [item(f"{n:03d}" + "ü" * 1000) for n in range(250)]

    looked.queue.announce(keys_of(long_keys).values(), one_attempt())

    assert len(looked.sent) > 2
    assert all(len(sent["MessageBody"].encode()) <= 201 * 1024 for sent in looked.sent)
    announced = [key["Id"]["S"] for body in looked.bodies() for key in body["Keys"]]
    assert sorted(announced) == sorted(keys_of(long_keys))


def test_binary_keys_come_back_as_they_were():
    """A key of the queue is the same bytes, of the same type."""
    sent = []
    sqs = SimpleNamespace(send_message=lambda **request: sent.append(request))
    key = {"Pk": {"B": b"\x00\xff"}, "Sk": number("1.0")}

    LookQueue(sqs, "url").announce([key], one_attempt())

    assert Look.read(sent[0]["MessageBody"]).keys == [key]


@pytest.mark.parametrize("body", ["", "{}", "[]", '{"Format": 2, "Due": 1, "Keys": []}', "1"])
def test_a_message_that_is_not_ours_is_not_done_with(looked, body):
    """It stays, and ends where somebody sees it."""
    with pytest.raises(MalformedRecordError):
        Look.read(body)
    outcome = Outcome()

    assert not looked.look.take(body, one_attempt(), outcome)
    assert sum(outcome.errors.values()) == 1


@pytest.mark.parametrize(("early", "delay"), [(2000, 900), (60.2, 61)])
def test_a_message_that_is_too_early_is_passed_on(looked, early, delay):
    """A queue delays 15 minutes at the most: what is not due is sent on with what remains."""
    looked.queue.announce([{"Id": text("1")}], one_attempt())
    due = looked.bodies()[0]["Due"]
    looked.now = due - early

    is_done, outcome = looked.take()

    assert is_done
    assert not outcome.counts
    assert looked.sent[0]["DelaySeconds"] == delay
    assert looked.bodies()[0]["Due"] == due
    assert not looked.source.calls


def test_a_message_that_cannot_be_passed_on_stays(looked):
    """What is not known to be sent on is not done with."""
    looked.queue.announce([{"Id": text("1")}], one_attempt())
    looked.failures = [DENIED]

    is_done, outcome = looked.take()

    assert not is_done
    assert outcome.errors == {"AccessDeniedException": 1}


def due(looked, *items):
    looked.queue.announce([{"Id": one["Id"]} for one in items], one_attempt())
    looked.now += 17 * 60


def test_what_differs_is_healed_and_looked_at_again(looked):
    """Only differences are written; the message stays until a look finds none."""
    same, stale, undead, missing = item("1"), item("2", V=text("old")), item("3"), item("4")
    for one in (same, item("2", V=text("new")), missing):
        looked.source.put("source", one)
    for one in (same, stale, undead):
        looked.replica.put("replica", one)
    due(looked, same, stale, undead, missing)
    (message,) = looked.sent

    is_done, outcome = looked.take()

    assert not is_done
    assert looked.of_replica() == looked.of_source()
    assert outcome.counts == {"SecondLooks": 4, "Healed": 3}
    looked.sent.append(message)
    assert looked.take()[0]
    assert looked.sent == []
    written = [
        request
        for call in looked.replica.requests(WRITE)
        for request in call["RequestItems"]["replica"]
    ]
    assert len(written) == 3


def test_equality_ends_the_chain(looked):
    """Nothing is written and nothing announced where both tables agree, read consistently."""
    for table, name in ((looked.source, "source"), (looked.replica, "replica")):
        table.put(name, item("1", n=number("1.50"), s={"SS": ["a", "b"]}))
    due(looked, item("1"), item("2"))

    is_done, outcome = looked.take()

    assert is_done
    assert outcome.counts == {"SecondLooks": 2, "Healed": 0}
    assert looked.sent == []
    assert looked.replica.requests(WRITE) == []
    reads = [*looked.source.requests(READ), *looked.replica.requests(READ)]
    assert all(one["ConsistentRead"] for read in reads for one in read["RequestItems"].values())


@pytest.mark.parametrize("side", ["source", "replica"])
@pytest.mark.parametrize("error", [THROTTLED, DENIED, KeyError("Responses")])
def test_what_cannot_be_read_stays_in_the_queue(looked, side, error):
    """An item that was not compared is not done with."""
    getattr(looked, side).always(READ, error)
    due(looked, item("1"))

    is_done, outcome = looked.take()

    assert not is_done
    assert outcome.errors
    assert looked.replica.requests(WRITE) == []


@pytest.mark.parametrize(
    "trouble", [THROTTLED, refuse_call(lambda _one: True), RuntimeError("any")]
)
def test_what_cannot_be_healed_stays_in_the_queue(looked, trouble):
    """Unfinished keys are delivered again by the queue."""
    looked.source.put("source", item("1"))
    looked.replica.always(WRITE, trouble)
    due(looked, item("1"))

    is_done, outcome = looked.take()

    assert not is_done
    assert outcome.counts["Healed"] == 0
    # The message that stays is enough: one more each time would be thousands within hours.
    assert looked.sent == []


def test_an_item_that_never_rests_has_a_look_of_its_own(looked):
    """Whoever is announced is acknowledged: a busy item holds nobody up, and is healed later."""
    records = inserts(2)
    for delivery in deliveries(records):
        looked.source.put("source", delivery.change.new_image)
    versions = iter(range(10**6))

    def change(_request, carry_out):
        looked.source.put("source", item("item-000", Version=number(next(versions))))
        return carry_out()

    looked.source.always(READ, change)
    clock = Clock()

    outcome = ReplicaWriter(looked.settler).store(deliveries(records), clock.patience)

    assert outcome.unstored == []
    assert outcome.counts["Restless"] == 1
    assert clock.pauses_s == []
    assert len(looked.sent) == 1


def test_a_late_write_is_healed(looked):
    """A write that took effect after its sender had given it up is gone after the look."""
    looked.source.put("source", item("1", V=number(2)))
    looked.settler.settle(keys_of([item("1")]), one_attempt())
    looked.replica.put("replica", item("1", V=number(1)))
    looked.now += 17 * 60

    _, outcome = looked.take()

    assert outcome.counts["Healed"] == 1
    assert looked.of_replica() == looked.of_source()


SETTINGS = {
    "AWS_REGION": "eu-west-1",
    "SOURCE_TABLE": "source",
    "REPLICA_TABLE": "replica",
    "SOURCE_TABLE_ARN": TABLE_ARN.replace("Employee", "source"),
    "QUARANTINE_BUCKET": "quarantine",
    "SECOND_LOOK_QUEUE": "https://sqs.example/looks",
}


def test_a_look_needs_the_source():
    """With SETTLE=false there is nothing to compare with."""
    with pytest.raises(SettingsError, match="SECOND_LOOK_QUEUE needs SETTLE"):
        ReplicaSettings.read(SETTINGS | {"SETTLE": "false"})


def test_the_handler_names_the_messages_that_stay(looked, monkeypatch, capsys):
    """Lambda deletes all messages but those that are reported; the counts become metrics.

    What was healed is looked at once more, so its message stays too.
    """
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "trail-second-look")
    monkeypatch.setattr(second_look, "_parts", lambda: looked.look)
    looked.source.put("source", item("1"))
    due(looked, item("1"))
    healed = looked.sent.pop()["MessageBody"]
    due(looked, item("2"))
    equal = looked.sent.pop()["MessageBody"]
    bodies = {"bad": "{}", "healed": healed, "equal": equal}
    event = {"Records": [{"messageId": name, "body": body} for name, body in bodies.items()]}

    answer = second_look.handler(event, lambda_context())

    stay = [{"itemIdentifier": name} for name in ("bad", "healed")]
    assert answer == {"batchItemFailures": stay}
    metrics = [line for line in capsys.readouterr().out.splitlines() if "CloudWatchMetrics" in line]
    assert json.loads(metrics[0])["Healed"] == [1.0]


@pytest.mark.parametrize("queue", ["", "https://sqs.example/looks"])
def test_the_handler_is_wired_by_the_settings(monkeypatch, queue):
    """Without a queue it refuses to start; no part of it reaches the network to be made."""
    for name, value in (SETTINGS | {"SECOND_LOOK_QUEUE": queue}).items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    second_look._parts.cache_clear()
    if queue:
        look = second_look._parts()
        assert look.settler.queue.url == queue
        assert (look.settler.source.name, look.replica.name) == ("source", "replica")
    else:
        with pytest.raises(SettingsError, match="SECOND_LOOK_QUEUE is not set"):
            second_look._parts()
    second_look._parts.cache_clear()
