"""What the template deploys, held against written lists: functions, mappings, names, outputs.

Roles, storage, parameters and what is watched have modules of their own beside this one.
"""

import re

import pytest

from history_writer.settings import HistorySettings
from itemtrail.local.local_stack import EMULATED
from replica_writer.settings import ReplicaSettings
from stream_core.clients import CONNECT_TIMEOUT_S, READ_TIMEOUT_S
from tests.locks import layer_versions
from tests.templates import (
    CASES,
    FAR,
    FUNCTIONS,
    OWN_KEY,
    PLAIN,
    REGION,
    REPOSITORY,
    ROLE,
    STREAM,
    TOPIC,
    Evaluation,
    deployed,
    load,
    transformed,
)

WRITERS = ("HistoryWriter", "ReplicaWriter")
BOTH = [one for one in CASES if one not in ("history", "replica")]


def _properties(case, resource):
    return deployed(case).properties(resource)


_VALUES = {
    "TIME_SHARDS": "1",
    "SETTLE": "true",
    "SOURCE_TABLE_ARN": "arn:aws:dynamodb:eu-west-1:123456789012:table/xyz",
    "SOURCE_TABLE": "xyz",
}


class _Recorder(dict):
    """An environment that remembers the names it was asked for."""

    def __init__(self):
        super().__init__()
        self.asked = set()

    def get(self, name, default=None):
        self.asked.add(name)
        return _VALUES.get(name, default or "x")


# ---- References ----------------------------------------------------------------------------


def _small_template(node, *, exists):
    """A template with one conditional resource, and a node that may refer to it."""
    return {
        "Parameters": {},
        "Conditions": {"Exists": {"Fn::Equals": [1, 1 if exists else 2]}},
        "Resources": {
            "Table": {"Type": "AWS::DynamoDB::Table", "Condition": "Exists", "Properties": {}},
            "Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"Text": node}},
        },
        "Outputs": {},
    }


@pytest.mark.parametrize(
    ("node", "value"),
    [
        ({"Ref": "Table"}, "<Table>"),
        ({"Fn::GetAtt": ["Table", "Arn"]}, "<Table.Arn>"),
        ({"Fn::Sub": "of ${Table.Arn}"}, "of <Table.Arn>"),
        ({"Fn::Sub": ["of ${Other}", {"Other": {"Ref": "Table"}}]}, "of <Table>"),
        ({"Fn::Join": [", ", [{"Ref": "Table"}, {"Ref": "AWS::NoValue"}]]}, "<Table>"),
    ],
)
def test_reference_to_what_does_not_exist_is_an_error(node, value):
    """The evaluation that these tests rest on sees what CloudFormation would stumble over."""
    there = Evaluation(_small_template(node, exists=True), {})
    assert there.properties("Alarm")["Text"] == value

    with pytest.raises(AssertionError, match="Table is referred to"):
        Evaluation(_small_template(node, exists=False), {})


@pytest.mark.parametrize("consumers", ["both", "history", "replica"])
@pytest.mark.parametrize("case", BOTH)
def test_every_reference_is_to_a_resource_that_exists(case, consumers):
    """In every combination of consumers and other parameters, nothing refers to what is absent."""
    evaluation = Evaluation(transformed(), CASES[case] | {"Consumers": consumers})

    assert evaluation.refused_by() == []
    assert ("HistoryTableName" in evaluation.outputs) == (consumers != "replica")
    assert ("ReplicaTableName" in evaluation.outputs) == (consumers != "history")


@pytest.mark.parametrize("consumers", ["both", "history", "replica"])
def test_without_the_stream_followed_only_what_is_about_mappings_goes(consumers):
    """Tables, buckets, functions, roles and the other alarms stay, and nothing refers to them."""
    given = PLAIN | {"Consumers": consumers}
    whole = Evaluation(transformed(), given)
    without = Evaluation(transformed(), given | {"FollowStream": "false"})

    gone = {
        name: one["Type"] for name, one in whole.resources.items() if name not in without.resources
    }
    kinds = {"AWS::Lambda::EventSourceMapping", "AWS::CloudWatch::Alarm"}
    kinds |= {"AWS::CloudWatch::Dashboard", "AWS::Logs::QueryDefinition"}
    assert set(gone.values()) == kinds
    assert {name for name in gone if name.endswith("Mapping")} == {
        f"{writer}Mapping"
        for writer, other in (("HistoryWriter", "replica"), ("ReplicaWriter", "history"))
        if consumers != other
    }
    assert without.resources.keys() < whole.resources.keys()
    # IAM refuses a statement about no resource.
    (policy,) = without.properties("ReportReaderRole")["Policies"]
    assert all(one["Resource"] for one in policy["PolicyDocument"]["Statement"])


