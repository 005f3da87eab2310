"""A new table is set up as the source is, and what it does not get is named."""

import pytest

from operations.execution.pace import Pace
from operations.recovery.table.settings import (
    TableSettings,
    create_request,
    encryption_of,
    unknown_settings,
)
from operations.recovery.table.settings_reader import settings_of
from reports.access.machine import Machine
from reports.access.table_description import TableDescription, describe
from reports.inputs.keys import KeySchema
from tests.fakes import client_error
from tests.recorded_table import SOURCE
from tests.tables import key_schema
from tests.unit.operations.recovery.table.world import NEW, version

UNITS = {"ReadCapacityUnits": 3, "WriteCapacityUnits": 4}
PROJECTED = {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["x"]}
KEYS_ONLY = {"ProjectionType": "KEYS_ONLY"}


def described(**fields):
    """A description as DynamoDB gives it, with what CreateTable would refuse."""
    types = {"Id": "S", "At": "N", "By": "S", "Gone": "B"}
    return TableDescription(
        {
            "TableName": "Employee",
            "TableArn": "arn:aws:dynamodb:eu-west-1:123456789012:table/Employee",
            "KeySchema": key_schema(["Id"]),
            "AttributeDefinitions": [
                {"AttributeName": name, "AttributeType": tag} for name, tag in types.items()
            ],
            "ProvisionedThroughput": {**UNITS, "NumberOfDecreasesToday": 1},
        }
        | fields
    )


def index(name, *keys, projection=KEYS_ONLY, **fields):
    return {
        "IndexName": name,
        "KeySchema": key_schema(keys),
        "Projection": projection,
        "IndexArn": f"arn:{name}",
        "ItemCount": 7,
    } | fields


def test_indexes_are_made_with_the_table():
    """Local ones can only be made then; only what is in some key has its type defined."""
    request = create_request(
        described(
            LocalSecondaryIndexes=[index("local", "Id", "At", projection=PROJECTED)],
            GlobalSecondaryIndexes=[
                index("by", "By", "At", IndexStatus="ACTIVE", ProvisionedThroughput=UNITS),
                index("gone", "Gone", IndexStatus="DELETING", ProvisionedThroughput=UNITS),
            ],
        )
    )

    assert request["LocalSecondaryIndexes"] == [
        {"IndexName": "local", "KeySchema": key_schema(["Id", "At"]), "Projection": PROJECTED}
    ]
    assert request["GlobalSecondaryIndexes"] == [
        {
            "IndexName": "by",
            "KeySchema": key_schema(["By", "At"]),
            "Projection": KEYS_ONLY,
            "ProvisionedThroughput": UNITS,
        }
    ]
    names = [definition["AttributeName"] for definition in request["AttributeDefinitions"]]
    assert names == ["Id", "At", "By"]


def test_a_table_of_provisioned_capacity_has_it():
    """Also where the description does not name the mode: then it was never another."""
    for mode in ({}, {"BillingModeSummary": {"BillingMode": "PROVISIONED"}}):
        request = create_request(described(**mode))
        assert request["BillingMode"] == "PROVISIONED"
        assert request["ProvisionedThroughput"] == UNITS
        assert "OnDemandThroughput" not in request


def test_a_table_on_demand_has_its_limits():
    """Of the table and of each index; -1 is none."""
    request = create_request(
        described(
            BillingModeSummary={"BillingMode": "PAY_PER_REQUEST"},
            OnDemandThroughput={"MaxReadRequestUnits": 50, "MaxWriteRequestUnits": -1},
            GlobalSecondaryIndexes=[
                index("by", "By", OnDemandThroughput={"MaxReadRequestUnits": 5}),
                index("at", "At", ProvisionedThroughput={"ReadCapacityUnits": 0}),
            ],
        )
    )

    assert request["BillingMode"] == "PAY_PER_REQUEST"
    assert "ProvisionedThroughput" not in request
    assert request["OnDemandThroughput"] == {"MaxReadRequestUnits": 50}
    by, at = request["GlobalSecondaryIndexes"]
    assert by["OnDemandThroughput"] == {"MaxReadRequestUnits": 5}
    assert at.keys() == {"IndexName", "KeySchema", "Projection"}


