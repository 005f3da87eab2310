"""A stand-in for the operations, and the command lines that order them."""

from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import boto3

from operations.backfill.mark import MarkOutcome, MarkResult
from operations.backfill.plan import Backfill
from operations.backfill.results import Counts, Problem
from operations.enable import Stream
from operations.execution.item_run import ItemRun
from operations.execution.item_writer import WriteOutcome
from operations.execution.plan_file import PlanAction, PlanHeader, PlanItem, PlanTable
from operations.recovery.bad_changes import BadItem, Selected, Undecided
from operations.recovery.conflicts import Conflict
from operations.recovery.plan_items import restored_items, undone_items
from operations.recovery.restore_items import ItemPlan
from operations.recovery.run_changes import RunChanges
from operations.recovery.table.new_table import Standing
from operations.recovery.table.order import OrderTag, TableOrder
from operations.recovery.table.plan import TablePlan
from operations.recovery.table.results import TableRestored, Uncertain, Unwritten
from operations.recovery.table.settings import TableSettings
from operations.recovery.undo import ItemUndone, Undone
from operations.redrive.contents import Leftover, Lost
from operations.redrive.delivery import Cause
from operations.redrive.objects import StreamRange
from operations.redrive.result import Redriven, StreamReading
from operations.replica.discrepancies import ComparisonSummary, Discrepancy, DiscrepancyKind
from operations.replica.reasons import Explanation, Reason
from operations.replica.repair import Repaired, Unhealed
from operations.stored_rows import MissingRecord
from reports.deployment.stack import Consumer
from reports.inputs.keys import KeySchema
from reports.states.differences import Difference, differences
from reports.states.timeline import Certainty, ItemState
from stream_core.change import EventName
from tests.factories import item, number, text

AT = datetime(2018, 3, 3, 14, 6, tzinfo=UTC)
AGO = "2018-03-03T14:06:00Z"
ONE, TWO, THREE = ({"Id": text(each)} for each in ("1", "2", "3"))
OLD = item("1", Name=text("Murali"), Salary=number("4200.50"))
NEW = item("1", Name=text("Murali Allada"), Photo={"B": b"\x00\x01"})
SORT_KEY = "2018-03-03T14:06:00.000000Z#1"
ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/Employee/stream/2018-03-01T10:00:00.000"
GAP = {"class": "MISSING_START", "to": "2018-03-03T14:06:00.000000Z", "cause": "backfilled"}
BACKFILLED = Backfill(
    applied=True,
    finished=False,
    counts=Counts(10, 4, 3, 1, 2, 9),
    problems=[Problem("0123456789abcdef", "the table answers ValidationException")],
    unfinished=[Problem("fedcba9876543210", "not settled in the replica: no answer")],
    go_on="run the same command again: it goes on from state.json",
    gap=None,
    mark=MarkResult(MarkOutcome.REFUSED, None, "the backfill is not finished"),
)
LAGS = Explanation(Reason.LAGGING, "an old state", "`repair` it", 2, AT - timedelta(seconds=90))
CORRUPT = Explanation(Reason.CORRUPT, "it never was so", "find out who writes")
DISCREPANCIES = [
    Discrepancy(ONE, DiscrepancyKind.DIFFERENT, AT, LAGS, NEW, OLD),
    Discrepancy(TWO, DiscrepancyKind.MISSING, AT, Explanation(None, "?", "`repair`"), item("2")),
    Discrepancy(THREE, DiscrepancyKind.EXTRANEOUS, AT, CORRUPT, None, item("3", A=text("\x1b[2J"))),
]
SUMMARY = ComparisonSummary(
    source_items=100,
    replica_items=100,
    looked_at=100,
    kinds=dict.fromkeys(DiscrepancyKind, 1),
    reasons={Reason.LAGGING: 1, Reason.CORRUPT: 1, None: 1},
    restless=({"Id": text("9")},),
    passing=2,
    sample=1.0,
    seed=7,
    is_complete=True,
)
CLEAN = replace(SUMMARY, kinds={}, reasons={}, restless=())
REPAIRED = Repaired(
    applied=True,
    looked_at=5,
    equal=1,
    differing={DiscrepancyKind.MISSING: 3, DiscrepancyKind.DIFFERENT: 1},
    healed=2,
    deleted=0,
    restless=(ONE,),
    unhealed=(Unhealed(TWO, "the replica refuses it: ValidationException"),),
    plan=(PlanItem(1, ONE, PlanAction.PUT, (), "", ""),),
)
REDRIVEN = Redriven(
    applied=True,
    objects=3,
    records=5,
    done=("quarantine/history_writer/1.json",),
    leftovers=(
        Leftover(
            "quarantine/history_writer/2.json",
            *(Cause.CONFLICT, "another digest", Consumer.HISTORY_WRITER, "12", "0123456789abcdef"),
        ),
    ),
    lost=(Lost("letters.json", StreamRange(ARN, "shard-1", "3", "9", 7), 2, "3 have expired"),),
    counts=Counter(RowsWritten=4, Duplicates=1),
)
FROM_STREAM = replace(
    REDRIVEN,
    objects=0,
    records=9,
    done=(),
    leftovers=(replace(REDRIVEN.leftovers[0], where="shard-1"),),
    lost=(replace(REDRIVEN.lost[0], where=ARN, remaining=0),),
    counts=Counter(RowsWritten=1, Settled=4),
    stream=StreamReading(
        ARN, 2, 6, (MissingRecord("shard-1", "4", ONE, AT), MissingRecord("b", "5", TWO, AT)), 2, 4
    ),
)


