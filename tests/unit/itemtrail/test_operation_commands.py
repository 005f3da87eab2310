"""The commands that write: dry runs say so, plans come first, and nothing left undone is hidden."""

import csv
import io
import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import boto3
import pyarrow.parquet
import pytest

from itemtrail.cli import commands, main
from itemtrail.options import operation_target as operation_options
from itemtrail.options.operation_target import OperationTarget
from itemtrail.output import dry_run as plan_first
from itemtrail.records import kinds as record_kinds
from itemtrail.records.kinds import FieldKind
from operations.backfill.plan import Backfill
from operations.backfill.results import Counts, Problem
from operations.enable import Stream
from operations.errors import RefusedError
from operations.recovery.conditional_write import WriteOutcome
from operations.recovery.conflicts import Conflict
from operations.recovery.restore_items import ItemPlan, ItemResult, Restored
from operations.recovery.restore_table import TableRestored, Uncertain, Unwritten
from operations.recovery.undo import BadItem, ItemUndone, Selected, Undecided, Undone
from operations.redrive.delivery import Why
from operations.redrive.objects import StreamRange
from operations.redrive.run import Redriven
from operations.redrive.unpacking import Leftover, Lost
from operations.replica.discrepancies import ComparisonSummary, Discrepancy, DiscrepancyKind
from operations.replica.reasons import Explanation, Reason
from operations.replica.repair import Repaired, Unhealed
from reports.deployment.stack import Consumer, Stack
from reports.inputs.keys import KeySchema
from reports.states.differences import Difference, differences
from reports.states.timeline import Certainty, ItemState
from reports.verification.gaps import read_gaps
from stream_core.change import EventName
from stream_core.history_row import time_text
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
    restless=(ONE,),
    unhealed=(Unhealed(TWO, "the replica refuses it: ValidationException"),),
)
REDRIVEN = Redriven(
    applied=True,
    objects=3,
    records=5,
    done=("quarantine/history_writer/1.json",),
    leftovers=(
        Leftover(
            "quarantine/history_writer/2.json",
            *(Why.CONFLICT, "another digest", Consumer.HISTORY_WRITER, "12", "0123456789abcdef"),
        ),
    ),
    lost=(Lost("letters.json", StreamRange(ARN, "shard-1", "3", "9", 7), 2, "3 have expired"),),
    counts=Counter(RowsWritten=4, Duplicates=1),
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
RESTORED = Restored(
    True,
    (
        ItemResult(PLAN, WriteOutcome.CONFLICT, "it has changed meanwhile", (CONFLICT,)),
        ItemResult(REFUSED, reason=REFUSED.refusal),
        ItemResult(NEEDLESS, reason="it is what it was"),
    ),
)
WHOLE = TableRestored(
    applied=True,
    new_table="Employee-march",
    method="history",
    reason="it is short",
    items=7,
    uncertain=Counter({"a change is missing": 2}),
    listed=(Uncertain(ONE, True, Certainty.BOUNDED, "a change is missing"),),
    unwritten=(Unwritten(TWO, "the table answers ValidationException"),),
    notes=("deletion protection is not on",),
)
SELECTED = Selected((BadItem(ONE, (SORT_KEY,)),), (Undecided(TWO, SORT_KEY, EventName.REMOVE),))
UNDONE = Undone(
    True,
    (
        ItemUndone(
            ONE,
            (SORT_KEY,),
            (Difference(("Salary",), None, number(1)),),
            (CONFLICT,),
            WriteOutcome.WRITTEN,
        ),
        ItemUndone(THREE, (SORT_KEY,), (Difference((), {"M": NEW}, None),), (), None),
    ),
    SELECTED.undecided,
)


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
            "plan_restore": [PLAN, REFUSED, NEEDLESS],
            "carry_out": RESTORED,
            "restore_table": WHOLE,
            "select_bad": SELECTED,
            "take_back": UNDONE,
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
            if name == "compare":
                return Comparison(*answer)
            if "apply" in named and hasattr(answer, "applied"):
                return replace(answer, applied=named["apply"] and answer.applied)
            return answer

        return ask


SESSION = boto3.Session("test", "test", region_name="us-east-1")
PLACES = {
    "backfill": "itemtrail.commands.backfill.backfill_table",
    "enable": "itemtrail.commands.backfill.enable_stream",
    "compare": "itemtrail.commands.replica.compare_tables",
    "repair": "itemtrail.commands.replica.repair_items",
    "redrive": "itemtrail.commands.redrive.redrive_failures",
    "plan_restore": "itemtrail.commands.restore.plan_restore",
    "carry_out": "itemtrail.commands.restore.carry_out",
    "restore_table": "itemtrail.commands.restore.restore_table",
    "select_bad": "itemtrail.commands.undo.select_bad",
    "take_back": "itemtrail.commands.undo.take_back",
}


@pytest.fixture
def run_on(monkeypatch, tmp_path):
    """Run a command line on a stand-in library; gives the exit status."""
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)
    deployment = SimpleNamespace(
        source_table="Employee",
        replica_table="Employee-replica",
        history_table="Employee-history",
        time_shards=4,
        reader=SimpleNamespace(key_schema=KeySchema({"Id": "S"})),
    )

    def run_on(library, *arguments):
        for name, place in PLACES.items():
            monkeypatch.setattr(place, getattr(library, name))
        monkeypatch.setattr(OperationTarget, "find", lambda _self: (deployment, None))
        monkeypatch.setattr(OperationTarget, "session", lambda _self: SESSION)
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return ended.value.code

    return run_on


