"""Locks and keys: what protects the objects, and who may use the key of it all."""

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from botocore.exceptions import ClientError

from operations.acceptance.belief import (
    AttemptResult,
    Belief,
    UntriedError,
    confirmed,
    is_denied,
    not_tried,
    refuted,
    request_text,
)
from operations.acceptance.trial import Trial
from stream_core.retry import error_code

_OVERFLOW_WAIT = "no row with an overflow object came: see put-becomes-row"
_NAME = "object"
_A_DAY = timedelta(days=1)


def overflow_is_locked(trial: Trial) -> AttemptResult:
    """The canary's overflow object is locked as long as the stack says, and cannot be deleted."""
    if trial.canary.row is None:
        return not_tried(_OVERFLOW_WAIT)
    row = trial.canary.grow()
    if row is None or row.overflow is None:
        return not_tried(_OVERFLOW_WAIT)
    place: Any = {"Bucket": row.overflow.bucket, "Key": row.overflow.key}
    place["VersionId"] = row.overflow.version_id
    s3, mode_wanted = trial.client("s3"), trial.parameter("OverflowLockMode")
    retention = s3.get_object_retention(**place)["Retention"]
    until, mode = retention["RetainUntilDate"], retention["Mode"]
    trial.clean_up.stays.append(
        f"the object {row.overflow.key} of the overflow bucket, locked until {until:%Y-%m-%d}"
    )
    days = timedelta(days=int(trial.parameter("OverflowLockDays")))
    text = f"{mode} until {until:%Y-%m-%d}"
    if mode != mode_wanted or until < trial.canary.began + days - _A_DAY:
        return refuted(f"{text}; the stack says {mode_wanted}, {days.days} days")
    refusal = _lock_refusal(trial, place)
    if refusal is None:
        return refuted(f"{text}, but its version could be deleted")
    return confirmed(f"{text}; {refusal}")


def customer_key_under_lock(trial: Trial) -> AttemptResult:
    """A temporary bucket with Object Lock takes an object under a key that only we have."""
    bucket = _bucket(trial, "sse-c", ObjectLockEnabledForBucket=True)
    s3 = trial.client("s3")
    # Buckets made since April 2026 refuse such keys otherwise.
    s3.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={
            "Rules": [{"BlockedEncryptionTypes": {"EncryptionType": ["NONE"]}}]
        },
    )
    until = trial.machine.now() + _A_DAY
    refusal = _refusal(
        lambda: s3.put_object(
            Bucket=bucket,
            Key=_NAME,
            Body=b"canary",
            SSECustomerAlgorithm="AES256",
            SSECustomerKey=os.urandom(32),
            ObjectLockMode="GOVERNANCE",
            ObjectLockRetainUntilDate=until,
        )
    )
    if refusal is not None:
        return refuted(refusal)
    (version,) = s3.list_object_versions(Bucket=bucket)["Versions"]
    place = {"Bucket": bucket, "Key": _NAME, "VersionId": version["VersionId"]}
    refusal = _lock_refusal(trial, place)
    if refusal is None:
        return refuted("the object was put, but its version could be deleted")
    return confirmed(f"the object was put, and is locked; {refusal}")


def put_without_condition_is_denied(trial: Trial) -> AttemptResult:
    """A temporary bucket whose policy denies a put that does not name `If-None-Match`."""
    bucket = _bucket(trial, "condition")
    s3, resource = trial.client("s3"), f"arn:{trial.partition}:s3:::{bucket}/*"
    s3.put_bucket_policy(
        Bucket=bucket,
        Policy=(
            '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", '
            f'"Action": "s3:PutObject", "Resource": "{resource}", '
            '"Condition": {"Null": {"s3:if-none-match": "true"}}}]}'
        ),
    )
    refusal = _refusal(lambda: s3.put_object(Bucket=bucket, Key=_NAME, Body=b"canary"))
    if refusal is None:
        return refuted("a put without If-None-Match was taken")
    also = _refusal(
        lambda: s3.put_object(Bucket=bucket, Key=_NAME, Body=b"canary", IfNoneMatch="*")
    )
    if also is not None:
        return refuted(f"also with If-None-Match {also}")
    return confirmed(f"without If-None-Match {refusal}; with it the object was put")


