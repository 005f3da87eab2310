"""What the templates' policies add up to for a request, by the rules of IAM (`tests/iam.py`).

For each role and resource: the set of all actions that are allowed, of everything that the service
knows. So whatever is not in a set is refused, and an administrator may make the same request.
"""

import ast
import json
import re
from functools import cache

import botocore.session
import pytest
from botocore import xform_name

from tests.deployed_policies import (
    ADMINISTRATOR,
    ALL_OF_DYNAMODB,
    EVERYTHING,
    DeployedPolicies,
    actions_of,
    operations_of,
    writes_of,
)
from tests.iam import Decision, Request, decide
from tests.templates import (
    ACCOUNT,
    BREAK_GLASS,
    CASES,
    EVERY_OPTION,
    FAR,
    KEY,
    OTHER,
    OTHER_ACCOUNT,
    OWN_KEY,
    REGION,
    REPLICA_KEY,
    REPOSITORY,
    STACK,
    STREAM,
    Evaluation,
    deployed,
    load,
    transformed,
)

ALLOWED, IMPLICIT_DENY, EXPLICIT_DENY = Decision

# ---- Who asks, and what for ----------------------------------------------------------------

# replica.yaml in the other account, and the main template told of it.
STANDBY = Evaluation(
    load("replica.yaml"),
    {"TableName": "Standby", "SourceAccountId": ACCOUNT},
    stack="standby",
    region=FAR,
    account=OTHER,
    real=True,
)
REPLICA_ROLE = STANDBY.outputs["ReplicaRoleArn"]
ACROSS = Evaluation(transformed(), OTHER_ACCOUNT | {"ReplicaRoleArn": REPLICA_ROLE}, real=True)


@cache
def _world(case):
    if case == "other account":
        return DeployedPolicies(ACROSS, STANDBY)
    return DeployedPolicies(deployed(case, real=True))


def _arn_of(name):
    return DeployedPolicies.arn(deployed("plain", real=True), name)


def _role(name):
    return f"arn:aws:iam::{ACCOUNT}:role/{STACK}-{name}-1A2B3C"


HISTORY_WRITER, REPLICA_WRITER = _role("HistoryWriterRole"), _role("ReplicaWriterRole")
READER = _role("ReportReaderRole")
TABLES = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table"
HISTORY, SOURCE = f"{TABLES}/{STACK}-history", f"{TABLES}/Employee"
REPLICA, OTHER_TABLE = f"{TABLES}/{STACK}-replica", f"{TABLES}/Employees"
FAR_REPLICA = f"arn:aws:dynamodb:{FAR}:{ACCOUNT}:table/Standby"
AWAY_REPLICA = f"arn:aws:dynamodb:{FAR}:{OTHER}:table/Standby"
OVERFLOW, QUARANTINE = _arn_of("OverflowBucket"), _arn_of("QuarantineBucket")
TRAIL_KEY = _arn_of("TrailKey")
LAMBDA = f"arn:aws:lambda:{REGION}:{ACCOUNT}"
FUNCTION = f"{LAMBDA}:function:{STACK}-history-writer"
MAPPING = f"{LAMBDA}:event-source-mapping:{{}}"
MAPPINGS = {
    name: MAPPING.format(deployed("plain", real=True).outputs[f"{name}WriterMappingId"])
    for name in ("History", "Replica")
}
LOGS = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/{STACK}-{{}}-writer:log-stream:a"