# ---- Which resources and outputs there are -------------------------------------------------

ALWAYS = {"QuarantineBucket", "QuarantineBucketPolicy", "ReportReaderRole", "StreamCoreLayer"}
KEYS = {"TrailKey", "TrailKeyAlias"}
TOPICS = {"AlarmTopic"}
DASHBOARD = {"WatchingDashboard", "FailingBatchesQuery", "FailedInvocationsQuery", "LagQuery"}
DASHBOARD |= {"KeptAsideQuery", "MemoryQuery"}
HISTORY = {
    "HistoryTable",
    "OverflowBucket",
    "OverflowBucketPolicy",
    "HistoryWriterFunction",
    "HistoryWriterRole",
    "HistoryWriterLogGroup",
    "HistoryWriterMapping",
    "HistoryWriterLagAlarm",
    "HistoryStalledAlarm",
    "HistoryWriterErrorsAlarm",
    "HistoryWriterThrottlesAlarm",
    "HistoryQuarantineAlarm",
    "HistoryUnstoredAlarm",
    "DigestConflictAlarm",
    "HistoryFailedBatchesAlarm",
    "HistoryLostBatchesAlarm",
    "HistoryUndeliveredBatchesAlarm",
}
REPLICA = {
    "ReplicaWriterFunction",
    "ReplicaWriterRole",
    "ReplicaWriterLogGroup",
    "ReplicaWriterMapping",
    "ReplicaLagAlarm",
    "ReplicaWriterLagAlarm",
    "ReplicaStalledAlarm",
    "ReplicaUnstoredAlarm",
    "ReplicaWriterErrorsAlarm",
    "ReplicaWriterThrottlesAlarm",
    "ReplicaQuarantineAlarm",
    "ReplicaFailedBatchesAlarm",
    "ReplicaLostBatchesAlarm",
    "ReplicaUndeliveredBatchesAlarm",
}
LOOK = {
    "SecondLookQueue",
    "SecondLookFailedQueue",
    "SecondLookFunction",
    "SecondLookRole",
    "SecondLookLogGroup",
    "SecondLookMapping",
    "SecondLookFailedAlarm",
    "SecondLookLateAlarm",
}
CREATED = {"ReplicaTable"}
COMMON = ALWAYS | KEYS | TOPICS | DASHBOARD
RESOURCES = {
    "plain": COMMON | HISTORY | REPLICA | LOOK | CREATED,
    "sample": COMMON | HISTORY | REPLICA | LOOK | CREATED | {"SampleSourceTable"},
    "elsewhere": COMMON | HISTORY | REPLICA | LOOK,
    "replica key": COMMON | HISTORY | REPLICA | LOOK,
    "other account": COMMON | HISTORY | REPLICA,
    "history": COMMON | HISTORY,
    "replica": COMMON | REPLICA | LOOK | CREATED,
    "every option": ALWAYS | HISTORY | REPLICA | LOOK | CREATED,
}


@pytest.mark.parametrize("case", CASES)
def test_resources_are_exactly_the_listed(case):
    """Each case deploys its list of resources: one consumer brings nothing of the other."""
    # SAM appends a digest of the content to the name of a layer.
    there = {re.sub(r"(?<=Layer)\w{10}$", "", name) for name in deployed(case).resources}

    assert there == RESOURCES[case]


def test_emulators_are_spared_what_they_do_not_know():
    """For an emulator all is deployed but for what it would refuse."""
    on_aws = Evaluation(transformed(), PLAIN)
    emulated = Evaluation(transformed(), PLAIN | EMULATED)

    left_out = on_aws.resources.keys() - emulated.resources.keys()
    assert left_out == DASHBOARD | {"HistoryStalledAlarm", "ReplicaStalledAlarm"}
    assert on_aws.outputs.keys() - emulated.outputs.keys() == {"DashboardUrl"}


