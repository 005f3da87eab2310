"""The acceptance run from the command line: what it asks, shows, writes to a file, and masks."""

import json
from types import SimpleNamespace

import pytest

from itemtrail.cli import main
from itemtrail.commands import accept as command
from itemtrail.options.operation_target import HistoryTarget
from itemtrail.options.target import Target
from operations.acceptance import services
from operations.acceptance.beliefs import BELIEFS
from tests.accepted_account import RUN, Account
from tests.templates import ACCOUNT

STACK = ("accept", "--stack", "trail")
APPLIED = (*STACK, "--apply", "--yes")


@pytest.fixture
def account(monkeypatch, tmp_path):
    """An account as it is believed to be, in which the command works."""
    made = Account()
    _work_in(made, monkeypatch)
    monkeypatch.chdir(tmp_path)
    return made


def _work_in(account, monkeypatch):
    def trial(stack, canary):
        assert (stack, canary.run) == (account.stack, RUN)
        account.trial.canary.keys = canary.keys
        return account.trial

    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(services.URLLib3Session, "send", lambda _, request: account.send(request))
    monkeypatch.setattr(command, "Trial", trial)
    monkeypatch.setattr(command, "secrets", SimpleNamespace(token_hex=lambda _: RUN))
    monkeypatch.setattr(command.Stack, "read", lambda *_: account.stack)
    monkeypatch.setattr(Target, "session", lambda _: account.session)
    tables = account.trial.canary.tables
    monkeypatch.setattr(HistoryTarget, "find", lambda _: (tables, account.stack))


def _ended(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return ended.value.code


@pytest.mark.usefixtures("account")
def test_dry_run_says_what_it_would_do(capsys, account):
    """And what it costs; nothing is written."""
    status = _ended(*STACK, "--output", "table")

    out = " ".join(capsys.readouterr().out.split())
    assert status == 0
    for part in (
        f"writes the item Id=itemtrail-accept-{RUN} of Employee",
        "its rows stay in trail-history for ever",
        "all subscribers of its topic hear of it",
        "locked for 365 days",
        "about one US cent",
        "dry run, nothing was written",
    ):
        assert part in out
    assert not {"TransactWriteItems", "CreateFunction"} & {name for name, _, _ in account.requests}


def test_all_forms_have_a_line_a_belief(account, capsys):
    """JSON has the whole document."""
    assert account.items == {}
    status = _ended(*APPLIED, "--output", "json")
    document = json.loads(capsys.readouterr().out)

    assert (status, document["clean"], document["emulator"]) == (0, True, False)
    assert [belief["belief"] for belief in document["beliefs"]] == [one.id for one in BELIEFS]
    assert document["canary"] == {"Id": {"S": f"itemtrail-accept-{RUN}"}}
    assert document["parameters"]["OverflowLockDays"] == "365"
    assert document["versions"].keys() == {"itemtrail", "boto3", "python"}


def test_refuted_belief_comes_first_and_is_exit_status_1(account, capsys):
    """With its evidence; a person is told to file the record."""
    account.allowed.add(("arn:aws:iam::111122223333:role/administrator", "dynamodb:PutItem"))

    status = _ended(*APPLIED, "--output", "table")

    out = capsys.readouterr().out
    assert status == 1
    assert out.index("✗") < out.index("put-item-denied") < out.index("scp-spares") < out.index("✓")
    assert "PutItem: ConditionalCheckFailedException" in out
    assert "1 refuted" in out
    assert "file the record" in out
    assert "this stays: the canary's rows in trail-history, for ever" in out


def test_record_is_written_and_the_account_masked(account, capsys, tmp_path):
    """Into a file to be filed with an issue; in the answer as well."""
    assert account.trial.account == ACCOUNT
    assert _ended(*APPLIED, "--file", "record.json") == 0

    text = (tmp_path / "record.json").read_text()
    assert json.loads(text) == json.loads(capsys.readouterr().out)
    assert json.loads(text)["account"] == "*" * 12
    assert ACCOUNT not in text


def test_file_in_no_folder_is_refused_at_once(capsys, account):
    """Not when all was tried."""
    assert _ended(*APPLIED, "--file", "nowhere/record.json") == 2

    assert "there is no folder nowhere" in capsys.readouterr().err
    assert account.requests == []


def test_account_is_shown_where_that_is_asked_for(capsys, account):
    """`--show-account`."""
    assert _ended(*APPLIED, "--show-account", "--output", "json") == 0

    assert json.loads(capsys.readouterr().out)["account"] == account.trial.account == ACCOUNT


@pytest.mark.usefixtures("account")
def test_belief_can_be_left_out(capsys):
    """By its name; a name that is none is refused."""
    assert _ended(*STACK, "--skip", "put-item-denied", "--output", "json") == 0
    lines = {line["belief"]: line for line in json.loads(capsys.readouterr().out)}
    assert lines["put-item-denied"]["evidence"] == "left out with --skip"

    assert _ended(*STACK, "--skip", "everything") == 2
    assert "everything" in capsys.readouterr().err


def test_without_a_terminal_it_takes_yes(account, capsys):
    """A script says so beforehand; nothing was written."""
    status = _ended(*STACK, "--apply", "--output", "json")

    assert status == 2
    assert "--apply needs --yes" in capsys.readouterr().err
    assert account.items == {}
    assert "TransactWriteItems" not in [name for name, _, _ in account.requests]


def test_interrupted_run_says_what_stays(account, capsys):
    """After it was cleaned up; the exit status is that of Ctrl-C."""

    def interrupted(**_):
        raise KeyboardInterrupt

    account.ReceiveMessage = interrupted

    status = _ended(*APPLIED)

    assert status == 130
    assert "not finished; this stays: the canary's rows" in capsys.readouterr().err
    assert (account.items, account.made) == ({}, set())


@pytest.mark.parametrize(
    ("parameters", "words", "message"),
    [
        ({}, ["--canary-table", "Other"], "'trail' follows Employee, not Other"),
        ({"PartitionKeyType": "N"}, [], "give one with --canary"),
        ({"PartitionKeyType": "N"}, ["--canary", "x"], "Id"),
    ],
)
def test_wrong_canary_is_refused(monkeypatch, capsys, parameters, words, message):
    """Another table than the followed one, no key where none can be made up, or no key at all."""
    account = Account(**parameters)
    _work_in(account, monkeypatch)
    if parameters:
        tables = account.facts.tables
        tables["Employee"]["AttributeDefinitions"] = [{"AttributeName": "Id", "AttributeType": "N"}]

    assert _ended(*STACK, *words) == 2
    assert message in capsys.readouterr().err


def test_table_in_use_has_to_be_named(account, capsys):
    """A stack that follows somebody's table is tried only where that table was named."""
    account.stack.parameters["SampleSourceTableName"] = ""

    assert _ended(*STACK) == 2
    assert "--canary-table Employee" in capsys.readouterr().err

    assert _ended(*STACK, "--canary-table", "Employee", "--canary", "free") == 0
    assert "with the item Id=free" in capsys.readouterr().err


def test_stack_without_a_history_is_refused(monkeypatch, capsys):
    """Nearly all that is believed is about the history."""
    account = Account(Consumers="history")
    _work_in(account, monkeypatch)
    outputs = {
        name: value for name, value in account.stack.outputs.items() if "History" not in name
    }
    object.__setattr__(account.stack, "outputs", outputs | {"ReplicaTableName": "r"})

    assert _ended(*STACK) == 2
    assert "has no history table" in capsys.readouterr().err