# Whose the bucket of that name is by now.
OURS, THEIRS = {"s3:ResourceAccount": ACCOUNT}, {"s3:ResourceAccount": OTHER}
BATCHES = {
    name: f"{QUARANTINE}/aws/lambda/{mapping.rpartition(':')[2]}/shard/batch"
    for name, mapping in MAPPINGS.items()
}
# Of a mapping that is gone, or of an acceptance run.
OTHER_BATCH = f"{QUARANTINE}/aws/lambda/mapping/shard/batch"
READ_WHOLE = {"dynamodb:Select": "ALL_ATTRIBUTES"}
READ_SOME = {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"}
DIGEST = ["Id", "ApproximateCreationDateTime", "Digest"]
READ_DIGEST = READ_SOME | {"dynamodb:Attributes": DIGEST}
READ_IMAGE = READ_SOME | {"dynamodb:Attributes": [*DIGEST, "NewImage"]}
READ_STREAM = {"DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"}
WRITE_LOG = {"CreateLogStream", "PutLogEvents"}
SUFFIXES = {
    partition["outputs"]["dnsSuffix"]
    for partition in botocore.session.get_session().get_data("partitions")["partitions"]
}
USE_KEY = {"Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey"}
USE_KEY |= {"GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo"}


def _via(service, region=REGION, suffix="amazonaws.com"):
    return {"kms:ViaService": f"{service}.{region}.{suffix}"}


# ---- The writers ---------------------------------------------------------------------------

OF_EITHER_WRITER = [
    (STREAM, {}, READ_STREAM),
    (f"{SOURCE}/stream/2020", {}, {"ListStreams"}),
    (f"{OTHER_TABLE}/stream/2026", {}, set()),
    (OTHER_TABLE, {}, set()),
    (f"{QUARANTINE}/done/quarantine/history_writer/1.json", {}, set()),
    (f"{QUARANTINE}/quarantine/1.json", {}, set()),
    (QUARANTINE, {}, {"ListBucket"}),
    (f"{OVERFLOW}/else/a", {}, set()),
    ("arn:aws:s3:::else/overflow/a", {}, set()),
    (TRAIL_KEY, _via("dynamodb"), USE_KEY),
    (TRAIL_KEY, _via("s3"), USE_KEY),
    # Whether KMS names a partition's own suffix or this one is not documented.
    *(
        (TRAIL_KEY, _via(service, suffix=suffix), USE_KEY)
        for service in ("dynamodb", "s3")
        for suffix in SUFFIXES
    ),
    (TRAIL_KEY, _via("s3", FAR), {"Decrypt"}),
    (TRAIL_KEY, _via("sns"), {"Decrypt"}),
    (TRAIL_KEY, {}, {"Decrypt"}),
    (OWN_KEY, _via("s3"), set()),
    (FUNCTION, {}, set()),
    (MAPPINGS["History"], {}, set()),
]
OF_HISTORY_WRITER = [
    (OVERFLOW, {}, {"ListBucketVersions"}),
    *OF_EITHER_WRITER,
    (HISTORY, READ_DIGEST, {"PartiQLInsert", "BatchGetItem"}),
    (HISTORY, READ_SOME | {"dynamodb:Attributes": ["Id"]}, {"PartiQLInsert", "BatchGetItem"}),
    (HISTORY, READ_IMAGE, {"PartiQLInsert"}),
    (HISTORY, READ_WHOLE, {"PartiQLInsert"}),
    # What names no attributes asks for all of them.
    (HISTORY, {}, {"PartiQLInsert"}),
    (HISTORY, READ_SOME, {"PartiQLInsert"}),
    (f"{HISTORY}/index/ByTime", READ_DIGEST, set()),
    (f"{TABLES}/{STACK}-histor", READ_DIGEST, set()),
    (SOURCE, READ_DIGEST, set()),
    (REPLICA, READ_DIGEST, set()),
    (f"{OVERFLOW}/overflow/a", OURS, {"PutObject"}),
    (f"{OVERFLOW}/overflow/a", THEIRS, set()),
    (f"{QUARANTINE}/quarantine/history_writer/1.json", OURS, {"PutObject"}),
    (f"{QUARANTINE}/quarantine/history_writer/1.json", THEIRS, set()),
    (f"{QUARANTINE}/quarantine/replica_writer/1.json", OURS, set()),
    (BATCHES["History"], OURS, {"PutObject"}),
    (BATCHES["History"], THEIRS, set()),
    (BATCHES["Replica"], OURS, set()),
    (OTHER_BATCH, OURS, {"PutObject"}),
    (LOGS.format("history"), {}, WRITE_LOG),
    (LOGS.format("replica"), {}, set()),
]
OF_REPLICA_WRITER = [
    (OVERFLOW, {}, set()),
    *OF_EITHER_WRITER,
    (HISTORY, READ_DIGEST, set()),
    (f"{HISTORY}/index/ByTime", {}, set()),
    (SOURCE, READ_WHOLE, {"BatchGetItem"}),
    (REPLICA, READ_WHOLE, {"BatchWriteItem"}),
    (f"{OVERFLOW}/overflow/a", {}, set()),
    (f"{QUARANTINE}/quarantine/replica_writer/1.json", OURS, {"PutObject"}),
    (f"{QUARANTINE}/quarantine/replica_writer/1.json", THEIRS, set()),
    (f"{QUARANTINE}/quarantine/history_writer/1.json", OURS, set()),
    (BATCHES["Replica"], OURS, {"PutObject"}),
    (BATCHES["Replica"], THEIRS, set()),
    (BATCHES["History"], OURS, set()),
    (OTHER_BATCH, OURS, set()),
    (LOGS.format("replica"), {}, WRITE_LOG),
    (LOGS.format("history"), {}, set()),
]
# Where the replica is not a table of this stack, and what that changes.
IN_CASES = [
    ("every option", HISTORY_WRITER, KEY, {}, {"Decrypt"}),
    ("plain", HISTORY_WRITER, KEY, {}, set()),
    ("every option", HISTORY_WRITER, OWN_KEY, _via("dynamodb"), USE_KEY),
    ("every option", REPLICA_WRITER, KEY, {}, {"Decrypt"}),
    ("plain", REPLICA_WRITER, KEY, {}, set()),
    ("every option", REPLICA_WRITER, OWN_KEY, _via("s3"), USE_KEY),
    ("elsewhere", REPLICA_WRITER, FAR_REPLICA, {}, {"BatchWriteItem"}),
    ("elsewhere", REPLICA_WRITER, f"{TABLES}/Standby", {}, set()),
    ("elsewhere", REPLICA_WRITER, REPLICA, {}, set()),
    ("elsewhere", REPLICA_WRITER, REPLICA_KEY, _via("dynamodb", FAR), set()),
    ("plain", REPLICA_WRITER, FAR_REPLICA, {}, set()),
    ("replica key", REPLICA_WRITER, FAR_REPLICA, {}, {"BatchWriteItem"}),
    ("replica key", REPLICA_WRITER, REPLICA_KEY, _via("dynamodb", FAR), USE_KEY),
    *(
        ("replica key", REPLICA_WRITER, REPLICA_KEY, _via("dynamodb", FAR, suffix), USE_KEY)
        for suffix in SUFFIXES
    ),
    ("replica key", REPLICA_WRITER, REPLICA_KEY, _via("dynamodb"), set()),
    ("replica key", REPLICA_WRITER, REPLICA_KEY, {}, set()),
    ("replica key", HISTORY_WRITER, REPLICA_KEY, _via("dynamodb", FAR), set()),
    # With Settle at "false", and the replica in the hands of the assumed role.
    ("other account", REPLICA_WRITER, SOURCE, {}, set()),
    ("other account", REPLICA_WRITER, FAR_REPLICA, {}, set()),
    ("replica", REPLICA_WRITER, REPLICA, {}, {"BatchWriteItem"}),
    ("replica", REPLICA_WRITER, SOURCE, {}, {"BatchGetItem"}),
    ("history", HISTORY_WRITER, HISTORY, READ_DIGEST, {"PartiQLInsert", "BatchGetItem"}),
]
ROWS = [
    *(("plain", HISTORY_WRITER, *row) for row in OF_HISTORY_WRITER),
    *(("plain", REPLICA_WRITER, *row) for row in OF_REPLICA_WRITER),
    *IN_CASES,
]
# Where nobody but a writer may put anything, whatever his rights are.
KEPT_ASIDE = tuple(f"{QUARANTINE}/{folder}/" for folder in ("quarantine", "aws/lambda"))
# What the policy of the history table refuses to everybody.
CHANGES = {"BatchWriteItem", "DeleteItem", "DeleteTable", "PartiQLDelete", "PartiQLUpdate"}
CHANGES |= {"PutItem", "UpdateItem", "UpdateTimeToLive"}


@pytest.mark.parametrize(("case", "who", "resource", "context", "actions"), ROWS)
def test_a_writer_may_do_exactly_the_listed(case, who, resource, context, actions):
    """Of all that a service knows, a writer may do to a resource what is listed and no more."""
    assert _world(case).allowed(who, resource, context) == actions


@pytest.mark.parametrize(("case", "resource"), sorted({(row[0], row[2]) for row in ROWS}))
def test_what_a_writer_may_not_do_an_administrator_may(case, resource):
    """The same requests are allowed to an administrator: they are refused for who asks alone."""
    locked = CHANGES if resource == HISTORY else set()
    locked |= {"PutObject", "ReplicateObject"} if resource.startswith(KEPT_ASIDE) else set()
    everything = actions_of(resource.split(":")[2])

    allowed = _world(case).allowed(ADMINISTRATOR, resource, more=[EVERYTHING])

    assert allowed == everything - locked


@pytest.mark.parametrize("who", [HISTORY_WRITER, REPLICA_WRITER])
def test_buckets_take_nothing_without_tls(who):
    """What a writer may put over TLS it may not put without, nor may an administrator."""
    name = "history_writer" if who == HISTORY_WRITER else "replica_writer"
    request = who, "s3:PutObject", f"{QUARANTINE}/quarantine/{name}/1.json"
    bare = {"aws:SecureTransport": "false"}

    assert _world("plain").asks(*request, OURS) is ALLOWED
    assert _world("plain").asks(*request, bare) is EXPLICIT_DENY
    assert _world("plain").asks(*request, bare, [EVERYTHING]) is EXPLICIT_DENY


@pytest.mark.parametrize("place", [*BATCHES.values(), OTHER_BATCH])
def test_where_a_writer_keeps_records_aside_nobody_else_puts_any(place):
    """What a redrive makes rows of comes from the history writer's role, or from no role."""
    put = "s3:PutObject", place, OURS, [EVERYTHING]
    owners = {
        who
        for who in (HISTORY_WRITER, REPLICA_WRITER, READER, ADMINISTRATOR)
        if _world("plain").asks(who, *put) is ALLOWED
    }

    assert owners == {REPLICA_WRITER if place == BATCHES["Replica"] else HISTORY_WRITER}


@pytest.mark.parametrize("case", ["history", "replica"])
def test_a_stack_of_one_writer_keeps_its_places_for_that_one(case):
    """Its own role puts, and an administrator does not."""
    who = HISTORY_WRITER if case == "history" else REPLICA_WRITER
    name = "history_writer" if case == "history" else "replica_writer"
    put = "s3:PutObject", f"{QUARANTINE}/quarantine/{name}/1.json", OURS

    assert _world(case).asks(who, *put) is ALLOWED
    assert _world(case).asks(ADMINISTRATOR, *put, [EVERYTHING]) is EXPLICIT_DENY


def test_writer_of_a_replica_in_another_account_assumes_one_role():
    """It may assume the role it was told of, which trusts its account and no other."""
    world = _world("other account")
    request = "sts:AssumeRole", REPLICA_ROLE

    assert world.asks(REPLICA_WRITER, *request) is ALLOWED
    assert world.asks(HISTORY_WRITER, *request) is IMPLICIT_DENY
    assert world.asks(REPLICA_WRITER, "sts:AssumeRole", READER) is IMPLICIT_DENY
    assert world.asks(REPLICA_WRITER, "sts:TagSession", REPLICA_ROLE) is IMPLICIT_DENY
    assert _world("elsewhere").asks(REPLICA_WRITER, *request) is IMPLICIT_DENY
    stranger = "arn:aws:iam::777788889999:role/writer"
    assert world.asks(ADMINISTRATOR, *request, more=[EVERYTHING]) is ALLOWED
    assert world.asks(stranger, *request, more=[EVERYTHING]) is IMPLICIT_DENY


# ---- A condition key that a request lacks ---------------------------------------------------

# Statements that hold for a request without one of their keys, and why that is right.
WITHOUT_KEY = {
    ("CompareDigests", "dynamodb:Select"): "a request that names attributes need not say Select",
    # What it would deny is an INSERT, which has a partition key: an account tells, see `accept`.
    ("ControlRowsAreNotOfTheWriter", "dynamodb:LeadingKeys"): "an INSERT always has a key",
    ("NoControlRows", "dynamodb:LeadingKeys"): "an INSERT always has a key",
}


def _statements():
    """Every statement with a condition in both templates, by its Sid and the keys of it."""
    policies = [
        policy
        for evaluation in (deployed("every option", real=True), ACROSS, STANDBY)
        for policy in DeployedPolicies(evaluation).policies()
    ]
    return {
        (statement["Sid"], str(statement["Condition"])): statement
        for policy in policies
        for statement in policy["Statement"]
        if "Condition" in statement
    }


def _meeting(conditions):
    """A request's context that meets conditions."""
    context = {}
    for name, wanted in conditions.items():
        for key, values in wanted.items():
            first = values if isinstance(values, list) else [values]
            if name == "Null":
                continue
            if "Not" in name:
                context[key] = "arn:aws:iam::111122223333:role/another"
            elif name == "ArnLike":
                context[key] = first[0].replace("*", "1")
            else:
                context[key] = first if name.startswith("For") else first[0]
    return context


# A request always says these, see `tests/iam.py`; who asks is no part of a context.
SAID = {"aws:SecureTransport", "aws:PrincipalArn"}
LACKING = [
    (statement, key)
    for statement in _statements().values()
    for wanted in statement["Condition"].values()
    for key in wanted
    if key not in SAID
]


@pytest.mark.parametrize(
    ("statement", "key"), LACKING, ids=[f"{one['Sid']}-{key}" for one, key in LACKING]
)
def test_no_statement_opens_for_want_of_a_key(statement, key):
    """A request that lacks a condition's key is refused, unless its reason is listed."""
    context = _meeting(statement["Condition"])
    principal = context.pop("aws:PrincipalArn", ADMINISTRATOR)
    bare = {"Effect": statement["Effect"], "Action": "*", "Resource": "*"}
    policy = bare | {"Condition": statement["Condition"]}
    lacking = {name: value for name, value in context.items() if name != key}

    def is_allowed(given):
        more = [EVERYTHING] if statement["Effect"] == "Deny" else []
        policies = [{"Version": "2012-10-17", "Statement": [policy]}, *more]
        request = Request(principal, "dynamodb:BatchGetItem", SOURCE, given)
        return decide(request, policies) is ALLOWED

    assert is_allowed(context) is (statement["Effect"] == "Allow")
    assert is_allowed(lacking) is ((statement["Sid"], key) in WITHOUT_KEY)


# ---- Rows are never changed ----------------------------------------------------------------

# The other writing actions on a table, and why each leaves the rows of this one as they are.
_NEW = "makes another table, or a copy elsewhere"
_REPLICATES = "a replica is fed by a role that the policy refuses as well, so it cannot be added"
_SETTINGS = "changes how the table is run, not what is in it"
_POLICY = "takes the lock away: the account's affair, and in CloudTrail"
UNHARMFUL = {
    "PartiQLInsert": "refuses a key that exists",
    "CreateBackup": _NEW,
    "DeleteBackup": "a backup is no row; point in time recovery stays",
    "StartAwsBackupJob": _NEW,
    "ExportTableToPointInTime": _NEW,
    "ImportTable": _NEW,
    "RestoreTableFromBackup": _NEW,
    "RestoreTableToPointInTime": _NEW,
    "CreateTable": _NEW,
    "CreateGlobalTable": _REPLICATES,
    "CreateTableReplica": _REPLICATES,
    "DeleteTableReplica": _REPLICATES,
    "UpdateGlobalTable": _REPLICATES,
    "UpdateGlobalTableSettings": _SETTINGS,
    "UpdateGlobalTableVersion": _REPLICATES,
    "UpdateTableReplicaAutoScaling": _SETTINGS,
    "UpdateTable": _SETTINGS,
    "UpdateContinuousBackups": "CloudFormation itself turns recovery on after the policy is there",
    "UpdateContributorInsights": _SETTINGS,
    "DisableKinesisStreamingDestination": _SETTINGS,
    "EnableKinesisStreamingDestination": _SETTINGS,
    "UpdateKinesisStreamingDestination": _SETTINGS,
    "TagResource": _SETTINGS,
    "UntagResource": _SETTINGS,
    "PutResourcePolicy": _POLICY,
    "DeleteResourcePolicy": _POLICY,
}


def test_every_writing_action_is_refused_or_has_its_reason():
    """What DynamoDB can do to a table is refused, or listed with why it changes no row."""
    assert CHANGES.isdisjoint(UNHARMFUL)
    assert CHANGES | UNHARMFUL.keys() == writes_of("dynamodb")


def _answers(who, resource=HISTORY, case="plain", more=(EVERYTHING,)):
    return {_world(case).asks(who, f"dynamodb:{one}", resource, more=more) for one in CHANGES}


USER = f"arn:aws:iam::{ACCOUNT}:user/alice"
# Whose rights a replica of a global table is written with.
REPLICATION = (
    f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/replication.dynamodb.amazonaws.com/"
    "AWSServiceRoleForDynamoDBReplication"
)


@pytest.mark.parametrize("case", ["plain", "history", "every option"])
@pytest.mark.parametrize("who", [ADMINISTRATOR, USER, HISTORY_WRITER, READER, REPLICATION])
def test_nobody_changes_a_row(case, who):
    """With every right of the account, nobody may change or remove a row; of other tables, yes."""
    assert _answers(who, case=case) == {EXPLICIT_DENY}
    assert _answers(who, OTHER_TABLE, case) == {ALLOWED}


def test_a_writer_that_is_given_too_much_still_changes_nothing():
    """With `dynamodb:*` added to its role by mistake, the history writer can append as before."""
    much = [ALL_OF_DYNAMODB]

    assert _answers(HISTORY_WRITER, more=much) == {EXPLICIT_DENY}
    allowed = _world("plain").allowed(HISTORY_WRITER, HISTORY, more=much)
    assert allowed == actions_of("dynamodb") - CHANGES


@pytest.mark.parametrize(
    "who",
    [
        f"arn:aws:iam::{ACCOUNT}:role/break-glass-2",
        f"arn:aws:iam::{ACCOUNT}:role/team/break-glass",
        f"arn:aws:iam::{ACCOUNT}:role/Break-Glass",
        f"arn:aws:iam::{ACCOUNT}:user/break-glass",
    ],
)
def test_only_the_named_role_breaks_the_glass(who):
    """The role of the parameter may change rows where it is named, and no other of like name."""
    assert EVERY_OPTION["BreakGlassRoleArn"] == BREAK_GLASS
    assert _answers(BREAK_GLASS, case="every option") == {ALLOWED}
    assert _answers(who, case="every option") == {EXPLICIT_DENY}
    assert _answers(BREAK_GLASS, case="plain") == {EXPLICIT_DENY}


def _insert(who, *leading_keys, more=()):
    context = {"dynamodb:LeadingKeys": list(leading_keys)}
    return _world("plain").asks(who, "dynamodb:PartiQLInsert", HISTORY, context, more)


@pytest.mark.parametrize("more", [(), (ALL_OF_DYNAMODB,), (EVERYTHING,)])
def test_writer_cannot_write_a_control_row(more):
    """What the history says of itself the function may not insert, alone or among rows of items."""
    assert _insert(HISTORY_WRITER, "1", more=more) is ALLOWED
    assert _insert(HISTORY_WRITER, "!!itemtrail", more=more) is ALLOWED
    assert _insert(HISTORY_WRITER, "!itemtrail", more=more) is EXPLICIT_DENY
    assert _insert(HISTORY_WRITER, "1", "!itemtrail", more=more) is EXPLICIT_DENY


def test_table_itself_refuses_the_writer_a_control_row():
    """The table's own policy does so too, whatever the role's policies are."""
    stranger = f"arn:aws:iam::{ACCOUNT}:role/{STACK}-HistoryWriterRole-9Z8Y7X"

    assert _insert(stranger, "1", more=[EVERYTHING]) is ALLOWED
    assert _insert(stranger, "!itemtrail", more=[EVERYTHING]) is EXPLICIT_DENY
    assert _insert(ADMINISTRATOR, "!itemtrail", more=[EVERYTHING]) is ALLOWED
    assert _insert(READER, "!itemtrail") is IMPLICIT_DENY


def _documented_control_policy():
    """The service control policy of docs/deployment.md, for the plain stack."""
    page = (REPOSITORY / "docs/deployment.md").read_text("utf-8")
    (text,) = re.findall(
        r'```json\n(\{"Version": "2012-10-17", "Statement".*?)```', page, re.DOTALL
    )
    example = "arn:aws:dynamodb:us-east-1:123456789012:table/employee-trail-history"
    assert example in text
    return json.loads(text.replace(example, HISTORY).replace("THE OUTPUT KmsKeyArn", TRAIL_KEY))


# What takes away the locks that the table's own policy cannot hold.
_LOCKS = [
    (HISTORY, "dynamodb:DeleteResourcePolicy"),
    (HISTORY, "dynamodb:PutResourcePolicy"),
    (HISTORY, "dynamodb:UpdateContinuousBackups"),
    (TRAIL_KEY, "kms:DisableKey"),
    (TRAIL_KEY, "kms:PutKeyPolicy"),
    (TRAIL_KEY, "kms:ScheduleKeyDeletion"),
]
_GLASS = f"arn:aws:iam::{ACCOUNT}:role/trail-break-glass"


@pytest.mark.parametrize(("resource", "action"), _LOCKS)
def test_the_documented_control_policy_reserves_the_locks_to_break_glass(resource, action):
    """Nobody else takes the policy, the recovery or the key away; other resources stay as free."""

    def may(who, what=resource):
        more = [_documented_control_policy(), EVERYTHING]
        return _world("plain").asks(who, action, what, more=more)

    assert may(ADMINISTRATOR) is EXPLICIT_DENY
    assert may(f"{_GLASS}-2") is EXPLICIT_DENY
    assert may(_GLASS) is ALLOWED
    if resource == HISTORY:
        assert may(ADMINISTRATOR, SOURCE) is ALLOWED


def test_breaking_the_glass_is_no_right_by_itself():
    """The table's policy gives the named role nothing: it needs rights of its own as well."""
    assert _answers(BREAK_GLASS, case="every option", more=()) == {IMPLICIT_DENY}


def test_a_role_of_another_account_does_not_break_the_glass():
    """The same name in another account is another role."""
    glass = f"arn:aws:iam::{OTHER}:role/break-glass"

    assert _answers(glass, case="every option") == {EXPLICIT_DENY}
    world = DeployedPolicies(
        Evaluation(transformed(), EVERY_OPTION | {"BreakGlassRoleArn": glass}, real=True)
    )
    # Nothing in the policy lets another account in, so the exception opens nothing to it either.
    assert world.asks(glass, "dynamodb:PutItem", HISTORY, more=[EVERYTHING]) is (IMPLICIT_DENY)


# ---- The report reader ---------------------------------------------------------------------

# Calls of the reporting code: the action that each is authorised as, and the kind of resource.
CALLS = {
    "batch_get_item": ("dynamodb:BatchGetItem", "table"),
    "describe_continuous_backups": ("dynamodb:DescribeContinuousBackups", "table"),
    "describe_table": ("dynamodb:DescribeTable", "table"),
    "describe_time_to_live": ("dynamodb:DescribeTimeToLive", "table"),
    "get_item": ("dynamodb:GetItem", "table"),
    "get_resource_policy": ("dynamodb:GetResourcePolicy", "history"),
    "query": ("dynamodb:Query", "table or index"),
    "scan": ("dynamodb:Scan", "table"),
    "get_bucket_lifecycle_configuration": ("s3:GetLifecycleConfiguration", "bucket"),
    "get_bucket_versioning": ("s3:GetBucketVersioning", "bucket"),
    "list_objects_v2": ("s3:ListBucket", "bucket"),
    "get_object": ("s3:GetObject", "object"),
    "get_object_lock_configuration": ("s3:GetBucketObjectLockConfiguration", "locked bucket"),
    "get_event_source_mapping": ("lambda:GetEventSourceMapping", "mapping"),
    "list_event_source_mappings": ("lambda:ListEventSourceMappings", "none"),
    "get_metric_statistics": ("cloudwatch:GetMetricStatistics", "none"),
    "describe_alarms": ("cloudwatch:DescribeAlarms", "none"),
    "get_metric_data": ("cloudwatch:GetMetricData", "none"),
    "list_subscriptions_by_topic": ("sns:ListSubscriptionsByTopic", "topic"),
    "list_tags_of_resource": ("dynamodb:ListTagsOfResource", "history"),
    "describe_stacks": ("cloudformation:DescribeStacks", "stack"),
}
# Who asks by a stack's name is checked for this, not for the stack's id.
# https://github.com/aws/aws-parallelcluster/pull/754
STACK_BY_NAME = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/*"
COMPARING = ("compare.py", "compared_table.py", "table_pair.py")


def _services_called():
    """The names of all client methods of the services that reports may ask."""
    services = ("cloudformation", "cloudwatch", "dynamodb", "dynamodbstreams", "lambda", "s3")
    services += ("kms", "logs", "sns", "sts")
    # Methods of jinja2 and of ours have these names.
    return {xform_name(one) for each in services for one in operations_of(each)} - {
        "get_template",
        "verify",
    }


def _called(module):
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="get_paginator"), args=[ast.Constant(value=name)]
            ):
                yield name
            case ast.Call(func=ast.Attribute(attr=name)):
                yield name


def test_the_listed_calls_are_those_that_reports_make():
    """Whatever the reports and the comparison call on AWS is in the list, and nothing else."""
    modules = [*(REPOSITORY / "reports").rglob("*.py")]
    modules += [REPOSITORY / "operations" / "replica" / name for name in COMPARING]

    called = {name for module in modules for name in _called(module)}

    assert called & _services_called() == CALLS.keys()


def _reading_resources(case):
    """What there is to read in a case, by kind."""
    evaluation = ACROSS if case == "other account" else deployed(case, real=True)
    outputs = evaluation.outputs
    history = "HistoryTableName" in outputs
    # A replica in another account is read through its role, which can also write.
    replica = {"elsewhere": [FAR_REPLICA], "replica key": [FAR_REPLICA]}
    replica |= {"history": [], "other account": []}
    tables = [SOURCE, *([HISTORY] if history else []), *replica.get(case, [REPLICA])]
    ids = [value for name, value in outputs.items() if name.endswith("MappingId")]
    return {
        "table": tables,
        "table or index": [*tables, *([f"{HISTORY}/index/ByTime"] if history else [])],
        "history": [HISTORY] if history else [],
        "bucket": [QUARANTINE, *([OVERFLOW] if history else [])],
        "locked bucket": [OVERFLOW] if history else [],
        "object": [f"{OVERFLOW}/overflow/a"] if history else [],
        "kept aside": [
            f"{QUARANTINE}/{key}"
            for key in ("quarantine/history_writer/1.json", "aws/lambda/mapping/shard/batch")
            if history
        ],
        "mapping": [MAPPING.format(one) for one in ids],
        "stack": [STACK_BY_NAME],
        "topic": [outputs["AlarmTopicArn"]],
        "none": ["*"],
    }


@pytest.mark.parametrize("case", CASES)
def test_reports_run_as_the_report_reader(case):
    """Every call of the reports and of the comparison is allowed on whatever it is made of."""
    there = _reading_resources(case)
    calls = [*CALLS.values(), ("s3:GetObjectVersion", "object"), ("s3:GetObject", "kept aside")]

    refused = [
        (action, resource)
        for action, kind in calls
        for resource in there[kind]
        if _world(case).asks(READER, action, resource) is not ALLOWED
    ]

    assert refused == []


@pytest.mark.parametrize(
    ("case", "keys"),
    [
        ("plain", {TRAIL_KEY}),
        ("every option", {OWN_KEY, KEY}),
        ("replica key", {TRAIL_KEY, REPLICA_KEY}),
        ("other account", {TRAIL_KEY, KEY}),
        ("history", {TRAIL_KEY}),
    ],
)
def test_report_reader_decrypts_what_it_reads(case, keys):
    """The reader decrypts with the keys of the case, through any service, and does no more."""
    for key in (TRAIL_KEY, OWN_KEY, KEY, REPLICA_KEY):
        expected = {"Decrypt"} if key in keys else set()
        assert _world(case).allowed(READER, key, _via("dynamodb")) == expected


NOT_READ = [
    OTHER_TABLE,
    f"{HISTORY}/index/ByOther",
    STREAM,
    f"{OVERFLOW}/else/a",
    f"{QUARANTINE}/quarantine/replica_writer/1.json",
    "arn:aws:s3:::else",
    FUNCTION,
    f"{LAMBDA}:event-source-mapping:else",
]


@pytest.mark.parametrize("resource", NOT_READ)
def test_report_reader_reads_no_more_than_reports_need(resource):
    """What the replica lacks, other tables, the stream and the functions' code are not for it."""
    assert _world("plain").allowed(READER, resource) == set()


def _stack_resources(case):
    """What a case is made of, whatever kind it is of."""
    found = {one for several in _reading_resources(case).values() for one in several}
    found |= {f"{QUARANTINE}/quarantine/history_writer/1.json", f"{QUARANTINE}/done/1.json"}
    found |= {STREAM, FUNCTION, f"{LAMBDA}:function:{STACK}-replica-writer", TRAIL_KEY, KEY}
    found |= {LOGS.format("history"), f"arn:aws:sns:{REGION}:{ACCOUNT}:{STACK}-AlarmTopic-1A2B3C"}
    return sorted(found - {"*", STACK_BY_NAME})


@pytest.mark.parametrize("case", ["plain", "replica key", "other account", "every option"])
def test_report_reader_writes_nothing(case):
    """No action that is not known to read is allowed on anything of the stack; reading is."""
    allowed_to_read = set()
    for resource in _stack_resources(case):
        service = resource.split(":")[2]
        allowed = _world(case).allowed(READER, resource)

        assert allowed & writes_of(service) == set(), resource
        allowed_to_read |= {f"{service}:{one}" for one in allowed}

    assert allowed_to_read >= {"dynamodb:Query", "s3:GetObject", "lambda:GetEventSourceMapping"}


@pytest.mark.parametrize("service", ["dynamodb", "s3", "lambda", "kms"])
def test_writing_actions_are_told_from_reading_ones(service):
    """The division is not empty on either side, and puts what is known where it belongs."""
    known = {
        "dynamodb": {"PutItem", "PartiQLUpdate", "DeleteTable", "PutResourcePolicy"},
        "s3": {"PutObject", "DeleteObjectVersion", "BypassGovernanceRetention"},
        "lambda": {"UpdateFunctionCode", "InvokeFunction", "UpdateEventSourceMapping"},
        "kms": {"Encrypt", "ScheduleKeyDeletion", "PutKeyPolicy", "CreateGrant"},
    }

    assert known[service] <= writes_of(service)
    assert len(writes_of(service)) > len(known[service])
    assert actions_of(service) - writes_of(service)


@pytest.mark.parametrize(
    ("who", "more", "answer"),
    [
        (ADMINISTRATOR, [EVERYTHING], ALLOWED),
        (ADMINISTRATOR, [], IMPLICIT_DENY),
        (HISTORY_WRITER, [], IMPLICIT_DENY),
        (f"arn:aws:iam::{OTHER}:role/administrator", [EVERYTHING], IMPLICIT_DENY),
    ],
)
def test_who_may_be_the_report_reader_is_for_the_account(who, more, answer):
    """Whoever the account's own policies let may assume the role, and nobody of another account."""
    assert _world("plain").asks(who, "sts:AssumeRole", READER, more=more) is answer


# ---- The role in the replica's account -----------------------------------------------------

AWAY_KEY = STANDBY.outputs["ReplicaKmsKeyArn"]
WRITE_AND_COMPARE = {"BatchGetItem", "BatchWriteItem", "DescribeTable", "Scan"}


@pytest.mark.parametrize(
    ("resource", "context", "actions"),
    [
        (AWAY_REPLICA, {}, WRITE_AND_COMPARE),
        (f"{AWAY_REPLICA}2", {}, set()),
        (f"{AWAY_REPLICA}/index/ByTime", {}, set()),
        (AWAY_REPLICA.replace(FAR, REGION), {}, set()),
        (AWAY_KEY, _via("dynamodb", FAR), USE_KEY),
        (AWAY_KEY, _via("dynamodb"), set()),
        (AWAY_KEY, _via("s3", FAR), set()),
        (AWAY_KEY, {}, set()),
        (f"{AWAY_KEY}2", _via("dynamodb", FAR), set()),
        ("arn:aws:s3:::standby/a", {}, set()),
    ],
)
def test_role_in_the_replicas_account_has_its_table_alone(resource, context, actions):
    """The assumed role writes and compares the one replica, and uses its key through DynamoDB."""
    world = _world("other account")
    there = f"arn:aws:iam::{OTHER}:role/administrator"

    assert world.allowed(REPLICA_ROLE, resource, context) == actions
    everything = actions_of(resource.split(":")[2])
    assert world.allowed(there, resource, context, [EVERYTHING]) == everything


def test_role_in_the_replicas_account_reaches_nothing_in_the_sources():
    """The role touches neither source nor history: its account is another one."""
    for resource in (SOURCE, HISTORY):
        assert _world("other account").allowed(REPLICA_ROLE, resource) == set()


def test_roles_of_the_sources_account_reach_the_replica_by_the_role_only():
    """Without assuming the role, no role of the source's account does anything to the replica."""
    for who in (REPLICA_WRITER, HISTORY_WRITER, READER):
        assert _world("other account").allowed(who, AWAY_REPLICA) == set()
    assert "BatchWriteItem" in _world("other account").allowed(REPLICA_ROLE, AWAY_REPLICA)
