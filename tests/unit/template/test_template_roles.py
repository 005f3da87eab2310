"""Who may do what by the two templates: every statement of every policy, as a written list.

What these statements add up to for a request is in `test_permissions.py`.
"""

import json

import pytest

from tests.templates import (
    ACCOUNT,
    BREAK_GLASS,
    CASES,
    FAR,
    KEY,
    OTHER,
    OTHER_ACCOUNT,
    OWN_KEY,
    REGION,
    REPLICA_KEY,
    ROLE,
    STACK,
    STREAM,
    TOPIC,
    Evaluation,
    deployed,
    load,
    transformed,
)

TABLES = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table"
SOURCE = f"{TABLES}/Employee"
TRAIL_KEY = "<TrailKey.Arn>"
USE_KEY = [
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
]
READ_TABLE = [
    "dynamodb:BatchGetItem",
    "dynamodb:DescribeContinuousBackups",
    "dynamodb:DescribeTable",
    "dynamodb:DescribeTimeToLive",
    "dynamodb:GetItem",
    "dynamodb:Query",
    "dynamodb:Scan",
]
CASES_WITH_HISTORY = [one for one in CASES if one != "replica"]
CASES_WITH_REPLICA = [one for one in CASES if one != "history"]


def _via(*services):
    return {"StringLike": {"kms:ViaService": services[0] if len(services) == 1 else services}}


def _grants(actions, resource, condition=None):
    """Statements as (action, resource, condition)."""
    shown = json.dumps(condition, sort_keys=True) if condition else None
    return {(action, resource, shown) for action in _listed(actions)}


def _listed(value):
    return [*value] if isinstance(value, (list, tuple)) else [value]


def _granted(role, effect="Allow"):
    """What a role allows, or denies, as a set of (action, resource, condition)."""
    properties = role["Properties"]
    assert properties.keys() <= {"Description", "AssumeRolePolicyDocument", "Policies", "Tags"}
    granted = set()
    for policy in properties["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Effect"] in ("Allow", "Deny")
            elements = {"Sid", "Effect", "Action", "Resource", "Condition"}
            assert statement.keys() <= elements
            for resource in _listed(statement["Resource"]) if statement["Effect"] == effect else ():
                granted |= _grants(statement["Action"], resource, statement.get("Condition"))
    return granted


# ---- The lists -----------------------------------------------------------------------------


def _stream(arn=STREAM):
    return (
        _grants("dynamodb:DescribeStream", arn)
        | _grants("dynamodb:GetRecords", arn)
        | _grants("dynamodb:GetShardIterator", arn)
        | _grants("dynamodb:ListStreams", f"{SOURCE}/stream/*")
    )


def _trail_key(key=TRAIL_KEY):
    services = f"dynamodb.{REGION}.*", f"s3.{REGION}.*"
    return _grants("kms:Decrypt", key) | _grants(USE_KEY, key, _via(*services))


OWN_BUCKET = {"StringEquals": {"s3:ResourceAccount": ACCOUNT}}


def _puts(objects):
    return _grants("s3:PutObject", objects, OWN_BUCKET)


