"""A table is filled by batches, and one patience holds for all of them."""

from types import SimpleNamespace

import pytest

from operations.errors import RunEndedError
from operations.execution.pace import Pace
from operations.recovery.table.filler import Filler
from operations.recovery.table.results import Unwritten
from replica_writer.tables import ReplicaTable
from reports.access.machine import Machine
from reports.states.timeline import Certainty, ItemState
from tests.factories import item, text
from tests.fakes import DENIED, INVALID, THROTTLED

KEYS = [{"Id": text(str(n))} for n in range(4)]


class Table:
    """A table's client that takes what it is told to take, while time passes on a clock."""

    def __init__(self):
        self.seconds = 0.0
        self.machine = Machine(clock=lambda: self.seconds, sleep=self.pass_time, jitter=lambda: 1.0)
        self.items = {}
        self.calls = []
        self.refusal = lambda _ids: None

    def batch_write_item(self, RequestItems):  # noqa: N803 - names of the API
        (requests,) = RequestItems.values()
        ids = [one["PutRequest"]["Item"]["Id"]["S"] for one in requests]
        self.calls.append(ids)
        error = self.refusal(ids)
        if error is not None:
            raise error
        self.items |= {one["PutRequest"]["Item"]["Id"]["S"]: one for one in requests}
        return {"UnprocessedItems": {}}

    def filler(self, rate=None):
        client = SimpleNamespace(batch_write_item=self.batch_write_item)
        return Filler(ReplicaTable(client, "New"), Pace(rate, machine=self.machine))

    def pass_time(self, seconds):
        self.seconds += seconds


@pytest.fixture
def table():
    return Table()


def batch(*numbers):
    return {
        str(n): ItemState(KEYS[n], None, item(str(n)), Certainty.EXACT, "it is so") for n in numbers
    }


def test_what_is_refused_for_a_while_is_written_in_the_end(table):
    """However many calls that takes."""
    table.refusal = lambda _ids: THROTTLED if table.seconds < 30 else None
    filler = table.filler()

    filler.write(batch(0, 1))

    assert (filler.written, filler.unwritten, set(table.items)) == (2, [], {"0", "1"})


@pytest.mark.parametrize("error", [THROTTLED, DENIED], ids=["throttled", "denied"])
def test_a_table_that_refuses_for_good_ends_the_run_once(table, error):
    """After a minute, and not after a minute for each batch; it is not hammered meanwhile."""
    table.refusal = lambda _ids: error
    filler = table.filler()

    with pytest.raises(RunEndedError, match=r"'New' answers .*: nothing has succeeded for 60"):
        filler.write(batch(0, 1))
    ended, calls = table.seconds, len(table.calls)
    with pytest.raises(RunEndedError):
        filler.write(batch(2, 3))

    assert 50 < ended <= 60
    assert (table.seconds, len(table.calls)) == (ended, calls)
    assert calls < 60
    assert filler.written == 0


def test_a_success_renews_the_patience(table):
    """A slow table is no table that refuses."""
    filler = table.filler()
    for n in range(4):
        begun = table.seconds
        table.refusal = lambda _ids, begun=begun: THROTTLED if table.seconds < begun + 40 else None
        filler.write(batch(n))

    assert table.seconds > 160
    assert filler.written == 4


def test_an_item_that_is_refused_stands_alone(table):
    """The others of its batch are written, and it is not tried again."""
    table.refusal = lambda ids: INVALID if "1" in ids else None
    filler = table.filler()

    filler.write(batch(0, 1, 2, 3))

    assert filler.unwritten == [Unwritten(KEYS[1], "the table answers ValidationException")]
    assert (filler.written, set(table.items)) == (3, {"0", "2", "3"})
    assert table.calls.count(["1"]) == 1


def test_it_keeps_to_a_rate(table):
    """So many items a second, of all batches together."""
    filler = table.filler(rate=2)

    filler.write(batch(0, 1, 2, 3))
    filler.write(batch(0))

    assert table.seconds == 2.0
