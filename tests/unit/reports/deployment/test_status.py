"""The state of a deployment: what could be read, what could not and why, nothing guessed."""

from datetime import UTC, datetime, timedelta

import pytest
from botocore.parsers import ResponseParserError

from reports.deployment.stack import Consumer, TableRole
from reports.deployment.status import read_status
from tests.fake_deployment import (
    BEGAN,
    HISTORY,
    NOW,
    QUARANTINE,
    REGION,
    REPLICA,
    REPLICA_REGION,
    SOURCE,
    STACK,
    WRITERS,
    a_stack,
)


def status_of(aws, stack=None):
    return read_status(aws.session, stack or a_stack())


def test_every_table_is_told_with_its_region(aws):
    """The three tables are told with what AWS counts in them, the replica from its own region."""
    status = status_of(aws)

    assert [(one.role, one.name, one.region) for one in status.tables] == [
        (TableRole.SOURCE, SOURCE, REGION),
        (TableRole.HISTORY, HISTORY, REGION),
        (TableRole.REPLICA, REPLICA, REPLICA_REGION),
    ]
    for one in status.tables:
        assert (one.exists, one.status, one.problem) == (True, "ACTIVE", None)
        assert (one.items, one.size_bytes, one.created_at) == (1200, 345_678, BEGAN)
    described = {
        params["TableName"]: region
        for operation, region, params in aws.requests
        if operation == "DescribeTable"
    }
    assert described == {SOURCE: REGION, HISTORY: REGION, REPLICA: REPLICA_REGION}


def test_horizon_is_when_the_history_table_was_made(aws):
    """The history's horizon is told in UTC, and that everything is as it should be."""
    aws.facts.tables[HISTORY]["CreationDateTime"] = BEGAN.astimezone(
        datetime.strptime("+0200", "%z").tzinfo
    )

    before = datetime.now(UTC)

    status = status_of(aws)

    assert (status.horizon, status.horizon.tzinfo) == (BEGAN, UTC)
    assert (status.stack, status.region) == (STACK, REGION)
    assert before <= status.at <= datetime.now(UTC)
    assert status.clean


def test_a_history_stack_has_no_replica_to_ask_for(aws):
    """What it was deployed without is not in the answer, not asked for, and no reason to worry."""
    status = status_of(aws, aws.deploy_only(Consumer.HISTORY_WRITER))

    assert [one.role for one in status.tables] == [TableRole.SOURCE, TableRole.HISTORY]
    assert [one.consumer for one in status.consumers] == [Consumer.HISTORY_WRITER]
    assert [one.what for one in status.kept_aside] == [
        "records of history_writer",
        "batches that Lambda gave up on",
    ]
    assert (status.region, status.horizon, status.clean) == (REGION, BEGAN, True)
    assert not [region for _, region, _ in aws.requests if region == REPLICA_REGION]


def test_a_replica_stack_has_no_history_to_ask_for(aws):
    """It has no horizon either, and is clean."""
    status = status_of(aws, aws.deploy_only(Consumer.REPLICA_WRITER))

    assert [(one.role, one.region) for one in status.tables] == [
        (TableRole.SOURCE, REGION),
        (TableRole.REPLICA, REPLICA_REGION),
    ]
    assert [one.consumer for one in status.consumers] == [Consumer.REPLICA_WRITER]
    assert [one.prefix for one in status.kept_aside] == [
        "quarantine/replica_writer/",
        "aws/lambda/",
    ]
    assert (status.region, status.horizon, status.clean) == (REGION, None, True)


@pytest.mark.parametrize("consumer", Consumer)
def test_a_stack_of_one_consumer_is_not_always_well(aws, consumer):
    """What it has is looked at as ever."""
    stack = aws.deploy_only(consumer)
    aws.facts.mappings[0]["State"] = "Disabled"

    assert not status_of(aws, stack).clean


def test_missing_table_is_told_from_one_that_may_not_be_read(aws):
    """A table that is gone does not exist; of one that may not be described nothing is known."""
    del aws.facts.tables[REPLICA]
    missing = status_of(aws)
    aws.refused["DescribeTable"] = "AccessDeniedException"
    refused = status_of(aws)

    assert [one.exists for one in missing.tables] == [True, True, False]
    assert "ResourceNotFoundException" in missing.tables[2].problem
    for one in refused.tables:
        assert one.exists is one.status is one.items is one.size_bytes is None
        assert "not authorized to perform: DescribeTable" in one.problem
    assert refused.horizon is None
    assert not missing.clean
    assert not refused.clean


