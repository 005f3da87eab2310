"""Which tables a question is put to."""

import boto3
import pytest

from itemtrail.cli import main
from itemtrail.options import target as options
from reports import HistoryTable
from reports.deployment.stack import Stack
from tests.unit.itemtrail.outputs import only_line
from tests.unit.itemtrail.trail import EVERY_QUESTION, SINCE, Trail


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


def test_a_history_table_can_be_opened_without_any_request():
    """Making the object sends nothing: unit tests open no connection."""
    session = boto3.Session("test", "test", region_name="us-east-1")

    assert HistoryTable("EmployeeHistory", "Employee", session=session, endpoint_url="http://x:1")


def test_a_history_table_is_in_the_region_of_the_environment(monkeypatch):
    """AWS_REGION counts, as on the command line; boto3 alone would look for another variable."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "eu-west-3")

    trail = HistoryTable("EmployeeHistory", "Employee")

    assert trail._reader.dynamodb.meta.region_name == "eu-west-3"


def test_a_range_may_be_a_moment(opened):
    """It ends where it starts, and has what was changed just then."""
    moment = "2018-03-03T14:06:00Z"

    with pytest.raises(SystemExit) as ended:
        main(
            [
                "changes",
                "--since",
                moment,
                "--until",
                moment,
                "--region",
                "us-east-1",
                "--history-table",
                "h",
            ]
        )

    assert (ended.value.code, opened) == (0, [("h", None, None)])


def test_what_an_answer_rests_on_may_have_to_be_a_proof(monkeypatch):
    """Every question that takes anybody's word takes --basis; there is no other than a proof."""
    asked = []

    class Opened(Trail):
        def __init__(self, *_, basis, **__):
            asked.append(basis)
            super().__init__()

    monkeypatch.setattr(options, "HistoryTable", Opened)
    for given in ([], ["--basis", "compared"], ["--basis", "measured"]):
        with pytest.raises(SystemExit):
            main(["changes", *SINCE, "--history-table", "h", "--region", "us-east-1", *given])

    assert asked == [None, "compared"]
