"""The index by time holds the rows of the table, each in its bucket, and no others."""

import pytest

from reports.access.machine import Machine
from reports.verification.index_check import BucketSums
from reports.verification.verdicts import Verdict
from reports.verification.verify import verify
from tests.factories import item, number, text
from tests.fakes import DENIED, client_error
from tests.recorded_history import SHARDS, History, StillClock, row_of, rows_of

STATES = [item("1", Count=number(n)) for n in range(4)]
KEYS = {"Id": text("1")}


@pytest.fixture
def history():
    """An item of four rows, and one beside it."""
    other = item("2")
    return History(*rows_of(*STATES), row_of(None, other), live=[STATES[-1], other])


def verified(history, keys=None, clock=None):
    clock = clock or StillClock()
    return verify(history.reader, keys, machine=Machine(now=clock.now, sleep=clock.sleep))


def place(row):
    return row["Id"]["S"], row["ApproximateCreationDateTime"]["S"]


@pytest.mark.parametrize("keys", [None, [KEYS]])
def test_a_row_that_the_index_lacks_is_found(history, keys):
    """Questions by time miss it, though the table has it."""
    lost = history.stored()[2]
    history.tables.lagging.add(place(lost))

    came_of_it = verified(history, keys)

    (finding,) = came_of_it.findings
    assert (finding.kind.value, finding.keys) == ("KEY_MISMATCH", KEYS)
    assert finding.sort_key == place(lost)[1]
    assert finding.detail == "the index ByTime does not hold it: `changes` misses it"
    assert came_of_it.integrity is Verdict.BROKEN


@pytest.mark.parametrize("keys", [None, [KEYS]])
def test_an_index_that_follows_late_is_waited_for(history, keys):
    """It is brought up to date after the table."""
    clock = StillClock()
    history.tables.lagging.add(place(history.stored()[2]))
    clock.while_waiting = history.tables.lagging.clear

    assert verified(history, keys, clock).clean
    assert len(clock.pauses_s) == 1


def test_an_entry_of_the_index_without_a_row_is_found(history):
    """A question by time would ask the table for it."""
    extra = row_of(None, item("9"), 30).to_item(SHARDS)
    history.store(extra)
    history.tables.fall_behind()
    history.lose(extra)

    (finding,) = verified(history).findings

    assert (finding.kind.value, finding.sort_key) == ("KEY_MISMATCH", place(extra)[1])
    assert finding.keys == {"Id": text("9")}
    assert finding.detail == (
        f"the index ByTime holds it in {extra['TimeBucket']['S']}, and the table does not"
    )


def test_a_row_in_another_bucket_than_its_own_is_told_once(history):
    """What is wrong with the row is a matter of the row, and the index has it as it is."""
    row = history.stored()[1]
    history.store(row | {"TimeBucket": text("2018-03-03T14#77")})

    (finding,) = verified(history).findings

    assert "its TimeBucket is not its hour and shard" in finding.detail


def test_what_was_just_written_is_not_held_against_the_index(history):
    """Whatever is written while all of it is read would ask for another reading of the table."""
    clock = StillClock()
    late_s = (clock.now() - history.reader.horizon).total_seconds() - 86400 - 60
    history.store(row_of(STATES[-1], STATES[0], late_s, 9).to_item(SHARDS))
    history.put(STATES[0])
    history.tables.lagging.add(place(history.stored()[-1]))

    assert verified(history, clock=clock).clean
    assert verified(history, [KEYS], clock=clock).findings != []


@pytest.mark.parametrize("error", [DENIED, client_error("ValidationException", 400)])
def test_an_index_that_cannot_be_read_proves_nothing(history, error):
    """It may not be there, or not be for these eyes: no verdict on what was not seen."""
    query, scan = history.tables.query, history.tables.scan

    def refuse(ask):
        def asked(**request):
            if "IndexName" in request:
                raise error
            return ask(**request)

        return asked

    history.tables.query, history.tables.scan = refuse(query), refuse(scan)

    for keys in (None, [KEYS]):
        came_of_it = verified(history, keys)
        assert came_of_it.findings == []
        assert came_of_it.integrity is Verdict.UNPROVEN
        assert came_of_it.notes[0].startswith("the index ByTime could not be read (")


def test_many_buckets_that_differ_are_told_in_part():
    """An index that is being made lacks nearly all: what is told of it is bounded."""
    rows = rows_of(*[item("1", Count=number(n)) for n in range(105)], step_s=3600)
    history = History(*rows, live=[item("1", Count=number(104))], began_s=-86400 * 9)
    clock = StillClock(rows[-1].change.created_at.replace(year=2019))
    history.tables.lagging |= {place(row.to_item(SHARDS)) for row in rows}

    came_of_it = verified(history, clock=clock)

    assert len(came_of_it.findings) == 100
    (note,) = came_of_it.notes
    assert note.startswith("the index ByTime differs from the table in 105 partitions: rows of the")


def test_rows_that_may_still_be_on_their_way_into_the_index_do_not_count():
    """Of a table that is written all the time the sums of the last minutes would always differ."""
    sums = BucketSums("2018-03-03T14")
    sort_key = {"ApproximateCreationDateTime": text("2018-03-03T14:00:00.000000Z#1")}

    sums.add([KEYS | sort_key | {"TimeBucket": text("2018-03-03T14#00")}])

    assert sums.sums == {}
