"""Status and doctor."""

import json
from dataclasses import replace

import pytest

from itemtrail.commands import deployment as deployment_commands
from reports.deployment.stack import Stack
from tests.unit.itemtrail.trail import ADVICE, BOTH, STATUS


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
    assert "1 passed, 1 to fix, 1 could not be checked" in out


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
