"""Restore and undo on an emulator: the history is written by the real handler from the stream."""

import contextlib
import json
import random
import threading
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest

import history_writer.app
from operations.deployed_tables import DeployedTables
from operations.errors import RefusedError
from operations.execution.item_writer import WriteOutcome
from operations.execution.pace import Pace
from operations.recovery.bad_changes import Selected, select_bad
from operations.recovery.compensation import Terms
from operations.recovery.restore_items import plan_restore
from operations.recovery.table.order import TableOrder
from operations.recovery.table.plan import plan_table
from operations.recovery.undo import plan_undo
from reports.states.selection import Selection
from reports.states.watermark import Basis, Watermark
from stream_core.attribute_values import same_item
from stream_core.change import EventName
from tests.carried_out import carried_out_restore, carried_out_undo, outcomes_of
from tests.factories import complete, item, lambda_context, lambda_form, nested, number, text

pytestmark = pytest.mark.functional

EVERYTHING = {
    "no text": text(""),
    "digits": number("9" * 38 + "0"),
    "smallest": number("0." + "0" * 129 + "1"),
    "bytes": {"B": b"\x00\x01\xff"},
    "no bytes": {"B": b""},
    "texts": {"SS": ["b", "", "a"]},
    "numbers": {"NS": ["-1", "2", "3.5"]},
    "binaries": {"BS": [b"", b"\x01"]},
    "null": {"NULL": True},
    "list": {"L": [{"M": {}}, {"L": []}, {"SS": ["y", "x"]}, {"N": "1.5"}]},
    "a.b": {"M": {"S": {"M": {"N": text("v")}}, "#x": {"B": b"x"}}},
    "deep": nested(31),
}
JOB, PEOPLE = "nightly job", ("Ada", "Bob", "Cleo")


