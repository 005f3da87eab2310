"""Which tables and buckets an operation works on."""

from datetime import UTC, datetime

import pytest

from itemtrail.cli import main
from itemtrail.options import operation_target as operation_options
from reports.deployment.stack import Consumer, Stack
from reports.states.watermark import Basis
from tests.unit.itemtrail.library import AGO, PLACES, RANGE, Library
from tests.unit.itemtrail.outputs import only_line

AT = datetime(2026, 3, 3, 12, tzinfo=UTC)
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

    assert (redriven["consumers"], redriven["deployed"]) == (consumers, consumers)
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

    assert (named["consumers"], named["deployed"]) == ((REPLICA,), (HISTORY, REPLICA))


def test_without_a_stack_both_consumers_are_meant(ordered):
    """What is not named is then asked for, and not left out in silence."""
    _, named = ordered("redrive", "--source-table", "s", "--history-table", "h")

    assert named["consumers"] == named["deployed"] == (HISTORY, REPLICA)


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
    ["restore", "--into", "new", "--at", AGO, "--stack", "second"],
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


@pytest.mark.usefixtures("deployed")
def test_what_an_undo_rests_on_may_have_to_be_a_proof(monkeypatch):
    """Then nobody's word counts; without a source table there is no stream that one is of."""
    word = {"recorded_until": AT, "region": "us-east-1"}
    monkeypatch.setattr(operation_options, "asked_at", lambda: AT)

    taken, _ = operation_options.HistoryTarget("trail", **word).find()
    refused, _ = operation_options.HistoryTarget("trail", basis="compared", **word).find()

    assert taken.reader.watermark.basis is Basis.DECLARED
    reader = refused.reader_with(None)
    monkeypatch.setattr(reader, "control_rows", list)
    assert "no proof is kept" in reader.watermark.reason
