"""Reading rows and live items: what is asked of the tables."""

from reports.states.selection import Selection
from reports.table.changes import changed_rows
from tests.factories import item, number
from tests.unit.memory_tables import Recorded, moment, require_consistent_reads

KEYS = {"Id": {"S": "1"}}


def version(count):
    return item("1", Count=number(count))


def test_the_evidence_on_an_item_is_read_consistently():
    """Its rows on both sides of the instant, and the live item."""
    world = Recorded()
    world.write("1", version(1))

    world.reader.evidence(KEYS, moment(300), moment(600))

    assert world.client.calls["get_item"] == 1
    require_consistent_reads(world.client)


def test_the_rows_of_changes_are_read_consistently():
    """The index only says which rows there are."""
    world = Recorded()
    world.write("1", version(1))

    rows = list(changed_rows(world.reader, moment(0), moment(9), Selection()))

    assert len(rows) == 1
    require_consistent_reads(world.client)


def test_a_range_that_ends_before_it_begins_is_not_asked_for():
    """DynamoDB refuses it."""
    world = Recorded()
    world.write("1", version(1))
    world.client.calls.clear()

    assert list(world.reader.items("1", after="2018", until="2017")) == []

    assert not world.client.calls
