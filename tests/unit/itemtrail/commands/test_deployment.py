"""Status and doctor."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from itemtrail.commands import deployment as deployment_commands
from operations.proof import Proof
from operations.stored_rows import MissingRecord
from reports.deployment.advice import Advice
from reports.deployment.stack import Stack
from reports.deployment.status import Status
from reports.states.watermark import Basis, NoWatermark, Watermark
from tests.factories import STREAM_ARN
from tests.fakes import client_error
from tests.unit.itemtrail.outputs import only_line
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
    ("answers", "expected"),
    [([True], 0), ([True, None], 3), ([None], 3), ([True, None, False], 1), ([False], 1)],
)
def test_doctors_exit_status_tells_what_is_wrong_from_what_it_cannot_see(
    run, monkeypatch, answers, expected
):
    """A scheduler can have an alarm for the one, and know that the other stays so."""
    advice = [Advice(f"check {ok}", "", ok, "found", "") for ok in answers]
    monkeypatch.setattr(deployment_commands, "examine", lambda *_: advice)

    status, _, _ = run("doctor")

    assert status == expected


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


UNTIL = datetime(2026, 3, 3, 12, tzinfo=UTC)
PROVEN = Proof(STREAM_ARN, 2, 7, (), Watermark(UNTIL, Basis.COMPARED, "every record is a row"))
WELL = replace(STATUS, kept_aside=(), watermark=Watermark(UNTIL, Basis.MEASURED, "nothing failed"))


def test_status_says_up_to_when_the_history_is_complete(run, monkeypatch):
    """With what that rests on or, where it is not known, why."""
    _, out, _ = run("status", "--output", "json")
    assert json.loads(out)["watermark"] is None

    for watermark, words in (
        (WELL.watermark, "complete until 2026-03-03 12:00:00 (measured): nothing failed"),
        (NoWatermark("the metrics are off"), "not known, the metrics are off"),
    ):
        known = replace(WELL, watermark=watermark)
        monkeypatch.setattr(deployment_commands, "read_status", lambda *_, known=known: known)
        _, table, _ = run("status", "--output", "table")
        _, out, _ = run("status", "--output", "json")
        assert words in " ".join(table.split())
        assert json.loads(out)["watermark"]["reason"] == watermark.reason


def test_a_proof_that_finds_a_record_missing_exits_with_1(run, monkeypatch):
    """It is named, and so is the moment to give to --recorded-until."""
    monkeypatch.setattr(deployment_commands, "read_status", lambda *_: WELL)
    monkeypatch.setattr(Status, "clean", True)
    record = MissingRecord("shard-1", "42", {"Id": {"S": "7"}}, UNTIL)

    for proof, expected in ((PROVEN, 0), (replace(PROVEN, missing=(record,)), 1)):
        comparison = deployment_commands._Comparison
        monkeypatch.setattr(comparison, "proof", lambda *_, proof=proof: proof)
        status, table, _ = run("status", "--prove", "--output", "table")
        assert status == expected
        assert "--recorded-until 2026-03-03T12:00:00.000000Z" in table
        assert ("42" in table) is bool(expected)
        assert ("itemtrail redrive --from-stream" in table) is bool(expected)
        status, out, _ = run("status", "--prove", "--output", "json")
        assert (status, len(json.loads(out)["proof"]["missing"])) == (expected, expected)
        _, out, _ = run("status", "--prove", "--output", "jsonl")
        lines = {line["part"]: line for line in map(json.loads, out.splitlines())}
        assert (lines["proof"]["count"], lines["proof"]["state"]) == (expected, "compared")
        assert lines["watermark"]["state"] == "measured"


@pytest.fixture
def proven(monkeypatch):
    """A deployment that is well, and a proof of it; says what happens when that is kept."""
    monkeypatch.setattr(deployment_commands, "read_status", lambda *_: WELL)
    monkeypatch.setattr(Status, "clean", True)
    monkeypatch.setattr(deployment_commands._Comparison, "proof", lambda *_: PROVEN)
    return lambda keep: monkeypatch.setattr(deployment_commands, "keep_proof", keep)


def test_a_proof_is_kept_where_that_is_asked_for(run, proven):
    """And only there; up to when is said beside the answer."""
    kept = []
    proven(lambda proof, *_: kept.append(proof) or SimpleNamespace(until=proof.watermark.at))

    assert run("status", "--prove", "--output", "json")[0] == 0
    assert kept == []
    status, out, err = run("status", "--prove", "--keep", "--output", "json")

    assert (status, kept, json.loads(out)["proof"]["records"]) == (0, [PROVEN], 7)
    assert "--basis compared goes by it until 2026-03-03T12:00:00.000000Z" in only_line(err)


def test_a_proof_that_cannot_be_kept_is_told_in_one_line(run, proven):
    """The answer is given all the same, and the exit status is 1."""

    def refuse(*_):
        raise client_error("AccessDeniedException")

    proven(refuse)

    status, out, err = run("status", "--prove", "--keep", "--output", "json")

    assert (status, json.loads(out)["proof"]["records"]) == (1, 7)
    assert only_line(err).startswith("the proof is not kept: Operation: AccessDenied")


def test_there_is_nothing_to_keep_without_a_proof(run):
    """It is no other status."""
    status, _, err = run("status", "--keep")

    assert status == 2
    assert "--keep is for --prove" in err
