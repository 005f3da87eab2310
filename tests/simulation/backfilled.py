"""A backfill in the simulated world: the real one, with real clients, killed and resumed.

Items are there before anything is followed; then the source is written to while the consumers
follow the stream and the backfill works its way through the table. It is killed at any request or
at any time, ends in errors, and is started again until it is finished.
"""

import random
import zlib
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from unittest import mock

import boto3
from botocore.awsrequest import AWSResponse

from history_writer.overflow_bucket import OverflowBucket
from history_writer.writer import HistoryWriter
from operations.backfill import run as backfill_run
from operations.backfill.plan import backfill
from operations.deployed_tables import DeployedTables
from operations.execution import guard
from operations.execution.pace import Pace
from replica_writer.settle import Settler
from replica_writer.tables import ReplicaTable, SourceTable
from reports.access import private_files
from reports.access.machine import Machine
from reports.access.row_reader import RowReader
from stream_core.answer_budget import AnswerBudget
from stream_core.clients import CLIENT_CONFIG, dynamodb_client, take_answers_as_they_stand
from tests.factories import NOON
from tests.simulation import consumers, source, wire
from tests.simulation.scenario import Scenario, Settings, Write, draw
from tests.simulation.scheduler import HOUR, MS, SECOND, Pool, Room
from tests.simulation.source import item_keys, item_name
from tests.simulation.wire import Wire
from tests.simulation.world import Invocation, World

PAGE_ITEMS = 3
_MOST_KILLS = 8
_QUICK = ("GetItem", "DescribeTable")
_MINUTE = 60
_PASSING = ("InternalServerError", "Throttling")
_HISTORY_KEY = ("Id", "ApproximateCreationDateTime")


@dataclass(frozen=True)
class Plan:
    """A run before it happens.

    Attributes:
        initial: attributes of the items that are there before the stream is followed, by number.
        minutes: the engine stamps changes to the minute.
        starts: when the backfill is started first.
        kills: how long after each of its starts it is killed.
        kills_after_writes: how often it is killed when a write of it has reached the replica.
        slowness: how many times longer than others its requests take, there and back.
        segments: how many segments it works on.
        skew_s: how far its machine's clock is ahead of the tables'.
    """

    scenario: Scenario
    initial: dict[int, dict]
    minutes: bool
    starts: int
    kills: tuple[int, ...]
    kills_after_writes: float
    slowness: int
    segments: int
    skew_s: float


