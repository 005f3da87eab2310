"""Backfill on an emulator, beside a second writer and the real consumers, killed and resumed."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from history_writer.overflow_bucket import OverflowBucket
from history_writer.writer import HistoryWriter
from operations.backfill.plan import backfill
from operations.deployed_tables import DeployedTables
from operations.enable import Stream, enable
from operations.errors import RefusedError
from operations.execution.pace import Pace
from replica_writer.settle import Settler
from replica_writer.tables import ReplicaTable, SourceTable
from replica_writer.writer import ReplicaWriter
from reports.access.machine import Machine
from reports.access.row_reader import RowReader
from reports.states.timeline import Certainty, judge
from reports.verification.gaps import read_gaps
from reports.verification.verdicts import Verdict
from reports.verification.verify import verify
from stream_core.batch import consume
from stream_core.history_row import HistoryRow
from stream_core.item_id import CONTROL_ID
from stream_core.quarantine import Quarantine
from tests import export_files as made
from tests.eventually import GIVEN_UP_AFTER_S
from tests.factories import (
    Clock,
    item,
    number,
    text,
)

pytestmark = pytest.mark.functional

ROOT = Path(__file__).resolve().parents[2]
NOTHING_FAILED = {"batchItemFailures": []}
ITEMS, SEGMENTS, WRITES = 150, 3, 800
# Changed before the backfill begins, or never: whatever else happens there are some of each.
CHANGED_FIRST, NEVER_CHANGED = 10, 10
# A program that writes so many times; tells how many changes that made.
WRITER = """
import json, random, sys, time
import boto3
given = json.loads(sys.argv[1])
dice, table = random.Random(given["seed"]), given["table"]
client = boto3.Session("test", "test", region_name=given["region"]).client(
    "dynamodb", endpoint_url=given["url"])
changes = 0
for number in range(given["writes"]):
    key = {"Id": {"S": f"{dice.randrange(given['first'], given['items'] * 5 // 4):04d}"}}
    kind = dice.random()
    if kind < 0.3:
        answer = client.delete_item(TableName=table, Key=key, ReturnValues="ALL_OLD")
        changes += "Attributes" in answer
    elif kind < 0.6:
        client.put_item(TableName=table, Item={**key, "Count": {"N": str(number)}})
        changes += 1
    else:
        client.update_item(TableName=table, Key=key, UpdateExpression="ADD Times :one",
            ExpressionAttributeValues={":one": {"N": "1"}})
        changes += 1
    time.sleep(0.002)
print(changes)
"""
# A program that backfills; after so many saves of its state it is killed in the middle of its work.
BACKFILL = """
import dataclasses, json, os, signal, sys
import boto3
from botocore.client import BaseClient
from operations.backfill.plan import backfill
from operations.deployed_tables import DeployedTables
from operations.execution.pace import Pace
given = json.loads(sys.argv[1])
replace, request = os.replace, BaseClient._make_api_call
saves = requests = 0
def counted_replace(*paths, **options):
    global saves
    replace(*paths, **options)
    saves += 1
