"""The command line: every command explains itself, answers in every form, and fails in one line."""

import csv
import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import boto3
import pyarrow.parquet
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from botocore.parsers import ResponseParserError

import itemtrail.local.demo
from itemtrail.cli import commands, main
from itemtrail.commands import deployment as deployment_commands
from itemtrail.commands import report as report_command
from itemtrail.local.local_stack import LocalStackError
from itemtrail.options import target as options
from itemtrail.records import kinds as record_kinds
from itemtrail.records.kinds import FieldKind
from reports import HistoryTable, UncertainError
from reports.deployment.advice import Advice
from reports.deployment.stack import Consumer, Stack, TableRole
from reports.deployment.status import ConsumerStatus, KeptAside, Status, TableStatus
from reports.inputs.keys import KeySchema
from reports.states.blame import blame
from reports.states.differences import differences
from reports.states.timeline import Certainty, Evidence, ItemState, judge, timeline
from reports.table.as_of import TableAsOf
from reports.verification.continuity import Finding, FindingKind
from reports.verification.verdicts import Verdict, Verification
from stream_core.errors import IntegrityError
from stream_core.history_row import HistoryRow, time_text
from tests.factories import change, item, number, text

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
# Tried in test_operation_commands.py.
OPERATIONS = {"enable", "backfill", "compare", "repair", "redrive", "restore", "undo"}
# Tried in test_warehouse_commands.py.
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
    """Stands in for a history table: three rows of one item."""

    key_schema = KeySchema({"Id": "S"})
    horizon = HORIZON

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
        return judge(Evidence(key, at, at, HORIZON, before=self._rows[0], after=self._rows[1]))

    def differences(self, key, start, end):
        old, new = self.as_of(key, start), self.as_of(key, end)
        return old, new, differences(OLD, NEW)

    def states(self, key):
        self._ask(key)
        newest = Evidence(key, AT, AT, HORIZON, live_was_read=True, live=self._live)
        return timeline(self._rows, newest)

    def blames(self, key, at, *, actor_attribute=None):
        state = self.as_of(key, at) if self._rows else ItemState(key, at, None, *UNSURE)
        return state, blame(state, self._rows[:1], actor_attribute)

    def changed_rows(self, start, end, where, key, *, progress, undecided):  # noqa: PLR0913
        self._ask(start, end, where, key)
        progress("hours", 1, 1)
        for row in self._rows:
            if where.accepts(row):
                yield row
            elif where.undecided(row):
                undecided(row)

    def versions(self, start, end, key=None, *, progress):
        self._ask(start, end, key)
        progress("items", 1, 1)
        return (state for state in self.states(KEYS) if self._rows and state.valid_from)

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


@pytest.fixture
def run_on(monkeypatch):
    """Run a command line on a stand-in; gives the exit status."""
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(deployment_commands.Stack, "read", lambda *_: Stack("employee-trail", BOTH))
    monkeypatch.setattr(deployment_commands, "read_status", lambda *_: STATUS)
    monkeypatch.setattr(deployment_commands, "examine", lambda *_: ADVICE)

    def run_on(trail, *arguments):
        monkeypatch.setattr(options.Target, "open", lambda _self, **_: trail)
        if arguments[0] in ("status", "doctor"):
            arguments += ("--stack", "employee-trail")
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return ended.value.code

    return run_on


@pytest.fixture
def run(run_on, capsys):
    """Run a command line on a stand-in; gives the exit status, stdout and stderr."""

    def run(*arguments, trail=None):
        status = run_on(trail or Trail(), *arguments)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def only_line(text_):
    assert text_.count("\n") == 1
    return text_.rstrip("\n")


# ---- Help ------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", sorted(commands.commands))
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_explains_itself_with_an_example(run, command, flag):
    """Help names every option's purpose and shows a command line that can be typed."""
    status, out, _ = run(command, flag)

    assert status == 0
    assert f"itemtrail {command}" in out.partition("Example:")[2]
    assert all(
        option.help for option in commands.commands[command].params if option.opts[0][0] == "-"
    )


def test_help_lists_every_command_under_what_it_asks_about(run):
    """The list of commands is whole, and each line of it is."""
    status, out, _ = run("-h")

    assert status == 0
    for name in commands.commands:
        assert f"\n  {name} " in out
    assert "About an item:" in out


def test_help_shows_the_environment(run):
    """Whoever asks the same tables every day finds out how not to name them."""
    _, out, _ = run("changes", "-h")

    for name in ("ITEMTRAIL_STACK", "ITEMTRAIL_HISTORY_TABLE", "ITEMTRAIL_SOURCE_TABLE"):
        assert name in out


# ---- Every form --------------------------------------------------------------------------------