def test_stream_class_and_encryption_are_the_source_s():
    """As far as it has them."""
    bare = create_request(described(StreamSpecification={"StreamEnabled": False}))
    request = create_request(
        described(
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
            TableClassSummary={"TableClass": "STANDARD_INFREQUENT_ACCESS"},
            SSEDescription={"SSEType": "KMS", "KMSMasterKeyArn": "arn:key"},
        )
    )

    assert bare.keys() == {
        "KeySchema",
        "AttributeDefinitions",
        "BillingMode",
        "ProvisionedThroughput",
    }
    assert request["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    assert request["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    assert request["SSESpecification"]["KMSMasterKeyId"] == "arn:key"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"SSEDescription": {"Status": "ENABLED"}}, None),
        (
            {"SSEDescription": {"SSEType": "KMS", "KMSMasterKeyArn": "arn:key"}},
            {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": "arn:key"},
        ),
    ],
)
def test_the_new_table_is_encrypted_as_the_source_is(fields, expected):
    """With the owner's key, if the source is; else with one of DynamoDB's own."""
    assert encryption_of(TableDescription(fields)) == expected


class Answers:
    """A client that gives what it is set to, page by page, or raises it."""

    def __init__(self, **answers):
        self.answers = {
            "list_tags_of_resource": {},
            "describe_time_to_live": {"TimeToLiveDescription": {}},
            "describe_continuous_backups": {"ContinuousBackupsDescription": {}},
            "get_resource_policy": client_error("PolicyNotFoundException"),
            "describe_kinesis_streaming_destination": {},
            "describe_contributor_insights": client_error("UnknownOperationException"),
        } | answers

    def __getattr__(self, operation):
        def answer(**_request):
            answers = self.answers[operation]
            answer = answers.pop(0) if isinstance(answers, list) else answers
            if isinstance(answer, Exception):
                raise answer
            return answer

        return answer


ALWAYS = "what is not of the table itself is not looked for: "


def left_out(client, **fields):
    """What is left out of a table, but for what always is."""
    *named, always = settings_of(client, described(**fields)).left_out
    assert always.startswith(ALWAYS)
    return named


def test_a_plain_table_leaves_nothing_out():
    """What an engine does not know it does not have either."""
    assert left_out(Answers()) == []