OUTPUTS = {
    "LayerVersions": layer_versions(),
    "SourceTableName": "Employee",
    "SourceStreamArn": STREAM,
    "QuarantineBucketName": "<QuarantineBucket>",
    "KmsKeyArn": "<TrailKey.Arn>",
    "AlarmTopicArn": "<AlarmTopic>",
    "ReportReaderRoleArn": "<ReportReaderRole.Arn>",
    "DashboardUrl": (
        f"https://console.aws.amazon.com/cloudwatch/home?region={REGION}"
        "#dashboards:name=<WatchingDashboard>"
    ),
    "Emulator": "false",
}
HISTORY_OUTPUTS = {
    "HistoryTableName": "<HistoryTable>",
    "OverflowBucketName": "<OverflowBucket>",
    "TimeShards": 4,
    "HistoryWriterFunctionName": "<HistoryWriterFunction>",
    "HistoryWriterMappingId": "<HistoryWriterMapping>",
}
REPLICA_OUTPUTS = {
    "ReplicaTableName": "<ReplicaTable>",
    "ReplicaRegion": REGION,
    "ReplicaWriterFunctionName": "<ReplicaWriterFunction>",
    "ReplicaWriterMappingId": "<ReplicaWriterMapping>",
    "SecondLookQueueUrl": "<SecondLookQueue>",
}
NAMED = REPLICA_OUTPUTS | {"ReplicaTableName": "Standby", "ReplicaRegion": FAR}


@pytest.mark.parametrize(
    ("case", "outputs"),
    [
        ("plain", OUTPUTS | HISTORY_OUTPUTS | REPLICA_OUTPUTS),
        ("history", OUTPUTS | HISTORY_OUTPUTS),
        ("replica", OUTPUTS | REPLICA_OUTPUTS),
        ("elsewhere", OUTPUTS | HISTORY_OUTPUTS | NAMED),
        (
            "sample",
            OUTPUTS
            | HISTORY_OUTPUTS
            | REPLICA_OUTPUTS
            | {"SourceStreamArn": "<SampleSourceTable.StreamArn>"},
        ),
        (
            "every option",
            {name: value for name, value in OUTPUTS.items() if name != "DashboardUrl"}
            | HISTORY_OUTPUTS
            | REPLICA_OUTPUTS
            | {"KmsKeyArn": OWN_KEY, "AlarmTopicArn": TOPIC},
        ),
    ],
)
def test_outputs_name_what_the_command_line_looks_for(case, outputs):
    """The outputs name the tables, buckets, functions and mappings that were deployed."""
    assert deployed(case).outputs == outputs


@pytest.mark.parametrize(
    ("partition", "console"),
    [
        ("aws", "console.aws.amazon.com"),
        ("aws-cn", "console.amazonaws.cn"),
        ("aws-us-gov", "console.amazonaws-us-gov.com"),
        ("aws-iso", None),
    ],
)
def test_the_dashboard_is_in_the_console_of_its_partition(partition, console):
    """Each partition has a console of its own; of one that is not known none is told."""
    outputs = Evaluation(transformed(), PLAIN, partition=partition).outputs

    if console is None:
        assert "DashboardUrl" not in outputs
    else:
        assert outputs["DashboardUrl"].startswith(f"https://{console}/cloudwatch/home?region=")


def test_outputs_are_explained():
    """Every output says what it is."""
    for output in load("template.yaml")["Outputs"].values():
        assert output["Description"].strip()


# ---- Event source mappings -----------------------------------------------------------------


@pytest.mark.parametrize("writer", WRITERS)
def test_mapping_drops_nothing(writer):
    """A mapping starts at the oldest record, filters none, and retries until the age, then S3."""
    assert _properties("plain", f"{writer}Mapping") == {
        "FunctionName": f"<{writer}Function>",
        "EventSourceArn": STREAM,
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": 100,
        "MaximumBatchingWindowInSeconds": 0,
        "ParallelizationFactor": 1,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "BisectBatchOnFunctionError": True,
        "MaximumRetryAttempts": -1,
        "MaximumRecordAgeInSeconds": 43200,
        "DestinationConfig": {"OnFailure": {"Destination": "<QuarantineBucket.Arn>"}},
        "MetricsConfig": {"Metrics": ["EventCount"]},
    }


def test_mapping_reads_as_the_parameters_say():
    """Both mappings take batch size, window, parallelism and age from the parameters."""
    given = {
        "BatchSize": 1000,
        "MaximumBatchingWindowInSeconds": 2,
        "ParallelizationFactor": 10,
        "MaximumRecordAgeInSeconds": 3600,
    }

    evaluation = Evaluation(transformed(), PLAIN | given)

    for writer in WRITERS:
        assert given.items() <= evaluation.properties(f"{writer}Mapping").items()


