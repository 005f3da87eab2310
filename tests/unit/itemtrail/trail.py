"""A stand-in for a history table, and the questions that are put to it."""

from dataclasses import replace
from datetime import timedelta

from reports import UncertainError
from reports.access.faulty_rows import RowFault
from reports.deployment.advice import Advice
from reports.deployment.stack import Consumer, TableRole
from reports.deployment.status import ConsumerStatus, KeptAside, Status, TableStatus
from reports.inputs.keys import KeySchema
from reports.states.blame import blame
from reports.states.differences import differences
from reports.states.evidence import Evidence
from reports.states.spans import timeline
from reports.states.timeline import Certainty, ItemState, judge
from reports.states.watermark import NoWatermark, Watermark
from reports.table.as_of import TableAsOf
from reports.verification.continuity import Finding, FindingKind
from reports.verification.verdicts import Verdict, Verification
from stream_core.history_row import HistoryRow
from tests.factories import COMPLETE, change, item, number, text

KEYS = {"Id": {"S": "1"}}
OLD = item("1", Name=text("Murali"), Salary=number("4200.50"))
NEW = item("1", Name=text("Murali Allada"), Photo={"B": b"\x00\x01"})
ROWS = [
    HistoryRow.from_change(change(None, OLD, sequence=1)),
    HistoryRow.from_change(change(OLD, NEW, sequence=2)),
    HistoryRow.from_change(
        change(NEW, None, sequence=3, user_identity=("Service", "dynamodb.amazonaws.com"))
    ),
]
AT = ROWS[0].change.created_at
HORIZON = AT - timedelta(days=1)
TARGET = ("--history-table", "employee-trail-history")
SINCE = ("--since", "2018-03-01")
EVERY_QUESTION = {
    "history": ("history", "1"),
    "as-of": ("as-of", "1", "--at", "2018-03-03T14:06:00Z"),
    "diff": ("diff", "1", "--from", "2018-01-01"),
    "blame": ("blame", "1"),
    "timeline": ("timeline", "1"),
    "changes": ("changes", *SINCE),
    "between": ("between", *SINCE),
    "table-as-of": ("table-as-of", "--at", "2018-03-03T14:06:00Z"),
    "verify": ("verify",),
    "status": ("status",),
    "doctor": ("doctor",),
}
# Tried in test_operation_forms.py.
OPERATIONS = {"enable", "backfill", "compare", "repair", "redrive", "restore", "undo"}
# Tried in datasets/test_commands.py.
WAREHOUSE = {"archive", "query"}
FINDING = Finding(FindingKind.MISSING_CHANGE, KEYS, AT, AT, ROWS[1].sort_key, "another state")
VERIFIED = Verification([], 1, 3, 0, Verdict.HOLDS, Verdict.HOLDS, [])
BROKEN = Verification(
    [FINDING, replace(FINDING, declared="outage of 3 March")],
    *(1, 3, 0, Verdict.HOLDS, Verdict.BROKEN, ["the index was not read"]),
)
STATUS = Status(
    "employee-trail",
    "us-east-1",
    AT,
    (TableStatus(TableRole.HISTORY, "h", "us-east-1", True, "ACTIVE", 3, 5_300_000, AT),),
    (
        ConsumerStatus(Consumer.HISTORY_WRITER, "f", "uuid", "Enabled", "OK", None, 1234.0, None),
        ConsumerStatus(Consumer.REPLICA_WRITER, "r", "uuid", lag_problem="nothing was invoked"),
    ),
    (KeptAside("records of history_writer", "quarantine/history_writer/", 2, newest=AT),),
    "bucket",
)
BOTH = {"SourceTableName": "Employee", "HistoryTableName": "h", "ReplicaTableName": "r"}
ADVICE = [
    Advice("stream view", "Employee", True, "NEW_AND_OLD_IMAGES"),
    Advice("deletion protection", "Employee", False, "off", "Turn it on: aws dynamodb " + "x" * 99),
    Advice("readers", "Employee", None, "AccessDenied", "Ask again"),
]


class Trail:
    """Stands in for a history table: three rows of one item.

    Attributes:
        faults: the rows that are not what was written.
    """

    faults: tuple[RowFault, ...] = ()
    key_schema = KeySchema({"Id": "S"})
    horizon = HORIZON
    watermark: Watermark | NoWatermark = COMPLETE["watermark"]

    def __init__(self, rows=ROWS, error=None, found=VERIFIED, live=None):
        self._rows = rows
        self._error = error
        self._found = found
        self._live = live
        self.asked = None

    def _ask(self, *given, **named):
        self.asked = given, named
        if self._error:
            raise self._error

    def entries(self, *_, **__):
        return iter(())

    def rows(self, key):
        self._ask(key)
        return iter(self._rows)

    def as_of(self, key, at, *, certain=False):
        self._ask(key, at)
        if certain:
            raise UncertainError("only bounded")
        return judge(self._evidence(key, at))

    def _evidence(self, key, at):
        if not self._rows:
            return Evidence(key, at, at, HORIZON, None, None, True, self._live, **COMPLETE)
        before, after = self._rows[:2]
        return Evidence(key, at, at, HORIZON, before, after, **COMPLETE)

    def differences(self, key, start, end):
        old, new = self.as_of(key, start), self.as_of(key, end)
        return old, new, differences(OLD, NEW)

    def states(self, key):
        self._ask(key)
        newest = Evidence(key, AT, AT, HORIZON, None, None, True, self._live, **COMPLETE)
        return timeline(self._rows, newest)

    def blames(self, key, at, *, actor_attribute=None):
        if not self._rows:
            return ItemState(key, at, None, *UNSURE), []
        evidence = self._evidence(key, at)
        return self.as_of(key, at), blame(evidence, self._rows[:1], actor_attribute)

    def changed_rows(  # noqa: PLR0913
        self, start, end, where, key, *, progress, undecided, examined
    ):
        self._ask(start, end, where, key)
        progress("hours", 1, 1)
        for row in self._rows:
            examined(row)
            if where.accepts(row):
                yield row
            elif where.undecided(row):
                undecided(row)

    def versions(self, start, end, key=None, *, progress):
        self._ask(start, end, key)
        progress("items", 1, 1)
        return (state for state in self.states(KEYS) if self._rows and not state.may_be_older)

    def table_states(self, at, *, certain=False, progress):
        self._ask(at, certain)
        progress("items", 1, 1)
        weak = ItemState({"Id": text("2")}, at, None, *UNSURE)
        states = [self.as_of(KEYS, at), weak] if self._rows else []
        return TableAsOf(at, "history", "it is short", iter(states))

    def verify(self, keys=None, gaps=(), *, progress):
        self._ask(keys, gaps)
        progress("items", 1, 1)
        return self._found


UNSURE = (Certainty.BOUNDED, "a change is missing")