def test_what_is_beside_a_table_is_named():
    """It has to be made by hand."""
    destinations = [
        {"StreamArn": "arn:one", "DestinationStatus": "ACTIVE"},
        {"StreamArn": "arn:two", "DestinationStatus": "DISABLED"},
    ]
    client = Answers(
        get_resource_policy={"Policy": "{}"},
        describe_kinesis_streaming_destination={"KinesisDataStreamDestinations": destinations},
        describe_contributor_insights={"ContributorInsightsStatus": "ENABLED"},
    )
    fields = {
        "Replicas": [{"RegionName": "eu-west-1"}, {"RegionName": "us-east-1"}],
        "WarmThroughput": {"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 9_000},
        "GlobalSecondaryIndexes": [
            index("gone", "Gone", IndexStatus="DELETING", ProvisionedThroughput=UNITS)
        ],
    }

    assert left_out(client, **fields) == [
        "replicas of a global table: eu-west-1, us-east-1",
        "warm throughput: 12,000 reads and 9,000 writes a second",
        "the index gone, which is being deleted",
        "a resource policy: it has one",
        "Kinesis destinations: arn:one",
        "contributor insights: on",
    ]


def test_what_may_not_be_read_is_named():
    """Nobody takes it for something that is not there."""
    denied = client_error("AccessDeniedException")
    client = Answers(
        list_tags_of_resource=denied,
        describe_time_to_live=denied,
        describe_continuous_backups=denied,
        get_resource_policy=denied,
        describe_kinesis_streaming_destination=denied,
        describe_contributor_insights=denied,
    )

    assert left_out(client) == [
        f"{what}: may not be read (AccessDeniedException)"
        for what in (
            "tags",
            "the time to live",
            "how far back it can be recovered",
            "a resource policy",
            "Kinesis destinations",
            "contributor insights",
        )
    ]


def test_tags_of_all_pages_are_taken_over_but_those_of_aws_and_of_this_program():
    """Nobody may set the former, and what the latter say is true of the source alone."""
    pages = [
        {"Tags": [{"Key": "team", "Value": "a"}, {"Key": "aws:x", "Value": "1"}], "NextToken": "n"},
        {"Tags": [{"Key": "cost", "Value": "b"}, {"Key": "itemtrail:restore", "Value": "c"}]},
    ]
    settings = settings_of(Answers(list_tags_of_resource=pages), described())

    assert settings.request["Tags"] == [
        {"Key": "team", "Value": "a"},
        {"Key": "cost", "Value": "b"},
    ]
    assert "tags of AWS's own: aws:x" in settings.left_out


def test_a_table_with_all_the_tags_there_can_be_loses_one():
    """The one that says what was begun takes a place; the other is named."""
    tags = [{"Key": f"tag-{n:02d}", "Value": ""} for n in range(50)]
    settings = settings_of(Answers(list_tags_of_resource={"Tags": tags}), described())

    assert len(settings.request["Tags"]) == 49
    assert settings.left_out[0] == "tags, of which a table has at most 50: tag-49"


def test_recovery_reaches_as_far_back_as_the_source_s():
    """Where the source says how far."""
    point = {"PointInTimeRecoveryStatus": "ENABLED", "RecoveryPeriodInDays": 7}
    backups = {"ContinuousBackupsDescription": {"PointInTimeRecoveryDescription": point}}

    settings = settings_of(Answers(describe_continuous_backups=backups), described())

    assert settings.recovery_days == 7


def test_settings_are_what_they_were_after_a_plan_had_them():
    """As JSON and back."""
    settings = settings_of(Answers(), described(LocalSecondaryIndexes=[index("l", "Id", "At")]))

    assert TableSettings.read(settings.content()) == settings


def test_of_a_source_that_is_gone_the_settings_are_not_known():
    """That is said, and the table is one that costs nothing while it is not used."""
    settings = unknown_settings(KeySchema({"Id": "S", "At": "N"}))

    assert settings.request["KeySchema"] == key_schema(["Id", "At"])
    assert settings.request["BillingMode"] == "PAY_PER_REQUEST"
    assert settings.left_out[0].startswith("the source is gone, and its settings with it")


def test_the_new_table_is_like_the_source_and_protected(world):
    """As it is made: the indexes, the stream, the tags; recoverable, no item expires."""
    expiry = {"Enabled": True, "AttributeName": "Expires"}
    world.client.update_time_to_live(TableName=SOURCE, TimeToLiveSpecification=expiry)
    arn = describe(world.client, SOURCE).arn
    world.client.tag_resource(ResourceArn=arn, Tags=[{"Key": "team", "Value": "payroll"}])
    world.live("1", version("1", 1))

    result = world.restore(1)

    table = world.client.describe_table(TableName=NEW)["Table"]
    assert table["KeySchema"] == key_schema(["Id"])
    assert table["AttributeDefinitions"] == [{"AttributeName": "Id", "AttributeType": "S"}]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["DeletionProtectionEnabled"]
    backups = world.client.describe_continuous_backups(TableName=NEW)
    recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"
    tags = world.client.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]
    assert {"Key": "team", "Value": "payroll"} in tags
    ttl = world.client.describe_time_to_live(TableName=NEW)["TimeToLiveDescription"]
    assert ttl["TimeToLiveStatus"] == "DISABLED"
    assert result.left_out[0].startswith("the time to live (by Expires), or items whose time is")
    assert "update-time-to-live --table-name EmployeeThen" in result.left_out[0]


def test_items_expire_where_that_is_asked_for(world):
    """As the source's do; where those do not, it is said."""
    world.live("1", version("1", 1))
    plain = world.plan(1, with_ttl=True)
    expiry = {"Enabled": True, "AttributeName": "Expires"}
    world.client.update_time_to_live(TableName=SOURCE, TimeToLiveSpecification=expiry)

    result = world.restore(1, with_ttl=True)

    assert plain.left_out[0] == "a time to live, as far as is known the source has none"
    ttl = world.client.describe_time_to_live(TableName=NEW)["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "Expires"}
    assert (result.notes, len(result.left_out)) == ((), 1)


def test_a_table_that_is_busy_is_waited_for_to_be_protected(world, monkeypatch):
    """DynamoDB turns the recovery of a table on only some time after the table was made."""
    world.live("1", version("1", 1))
    errors = [client_error("ContinuousBackupsUnavailableException")]
    real = world.client.update_continuous_backups

    def busy(**request):
        if errors:
            raise errors.pop()
        return real(**request)

    monkeypatch.setattr(world.client, "update_continuous_backups", busy)

    result = world.restore(1, pace=Pace(machine=Machine(sleep=lambda _s: None)))

    assert (result.notes, errors) == ((), [])