@pytest.mark.parametrize("case", CASES)
def test_at_most_two_mappings_read_the_stream(case):
    """Two readers are all that a shard allows: each deployed consumer has one, and no one else."""
    readers = dict(deployed(case).of_type("AWS::Lambda::EventSourceMapping"))
    functions = dict(deployed(case).of_type("AWS::Lambda::Function"))
    # It reads a queue.
    readers.pop("SecondLookMapping", None)
    functions.pop("SecondLookFunction", None)

    assert sorted(readers) == sorted(name.replace("Function", "Mapping") for name in functions)
    streams = {one["Properties"]["EventSourceArn"] for one in readers.values()}
    assert streams == {deployed(case).outputs["SourceStreamArn"]}


def test_record_age_ends_before_the_stream_forgets():
    """No value of the age parameter, nor infinity, outlasts the 24 hours of a stream."""
    age = load("template.yaml")["Parameters"]["MaximumRecordAgeInSeconds"]

    assert 0 < age["MinValue"] < age["MaxValue"] < 24 * 3600


# ---- Functions and layer -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("writer", "package"),
    [("HistoryWriter", "history_writer"), ("ReplicaWriter", "replica_writer")],
)
def test_function_runs_its_handler_on_the_layer(writer, package):
    """A function is Python 3.14 on arm64, with its own handler, role and log, over the layer."""
    function = _properties("plain", f"{writer}Function")

    assert function["Runtime"] == "python3.14"
    assert function["Architectures"] == ["arm64"]
    assert function["Handler"] == f"{package}.app.handler"
    assert function["Role"] == f"<{writer}Role.Arn>"
    assert function["LoggingConfig"] == {"LogGroup": f"<{writer}LogGroup>"}
    assert (function["MemorySize"], function["Timeout"]) == (256, 60)
    (layer,) = function["Layers"]
    assert layer.strip("<>") in deployed("plain").of_type("AWS::Lambda::LayerVersion")


def test_layer_is_for_the_runtime_of_the_functions():
    """There is one layer, and it declares the functions' runtime and processor."""
    (layer,) = deployed("plain").of_type("AWS::Lambda::LayerVersion").values()

    assert layer["Properties"]["CompatibleRuntimes"] == ["python3.14"]
    assert layer["Properties"]["CompatibleArchitectures"] == ["arm64"]


def test_layer_is_built_for_the_runtime_of_the_functions():
    """Its wheels are of the Python and the processor that the functions run on."""
    (layer,) = deployed("plain").of_type("AWS::Lambda::LayerVersion").values()
    (runtime,) = layer["Properties"]["CompatibleRuntimes"]
    makefile = (REPOSITORY / "stream_core/Makefile").read_text("utf-8")

    (version,) = re.findall(r"--python-version (\S+)", makefile)
    assert f"python{version}" == runtime
    (platform,) = re.findall(r"--platform (\S+)", makefile)
    assert platform.endswith("_aarch64")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_concurrency_is_reserved_only_when_asked_for(function):
    """By default a function takes of the account's concurrency what it needs."""
    assert "ReservedConcurrentExecutions" not in _properties("plain", function)
    assert _properties("every option", function)["ReservedConcurrentExecutions"] == 5


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
    satisfied = 0
    for function, settings in zip(FUNCTIONS, (HistorySettings, ReplicaSettings), strict=True):
        if function in deployed(case).resources:
            variables = _properties(case, function)["Environment"]["Variables"]
            settings.read({name: str(value) for name, value in variables.items()})
            satisfied += 1

    assert satisfied == (2 if case in BOTH else 1)


@pytest.mark.parametrize(
    ("case", "table", "region", "role", "settle"),
    [
        ("plain", "<ReplicaTable>", REGION, "", True),
        ("replica", "<ReplicaTable>", REGION, "", True),
        ("elsewhere", "Standby", FAR, "", True),
        ("other account", "Standby", FAR, ROLE, False),
    ],
)
def test_replica_is_where_the_parameters_say(case, table, region, role, settle):
    """The replica writer is pointed at the created table, or at the named one where it is."""
    variables = _properties(case, "ReplicaWriterFunction")["Environment"]["Variables"]

    settings = ReplicaSettings.read(variables)

    assert (settings.source_table, settings.replica_table) == ("Employee", table)
    assert (settings.replica_region, settings.replica_role_arn) == (region, role)
    assert settings.settle is settle


