"""What a stream has and the history lacks is found, shard by shard, and written."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from history_writer.overflow_bucket import OverflowBucket
from history_writer.writer import HistoryWriter
from operations.deployed_tables import DeployedTables
from operations.errors import RefusedError
from operations.execution.pace import Pace
from operations.redrive import from_stream
from operations.redrive.delivery import Cause
from operations.redrive.from_stream import redrive_from_stream
from operations.redrive.stream_reader import StreamUnreadableError
from replica_writer.settle import Settler
from replica_writer.tables import ReplicaTable, SourceTable
from reports.access.machine import Machine
from reports.deployment.stack import Consumer
from stream_core.attribute_values import read_item
from stream_core.change import read_record
from stream_core.control_row import read_control_row
from stream_core.history_row import HistoryRow
from tests.factories import NOON, STREAM_ARN, api_record, item, number
from tests.fakes import DENIED, THROTTLED, FakeDynamoDB, FakeS3, client_error
from tests.left_behind import FakeStreams, Shard

CALLER = "arn:aws:iam::123456789012:user/ann"
HISTORY, REPLICA = Consumer.HISTORY_WRITER, Consumer.REPLICA_WRITER
BEGUN = datetime.fromtimestamp(NOON + 3600, UTC)
BUSY = client_error("LimitExceededException")
OLDER = STREAM_ARN.replace("2018", "2017")
LATE = NOON + 7200


class Passing(Machine):
    """Time that passes by waiting only."""

    def __init__(self):
        self.__dict__["waited"] = []
        super().__init__(
            now=lambda: BEGUN + timedelta(seconds=sum(self.waited)),
            clock=lambda: sum(self.waited),
            sleep=self.waited.append,
            jitter=lambda: 1.0,
        )


class World:
    """Tables in memory, a stream of shards, and what has its row already."""

    region_name = "eu-west-1"

    def __init__(self, shards, stored=()):
        keys = ("Id", "ApproximateCreationDateTime")
        self.tables = FakeDynamoDB(history=keys, source=("Id",), replica=("Id",))
        self.controls = FakeDynamoDB(history=keys)
        self.streams = FakeStreams(shards)
        self.machine = Passing()
        self.source = {
            "TableName": "Employee",
            "TableArn": STREAM_ARN.partition("/stream/")[0],
            "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
            "StreamSpecification": {"StreamEnabled": True},
            "LatestStreamArn": STREAM_ARN,
        }
        self.controls.describe_table = lambda **_: {"Table": self.source}
        for sequence in stored:
            self.store(sequence)

    def client(self, service, **_options):
        """A session's client of the stream."""
        assert service == "dynamodbstreams"
        return self.streams

    def store(self, sequence, **attributes):
        new = item(str(sequence), **(attributes or {"Version": number(sequence)}))
        record = api_record(None, new, sequence=sequence)
        row = HistoryRow.from_change(read_record(record, STREAM_ARN))
        self.tables.put("history", row.to_item(4))

    def redrive(self, *consumers, apply=True, stack_stream=None, **options):
        deployment = DeployedTables("Employee", self, stream_arn=stack_stream)
        deployment.dynamodb, deployment.caller = self.controls, CALLER
        deployment.reader = SimpleNamespace(dynamodb=self.tables, history_table="history")
        overflow = OverflowBucket(FakeS3(), "overflow")
        deployment.history_writer = HistoryWriter(self.tables, overflow, "history", 4)
        deployment.settler = Settler(
            ReplicaTable(self.tables, "replica"), SourceTable(self.tables, "source")
        )
        pace = Pace(options.pop("rate", None), machine=self.machine)
        return redrive_from_stream(
            deployment, apply=apply, consumers=consumers or (HISTORY,), pace=pace, **options
        )

    def rows(self):
        return [HistoryRow.from_item(read_item(row)) for row in self.tables.items("history")]

    def sequences(self):
        return sorted(int(row.change.sequence_number) for row in self.rows())


def missing(result):
    return [int(record.sequence_number) for record in result.stream.missing]