def state(keys, image, certainty=Certainty.EXACT, reason="the live item"):
    return ItemState(keys, AT, image, certainty, reason)


PLAN = ItemPlan(ONE, state(ONE, OLD), state(ONE, NEW), tuple(differences(NEW, OLD)))
REFUSED = ItemPlan(
    TWO,
    state(TWO, None, Certainty.BOUNDED, "a change is missing"),
    state(TWO, item("2")),
    tuple(differences(item("2"), None)),
    "what it was is only bounded: a change is missing",
)
NEEDLESS = ItemPlan(THREE, state(THREE, None), state(THREE, None), ())
CONFLICT = Conflict(ONE, ("Name",), text("Murali Allada"), text("Grace"), text("Murali"), "again")
SETTINGS = TableSettings(
    {
        "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
        "Tags": [{"Key": "team", "Value": "payroll"}],
    },
    "Expires",
    7,
    ("a resource policy: it has one",),
)
TABLE_PLAN = TablePlan(
    TableOrder("Employee-march", AT),
    KeySchema({"Id": "S"}),
    SETTINGS,
    Standing(),
    OrderTag(AGO, "3f1f2a60", "4a5b", "all"),
    None,
)
WHOLE = TableRestored(
    applied=True,
    new_table="Employee-march",
    method="history",
    reason="it is short",
    items=7,
    uncertain=Counter({(Certainty.BOUNDED, "a change is missing"): 2}),
    listed=(Uncertain(ONE, True, Certainty.BOUNDED, "a change is missing"),),
    unwritten=(Unwritten(TWO, "the table answers ValidationException"),),
    notes=("deletion protection is not on",),
    settings=SETTINGS,
    already_there=3,
    unknown=(THREE,),
    extraneous=1,
    extraneous_keys=(ONE,),
    left_out=("a resource policy: it has one",),
    ended="the table answers nothing",
    may_go_on=True,
)
SELECTED = Selected((BadItem(ONE, (SORT_KEY,)),), (Undecided(TWO, SORT_KEY, EventName.REMOVE),))
UNDONE = Undone(
    False,
    (
        ItemUndone(
            ONE,
            (SORT_KEY,),
            (Difference(("Salary",), None, number(1)),),
            (CONFLICT,),
            before="01",
            after="02",
        ),
        ItemUndone(THREE, (SORT_KEY,), (Difference((), {"M": NEW}, None),), (), before="03"),
    ),
    SELECTED.undecided,
)
CONFLICTING = ItemUndone(ONE, (SORT_KEY,), (), (CONFLICT,))
HEADER = PlanHeader(
    "undo",
    {"since": "2018-03-01T00:00:00.000000Z", "until": "2018-04-01T23:59:59.999999Z", "at": AGO},
    PlanTable(ARN.partition("/stream/")[0], "3f1f2a60", AT),
    "Employee-history",
    ARN,
    AT,
    AT,
    "kim",
    "itemtrail 1.0",
)
PLANNED = undone_items(UNDONE.items)
WRITTEN = [
    ItemRun(PLANNED[0], WriteOutcome.WRITTEN),
    ItemRun(PLANNED[1], WriteOutcome.CONFLICT, "it has changed since the plan was made"),
]
RESTORED = [
    ItemRun(
        restored_items([PLAN])[0], WriteOutcome.CONFLICT, "it has changed meanwhile", (CONFLICT,)
    )
]