LINES = {
    "history": record_kinds.VERSION,
    "as-of": record_kinds.STATE,
    "diff": record_kinds.DIFFERENCE_LINE,
    "blame": record_kinds.BLAME,
    "timeline": record_kinds.SPAN,
    "changes": record_kinds.CHANGE,
    "between": record_kinds.SPAN,
    "table-as-of": record_kinds.STATE,
    "verify": record_kinds.FINDING,
    "status": record_kinds.STATUS_LINE,
    "doctor": record_kinds.ADVICE,
}
DOCUMENTS = {
    "as-of": record_kinds.STATE,
    "diff": record_kinds.COMPARISON,
    "verify": record_kinds.VERIFICATION,
    "status": record_kinds.STATUS,
}
NESTED = {
    ("as-of", "row"): record_kinds.ROW,
    ("diff", "from"): record_kinds.STATE,
    ("diff", "differences"): record_kinds.DIFFERENCE,
    ("verify", "findings"): record_kinds.FINDING,
    ("status", "tables"): record_kinds.TABLE_STATUS,
    ("status", "consumers"): record_kinds.CONSUMER_STATUS,
    ("status", "kept_aside"): record_kinds.KEPT_ASIDE,
}
EVERY_COMMAND = pytest.mark.parametrize("command", EVERY_QUESTION)


def test_every_command_that_answers_is_asked_here():
    """The lists above miss no question; `demo` and `report` have no forms to choose from."""
    asking = commands.commands.keys() - OPERATIONS - WAREHOUSE - {"demo", "report"}

    assert EVERY_QUESTION.keys() == LINES.keys() == asking


@EVERY_COMMAND
def test_json_has_the_documented_fields_in_order(run, command):
    """A list of records, or one document, each with the fields of its kind and no other."""
    _, out, _ = run(*EVERY_QUESTION[command], "--output", "json", trail=Trail(found=BROKEN))

    answer = json.loads(out)
    if command in DOCUMENTS:
        assert list(answer) == list(DOCUMENTS[command].fields)
    else:
        assert answer
        assert all(list(record) == list(LINES[command].fields) for record in answer)


@pytest.mark.parametrize(("command", "field"), NESTED)
def test_nested_records_have_the_documented_fields(run, command, field):
    """What is within a document is documented too."""
    _, out, _ = run(*EVERY_QUESTION[command], trail=Trail(found=BROKEN))

    nested = json.loads(out)[field]
    for record in nested if isinstance(nested, list) else [nested]:
        assert list(record) == list(NESTED[command, field].fields)


@EVERY_COMMAND
def test_csv_says_the_same_as_json(run, command):
    """Lines of JSON and of CSV have the same lines with the same fields."""
    question = (*EVERY_QUESTION[command], "--output")

    _, jsonl, _ = run(*question, "jsonl", trail=Trail(found=BROKEN))
    lines = [json.loads(line) for line in jsonl.splitlines()]
    _, out, _ = run(*question, "csv", trail=Trail(found=BROKEN))
    header, *cells = csv.reader(io.StringIO(out, newline=""))

    assert header == list(LINES[command].fields)
    assert len(lines) == len(cells) > 0
    for line, row in zip(lines, cells, strict=True):
        assert list(line) == header
        assert [_from_cell(cell, line[name]) for name, cell in zip(header, row, strict=True)] == [
            *line.values()
        ]


@EVERY_COMMAND
def test_parquet_says_the_same_as_json(run_on, capsysbinary, command):
    """The table has a row a line, typed by the kind of each field."""
    question = (*EVERY_QUESTION[command], "--output")

    run_on(Trail(found=BROKEN), *question, "jsonl")
    lines = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    run_on(Trail(found=BROKEN), *question, "parquet")
    table = pyarrow.parquet.read_table(io.BytesIO(capsysbinary.readouterr().out))

    assert table.column_names == list(LINES[command].fields)
    assert len(lines) == table.num_rows > 0
    for name, kind in LINES[command].fields.items():
        values = table[name].to_pylist()
        if kind is FieldKind.TIME:
            values = [value and time_text(value) for value in values]
        elif kind is FieldKind.WIRE:
            values = [value and json.loads(value) for value in values]
        assert values == [line[name] for line in lines]


def _from_cell(cell, expected):
    """What a cell says, where it is known what kind of thing it should say."""
    if expected is None:
        return None if cell == "" else cell
    if isinstance(expected, str):
        return cell.removeprefix("'")
    return json.loads(cell)


# ---- One item --------------------------------------------------------------------------------


