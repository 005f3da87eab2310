"""Status and doctor of the deployed system: the real template on MiniStack."""

import contextlib
import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from itemtrail.cli import main
from operations import proof
from reports.deployment.stack import Consumer, Stack
from reports.errors import ReportError
from tests.deployed_stack import UNTRUE_HERE
from tests.eventually import eventually

pytestmark = pytest.mark.functional

REPLICA_REGION = "eu-west-1"


@pytest.fixture(scope="module")
def watched(deployed):
    """The deployed stack, where nothing has happened yet."""
    deployed.empty()
    return deployed


def test_status_of_the_deployed_system(watched):
    """Tables in both regions, both mappings, nothing kept aside; the history's beginning."""
    status = watched.status()

    assert [(one.name, one.region, one.exists, one.status) for one in status.tables] == [
        ("Employee", "us-east-1", True, "ACTIVE"),
        ("employee-trail-history", "us-east-1", True, "ACTIVE"),
        ("employee-trail-replica-replica", REPLICA_REGION, True, "ACTIVE"),
    ]
    assert [(one.function, one.state, one.problem) for one in status.consumers] == [
        ("employee-trail-history-writer", "Enabled", None),
        ("employee-trail-replica-writer", "Enabled", None),
    ]
    assert [(one.count, one.at_least, one.problem) for one in status.kept_aside] == [
        (0, False, None)
    ] * 3
    assert watched.began <= status.horizon <= datetime.now(UTC)
    assert status.clean


def test_lag_comes_from_the_functions_metric(watched):
    """The lag is what CloudWatch has of the function, and of that function alone."""
    watched.cloudwatch.put_metric_data(
        Namespace="AWS/Lambda",
        MetricData=[
            {
                "MetricName": "IteratorAge",
                "Dimensions": [
                    {
                        "Name": "FunctionName",
                        "Value": watched.stack.function(Consumer.HISTORY_WRITER),
                    }
                ],
                "Timestamp": datetime.now(UTC) - timedelta(minutes=2),
                "Value": 1_234.0,
            }
        ],
    )

    writer, replica = watched.status().consumers

    assert (writer.lag_ms, writer.lag_problem) == (1_234.0, None)
    assert replica.lag_ms is None
    assert "no IteratorAge" in replica.lag_problem


def test_nothing_is_wrong_with_the_deployed_system(watched):
    """Of what the template asks for, only what MiniStack cannot do is missing."""
    advice = watched.advice()

    assert {one.check: one.ok for one in advice if one.ok is not True} == UNTRUE_HERE
    assert all(one.to_do for one in advice if one.ok is not True)


def test_recovery_is_found_on_once_it_is_turned_on(watched):
    """A table whose point-in-time recovery is turned on has it, and the others still do not."""
    watched.dynamodb.update_continuous_backups(
        TableName=watched.stack.history_table,
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
    )

    told = {
        one.subject: one.ok for one in watched.advice() if one.check == "point-in-time recovery"
    }

    assert told.pop(watched.stack.history_table) is True
    assert set(told.values()) == {None}


@pytest.fixture
def meddle():
    """Change something deployed, and put it back afterwards."""
    with contextlib.ExitStack() as undo:

        def change(client, operation, undo_with, **parameters):
            undone = getattr(client, operation)(**parameters)
            undo.callback(undo_with, client, undone)

        yield change


def test_third_reader_of_the_stream_is_found(watched, meddle):
    """A mapping that somebody adds to the stream is told by its UUID."""
    meddle(
        watched.functions,
        "create_event_source_mapping",
        lambda client, answer: client.delete_event_source_mapping(UUID=answer["UUID"]),
        FunctionName=watched.stack.function(Consumer.HISTORY_WRITER),
        EventSourceArn=watched.stack.source_stream_arn,
        StartingPosition="LATEST",
    )
    made = watched.functions.list_event_source_mappings(
        EventSourceArn=watched.stack.source_stream_arn
    )["EventSourceMappings"]

    (found,) = watched.findings()

    assert found.check == "readers"
    ours = {
        watched.stack.mapping_id(Consumer.HISTORY_WRITER),
        watched.stack.mapping_id(Consumer.REPLICA_WRITER),
    }
    (third,) = {one["UUID"] for one in made} - ours
    assert f"--uuid {third} --no-enabled" in found.to_do


def test_deletion_protection_that_was_turned_off_is_found(watched, meddle):
    """A history table that one call can delete is told."""
    table = watched.stack.history_table
    meddle(
        watched.dynamodb,
        "update_table",
        lambda client, _: client.update_table(TableName=table, DeletionProtectionEnabled=True),
        TableName=table,
        DeletionProtectionEnabled=False,
    )

    (found,) = watched.findings()

    assert (found.check, found.subject, found.ok) == ("deletion protection", table, False)


