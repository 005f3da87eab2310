"""Handing records over, and what became of them."""

from operations.execution.under_way import UnderWay
from operations.redrive.delivery import to_replica
from replica_writer.settle import Settler
from replica_writer.tables import ReplicaTable, SourceTable
from stream_core.batch import Delivery
from stream_core.change import read_record
from tests.factories import Clock, item, lambda_record
from tests.fakes import DENIED, FakeDynamoDB


def test_only_items_that_equal_the_source_count_as_settled():
    """One that could not be written is none of them."""
    tables = FakeDynamoDB(source=("Id",), replica=("Id",))
    tables.put("source", item("1"))
    tables.always("batch_write_item", DENIED)
    record = lambda_record(new=item("1"))
    settler = Settler(ReplicaTable(tables, "replica"), SourceTable(tables, "source"))

    redelivery = to_replica(
        settler, [Delivery(record, read_record(record))], lambda: Clock().patience, UnderWay()
    )

    assert redelivery.counts["Settled"] == 0
    assert list(redelivery.failed) == [id(record)]