FAILED_BATCHES = _puts("<QuarantineBucket.Arn>/aws/lambda/*") | _grants(
    "s3:ListBucket", "<QuarantineBucket.Arn>"
)
ONLY_THE_DIGEST = {
    "ForAllValues:StringEquals": {
        "dynamodb:Attributes": ["Id", "ApproximateCreationDateTime", "Digest"]
    },
    "StringEqualsIfExists": {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"},
    "Null": {"dynamodb:Attributes": "false"},
}
OF_CONTROL_ROWS = {"ForAnyValue:StringEquals": {"dynamodb:LeadingKeys": ["!itemtrail"]}}
HISTORY_WRITER = (
    FAILED_BATCHES
    | _grants("dynamodb:PartiQLInsert", "<HistoryTable.Arn>")
    | _grants("dynamodb:BatchGetItem", "<HistoryTable.Arn>", ONLY_THE_DIGEST)
    | _puts("<OverflowBucket.Arn>/overflow/*")
    | _grants("s3:ListBucketVersions", "<OverflowBucket.Arn>")
    | _puts("<QuarantineBucket.Arn>/quarantine/history_writer/*")
    | _grants(["logs:CreateLogStream", "logs:PutLogEvents"], "<HistoryWriterLogGroup.Arn>")
)
REPLICA_WRITER = (
    FAILED_BATCHES
    | _puts("<QuarantineBucket.Arn>/quarantine/replica_writer/*")
    | _grants(["logs:CreateLogStream", "logs:PutLogEvents"], "<ReplicaWriterLogGroup.Arn>")
)
DECRYPT_SOURCE = _grants("kms:Decrypt", KEY)
READ_SOURCE = _grants("dynamodb:BatchGetItem", SOURCE)
WRITE_CREATED = _grants("dynamodb:BatchWriteItem", f"{TABLES}/<ReplicaTable>")
STANDBY = f"arn:aws:dynamodb:{FAR}:{ACCOUNT}:table/Standby"
USE_REPLICA_KEY = _grants(USE_KEY, REPLICA_KEY, _via(f"dynamodb.{FAR}.*"))
SAMPLE_STREAM = "<SampleSourceTable.StreamArn>"

# What each case adds to a writer's list.
HISTORY_CASES = {
    "plain": _stream() | _trail_key(),
    "sample": _stream(SAMPLE_STREAM) | _trail_key(),
    "elsewhere": _stream() | _trail_key(),
    "replica key": _stream() | _trail_key(),
    "other account": _stream() | _trail_key() | DECRYPT_SOURCE,
    "history": _stream() | _trail_key(),
    "every option": _stream() | _trail_key(OWN_KEY) | DECRYPT_SOURCE,
}


def _announce(key="<TrailKey.Arn>"):
    """Sending keys to the queue of looks, which is encrypted."""
    encrypt = _grants("kms:GenerateDataKey", key, _via(f"sqs.{REGION}.*"))
    return _grants("sqs:SendMessage", LOOK_QUEUE) | encrypt


LOOK_QUEUE = "<SecondLookQueue.Arn>"
WRITE_STANDBY = READ_SOURCE | _grants("dynamodb:BatchWriteItem", STANDBY)
REPLICA_CASES = {
    "plain": _stream() | _trail_key() | READ_SOURCE | WRITE_CREATED | _announce(),
    "sample": (_stream(SAMPLE_STREAM) | _trail_key() | READ_SOURCE | WRITE_CREATED | _announce()),
    "elsewhere": _stream() | _trail_key() | WRITE_STANDBY | _announce(),
    "replica key": (_stream() | _trail_key() | WRITE_STANDBY | USE_REPLICA_KEY | _announce()),
    "other account": _stream() | _trail_key() | DECRYPT_SOURCE | _grants("sts:AssumeRole", ROLE),
    "replica": _stream() | _trail_key() | READ_SOURCE | WRITE_CREATED | _announce(),
    "every option": _stream()
    | _trail_key(OWN_KEY)
    | DECRYPT_SOURCE
    | READ_SOURCE
    | WRITE_CREATED
    | _announce(OWN_KEY),
}

SECOND_LOOK = (
    _grants(["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"], LOOK_QUEUE)
    | _grants(["logs:CreateLogStream", "logs:PutLogEvents"], "<SecondLookLogGroup.Arn>")
    | READ_SOURCE
)
LOOK_CREATED = WRITE_CREATED | _grants("dynamodb:BatchGetItem", f"{TABLES}/<ReplicaTable>")
LOOK_STANDBY = WRITE_STANDBY | _grants("dynamodb:BatchGetItem", STANDBY)
LOOK_CASES = {
    "plain": _trail_key() | LOOK_CREATED | _announce(),
    "elsewhere": _trail_key() | LOOK_STANDBY | _announce(),
    "replica key": _trail_key() | LOOK_STANDBY | USE_REPLICA_KEY | _announce(),
    "every option": (_trail_key(OWN_KEY) | DECRYPT_SOURCE | LOOK_CREATED | _announce(OWN_KEY)),
}

SEE_STACK = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/*"
READER = (
    _grants(READ_TABLE, SOURCE)
    | _grants("cloudformation:DescribeStacks", SEE_STACK)
    | _grants(
        [
            "cloudwatch:DescribeAlarms",
            "cloudwatch:GetMetricData",
            "cloudwatch:GetMetricStatistics",
            "lambda:ListEventSourceMappings",
        ],
        "*",
    )
    | _grants(
        ["s3:GetBucketVersioning", "s3:GetLifecycleConfiguration", "s3:ListBucket"],
        "<QuarantineBucket.Arn>",
    )
)
MAPPINGS = f"arn:aws:lambda:{REGION}:{ACCOUNT}:event-source-mapping"
READ_HISTORY = (
    _grants(READ_TABLE, "<HistoryTable.Arn>")
    | _grants(["dynamodb:GetResourcePolicy", "dynamodb:ListTagsOfResource"], "<HistoryTable.Arn>")
    | _grants("s3:GetObject", "<QuarantineBucket.Arn>/quarantine/history_writer/*")
    | _grants("s3:GetObject", "<QuarantineBucket.Arn>/aws/lambda/*")
    | _grants("s3:GetBucketObjectLockConfiguration", "<OverflowBucket.Arn>")
    | _grants("lambda:GetEventSourceMapping", f"{MAPPINGS}:<HistoryWriterMapping>")
    | _grants(READ_TABLE, "<HistoryTable.Arn>/index/ByTime")
    | _grants(["s3:GetObject", "s3:GetObjectVersion"], "<OverflowBucket.Arn>/overflow/*")
    | _grants(
        ["s3:GetBucketVersioning", "s3:GetLifecycleConfiguration", "s3:ListBucket"],
        "<OverflowBucket.Arn>",
    )
)
SEE_MAPPING = _grants("lambda:GetEventSourceMapping", f"{MAPPINGS}:<ReplicaWriterMapping>")
READ_CREATED = SEE_MAPPING | _grants(READ_TABLE, f"{TABLES}/<ReplicaTable>")
READ_STANDBY = SEE_MAPPING | _grants(READ_TABLE, STANDBY)
READ_ENCRYPTED = _grants("kms:Decrypt", TRAIL_KEY)
READER_CASES = {
    "plain": READ_HISTORY | READ_CREATED | READ_ENCRYPTED,
    "sample": READ_HISTORY | READ_CREATED | READ_ENCRYPTED,
    "elsewhere": READ_HISTORY | READ_STANDBY | READ_ENCRYPTED,
    "replica key": (
        READ_HISTORY | READ_STANDBY | READ_ENCRYPTED | _grants("kms:Decrypt", REPLICA_KEY)
    ),
    "other account": READ_HISTORY | SEE_MAPPING | READ_ENCRYPTED | DECRYPT_SOURCE,
    "history": READ_HISTORY | READ_ENCRYPTED,
    "replica": READ_CREATED | READ_ENCRYPTED,
    "every option": READ_HISTORY | READ_CREATED | DECRYPT_SOURCE | _grants("kms:Decrypt", OWN_KEY),
}

# The only wildcards in a resource, and why each is there.
WILDCARDS = {
    "<QuarantineBucket.Arn>/aws/lambda/*": "Lambda chooses the names of failed batches",
    "<QuarantineBucket.Arn>/quarantine/history_writer/*": "an object for each record",
    "<QuarantineBucket.Arn>/quarantine/replica_writer/*": "an object for each record",
    "<OverflowBucket.Arn>/overflow/*": "an object for each content",
    f"{SOURCE}/stream/*": "ListStreams names no stream",
    SEE_STACK: "who asks by the stack's name is checked for stack/NAME/*",
    "*": "metrics and ListEventSourceMappings know no resource",
}

# replica.yaml, deployed in another account.
AWAY = {"TableName": "Standby", "SourceAccountId": ACCOUNT}
REPLICA_ROLE = _grants(
    [
        "dynamodb:BatchGetItem",
        "dynamodb:BatchWriteItem",
        "dynamodb:DescribeTable",
        "dynamodb:Scan",
    ],
    "<ReplicaTable.Arn>",
)


def _away(**given):
    return Evaluation(load("replica.yaml"), AWAY | given, region=FAR, account=OTHER)


# ---- Roles ---------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES_WITH_HISTORY)
def test_history_writer_is_granted_exactly_the_listed(case):
    """The history writer may insert rows and compare digests, and nothing beyond the table."""
    role = deployed(case).resources["HistoryWriterRole"]

    assert _granted(role) == HISTORY_WRITER | HISTORY_CASES[case]
    assert _granted(role, "Deny") == _grants(
        "dynamodb:PartiQLInsert", "<HistoryTable.Arn>", OF_CONTROL_ROWS
    )


@pytest.mark.parametrize("case", CASES_WITH_REPLICA)
def test_replica_writer_is_granted_exactly_the_listed(case):
    """The replica writer may write the one replica, read the one source, or assume the one role."""
    role = deployed(case).resources["ReplicaWriterRole"]

    assert _granted(role) == REPLICA_WRITER | REPLICA_CASES[case]


@pytest.mark.parametrize("case", LOOK_CASES)
def test_second_look_is_granted_exactly_the_listed(case):
    """It may do what the replica writer may, read the replica and take its messages."""
    role = deployed(case).resources["SecondLookRole"]

    assert _granted(role) == SECOND_LOOK | LOOK_CASES[case]


def test_second_look_in_another_account_goes_through_the_role():
    """A replica that is written as a role is read as that role."""
    given = OTHER_ACCOUNT | {"Settle": "true"}
    role = Evaluation(transformed(), given).resources["SecondLookRole"]

    granted = _granted(role)
    assert granted >= _grants("sts:AssumeRole", ROLE)
    assert {resource for action, resource, _ in granted if action.startswith("dynamodb:")} == {
        SOURCE
    }


@pytest.mark.parametrize("case", CASES)
def test_report_reader_is_granted_exactly_the_listed(case):
    """The report reader may read what the case has of tables, buckets and health."""
    role = deployed(case).resources["ReportReaderRole"]

    topic = TOPIC if case == "every option" else "<AlarmTopic>"
    hears = _grants("sns:ListSubscriptionsByTopic", topic)
    assert _granted(role) == READER | READER_CASES[case] | hears


@pytest.mark.parametrize(("given", "key"), [({}, "<ReplicaKey.Arn>"), ({"KmsKeyArn": KEY}, KEY)])
def test_role_in_the_replicas_account_is_granted_exactly_the_listed(given, key):
    """The role of `replica.yaml` writes and reads its table, and uses its key through DynamoDB."""
    role = _away(**given).resources["ReplicaRole"]

    use_key = _grants(USE_KEY, key, _via(f"dynamodb.{FAR}.*"))
    assert _granted(role) == REPLICA_ROLE | use_key


@pytest.mark.parametrize("case", CASES)
def test_there_are_no_roles_but_the_listed(case):
    """Each consumer has its role and whoever asks has one; there is no fourth."""
    roles = {"HistoryWriterRole", "ReplicaWriterRole", "SecondLookRole", "ReportReaderRole"}
    absent = {
        "history": {"ReplicaWriterRole", "SecondLookRole"},
        "replica": {"HistoryWriterRole"},
        "other account": {"SecondLookRole"},
    }

    assert deployed(case).of_type("AWS::IAM::Role").keys() == roles - absent.get(case, set())


@pytest.mark.parametrize("case", CASES)
def test_no_wildcard_without_a_reason(case):
    """No action holds a wildcard, and a resource only where the list above says why."""
    roles = [*deployed(case).of_type("AWS::IAM::Role").values(), _away().resources["ReplicaRole"]]

    for role in roles:
        for action, resource, _ in _granted(role):
            assert "*" not in action
            assert "*" not in resource or resource in WILDCARDS


def test_every_reason_is_still_needed():
    """The list of wildcards holds none that no role has any more."""
    granted = {
        resource
        for case in CASES
        for role in deployed(case).of_type("AWS::IAM::Role").values()
        for _, resource, _ in _granted(role)
    }

    assert WILDCARDS.keys() <= granted


# ---- Trust ---------------------------------------------------------------------------------


def _trust(principal):
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}],
    }


@pytest.mark.parametrize(
    ("role", "principal"),
    [
        ("HistoryWriterRole", {"Service": "lambda.amazonaws.com"}),
        ("ReplicaWriterRole", {"Service": "lambda.amazonaws.com"}),
        ("SecondLookRole", {"Service": "lambda.amazonaws.com"}),
        ("ReportReaderRole", {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}),
    ],
)
def test_role_trusts_one(role, principal):
    """Lambda alone may be a writer; who may be the reader is for the account's own policies."""
    trust = deployed("plain").properties(role)["AssumeRolePolicyDocument"]

    assert trust == _trust(principal)


def test_role_in_the_replicas_account_trusts_the_sources_account():
    """The role of `replica.yaml` trusts the source's account and no other."""
    trust = _away().properties("ReplicaRole")["AssumeRolePolicyDocument"]

    assert trust == _trust({"AWS": f"arn:aws:iam::{ACCOUNT}:root"})


# ---- Keys ----------------------------------------------------------------------------------


def _account_decides(account):
    return {
        "Sid": "AccountDecides",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }


def test_key_of_the_trail_is_for_the_account_its_logs_and_alarms():
    """The trail's key obeys its account; this stack's logs and the alarms may use it too."""
    policy = deployed("plain").properties("TrailKey")["KeyPolicy"]

    groups = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/{STACK}-*"
    assert policy["Version"] == "2012-10-17"
    assert policy["Statement"] == [
        _account_decides(ACCOUNT),
        {
            "Sid": "LogsMayUseIt",
            "Effect": "Allow",
            "Principal": {"Service": f"logs.{REGION}.amazonaws.com"},
            "Action": USE_KEY,
            "Resource": "*",
            "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
        },
        {
            "Sid": "AlarmsMayTellATopic",
            "Effect": "Allow",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext"],
            "Resource": "*",
        },
    ]


def test_key_of_the_replica_is_for_its_account():
    """The key that `replica.yaml` creates obeys its own account and nobody else."""
    policy = _away().properties("ReplicaKey")["KeyPolicy"]

    assert policy == {"Version": "2012-10-17", "Statement": [_account_decides(OTHER)]}


# ---- The history table and the buckets -----------------------------------------------------


@pytest.mark.parametrize(
    ("case", "condition"),
    [
        ("plain", {}),
        ("history", {}),
        ("every option", {"Condition": {"ArnNotEquals": {"aws:PrincipalArn": BREAK_GLASS}}}),
    ],
)
def test_history_table_refuses_all_that_changes_a_row(case, condition):
    """The table's own policy denies changes to everybody, or to all but the named role."""
    policy = deployed(case).properties("HistoryTable")["ResourcePolicy"]["PolicyDocument"]

    assert policy["Version"] == "2012-10-17"
    assert policy["Statement"] == [
        {
            "Sid": "RowsAreNeverChanged",
            "Effect": "Deny",
            "Principal": "*",
            "Action": [
                "dynamodb:BatchWriteItem",
                "dynamodb:DeleteItem",
                "dynamodb:DeleteTable",
                "dynamodb:PartiQLDelete",
                "dynamodb:PartiQLUpdate",
                "dynamodb:PutItem",
                "dynamodb:UpdateItem",
                "dynamodb:UpdateTimeToLive",
            ],
            "Resource": f"{TABLES}/{STACK}-history",
        }
        | condition,
        {
            "Sid": "ControlRowsAreNotOfTheWriter",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "dynamodb:PartiQLInsert",
            "Resource": f"{TABLES}/{STACK}-history",
            "Condition": OF_CONTROL_ROWS
            | {
                "ArnLike": {
                    "aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/{STACK}-HistoryWriterRole-*"
                }
            },
        },
    ]
    assert deployed(case).properties("HistoryTable")["TableName"] == f"{STACK}-history"


@pytest.mark.parametrize("bucket", ["OverflowBucket", "QuarantineBucket"])
def test_bucket_answers_over_tls_only(bucket):
    """A bucket's policy denies all to everybody who comes without TLS, and allows nothing."""
    policy = deployed("plain").properties(f"{bucket}Policy")

    first, *others = policy["PolicyDocument"]["Statement"]
    assert policy["Bucket"] == f"<{bucket}>"
    assert policy["PolicyDocument"]["Version"] == "2012-10-17"
    assert first == {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"<{bucket}.Arn>", f"<{bucket}.Arn>/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    assert {one["Effect"] for one in others} <= {"Deny"}


@pytest.mark.parametrize("case", CASES)
def test_nothing_else_has_a_policy_of_its_own(case):
    """No other resource, of any case, opens itself to anybody by a policy that is not listed."""
    listed = {"TrailKey", "HistoryTable", "OverflowBucketPolicy", "QuarantineBucketPolicy"}
    listed |= deployed(case).of_type("AWS::IAM::Role").keys()

    statements = {
        name
        for name, one in deployed(case).resources.items()
        if '"Statement"' in json.dumps(one) or "Permission" in one["Type"]
    }

    assert statements <= listed