@pytest.fixture
def run(run_on, capsys):
    """Run a command line on a stand-in library; gives the exit status, stdout and stderr."""

    def run(*arguments, library=None, **answers):
        status = run_on(library or Library(**answers), *arguments)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def only_line(text_):
    assert text_.count("\n") == 1
    return text_.rstrip("\n")


def lines_of(text_):
    return [" ".join(line.split()) for line in text_.splitlines()]


RANGE = ("--since", "2018-03-01", "--until", "2018-04-01")
EVERY_ORDER = {
    "enable": ("enable", "Employee"),
    "backfill": ("backfill",),
    "compare": ("compare",),
    "repair": ("repair", "1"),
    "redrive": ("redrive",),
    "restore": ("restore", "1", "--at", AGO),
    "restore --into": ("restore", "--into", "Employee-march", "--at", AGO),
    "undo": ("undo", "1", *RANGE),
}
LINES = {
    "enable": record_kinds.STREAM,
    "backfill": record_kinds.PROBLEM,
    "compare": record_kinds.DISCREPANCY,
    "repair": record_kinds.UNHEALED,
    "redrive": record_kinds.REDRIVE_LINE,
    "restore": record_kinds.RESTORE,
    "restore --into": record_kinds.TABLE_RESTORE_LINE,
    "undo": record_kinds.UNDO,
}
DOCUMENTS = {
    "enable": record_kinds.STREAM,
    "backfill": record_kinds.BACKFILL,
    "repair": record_kinds.REPAIR,
    "redrive": record_kinds.REDRIVE,
    "restore --into": record_kinds.TABLE_RESTORE,
}
NESTED = {
    ("backfill", "problems"): record_kinds.PROBLEM,
    ("repair", "unhealed"): record_kinds.UNHEALED,
    ("redrive", "leftovers"): record_kinds.LEFTOVER,
    ("redrive", "lost"): record_kinds.LOST,
    ("restore", "differences"): record_kinds.DIFFERENCE,
    ("restore", "conflicts"): record_kinds.CONFLICT,
    ("restore --into", "problems"): record_kinds.TABLE_RESTORE_LINE,
    ("undo", "edits"): record_kinds.DIFFERENCE,
    ("undo", "conflicts"): record_kinds.CONFLICT,
}
EVERY_COMMAND = pytest.mark.parametrize("command", EVERY_ORDER)
WRITING = pytest.mark.parametrize("command", EVERY_ORDER.keys() - {"compare"})


# ---- Every form ------------------------------------------------------------------------------


@EVERY_COMMAND
def test_json_has_the_documented_fields_in_order(run, command):
    """A list of records, or one document, each with the fields of its kind and no other."""
    _, out, _ = (
        run(*EVERY_ORDER[command], "--apply", "--output", "json")
        if (command != "compare")
        else run(*EVERY_ORDER[command])
    )

    answer = json.loads(out)
    if command in DOCUMENTS:
        assert list(answer) == list(DOCUMENTS[command].fields)
    else:
        assert answer
        assert all(list(record) == list(LINES[command].fields) for record in answer)


@pytest.mark.parametrize(("command", "field"), NESTED)
def test_nested_records_have_the_documented_fields(run, command, field):
    """What is within a record is documented too."""
    _, out, _ = run(*EVERY_ORDER[command], "--apply")

    answer = json.loads(out)
    nested = (answer[0] if isinstance(answer, list) else answer)[field]
    assert nested
    assert all(list(record) == list(NESTED[command, field].fields) for record in nested)


@EVERY_COMMAND
def test_csv_and_parquet_say_the_same_as_json(run_on, capsysbinary, command):
    """Every form has the same lines with the same fields, typed by their kinds."""
    order = (*EVERY_ORDER[command], "--output")

    run_on(Library(), *order, "jsonl")
    lines = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    run_on(Library(), *order, "csv")
    cells = capsysbinary.readouterr().out.decode("utf-8")
    header, *rows = csv.reader(io.StringIO(cells, newline=""))
    run_on(Library(), *order, "parquet")
    table = pyarrow.parquet.read_table(io.BytesIO(capsysbinary.readouterr().out))

    fields = LINES[command].fields
    assert header == table.column_names == list(fields)
    assert len(lines) == len(rows) == table.num_rows > 0
    for place, (name, kind) in enumerate(fields.items()):
        values = [line[name] for line in lines]
        assert [cell == "" for cell in (row[place] for row in rows)] == [
            value in (None, "") for value in values
        ]
        assert _typed(kind, table[name].to_pylist()) == values


def _typed(kind, values):
    if kind is FieldKind.TIME:
        return [value and time_text(value) for value in values]
    if kind is FieldKind.WIRE:
        return [value and json.loads(value) for value in values]
    return values


# ---- Dry runs --------------------------------------------------------------------------------


@WRITING
def test_without_apply_nothing_is_written_and_that_is_said(run, command):
    """The library is asked for a dry run, and both a person and a program's stderr are told."""
    library = Library(enable=Stream("Employee", None, was_on=False, applied=False))

    _, _, err = run(*EVERY_ORDER[command], library=library)
    _, table, silent = run(*EVERY_ORDER[command], "--output", "table", library=library)

    assert err.splitlines()[-1].startswith("dry run, nothing was written: with --apply ")
    assert "dry run, nothing was written: with --apply " in table
    assert silent == ""
    assert "carry_out" not in library.order
    assert not any(named.get("apply") for _, named in library.asked.values())