def test_what_has_no_row_is_listed_and_then_written():
    """A dry run writes nothing and names the changes; what is there is not sent again."""
    world = World({"a": Shard([1, 2, 3, 4, 5])}, stored=[1, 3, 5])

    planned = world.redrive(apply=False)
    before = world.sequences()
    done = world.redrive()
    again = world.redrive(apply=False)

    assert (missing(planned), planned.stream.missing_records) == ([2, 4], 2)
    assert (planned.records, planned.stream.stored, planned.is_clean) == (5, 3, False)
    assert planned.stream.missing[0].keys == {"Id": {"S": "2"}}
    assert planned.stream.missing[0].created_at == datetime.fromtimestamp(NOON, UTC)
    assert before == [1, 3, 5]
    assert world.sequences() == [1, 2, 3, 4, 5]
    assert (done.is_clean, done.counts) == (True, {"RowsWritten": 2})
    assert (missing(again), again.is_clean) == ([], True)


def test_a_parent_is_read_before_its_children_and_all_pages_of_the_description():
    """Also where a child is described first, and a grandparent has expired."""
    world = World(
        {
            "c": Shard([30, 31], parent="b", closed=False),
            "d": Shard([40], parent="b"),
            "b": Shard([20, 21], parent="gone"),
            "a": Shard([10]),
        }
    )

    result = world.redrive(apply=False)

    order = missing(result)
    assert sorted(order) == [10, 20, 21, 30, 31, 40]
    assert max(map(order.index, (20, 21))) < min(map(order.index, (30, 31, 40)))
    assert result.stream.shards == 4


def test_a_closed_shard_is_read_to_its_end_whatever_is_empty_in_it():
    """Of an open one some empty pages in a row are its tip."""
    closed = World({"a": Shard([1], empty_pages=30)})
    opened = World({"a": Shard([1], empty_pages=30, closed=False)})

    assert missing(closed.redrive(apply=False)) == [1]
    assert missing(opened.redrive(apply=False)) == []


def test_reading_ends_with_what_was_changed_after_it_began():
    """That is on its way, and no finding; a busy shard would never end."""
    shard = Shard([1, 2, 3, 4, 5], closed=False, made_at={2: LATE, 3: LATE, 4: LATE, 5: LATE})
    world = World({"a": shard})

    result = world.redrive()

    assert (world.sequences(), result.records) == ([1], 1)
    assert world.streams.calls.count("get_records") == 1


def test_since_leaves_out_what_is_older():
    """The second of the time itself is in it."""
    shard = Shard([1, 2, 3], made_at={1: NOON - 2, 2: NOON - 1})
    since = datetime.fromtimestamp(NOON - 1, UTC)

    result = World({"a": shard}).redrive(apply=False, since=since)

    assert (missing(result), result.records) == ([2, 3], 2)


def test_no_more_than_a_stream_keeps_can_be_asked_for():
    """A time of the day before would promise what nobody has."""
    world = World({"a": Shard([1])})

    with pytest.raises(RefusedError, match="24 hours"):
        world.redrive(since=BEGUN - timedelta(hours=24, seconds=1))
    assert world.redrive(since=BEGUN - timedelta(hours=23)).is_clean


def test_what_has_expired_before_is_no_loss_and_what_expires_meanwhile_is():
    """The horizon of a stream moves on while it is read."""
    old = World({"a": Shard([1, 2, 3, 4], trimmed=2)})
    shard = Shard([1, 2, 3, 4, 5, 6])
    overtaken = World({"a": shard, "b": Shard([7])})

    def expire(_streams):
        shard.trimmed = 4

    overtaken.streams.script = [None, None, None, expire]

    assert missing(old.redrive(apply=False)) == [3, 4]
    assert old.redrive().is_clean
    result = overtaken.redrive()
    assert overtaken.sequences() == [1, 2, 5, 6, 7]
    ((lost),) = result.lost
    assert (lost.where, lost.place.shard_id) == (STREAM_ARN, "a")
    assert not result.is_clean


