"""Command lines that are run on stand-ins for tables and operations, and standard outputs."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from itemtrail.cli import main
from itemtrail.commands import deployment as deployment_commands
from itemtrail.options.operation_target import OperationTarget
from itemtrail.options.target import Target
from operations.execution.plan_header import PlanMaker
from reports.access.table_description import TableDescription
from reports.deployment.stack import Stack
from reports.inputs.keys import KeySchema
from tests.unit.itemtrail.library import HEADER, PLACES, SESSION, Library
from tests.unit.itemtrail.stdout import Stdout
from tests.unit.itemtrail.trail import ADVICE, BOTH, STATUS, Trail


@pytest.fixture
def run_on(monkeypatch, tmp_path):
    """Run a command line on stand-ins; gives the exit status."""
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(deployment_commands.Stack, "read", lambda *_: Stack("employee-trail", BOTH))
    monkeypatch.setattr(deployment_commands, "read_status", lambda *_: STATUS)
    monkeypatch.setattr(deployment_commands, "examine", lambda *_: ADVICE)
    deployment = SimpleNamespace(
        source_table="Employee",
        replica_table="Employee-replica",
        history_table="Employee-history",
        session=SESSION,
        time_shards=4,
        caller="ada",
        dynamodb=None,
        replica_client=None,
        key_schema=KeySchema({"Id": "S"}),
        reader=SimpleNamespace(key_schema=KeySchema({"Id": "S"})),
    )
    monkeypatch.setattr(OperationTarget, "find", lambda _self: (deployment, None))
    monkeypatch.setattr(OperationTarget, "session", lambda _self: SESSION)
    monkeypatch.setattr(
        PlanMaker,
        "header",
        lambda _self, _tables, command, arguments, _table, _pace: replace(
            HEADER, command=command, arguments=arguments
        ),
    )
    description = TableDescription(
        {
            "TableName": "Employee",
            "TableArn": HEADER.table.arn,
            "TableId": HEADER.table.table_id,
            "ItemCount": 1234,
            "LatestStreamArn": HEADER.stream_arn,
        }
    )
    described = {
        "Employee": description,
        HEADER.history: TableDescription({"TableName": HEADER.history}),
    }
    monkeypatch.setattr(
        "operations.execution.plan_header.describe", lambda _, name: described[name]
    )
    for command in ("undo", "restore", "replica", "kept_plan", "backfill"):
        monkeypatch.setattr(f"itemtrail.commands.{command}.describe", lambda *_: description)
    into = "itemtrail.commands.restore_table"
    monkeypatch.setattr(f"{into}.read_table", lambda _deployment: description)
    monkeypatch.setattr(f"{into}.source_of", lambda *_: description)
    monkeypatch.setattr(f"{into}.table_key", lambda *_: KeySchema({"Id": "S"}))

    def run_on(*arguments, trail=None, library=None, **answers):
        stand_in, operations = trail or Trail(), library or Library(**answers)
        monkeypatch.setattr(Target, "open", lambda _self, **_: stand_in)
        for name, place in PLACES.items():
            monkeypatch.setattr(place, getattr(operations, name))
        if arguments[0] in ("status", "doctor"):
            arguments += ("--stack", "employee-trail")
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return ended.value.code

    return run_on


@pytest.fixture
def run(run_on, capsys):
    """Run a command line on stand-ins; gives the exit status, stdout and stderr."""

    def run(*arguments, **stand_ins):
        status = run_on(*arguments, **stand_ins)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def stdout():
    """Standard output that is no terminal."""
    return Stdout()


@pytest.fixture
def screen(monkeypatch):
    """Standard output that is a terminal, 80 columns wide, and no pager."""
    monkeypatch.setenv("COLUMNS", "80")
    return Stdout(is_terminal=True)