@WRITING
def test_with_apply_it_is_done(run, command):
    """The one word is the consent: nobody is asked anything."""
    library = Library()

    _, out, err = run(*EVERY_ORDER[command], "--apply", library=library)

    assert "dry run" not in err + out
    assert "carry_out" in library.order or any(
        named.get("apply") for _, named in library.asked.values()
    )


def test_a_comparison_has_nothing_to_apply(run):
    """It only reads."""
    status, _, err = run("compare", "--apply")

    assert status == 2
    assert "No such option" in only_line(err)


@pytest.mark.parametrize(
    ("command", "answers"),
    [
        ("backfill", {"backfill": replace(BACKFILLED, finished=True, problems=[], unfinished=[])}),
        ("compare", {"compare": ([], CLEAN)}),
        ("repair", {"repair": Repaired(True, 1, 0, {}, 1, (), ())}),
        ("redrive", {"redrive": replace(REDRIVEN, leftovers=(), lost=())}),
        ("restore", {"plan_restore": [PLAN], "carry_out": Restored(True, ())}),
        ("restore --into", {"restore_table": replace(WHOLE, uncertain=Counter(), unwritten=())}),
        ("undo", {"take_back": Undone(True, (), ())}),
    ],
)
def test_exits_with_0_where_nothing_is_left_and_with_1_where_something_is(run, command, answers):
    """Conflicts, refusals, what still fails and what differs are findings."""
    apply = () if command == "compare" else ("--apply",)

    clean, _, _ = run(*EVERY_ORDER[command], *apply, **answers)
    left, _, _ = run(*EVERY_ORDER[command], *apply)

    assert (clean, left) == (0, 1)


@EVERY_COMMAND
def test_an_interrupt_exits_with_130(run, command):
    """Ctrl-C is told apart from a failure."""
    library = Library(**dict.fromkeys(PLACES, KeyboardInterrupt()))

    status, _, err = run(*EVERY_ORDER[command], library=library)

    assert (status, err.strip()) == (130, "")


@EVERY_COMMAND
def test_a_refusal_is_one_line_and_exit_2(run, command):
    """The library's own words, and no traceback."""
    library = Library(**dict.fromkeys(PLACES, RefusedError("it would do harm")))

    status, out, err = run(*EVERY_ORDER[command], library=library)

    assert (status, out, only_line(err)) == (2, "", "Error: it would do harm")


# ---- Enable and backfill ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        ((ARN, True, False), "the stream of Employee is on already, with both images: nothing was"),
        ((ARN, False, True), "the stream of Employee is on now, with both images"),
        ((ARN, False, False), "somebody else has just turned the stream of Employee on"),
        ((None, False, False), "the stream of Employee, which is off, would be on with both"),
    ],
)
def test_enable_says_what_was_and_what_is(run, stream, expected):
    """Each of the four ends has its words, and none is a finding."""
    arn, was_on, applied = stream
    found = Stream("Employee", arn, was_on=was_on, applied=applied)

    status, out, err = run("enable", "Employee", "--apply", enable=found)

    assert status == 0
    assert json.loads(out)["stream_arn"] == arn
    assert expected in only_line(err)


def test_the_arn_of_a_stream_can_be_copied(run, monkeypatch):
    """It stays in one line, however narrow the screen is."""
    monkeypatch.setenv("COLUMNS", "40")

    _, out, _ = run("enable", "Employee", "--output", "table")

    assert ARN in out.splitlines()


def test_backfill_is_asked_for_by_what_the_options_say(run):
    """Every option reaches the library as it was given."""
    library = Library()

    run(
        *("backfill", "--segments", "3", "--rate", "2.5", "--state", "there.json", "--no-replica"),
        *("--from-export", "s3://bucket/AWSDynamoDB/1", "--apply"),
        library=library,
    )

    _, named = library.asked["backfill"]
    assert named == {
        "export": "s3://bucket/AWSDynamoDB/1",
        "segments": 3,
        "apply": True,
        "state_path": Path("there.json"),
        "rate": 2.5,
        "history": True,
        "replica": False,
    }


def test_backfill_keeps_its_state_beside_by_default(run):
    """The file is named for the table, so that two backfills do not meet."""
    library = Library()

    run("backfill", library=library)

    assert library.asked["backfill"][1]["state_path"] == Path(".itemtrail-backfill-Employee.json")


def test_an_interrupted_backfill_says_how_to_go_on(run, tmp_path):
    """The same command with the same file; a dry run has nothing to go on with."""
    library = Library(backfill=KeyboardInterrupt())
    (tmp_path / "state.json").write_text("{}")
    order = ("backfill", "--state", "state.json")

    status, _, err = run(*order, "--apply", library=library)
    _, _, silent = run(*order, library=library)

    assert status == 130
    assert err.splitlines()[0] == (
        "interrupted: run the same command again, it goes on from state.json"
    )
    assert silent.strip() == ""