def test_history_as_json_is_whole_and_in_dynamodbs_own_form(run):
    """Numbers stay text, binary is base64 with its type, absence is null."""
    status, out, err = run("history", "1")

    first, second, third = json.loads(out)
    assert (status, err) == (0, "")
    assert first == {
        "key": KEYS,
        "valid_from": "2018-03-03T14:06:00.000000Z",
        "valid_to": "2018-03-03T14:06:00.000000Z",
        "is_current": False,
        "event_name": "INSERT",
        "sequence_number": "1",
        "event_id": "event-1",
        "changed": ["Id", "Name", "Salary"],
        "old_image": None,
        "new_image": OLD,
        "user_identity": None,
    }
    assert second["new_image"]["Photo"] == {"B": "AAE="}
    assert second["changed"] == ["Name", "Photo", "Salary"]
    assert third["new_image"] is None
    assert third["user_identity"] == {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


def test_history_as_a_table_shows_what_changed(run):
    """A person sees the order within a second, the changed values, and an expiry as such."""
    _, out, _ = run("history", "1", "--output", "table")

    assert "History of Id=1" in out
    assert "~ Name: Murali → Murali Allada" in out
    assert "- Salary: 4200.50" in out
    assert out.count("2018-03-03 14:06:00") == 1
    assert out.count("same second") == 2
    assert "REMOVE (TTL)" in out


def test_nothing_recorded_exits_with_1_and_says_so_apart_from_the_data(run):
    """A script can tell, and what it reads is still JSON."""
    status, out, err = run("history", "1", trail=Trail(rows=[]))

    assert (status, json.loads(out)) == (1, [])
    assert only_line(err) == "nothing is recorded of Id=1"


def test_as_of_carries_its_certainty(run):
    """The answer says how sure it is, since when it holds, and on which row it rests."""
    _, out, _ = run("as-of", "1", "--at", "2018-03-03T14:06:00Z")

    answer = json.loads(out)
    assert answer["item"] == OLD
    assert answer["certainty"] == "exact"
    assert answer["reason"] == "the rows before and after fit each other"
    assert answer["valid_from"] == "2018-03-03T14:06:00.000000Z"
    assert answer["row"] == {
        "event_name": "INSERT",
        "sequence_number": "1",
        "event_id": "event-1",
    }


def test_diff_shows_marks_and_both_values(run):
    """Removed, changed and added attributes are told apart."""
    _, out, _ = run("diff", "1", "--from", "2018-01-01", "--output", "table")

    lines = [line.split() for line in out.splitlines()]
    assert ["~", "Name", "Murali", "Murali", "Allada"] in lines
    assert ["+", "Photo", "base64:AAE="] in lines
    assert ["-", "Salary", "4200.50"] in lines


def test_diff_as_json_has_both_states(run):
    """A program gets the states that were compared, with their certainties."""
    _, out, _ = run("diff", "1", "--from", "2018-01-01")

    answer = json.loads(out)
    assert {"path": "Salary", "change": "removed", "old": number("4200.50"), "new": None} in answer[
        "differences"
    ]
    assert answer["from"]["certainty"] == answer["to"]["certainty"] == "exact"


def test_diff_line_by_line_has_the_key_and_the_certainty(run):
    """Lines can be put together with those of another item, and each says how sure it is."""
    _, out, _ = run("diff", "1", "--from", "2018-01-01", "--output", "jsonl")

    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["path"] for line in lines] == ["Name", "Photo", "Salary"]
    assert all(line["key"] == KEYS and line["certainty"] == "exact" for line in lines)


def test_blame_names_the_change_and_the_actor(run):
    """For every path there is since when it is so, by which change, and by whom."""
    _, out, err = run("blame", "1", "--actor-attribute", "Name")

    by_path = {one["path"]: one for one in json.loads(out)}
    assert err == ""
    assert by_path["Salary"] == {
        "key": KEYS,
        "path": "Salary",
        "value": number("4200.50"),
        "since": "2018-03-03T14:06:00.000000Z",
        "event_name": "INSERT",
        "sequence_number": "1",
        "event_id": "event-1",
        "actor": "Murali",
        "actor_source": "attribute",
        "actor_caveat": None,
        "certainty": "exact",
        "reason": "recorded",
    }


def test_blame_of_an_item_that_was_not_there_exits_with_1(run):
    """There is nothing to blame, and the line says how sure that is."""
    status, out, err = run("blame", "1", trail=Trail(rows=[]))

    assert (status, json.loads(out)) == (1, [])
    assert only_line(err) == "there was no Id=1 then (bounded: a change is missing)"


def test_timeline_tells_the_time_before_and_after_the_rows(run):
    """Spans without a row are told too, with the length of each and its certainty."""
    status, out, _ = run("timeline", "1", "--output", "table")

    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert status == 0
    assert "○ not recorded not there" in lines
    assert "● 2018-03-03 14:06:00 under 1 s existed + Name: Murali" in lines
    assert re.search(r"○ +same second +\d+ days .*deleted +expired \(TTL\)", out)
    assert "exact throughout" in lines


def test_timeline_marks_a_gap(run):
    """Where a change is missing the span before it says so, and so does the last line."""
    _, out, _ = run("timeline", "1", "--output", "table", trail=Trail(rows=[ROWS[0], ROWS[2]]))

    assert "bounded: a change is missing between the rows before and after" in out
    assert "1 span not exact: told beside each" in out


def test_timeline_of_an_item_that_never_was_exits_with_1(run):
    """The answer still tells how sure that is."""
    status, out, err = run("timeline", "1", trail=Trail(rows=[]))

    assert status == 1
    assert [one["exists"] for one in json.loads(out)] == [False]
    assert only_line(err) == "nothing is known of Id=1"


