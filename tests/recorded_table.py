"""A table on moto with its history, for what takes changes back."""

from datetime import UTC, datetime, timedelta

from operations.deployed_tables import DeployedTables
from stream_core.history_row import HistoryRow
from tests.factories import RECORDED, change, complete, text
from tests.tables import create_history_table, create_table

HISTORY, SOURCE = "EmployeeHistory", "Employee"


class RecordedTable:
    """A table, its history that began an hour ago or before, and somebody else who writes.

    Attributes:
        client: moto's.
        began: when the first minute began.
    """

    def __init__(self, session, *, recorded_for=timedelta(days=1)):
        self.session = session
        self.client = session.client("dynamodb")
        create_table(self.client, SOURCE, {"Id": "S"})
        create_history_table(self.client, HISTORY)
        self.deployment = DeployedTables(
            SOURCE,
            session,
            history_table=HISTORY,
            time_shards=4,
            declared=RECORDED,
        )
        self.deployment.dynamodb = self.client
        complete(self.deployment.reader)
        self.began = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
        self.deployment.reader.horizon = self.began - recorded_for
        self.sequence = 0

    def at(self, minute):
        return self.began + timedelta(minutes=minute)

    def record_states(self, *states, identifier="1", missing=(), first_minute=0):
        """An item's states, a minute apart; the last one is in the table."""
        for minute, (old, new) in enumerate(zip([None, *states], states, strict=False)):
            if old == new or first_minute + minute in missing:
                continue
            self.sequence += 1
            self.record(old, new, identifier, self.at(first_minute + minute), self.sequence)
        self.store(states[-1], identifier)

    def record(self, old, new, identifier, at, sequence):
        """Have a change in the history; gives its row."""
        keys = {"Id": text(identifier)}
        row = HistoryRow.from_change(
            change(old, new, keys=keys, at=at.timestamp(), sequence=sequence)
        )
        self.client.put_item(TableName=HISTORY, Item=row.to_item(4))
        return row

    def store(self, image, identifier="1"):
        """Have an item in the table, or none."""
        if image is None:
            self.client.delete_item(TableName=SOURCE, Key={"Id": text(identifier)})
        else:
            self.put(image)

    def put(self, image):
        """Somebody's write that is not recorded yet."""
        self.client.put_item(TableName=SOURCE, Item=image)

    def item(self, identifier="1"):
        answer = self.client.get_item(TableName=SOURCE, Key={"Id": text(identifier)})
        return answer.get("Item")