def key_has_grants(trial: Trial) -> AttemptResult:
    """DynamoDB holds a grant of the trail's key for the history."""
    pages = trial.client("kms").get_paginator("list_grants")
    grants = [
        grant
        for page in pages.paginate(KeyId=trial.output("KmsKeyArn"))
        for grant in page["Grants"]
    ]
    tables = {
        context.get("aws:dynamodb:tableName")
        for grant in grants
        for context in grant.get("Constraints", {}).values()
    }
    text = f"{len(grants)} grants, for the tables {', '.join(sorted(filter(None, tables)))}"
    return confirmed(text) if trial.stack.history_table in tables else refuted(text)


def _bucket(trial: Trial, what: str, **more: Any) -> str:
    """A temporary bucket, empty when it is taken away."""
    s3, name = trial.client("s3"), f"{trial.name}-{what}"
    if trial.region != "us-east-1":
        more["CreateBucketConfiguration"] = {"LocationConstraint": trial.region}
    with trial.clean_up.making(f"the bucket {name}", lambda: _remove(s3, name)):
        s3.create_bucket(Bucket=name, **more)
    return name


def _remove(s3: Any, bucket: str) -> None:
    try:
        versions = s3.list_object_versions(Bucket=bucket).get("Versions", [])
    except ClientError as error:
        if error_code(error) == "NoSuchBucket":
            return
        raise
    for version in versions:
        place = {"Bucket": bucket, "Key": version["Key"], "VersionId": version["VersionId"]}
        s3.delete_object(**place, BypassGovernanceRetention=True)
    s3.delete_bucket(Bucket=bucket)


def _lock_refusal(trial: Trial, version: dict[str, str]) -> str | None:
    """How Object Lock denied the deletion of an object's version; None: nothing denied it.

    Raises:
        UntriedError: the caller may delete no version of the object, locked or not.
    """
    s3 = trial.client("s3")
    place = {"Bucket": version["Bucket"], "Key": version["Key"]}
    # No lock holds a delete marker: who may delete that one's version is denied by the lock alone.
    # Readers name the object's version, and are not hindered meanwhile.
    marker = s3.delete_object(**place)["VersionId"]

    def remove() -> None:
        s3.delete_object(**place, VersionId=marker)

    trial.clean_up.later(f"the delete marker on {version['Key']}", remove)
    if (refusal := _refusal(remove)) is not None:
        raise UntriedError(f"{refusal}, of a version that nothing locks")
    return _refusal(lambda: s3.delete_object(**version))


def _refusal(call: Callable[[], object]) -> str | None:
    """How a call was denied; None: it was not."""
    try:
        call()
    except ClientError as error:
        if not is_denied(error_code(error)):
            raise
        return request_text(error)
    return None


BELIEFS = (
    Belief(
        "overflow-is-locked",
        "An overflow object is locked for as long as the stack says, and its version cannot be "
        "deleted meanwhile.",
        "template.yaml",
        overflow_is_locked,
        "the emulator ignores Object Lock in a template",
    ),
    Belief(
        "customer-key-under-lock",
        "S3 takes an object under a customer's own key (SSE-C) into a bucket with Object Lock that "
        "does not block such keys.",
        "docs/deployment.md",
        customer_key_under_lock,
    ),
    Belief(
        "put-without-condition-denied",
        "A bucket's policy can deny a put that does not name If-None-Match (s3:if-none-match).",
        "docs/deployment.md",
        put_without_condition_is_denied,
        "the emulator enforces no policy of a bucket",
    ),
    Belief(
        "key-has-grants",
        "DynamoDB uses the trail's key through grants that it holds for the history.",
        "template.yaml",
        key_has_grants,
        "the emulator makes no grants",
    ),
)
