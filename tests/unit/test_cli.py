"""The command line: every command explains itself, and every failure is one line."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from rich.console import Console

import itemtrail.demo
from itemtrail import as_json, as_table, options
from itemtrail.cli import commands, main
from itemtrail.local_stack import LocalStackError
from reports import HistoryTable, UncertainError
from reports.differences import differences
from reports.keys import KeySchema
from reports.timeline import Certainty, Evidence, ItemState, judge
from stream_core.failures import IntegrityError
from stream_core.history_row import HistoryRow
from tests.factories import change, item, number, text

KEYS = {"Id": {"S": "1"}}
OLD = item("1", Name=text("Murali"), Salary=number("4200.50"))
NEW = item("1", Name=text("Murali Allada"), Photo={"B": b"\x00\x01"})
ROWS = [
    HistoryRow.of(change(None, OLD, sequence=1)),
    HistoryRow.of(change(OLD, NEW, sequence=2)),
    HistoryRow.of(
        change(NEW, None, sequence=3, user_identity=("Service", "dynamodb.amazonaws.com"))
    ),
]


class Trail:
    """Stands in for a history table: three rows of one item."""

    key_schema = KeySchema({"Id": "S"})

    def __init__(self, rows=ROWS, error=None):
        self._rows = rows
        self._error = error

    def rows(self, _key):
        if self._error:
            raise self._error
        return iter(self._rows)

    def as_of(self, key, at, *, certain=False):
        if self._error:
            raise self._error
        if certain:
            raise UncertainError("only bounded")
        return judge(Evidence(key, at, at, at, before=self._rows[0], after=self._rows[1]))

    def differences(self, key, start, end):
        old, new = self.as_of(key, start), self.as_of(key, end)
        return old, new, differences(OLD, NEW)


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a command line on a stand-in; gives the exit status, stdout and stderr."""

    def _run(*arguments, trail=None):
        monkeypatch.setattr(options.Target, "open", lambda _self: trail or Trail())
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        captured = capsys.readouterr()
        return ended.value.code, captured.out, captured.err

    return _run


def only_line(text_):
    assert text_.count("\n") == 1
    return text_.rstrip("\n")


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


def test_history_as_json_is_whole_and_in_dynamodbs_own_form(run):
    """Numbers stay text, binary is base64 with its type, absence is null."""
    status, out, err = run("history", "1")

    first, second, third = json.loads(out)
    assert (status, err) == (0, "")
    assert first == {
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


def test_jsonl_has_one_document_a_line(run):
    """A line is a document, so that a pipe can be read line by line."""
    _, out, _ = run("history", "1", "--output", "jsonl")

    assert [json.loads(line)["event_name"] for line in out.splitlines()] == [
        "INSERT",
        "MODIFY",
        "REMOVE",
    ]


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
    assert answer["row"]["sequence_number"] == "1"


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


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["as-of", "1", "--at", "soon"], "Invalid value for '--at': 'soon' is not a time: use ISO"),
        (["as-of", "1"], "Missing option '--at'. Try: itemtrail as-of --help"),
        (["as-of", "1", "2", "--at", "now"], "not a key of the table: '1 2' does not make one"),
        (["history"], "Missing argument 'KEY...'. Try: itemtrail history --help"),
        (["diff", "1", "--from", "now", "--to", "2018-01-01"], "--from is later than --to: swap"),
        (["history", "1", "--output", "xml"], "'xml' is not one of 'table', 'json', 'jsonl'"),
        (["hystory", "1"], "No such command 'hystory'. Try: itemtrail --help"),
        (["as-of", "1", "--at", "now", "--certain"], "only bounded"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(run, arguments, expected):
    """Every mistake is told in one line that says what to do, and nothing else is printed."""
    status, out, err = run(*arguments)

    assert (status, out) == (2, "")
    assert only_line(err).startswith("Error: ")
    assert expected in err


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (EndpointConnectionError(endpoint_url="http://localhost:9"), "Check --endpoint-url"),
        (NoCredentialsError(), "no AWS credentials: give --profile"),
        (IntegrityError("digest mismatch in the history row 7"), "digest mismatch"),
        (
            ClientError({"Error": {"Code": "AccessDenied", "Message": "not\nyours"}}, "Query"),
            "Query was refused: AccessDenied not yours",
        ),
    ],
)
@pytest.mark.parametrize("command", [["history", "1"], ["as-of", "1", "--at", "now"]])
def test_failures_of_the_service_are_one_line_and_exit_2(run, error, expected, command):
    """What AWS, the network or the history itself says is passed on in one line."""
    status, out, err = run(*command, trail=Trail(error=error))

    assert (status, out) == (2, "")
    assert expected in only_line(err)


