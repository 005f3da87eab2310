"""A deployed stack, found by its name and read by its outputs."""

import pytest
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from reports.errors import ReportError, TableNotFoundError
from reports.stack import Stack
from tests.fake_deployment import HISTORY, OUTPUTS, REPLICA_REGION, SOURCE, STACK, FakeAws


@pytest.fixture(scope="module")
def client():
    """One set of clients, because reading the service models takes longer than a test."""
    return FakeAws()


@pytest.fixture
def aws(client):
    client.start_anew()
    return client


def read(aws, name=STACK):
    return Stack.read(aws.session, name, None)


def test_stack_gives_every_output_its_name(aws):
    """Every output of the template is a property, the shard count a number."""
    stack = read(aws)

    assert (stack.name, stack.source_table, stack.history_table) == (STACK, SOURCE, HISTORY)
    assert stack.source_stream_arn == OUTPUTS["SourceStreamArn"]
    assert stack.replica_table == OUTPUTS["ReplicaTableName"]
    assert stack.replica_region == REPLICA_REGION
    assert stack.replica_role_arn is None
    assert stack.overflow_bucket == OUTPUTS["OverflowBucketName"]
    assert stack.quarantine_bucket == OUTPUTS["QuarantineBucketName"]
    assert stack.time_shards == 4
    assert stack.history_writer_function == OUTPUTS["HistoryWriterFunctionName"]
    assert stack.replica_writer_function == OUTPUTS["ReplicaWriterFunctionName"]
    assert stack.history_writer_mapping == OUTPUTS["HistoryWriterMappingId"]
    assert stack.replica_writer_mapping == OUTPUTS["ReplicaWriterMappingId"]


def test_replica_in_another_account_is_told_by_its_role(aws):
    """The role that writes the replica is a parameter of the stack and no output."""
    role = "arn:aws:iam::210987654321:role/replica"
    aws.facts.stack_parameters = {"ReplicaRoleArn": role}

    assert read(aws).replica_role_arn == role


def test_missing_stack_is_named_with_its_region(aws):
    """A stack that is not there is an error that names it, the region, and what to check."""
    with pytest.raises(TableNotFoundError, match=r"no stack 'nowhere' in eu-west-1: check --stack"):
        read(aws, "nowhere")


def test_stack_of_somebody_else_is_refused(aws):
    """A stack without our tables is no stack of ours, and the error says what it lacks."""
    aws.facts.stack_outputs = {"ReplicaTableName": "x", "HistoryTableName": "y"}

    with pytest.raises(ReportError, match="no output SourceTableName: give the stack that templ"):
        read(aws)


def test_output_that_an_older_stack_lacks_is_asked_for_when_used(aws):
    """A stack deployed before there was an output still answers all that does not need it."""
    del aws.facts.stack_outputs["QuarantineBucketName"]
    del aws.facts.stack_outputs["TimeShards"]

    stack = read(aws)

    assert stack.history_table == HISTORY
    assert stack.time_shards is None
    with pytest.raises(ReportError, match="no output QuarantineBucketName: deploy template"):
        _ = stack.quarantine_bucket


def test_refused_permission_is_no_missing_stack(aws):
    """A caller who may not ask CloudFormation learns that, and not that there is no stack."""
    aws.refused["DescribeStacks"] = "AccessDenied"

    with pytest.raises(ClientError, match="AccessDenied"):
        read(aws)


def test_endpoint_that_is_no_cloudformation_is_told(aws, monkeypatch):
    """An endpoint that answers something else is an error that says how to do without a stack."""

    def answer(**_):
        raise ResponseParserError("not XML")

    monkeypatch.setattr(aws, "DescribeStacks", answer)

    with pytest.raises(ReportError, match="name the tables instead, with --history-table"):
        read(aws)