def test_a_shard_that_expires_between_is_passed_by_and_a_stream_that_is_gone_is_told():
    """The first has nothing within 24 hours; of the second nothing can be said."""
    world = World({"a": Shard([1]), "b": Shard([2])})
    world.streams.script = [None, client_error("ResourceNotFoundException")]

    assert missing(world.redrive(apply=False)) == [2]
    world.streams.script = [client_error("ResourceNotFoundException")]
    with pytest.raises(StreamUnreadableError, match="is not there"):
        world.redrive()


def test_a_throttled_reader_gives_way_and_none_is_faster_than_its_share():
    """A shard allows five calls a second to all its readers; pauses grow when it refuses."""
    world = World({"a": Shard(list(range(1, 22)))})

    world.redrive(apply=False)
    plain = list(world.machine.waited)
    world.streams.script = [None, None, BUSY, BUSY, BUSY]
    world.redrive(apply=False)

    assert plain == [0.5] * 10
    assert world.machine.waited[10:13] == [0.05, 0.1, 0.2]


def test_a_stream_that_refuses_is_told_and_nothing_is_said_to_be_lost():
    """What was written before stays; the same command begins anew."""
    world = World({"a": Shard([1, 2, 3])})
    world.streams.script = [None, None, None, DENIED]

    with pytest.raises(StreamUnreadableError, match="AccessDenied"):
        world.redrive()
    assert world.sequences() == [1, 2]
    assert world.redrive().is_clean
    assert world.sequences() == [1, 2, 3]


def test_a_row_with_other_content_is_a_conflict_and_stays():
    """In a dry run and when it is applied; the others are written."""
    world = World({"a": Shard([1, 2, 3])}, stored=[3])
    world.store(2, Version=number(99))

    planned, done = world.redrive(apply=False), world.redrive()

    for result in (planned, done):
        ((left),) = result.leftovers
        assert (left.why, left.sequence_number, left.where) == (Cause.CONFLICT, "2", "a")
        assert not result.is_clean
    assert world.sequences() == [1, 2, 3]
    assert {row.change.new_image["Version"]["N"] for row in world.rows()} == {"1", "3", "99"}


def test_a_record_that_cannot_be_read_is_left_and_told():
    """What makes it so is kept aside by the writer; here it must not stop the others."""
    world = World({"a": Shard([1, 2])})
    get = world.streams.get_records

    def damaged(**request):
        answer = get(**request)
        for record in answer["Records"]:
            if record["dynamodb"]["SequenceNumber"] == "1":
                del record["dynamodb"]["NewImage"]
        return answer

    world.streams.get_records = damaged

    result = world.redrive()

    assert [(one.why, one.sequence_number) for one in result.leftovers] == [(Cause.MALFORMED, "1")]
    assert (world.sequences(), result.records) == ([2], 2)


def test_what_a_table_refuses_is_left_and_a_standstill_ends_it():
    """The history cannot be written: it ends by itself, and says how to go on."""
    world = World({"a": Shard(list(range(1, 500)))})
    world.tables.always("batch_execute_statement", THROTTLED)

    result = world.redrive()

    assert "nothing has succeeded for 60 seconds" in result.ended
    assert {one.why for one in result.leftovers} == {Cause.UNSTORED}
    assert result.records < 499
    assert not result.is_clean


def test_what_arrived_while_it_was_read_is_not_missing():
    """The mapping lags a little; a dry run asks once more in the end."""
    world = World({"a": Shard([1, 2]), "b": Shard([3, 4])})
    world.streams.script = [None, None, None, None, lambda _streams: world.store(1)]

    result = world.redrive(apply=False)

    assert (missing(result), result.stream.stored) == ([2, 3, 4], 1)
    assert result.stream.missing_records == 3


def test_the_list_of_what_is_missing_has_an_end_and_the_number_has_none(monkeypatch):
    """A mapping that was off for a day lacks millions."""
    monkeypatch.setattr(from_stream, "_MOST_LISTED", 2)
    world = World({"a": Shard([1, 2, 3, 4, 5])})

    result = world.redrive(apply=False)

    assert (missing(result), result.stream.missing_records) == ([1, 2], 5)