def test_an_interrupt_exits_with_130(run):
    """Ctrl-C is told apart from a failure."""
    status, _, err = run("history", "1", trail=Trail(error=KeyboardInterrupt()))

    assert (status, err.strip()) == (130, "")


def test_without_tables_the_options_that_name_them_are_shown(capsys):
    """There is no default table to ask by mistake."""
    with pytest.raises(SystemExit) as ended:
        main(["history", "1"])

    assert ended.value.code == 2
    assert "which history? give --stack NAME" in only_line(capsys.readouterr().err)


def test_a_demo_that_cannot_start_is_one_line_after_the_log(monkeypatch, capsys):
    """What a program beneath it said comes first, what to do comes last, with exit 2."""

    def refuse(_region):
        raise LocalStackError("sam build failed", "line 1\nline 2")

    monkeypatch.setattr(itemtrail.demo, "LocalStack", refuse)
    with pytest.raises(SystemExit) as ended:
        main(["demo"])

    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines() == ["line 1", "line 2", "Error: sam build failed"]


def test_an_endpoint_that_is_no_url_is_one_line_and_exit_2(capsys):
    """What botocore would answer with a traceback is told with an example."""
    bad = ["--endpoint-url", "localhost:8000"]

    with pytest.raises(SystemExit) as ended:
        main(["history", "1", "--history-table", "x", "--region", "us-east-1", *bad])

    assert ended.value.code == 2
    assert "'localhost:8000' is not an endpoint URL" in only_line(capsys.readouterr().err)


def test_text_from_a_table_cannot_control_the_terminal(run):
    """Escape sequences and line breaks in values are shown, not obeyed; markup is no markup."""
    evil = item("1", Name=text("a\x1b[31mred\nnext[bold]b"), Lone=text("\ud800"))
    rows = [HistoryRow.of(change(None, evil))]

    _, out, _ = run("history", "1", "--output", "table", trail=Trail(rows=rows))

    assert r"a\x1b[31mred\nnext[bold]b" in out
    assert "\x1b" not in out
    assert r"\ud800" in out


def test_long_values_are_cut_in_tables_with_their_size():
    """A table stays readable; JSON has the whole value."""
    rows = [HistoryRow.of(change(None, item("1", Photo={"B": b"\x00" * 5000})))]
    console = Console(width=200)

    with console.capture() as captured:
        console.print(as_table.versions(KEYS, rows))

    assert "… (5,000 bytes)" in captured.get()
    assert len(as_json.versions(rows)[0]["new_image"]["Photo"]["B"]) == 5000


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (ItemState(KEYS, ROWS[0].change.created_at, None, Certainty.EXACT, "so"), "no such item"),
        (
            judge(
                Evidence(KEYS, *[ROWS[2].change.created_at] * 3, before=ROWS[2], live_was_read=True)
            ),
            "deleted from 2018-03-03 14:06:00 to now",
        ),
        (
            judge(Evidence(KEYS, *[ROWS[0].change.created_at] * 3, after=ROWS[1])),
            "valid from an unknown time to 2018-03-03 14:06:00",
        ),
    ],
)
def test_a_state_says_since_when_it_holds(state, expected):
    """Deleted, never there, and unknown beginnings are told apart."""
    console = Console(width=200)

    with console.capture() as captured:
        console.print(as_table.state(state))

    assert expected in captured.get()


def test_a_stack_names_its_tables(monkeypatch):
    """`--stack` takes both tables from the stack's outputs; a table named beside it wins."""
    outputs = {"HistoryTableName": "trail-history", "SourceTableName": "Employee"}
    monkeypatch.setattr(options, "_outputs", lambda *_: outputs)
    opened = []
    monkeypatch.setattr(options, "HistoryTable", lambda *names, **_: opened.append(names))

    options.Target("trail", None, None, None, "us-east-1", None).open()
    options.Target("trail", None, "Other", None, "us-east-1", None).open()

    assert opened == [("trail-history", "Employee"), ("trail-history", "Other")]


def test_a_history_table_can_be_opened_without_any_request():
    """Making the object sends nothing: unit tests open no connection."""
    session = boto3.Session("test", "test", region_name="us-east-1")

    assert HistoryTable("EmployeeHistory", "Employee", session=session, endpoint_url="http://x:1")