# ---- Many items ------------------------------------------------------------------------------


def test_changes_are_asked_for_by_what_the_options_say(run):
    """Range, key and every choice reach the history as they were given."""
    trail = Trail()
    choice = ("--event", "modify", "--attribute", "Name", "--from", "Murali", "--actor", "ada")

    run("changes", "1", *SINCE, "--until", "2018-04-01", *choice, trail=trail)

    (start, end, where, key), _ = trail.asked
    assert (start, end) == (datetime(2018, 3, 1, tzinfo=UTC), datetime(2018, 4, 1, tzinfo=UTC))
    assert key == KEYS
    assert (where.event_names, where.attribute) == ({"MODIFY"}, ("Name",))
    assert (where.old, where.new, where.actor) == ("Murali", None, "ada")


def test_changes_say_who_made_them_and_why_that_is_not_known(run):
    """An expiry is DynamoDB's, a delete names nobody, and a name may be an older one's."""
    deleted = HistoryRow.from_change(change(NEW, None, sequence=4))
    trail = Trail(rows=[*ROWS, deleted])

    _, out, _ = run("changes", *SINCE, "--actor-attribute", "Name", trail=trail)

    actors = [(one["actor"], one["actor_source"], one["actor_caveat"]) for one in json.loads(out)]
    assert actors[0] == ("Murali", "attribute", None)
    assert actors[2] == ("dynamodb.amazonaws.com", "userIdentity", None)
    assert actors[3][0] is None
    assert "a delete does not name who made it" in actors[3][2]


def test_changes_as_a_table_explain_a_missing_name_once(run):
    """Footnotes stand under the table, however often they are needed."""
    deletes = [HistoryRow.from_change(change(NEW, None, sequence=number_)) for number_ in (4, 5)]

    _, out, _ = run(
        *("changes", *SINCE, "--actor-attribute", "Name", "--output", "table"),
        trail=Trail(rows=[*ROWS, *deletes]),
    )

    assert out.count("? ¹") == 2
    assert out.count("a delete does not name who made it") == 1
    assert "TTL" in out


def test_no_change_is_an_answer(run):
    """Nothing having happened is no failure; a person is told, a program reads a list."""
    status, out, err = run("changes", *SINCE, "--until", "2018-03-02", trail=Trail(rows=[]))

    assert (status, json.loads(out)) == (0, [])
    assert only_line(err) == "no such change from 2018-03-01 00:00:00 to 2018-03-02 00:00:00 UTC"


def test_changes_by_an_actor_tell_of_those_that_name_nobody(run):
    """A delete may be anybody's: an answer without it must not look complete."""
    deleted = HistoryRow.from_change(change(NEW, None, sequence=4))
    by_murali = ("--actor", "Murali", "--actor-attribute", "Name")

    _, out, err = run("changes", *SINCE, *by_murali, trail=Trail(rows=[ROWS[0], deleted]))

    assert len(json.loads(out)) == 1
    assert only_line(err) == (
        "nothing tells who made 1 delete in the range: any may be Murali's too; "
        "leave --actor out to see them"
    )


def test_between_gives_versions_with_their_span(run):
    """A version says since when and until when it was active, and how sure that is."""
    _, out, _ = run("between", *SINCE)

    first = json.loads(out)[0]
    assert first["item"] == OLD
    assert (first["valid_from"], first["valid_to"]) == ("2018-03-03T14:06:00.000000Z",) * 2
    assert first["changed"] == ["Id", "Name", "Salary"]
    assert first["certainty"] == "exact"


def test_between_with_nothing_there_is_an_answer(run):
    """As for `changes`."""
    status, out, err = run("between", "1", *SINCE, trail=Trail(rows=[]))

    assert (status, json.loads(out)) == (0, [])
    assert only_line(err).startswith("nothing of Id=1 was there from 2018-03-01 00:00:00 to ")


def test_table_as_of_says_which_way_it_took_and_what_is_not_exact(run):
    """On a terminal below the table; else on stderr, where no program reads it."""
    _, table, silent = run("table-as-of", "--at", "now", "--output", "table")
    _, out, err = run("table-as-of", "--at", "now")

    summary = "1 item, 1 of the answers not exact; by history: it is short"
    assert summary in table
    assert "bounded: a change is missing" in table
    assert silent == ""
    assert only_line(err) == summary
    assert [one["exists"] for one in json.loads(out)] == [True, False]


def test_a_table_without_items_is_an_answer(run):
    """Exit 0, an empty list, and the summary."""
    status, out, err = run("table-as-of", "--at", "now", trail=Trail(rows=[]))

    assert (status, json.loads(out)) == (0, [])
    assert only_line(err) == "0 items; by history: it is short"


