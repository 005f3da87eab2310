"""A source and a replica in memory, and what makes the one equal to the other."""

import contextlib

from replica_writer.settle import Settler
from replica_writer.tables import ReplicaTable, SourceTable
from tests.fakes import FakeDynamoDB


class TwoTables:
    """A source and a replica, and a settler between them."""

    def __init__(self, *key_names, read_source=True):
        self.key_names = key_names or ("Id",)
        self.source = FakeDynamoDB(source=self.key_names)
        self.replica = FakeDynamoDB(replica=self.key_names)
        self.settler = Settler(
            ReplicaTable(self.replica, "replica"),
            SourceTable(self.source, "source") if read_source else None,
        )

    def of_source(self):
        return self.source.items("source")

    def of_replica(self):
        return self.replica.items("replica")


@contextlib.contextmanager
def factory(kind):
    """What makes such tables, their threads ended when a test has ended."""
    made = []

    def make(*key_names, **options):
        made.append(kind(*key_names, **options))
        return made[-1]

    yield make
    for tables in made:
        tables.settler.pool.shutdown()
