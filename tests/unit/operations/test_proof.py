"""Stream and history are held against each other, and what is missing is named."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from operations.errors import RefusedError
from operations.execution.pace import Pace
from operations.proof import keep, prove
from operations.redrive.stream_reader import StreamUnreadableError
from reports.access.machine import Machine
from reports.states.watermark import Basis, NoWatermark
from stream_core.change import read_record
from stream_core.control_row import ProofMark, TableLife, read_control_row
from stream_core.history_row import HistoryRow
from tests.factories import NOON, STREAM_ARN, api_record, item
from tests.fakes import parse_insert
from tests.recorded_history import History

BEGUN = datetime.fromtimestamp(NOON + 3600, UTC)


class Streams:
    """Closed and open shards; an open one gives empty pages at its tip, and more later.

    Attributes:
        later: what an open shard gets with each pause.
    """

    def __init__(self, closed=(), opened=(), later=()):
        self.shards = {"closed": list(closed), "open": list(opened)}
        self.later = list(later)
        self.errors = []
        self.pauses = []
        self.page = 2

    def pause(self, seconds):
        self.pauses.append(seconds)
        if self.later:
            self.shards["open"] += self.later.pop(0)

    def describe_stream(self, StreamArn, **place):  # noqa: N803 - names of the API, here and below
        assert StreamArn == STREAM_ARN
        names = list(self.shards)
        first = names.index(place["ExclusiveStartShardId"]) + 1 if place else 0
        description = {"Shards": [{"ShardId": names[first]}]}
        if first + 1 < len(names):
            description["LastEvaluatedShardId"] = names[first]
        date = BEGUN.strftime("%a, %d %b %Y %H:%M:%S GMT")
        return {
            "StreamDescription": description,
            "ResponseMetadata": {"HTTPHeaders": {"date": date}},
        }

    def get_shard_iterator(self, StreamArn, ShardId, ShardIteratorType, SequenceNumber=None):  # noqa: N803
        assert StreamArn == STREAM_ARN
        if ShardIteratorType == "TRIM_HORIZON":
            return {"ShardIterator": f"{ShardId}:0"}
        numbers = [record["dynamodb"]["SequenceNumber"] for record in self.shards[ShardId]]
        return {"ShardIterator": f"{ShardId}:{numbers.index(SequenceNumber) + 1}"}

    def get_records(self, ShardIterator):  # noqa: N803
        if self.errors:
            raise ClientError({"Error": {"Code": self.errors.pop(0)}}, "GetRecords")
        name, _, place = ShardIterator.partition(":")
        records, start = self.shards[name], int(place)
        page = records[start : start + self.page]
        answer = {"Records": page}
        if name == "open" or start + len(page) < len(records):
            answer["NextShardIterator"] = f"{name}:{start + len(page)}"
        return answer


def record(number, *, after_s=0):
    return api_record(None, item(str(number)), sequence=number, at=NOON + after_s)


def row(change):
    return HistoryRow.from_change(read_record(change | {"eventSourceARN": STREAM_ARN}))


def proof_of(streams, stored, kept_aside=()):
    machine = Machine(sleep=streams.pause)
    reader = History(*map(row, stored)).reader
    return prove(streams, STREAM_ARN, reader, lambda: list(kept_aside), Pace(machine=machine))


def test_a_history_that_has_every_record_is_complete_until_the_proof_began():
    """Less a minute, by which stamps may step back; an open shard is looked at three times."""
    records = [record(number) for number in range(1, 6)]
    streams = Streams(closed=records[:3], opened=records[3:])

    proof = proof_of(streams, records)

    assert (proof.shards, proof.records, proof.missing) == (2, 5, ())
    assert (proof.watermark.at, proof.watermark.basis) == (
        BEGUN - timedelta(minutes=1),
        Basis.COMPARED,
    )
    assert streams.pauses == [60, 60]


@pytest.mark.parametrize("shard", ["closed", "opened"])
def test_a_record_that_is_missing_is_named_and_bounds_the_watermark(shard):
    """The history is complete until right before it."""
    records = [record(number, after_s=60 * number) for number in range(1, 6)]
    streams = Streams(**{shard: records})

    proof = proof_of(streams, [*records[:2], *records[3:]])

    (missing,) = proof.missing
    assert (missing.keys, missing.sequence_number) == ({"Id": {"S": "3"}}, "3")
    assert proof.watermark.at == missing.created_at - timedelta(seconds=1)


def test_a_record_that_comes_late_to_an_open_shard_is_seen():
    """One empty page does not prove that there is nothing more."""
    streams = Streams(opened=[record(1)], later=[[record(2)], [record(3)]])

    proof = proof_of(streams, [record(1), record(2)])

    assert [one.sequence_number for one in proof.missing] == ["3"]


def test_a_later_change_ends_the_reading_of_a_busy_shard():
    """All before it was seen; it may itself still be on its way."""
    streams = Streams(opened=[record(1), record(2, after_s=4000)])

    proof = proof_of(streams, [record(1)])

    assert (proof.missing, streams.pauses) == ((), [])


def test_a_record_on_its_way_is_looked_for_again_in_the_end():
    """It may have been stored while the rest was read."""
    streams = Streams(opened=[record(1)])
    history = History()

    def pause(seconds):
        history.store(row(record(1)).to_item(4))
        streams.pause(seconds)

    pace = Pace(machine=Machine(sleep=pause))
    proof = prove(streams, STREAM_ARN, history.reader, list, pace)

    assert proof.missing == ()


def test_what_is_kept_aside_bounds_it_too():
    """Also what the stream has forgotten; of something without a time nothing can be said."""
    long_ago = BEGUN - timedelta(days=3)

    bounded = proof_of(Streams(), [], [long_ago])
    unsaid = proof_of(Streams(), [], [long_ago, None])

    assert bounded.watermark.at == long_ago - timedelta(seconds=1)
    assert isinstance(unsaid.watermark, NoWatermark)


def test_a_record_that_cannot_be_read_is_missing():
    """The writer keeps it aside: no row has it, and no time is known of it."""
    broken = record(1)
    del broken["dynamodb"]["NewImage"]

    proof = proof_of(Streams(closed=[broken]), [])

    assert [(one.keys, one.sequence_number) for one in proof.missing] == [(None, "1")]
    assert isinstance(proof.watermark, NoWatermark)


@pytest.mark.parametrize("error", ["TrimmedDataAccessException", "ExpiredIteratorException"])
def test_a_place_that_is_gone_is_found_anew(error):
    """The horizon moves on, and iterators last 15 minutes."""
    streams = Streams(opened=[record(1), record(2), record(3)])
    streams.errors = [error]

    assert proof_of(streams, [record(1), record(2), record(3)]).missing == ()


def test_a_stream_that_refuses_is_said_and_proves_nothing():
    """No answer is made up."""
    streams = Streams(opened=[record(1)])
    streams.errors = ["AccessDeniedException"]

    with pytest.raises(StreamUnreadableError, match="AccessDeniedException"):
        proof_of(streams, [record(1)])


class Written:
    """A client that takes control rows, and tells when it answers."""

    def __init__(self):
        self.rows = []

    def describe_table(self, TableName):  # noqa: N803 - names of the API, here and below
        assert TableName == "Employee"
        return {}

    def batch_execute_statement(self, Statements):  # noqa: N803
        self.rows += [parse_insert(statement)[1] for statement in Statements]
        return {"Responses": [{} for _ in Statements]}


def deployment(stream_arn=STREAM_ARN):
    life = TableLife(stream_arn, "12345a12", BEGUN)
    reader = SimpleNamespace(current_life=life, history_table="EmployeeHistory")
    return SimpleNamespace(dynamodb=Written(), source_table="Employee", reader=reader)


def test_a_kept_proof_says_of_which_table_and_until_when():
    """As a control row, which reads back."""
    proof, kept = proof_of(Streams(), []), deployment()

    mark = keep(proof, kept, Pace(machine=Machine(now=lambda: BEGUN)))

    assert [read_control_row(row) for row in kept.dynamodb.rows] == [mark]
    assert isinstance(mark, ProofMark)
    assert (mark.stream_arn, mark.table_id) == (STREAM_ARN, "12345a12")
    assert (mark.until, mark.shards, mark.records) == (proof.watermark.at, 2, 0)
    assert abs(mark.finished - BEGUN) < timedelta(seconds=1)


@pytest.mark.parametrize(
    ("kept_aside", "stream_arn", "reason"),
    [
        ([None], STREAM_ARN, "does not say of when it is"),
        ([], STREAM_ARN.replace("2018", "2019"), "not the table's latest stream"),
    ],
)
def test_what_shows_nothing_of_the_table_now_is_not_kept(kept_aside, stream_arn, reason):
    """Nothing is written."""
    kept = deployment(stream_arn)

    with pytest.raises(RefusedError, match=reason):
        keep(proof_of(Streams(), [], kept_aside), kept, Pace())

    assert kept.dynamodb.rows == []