@pytest.mark.parametrize(("found", "expected"), [(VERIFIED, 0), (BROKEN, 1)])
def test_verify_exits_with_1_unless_both_verdicts_hold(run, found, expected):
    """A script reads the exit status, or the verdicts, findings and notes."""
    status, out, err = run("verify", trail=Trail(found=found))

    answer = json.loads(out)
    assert (status, err) == (expected, "")
    assert answer["clean"] is (expected == 0)
    assert (answer["integrity"], answer["completeness"]) == (found.integrity, found.completeness)
    declared = [one.declared for one in found.findings]
    assert [one["declared"] for one in answer["findings"]] == declared
    assert answer["notes"] == found.notes


def test_verify_shows_both_verdicts_apart(run):
    """Two lines, never one; what was declared is told as such, notes are below."""
    _, out, _ = run("verify", "--output", "table", trail=Trail(found=BROKEN))

    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == "Verification of the whole table"
    assert {"integrity holds", "completeness broken"} <= set(lines)
    assert "2 findings, 1 of them declared" in lines
    assert "declared: outage of 3 March" in out
    assert "note the index was not read" in lines


def test_verify_line_by_line_has_the_verdicts_on_stderr(run):
    """Lines are findings; what is said of all of them is apart."""
    _, out, err = run("verify", "--output", "jsonl", trail=Trail(found=BROKEN))

    assert len(out.splitlines()) == 2
    assert only_line(err) == "integrity holds, completeness broken: 2 findings, 1 of them declared"


def test_verify_takes_keys_from_a_file(run, tmp_path):
    """A key a line as on the command line, or as JSON, blank lines left out."""
    file = tmp_path / "keys.txt"
    file.write_text('1\n\nId=2\nNew York\n{"Id": {"S": "O\'Hare"}}\n')
    trail = Trail()

    status, _, _ = run("verify", "--keys-file", str(file), trail=trail)

    (keys, gaps), _ = trail.asked
    assert (status, gaps) == (0, [])
    assert keys == [{"Id": text(each)} for each in ("1", "2", "New York", "O'Hare")]


def test_verify_takes_keys_of_two_attributes_from_stdin(run, monkeypatch, tmp_path):
    """Two attributes are told apart as a shell would."""
    file = tmp_path / "keys.txt"
    file.write_bytes(b"Artist='No One' Title=Blue\r\n")
    trail = Trail()
    trail.key_schema = KeySchema({"Artist": "S", "Title": "S"})

    with file.open(newline="") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        run("verify", "--keys-file", "-", trail=trail)

    assert trail.asked[0][0] == [{"Artist": text("No One"), "Title": text("Blue")}]


def test_verify_reads_the_declared_gaps(run, tmp_path):
    """The file reaches the history as gaps."""
    file = tmp_path / "gaps.json"
    file.write_text('[{"cause": "outage of 3 March"}]')
    trail = Trail()

    run("verify", "1", "--gaps", str(file), trail=trail)

    (keys, (gap,)), _ = trail.asked
    assert (keys, gap.cause) == ([KEYS], "outage of 3 March")


# ---- The deployment --------------------------------------------------------------------------


def test_status_tells_every_part_and_exits_with_1_where_something_waits(run):
    """What could not be read is no zero, and has its reason."""
    status, out, _ = run("status")

    answer = json.loads(out)
    assert (status, answer["clean"]) == (1, False)
    assert [one["lag_ms"] for one in answer["consumers"]] == [1234, None]
    assert answer["consumers"][1]["lag_problem"] == "nothing was invoked"
    assert answer["kept_aside"][0]["count"] == 2


def test_status_as_a_table_can_be_read(run):
    """Sizes and delays in units, unknown ones as such."""
    _, out, _ = run("status", "--output", "table")

    assert "5.3 MB" in out
    assert "1.2 s" in out
    assert "history and replica; history since 2018-03-03 14:06:00" in out


def test_status_of_one_consumer_says_which(run, monkeypatch):
    """A replica alone has no history, and so no beginning of one."""
    replica = replace(STATUS, tables=(), consumers=STATUS.consumers[1:])
    monkeypatch.setattr(deployment_commands, "read_status", lambda *_: replica)

    _, table, _ = run("status", "--output", "table")
    _, out, _ = run("status", "--output", "json")

    assert "replica only (Consumers=replica)" in table.splitlines()
    answer = json.loads(out)
    assert answer["horizon"] is None
    assert [one["consumer"] for one in answer["consumers"]] == ["replica_writer"]


def test_doctor_tells_first_what_to_do(run):
    """What is wrong comes before what is fine; a command to copy stays in one line."""
    status, out, _ = run("doctor", "--output", "table")

    assert status == 1
    assert out.index("✗ deletion protection") < out.index("? readers") < out.index("✓  stream view")
    assert f"→ Turn it on: aws dynamodb {'x' * 99}\n" in out
    assert "1 fine, 1 to put right, 1 could not be told" in out