def test_mapping_that_was_changed_is_found(watched, meddle):
    """Counted attempts and a filter are two findings; both would lose records."""
    uuid = watched.stack.mapping_id(Consumer.REPLICA_WRITER)
    meddle(
        watched.functions,
        "update_event_source_mapping",
        lambda client, _: client.update_event_source_mapping(
            UUID=uuid, MaximumRetryAttempts=-1, FilterCriteria={"Filters": []}
        ),
        UUID=uuid,
        MaximumRetryAttempts=2,
        FilterCriteria={"Filters": [{"Pattern": '{"eventName":["INSERT"]}'}]},
    )

    found = watched.findings()

    assert [(one.check, one.subject) for one in found] == [
        ("attempts", "replica_writer"),
        ("filter", "replica_writer"),
    ]


def test_record_kept_aside_is_counted_and_found(watched, meddle):
    """An object of the quarantine is in the status, and the doctor says where it is."""
    where = {
        "Bucket": watched.stack.quarantine_bucket,
        "Key": "quarantine/history_writer/1-ab.json",
    }
    began = datetime.now(UTC).replace(microsecond=0)
    meddle(
        watched.s3,
        "put_object",
        lambda client, _: client.delete_object(**where),
        **where,
        Body=b"{}",
    )

    status, findings = watched.status(), watched.findings()

    assert [one.count for one in status.kept_aside] == [1, 0, 0]
    assert began <= status.kept_aside[0].newest <= datetime.now(UTC)
    assert not status.clean
    assert [(one.check, one.subject) for one in findings] == [
        ("kept aside", "records of history_writer")
    ]


def _stream_is_made_anew(stack):
    """Turning the stream off and on gives another one, which the deployed stack does not follow."""
    for specification in (
        {"StreamEnabled": False},
        {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    ):
        stack.dynamodb.update_table(TableName=stack.source, StreamSpecification=specification)

    found = stack.findings()

    assert [(one.check, one.subject) for one in found] == [
        ("stream followed", f"stack {stack.name}"),
        ("stream followed", "history_writer"),
        ("stream followed", "replica_writer"),
    ]
    assert stack.status().clean


def test_a_kept_proof_makes_answers_exact_until_the_stream_is_made_anew(
    deploy, monkeypatch, capsys
):
    """No metric tells that on an emulator: what is later is bounded, as is all without a proof."""
    stack = deploy("proven")
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test")):
        monkeypatch.setenv(f"AWS_{name}", value)
    # The comparison vouches up to a minute before it began.
    monkeypatch.setattr(proof, "_MARGIN", timedelta(seconds=1))
    monkeypatch.setattr(proof, "_PAUSE_S", 0.5)
    where = ["--stack", stack.name, "--region", stack.local_stack.region]
    where += ["--endpoint-url", stack.local_stack.endpoint_url, "--output", "json"]

    def asked(*command):
        with pytest.raises(SystemExit) as ended:
            main([*command, *where])
        answer, told = capsys.readouterr()
        return ended.value.code, json.loads(answer), told

    def as_of(moment, *options):
        _, answer, _ = asked("as-of", "1", "--at", f"{moment:%Y-%m-%dT%H:%M:%SZ}", *options)
        return answer["certainty"], answer["basis"], answer["reason"]

    def stamped(changes):
        text = stack.caught_up(1, changes)[-1]["ApproximateCreationDateTime"]["S"]
        return datetime.fromisoformat(text[:27].rstrip("#"))

    stack.put(1, State={"S": "open"})
    first = stamped(1)
    certainty, _, reason = as_of(first, "--basis", "compared")
    assert (certainty, "`itemtrail status --prove --keep`" in reason) == ("bounded", True)

    eventually(lambda: datetime.now(UTC) >= first + timedelta(seconds=4))
    status, answer, told = asked("status", "--prove", "--keep")
    until = datetime.fromisoformat(answer["proof"]["watermark"]["at"])
    assert (status, "kept in the history" in told) == (0, True)

    stack.put(1, State={"S": "closed"})
    second = stamped(2)
    assert first + timedelta(seconds=1) < until < second
    assert as_of(first, "--basis", "compared")[:2] == ("exact", "compared")
    assert as_of(first)[:2] == ("exact", "compared")
    certainty, _, reason = as_of(second, "--basis", "compared")
    assert (certainty, "proves a later moment" in reason) == ("bounded", True)
    # A declaration covers whole seconds that are over.
    eventually(lambda: datetime.now(UTC) >= second + timedelta(seconds=2))
    assert as_of(second, "--recorded-until", "now")[:2] == ("exact", "declared")
    assert asked("verify", "--basis", "compared")[1]["findings"] == []
    # Last, as nothing follows the table then: another stack would take longer than all this.
    _stream_is_made_anew(stack)


def test_stack_of_another_template_is_refused(watched):
    """The replica's own stack is no stack to ask, and the error says which is."""
    session = boto3.Session("test", "test", region_name=REPLICA_REGION)

    with pytest.raises(ReportError, match="give the stack that template"):
        Stack.read(session, "employee-trail-replica", watched.local_stack.endpoint_url)
