"""Status and doctor of the deployed system: the real template on MiniStack."""

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from itemtrail.cli import main
from itemtrail.local.local_stack import EMULATED, REPLICA_TEMPLATE
from reports.deployment.doctor import examine
from reports.deployment.stack import Consumer, Stack
from reports.deployment.status import read_status
from reports.errors import ReportError

pytestmark = pytest.mark.functional

STACK, SOURCE = "watched", "Watched"
REPLICA_REGION = "eu-west-1"
BEGAN = datetime.now(UTC).replace(microsecond=0)
# MiniStack ignores point-in-time recovery, resource policies and Object Lock in a template, and
# never gives the state of an index.
UNTRUE_HERE = {
    "point-in-time recovery": False,
    "index ByTime": None,
    "append-only": False,
    "object lock": False,
}


@dataclass(frozen=True)
class Watched:
    """A deployed stack, and the clients of somebody who meddles with it."""

    stack: Stack
    session: boto3.Session
    endpoint_url: str
    clients: dict[str, Any]

    def status(self):
        return read_status(self.session, self.stack, self.endpoint_url)

    def advice(self):
        return examine(self.session, self.stack, self.endpoint_url)

    def findings(self):
        """What is found, but for what this emulator cannot do."""
        return [
            one
            for one in self.advice()
            if one.ok is not True and UNTRUE_HERE.get(one.check, True) is not one.ok
        ]


@pytest.fixture(scope="module")
def deploy(local_stack, built):
    """A factory of deployed stacks, as a person reads them: by `--endpoint-url` alone."""
    session = boto3.Session("test", "test", region_name=local_stack.region)
    with contextlib.ExitStack() as closing:

        def make(name, source, **parameters):
            sample = EMULATED | {"SourceTableName": source}
            if "SourceStreamArn" not in parameters:
                sample["CreateSampleSourceTable"] = "true"
            local_stack.deploy(name, sample | parameters, template=built)
            clients = {
                service: closing.enter_context(contextlib.closing(local_stack.client(service)))
                for service in ("dynamodb", "lambda", "s3", "cloudwatch")
            }
            stack = Stack.read(session, name, local_stack.endpoint_url)
            return Watched(stack, session, local_stack.endpoint_url, clients)

        yield make


@pytest.fixture(scope="module")
def halves(deploy):
    """The history of a table in one stack, its replica in another."""
    audit = deploy("audit", "Halved", Consumers="history")
    stream = audit.stack.source_stream_arn
    return audit, deploy("second", "Halved", Consumers="replica", SourceStreamArn=stream)


@pytest.fixture(scope="module")
def watched(local_stack, deploy):
    """Both templates deployed, the replica in another region."""
    replica = local_stack.deploy(
        f"{STACK}-replica", template=REPLICA_TEMPLATE, region=REPLICA_REGION
    )
    return deploy(
        STACK, SOURCE, ReplicaTableName=replica["ReplicaTableName"], ReplicaRegion=REPLICA_REGION
    )


def test_status_of_the_deployed_system(watched):
    """Tables in both regions, both mappings, nothing kept aside; the history's beginning."""
    status = watched.status()

    assert [(one.name, one.region, one.exists, one.status) for one in status.tables] == [
        (SOURCE, "us-east-1", True, "ACTIVE"),
        (f"{STACK}-history", "us-east-1", True, "ACTIVE"),
        (f"{STACK}-replica-replica", REPLICA_REGION, True, "ACTIVE"),
    ]
    assert [(one.function, one.state, one.problem) for one in status.consumers] == [
        (f"{STACK}-history-writer", "Enabled", None),
        (f"{STACK}-replica-writer", "Enabled", None),
    ]
    assert [(one.count, one.at_least, one.problem) for one in status.kept_aside] == [
        (0, False, None)
    ] * 3
    assert BEGAN <= status.horizon <= datetime.now(UTC)
    assert status.clean