def test_replica_of_another_account_is_not_looked_for_in_this_one(aws):
    """A replica that another account holds is told as such: this one may have a namesake."""
    stack = a_stack()
    stack.parameters["ReplicaRoleArn"] = "arn:aws:iam::210987654321:role/replica"

    replica = status_of(aws, stack).tables[2]

    assert (replica.exists, replica.items) == (None, None)
    assert "another account" in replica.problem
    assert not [region for _, region, _ in aws.requests if region == REPLICA_REGION]


def test_mappings_are_told_in_lambdas_words(aws):
    """Each consumer has its function, its mapping's state and what came of the last batch."""
    aws.facts.mappings[1] |= {"State": "Disabled", "LastProcessingResult": "PROBLEM: it failed"}

    status = status_of(aws)

    writer, replica = status.consumers
    assert (writer.consumer, replica.consumer) == tuple(Consumer)
    assert (writer.function, writer.mapping) == (
        f"{STACK}-history-writer",
        WRITERS["history_writer"],
    )
    assert (writer.state, writer.last_result, writer.problem) == ("Enabled", "OK", None)
    assert (replica.state, replica.last_result) == ("Disabled", "PROBLEM: it failed")
    assert not status.clean


def test_mapping_that_cannot_be_read_has_a_reason(aws):
    """A mapping that is gone has no state, and the reason beside it."""
    aws.facts.mappings.pop()

    replica = status_of(aws).consumers[1]

    assert replica.state is replica.last_result is None
    assert "ResourceNotFoundException" in replica.problem


def test_lag_is_the_greatest_of_the_last_minutes(aws):
    """The lag is the greatest age of fifteen minutes, and None when nothing was invoked."""
    aws.facts.lag_ms[f"{STACK}-history-writer"] = [120.0, 5_400.0, 80.0]

    writer, replica = status_of(aws).consumers

    assert (writer.lag_ms, writer.lag_problem) == (5_400.0, None)
    assert (replica.lag_ms, replica.lag_problem) == (
        None,
        "no IteratorAge of the last 15 minutes, as when nothing is invoked",
    )
    asked = [params for operation, _, params in aws.requests if operation == "GetMetricStatistics"]
    assert {one["EndTime"] - one["StartTime"] for one in asked} == {timedelta(minutes=15)}


def test_endpoint_without_cloudwatch_breaks_nothing(aws, monkeypatch):
    """Where nobody answers for CloudWatch, the lag is None with the reason, the rest is told."""

    def answer(**_):
        raise ResponseParserError("Unable to parse response:\n <html>")

    monkeypatch.setattr(aws, "GetMetricStatistics", answer)

    status = status_of(aws)

    assert {one.lag_ms for one in status.consumers} == {None}
    assert status.consumers[0].lag_problem == "Unable to parse response: <html>"
    assert status.clean


def test_what_is_kept_aside_is_counted(aws):
    """Records of each consumer and failed batches are counted apart, with the newest's time."""
    aws.facts.objects = [
        "quarantine/history_writer/1-a.json",
        "quarantine/history_writer/2-b.json",
        "quarantine/history_writer/",
        "aws/lambda/mapping-1/shardId-1/2026/11/25/x",
    ]

    status = status_of(aws)

    assert status.quarantine_bucket == QUARANTINE
    assert [(one.prefix, one.count, one.at_least) for one in status.kept_aside] == [
        ("quarantine/history_writer/", 2, False),
        ("quarantine/replica_writer/", 0, False),
        ("aws/lambda/", 1, False),
    ]
    assert [one.newest for one in status.kept_aside] == [
        NOW - timedelta(minutes=2),
        None,
        NOW - timedelta(minutes=1),
    ]
    assert not status.clean


def test_counting_stops_and_says_so(aws):
    """Of very many objects ten pages are counted: at least so many."""
    aws.facts.objects = [f"aws/lambda/mapping-1/{n}" for n in range(10_001)]

    batches = status_of(aws).kept_aside[2]

    assert (batches.count, batches.at_least) == (10_000, True)
    # The last of those that were looked at.
    assert batches.newest == NOW - timedelta(minutes=2)


def test_exactly_as_many_as_are_counted_is_no_at_least(aws):
    """Ten full pages and no more are counted to the end."""
    aws.facts.objects = [f"aws/lambda/mapping-1/{n}" for n in range(10_000)]

    batches = status_of(aws).kept_aside[2]

    assert (batches.count, batches.at_least) == (10_000, False)


def test_bucket_that_may_not_be_listed_is_never_zero(aws):
    """Objects that may not be listed are not told as none."""
    aws.refused["ListObjectsV2"] = "AccessDenied"

    status = status_of(aws)

    for one in status.kept_aside:
        assert one.count is one.newest is None
        assert one.problem == (
            "ListObjectsV2: AccessDenied not authorized to perform: ListObjectsV2"
        )
    assert not status.clean