def test_an_unfinished_backfill_lists_what_is_left_and_how_to_go_on(run):
    """What is refused for good is told apart from what is to be tried again."""
    _, out, _ = run("backfill", "--apply", "--output", "table")

    lines = lines_of(out)
    assert "4 baselines written into the history" in lines
    assert "0123456789abcdef the table answers ValidationException" in lines
    assert "fedcba9876543210 not settled in the replica: no answer" in lines
    assert lines[-1] == (
        "not finished: 4 baselines written, 9 items settled in the replica, 1 refused for good, "
        "1 not done; run the same command again: it goes on from state.json"
    )


def test_a_finished_backfill_gives_the_declaration_for_verify(run, tmp_path):
    """As JSON within the answer, else in one line to copy; `verify --gaps` can read it."""
    done = replace(BACKFILLED, finished=True, problems=[], unfinished=[], go_on=None, gap=GAP)

    _, out, _ = run("backfill", "--apply", backfill=done)
    _, table, _ = run("backfill", "--apply", "--output", "table", backfill=done)
    _, _, err = run("backfill", "--apply", "--output", "jsonl", backfill=done)

    assert json.loads(out)["gap"] == GAP
    (line,) = [one for one in table.splitlines() if one.startswith("[")]
    (tmp_path / "gaps.json").write_text(line)
    (gap,) = read_gaps(tmp_path / "gaps.json", KeySchema({"Id": "S"}))
    assert (gap.cause, gap.until) == (GAP["cause"], AT)
    assert f"for verify --gaps: {line}" in err.splitlines()


# ---- Compare ---------------------------------------------------------------------------------


def test_compare_shows_how_and_why_each_item_differs(run):
    """How far an item lags behind is told beside it, what to do once below."""
    status, out, err = run("compare", "--output", "table")

    lines = lines_of(out)
    assert (status, err) == (1, "")
    assert "different LAGGING ¹ Id=1 1 min 30 s, 2 changes behind" in lines
    assert "~ Name: Murali Allada → Murali" in lines
    assert "missing ? ² Id=2 nothing but its key" in lines
    assert r"extraneous CORRUPT ³ Id=3 A: \x1b[2J" in lines
    assert "¹ `repair` it" in lines
    assert "³ it never was so; find out who writes" in lines
    assert "3 of 100 items differ, 1 never held still" in lines
    assert "never held still: Id=9" in lines


def test_compare_for_a_program_has_the_states_and_the_statement_apart(run):
    """Lines are data; what they come to is on stderr."""
    _, out, err = run("compare")

    first, second, _ = json.loads(out)
    assert (first["source"], first["replica"]) == (
        {**NEW, "Photo": {"B": "AAE="}},
        OLD,
    )
    assert (first["changes_behind"], first["behind_s"]) == (2, 90)
    assert (second["reason"], second["replica"]) == (None, None)
    assert err.splitlines()[0] == "3 of 100 items differ, 1 never held still"


@pytest.mark.parametrize(("given", "share"), [("1%", 0.01), ("0.01", 0.01), ("100%", 1.0)])
def test_a_sample_is_a_part_of_all(run, given, share):
    """Per cent or a fraction; the confidence is told, and how to look at the same items again."""
    library = Library(compare=([], replace(CLEAN, sample=0.01)))

    status, _, err = run("compare", "--sample", given, "--seed", "7", library=library)

    named = library.asked["compare"][1]
    assert (status, named["sample"], named["seed"]) == (0, share, 7)
    assert "with a confidence of 95% no more than 2.951% of all items do" in err
    assert "the same items again: --sample 0.01 --seed 7" in err.splitlines()


def test_compare_is_asked_for_by_what_the_options_say(run):
    """Every option reaches the library as it was given."""
    library = Library()

    run("compare", "--segments", "3", "--rate", "9", library=library)

    assert library.asked["compare"][1] == {
        "segments": 3,
        "sample": None,
        "seed": None,
        "rate": 9.0,
    }


# ---- Repair ----------------------------------------------------------------------------------


def test_repair_without_a_key_heals_what_a_comparison_finds(run):
    """A person sees what was found first; what never held still is healed too."""
    library = Library()

    status, out, _ = run("repair", "--apply", "--output", "table", library=library)

    assert status == 1
    assert library.order == ["compare", "repair"]
    assert library.asked["repair"][0][1] == [ONE, TWO, THREE, {"Id": text("9")}]
    lines = lines_of(out)
    assert lines.index("extraneous CORRUPT ³ Id=3 A: \\x1b[2J") < lines.index("2 healed")
    assert "Id=2 the replica refuses it: ValidationException" in lines
    assert "Id=1 it changed all the time: nothing can be said of it now" in lines
    assert lines[-1] == "2 of 4 healed, 2 not: repair again when the cause is removed"


def test_repair_for_a_program_tells_what_the_comparison_came_to(run):
    """On stderr; the answer is the repair's own."""
    _, out, err = run("repair")

    answer = json.loads(out)
    assert (answer["missing"], answer["different"], answer["extraneous"]) == (3, 1, 0)
    assert err.splitlines()[0].startswith("3 of 100 items differ")
    assert err.splitlines()[-1].startswith("dry run, nothing was written: with --apply 4 items")


def test_repair_of_given_keys_compares_nothing_else(run, tmp_path):
    """One key, or a file of them."""
    (tmp_path / "keys.txt").write_text("1\n2\n")
    library = Library()

    run("repair", "--keys-file", "keys.txt", "--rate", "5", library=library)

    assert library.order == ["repair"]
    (_, keys), named = library.asked["repair"]
    assert (keys, named) == ([ONE, TWO], {"apply": False, "rate": 5.0})