def counted_request(*arguments):
    global requests
    requests += saves >= given["saves"]
    if requests == given["requests"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return request(*arguments)
if given["saves"]:
    os.replace, BaseClient._make_api_call = counted_replace, counted_request
session = boto3.Session("test", "test", region_name=given["region"])
deployment = DeployedTables(session=session, **given["deployment"])
result = backfill(deployment, pace=Pace(given["rate"]), **given["options"])
print(json.dumps(dataclasses.asdict(result), default=str))
"""


@dataclass
class System:
    """One test's tables, a deployment on them, and the consumers that follow the stream."""

    stack: object
    dynamodb: object
    s3: object
    names: object
    deployment: DeployedTables

    def put(self, *items):
        for one in items:
            self.dynamodb.put_item(TableName=self.names.source, Item=one)

    def scan(self, table):
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        return {one["Id"]["S"]: one for page in pages for one in page["Items"]}

    def rows(self):
        """All rows, by item and then in their order."""
        pages = self.dynamodb.get_paginator("scan").paginate(
            TableName=self.names.history, ConsistentRead=True
        )
        stored = (one for page in pages for one in page["Items"] if one["Id"]["S"] != CONTROL_ID)
        rows = [HistoryRow.from_item(one) for one in stored]
        return sorted(rows, key=lambda row: (row.id, row.sort_key))

    def program(self, text_, given):
        """Start a program of the same Python, on the same emulator."""
        given = {"region": self.stack.region, "url": self.stack.endpoint_url, **given}
        return subprocess.Popen(
            [sys.executable, "-c", text_, json.dumps(given)],
            cwd=ROOT,
            env=self.stack.environment(),
            stdout=subprocess.PIPE,
            text=True,
        )

    def backfill(self, state_path, *, killed_after=None, rate=None, **options):
        """Backfill in a program of its own; gives its exit status and what it printed.

        Args:
            state_path: the state that is saved, and gone on from.
            killed_after: after how many saves, and how many requests after that, it is killed.
            rate: items a second.
            options: those of `backfill`.
        """
        names = self.names
        deployment = {
            "source_table": names.source,
            "endpoint_url": self.stack.endpoint_url,
            "history_table": names.history,
            "time_shards": 4,
            "overflow_bucket": names.overflow,
            "replica_table": names.replica,
        }
        options = {"apply": True, "segments": SEGMENTS, "state_path": str(state_path), **options}
        saves, requests = killed_after or (None, None)
        program = self.program(
            BACKFILL,
            {
                "deployment": deployment,
                "options": options,
                "rate": rate,
                "saves": saves,
                "requests": requests,
            },
        )
        output, _ = program.communicate(timeout=GIVEN_UP_AFTER_S)
        return program.returncode, output


@pytest.fixture
def system(local_stack, dynamodb, s3, make_tables):
    names = make_tables()
    deployment = DeployedTables(
        names.source,
        session=local_stack.session(),
        history_table=names.history,
        time_shards=4,
        overflow_bucket=names.overflow,
        replica_table=names.replica,
    )
    # The clients of the session, instead of ones to be closed.
    pool = deployment.pool
    deployment.dynamodb, deployment.s3 = dynamodb, s3
    deployment.reader = RowReader(dynamodb, s3, names.history, names.source, 4)
    overflow = OverflowBucket(s3, names.overflow)
    deployment.history_writer = HistoryWriter(dynamodb, overflow, names.history, 4, pool)
    replica, source = ReplicaTable(dynamodb, names.replica), SourceTable(dynamodb, names.source)
    deployment.settler = Settler(replica, source, pool)
    yield System(local_stack, dynamodb, s3, names, deployment)
    pool.shutdown()


class Follower(threading.Thread):
    """One consumer of a stream: every record, in order, some batches twice."""

    def __init__(self, system, arn, store, name):
        super().__init__(name=name)
        self._system, self._arn, self._store = system, arn, store
        self._is_last_round = threading.Event()
        self.records = 0
        self.answers = []

    def run(self):
        quarantine = Quarantine(self._system.s3, self._system.names.quarantine, self.name)
        with contextlib.closing(self._system.stack.client("dynamodbstreams")) as streams:
            (shard,) = streams.describe_stream(StreamArn=self._arn)["StreamDescription"]["Shards"]
            iterator = streams.get_shard_iterator(
                StreamArn=self._arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while True:
                is_last_round = self._is_last_round.is_set()
                page = streams.get_records(ShardIterator=iterator, Limit=40)
                iterator = page["NextShardIterator"]
                records = [one | {"eventSourceARN": self._arn} for one in page["Records"]]
                self.records += len(records)
                for _ in range(1 + len(records) % 2 if records else 0):
                    event = {"Records": records}
                    table_arn = self._arn.partition("/stream/")[0]
                    summary = consume(event, table_arn, self._store, quarantine, Clock().patience)
                    self.answers.append(summary.response)
                if not records and is_last_round:
                    return
                time.sleep(0.05)

    def finish(self):
        """Have what is left handled, and end."""
        self._is_last_round.set()
        self.join(GIVEN_UP_AFTER_S)
        assert not self.is_alive()
        assert [one for one in self.answers if one != NOTHING_FAILED] == []


@contextlib.contextmanager
def following(system, arn):
    """Both consumers at work."""
    deployment = system.deployment
    followers = [
        Follower(system, arn, deployment.history_writer.store, "history"),
        Follower(system, arn, ReplicaWriter(deployment.settler).store, "replica"),
    ]
    for one in followers:
        one.start()
    try:
        yield followers
    finally:
        for one in followers:
            one.finish()


@pytest.mark.bank
def test_a_backfill_beside_a_writer_is_whole(system, tmp_path):
    """Killed and resumed several times: replica = source, every item explained, none undead."""
    system.put(*(item(f"{n:04d}", Count=number(9)) for n in range(ITEMS)))
    arn = enable(system.deployment.session, None, system.names.source, apply=True, pace=Pace()).arn
    path = tmp_path / "state"
    writing = {"table": system.names.source, "first": CHANGED_FIRST + NEVER_CHANGED}
    writing |= {"items": ITEMS, "writes": WRITES, "seed": 7}
    system.put(*(item(f"{n:04d}", Count=number(10)) for n in range(CHANGED_FIRST)))

    with following(system, arn) as followers:
        writer = system.program(WRITER, writing)
        killed = [
            system.backfill(path, rate=40, killed_after=(saves, requests))[0]
            for saves, requests in ((1, 2), (2, 5), (3, 1))
        ]
        _, output = system.backfill(path)
        changes, _ = writer.communicate(timeout=GIVEN_UP_AFTER_S)

    result = json.loads(output)
    assert killed == [-signal.SIGKILL] * 3
    assert (result["finished"], result["problems"], result["unfinished"]) == (True, [], [])
    records = CHANGED_FIRST + int(changes)
    assert [follower.records for follower in followers] == [records, records]
    source, replica = system.scan(system.names.source), system.scan(system.names.replica)
    assert replica == source
    assert not path.exists()
    _check_history(system, result, source, tmp_path)


def _check_history(system, result, source, tmp_path):
    """Nothing is missing but what is declared; as of any time the answer is the only one."""
    reader = system.deployment.reader
    gaps_path = tmp_path / "gaps.json"
    gaps_path.write_text(json.dumps([result["gap"]]))
    gaps = read_gaps(gaps_path, reader.key_schema)
    # Every record has become a row: there is nothing to wait for.
    verification = verify(reader, None, gaps, machine=Machine(sleep=lambda _seconds: None))
    assert [one for one in verification.findings if one.declared is None] == []
    assert verification.integrity is Verdict.HOLDS
    # Some were changed before the backfill came to them, and some were not.
    assert CHANGED_FIRST <= len(verification.findings) <= ITEMS - NEVER_CHANGED
    per_item = [row.id for row in system.rows() if row.change.event_name == "SNAPSHOT"]
    assert len(per_item) == len(set(per_item))
    now = datetime.now(UTC)
    for one in source.values():
        state = judge(reader.evidence({"Id": one["Id"]}, now, now))
        assert (state.image, state.certainty) == (one, Certainty.EXACT)


def test_a_second_backfill_adds_nothing(system, tmp_path):
    """Every type and size comes through as it was, once."""
    system.put(
        item("1", Data={"B": b"\x00\xff" * 150_000}),
        item("2", Deep={"L": [{"M": {"n": number("9" * 38), "s": {"SS": ["a", "b"]}}}]}),
        item("3", Data=text("x" * 409_500)),
    )
    options = {"segments": 2, "apply": True, "state_path": tmp_path / "state", "pace": Pace()}
    dry = backfill(system.deployment, segments=2, pace=Pace())
    assert system.scan(system.names.replica) == {}
    assert system.rows() == []

    first = backfill(system.deployment, **options)
    rows = system.rows()
    second = backfill(system.deployment, **options)

    assert dry.counts == first.counts
    assert (first.counts.baselines, second.counts.baselines) == (3, 0)
    # No stack and no stream: of neither is there anything to keep.
    assert "no stack was named" in first.mark.reason
    assert system.deployment.reader.control_rows() == []
    assert second.counts.already_there == 3
    assert system.rows() == rows
    assert system.scan(system.names.replica) == system.scan(system.names.source)
    reader = system.deployment.reader
    assert {row.id: row.change.new_image for row in map(reader.load, _stored(system))} == (
        system.scan(system.names.source)
    )


def _stored(system):
    stored = system.dynamodb.scan(TableName=system.names.history, ConsistentRead=True)["Items"]
    return [one for one in stored if one["Id"]["S"] != CONTROL_ID]


def test_an_export_in_a_bucket_is_a_beginning_too(system, tmp_path):
    """Baselines of the export's time, the replica as the source is now."""
    items = [item(f"{n:02d}", Count=number(n), Data={"B": bytes([n])}) for n in range(40)]
    system.put(*items[5:], item("00", Count=number(99)))
    table = system.dynamodb.describe_table(TableName=system.names.source)["Table"]
    time_ = datetime.now(UTC) + timedelta(seconds=1)
    files = made.export_files(
        items, table_arn=table["TableArn"], table_id=table.get("TableId", ""), time=time_
    )
    place = made.put_into(system.s3, system.names.quarantine, files)

    result = backfill(
        system.deployment,
        export=place,
        apply=True,
        segments=2,
        state_path=tmp_path / "state",
        pace=Pace(),
    )

    assert result.finished
    assert result.counts.baselines == result.counts.settled == 40
    assert [row.change.new_image for row in system.rows()] == items
    assert {row.change.created_at for row in system.rows()} == {time_.replace(microsecond=0)}
    assert system.scan(system.names.replica) == system.scan(system.names.source)


def test_a_stream_is_turned_on_once(system):
    """It is off, then on, and then it is said to be on; another view type is refused."""
    table, session = system.names.source, system.deployment.session

    before = enable(session, None, table, pace=Pace())
    turned_on = enable(session, None, table, apply=True, pace=Pace())
    again = enable(session, None, table, apply=True, pace=Pace())

    described = system.dynamodb.describe_table(TableName=table)["Table"]
    assert before == Stream(table, None, was_on=False, applied=False)
    assert turned_on == Stream(table, described["LatestStreamArn"], was_on=False, applied=True)
    assert again == Stream(table, turned_on.arn, was_on=True, applied=False)
    for enabled in (
        {"StreamEnabled": False},
        {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    ):
        system.dynamodb.update_table(TableName=table, StreamSpecification=enabled)
    with pytest.raises(RefusedError, match="is on with KEYS_ONLY"):
        enable(session, None, table, apply=True, pace=Pace())