@pytest.mark.parametrize(
    ("left_out", "told"),
    [
        (None, "employee-trail, history and replica: 3 checks"),
        ("ReplicaTableName", "employee-trail, history only (Consumers=history): 3 checks"),
        ("HistoryTableName", "employee-trail, replica only (Consumers=replica): 3 checks"),
    ],
)
def test_doctor_says_what_the_stack_is_for(run, monkeypatch, left_out, told):
    """What was not looked at was never to be there."""
    outputs = {name: one for name, one in BOTH.items() if name != left_out}
    stack = Stack("employee-trail", outputs)
    monkeypatch.setattr(deployment_commands.Stack, "read", lambda *_: stack)

    _, out, _ = run("doctor", "--output", "table")

    assert told in out.splitlines()


def test_doctor_without_findings_exits_with_0(run, monkeypatch):
    """Clean is clean."""
    monkeypatch.setattr(deployment_commands, "examine", lambda *_: ADVICE[:1])

    status, out, _ = run("doctor")

    assert (status, [one["ok"] for one in json.loads(out)]) == (0, [True])


# ---- Reports ---------------------------------------------------------------------------------


@pytest.fixture
def tables(monkeypatch):
    """Stand-in tables behind `--history-table`."""

    class Stood(options.TargetTables):
        def open(self):
            return Trail(found=BROKEN)

    session = boto3.Session("test", "test", region_name="us-east-1")
    stood = Stood(session, None, "employee-trail-history", "Employee", 4)
    monkeypatch.setattr(report_command.Target, "tables", lambda _self: stood)


@pytest.mark.parametrize("key", [(), ("1",)], ids=["table", "item"])
@pytest.mark.usefixtures("tables")
def test_a_report_is_one_page_that_says_what_was_asked(run, key):
    """The page goes to stdout, the verdicts to stderr, and findings exit with 1."""
    status, out, err = run("report", *key, *TARGET)

    assert status == 1
    assert out.lower().startswith("<!doctype html>")
    assert " ".join(["itemtrail report", *key, *TARGET]) in out
    assert "outage of 3 March" in out
    assert only_line(err).startswith("integrity holds, completeness broken")


@pytest.mark.usefixtures("tables")
def test_a_report_can_go_into_a_file(run, tmp_path):
    """Nothing goes to stdout then."""
    file = tmp_path / "audit.html"

    status, out, _ = run("report", "1", *TARGET, "--file", str(file))

    assert (status, out) == (1, "")
    assert "</html>" in file.read_text("utf-8")


@pytest.mark.usefixtures("tables")
def test_a_report_is_not_thrown_at_a_terminal(run, monkeypatch):
    """HTML is for a browser: the line says how to get it there."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)

    status, out, err = run("report", "1", *TARGET)

    assert (status, out) == (2, "")
    assert "send it into a file, > audit.html or --file PATH" in only_line(err)


# ---- What goes wrong -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["as-of", "1", "--at", "soon"], "Invalid value for '--at': 'soon' is not a time: use ISO"),
        (["as-of", "1"], "Missing option '--at'. Try: itemtrail as-of --help"),
        (["as-of", "1", "2", "--at", "now"], "not a key of the table: '1 2' does not make one"),
        (["history"], "Missing argument 'KEY...'. Try: itemtrail history --help"),
        (
            ["diff", "1", "--from", "now", "--to", "2018-01-01"],
            "--from is later than --to: swap them. Try: itemtrail diff --help",
        ),
        (
            ["history", "1", "--output", "xml"],
            "'xml' is not one of 'table', 'json', 'jsonl', 'csv'",
        ),
        (["hystory", "1"], "No such command 'hystory'. Try: itemtrail --help"),
        (["as-of", "1", "--at", "now", "--certain"], "only bounded"),
        (["changes"], "Missing option '--since'. Try: itemtrail changes --help"),
        (
            ["changes", "--since", "now", "--until", "2018-01-01"],
            "--since is later than --until: swap them. Try: itemtrail changes --help",
        ),
        (
            ["changes", "--since", "2018-01-01", "--from", "2018-01-01"],
            "--from and --to are values of --attribute, which is not given; times are --since",
        ),
        (
            ["changes", "--since", "2018-01-01", "--attribute", "a..b"],
            "Invalid value for '--attribute': 'a..b' is not an attribute path: write e.g. status",
        ),
        (
            ["changes", "--since", "2018-01-01", "--attribute", "a", "--to", '{"N": "x"}'],
            "not an attribute value: N is not a number: write e.g.",
        ),
        (
            ["changes", "--since", "2018-01-01", "--event", "DELETE"],
            "'DELETE' is not one of 'INSERT', 'MODIFY', 'REMOVE', 'SNAPSHOT'",
        ),
        (
            ["changes", "--since", "2018-01-01", "--time-shards", "0"],
            "0 is not in the range 1<=x<=100",
        ),
        (
            ["between", "--since", "now", "--until", "2018-01-01"],
            "--since is later than --until: swap them. Try: itemtrail between --help",
        ),
        (["table-as-of"], "Missing option '--at'. Try: itemtrail table-as-of --help"),
        (
            ["verify", "1", "--keys-file", "-"],
            "use just one of KEY and --keys-file. Try: itemtrail verify --help",
        ),
        (["verify", "--keys-file", "nowhere.txt"], "'nowhere.txt': No such file or directory"),
        (["verify", "--gaps", "nowhere.json"], "File 'nowhere.json' does not exist"),
        (
            ["report", "1", "--since", "2018-01-01"],
            "--since is for a report on the whole table; a report on an item has all its life",
        ),
        (["report", "--at", "now"], "--at and --actor-attribute are for a report on one item"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(run, arguments, expected):
    """Every mistake is told in one line that says what to do, and nothing else is printed."""
    status, out, err = run(*arguments)

    assert (status, out) == (2, "")
    assert only_line(err).startswith("Error: ")
    assert expected in err


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "there is no key in keys.txt: write a key a line"),
        (b"\xff\xfe1", "keys.txt is not text in UTF-8: write a key a line"),
        (b'1\n{"Id": 7}\n', "keys.txt line 2: not a key of the table: Id is not a text"),
    ],
)
def test_a_keys_file_that_cannot_be_used_is_one_line(run, tmp_path, monkeypatch, content, expected):
    """Nothing is verified by mistake: no key is no reason to find nothing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keys.txt").write_bytes(content)

    status, out, err = run("verify", "--keys-file", "keys.txt")

    assert (status, out) == (2, "")
    assert expected in only_line(err)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (EndpointConnectionError(endpoint_url="http://localhost:9"), "Check --endpoint-url"),
        (NoCredentialsError(), "no AWS credentials: give --profile"),
        (IntegrityError("digest mismatch in the history row 7"), "digest mismatch"),
        (ResponseParserError("<html>"), "what answers there is not AWS: check --endpoint-url"),
        (
            ClientError({"Error": {"Code": "AccessDenied", "Message": "not\nyours"}}, "Query"),
            "Query was refused: AccessDenied not yours",
        ),
    ],
)
@pytest.mark.parametrize(
    "command", [one for name, one in EVERY_QUESTION.items() if name not in ("status", "doctor")]
)
def test_failures_of_the_service_are_one_line_and_exit_2(run, error, expected, command):
    """What AWS, the network or the history itself says is passed on in one line."""
    status, out, err = run(*command, trail=Trail(error=error))

    assert (status, out) == (2, "")
    assert expected in only_line(err)