# ---- Redrive ---------------------------------------------------------------------------------


def test_redrive_tells_loudly_what_is_lost(run):
    """Before all else on a screen, and on stderr beside what a program reads."""
    status, out, _ = run("redrive", "--apply", "--output", "table")
    _, _, err = run("redrive", "--apply")

    lines = lines_of(out)
    assert status == 1
    assert lines.index("LOST: the stream has these no more") < lines.index(
        "conflict another digest (history_writer) quarantine/history_writer/2.json"
    )
    assert "1 lost for good" in lines
    assert err.splitlines() == [
        "LOST: 3 have expired (shard-1, named in letters.json)",
        "1 of 3 objects with 5 records done with, 1 left, 1 LOST",
    ]


def test_redrive_line_by_line_has_every_part(run):
    """Lost, left and done, in one shape."""
    _, out, _ = run("redrive", "--output", "jsonl")

    lines = [json.loads(line) for line in out.splitlines()]
    assert [(one["outcome"], one["where"]) for one in lines] == [
        ("lost", "letters.json"),
        ("left", "quarantine/history_writer/2.json"),
        ("done", "quarantine/history_writer/1.json"),
    ]


def test_redrive_is_asked_for_by_what_the_options_say(run, tmp_path):
    """Every option reaches the library as it was given."""
    (tmp_path / "letters.json").write_text("{}")
    library = Library()

    run("redrive", "--consumer", "replica_writer", "--pointers", "letters.json", library=library)
    run("redrive", "--rate", "3", library=library)

    _, named = library.asked["redrive"]
    assert (named["consumers"], named["files"]) == (tuple(Consumer), ())
    assert named["rate"] == 3


# ---- Restore ---------------------------------------------------------------------------------


def test_restore_shows_the_plan_before_it_is_carried_out(run):
    """What would become different first, then what became of it."""
    library = Library()

    status, out, _ = run(
        "restore", "1", "--at", AGO, "--apply", "--output", "table", library=library
    )

    lines = lines_of(out)
    assert (status, library.order) == (1, ["plan_restore", "carry_out"])
    assert lines[0] == "Plan: 3 items back to 2018-03-03 14:06:00 UTC"
    assert "Id=1 planned ~ Name: Murali Allada → Murali" in lines
    assert "Id=1 conflict ~ Name: Murali Allada → Murali" in lines
    assert "! Name is Grace, not Murali Allada; wanted Murali (again)" in lines
    assert lines[-1] == "0 items written, 1 conflict, 1 refused, 1 unneeded"


def test_restore_of_an_item_that_was_not_there_says_so(run):
    """The item goes as a whole, and why nothing is done about it is told."""
    _, out, _ = run("restore", "1", "--at", AGO, "--output", "table")

    lines = lines_of(out)
    assert "Id=2 refused - the item: nothing but its key" in lines
    assert "what it was is only bounded: a change is missing" in lines
    assert lines[-1] == (
        "dry run, nothing was written: with --apply 1 item would be written, 1 refused, 1 unneeded"
    )


def test_restore_of_an_altered_history_shows_no_change_at_all(run):
    """What the item was is not known: it is not as if it had not been there."""
    altered = replace(REFUSED, differences=(), refusal="its history is not intact: digest")

    _, out, _ = run("restore", "2", "--at", AGO, "--output", "table", plan_restore=[altered])

    assert "Id=2 refused its history is not intact: digest" in lines_of(out)
    assert "the item:" not in out


def test_a_plan_that_nobody_reads_is_not_carried_out(run, monkeypatch):
    """Whoever pipes it into a program that ends has not seen what would be done."""

    def leave(*_):
        raise BrokenPipeError

    monkeypatch.setattr(plan_first, "show", leave)
    monkeypatch.setattr("itemtrail.cli._drop_output", lambda: None)
    library = Library()
    order = ("--at", AGO, "--apply", "--output", "table")

    status, _, err = run("restore", "1", *order, library=library)
    undone, _, _ = run("undo", "1", *RANGE, *order[2:], library=library)

    assert (status, undone) == (2, 2)
    assert "its reader left before the end of the plan; nothing was written" in only_line(err)
    assert "carry_out" not in library.order
    assert library.asked["take_back"][1]["apply"] is False


def test_restore_is_asked_for_by_what_the_options_say(run, tmp_path):
    """Keys, the instant and the permission reach the library as they were given."""
    (tmp_path / "keys.txt").write_text("1\n2\n")
    library = Library()

    run("restore", "--keys-file", "keys.txt", "--at", AGO, "--allow-uncertain", library=library)

    (_, keys, at), named = library.asked["plan_restore"]
    assert (keys, at, named) == ([ONE, TWO], AT, {"allow_uncertain": True, "rate": None})