class Comparison:
    """Stands in for a comparison under way."""

    def __init__(self, found, summary):
        self._found = iter(found)
        self.summary = summary

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._found)


class Library:
    """Stands in for the operations: notes what they are asked for, and gives what is set."""

    def __init__(self, **answers):
        self.answers = {
            "backfill": BACKFILLED,
            "enable": Stream("Employee", ARN, was_on=False, applied=True),
            "compare": (DISCREPANCIES, SUMMARY),
            "repair": REPAIRED,
            "redrive": REDRIVEN,
            "redrive_from_stream": FROM_STREAM,
            "plan_restore": [PLAN, REFUSED, NEEDLESS],
            "plan_table": TABLE_PLAN,
            "restore_table": WHOLE,
            "select_bad": SELECTED,
            "select_run": RunChanges(SELECTED, AT, AT),
            "plan_undo": UNDONE,
            "write_undone": WRITTEN,
            "write_restored": RESTORED,
        } | answers
        self.asked = {}
        self.order = []

    def __getattr__(self, name):
        def ask(*given, pace, **named):
            self.order.append(name)
            self.asked[name] = given, named | {"rate": pace.per_second}
            pace.progress("items", 1, None)
            answer = self.answers[name]
            if isinstance(answer, BaseException):
                raise answer
            if isinstance(answer, list) and name.startswith("write_"):
                return nullcontext(result for result in answer)
            if name == "plan_table":
                _, order, *settings = given
                return replace(answer, order=order, settings=(*settings, answer.settings)[0])
            if name == "compare":
                return Comparison(*answer)
            if "apply" in named and hasattr(answer, "applied"):
                return replace(answer, applied=named["apply"] and answer.applied)
            return answer

        return ask


SESSION = boto3.Session("test", "test", region_name="us-east-1")
PLACES = {
    "backfill": "itemtrail.commands.backfill.backfill_table",
    "enable": "itemtrail.commands.enable.enable_stream",
    "compare": "itemtrail.commands.replica.compare_tables",
    "repair": "itemtrail.commands.replica.repair_items",
    "redrive": "itemtrail.commands.redrive.redrive_failures",
    "redrive_from_stream": "itemtrail.commands.redrive.redrive_from_stream",
    "plan_restore": "itemtrail.commands.restore.plan_restore",
    "plan_table": "itemtrail.commands.restore_table.plan_table",
    "restore_table": "itemtrail.commands.restore_table.restore_table",
    "select_bad": "itemtrail.commands.undo.select_bad",
    "select_run": "itemtrail.commands.undo.select_run",
    "plan_undo": "itemtrail.commands.undo.plan_undo",
    "write_undone": "itemtrail.commands.undo.carried_out",
    "write_restored": "itemtrail.commands.restore.carried_out",
}
RANGE = ("--since", "2018-03-01", "--until", "2018-04-01")
EVERY_ORDER = {
    "enable": ("enable", "Employee"),
    "backfill": ("backfill",),
    "compare": ("compare",),
    "repair": ("repair", "1"),
    "redrive": ("redrive",),
    "redrive --from-stream": ("redrive", "--from-stream"),
    "restore": ("restore", "1", "--at", AGO),
    "restore --into": ("restore", "--into", "Employee-march", "--at", AGO),
    "undo": ("undo", "1", *RANGE),
}