class Trail:
    """A table whose changes go to its history by the function's own handler."""

    def __init__(self, local_stack, dynamodb, names):
        self.dynamodb, self.names = dynamodb, names
        self.reading = threading.Lock()
        self.streams = local_stack.client("dynamodbstreams")
        table = dynamodb.update_table(
            TableName=names.source,
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )["TableDescription"]
        self.stream_arn = table["LatestStreamArn"]
        described = self.streams.describe_stream(StreamArn=self.stream_arn)
        (shard,) = described["StreamDescription"]["Shards"]
        self.iterator = self.streams.get_shard_iterator(
            StreamArn=self.stream_arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        self.deployment = DeployedTables(
            names.source,
            local_stack.session(),
            history_table=names.history,
            time_shards=4,
            overflow_bucket=names.overflow,
        )
        complete(self.deployment.reader)

    def undo(self, *, apply=False, terms=None, **selection):
        selected = select_bad(self.deployment, pace=Pace(), **selection)
        planned = plan_undo(self.deployment, selected, terms=terms, pace=Pace())
        if not apply:
            return planned
        with self.recording():
            return carried_out_undo(self.deployment, planned, Pace())

    def plans(self, keys, at):
        return plan_restore(self.deployment, keys, at, pace=Pace())

    def restore(self, keys, at):
        plans = self.plans(keys, at)
        with self.recording():
            return carried_out_restore(self.deployment, plans, Pace())

    def put(self, new):
        self.dynamodb.put_item(TableName=self.names.source, Item=new)

    def delete(self, identifier):
        self.dynamodb.delete_item(TableName=self.names.source, Key={"Id": text(identifier)})

    def set(self, identifier, values):
        """Set some attributes, each named by a path of one or two names."""
        names, wire = {}, {}
        parts = []
        for n, (path, value) in enumerate(values.items()):
            steps = path.split(".")
            names |= {f"#{n}_{depth}": step for depth, step in enumerate(steps)}
            wire[f":{n}"] = value
            place = ".".join(f"#{n}_{depth}" for depth in range(len(steps)))
            parts.append(f"{place} = :{n}")
        self.dynamodb.update_item(
            TableName=self.names.source,
            Key={"Id": text(identifier)},
            UpdateExpression=f"SET {', '.join(parts)}",
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=wire,
        )

    def change(self, identifier, expression, **values):
        """Any update, its values named as their letters are, and each attribute as itself."""
        self.dynamodb.update_item(
            TableName=self.names.source,
            Key={"Id": text(identifier)},
            UpdateExpression=expression,
            ExpressionAttributeValues={f":{name}": value for name, value in values.items()},
        )

    def items(self, table=None):
        pages = self.dynamodb.get_paginator("scan").paginate(
            TableName=table or self.names.source, ConsistentRead=True
        )
        found = [one for page in pages for one in page["Items"]]
        return {one["Id"]["S"]: one for one in found}

    def record(self):
        """Have everything new in the stream recorded, as Lambda would deliver it."""
        with self.reading:
            self._record()

    def _record(self):
        while True:
            page = self.streams.get_records(ShardIterator=self.iterator, Limit=100)
            self.iterator = page["NextShardIterator"]
            if not page["Records"]:
                return
            event = {"Records": [self._delivered(one) for one in page["Records"]]}
            answer = history_writer.app.handler(event, lambda_context(60_000))
            assert answer == {"batchItemFailures": []}

    @contextlib.contextmanager
    def recording(self):
        """What happens in the block is recorded as it happens."""
        stop = threading.Event()

        def record():
            while not stop.wait(0.05):
                self.record()

        recorder = threading.Thread(target=record)
        recorder.start()
        try:
            yield
        finally:
            stop.set()
            recorder.join()

    def moment(self):
        """Now, with everything so far recorded, and nothing else stamped in its second."""
        self.record()
        now = datetime.now(UTC)
        whole = now.replace(microsecond=0) + timedelta(seconds=1)
        time.sleep((whole - now).total_seconds())
        return now

    def close(self):
        self.streams.close()
        self.deployment.pool.shutdown()

    def _delivered(self, record):
        body = dict(record["dynamodb"])
        body["ApproximateCreationDateTime"] = body["ApproximateCreationDateTime"].timestamp()
        whole = {**record, "dynamodb": body, "eventSourceARN": self.stream_arn}
        return json.loads(json.dumps(lambda_form(whole)))


@pytest.fixture
def trail(local_stack, dynamodb, make_tables, monkeypatch):
    names = make_tables()
    settings = {
        **local_stack.environment(),
        "SOURCE_TABLE_ARN": names.source_arn,
        "HISTORY_TABLE": names.history,
        "OVERFLOW_BUCKET": names.overflow,
        "QUARANTINE_BUCKET": names.quarantine,
        "TIME_SHARDS": "4",
        "POWERTOOLS_METRICS_NAMESPACE": "itemtrail",
        "POWERTOOLS_SERVICE_NAME": "history_writer",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    history_writer.app._parts.cache_clear()
    with contextlib.closing(Trail(local_stack, dynamodb, names)) as made:
        yield made
    _, writer, _ = history_writer.app._parts()
    writer.pool.shutdown()
    history_writer.app._parts.cache_clear()


class Books:
    """What everybody wrote, by item and place, kept beside the table and without its history."""

    places = ("Price", "Stock", "Note", "Meta.a", "Meta.b", "By")

    def __init__(self, trail, identifiers):
        self.trail = trail
        self.written = defaultdict(list)
        for one in identifiers:
            start = {"Price": number(1), "Stock": number(1), "Note": text("n")}
            start |= {"Meta.a": number(1), "Meta.b": number(1), "By": text("Ada")}
            meta = {"M": {"a": number(1), "b": number(1)}}
            flat = {name: value for name, value in start.items() if "." not in name}
            trail.put(item(one, Meta=meta, Tags={"SS": ["x", "y"]}, **flat))
            for place, value in start.items():
                self.written[one, place].append(("start", value))

    def write(self, who, identifier, **values):
        values = {name.replace("__", "."): value for name, value in values.items()}
        values["By"] = text(who)
        self.trail.set(identifier, values)
        for place, value in values.items():
            if self.written[identifier, place][-1][1] != value:
                self.written[identifier, place].append((who, value))

    def expected(self, identifier, place):
        """What stands there without the job: the last thing that anybody else wrote there."""
        return next(value for who, value in reversed(self.written[identifier, place]) if who != JOB)

    def overwritten(self, identifier, place):
        """Whether the job wrote there, and somebody else did after it."""
        whos = [who for who, _ in self.written[identifier, place]]
        return JOB in whos and whos[-1] != JOB


def value_of(found, place):
    value = {"M": found}
    for step in place.split("."):
        value = value["M"][step]
    return value


def test_a_bad_bulk_update_is_undone_among_500_good_writes(trail):
    """Every good write survives, every bad one is gone or listed; the good go on all the while."""
    dice = random.Random(5)  # noqa: S311 - no secret
    identifiers = [f"{n:02d}" for n in range(40)]
    books = Books(trail, identifiers)
    since = trail.moment()
    bad = [(JOB, one) for one in identifiers for _ in range(2)]
    good = [(dice.choice(PEOPLE), dice.choice(identifiers)) for _ in range(400)]
    for who, one in dice.sample(bad + good, len(bad + good)):
        # Few values, so that people come to write what the job wrote, and the other way round.
        values = {"Price": number(dice.randint(1, 3)), "Meta__a": number(dice.randint(1, 3))}
        values |= {"Stock": number(dice.randint(1, 3)), "Note": text(f"note {dice.random()}")}
        some = ["Price", "Meta__a"] if who == JOB else dice.sample(sorted(values), 2)
        books.write(who, one, **{name: values[name] for name in some})
    for n in range(5):
        trail.put(item(f"junk-{n}", By=text(JOB), Price=number(n)))
        trail.put(item(f"used-{n}", By=text(JOB), Price=number(n)))
        trail.set(f"used-{n}", {"By": text("Ada"), "Note": text("of use")})
    until = trail.moment()
    stop, later = threading.Event(), []

    def go_on():
        while not stop.is_set() or len(later) < 100:
            one, name = dice.choice(identifiers), f"later-{len(later)}"
            trail.set(one, {name: text(name)})
            later.append((one, name))
            trail.record()

    writer = threading.Thread(target=go_on)
    writer.start()
    by_job = Selection(actor=JOB, actor_attribute=("By",))
    # Another writer's row takes a moment, and a busy item is looked at more than once.
    planned = trail.undo(since=since, until=until, where=by_job)
    result = trail.undo(since=since, until=until, where=by_job, apply=True)
    stop.set()
    writer.join()

    found = trail.items()
    wrong = [
        (one, place)
        for one in identifiers
        for place in Books.places
        if value_of(found[one], place) != books.expected(one, place)
    ]
    assert wrong == []
    assert [(one, name) for one, name in later if name not in found[one]] == []
    assert len(later) >= 100
    assert not any(name.startswith("junk") for name in found)
    assert all(found[f"used-{n}"]["Note"] == text("of use") for n in range(5))
    listed = {(one.keys["Id"]["S"], ".".join(map(str, one.path))): one for one in result.conflicts}
    for one in identifiers:
        for place in Books.places:
            if books.overwritten(one, place) and (one, place) not in listed:
                # Not listed only where it is again what it was before the job.
                before = [value for who, value in books.written[one, place] if who != JOB]
                assert books.expected(one, place) in before[:-1]
    assert {(f"used-{n}", "") for n in range(5)} <= listed.keys()
    assert {key for key, one in listed.items() if one.actual == one.wanted} == set()
    assert set(outcomes_of(result)) == {WriteOutcome.WRITTEN}
    assert len(planned.items) == len(result.items) == 50
    assert {one.keys["Id"]["S"] for one in planned.items if one.edits} == {
        one.keys["Id"]["S"] for one in result.items if one.edits
    }
    trail.record()
    again = trail.undo(since=since, until=until, where=by_job, apply=True)
    # Where somebody wrote at the same moment, no row shows the write as it was announced.
    assert all("was about to write it" in one.reason for one in again.items if one.outcome)
    assert trail.items() == found


def test_a_good_insert_is_not_deleted_for_its_value(trail):
    """Only the value of --attribute is taken back, whatever else the bad job wrote beside it."""
    for n in range(3):
        trail.put(item(f"{n}", Status=text("open"), Stock=number(5)))
    since = trail.moment()
    for n in range(3):
        trail.set(f"{n}", {"Status": text("closed"), "Stock": number(0)})
    trail.put(item("good", Status=text("closed"), Note=text("a new one, and closed already")))
    until = trail.moment()
    good = trail.items()["good"]

    closed = Selection(attribute="Status", new="closed")
    result = trail.undo(since=since, until=until, where=closed, apply=True)

    found = trail.items()
    assert found.pop("good") == good
    assert [found[f"{n}"] for n in range(3)] == [
        item(f"{n}", Status=text("open"), Stock=number(0)) for n in range(3)
    ]
    assert (result.whole_items, result.is_clean) == (1, True)
    misspelt = Selection(attribute="Statos")
    assert not trail.undo(since=since, until=until, where=misspelt).is_clean


def test_nothing_is_undone_on_a_history_that_is_behind(trail):
    """Of the range as a whole, and of one item: it may be bad as well, and is told."""
    for n in range(2):
        trail.put(item(f"{n}", Status=text("open")))
    since = trail.moment()
    for n in range(2):
        trail.set(f"{n}", {"Status": text("CORRUPT")})
    until = trail.moment()
    trail.set("1", {"Note": text("on its way")})
    by_status = {"since": since, "until": until, "where": Selection(attribute="Status")}

    trail.deployment.reader.watermark = Watermark(until, Basis.MEASURED, "by the metrics")
    with pytest.raises(RefusedError, match="may not all be in the history yet"):
        trail.undo(**by_status, apply=True)
    complete(trail.deployment.reader)
    done, behind = sorted(
        trail.undo(**by_status, apply=True).items, key=lambda one: one.keys["Id"]["S"]
    )

    assert (done.outcome, behind.outcome) == (WriteOutcome.WRITTEN, WriteOutcome.REFUSED)
    assert "not what its last row left it" in behind.reason
    assert [trail.items()[one]["Status"] for one in "01"] == [text("open"), text("CORRUPT")]
    trail.record()
    assert outcomes_of(trail.undo(**by_status, apply=True)) == {WriteOutcome.WRITTEN: 1}
    assert trail.items()["1"] == item("1", Status=text("open"), Note=text("on its way"))


def test_what_others_added_to_the_same_values_stays(trail):
    """A counter, a set and a list, which good ones go on with after the bad job."""
    members = {"S": {"SS": ["a", "b"]}, "L": {"L": [number(1)]}}
    trail.put(item("1", N=number("0.1"), **members))
    since = trail.moment()
    trail.change(
        "1",
        "ADD N :n, S :s SET L = list_append(L, :l)",
        n=number("1E+20"),
        s={"SS": ["BAD"]},
        l={"L": [text("BAD")]},
    )
    trail.change("1", "DELETE S :s", s={"SS": ["a"]})
    until = trail.moment()
    trail.change(
        "1",
        "ADD N :n, S :s SET L = list_append(L, :l)",
        n=number("0.2"),
        s={"SS": ["good"]},
        l={"L": [text("good")]},
    )
    trail.record()

    result = trail.undo(since=since, until=until, terms=Terms({("N",)}), apply=True)

    assert result.is_clean
    good = {"S": {"SS": ["a", "b", "good"]}, "L": {"L": [number(1), text("good")]}}
    assert same_item(trail.items()["1"], item("1", N=number("0.3"), **good))


def test_deleted_items_are_put_back_exactly(trail):
    """Every type; an item that somebody has made again is theirs."""
    for n in range(5):
        trail.put(item(f"{n}", **EVERYTHING, Version=number(n)))
    before = trail.items()
    since = trail.moment()
    for n in range(5):
        trail.delete(f"{n}")
    trail.record()
    trail.put(item("3", New=text("theirs")))
    until = trail.moment()

    deletes = Selection(frozenset({EventName.REMOVE}))
    result = trail.undo(since=since, until=until, where=deletes, apply=True)

    found = trail.items()
    assert [one.keys for one in result.conflicts] == [{"Id": text("3")}]
    assert found.pop("3") == item("3", New=text("theirs"))
    assert all(same_item(found[one], before[one]) for one in ("0", "1", "2", "4"))


def test_items_are_restored_exactly(trail):
    """Changed, deleted and inserted since; on conditions that hold sets, maps and binary."""
    trail.put(item("changed", **EVERYTHING, Plain=number(1)))
    trail.put(item("deleted", **EVERYTHING))
    trail.put(item("same", **EVERYTHING))
    before = trail.items()
    at = trail.moment()
    trail.put(item("changed", **{**EVERYTHING, "texts": {"SS": ["z"]}, "digits": text("none")}))
    trail.delete("deleted")
    trail.put(item("inserted", **EVERYTHING))
    trail.moment()
    keys = [{"Id": text(one)} for one in ("changed", "deleted", "inserted", "same", "never")]

    planned = trail.plans(keys, at)
    result = trail.restore(keys, at)

    *known, unknown = planned
    assert all(plan.refusal is None for plan in known)
    assert "knows such a key" in unknown.refusal
    assert len([plan for plan in planned if plan.is_needed]) == 3
    assert [one.plan.keys for one in result.items if not one.is_clean] == [unknown.keys]
    assert outcomes_of(result) == {WriteOutcome.WRITTEN: 3}
    found = trail.items()
    assert found.keys() == before.keys()
    assert all(same_item(found[one], before[one]) for one in before)


def test_a_full_item_is_restored(trail):
    """400 KB now, 400 KB then, and both in one request."""
    then, now = (item("1", Data={"B": bytes([n]) * (409_600 - len("Id1Data"))}) for n in (1, 2))
    trail.put(then)
    at = trail.moment()
    trail.put(now)
    trail.moment()

    result = trail.restore([{"Id": text("1")}], at)

    assert outcomes_of(result) == {WriteOutcome.WRITTEN: 1}
    assert trail.items()["1"] == then


def test_the_history_of_another_table_changes_nothing(trail, dynamodb, make_tables):
    """Undo and restore refuse it in one line, and so does a restore into a new table."""
    trail.put(item("1", Version=number(1)))
    at = trail.moment()
    trail.put(item("1", Version=number(2)))
    now = trail.moment()
    other = make_tables()
    dynamodb.put_item(TableName=other.source, Item=item("1", Version=number(9)))
    trail.deployment.source_table = other.source
    del trail.deployment.reader
    selection = {"since": at, "until": now, "pace": Pace()}

    refused = pytest.raises(RefusedError, match=f"is of .*{trail.names.source}, not of")
    with refused:
        select_bad(trail.deployment, **selection)
    with refused:
        plan_undo(trail.deployment, Selected((), ()), pace=Pace())
    with refused:
        trail.plans([{"Id": text("1")}], at)
    with refused:
        plan_table(trail.deployment, TableOrder(f"{other.source}-then", at), pace=Pace())

    assert trail.items(other.source)["1"] == item("1", Version=number(9))


def test_a_stack_that_follows_another_stream_changes_nothing(trail):
    """What would be written would not be recorded."""
    trail.put(item("1", Version=number(1)))
    at = trail.moment()
    trail.deployment.stack = "employee-trail"
    trail.deployment.stream_arn = f"{trail.stream_arn[:-1]}x"

    with pytest.raises(RefusedError, match="stack 'employee-trail' follows the stream"):
        trail.restore([{"Id": text("1")}], at)