def test_restore_into_a_new_table(run):
    """The key is given where the source is gone; what is uncertain is told, and why."""
    library = Library()
    gone = ("--key-attribute", "Id:N", "--key-attribute", "a:b:S")

    status, out, _ = run(
        *EVERY_ORDER["restore --into"], *gone, "--output", "table", "--apply", library=library
    )

    (_, at, new_table), named = library.asked["restore_table"]
    assert (at, new_table, named["apply"]) == (AT, "Employee-march", True)
    assert list(named["key_schema"].types.items()) == [("Id", "N"), ("a:b", "S")]
    lines = lines_of(out)
    assert status == 1
    assert "2 a change is missing" in lines
    assert "Id=2 unwritten the table answers ValidationException" in lines
    assert "note deletion protection is not on" in lines
    assert lines[-1] == "7 items in Employee-march, 1 not taken, 2 uncertain"


# ---- Undo ------------------------------------------------------------------------------------


def test_undo_is_asked_for_by_what_the_options_say(run):
    """The range, the choice and the key reach the library as they were given."""
    library = Library()
    choice = ("--event", "modify", "--attribute", "Name", "--from", "a", "--actor", "payroll")

    run("undo", "1", *RANGE, *choice, "--actor-attribute", "by", library=library)

    _, named = library.asked["select_bad"]
    assert (named["since"], named["until"]) == (
        datetime(2018, 3, 1, tzinfo=UTC),
        datetime(2018, 4, 1, tzinfo=UTC),
    )
    assert named["keys"] == [ONE]
    where = named["where"]
    assert (where.event_names, where.attribute, where.old) == ({"MODIFY"}, ("Name",), "a")
    assert (where.actor, where.actor_attribute) == ("payroll", ("by",))


def test_undo_of_everything_in_a_range_has_to_be_asked_for(run):
    """The good writes of the range would go too: that is never what is meant by leaving out."""
    library = Library()

    status, out, err = run("undo", *RANGE, "--apply", library=library)
    allowed, _, _ = run("undo", *RANGE, "--all", library=library)

    assert (status, out) == (2, "")
    assert "this would take back every change of the range, the good ones too: choose by KEY" in (
        only_line(err)
    )
    assert allowed == 1
    assert library.order == ["select_bad", "take_back"]


@pytest.mark.parametrize(
    "choice", [("1",), ("--event", "remove"), ("--attribute", "a"), ("--actor", "payroll")]
)
def test_undo_of_a_choice_needs_no_other_word(run, choice):
    """Each kind of choice will do; together with --all it is not clear what is meant."""
    chosen, _, _ = run("undo", *RANGE, *choice)
    unclear, _, err = run("undo", *RANGE, *choice, "--all")

    assert (chosen, unclear) == (1, 2)
    assert "--all and a choice exclude each other: leave one of them out" in err


def test_undo_shows_the_plan_before_it_is_carried_out(run):
    """Edits, conflicts, and the changes of which nothing tells whose they were."""
    library = Library()

    _, out, _ = run("undo", "1", *RANGE, "--apply", "--output", "table", library=library)

    lines = lines_of(out)
    assert library.order == ["select_bad", "take_back", "take_back"]
    assert lines[0] == ("Plan: Undo of changes from 2018-03-01 00:00:00 to 2018-04-01 00:00:00 UTC")
    assert "Id=1 written + Salary: 1" in lines
    assert "! Name is Grace, not Murali Allada; wanted Murali (again)" in lines
    assert "Id=3 planned - the item: Name: Murali Allada Photo: base64:AAE=" in lines
    assert "Id=2 undecided REMOVE: nothing tells who made the change: it is not taken back" in lines


def test_undo_says_how_to_have_the_same_range_again(run):
    """`1h ago` is another moment when the command is run again with --apply."""
    _, _, err = run("undo", "1", *RANGE)

    assert only_line(err) == (
        "dry run, nothing was written: with --apply 1 item would be written, 1 undecided; "
        "1 place in conflict; the same range again: --since "
        "2018-03-01T00:00:00.000000Z --until 2018-04-01T00:00:00.000000Z"
    )


def test_undo_of_nothing_says_so(run):
    """No such change is an answer."""
    status, out, err = run("undo", "1", *RANGE, take_back=Undone(False, (), ()))

    assert (status, json.loads(out)) == (0, [])
    assert only_line(err) == "there is no such change: nothing to take back"


