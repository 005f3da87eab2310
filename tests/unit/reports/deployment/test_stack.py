"""A deployed stack, found by its name and read by its outputs."""

import pytest
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from reports.deployment.stack import Consumer, Stack, TableRole, extent_of
from reports.errors import ReportError, TableNotFoundError
from tests.fake_deployment import (
    HISTORY,
    OUTPUTS,
    OUTPUTS_OF,
    REPLICA,
    REPLICA_REGION,
    SOURCE,
    STACK,
)
from tests.templates import deployed

HISTORY_WRITER, REPLICA_WRITER = Consumer


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
    assert stack.function(Consumer.HISTORY_WRITER) == OUTPUTS["HistoryWriterFunctionName"]
    assert stack.function(Consumer.REPLICA_WRITER) == OUTPUTS["ReplicaWriterFunctionName"]
    assert stack.mapping_id(Consumer.HISTORY_WRITER) == OUTPUTS["HistoryWriterMappingId"]
    assert stack.mapping_id(Consumer.REPLICA_WRITER) == OUTPUTS["ReplicaWriterMappingId"]
    assert stack.consumers == (HISTORY_WRITER, REPLICA_WRITER)
    assert stack.table_roles == tuple(TableRole)


@pytest.mark.parametrize(
    ("case", "consumers"),
    [
        ("plain", (HISTORY_WRITER, REPLICA_WRITER)),
        ("history", (HISTORY_WRITER,)),
        ("replica", (REPLICA_WRITER,)),
    ],
)
def test_template_tells_its_consumers_by_its_outputs(case, consumers):
    """What the template gives for each value of Consumers is what is taken for that."""
    outputs = deployed(case).outputs

    assert Stack("trail", outputs).consumers == consumers
    for consumer in Consumer:
        there = OUTPUTS_OF[consumer] & outputs.keys()
        assert there == (OUTPUTS_OF[consumer] if consumer in consumers else set())


@pytest.mark.parametrize(
    ("consumer", "roles", "extent"),
    [
        (HISTORY_WRITER, ("source", "history"), "history only (Consumers=history)"),
        (REPLICA_WRITER, ("source", "replica"), "replica only (Consumers=replica)"),
    ],
)
def test_stack_of_one_consumer_is_ours(aws, consumer, roles, extent):
    """It has what that one needs, and says which it is."""
    aws.deploy_only(consumer)

    stack = read(aws)

    assert (stack.source_table, stack.consumers) == (SOURCE, (consumer,))
    assert stack.table_roles == roles
    assert extent_of(stack.consumers) == extent


def test_what_a_history_stack_never_had_is_told_in_one_line(aws):
    """No advice to deploy again: the replica is in another stack, or nowhere."""
    aws.deploy_only(HISTORY_WRITER)

    stack = read(aws)

    assert (stack.history_table, stack.time_shards) == (HISTORY, 4)
    for part in (
        lambda: stack.replica_table,
        lambda: stack.replica_region,
        lambda: stack.function(Consumer.REPLICA_WRITER),
    ):
        with pytest.raises(ReportError) as refused:
            part()
        assert str(refused.value) == (
            "stack 'employee-trail' follows 'Employee' with its history writer only "
            "(Consumers=history) and has no replica table: give the stack that has one"
        )


def test_what_a_replica_stack_never_had_is_told_in_one_line(aws):
    """The same the other way round."""
    aws.deploy_only(REPLICA_WRITER)

    stack = read(aws)

    assert (stack.replica_table, stack.time_shards) == (REPLICA, None)
    for part in (
        lambda: stack.history_table,
        lambda: stack.overflow_bucket,
        lambda: stack.mapping_id(Consumer.HISTORY_WRITER),
    ):
        with pytest.raises(ReportError) as refused:
            part()
        assert str(refused.value) == (
            "stack 'employee-trail' follows 'Employee' with its replica writer only "
            "(Consumers=replica) and has no history table: give the stack that has one"
        )


def test_role_of_a_replica_that_is_not_there_is_none(aws):
    """A parameter may be left over from when the stack had a replica."""
    stack = aws.deploy_only(HISTORY_WRITER)
    stack.parameters["ReplicaRoleArn"] = "arn:aws:iam::210987654321:role/replica"

    assert stack.replica_role_arn is None


def test_replica_in_another_account_is_told_by_its_role(aws):
    """The role that writes the replica is a parameter of the stack and no output."""
    role = "arn:aws:iam::210987654321:role/replica"
    aws.facts.stack_parameters = {"ReplicaRoleArn": role}

    assert read(aws).replica_role_arn == role


def test_missing_stack_is_named_with_its_region(aws):
    """A stack that is not there is an error that names it, the region, and what to check."""
    with pytest.raises(TableNotFoundError, match=r"no stack 'nowhere' in eu-west-1: check --stack"):
        read(aws, "nowhere")


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ({"SourceTableName"}, "no output SourceTableName: give the stack that templ"),
        ({"QuarantineBucketName"}, "no output QuarantineBucketName: give the stack"),
        (
            {"SourceTableName", "QuarantineBucketName"},
            "no output SourceTableName and no output QuarantineBucketName: give",
        ),
        (
            {"HistoryTableName", "ReplicaTableName"},
            "no output HistoryTableName and no output ReplicaTableName: give",
        ),
    ],
)
def test_stack_of_somebody_else_is_refused(aws, missing, told):
    """A stack that follows no table of ours is told by what it lacks."""
    aws.facts.stack_outputs = {
        name: value for name, value in OUTPUTS.items() if name not in missing
    }

    with pytest.raises(ReportError, match=told):
        read(aws)


def test_output_that_an_older_stack_lacks_is_asked_for_when_used(aws):
    """A stack deployed before there was an output still answers all that does not need it."""
    del aws.facts.stack_outputs["OverflowBucketName"]
    del aws.facts.stack_outputs["TimeShards"]

    stack = read(aws)

    assert stack.history_table == HISTORY
    assert stack.time_shards is None
    with pytest.raises(ReportError, match="no output OverflowBucketName: deploy template"):
        _ = stack.overflow_bucket


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
