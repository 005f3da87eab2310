"""What the two templates deploy, held against a written list of facts."""

import json
import re

import pytest

from history_writer.settings import HistorySettings
from replica_writer.settings import ReplicaSettings
from tests.templates import (
    ACCOUNT,
    CASES,
    ELSEWHERE,
    FUNCTIONS,
    KEY,
    PLAIN,
    REGION,
    ROLE,
    SAMPLE,
    STREAM,
    Evaluation,
    deployed,
    load,
    transformed,
)

WRITERS = ("HistoryWriter", "ReplicaWriter")
BUCKETS = ("OverflowBucket", "QuarantineBucket")

# Every statement of a role: (action, resource, condition). Nothing else may be allowed.
STREAM_READS = {
    ("dynamodb:DescribeStream", STREAM, None),
    ("dynamodb:GetRecords", STREAM, None),
    ("dynamodb:GetShardIterator", STREAM, None),
    (
        "dynamodb:ListStreams",
        f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/Employee/stream/*",
        None,
    ),
}
FAILED_BATCHES = {
    ("s3:PutObject", "<QuarantineBucket.Arn>/aws/lambda/*", None),
    ("s3:ListBucket", "<QuarantineBucket.Arn>", None),
}
ONLY_THE_DIGEST = json.dumps(
    {
        "ForAllValues:StringEquals": {
            "dynamodb:Attributes": ["Id", "ApproximateCreationDateTime", "Digest"]
        },
        "StringEqualsIfExists": {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"},
    }
)
HISTORY_ROLE = (
    STREAM_READS
    | FAILED_BATCHES
    | {
        ("dynamodb:PartiQLInsert", "<HistoryTable.Arn>", None),
        ("dynamodb:BatchGetItem", "<HistoryTable.Arn>", ONLY_THE_DIGEST),
        ("s3:PutObject", "<OverflowBucket.Arn>/overflow/*", None),
        ("s3:PutObject", "<QuarantineBucket.Arn>/quarantine/history_writer/*", None),
        ("logs:CreateLogStream", "<HistoryWriterLogGroup.Arn>", None),
        ("logs:PutLogEvents", "<HistoryWriterLogGroup.Arn>", None),
    }
)
REPLICA_BASE = (
    STREAM_READS
    | FAILED_BATCHES
    | {
        ("s3:PutObject", "<QuarantineBucket.Arn>/quarantine/replica_writer/*", None),
        ("logs:CreateLogStream", "<ReplicaWriterLogGroup.Arn>", None),
        ("logs:PutLogEvents", "<ReplicaWriterLogGroup.Arn>", None),
    }
)
READ_SOURCE = (
    "dynamodb:BatchGetItem",
    f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/Employee",
    None,
)
# The only wildcards in a resource, and why each is there.
WILDCARDS = {
    "<QuarantineBucket.Arn>/aws/lambda/*": "Lambda chooses the names of failed batches",
    "<QuarantineBucket.Arn>/quarantine/history_writer/*": "an object for each record",
    "<QuarantineBucket.Arn>/quarantine/replica_writer/*": "an object for each record",
    "<OverflowBucket.Arn>/overflow/*": "an object for each content",
    f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/Employee/stream/*": "ListStreams names no stream",
}


def _properties(case, resource):
    return deployed(case).resources[resource]["Properties"]


def _as_list(value):
    return value if isinstance(value, list) else [value]


def _granted(case, role):
    """What a role allows, as a set of (action, resource, condition)."""
    granted = set()
    properties = _properties(case, role)
    assert "ManagedPolicyArns" not in properties
    for policy in properties["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Allow"
            assert not statement.keys() & {"NotAction", "NotResource"}
            condition = json.dumps(statement["Condition"]) if "Condition" in statement else None
            granted |= {
                (action, resource, condition)
                for action in _as_list(statement["Action"])
                for resource in _as_list(statement["Resource"])
            }
    return granted


class _Recorder(dict):
    """An environment that remembers the names it was asked for."""

    def __init__(self):
        super().__init__()
        self.asked = set()

    def get(self, name, default=None):
        self.asked.add(name)
        return "1" if name == "TIME_SHARDS" else "true" if name == "SETTLE" else default or "x"


# ---- IAM -----------------------------------------------------------------------------------


def test_history_role_grants_exactly_the_listed():
    """The history writer may insert rows and compare digests, and nothing beyond the table."""
    assert _granted("plain", "HistoryWriterRole") == HISTORY_ROLE


@pytest.mark.parametrize("case", CASES)
def test_history_writer_can_rewrite_nothing(case):
    """FACTS 9.55: no case gives the writer a right to change or remove an item of any table."""
    reads_stream = {action for action, _, _ in STREAM_READS}

    on_tables = {
        (action, resource)
        for action, resource, _ in _granted(case, "HistoryWriterRole")
        if action.startswith("dynamodb:") and action not in reads_stream
    }

    assert on_tables == {
        ("dynamodb:PartiQLInsert", "<HistoryTable.Arn>"),
        ("dynamodb:BatchGetItem", "<HistoryTable.Arn>"),
    }


@pytest.mark.parametrize("case", CASES)
def test_history_table_is_touched_by_the_history_writer_alone(case):
    """The replica writer has no right on the history table or the overflow bucket."""
    resources = {resource for _, resource, _ in _granted(case, "ReplicaWriterRole")}

    assert [one for one in resources if "History" in one or "Overflow" in one] == []


@pytest.mark.parametrize(
    ("case", "more"),
    [
        (
            "plain",
            {
                READ_SOURCE,
                (
                    "dynamodb:BatchWriteItem",
                    f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/<ReplicaTable>",
                    None,
                ),
            },
        ),
        (
            "elsewhere",
            {
                READ_SOURCE,
                (
                    "dynamodb:BatchWriteItem",
                    f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/Standby",
                    None,
                ),
            },
        ),
        (
            "other account",
            {("sts:AssumeRole", ROLE, None), ("kms:Decrypt", KEY, None)},
        ),
    ],
)
def test_replica_role_grants_exactly_the_listed(case, more):
    """The replica writer may write the one replica, read the one source, or assume the one role."""
    assert _granted(case, "ReplicaWriterRole") == REPLICA_BASE | more


def test_customer_key_is_granted_to_both_and_only_when_given():
    """Each role may decrypt with the source's key when there is one, and with no key otherwise."""
    for writer in WRITERS:
        with_key = _granted("other account", f"{writer}Role")
        without = _granted("plain", f"{writer}Role")

        assert ("kms:Decrypt", KEY, None) in with_key
        assert not any(action.startswith("kms:") for action, _, _ in without)


def test_sample_table_grants_its_own_stream():
    """With a sample source both roles read the sample's stream and no other."""
    for writer in WRITERS:
        granted = _granted("sample", f"{writer}Role")

        streams = {resource for action, resource, _ in granted if action == "dynamodb:GetRecords"}
        assert streams == {"<SampleSourceTable.StreamArn>"}


@pytest.mark.parametrize("case", CASES)
def test_no_wildcard_without_a_reason(case):
    """No action holds a wildcard, and a resource only where the list above says why."""
    roles = [
        name
        for name, resource in deployed(case).resources.items()
        if resource["Type"] == "AWS::IAM::Role"
    ]

    assert sorted(roles) == [f"{writer}Role" for writer in WRITERS]
    for role in roles:
        for action, resource, _ in _granted(case, role):
            assert "*" not in action
            assert "*" not in resource or resource in WILDCARDS


def test_only_lambda_may_assume_the_roles():
    """The roles trust the Lambda service and nobody else."""
    for writer in WRITERS:
        trust = _properties("plain", f"{writer}Role")["AssumeRolePolicyDocument"]["Statement"]

        assert trust == [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ]


# ---- Event source mappings -----------------------------------------------------------------


@pytest.mark.parametrize("writer", WRITERS)
def test_mapping_drops_nothing(writer):
    """A mapping starts at the oldest record, filters none, and retries until the age, then S3."""
    mapping = _properties("plain", f"{writer}Mapping")

    assert mapping == {
        "FunctionName": f"<{writer}Function>",
        "EventSourceArn": STREAM,
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": 100,
        "MaximumBatchingWindowInSeconds": 0,
        "ParallelizationFactor": 2,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "BisectBatchOnFunctionError": True,
        "MaximumRetryAttempts": -1,
        "MaximumRecordAgeInSeconds": 43200,
        "DestinationConfig": {"OnFailure": {"Destination": "<QuarantineBucket.Arn>"}},
    }


def test_only_these_two_mappings_read_the_stream():
    """Two readers are all that a shard allows, so the template has no third mapping."""
    resources = deployed("plain").resources

    mappings = [
        name for name, one in resources.items() if one["Type"] == "AWS::Lambda::EventSourceMapping"
    ]
    assert sorted(mappings) == [f"{writer}Mapping" for writer in WRITERS]


def test_record_age_ends_before_the_stream_forgets():
    """No value of the age parameter, nor infinity, outlasts the 24 hours of a stream."""
    age = load("template.yaml")["Parameters"]["MaximumRecordAgeInSeconds"]

    assert age["Default"] == 12 * 3600
    assert 0 < age["MinValue"] < age["MaxValue"] < 24 * 3600


# ---- Functions and layer -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("writer", "package"),
    [("HistoryWriter", "history_writer"), ("ReplicaWriter", "replica_writer")],
)
def test_function_runs_its_handler_on_the_layer(writer, package):
    """A function is Python 3.13 on arm64, with its own handler, role and log, over the layer."""
    function = _properties("plain", f"{writer}Function")

    assert function["Runtime"] == "python3.13"
    assert function["Architectures"] == ["arm64"]
    assert function["Handler"] == f"{package}.app.handler"
    assert function["Role"] == f"<{writer}Role.Arn>"
    assert function["LoggingConfig"] == {"LogGroup": f"<{writer}LogGroup>"}
    (layer,) = function["Layers"]
    assert deployed("plain").resources[layer.strip("<>")]["Type"] == "AWS::Lambda::LayerVersion"


def test_layer_is_for_the_runtime_of_the_functions():
    """There is one layer, and it declares the functions' runtime and processor."""
    layers = [
        one["Properties"]
        for one in deployed("plain").resources.values()
        if one["Type"] == "AWS::Lambda::LayerVersion"
    ]

    (layer,) = layers
    assert layer["CompatibleRuntimes"] == ["python3.13"]
    assert layer["CompatibleArchitectures"] == ["arm64"]


def test_there_are_no_functions_but_the_two():
    """The template deploys the two writers and no other function."""
    functions = [
        name
        for name, one in deployed("plain").resources.items()
        if one["Type"] == "AWS::Lambda::Function"
    ]

    assert sorted(functions) == sorted(FUNCTIONS)


@pytest.mark.parametrize(
    ("function", "settings"),
    [("HistoryWriterFunction", HistorySettings), ("ReplicaWriterFunction", ReplicaSettings)],
)
def test_environment_is_what_the_settings_read(function, settings):
    """A function gets every variable its settings read, and of its own none that they do not."""
    environment = _Recorder()
    settings.read(environment)

    given = _properties("plain", function)["Environment"]["Variables"]

    own = {name for name in given if not name.startswith("POWERTOOLS_") and name != "LOG_LEVEL"}
    # Lambda itself sets the region; a template may not.
    assert own == environment.asked - {"AWS_REGION"}
    assert {"POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_SERVICE_NAME", "LOG_LEVEL"} <= given.keys()


@pytest.mark.parametrize("case", CASES)
def test_deployed_environment_satisfies_the_settings(case):
    """Each writer's own settings accept the values that its function is given, in every case."""
    for function, settings in zip(FUNCTIONS, (HistorySettings, ReplicaSettings), strict=True):
        variables = _properties(case, function)["Environment"]["Variables"]

        settings.read({name: str(value) for name, value in variables.items()})


@pytest.mark.parametrize(
    ("case", "table", "region", "role", "settle"),
    [
        ("plain", "<ReplicaTable>", REGION, "", True),
        ("elsewhere", "Standby", "eu-west-1", "", True),
        ("other account", "Standby", "eu-west-1", ROLE, False),
    ],
)
def test_replica_is_where_the_parameters_say(case, table, region, role, settle):
    """The replica writer is pointed at the created table, or at the named one where it is."""
    variables = _properties(case, "ReplicaWriterFunction")["Environment"]["Variables"]

    settings = ReplicaSettings.read(variables)

    assert (settings.source_table, settings.replica_table) == ("Employee", table)
    assert (settings.replica_region, settings.replica_role_arn) == (region, role)
    assert settings.settle is settle


def test_services_do_not_share_a_name():
    """The two writers' logs and metrics can be told apart."""
    names = {
        _properties("plain", one)["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
        for one in FUNCTIONS
    }

    assert len(names) == len(FUNCTIONS)


def test_function_has_time_for_more_than_one_request():
    """The least time limit leaves room for one slow request, its connection and the margin."""
    timeout = load("template.yaml")["Parameters"]["Timeout"]

    # stream_core.clients: 3 s to connect and 10 s to read; stream_core.retry: 5 s of margin.
    assert timeout["MinValue"] >= 3 + 10 + 5
    assert timeout["MinValue"] <= timeout["Default"] <= timeout["MaxValue"] <= 900


# ---- Tables and buckets --------------------------------------------------------------------


def test_history_table_keys_and_index():
    """Rows are found by item and time, and through `ByTime` by hour with who and when alone."""
    table = _properties("plain", "HistoryTable")

    sort_key = {"AttributeName": "ApproximateCreationDateTime", "KeyType": "RANGE"}
    assert table["KeySchema"] == [{"AttributeName": "Id", "KeyType": "HASH"}, sort_key]
    assert table["GlobalSecondaryIndexes"] == [
        {
            "IndexName": "ByTime",
            "KeySchema": [{"AttributeName": "TimeBucket", "KeyType": "HASH"}, sort_key],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["EventName"]},
        }
    ]
    assert {
        one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]
    } == {
        "Id": "S",
        "ApproximateCreationDateTime": "S",
        "TimeBucket": "S",
    }
    assert table["BillingMode"] == "PAY_PER_REQUEST"


@pytest.mark.parametrize("table", ["HistoryTable", "ReplicaTable"])
def test_table_is_hard_to_lose(table):
    """The table outlives its stack, refuses deletion, and can be restored to any second."""
    resource = deployed("plain").resources[table]

    assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"
    assert resource["Properties"]["DeletionProtectionEnabled"] is True
    assert resource["Properties"]["PointInTimeRecoverySpecification"] == {
        "PointInTimeRecoveryEnabled": True
    }
    assert resource["Properties"]["SSESpecification"] == {"SSEEnabled": True}
    # Expiry is no user call: nothing could refuse it.
    assert "TimeToLiveSpecification" not in resource["Properties"]


@pytest.mark.parametrize("bucket", BUCKETS)
def test_bucket_is_private_versioned_and_kept(bucket):
    """A bucket outlives its stack, keeps every version, expires nothing and is open to nobody."""
    resource = deployed("plain").resources[bucket]

    assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"
    properties = resource["Properties"]
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert "LifecycleConfiguration" not in properties
    assert properties["OwnershipControls"] == {
        "Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]
    }
    assert properties["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "BlockPublicPolicy": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True,
    }


@pytest.mark.parametrize("bucket", BUCKETS)
def test_bucket_answers_over_tls_only(bucket):
    """A bucket's one policy statement denies everything to everybody who comes without TLS."""
    policy = _properties("plain", f"{bucket}Policy")

    assert policy["Bucket"] == f"<{bucket}>"
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement == {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"<{bucket}.Arn>", f"<{bucket}.Arn>/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def test_sample_table_streams_both_images_and_goes_with_the_stack():
    """The sample source exists only when asked for, and its stream carries both images."""
    sample = deployed("sample").resources["SampleSourceTable"]

    assert "SampleSourceTable" not in deployed("plain").resources
    assert sample["DeletionPolicy"] == "Delete"
    assert sample["Properties"]["TableName"] == "Employee"
    assert sample["Properties"]["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}


def test_named_replica_is_not_created():
    """A replica that exists already is not created a second time."""
    assert "ReplicaTable" in deployed("plain").resources
    assert "ReplicaTable" not in deployed("elsewhere").resources


@pytest.mark.parametrize("writer", WRITERS)
def test_log_is_kept_for_a_set_time(writer):
    """A function's log group carries its name and a retention."""
    group = _properties("plain", f"{writer}LogGroup")

    function = _properties("plain", f"{writer}Function")
    assert group["LogGroupName"] == f"/aws/lambda/{function['FunctionName']}"
    assert group["RetentionInDays"] == 90


@pytest.mark.parametrize("writer", WRITERS)
def test_alarm_sounds_long_before_a_record_is_given_up(writer):
    """A consumer an hour behind raises an alarm, whose topic is told when there is one."""
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"
    told = Evaluation(transformed(), PLAIN | {"AlarmTopicArn": topic}).resources
    alarm = _properties("plain", f"{writer}LagAlarm")

    assert alarm["MetricName"] == "IteratorAge"
    assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": f"<{writer}Function>"}]
    assert alarm["Threshold"] / 1000 < 43200
    assert "AlarmActions" not in alarm
    assert told[f"{writer}LagAlarm"]["Properties"]["AlarmActions"] == [topic]


# ---- Parameters, rules, outputs ------------------------------------------------------------


@pytest.mark.parametrize("name", ["template.yaml", "replica.yaml"])
def test_every_parameter_is_explained_and_grouped(name):
    """Every parameter has a description and a place in the console's form."""
    template = load(name)
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    listed = [one for group in groups for one in group["Parameters"]]

    assert sorted(listed) == sorted(template["Parameters"])
    for parameter in template["Parameters"].values():
        assert parameter["Description"].strip()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"SourceTableName": "Employee"}, "Give SourceStreamArn"),
        (SAMPLE | {"SourceStreamArn": STREAM}, "Leave SourceStreamArn empty"),
        (PLAIN | {"ReplicaRegion": "eu-west-1"}, "Name the replica"),
        (PLAIN | {"ReplicaRoleArn": ROLE}, "Name the replica"),
        (PLAIN | {"ReplicaTableName": "Employee"}, "is the source table itself"),
    ],
)
def test_impossible_parameters_are_refused(given, told):
    """Parameters that could not work are refused before anything is created, with what to do."""
    refused = Evaluation(transformed(), given).refused_by()

    assert len(refused) == 1
    assert told in refused[0]


@pytest.mark.parametrize(
    "given",
    [*CASES.values(), ELSEWHERE | {"ReplicaTableName": "Employee"}],
    ids=[*CASES, "same name elsewhere"],
)
def test_possible_parameters_are_not_refused(given):
    """Every way to deploy passes the rules, a replica of the same name in another region too."""
    assert Evaluation(transformed(), given).refused_by() == []


@pytest.mark.parametrize(
    ("parameter", "good", "bad"),
    [
        ("SourceStreamArn", ["", STREAM], ["Employee", STREAM.rpartition("/stream/")[0]]),
        ("SourceTableName", ["Employee", "a.b-c_d"], ["", "x", STREAM]),
        ("SourceKmsKeyArn", ["", KEY], [KEY.replace("key/", "alias/")]),
        ("ReplicaRoleArn", ["", ROLE], ["replica"]),
        ("ReplicaRegion", ["", "eu-west-1", "us-gov-east-1"], ["Ireland", "eu-west"]),
        ("AlarmTopicArn", ["", "arn:aws:sns:eu-west-1:111122223333:x"], ["x"]),
    ],
)
def test_parameter_patterns(parameter, good, bad):
    """A parameter takes what it is for and refuses what is easily mistaken for it."""
    pattern = re.compile(load("template.yaml")["Parameters"][parameter]["AllowedPattern"])

    assert [one for one in good if not pattern.fullmatch(one)] == []
    assert [one for one in bad if pattern.fullmatch(one)] == []


def test_outputs_name_what_the_command_line_looks_for():
    """The outputs name the tables, buckets, functions and mappings that were deployed."""
    assert deployed("plain").outputs == {
        "SourceTableName": "Employee",
        "SourceStreamArn": STREAM,
        "HistoryTableName": "<HistoryTable>",
        "ReplicaTableName": "<ReplicaTable>",
        "ReplicaRegion": REGION,
        "OverflowBucketName": "<OverflowBucket>",
        "QuarantineBucketName": "<QuarantineBucket>",
        "TimeShards": 4,
        "HistoryWriterFunctionName": "<HistoryWriterFunction>",
        "ReplicaWriterFunctionName": "<ReplicaWriterFunction>",
        "HistoryWriterMappingId": "<HistoryWriterMapping>",
        "ReplicaWriterMappingId": "<ReplicaWriterMapping>",
    }
    assert deployed("elsewhere").outputs["ReplicaTableName"] == "Standby"
    assert deployed("elsewhere").outputs["ReplicaRegion"] == "eu-west-1"


# ---- replica.yaml --------------------------------------------------------------------------


def test_replica_template_holds_one_well_kept_table():
    """`replica.yaml` creates the replica table that `template.yaml` would, and nothing else."""
    elsewhere = Evaluation(load("replica.yaml"), {})

    (name,) = elsewhere.resources
    here = deployed("plain").resources["ReplicaTable"]
    table = elsewhere.resources[name]
    assert table["Properties"].pop("DeletionProtectionEnabled") == "true"
    assert here["Properties"]["DeletionProtectionEnabled"] is True
    assert {
        key: value for key, value in here["Properties"].items() if key in table["Properties"]
    } == (table["Properties"])
    assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == "Retain"


def test_replica_template_takes_a_name_and_a_composite_key():
    """The table in another region can have its own name and the source's composite key."""
    given = {
        "TableName": "Standby",
        "PartitionKeyName": "Artist",
        "PartitionKeyType": "S",
        "SortKeyName": "Year",
        "SortKeyType": "N",
    }

    replica = Evaluation(load("replica.yaml"), given)

    properties = replica.resources["ReplicaTable"]["Properties"]
    assert properties["TableName"] == "Standby"
    assert properties["KeySchema"] == [
        {"AttributeName": "Artist", "KeyType": "HASH"},
        {"AttributeName": "Year", "KeyType": "RANGE"},
    ]
    assert properties["AttributeDefinitions"] == [
        {"AttributeName": "Artist", "AttributeType": "S"},
        {"AttributeName": "Year", "AttributeType": "N"},
    ]
    assert replica.outputs["ReplicaTableName"] == "<ReplicaTable>"
    assert replica.outputs["ReplicaTableArn"] == "<ReplicaTable.Arn>"


def test_both_templates_take_the_same_key():
    """The key parameters and their defaults are the same in both templates."""
    names = ("PartitionKeyName", "PartitionKeyType", "SortKeyName", "SortKeyType")
    main, replica = load("template.yaml")["Parameters"], load("replica.yaml")["Parameters"]

    for name in names:
        same = ("Type", "Default", "AllowedPattern", "AllowedValues")
        assert {one: main[name].get(one) for one in same} == {
            one: replica[name].get(one) for one in same
        }