# ---- What goes wrong -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["enable"], "Missing argument 'TABLE'. Try: itemtrail enable --help"),
        (["backfill", "--no-history", "--no-replica"], "leave nothing to do: give one of them"),
        (["backfill", "--segments", "257"], "257 is not in the range 1<=x<=256"),
        (["backfill", "--rate", "0"], "0.0 is not in the range x>0"),
        (["compare", "--sample", "1"], "'1' is no part of the items: write e.g. 1% or 0.01"),
        (["compare", "--sample", "0%"], "'0%' is no part of the items"),
        (["compare", "--sample", "few"], "'few' is no part of the items"),
        (["compare", "--seed", "7"], "--seed chooses a sample: give its --sample too"),
        (["repair", "1", "--keys-file", "-"], "use just one of KEY and --keys-file"),
        (["repair", "1", "2"], "not a key of the table: '1 2' does not make one"),
        (["redrive", "--consumer", "writer"], "'writer' is not one of 'history_writer'"),
        (["redrive", "--pointers", "nowhere.json"], "File 'nowhere.json' does not exist"),
        (["restore", "1"], "Missing option '--at'. Try: itemtrail restore --help"),
        (["restore", "--at", AGO], "restore what? give just one of KEY, --keys-file, and --into"),
        (["restore", "1", "--into", "t", "--at", AGO], "restore what? give just one of KEY"),
        (
            ["restore", "--into", "t", "--at", AGO, "--allow-uncertain"],
            "--allow-uncertain is for items: with --into all is restored",
        ),
        (["restore", "1", "--at", AGO, "--key-attribute", "Id:N"], "--key-attribute is for --into"),
        (
            ["restore", "--into", "t", "--at", AGO, "--key-attribute", "Id"],
            "'Id' is no key: write e.g. --key-attribute Id:N",
        ),
        (["undo", "1", "--since", "2018-01-01"], "Missing option '--until'"),
        (
            ["undo", "1", "--since", "now", "--until", "2018-01-01"],
            "--since is later than --until: swap them. Try: itemtrail undo --help",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_2(run, arguments, expected):
    """Every mistake is told in one line that says what to do, and nothing else happens."""
    library = Library()

    status, out, err = run(*arguments, library=library)

    assert (status, out, library.order) == (2, "", [])
    assert only_line(err).startswith("Error: ")
    assert expected in err


# ---- Which tables ----------------------------------------------------------------------------


OUTPUTS = {
    "SourceTableName": "Employee",
    "HistoryTableName": "trail-history",
    "ReplicaTableName": "trail-replica",
    "ReplicaRegion": "us-west-2",
    "OverflowBucketName": "trail-overflow",
    "QuarantineBucketName": "trail-quarantine",
    "TimeShards": "4",
    "HistoryWriterMappingId": "uuid",
}
# By name: a stack of both consumers, one of the history alone, one of the replica alone.
STACKS = {
    "trail": OUTPUTS,
    "audit": {name: one for name, one in OUTPUTS.items() if not name.startswith("Replica")},
    "second": {
        name: OUTPUTS[name]
        for name in ("SourceTableName", "ReplicaTableName", "ReplicaRegion", "QuarantineBucketName")
    },
}
HISTORY, REPLICA = Consumer.HISTORY_WRITER, Consumer.REPLICA_WRITER


@pytest.fixture
def deployed(monkeypatch):
    """Some stacks, and somebody's credentials, which are otherwise looked for."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    parameters = {"ReplicaRoleArn": "arn:role"}
    monkeypatch.setattr(
        operation_options.Stack,
        "read",
        lambda _session, name, _url: Stack(name, STACKS[name], parameters),
    )


@pytest.fixture
def ordered(monkeypatch, deployed, tmp_path):  # noqa: ARG001
    """What an operation is asked for by a command line that finds its stack."""
    library = Library()
    monkeypatch.chdir(tmp_path)
    for command in ("backfill", "redrive"):
        monkeypatch.setattr(PLACES[command], getattr(library, command))

    def ordered(command, *arguments):
        with pytest.raises(SystemExit) as ended:
            main([command, "--region", "us-east-1", *arguments])
        assert ended.value.code == 1
        (deployment,), named = library.asked[command]
        return deployment, named

    return ordered


@pytest.fixture
def found(ordered):
    """What a command line is understood to mean: the deployment and the names of its consumers."""

    def found(*arguments):
        deployment, named = ordered("redrive", *arguments)
        return deployment, named["names"]

    return found


def test_a_stack_names_everything(found):
    """Tables, region, role, buckets and shards, and what its consumers are called."""
    deployment, names = found("--stack", "trail")

    assert deployment.source_table == "Employee"
    assert deployment.history_table == "trail-history"
    assert (deployment.replica_table, deployment.replica_region) == ("trail-replica", "us-west-2")
    assert deployment.replica_role_arn == "arn:role"
    assert deployment.overflow_bucket == "trail-overflow"
    assert deployment.quarantine_bucket == "trail-quarantine"
    assert deployment.time_shards == 4
    assert names == {"uuid": Consumer.HISTORY_WRITER}


def test_without_a_stack_everything_can_be_named(found):
    """Each part has its option."""
    named = {
        "source_table": "s",
        "history_table": "h",
        "replica_table": "r",
        "replica_region": "eu-west-1",
        "replica_role_arn": "arn",
        "overflow_bucket": "o",
        "quarantine_bucket": "q",
    }
    options = [f"--{name.replace('_', '-')}={value}" for name, value in named.items()]

    deployment, names = found(*options, "--time-shards", "9")

    assert {name: getattr(deployment, name) for name in named} == named
    assert (deployment.time_shards, names) == (9, None)


def test_another_role_may_write_the_replica(found):
    """A person need not be allowed to act as the function does."""
    deployment, _ = found("--stack", "trail", "--replica-role-arn", "arn:mine")

    assert deployment.replica_role_arn == "arn:mine"


@pytest.mark.parametrize(
    ("stack", "consumers"),
    [("trail", (HISTORY, REPLICA)), ("audit", (HISTORY,)), ("second", (REPLICA,))],
)
def test_what_a_stack_has_is_what_is_worked_on(ordered, stack, consumers):
    """Nobody has to say what their own stack lacks."""
    _, redriven = ordered("redrive", "--stack", stack)
    _, backfilled = ordered("backfill", "--stack", stack)

    assert (redriven["consumers"], redriven["there"]) == (consumers, consumers)
    assert (backfilled["history"], backfilled["replica"]) == (
        HISTORY in consumers,
        REPLICA in consumers,
    )


@pytest.mark.parametrize(
    ("options", "done"),
    [((), (True, True)), (("--no-replica",), (True, False)), (("--no-history",), (False, True))],
)
def test_of_both_one_can_be_left_alone(ordered, options, done):
    """Of a stack that has both, and where everything is named."""
    _, of_stack = ordered("backfill", "--stack", "trail", *options)
    _, named = ordered("backfill", "--source-table", "s", *options)

    assert (of_stack["history"], of_stack["replica"]) == done
    assert (named["history"], named["replica"]) == done


def test_one_of_both_consumers_can_be_asked_for(ordered):
    """The other one is there all the same, and may be whose an object is."""
    _, named = ordered("redrive", "--stack", "trail", "--consumer", "replica_writer")

    assert (named["consumers"], named["there"]) == ((REPLICA,), (HISTORY, REPLICA))


def test_without_a_stack_both_consumers_are_meant(ordered):
    """What is not named is then asked for, and not left out in silence."""
    _, named = ordered("redrive", "--source-table", "s", "--history-table", "h")

    assert named["consumers"] == named["there"] == (HISTORY, REPLICA)


def test_a_replica_that_is_named_is_there(ordered):
    """A stack of the history alone says nothing against it, and has no role for it."""
    deployment, named = ordered("backfill", "--stack", "audit", "--replica-table", "standby")

    assert (named["history"], named["replica"]) == (True, True)
    assert (deployment.replica_table, deployment.replica_role_arn) == ("standby", None)


@pytest.mark.parametrize(
    ("stack", "told"),
    [
        ("trail", "4 baselines would be written and 9 items would be settled in the replica"),
        ("audit", "4 baselines would be written"),
        ("second", "9 items would be settled in the replica"),
    ],
)
def test_a_backfill_tells_only_of_what_it_works_on(ordered, capsys, stack, told):
    """A zero for a replica that does not exist would look like something undone."""
    ordered("backfill", "--stack", stack)
    assert f" --apply {told}, 1 refused for good" in capsys.readouterr().err

    ordered("backfill", "--stack", stack, "--output", "table")
    table = capsys.readouterr().out
    assert ("into the history" in table) is ("baselines" in told)
    assert ("settled in the replica: made equal" in table) is ("settled" in told)


NO_REPLICA = (
    "stack 'audit' follows 'Employee' with its history writer only (Consumers=history) and has no "
    "replica table: give the stack that has one"
)
OF_THE_REPLICA = (
    ["compare", "--stack", "audit"],
    ["repair", "1", "--stack", "audit", "--apply"],
    ["backfill", "--stack", "audit", "--no-history"],
    ["redrive", "--stack", "audit", "--consumer", "replica_writer"],
    ["redrive", "--stack", "audit", "--consumer=history_writer", "--consumer=replica_writer"],
)
NO_HISTORY = (
    "stack 'second' follows 'Employee' with its replica writer only (Consumers=replica) and has no "
    "history table: give the stack that has one"
)
OF_THE_HISTORY = (
    ["undo", "--all", *RANGE, "--stack", "second"],
    ["restore", "1", "--at", AGO, "--stack", "second"],
    ["restore", "--into", "t", "--at", AGO, "--stack", "second"],
    ["backfill", "--stack", "second", "--no-replica"],
    ["redrive", "--stack", "second", "--consumer", "history_writer"],
)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["compare"], "which source table? give --stack NAME, or --source-table NAME"),
        (
            ["compare", "--source-table", "s"],
            "which replica table? give --stack, or --replica-table NAME",
        ),
        (
            ["redrive", "--source-table", "s"],
            "which quarantine bucket? give --stack, or --quarantine-bucket NAME",
        ),
        (
            ["undo", "--all", *RANGE, "--source-table", "s"],
            "which history table? give --stack, or --history-table NAME",
        ),
        (
            ["undo", "--all", *RANGE, "--stack", "trail", "--source-table", "Other"],
            "--source-table Other is not what stack 'trail' has (Employee): leave it out, or name",
        ),
        (
            ["backfill", "--stack", "trail", "--time-shards", "9"],
            "--time-shards 9 is not what stack 'trail' has (4)",
        ),
        (
            ["compare", "--stack", "trail", "--history-table", "h"],
            "use just one of --stack and --history-table. Try: itemtrail compare --help",
        ),
        *((order, NO_REPLICA) for order in OF_THE_REPLICA),
        *((order, NO_HISTORY) for order in OF_THE_HISTORY),
    ],
)
@pytest.mark.usefixtures("deployed")
def test_an_unclear_target_is_one_line_and_exit_2(capsys, arguments, expected):
    """What is missing is named with its option, and nothing of one table reaches another."""
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--region", "us-east-1"])

    assert ended.value.code == 2
    assert expected in only_line(capsys.readouterr().err)


@pytest.mark.parametrize("command", ["backfill", "compare", "repair", "redrive", "restore", "undo"])
def test_help_shows_the_environment(run, command):
    """As for the questions."""
    _, out, _ = run(command, "-h")

    assert "ITEMTRAIL_STACK" in out
    assert "ITEMTRAIL_SOURCE_TABLE" in out


def test_every_command_that_writes_is_tried_here():
    """The lists above miss no command with --apply."""
    writing = {
        name
        for name, command in commands.commands.items()
        if any(option.name == "apply" for option in command.params)
    }

    assert writing | {"compare"} == {name.split()[0] for name in EVERY_ORDER}