@pytest.mark.parametrize(
    ("given", "looks"),
    [
        ({}, True),
        ({"SecondLook": "false"}, False),
        ({"Settle": "false"}, False),
        ({"Consumers": "history"}, False),
    ],
)
def test_second_look_is_there_when_it_is_wanted_and_can_read_the_source(given, looks):
    """Without it the writer announces nothing, and nothing of it is deployed."""
    evaluation = Evaluation(transformed(), PLAIN | given)

    assert LOOK & evaluation.resources.keys() == (LOOK if looks else set())
    if "ReplicaWriterFunction" in evaluation.resources:
        variables = evaluation.properties("ReplicaWriterFunction")["Environment"]["Variables"]
        assert variables["SECOND_LOOK_QUEUE"] == ("<SecondLookQueue>" if looks else "")


def test_second_look_comes_late_and_is_not_forgotten():
    """A message waits for as long as a queue delays, is tried for a day, and kept for four."""
    queue, failed = (_properties("plain", f"SecondLook{one}") for one in ("Queue", "FailedQueue"))
    mapping = _properties("plain", "SecondLookMapping")

    assert queue["DelaySeconds"] == 900
    longest_s = load("template.yaml")["Parameters"]["Timeout"]["MaxValue"]
    assert queue["VisibilityTimeout"] >= longest_s + 16 * 60
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == "<SecondLookFailedQueue.Arn>"
    tried_for_s = queue["VisibilityTimeout"] * queue["RedrivePolicy"]["maxReceiveCount"]
    assert tried_for_s == pytest.approx(24 * 3600, rel=0.02)
    for one in (queue, failed):
        assert tried_for_s < one["MessageRetentionPeriod"] <= 4 * 24 * 3600
        assert one["KmsMasterKeyId"] == "<TrailKey.Arn>"
    assert mapping["FunctionName"] == "<SecondLookFunction>"
    assert mapping["EventSourceArn"] == "<SecondLookQueue.Arn>"
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    # The least that Lambda takes: in an account of 10 the writers need the others.
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 2}


@pytest.mark.parametrize("case", ["plain", "elsewhere", "replica key", "every option"])
def test_second_look_is_at_the_tables_of_the_writer(case):
    """Both functions of the replica get the same settings, and run the same package."""
    writer = _properties(case, "ReplicaWriterFunction")
    look = _properties(case, "SecondLookFunction")

    service = "POWERTOOLS_SERVICE_NAME"
    of_writer, of_look = (one["Environment"]["Variables"] for one in (writer, look))
    assert of_look == of_writer | {service: "trail-second-look"}
    assert ReplicaSettings.read(of_look).second_look_queue == "<SecondLookQueue>"
    assert look["Handler"] == "replica_writer.second_look.handler"
    assert look["Role"] == "<SecondLookRole.Arn>"
    assert look["LoggingConfig"] == {"LogGroup": "<SecondLookLogGroup>"}
    different = {"FunctionName", "Description", "Handler", "Role", "LoggingConfig", "Environment"}
    assert {name: value for name, value in look.items() if name not in different} == {
        name: value for name, value in writer.items() if name not in different
    }


def test_function_has_time_for_more_than_one_request():
    """The least time limit leaves room for one slow request, its connection and the margin."""
    timeout = load("template.yaml")["Parameters"]["Timeout"]

    assert timeout["MinValue"] >= CONNECT_TIMEOUT_S + READ_TIMEOUT_S + 5


@pytest.mark.parametrize("writer", WRITERS)
def test_log_is_kept_for_a_set_time(writer):
    """A function's log group carries its name and a retention."""
    group = _properties("plain", f"{writer}LogGroup")

    function = _properties("plain", f"{writer}Function")
    assert group["LogGroupName"] == f"/aws/lambda/{function['FunctionName']}"
    assert group["RetentionInDays"] == 90


# ---- Names and tags ------------------------------------------------------------------------

NAMES = (
    "AliasName",
    "BucketName",
    "DashboardName",
    "FunctionName",
    "LayerName",
    "LogGroupName",
    "Name",
    "PolicyName",
    "RoleName",
    "TableName",
    "TopicName",
)
# Each service's own limit for what is named after the stack.
LONGEST = {
    "AWS::CloudWatch::Dashboard": 255,
    "AWS::DynamoDB::Table": 255,
    "AWS::KMS::Alias": 256,
    "AWS::Lambda::Function": 64,
    "AWS::Lambda::LayerVersion": 64,
    "AWS::Logs::LogGroup": 512,
    "AWS::Logs::QueryDefinition": 255,
}


