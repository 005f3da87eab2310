"""Compare and repair against an emulator, with the deployed handlers following a real stream."""

import contextlib
import json
import random
import signal
import subprocess
import sys
import threading
import uuid
from itertools import count

import boto3
import pytest

import history_writer.app
import replica_writer.app
from operations.deployed_tables import DeployedTables
from operations.errors import RefusedError
from operations.execution.pace import Pace
from operations.replica.compare import compare
from operations.replica.discrepancies import DiscrepancyKind
from operations.replica.reasons import Reason
from operations.replica.repair import repair
from reports.access.machine import Machine
from tests.comparison import keys_of
from tests.eventually import eventually
from tests.factories import item, lambda_context, lambda_form, number, text
from tests.tables import create_table

pytestmark = pytest.mark.functional

MISSING, DIFFERENT, EXTRANEOUS = DiscrepancyKind
HANDLERS = {"history": history_writer.app.handler, "replica": replica_writer.app.handler}
BOTH = tuple(HANDLERS)
# So many changes may be on their way at once: on a busy machine writing is slowed down with them.
MOST_ON_THEIR_WAY = 100
AT_ONCE = 20
ROUNDS = 60
# A difference counts when it lasts for so many records: longer than a change is on its way.
PATIENCE = 3 * (MOST_ON_THEIR_WAY + AT_ONCE)
# A program that repairs an item and is killed when it is written and not read again yet; whoever
# deletes it from the source in that moment is told of the delete's success before.
KILLED_REPAIR = """
import json, os, signal, sys
import boto3
from operations.deployed_tables import DeployedTables
from operations.execution.pace import Pace
from operations.replica.repair import repair
from replica_writer.tables import ReplicaTable
given = json.loads(sys.argv[1])
session = boto3.Session("test", "test", region_name=given["region"])
deployment = DeployedTables(session=session, **given["deployment"])
write = ReplicaTable.write
def write_and_die(self, *arguments):
    write(self, *arguments)
    deployment.dynamodb.delete_item(TableName=deployment.source_table, Key=given["key"])
    os.kill(os.getpid(), signal.SIGKILL)
ReplicaTable.write = write_and_die
repair(deployment, [given["key"]], apply=True, state_path=given["state"], pace=Pace(patience_s=0.4))
"""
# Where there are no writes meanwhile.
SOON = Pace(patience_s=0.4)