@pytest.mark.parametrize(
    ("key", "trail"),
    [
        ("\x1b[2J", Trail(rows=[])),
        ("1", Trail(error=IntegrityError("digest mismatch in the row of \x1b[2J"))),
    ],
    ids=["remark", "error"],
)
def test_what_is_told_cannot_control_the_terminal(run, key, trail):
    """Remarks and errors quote keys: escape sequences in them are spelled out."""
    _, _, err = run("history", key, trail=trail)

    assert r"\x1b[2J" in only_line(err)
    assert "\x1b" not in err


@pytest.mark.parametrize("command", ["history", "changes", "verify"])
def test_an_interrupt_exits_with_130(run, command):
    """Ctrl-C is told apart from a failure."""
    status, _, err = run(*EVERY_QUESTION[command], trail=Trail(error=KeyboardInterrupt()))

    assert (status, err.strip()) == (130, "")


def test_a_demo_that_cannot_start_is_one_line_after_the_log(monkeypatch, capsys):
    """What a program beneath it said comes first, what to do comes last, with exit 2."""

    def refuse(_region):
        raise LocalStackError("sam build failed", "line 1\nline 2")

    monkeypatch.setattr(itemtrail.local.demo, "LocalStack", refuse)
    with pytest.raises(SystemExit) as ended:
        main(["demo"])

    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines() == ["line 1", "line 2", "Error: sam build failed"]


# ---- Which tables ----------------------------------------------------------------------------


@pytest.fixture
def opened(monkeypatch):
    """What was opened: the tables' names and the shards, by a stack that names its own."""
    found = []

    class Opened(Trail):
        def __init__(self, *names, time_shards, **_):
            found.append((*names, time_shards))
            super().__init__()

    outputs = {
        "HistoryTableName": "trail-history",
        "SourceTableName": "Employee",
        "TimeShards": "4",
    }
    monkeypatch.setattr(options.Stack, "read", lambda _session, name, _url: Stack(name, outputs))
    monkeypatch.setattr(options, "HistoryTable", Opened)
    return found