def test_lag_comes_from_the_functions_metric(watched):
    """The lag is what CloudWatch has of the function, and of that function alone."""
    watched.clients["cloudwatch"].put_metric_data(
        Namespace="AWS/Lambda",
        MetricData=[
            {
                "MetricName": "IteratorAge",
                "Dimensions": [
                    {"Name": "FunctionName", "Value": watched.stack.history_writer_function}
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
    watched.clients["dynamodb"].update_continuous_backups(
        TableName=watched.stack.history_table,
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
    )

    told = {
        one.subject: one.ok for one in watched.advice() if one.check == "point-in-time recovery"
    }

    assert told.pop(watched.stack.history_table) is True
    assert set(told.values()) == {False}


@pytest.fixture
def cli(local_stack, monkeypatch, capsys, tmp_path):
    """Run a command line against the emulator; gives the exit status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    for name, value in local_stack.environment().items():
        monkeypatch.setenv(name, value)

    def cli(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        captured = capsys.readouterr()
        return ended.value.code, captured.out, captured.err

    return cli


@pytest.fixture
def meddle(watched):
    """Change something deployed, and put it back afterwards."""
    with contextlib.ExitStack() as undo:

        def change(service, operation, undo_with, **parameters):
            client = watched.clients[service]
            undone = getattr(client, operation)(**parameters)
            undo.callback(undo_with, client, undone)

        yield change


def test_third_reader_of_the_stream_is_found(watched, meddle):
    """A mapping that somebody adds to the stream is told by its UUID."""
    meddle(
        "lambda",
        "create_event_source_mapping",
        lambda client, answer: client.delete_event_source_mapping(UUID=answer["UUID"]),
        FunctionName=watched.stack.history_writer_function,
        EventSourceArn=watched.stack.source_stream_arn,
        StartingPosition="LATEST",
    )
    made = watched.clients["lambda"].list_event_source_mappings(
        EventSourceArn=watched.stack.source_stream_arn
    )["EventSourceMappings"]

    (found,) = watched.findings()

    assert found.check == "readers"
    ours = {watched.stack.history_writer_mapping, watched.stack.replica_writer_mapping}
    (third,) = {one["UUID"] for one in made} - ours
    assert f"--uuid {third} --no-enabled" in found.to_do


def test_deletion_protection_that_was_turned_off_is_found(watched, meddle):
    """A history table that one call can delete is told."""
    table = watched.stack.history_table
    meddle(
        "dynamodb",
        "update_table",
        lambda client, _: client.update_table(TableName=table, DeletionProtectionEnabled=True),
        TableName=table,
        DeletionProtectionEnabled=False,
    )

    (found,) = watched.findings()

    assert (found.check, found.subject, found.ok) == ("deletion protection", table, False)


def test_mapping_that_was_changed_is_found(watched, meddle):
    """Counted attempts and a filter are two findings; both would lose records."""
    uuid = watched.stack.replica_writer_mapping
    meddle(
        "lambda",
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
    meddle("s3", "put_object", lambda client, _: client.delete_object(**where), **where, Body=b"{}")

    status, findings = watched.status(), watched.findings()

    assert [one.count for one in status.kept_aside] == [1, 0, 0]
    assert began <= status.kept_aside[0].newest <= datetime.now(UTC)
    assert not status.clean
    assert [(one.check, one.subject) for one in findings] == [
        ("kept aside", "records of history_writer")
    ]


def test_stream_that_was_made_anew_is_found(deploy):
    """Turning the stream off and on gives another one, which the deployed stack does not follow."""
    forgotten = deploy("forgotten", "Forgotten")
    for specification in (
        {"StreamEnabled": False},
        {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    ):
        forgotten.clients["dynamodb"].update_table(
            TableName="Forgotten", StreamSpecification=specification
        )

    found = forgotten.findings()

    assert [(one.check, one.subject) for one in found] == [
        ("stream followed", "stack forgotten"),
        ("stream followed", "history_writer"),
        ("stream followed", "replica_writer"),
    ]
    assert forgotten.status().clean


def test_a_stack_of_one_consumer_is_well(halves):
    """Of two stacks on a table, each has its own part, and nothing is missing in either."""
    for watched, consumer, role in zip(halves, Consumer, ("history", "replica"), strict=True):
        status = watched.status()

        assert watched.stack.consumers == (consumer,)
        assert [one.role for one in status.tables] == ["source", role]
        assert [one.consumer for one in status.consumers] == [consumer]
        assert [one.count for one in status.kept_aside] == [0, 0]
        assert (status.clean, status.horizon is None) == (True, role == "replica")


def test_two_stacks_of_one_consumer_are_two_readers(halves):
    """They are all that a shard takes, and no finding in either."""
    for watched, role in zip(halves, ("history", "replica"), strict=True):
        assert watched.findings() == []
        (readers,) = [one for one in watched.advice() if one.check == "readers"]
        assert readers.observation.startswith("2 event source mappings read the stream: ")
        assert readers.observation.endswith(f"{role} only (Consumers={role})")


def test_the_commands_of_the_other_half_say_so(halves, cli):
    """One clear line and exit 2; what the stack has is done without being told."""
    del halves
    for arguments, expected in (
        (("compare", "--stack", "audit"), "stack 'audit' follows 'Halved' with its history writer"),
        (("verify", "--stack", "second"), "stack 'second' follows 'Halved' with its replica writ"),
    ):
        status, out, err = cli(*arguments)

        assert (status, out, err.count("\n")) == (2, "", 1)
        assert expected in err
    for name in ("audit", "second"):
        for command in ("backfill", "redrive"):
            status, _, err = cli(command, "--stack", name)

            assert status == 0, err
    assert cli("verify", "--stack", "audit")[0] == cli("compare", "--stack", "second")[0] == 0


def test_stack_of_another_template_is_refused(watched):
    """The replica's own stack is no stack to ask, and the error says which is."""
    session = boto3.Session("test", "test", region_name=REPLICA_REGION)

    with pytest.raises(ReportError, match="give the stack that template"):
        Stack.read(session, f"{STACK}-replica", watched.endpoint_url)