class System:
    """A source with a stream, its history and its replica, and the two handlers."""

    def __init__(self, dynamodb, streams, names, deployment):
        self.dynamodb, self.streams, self.names = dynamodb, streams, names
        self.deployment = deployment
        self.written = self.handled = 0
        self._slept = 0
        # Time is what the handlers have done: a fast machine and a busy one see the same.
        machine = Machine(clock=self._clock, sleep=self._sleep)
        self.pace = Pace(patience_s=PATIENCE, machine=machine)
        self.is_written_to = False
        self.deleted = set()
        described = dynamodb.update_table(
            TableName=names.source,
            StreamSpecification={
                "StreamEnabled": True,
                "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
        )
        self.arn = described["TableDescription"]["LatestStreamArn"]
        (shard,) = streams.describe_stream(StreamArn=self.arn)["StreamDescription"]["Shards"]
        self._iterator = streams.get_shard_iterator(
            StreamArn=self.arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]

    def put(self, *items):
        self._write(self.names.source, [{"PutRequest": {"Item": one}} for one in items])

    def delete(self, *identifiers):
        self._write(
            self.names.source, [{"DeleteRequest": {"Key": item(one)}} for one in identifiers]
        )

    def put_replica(self, *items):
        self._write(self.names.replica, [{"PutRequest": {"Item": one}} for one in items])

    def _clock(self):
        return self.handled + self._slept

    def _sleep(self, records):
        """Wait until the handlers have done so many records more, or there are none left to do."""
        until = self._clock() + records
        eventually(lambda: self._clock() >= until or self._is_at_rest())
        self._slept += max(0, until - self._clock())

    def _is_at_rest(self):
        return not self.is_written_to and self.handled == self.written

    @contextlib.contextmanager
    def written_to(self, names):
        """In the background, put and delete items at random, in so many rounds and no more."""
        rng = random.Random(5)  # noqa: S311 - to be repeated, not to be secret
        rounds = count(1)

        def write():
            if self.is_written_to and self.written - self.handled <= MOST_ON_THEIR_WAY:
                self.change_at_random(rng, names)
                self.is_written_to = next(rounds) < ROUNDS

        self.is_written_to = True
        with in_background(write):
            yield
            eventually(lambda: not self.is_written_to)

    def change_at_random(self, rng, names):
        """Put and delete some of the items."""
        some = set(rng.sample(names, AT_ONCE))
        gone = set(rng.sample(sorted(some - self.deleted), AT_ONCE // 5))
        # Every put is another state: one that changes nothing would be no record.
        self.put(*(version(name, self.written + n) for n, name in enumerate(sorted(some - gone))))
        self.delete(*sorted(gone))
        self.deleted = (self.deleted - some) | gone

    def _write(self, table, requests):
        for start in range(0, len(requests), 25):
            some = requests[start : start + 25]
            answer = self.dynamodb.batch_write_item(RequestItems={table: some})
            assert answer["UnprocessedItems"] == {}
            self.written += len(some) if table == self.names.source else 0

    def follow(self, *writers):
        """Hand the records that are there to some of the handlers; to none: they are lost."""
        while True:
            page = self.streams.get_records(ShardIterator=self._iterator)
            self._iterator = page["NextShardIterator"]
            if not page["Records"]:
                return
            event = {"Records": [self._as_delivered(one) for one in page["Records"]]}
            for writer in writers:
                answer = HANDLERS[writer](event, lambda_context(60_000))
                assert answer == {"batchItemFailures": []}
            self.handled += len(page["Records"])

    @contextlib.contextmanager
    def followed(self):
        """Both handlers follow the stream in the background, to its end when the block is left."""
        with in_background(lambda: self.follow(*BOTH)):
            yield
        self.follow(*BOTH)

    def of(self, table):
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        found = [one for page in pages for one in page["Items"]]
        return sorted(found, key=lambda one: one["Id"]["S"])

    def of_source(self):
        return self.of(self.names.source)

    def of_replica(self):
        return self.of(self.names.replica)

    def compare(self, **options):
        comparison = compare(self.deployment, **{"pace": SOON} | options)
        found = {one.keys["Id"]["S"]: one for one in comparison}
        assert comparison.summary.is_complete
        return found, comparison.summary

    def _as_delivered(self, record):
        body = record["dynamodb"]
        seconds = body["ApproximateCreationDateTime"].timestamp()
        body = body | {"ApproximateCreationDateTime": seconds}
        return lambda_form(record | {"dynamodb": body, "eventSourceARN": self.arn})


@contextlib.contextmanager
def in_background(work):
    """Do some work again and again for as long as the block lasts; its errors are raised here."""
    ended, errors = threading.Event(), []

    def loop():
        try:
            while not ended.wait(0.002):
                work()
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    if errors:
        raise errors[0]


@pytest.fixture
def make_system(local_stack, dynamodb, make_tables, monkeypatch):
    """A factory of systems; the handlers are those of the one made last."""
    with contextlib.ExitStack() as closing:

        def make():
            names = make_tables()
            environment = local_stack.environment() | {
                "POWERTOOLS_SERVICE_NAME": uuid.uuid4().hex,
                "POWERTOOLS_METRICS_DISABLED": "true",
                "LOG_LEVEL": "WARNING",
                "SOURCE_TABLE_ARN": names.source_arn,
                "HISTORY_TABLE": names.history,
                "OVERFLOW_BUCKET": names.overflow,
                "TIME_SHARDS": "4",
                "SOURCE_TABLE": names.source,
                "REPLICA_TABLE": names.replica,
                "QUARANTINE_BUCKET": names.quarantine,
            }
            for name, value in environment.items():
                monkeypatch.setenv(name, value)
            monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
            for app in (history_writer.app, replica_writer.app):
                app._parts.cache_clear()
                closing.callback(app._parts.cache_clear)
            deployment = DeployedTables(
                names.source,
                local_stack.session(),
                history_table=names.history,
                replica_table=names.replica,
            )
            closing.callback(deployment.pool.shutdown)
            streams = closing.enter_context(
                contextlib.closing(local_stack.client("dynamodbstreams"))
            )
            return System(dynamodb, streams, names, deployment)

        yield make


@pytest.fixture
def system(make_system):
    return make_system()


def version(identifier, number_):
    return item(identifier, Version=number(number_), Binary={"B": b"\x00\xff"})


def reasons(found):
    return {identifier: (one.kind, one.reason) for identifier, one in found.items()}


def test_every_class_is_found_and_healed(system):
    """Each way an item can go wrong, produced on purpose with the handlers themselves."""
    system.put(version("older", 1))
    system.follow()
    system.put(
        *(version(name, 1) for name in ("fine", "late", "deleted", "bent", "lost", "lost too"))
    )
    system.follow(*BOTH)
    system.put(version("late", 2), version("new", 1))
    system.put(version("late", 3))
    system.delete("deleted")
    system.follow("history")
    system.put(version("lost", 2))
    system.delete("lost too")
    system.follow()
    system.put_replica(version("bent", 99), version("foreign", 1))

    found, summary = system.compare()
    dry = repair(system.deployment, keys_of(found.values()), pace=SOON)
    unchanged, _ = system.compare()
    result = repair(system.deployment, keys_of(found.values()), apply=True, pace=SOON)
    left, _ = system.compare()

    assert (
        reasons(found)
        == reasons(unchanged)
        == {
            "older": (MISSING, Reason.NOT_BACKFILLED),
            "late": (DIFFERENT, Reason.LAGGING),
            "new": (MISSING, Reason.LAGGING),
            "deleted": (EXTRANEOUS, Reason.LAGGING),
            "bent": (DIFFERENT, Reason.CORRUPT),
            "foreign": (EXTRANEOUS, Reason.FOREIGN_WRITE),
            "lost": (DIFFERENT, Reason.LOST_EVENT),
            "lost too": (EXTRANEOUS, Reason.LOST_EVENT),
        }
    )
    assert found["late"].explanation.changes_behind == 2
    assert summary.looked_at == 9
    assert (dry.applied, dry.healed, dry.differing) == (False, 0, summary.kinds)
    assert result.is_clean
    assert result.healed == 8
    assert left == {}
    assert system.of_replica() == system.of_source()


def test_heavy_live_writing_makes_no_finding(system):
    """Changes at every moment, and the handlers close behind: only what was planted is found."""
    hot, cold = ([f"{kind}{n:03d}" for n in range(100)] for kind in ("hot", "cold"))
    system.put(*(version(name, 0) for name in (*hot, *cold)))
    system.follow(*BOTH)
    planted = {"cold007", "cold070"}
    system.put_replica(*(version(name, 99) for name in planted))

    with system.followed(), system.written_to(hot):
        found, summary = system.compare(pace=system.pace, segments=2)
    changes = system.written - 200
    left, at_rest = system.compare()

    assert reasons(found) == dict.fromkeys(planted, (DIFFERENT, Reason.CORRUPT))
    assert {one["Id"]["S"] for one in summary.restless} <= set(hot)
    assert changes == ROUNDS * AT_ONCE
    assert left.keys() == planted
    assert at_rest.restless == ()


def test_a_repair_never_undoes_a_newer_write(system):
    """Items under repair are written to all the while, and the handlers follow: all ends equal."""
    hot, cold = ([f"{kind}{n:03d}" for n in range(60)] for kind in ("hot", "cold"))
    names = [*hot, *cold]
    options = {"apply": True, "pace": system.pace}
    system.put(*(version(name, 0) for name in names))
    system.follow(*BOTH)

    results = []
    with system.followed(), system.written_to(hot):
        for _ in range(3):
            system.put_replica(*(version(name, 99) for name in names[::3]))
            results.append(repair(system.deployment, map(item, names), **options))

    assert system.of_replica() == system.of_source()
    # At the least those that nothing else would heal.
    assert all(result.healed >= len(cold[::3]) for result in results)
    assert [result.unhealed for result in results] == [()] * 3


def test_a_sample_of_a_living_table(system):
    """A part of the items, by hash, through the real service's pages."""
    system.put(*(version(f"{n:03d}", 0) for n in range(200)))
    system.follow(*BOTH)

    found, summary = system.compare(sample=0.5)

    assert found == {}
    assert 60 < summary.looked_at < 140
    assert summary.share_at_most < 0.05
    assert (summary.source_items, summary.replica_items) == (200, 200)


def test_a_replica_in_another_region(local_stack, make_system):
    """It is read and written where it is; the same name there is another table."""
    system = make_system()
    session = local_stack.session()
    with contextlib.closing(session.client("dynamodb", region_name="eu-west-1")) as there:
        there.create_table(
            TableName=system.names.source,
            KeySchema=[{"AttributeName": "Id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "Id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        there.put_item(TableName=system.names.source, Item=version("2", 1))
        system.put(version("1", 1))
        system.follow("history")
        deployment = DeployedTables(
            system.names.source,
            session,
            history_table=system.names.history,
            replica_table=system.names.source,
            replica_region="eu-west-1",
        )

        found = {one.keys["Id"]["S"]: one.reason for one in compare(deployment, pace=SOON)}
        result = repair(deployment, [item("1"), item("2")], apply=True, pace=SOON)
        copies = there.scan(TableName=system.names.source)["Items"]
        deployment.pool.shutdown()

    assert found == {"1": Reason.LAGGING, "2": Reason.FOREIGN_WRITE}
    assert result.is_clean
    assert copies == system.of_source()


def test_the_source_itself_is_refused(system):
    """By name and region, and by whatever else leads to the same table."""
    itself = DeployedTables(
        system.names.source,
        system.deployment.session,
        replica_table=system.names.source,
        replica_region=system.deployment.session.region_name,
    )

    with pytest.raises(RefusedError, match="the source table itself"):
        compare(itself, pace=SOON)
    with pytest.raises(RefusedError, match="the source table itself"):
        repair(itself, [{"Id": text("1")}], apply=True, pace=SOON)


def test_a_killed_repair_leaves_no_zombie(system, local_stack, tmp_path):
    """Killed between write and read, its item deleted meanwhile: the next repair takes it away."""
    system.put(version("1", 1), version("2", 1))
    state = tmp_path / "state"
    tables = {"source_table": system.names.source, "replica_table": system.names.replica}
    given = {"region": local_stack.session().region_name, "deployment": tables}
    given |= {"key": item("1"), "state": str(state)}

    killed = subprocess.run(
        [sys.executable, "-c", KILLED_REPAIR, json.dumps(given)],
        env=local_stack.environment(),
        check=False,
    )
    zombies = system.of_replica()
    result = repair(system.deployment, [item("2")], apply=True, state_path=state, pace=SOON)

    assert killed.returncode == -signal.SIGKILL
    assert zombies == [version("1", 1)]
    assert (result.looked_at, result.deleted, result.is_clean) == (2, 1, True)
    assert system.of_replica() == system.of_source() == [version("2", 1)]
    assert not state.exists()


def test_an_emptied_source_does_not_empty_the_replica(system):
    """Deleted and made anew under its name, empty: only who names the replica has it emptied."""
    system.put(*(version(f"{n:03d}", 1) for n in range(60)))
    system.follow(*BOTH)
    keys = [item(f"{n:03d}") for n in range(60)]
    before = system.of_replica()
    system.dynamodb.delete_table(TableName=system.names.source)
    create_table(system.dynamodb, system.names.source, {"Id": "S"})

    planned = repair(system.deployment, keys, pace=SOON)
    with pytest.raises(RefusedError, match=r"60 of about 60 items would be deleted .*--deletes"):
        repair(system.deployment, keys, apply=True, pace=SOON)
    kept = system.of_replica()
    meant = repair(system.deployment, keys, apply=True, deletes=system.names.replica, pace=SOON)

    assert "would be deleted from the replica" in planned.ended
    assert kept == before
    assert (meant.deleted, system.of_replica()) == (60, [])


def test_the_history_of_another_table_repairs_nothing(make_system):
    """A foreign history is refused in one line, before anything is written."""
    other, system = make_system(), make_system()
    for each in (other, system):
        each.put(version("1", 1))
    system.follow("history")
    mixed = DeployedTables(
        other.names.source,
        system.deployment.session,
        history_table=system.names.history,
        replica_table=other.names.replica,
    )

    with pytest.raises(RefusedError, match=f"is of .*{system.names.source}, not of"):
        repair(mixed, [item("1")], apply=True, pace=SOON)

    assert other.of_replica() == []
    mixed.pool.shutdown()