@pytest.mark.parametrize(
    ("environment", "arguments", "expected"),
    [
        ({}, ["--stack", "trail"], ("trail-history", "Employee", 4)),
        ({}, ["--stack", "trail", "--source-table", "Other"], ("trail-history", "Other", 4)),
        ({}, ["--stack", "trail", "--time-shards", "9"], ("trail-history", "Employee", 9)),
        ({}, ["--history-table", "h"], ("h", None, None)),
        ({"STACK": "trail"}, [], ("trail-history", "Employee", 4)),
        ({"HISTORY_TABLE": "h", "SOURCE_TABLE": "s"}, [], ("h", "s", None)),
        ({"STACK": "trail", "SOURCE_TABLE": "s"}, ["--history-table", "h"], ("h", None, None)),
        (
            {"HISTORY_TABLE": "h", "SOURCE_TABLE": "s"},
            ["--stack", "trail"],
            ("trail-history", "Employee", 4),
        ),
        ({"HISTORY_TABLE": "h", "SOURCE_TABLE": "s"}, ["--source-table", "t"], ("h", "t", None)),
    ],
)
def test_the_command_line_says_which_tables_before_the_environment_does(
    monkeypatch, opened, environment, arguments, expected
):
    """A table named on the command line puts all of the environment's aside: no mixed pair."""
    for name, value in environment.items():
        monkeypatch.setenv(f"ITEMTRAIL_{name}", value)

    with pytest.raises(SystemExit):
        main(["changes", *SINCE, "--region", "us-east-1", *arguments])

    assert opened == [expected]


@pytest.mark.usefixtures("opened")
def test_a_table_on_the_command_line_leaves_the_region_of_the_environment(monkeypatch):
    """The region belongs to no table: AWS_REGION counts, as in the AWS CLI."""
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    asked = []
    monkeypatch.setattr(options.boto3, "Session", lambda **named: asked.append(named))

    with pytest.raises(SystemExit):
        main(["history", "1", "--history-table", "h"])

    assert [one["region_name"] for one in asked] == ["eu-west-3"]


@pytest.mark.parametrize(
    ("environment", "arguments", "expected"),
    [
        ({}, [], "which history? give --stack NAME"),
        (
            {},
            ["--stack", "s", "--history-table", "h"],
            "use just one of --stack and --history-table. Try: itemtrail history --help",
        ),
        (
            {"STACK": "s", "HISTORY_TABLE": "h"},
            [],
            "ITEMTRAIL_STACK and ITEMTRAIL_HISTORY_TABLE are both set: unset one, or give",
        ),
        (
            {},
            ["--history-table", "h", "--endpoint-url", "localhost:8000"],
            "is not an endpoint URL",
        ),
        (
            {},
            ["--history-table", "h", "--profile", "nobody"],
            "profile (nobody) could not be found",
        ),
    ],
)
def test_an_unclear_target_is_one_line_and_exit_2(
    monkeypatch, capsys, environment, arguments, expected
):
    """There is no default table to ask by mistake, and none is chosen among two."""
    for name, value in environment.items():
        monkeypatch.setenv(f"ITEMTRAIL_{name}", value)

    with pytest.raises(SystemExit) as ended:
        main(["history", "1", "--region", "us-east-1", *arguments])

    assert ended.value.code == 2
    assert expected in only_line(capsys.readouterr().err)


@pytest.mark.parametrize(
    "command",
    [one for name, one in EVERY_QUESTION.items() if name not in ("status", "doctor")]
    + [("report", "1"), ("report",)],
    ids=" ".join,
)
def test_a_stack_without_a_history_is_told_in_one_line(monkeypatch, capsys, command):
    """Each question goes to the history: the line says which stack has none, and exits with 2."""
    outputs = {"SourceTableName": "Employee", "ReplicaTableName": "r"}
    monkeypatch.setattr(options.Stack, "read", lambda _session, name, _url: Stack(name, outputs))

    with pytest.raises(SystemExit) as ended:
        main([*command, "--region", "us-east-1", "--stack", "second"])

    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert only_line(captured.err) == (
        "Error: stack 'second' follows 'Employee' with its replica writer only "
        "(Consumers=replica) and has no history table: give the stack that has one"
    )


@pytest.mark.parametrize("command", ["status", "doctor"])
def test_a_deployment_needs_a_stack(capsys, command):
    """The line names the option, and the help the variable."""
    with pytest.raises(SystemExit) as ended:
        main([command])

    assert ended.value.code == 2
    assert "Missing option '--stack'" in only_line(capsys.readouterr().err)


@pytest.mark.parametrize(("key", "lines"), [((), 1), (("1",), 0)])
@pytest.mark.usefixtures("opened")
def test_unknown_shards_are_told_once_with_what_to_do(capsys, key, lines):
    """Reading a hundred partitions an hour is slow; an item's own rows need no index."""
    with pytest.raises(SystemExit):
        main(["changes", *key, *SINCE, "--history-table", "h", "--region", "us-east-1"])

    told = [line for line in capsys.readouterr().err.splitlines() if "--time-shards N" in line]
    assert len(told) == lines


def test_a_history_table_can_be_opened_without_any_request():
    """Making the object sends nothing: unit tests open no connection."""
    session = boto3.Session("test", "test", region_name="us-east-1")

    assert HistoryTable("EmployeeHistory", "Employee", session=session, endpoint_url="http://x:1")