def _names(stack, case="plain"):
    """The names that the template gives, by resource; other names AWS makes up itself."""
    evaluation = Evaluation(transformed(), CASES[case], stack=stack)
    return {
        logical: (resource["Type"], resource["Properties"][name])
        for logical, resource in evaluation.resources.items()
        for name in NAMES
        if name in resource["Properties"]
        and resource["Type"] not in ("AWS::Lambda::EventSourceMapping", "AWS::IAM::Role")
    }


def test_stacks_share_no_names():
    """Two stacks side by side give no resource the same name, and nothing shares one within."""
    one, other = _names("one"), _names("other")

    assert len(one) == 16
    assert one.keys() == other.keys()
    assert set(one.values()).isdisjoint(other.values())
    assert len(set(one.values())) == len(one)


def test_stacks_tell_their_metrics_apart():
    """No two functions of any stacks write under one service, the only dimension of metrics."""
    services = [
        Evaluation(transformed(), PLAIN, stack=stack).properties(function)["Environment"][
            "Variables"
        ]["POWERTOOLS_SERVICE_NAME"]
        for stack in ("one", "other")
        for function in FUNCTIONS
    ]

    assert len(set(services)) == 4


def test_stack_name_may_have_49_characters():
    """The README's limit is true: 49 characters of a stack's name fit into all names, 50 do not."""
    fits = {
        length: all(len(name) <= LONGEST[kind] for kind, name in _names("s" * length).values())
        for length in (1, 49, 50)
    }

    assert fits == {1: True, 49: True, 50: False}
    assert "at most 49 characters" in (REPOSITORY / "README.md").read_text("utf-8")


# CloudFormation takes no tags for these, or GovCloud takes none for mappings.
UNTAGGED = {
    "AWS::CloudWatch::Dashboard",
    "AWS::KMS::Alias",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::LayerVersion",
    "AWS::Logs::QueryDefinition",
    "AWS::S3::BucketPolicy",
}


@pytest.mark.parametrize("case", CASES)
def test_everything_is_tagged(case):
    """Whatever takes tags says that it is itemtrail's, and of which table."""
    for name, resource in deployed(case).resources.items():
        if resource["Type"] in UNTAGGED:
            assert "Tags" not in resource["Properties"], name
            continue
        tags = {one["Key"]: one["Value"] for one in resource["Properties"]["Tags"]}
        tags.pop("lambda:createdBy", None)
        assert tags == {"application": "itemtrail", "itemtrail:source-table": "Employee"}, name


# ---- Linters -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["template.yaml", "replica.yaml"])
def test_every_skip_of_a_linter_has_its_reason(name):
    """A check that is skipped says why, beside it."""
    metadata = [one.get("Metadata", {}) for one in load(name)["Resources"].values()]
    skips = [one for each in metadata for one in each.get("checkov", {}).get("skip", [])]
    ignored = [each["cfn-lint"]["config"] for each in metadata if "cfn-lint" in each]

    for skip in skips:
        assert re.fullmatch(r"CKV2?_AWS_\d+", skip["id"])
        assert len(skip["comment"].split()) > 5
    for config in ignored:
        assert config.keys() == {"ignore_checks"}
    # cfn-lint has no place for a reason but a comment.
    lines = (REPOSITORY / name).read_text("utf-8").splitlines()
    places = [i for i, line in enumerate(lines) if "ignore_checks:" in line]
    assert all(lines[i - 1].strip().startswith("# ") for i in places)
    assert bool(places) == bool(ignored) == (name == "template.yaml")


def test_skips_are_exactly_the_listed():
    """A new skip is a decision: it is put into this list as well."""
    skipped = {
        (resource, skip["id"])
        for resource, one in load("template.yaml")["Resources"].items()
        for skip in one.get("Metadata", {}).get("checkov", {}).get("skip", [])
    }

    assert skipped == {
        ("SampleSourceTable", "CKV_AWS_28"),
        ("OverflowBucket", "CKV_AWS_18"),
        ("QuarantineBucket", "CKV_AWS_18"),
        *(
            (one, f"CKV_AWS_{number}")
            for one in (*FUNCTIONS, "SecondLookFunction")
            for number in (115, 116, 117)
        ),
    }
