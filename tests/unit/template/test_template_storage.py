"""The tables, buckets and keys of the template: shape, encryption, and what outlives the stack."""

import pytest

from tests.templates import (
    CASES,
    EVERY_OPTION,
    OWN_KEY,
    PLAIN,
    SAMPLE,
    STACK,
    Evaluation,
    deployed,
    transformed,
)

BUCKETS = ("OverflowBucket", "QuarantineBucket")


def _properties(case, resource):
    return deployed(case).properties(resource)


# ---- Tables --------------------------------------------------------------------------------


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
    assert table["TableName"] == f"{STACK}-history"
    assert table["BillingMode"] == "PAY_PER_REQUEST"


@pytest.mark.parametrize("table", ["HistoryTable", "ReplicaTable"])
def test_table_is_hard_to_lose(table):
    """The table refuses deletion, expires nothing, and can be restored to any second."""
    properties = _properties("plain", table)

    assert properties["DeletionProtectionEnabled"] is True
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    # Expiry is no user call: nothing could refuse it.
    assert "TimeToLiveSpecification" not in properties


@pytest.mark.parametrize("given", [{}, {"SortKeyName": "At", "SortKeyType": "N"}])
def test_replica_has_the_key_that_is_said(given):
    """The created replica, and a sample source, have the key of the parameters."""
    for case, name in ((PLAIN, "ReplicaTable"), (SAMPLE, "SampleSourceTable")):
        table = Evaluation(transformed(), case | given).properties(name)

        schema = [("Id", "HASH")] + ([("At", "RANGE")] if given else [])
        types = {"Id": "N"} | ({"At": "N"} if given else {})
        keys = [(one["AttributeName"], one["KeyType"]) for one in table["KeySchema"]]
        assert keys == schema
        attributes = table["AttributeDefinitions"]
        assert {one["AttributeName"]: one["AttributeType"] for one in attributes} == types
        assert table["BillingMode"] == "PAY_PER_REQUEST"


