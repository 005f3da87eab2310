"""A whole table on moto with its history, to be restored into a new one."""

from datetime import timedelta

from operations.execution.pace import Pace
from operations.recovery.table.order import TAG, TableOrder
from operations.recovery.table.plan import plan_table
from operations.recovery.table.restore import restore_table
from operations.recovery.table.selection import ItemSelection
from reports.access.machine import Machine
from tests.factories import item, number
from tests.recorded_table import RecordedTable

NEW = "EmployeeThen"
_SELECTING = ("keys", "prefixes", "conditions")


class WholeTable(RecordedTable):
    """Which is restored as a whole; the first state of an item is of minute 1."""

    def __init__(self, session):
        super().__init__(session, recorded_for=timedelta(0))
        # moto does not know these operations; the service answers so where there is nothing.
        self.client.describe_kinesis_streaming_destination = lambda **_: {}
        self.client.describe_contributor_insights = lambda **_: {}

    def live(self, identifier, *states, missing=()):
        self.record_states(*states, identifier=identifier, missing=missing, first_minute=1)

    def items(self, name=NEW):
        listed = self.client.scan(TableName=name)["Items"]
        return sorted(listed, key=lambda one: one["Id"]["S"])

    def exists(self, name=NEW):
        return name in self.client.list_tables()["TableNames"]

    def tag(self, name=NEW):
        """The tag of the restore; moto adds a tag beside the one it would replace."""
        arn = self.client.describe_table(TableName=name)["Table"]["TableArn"]
        tags = self.client.list_tags_of_resource(ResourceArn=arn)["Tags"]
        return {tag["Key"]: tag["Value"] for tag in tags}.get(TAG)

    def plan(self, minute, new_table=NEW, pace=None, **options):
        selected = {name: options.pop(name) for name in _SELECTING if name in options}
        order = TableOrder(new_table, self.at(minute), ItemSelection(**selected), **options)
        return plan_table(self.deployment, order, pace=pace or Pace(patience_s=0))

    def restore(self, minute, new_table=NEW, *, apply=True, pace=None, tell=None, **options):
        # Nobody else writes: there is nothing to wait for before it is finished.
        pace = pace or Pace(patience_s=0, machine=Machine(sleep=lambda _seconds: None))
        plan = self.plan(minute, new_table, pace, **options)
        tell = tell or (lambda _line: None)
        return restore_table(self.deployment, plan, apply=apply, tell=tell, pace=pace)


def version(identifier, n, **attributes):
    return item(
        identifier,
        Version=number(n),
        Data={"B": b"\x00\xff"},
        Tags={"SS": ["b", "a"]},
        **attributes,
    )