def test_items_of_the_replica_are_settled_once():
    """As the source has them now; nothing of a record is written. A dry run counts them."""
    shard = Shard([1, 2, 3], made_at={})
    world = World({"a": shard, "b": Shard([1, 2])}, stored=[1, 2, 3])
    world.tables.put("source", item("1", Version=number(7)))
    world.tables.put("replica", item("2", Version=number(2)))

    planned = world.redrive(REPLICA, apply=False)
    result = world.redrive(REPLICA)

    assert (planned.stream.items, planned.stream.stored, planned.is_clean) == (3, None, True)
    assert world.tables.items("replica") == [item("1", Version=number(7))]
    assert (result.counts["Settled"], result.is_clean) == (3, True)


def test_both_are_done_where_both_are_asked_for():
    """Rows that are missing are written, and all items settled."""
    world = World({"a": Shard([1, 2])}, stored=[1])
    world.tables.put("source", item("1"))

    result = world.redrive(HISTORY, REPLICA)

    assert (result.counts["RowsWritten"], result.counts["Settled"]) == (1, 2)
    assert world.tables.items("replica") == [item("1")]


def test_a_redrive_from_the_stream_says_in_the_history_that_its_rows_come_late():
    """As every redrive does; a dry run, or one without a row to write, says nothing."""
    world = World({"a": Shard([1, 2])}, stored=[1])

    world.redrive(apply=False)
    none = world.controls.items("history")
    world.redrive()
    world.redrive()

    (run,) = [read_control_row(read_item(row)) for row in world.controls.items("history")]
    assert none == []
    assert (run.command, run.stream_arn) == ("redrive", STREAM_ARN)


def test_an_older_stream_is_read_for_the_history_alone():
    """Its items may be another table's; the stream that the stack follows may be such a one."""
    world = World({"a": Shard([1])})
    world.source["LatestStreamArn"] = STREAM_ARN.replace("2018", "2019")

    for options in ({"stream_arn": STREAM_ARN}, {"stack_stream": STREAM_ARN}):
        with pytest.raises(RefusedError, match="--consumer history_writer"):
            world.redrive(HISTORY, REPLICA, **options)
        assert world.redrive(apply=False, **options).stream.missing_records == 1


@pytest.mark.parametrize(
    ("changed", "options", "reason"),
    [
        ({}, {"stream_arn": OLDER.replace("Employee", "Other")}, "is not a stream of 'Employee'"),
        ({"LatestStreamArn": None}, {}, "has no stream"),
    ],
)
def test_the_stream_of_another_table_or_of_none_is_refused(changed, options, reason):
    """Before anything is read of it."""
    world = World({"a": Shard([1])})
    world.source |= changed

    with pytest.raises(RefusedError, match=reason):
        world.redrive(**options)
    assert world.streams.calls == []


def test_a_stream_without_both_images_is_refused():
    """No row can be made of its records."""
    world = World({"a": Shard([1])})
    described = world.streams.describe_stream

    def keys_only(**request):
        answer = described(**request)
        answer["StreamDescription"]["StreamViewType"] = "KEYS_ONLY"
        return answer

    world.streams.describe_stream = keys_only

    with pytest.raises(RefusedError, match="KEYS_ONLY"):
        world.redrive()


def test_the_service_s_clock_says_when_the_reading_began():
    """A machine that is an hour slow would leave out what is missing."""
    world = World({"a": Shard([1], made_at={1: LATE})})
    described = world.streams.describe_stream

    def dated(**request):
        date = datetime.fromtimestamp(LATE, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        return described(**request) | {"ResponseMetadata": {"HTTPHeaders": {"date": date}}}

    world.streams.describe_stream = dated

    assert missing(world.redrive(apply=False)) == [1]


def test_nobody_is_redriven_for_by_accident():
    """An empty choice is a mistake."""
    with pytest.raises(RefusedError, match="for which consumer"):
        redrive_from_stream(None, consumers=(), pace=Pace())