def test_sample_table_streams_both_images_and_goes_with_the_stack():
    """The sample source exists only when asked for, and its stream carries both images."""
    sample = _properties("sample", "SampleSourceTable")

    assert sample["TableName"] == "Employee"
    assert sample["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert "DeletionProtectionEnabled" not in sample


# ---- Buckets -------------------------------------------------------------------------------


@pytest.mark.parametrize("bucket", BUCKETS)
def test_bucket_is_private_versioned_and_kept(bucket):
    """A bucket keeps every version, expires nothing, and is open to nobody."""
    properties = _properties("plain", bucket)

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


@pytest.mark.parametrize(
    ("given", "mode", "days"),
    [
        ({}, "GOVERNANCE", 365),
        ({"OverflowLockMode": "COMPLIANCE", "OverflowLockDays": 2555}, "COMPLIANCE", 2555),
    ],
)
def test_overflow_bucket_is_locked(given, mode, days):
    """What overflowed cannot be deleted for as long, and by as few, as the parameters say."""
    bucket = Evaluation(transformed(), PLAIN | given).properties("OverflowBucket")

    assert bucket["ObjectLockEnabled"] is True
    assert bucket["ObjectLockConfiguration"] == {
        "ObjectLockEnabled": "Enabled",
        "Rule": {"DefaultRetention": {"Mode": mode, "Days": days}},
    }


def test_quarantine_bucket_is_not_locked():
    """What was brought back moves to another prefix, which a lock would forbid."""
    bucket = _properties("plain", "QuarantineBucket")

    assert not bucket.keys() & {"ObjectLockEnabled", "ObjectLockConfiguration"}


# ---- Encryption ----------------------------------------------------------------------------

# For each type that holds anything, the key in its properties.
KEYS = {
    "AWS::DynamoDB::Table": lambda one: one["SSESpecification"]["KMSMasterKeyId"],
    "AWS::S3::Bucket": lambda one: _default_encryption(one)["KMSMasterKeyID"],
    "AWS::Logs::LogGroup": lambda one: one["KmsKeyId"],
    "AWS::SQS::Queue": lambda one: one["KmsMasterKeyId"],
    "AWS::SNS::Topic": lambda one: one["KmsMasterKeyId"],
    "AWS::Lambda::Function": lambda one: one["KmsKeyArn"],
}
# What holds nothing of its own, or of whose content CloudFormation encrypts nothing.
HOLD_NOTHING = {
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::IAM::Role",
    "AWS::KMS::Alias",
    "AWS::KMS::Key",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::LayerVersion",
    "AWS::Logs::QueryDefinition",
    "AWS::S3::BucketPolicy",
}


def _default_encryption(bucket):
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["BucketKeyEnabled"] is True
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    return rule["ServerSideEncryptionByDefault"]


@pytest.mark.parametrize("case", CASES)
def test_everything_is_encrypted_with_the_key_of_the_trail(case):
    """Tables, buckets, logs, topic and functions use one key, the created or the given one."""
    key = OWN_KEY if CASES[case] is EVERY_OPTION else "<TrailKey.Arn>"

    for name, resource in deployed(case).resources.items():
        assert resource["Type"] in HOLD_NOTHING or resource["Type"] in KEYS
        if resource["Type"] in KEYS:
            assert KEYS[resource["Type"]](resource["Properties"]) == key, name
    assert deployed(case).outputs["KmsKeyArn"] == key


@pytest.mark.parametrize("case", CASES)
def test_tables_say_that_the_key_is_a_customers(case):
    """A key alone does not turn the encryption of a table on."""
    for table in deployed(case).of_type("AWS::DynamoDB::Table").values():
        encryption = table["Properties"]["SSESpecification"]
        assert encryption["SSEEnabled"] is True
        assert encryption["SSEType"] == "KMS"


def test_key_is_renewed_and_goes_slowly():
    """The created key is rotated yearly, has a name, and takes a month to be deleted."""
    key = _properties("plain", "TrailKey")

    assert key["EnableKeyRotation"] is True
    assert key["PendingWindowInDays"] == 30
    assert _properties("plain", "TrailKeyAlias") == {
        "AliasName": f"alias/{STACK}-trail",
        "TargetKeyId": "<TrailKey>",
    }


# ---- What outlives the stack ---------------------------------------------------------------

# Deletion protection would make the rollback of a first deployment fail: the tables stay in any
# case, and so does the key without which they cannot be read.
OUTLIVE = {"HistoryTable", "ReplicaTable", "TrailKey"}
UNLESS_BEGUN_IN_VAIN = {"OverflowBucket", "QuarantineBucket"}
UNLESS_BEGUN_IN_VAIN |= {"OverflowBucketPolicy", "QuarantineBucketPolicy"}
# Said, so that nobody takes it for forgotten; the rest holds nothing.
GO = {"SampleSourceTable", "HistoryWriterLogGroup", "ReplicaWriterLogGroup"}
GO |= {"SecondLookLogGroup", "SecondLookQueue", "SecondLookFailedQueue"}


@pytest.mark.parametrize("case", CASES)
def test_what_holds_records_outlives_the_stack(case):
    """History, replica, buckets, what guards these and the key stay when the stack goes.

    A first deployment that fails leaves no bucket that is empty.
    """
    for name, resource in deployed(case).resources.items():
        policies = {resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy")}
        if name in OUTLIVE:
            assert policies == {"Retain"}, name
        elif name in UNLESS_BEGUN_IN_VAIN:
            assert policies == {"Retain", "RetainExceptOnCreate"}, name
        elif name in GO:
            assert policies == {"Delete"}, name
        else:
            assert "Retain" not in policies, name


def test_nothing_that_holds_records_is_forgotten():
    """Every table, bucket, log and key is in one of the two lists, and both hold nothing else."""
    holding = {"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::Logs::LogGroup", "AWS::KMS::Key"}
    holding |= {"AWS::SQS::Queue", "AWS::S3::BucketPolicy"}
    resources = transformed()["Resources"].items()

    assert {
        name for name, one in resources if one["Type"] in holding
    } == OUTLIVE | UNLESS_BEGUN_IN_VAIN | GO