def plan(seed):
    """The plan of a seed: consumers and faults as `draw` has them, and a source in much use."""
    dice = random.Random(f"backfill {seed}")  # noqa: S311 - dice, not secrets
    drawn = draw(seed)
    items = dice.choice((8, 24, 40))
    settings = replace(
        drawn.settings,
        items=items,
        # Nothing is to be kept aside: what is, only a redrive brings into the history.
        refused_items=frozenset(),
        refuses_calls=False,
        max_age=12 * HOUR,
        settle=True,
        second_look=False,
        clock_back=0,
        global_table=False,
        # An INSERT that is carried out long after its sender has died is a second baseline.
        # What an operation does about answers that are none is not looked at here.
        rates={**drawn.settings.rates, "late": 0, "garbled": 0, "odd_error": 0},
    )
    writes = _writes(dice, items)
    last = writes[-1].at
    initial = {
        number: {"Version": {"N": str(dice.randrange(4))}}
        for number in range(items)
        if dice.random() < 0.9
    }
    scenario = replace(
        drawn,
        settings=settings,
        writes=writes,
        remade=(),
        splits=tuple(sorted((dice.randrange(last), children) for _, children in drawn.splits)),
        outages=tuple(_outage(dice, one, last) for one in drawn.outages),
        strays=tuple(replace(one, forged=False) for one in drawn.strays),
    )
    return Plan(
        scenario,
        initial,
        minutes=dice.random() < 0.3,
        starts=dice.randrange(last // 4),
        kills=tuple(dice.randrange(4 * SECOND) for _ in range(dice.choice((0, 1, 4)))),
        kills_after_writes=dice.choice((0, 0.1, 0.4)),
        slowness=dice.choice((1, 5, 20)),
        segments=dice.choice((1, 2, 3)),
        skew_s=dice.choice((0, 0.4, -1.7, 3600.2)),
    )


def slow_plan(seed):
    """Without faults, but for kills: a backfill so slow that items change under its hands."""
    dice = random.Random(f"slow backfill {seed}")  # noqa: S311 - dice, not secrets
    items, now, writes = 40, 0, []
    for _ in range(200):
        now += int(dice.expovariate(1) * 200 * MS)
        version = {"Version": {"N": str(dice.randrange(4))}}
        writes.append(Write(now, dice.randrange(items), None if dice.random() < 0.4 else version))
    return Plan(
        Scenario(seed, Settings(items=items, slow=0.3), tuple(writes)),
        {number: {"Version": {"N": "9"}} for number in range(items)},
        minutes=seed % 4 == 0,
        starts=0,
        kills=(),
        kills_after_writes=0.3,
        slowness=30,
        segments=3,
        skew_s=dice.choice((0, -0.3, 0.3, 5.5)),
    )


def _writes(dice, items):
    """Some writes a second, half of them deletes and what follows, to few states of each item."""
    pace = dice.choice((50, 150, 300)) * MS
    now, writes = 0, []
    for _ in range(dice.choice((60, 120))):
        now += int(dice.expovariate(1) * pace)
        attributes = None if dice.random() < 0.3 else {"Version": {"N": str(dice.randrange(4))}}
        if attributes and dice.random() < 0.03:
            attributes["Text"] = {"S": "x" * 300_000}
        writes.append(Write(now, dice.randrange(items), attributes))
    return tuple(writes)


def _outage(dice, drawn, last):
    """A short one, so that the end comes; an error that does not pass ends the backfill."""
    start, length = dice.randrange(last), 30 if drawn.code in _PASSING else 3
    return replace(drawn, start=start, end=start + dice.randrange(length * SECOND))


@dataclass
class Outcome:
    """How it ended.

    Attributes:
        result: what the last start returned.
        ends: how each start ended, in order.
        initial: the items at the beginning, by name.
    """

    world: World
    initial: dict[str, dict]
    result: object = None
    ends: list[str] = field(default_factory=list)


def run(given, *, trace=False):
    """Let a plan happen, until the backfill is finished and all records are delivered."""
    with ExitStack() as stack:
        if given.minutes:
            stack.enter_context(mock.patch.object(source, "stream_record", _to_the_minute))
            stack.enter_context(_of_one_region())
        stack.enter_context(mock.patch.object(backfill_run, "PAGE_ITEMS", PAGE_ITEMS))
        stack.enter_context(mock.patch.object(private_files.os, "fsync"))
        folder = Path(stack.enter_context(TemporaryDirectory()))
        world = _World(given.scenario, trace=trace)
        world.wire = _Wire(world, given)
        for number, attributes in given.initial.items():
            keys = item_keys(given.scenario.settings.key_shape, number)
            world.source.items[item_name(keys)] = {**keys, **attributes}
        outcome = Outcome(world, dict(world.source.items))
        starter = _Starter(given, outcome, folder / "state")
        world.scheduler.after(given.starts, starter.start)
        world.run()
        return outcome


def run_again(given, outcome):
    """One more backfill, from the beginning, in a world at rest; returns what it returned."""
    with (
        TemporaryDirectory() as folder,
        mock.patch.object(backfill_run, "PAGE_ITEMS", PAGE_ITEMS),
        consumers.in_world(outcome.world),
        _of_one_region() if given.minutes else nullcontext(),
    ):
        given = replace(given, kills=(), kills_after_writes=0)
        outcome.world.wire.given = given
        starter = _Starter(given, outcome, Path(folder) / "state")
        outcome.world.scheduler.after(200 * SECOND, starter.start)
        outcome.world.scheduler.run()
    return outcome.result


def _of_one_region():
    """The engine's table is told in its own region, and its records in AWS's: let that pass."""
    return mock.patch.object(guard, "_some_rows", return_value=[])


class _Starter:
    """Somebody who starts the backfill, and starts it again when it has ended too soon."""

    def __init__(self, given, outcome, path):
        self._outcome = outcome
        self._world = outcome.world
        self._kills = list(given.kills)
        self._given = given
        self._dice = self._world.rng("starter")
        self._path = path

    def start(self):
        world = self._world
        world.stats["backfill starts"] += 1
        invocation = Invocation(
            world.stats["backfill starts"], "backfill", world.scheduler.now, 0, lambda _: None
        )
        world.note(f"{invocation} starts")
        world.scheduler.spawn(self._work, invocation, partial(self._ended, invocation))
        if self._kills:
            world.scheduler.after(self._kills.pop(0), partial(self._kill, invocation))

    def _work(self):
        scheduler = self._world.scheduler
        machine = Machine(
            now=lambda: time_of(scheduler.now) + timedelta(seconds=self._given.skew_s),
            clock=lambda: scheduler.now / SECOND,
            sleep=lambda seconds: scheduler.pause(int(seconds * SECOND)),
            threads=lambda _count: nullcontext(Pool(lambda: scheduler)),
            jitter=self._dice.random,
        )
        return backfill(
            _deployment(),
            segments=self._given.segments,
            apply=True,
            state_path=self._path,
            # A source that happens to be empty is no mistake here.
            deletes="replica",
            pace=Pace(patience_s=20, machine=machine),
        )

    def _kill(self, invocation):
        if not invocation.over:
            invocation.dead = True

    def _ended(self, invocation, task):
        invocation.over = True
        self._outcome.result = task.result
        how = type(task.error).__name__ if task.error else "done"
        if task.result is not None and not task.result.finished:
            how = "unfinished"
        self._outcome.ends.append(how)
        self._world.note(f"{invocation} ends: {how} {task.error or ''}")
        self._world.stats[f"backfill {how}"] += 1
        if isinstance(task.error, AssertionError):
            raise task.error
        if how != "done":
            self._world.scheduler.after(self._dice.randrange(2 * SECOND), self.start)


class _World(World):
    """A world in which somebody else writes the replica too."""

    def _accounted(self, consumer, record):
        # What the backfill is about to put right is not the consumer's loss; the end will show.
        return consumer == "replica" or super()._accounted(consumer, record)


class _Wire(Wire):
    """Between the clients and the store, with the requests of an operation as well."""

    def __init__(self, world, given):
        super().__init__(world)
        self.given = given
        self._dice = world.rng("backfill wire")

    def send(self, call):
        answer = super().send(call)
        invocation = self._world.scheduler.current.invocation
        if (
            invocation.consumer == "backfill"
            and call.operation == "BatchWriteItem"
            and self._dice.random() < self.given.kills_after_writes
            and self._world.stats["backfill KilledError"] < _MOST_KILLS
        ):
            self._world.crash(invocation)
        return answer

    def _travel(self, call):
        self._dawdle(call)
        super()._travel(call)

    def _meet(self, call, fault):
        answer = super()._meet(call, fault)
        if isinstance(answer, AWSResponse):
            date = time_of(self._world.scheduler.now)
            answer.headers["Date"] = format_datetime(date, usegmt=True)
        self._dawdle(call)
        return answer

    def _dawdle(self, call):
        invocation = self._world.scheduler.current.invocation
        # To read one item takes less than to read or write many.
        if invocation.consumer == "backfill" and call.operation not in _QUICK:
            for _ in range(self.given.slowness - 1):
                self._world.scheduler.pause(self._latency())

    def _DescribeTable(self, call, _entry_error):  # noqa: N802 - the API's name
        table = call.resource
        shape = self._world.scenario.settings.key_shape
        keys = dict.fromkeys(_HISTORY_KEY, "S")
        if table != "history":
            keys = {name: next(iter(value)) for name, value in item_keys(shape, 0).items()}
        region = "ddblocal" if self.given.minutes else "eu-west-1"
        described = {
            "TableName": table,
            "TableArn": f"arn:aws:dynamodb:{region}:123456789012:table/{table}",
            "CreationDateTime": NOON - 1,
            "KeySchema": [{"AttributeName": name, "KeyType": "HASH"} for name in keys],
            "AttributeDefinitions": [
                {"AttributeName": name, "AttributeType": kind} for name, kind in keys.items()
            ],
            "StreamSpecification": {"StreamEnabled": True},
            "LatestStreamArn": source.STREAM_ARN,
        }
        return wire._json(call, {"Table": described})

    def _Scan(self, call, _entry_error):  # noqa: N802
        store, body = self._world.store, call.body
        if not body.get("ConsistentRead"):
            store.broken.append("a scan that is not consistent")
        start = body.get("ExclusiveStartKey")
        after = "" if start is None else store.key(call.resource, start)
        mine = [
            name
            for name in sorted(store.tables[call.resource])
            if zlib.crc32(name.encode()) % body.get("TotalSegments", 1) == body.get("Segment", 0)
            and name > after
        ]
        page = [store.tables[call.resource][name] for name in mine[: body["Limit"]]]
        answer = {"Items": page}
        if len(page) == body["Limit"]:
            names = store.keys[call.resource]
            answer["LastEvaluatedKey"] = {name: page[-1][name] for name in names}
        return wire._json(call, answer)

    def _Query(self, call, _entry_error):  # noqa: N802
        store, body = self._world.store, call.body
        if not body.get("ConsistentRead"):
            store.broken.append("a query that is not consistent")
        values = body["ExpressionAttributeValues"]
        rows = sorted(
            (row for row in store.tables["history"].values() if row["Id"] == values[":id"]),
            key=lambda row: row[_HISTORY_KEY[1]]["S"],
        )
        rows = rows[: body.get("Limit")]
        if "FilterExpression" in body:
            rows = [row for row in rows if row["EventName"] == values[":snapshot"]]
        return wire._json(call, {"Items": rows})

    def _GetItem(self, call, _entry_error):  # noqa: N802
        found = self._world.store.read(call.resource, call.body["Key"])
        return wire._json(call, {} if found is None else {"Item": found})


def _deployment():
    deployment = DeployedTables(
        "source",
        session=SimpleNamespace(region_name="eu-west-1"),
        history_table="history",
        replica_table="replica",
        replica_region="eu-central-1",
        pool=Pool(lambda: consumers._WORLD.now.scheduler),
    )
    dynamodb, s3 = _clients()
    pool = deployment.pool
    deployment.dynamodb = deployment.replica_client = dynamodb
    deployment.s3 = s3
    deployment.reader = RowReader(dynamodb, s3, "history", "source")
    deployment.history_writer = HistoryWriter(
        dynamodb, OverflowBucket(s3, "overflow"), "history", 4, pool
    )
    deployment.settler = Settler(
        ReplicaTable(dynamodb, "replica"),
        SourceTable(dynamodb, "source"),
        pool,
        AnswerBudget(_room=Room(lambda: consumers._WORLD.now.scheduler)),
    )
    return deployment


@cache
def _clients():
    """Real clients; only their network is replaced."""
    session = boto3.Session("test", "test", region_name="eu-west-1")
    dynamodb = dynamodb_client(session)
    take_answers_as_they_stand(dynamodb, ("GetItem", "Query", "Scan"))
    s3 = session.client("s3", config=CLIENT_CONFIG)
    for client in (dynamodb, s3):
        client.meta.events.register("before-send.*.*", _send)
    return dynamodb, s3


def _send(request, event_name, **_):
    call = wire.read_call(event_name, request)
    if call.service == "dynamodb" and "TableName" in call.body:
        table = call.body["TableName"]
        # The simulation looks for the entries of a call; a request for one thing has none.
        call = replace(call, resource=table, body={**call.body, "RequestItems": {table: []}})
    return consumers._WORLD.now.wire.send(call)


def time_of(simulated):
    """A time of the simulation, as a clock shows it."""
    return datetime.fromtimestamp(NOON, UTC) + timedelta(microseconds=simulated)


def _to_the_minute(*arguments):
    record = _TRUE_RECORD(*arguments)
    body = record["dynamodb"]
    body["ApproximateCreationDateTime"] -= body["ApproximateCreationDateTime"] % _MINUTE
    return record


_TRUE_RECORD = source.stream_record
