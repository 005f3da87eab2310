"""Checks of a deployment's tables and buckets."""

import json
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from reports.deployment.advice import Check, Verdict, fine, untold, wrong
from reports.deployment.stack import Consumer, TableRole
from reports.deployment.stack_reader import FAILED_BATCHES, Deployment, reason_of
from reports.inputs.keys import KeySchema
from stream_core.history_row import ID, SORT_KEY
from stream_core.retry import error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TableDescriptionTypeDef

_INDEX = "ByTime"
_INDEX_KEY = ["TimeBucket", SORT_KEY]
_INDEX_ATTRIBUTE = "EventName"
_OURS = (TableRole.HISTORY, TableRole.REPLICA)
# What the policy of the history table in template.yaml refuses.
_REWRITES = frozenset(
    f"dynamodb:{one}"
    for one in (
        "BatchWriteItem",
        "DeleteItem",
        "DeleteTable",
        "PartiQLDelete",
        "PartiQLUpdate",
        "PutItem",
        "UpdateItem",
        "UpdateTimeToLive",
    )
)


def table_checks(deployment: Deployment) -> Iterator[Check]:
    """What the tables must be like."""
    there = deployment.stack.table_roles

    def check(name: str, look: Any, *roles: TableRole) -> Iterator[Check]:
        for role in roles:
            if role in there:
                yield Check(name, deployment.table_name(role), partial(look, deployment, role))

    yield from check("table", _state, *TableRole)
    yield from check("key", _replica_key, TableRole.REPLICA)
    yield from check("key", _history_key, TableRole.HISTORY)
    yield from check(f"index {_INDEX}", _index, TableRole.HISTORY)
    yield from check("append-only", _append_only, TableRole.HISTORY)
    yield from check("deletion protection", _protection, *_OURS)
    yield from check("point-in-time recovery", _recovery, *_OURS, TableRole.SOURCE)
    yield from check("time to live", _expiry, *_OURS)


def bucket_checks(deployment: Deployment) -> Iterator[Check]:
    """What the buckets must be like, and that nothing waits in them."""
    consumers = deployment.stack.consumers
    if Consumer.HISTORY_WRITER in consumers:
        overflow = deployment.stack.overflow_bucket
        yield Check("versioning", overflow, partial(_versioning, deployment, overflow))
        yield Check("object lock", overflow, partial(_lock, deployment, overflow))
        yield Check("expiry", overflow, partial(_lifecycle, deployment, overflow))
    for what, prefix in (
        *((f"records of {one}", one.quarantine) for one in consumers),
        ("failed batches", FAILED_BATCHES),
    ):
        yield Check("kept aside", what, partial(_kept_aside, deployment, prefix))


def _state(deployment: Deployment, role: TableRole) -> Verdict:
    try:
        status = deployment.table(role)["TableStatus"]
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
        return wrong(
            f"there is no such {role} table in {deployment.region(role)}: {reason_of(error)}",
            "Look where it went: aws cloudformation describe-stacks --stack-name "
            f"{deployment.stack.name}",
        )
    if status == "ACTIVE":
        return fine(status)
    return wrong(status, f"Wait until it is ACTIVE: {_aws(deployment, role, 'describe-table')}")


def _replica_key(deployment: Deployment, role: TableRole) -> Verdict:
    source = _key_of(deployment.table(TableRole.SOURCE))
    replica = _key_of(deployment.table(role))
    if list(replica.types.items()) == list(source.types.items()):
        return fine(str(replica))
    names = zip(("Partition", "Sort"), source.types.items(), strict=False)
    parameters = [f"{part}KeyName={name} {part}KeyType={tag}" for part, (name, tag) in names]
    return wrong(
        f"its key is {replica}, the source's is {source}: nothing can be written",
        "A key cannot be changed: deploy another replica and then the stack with its name, e.g. "
        f"aws cloudformation deploy --region {deployment.region(role)} --template-file "
        f"replica.yaml --stack-name {deployment.stack.name}-replica-2 --parameter-overrides "
        f"{' '.join(parameters)}",
    )


def _history_key(deployment: Deployment, role: TableRole) -> Verdict:
    key = _key_of(deployment.table(role))
    if list(key.types.items()) == [(ID, "S"), (SORT_KEY, "S")]:
        return fine(str(key))
    return wrong(
        f"its key is {key}: this is no history table",
        "Look which table the stack made: aws cloudformation describe-stack-resources "
        f"--stack-name {deployment.stack.name}",
    )


def _index(deployment: Deployment, role: TableRole) -> Verdict:
    indexes = deployment.table(role).get("GlobalSecondaryIndexes", [])
    index: Any = next((one for one in indexes if one.get("IndexName") == _INDEX), None)
    if index is None:
        return wrong(
            "there is none: what changed in a range of time cannot be asked",
            f"Make it anew: {_making_the_index(deployment, role)}",
        )
    key = [one["AttributeName"] for one in index["KeySchema"]]
    projection = index["Projection"]
    has_event = projection["ProjectionType"] == "ALL" or _INDEX_ATTRIBUTE in projection.get(
        "NonKeyAttributes", []
    )
    if key != _INDEX_KEY or not has_event:
        return wrong(
            f"its key is {' and '.join(key)}, and it "
            f"{'holds' if has_event else 'does not hold'} {_INDEX_ATTRIBUTE}",
            f"Delete the index, then make it anew: {_making_the_index(deployment, role)}",
        )
    return _index_state(deployment, role, index.get("IndexStatus"))


def _index_state(deployment: Deployment, role: TableRole, status: str | None) -> Verdict:
    if status == "ACTIVE":
        return fine(status)
    ask = _aws(deployment, role, "describe-table")
    if status is None:
        return untold("the endpoint does not say whether it is ACTIVE", f"See for yourself: {ask}")
    return wrong(f"{status}: until it is ACTIVE it is not complete", f"Wait, and look again: {ask}")


def _append_only(deployment: Deployment, role: TableRole) -> Verdict:
    policy = deployment.resource_policy(role) or {}
    refused = {
        action
        for one in policy.get("Statement", [])
        if _refuses_all(one)
        for action in one["Action"]
    }
    missing = sorted(_REWRITES - refused)
    if not missing:
        return fine("its policy refuses to change or remove rows")
    return wrong(
        f"its policy does not refuse {', '.join(one.partition(':')[2] for one in missing)}: who is "
        "allowed that can change what was recorded",
        "Ask CloudTrail who called DeleteResourcePolicy or PutResourcePolicy, then put the policy "
        "of template.yaml back: aws dynamodb put-resource-policy --policy file://policy.json "
        f"--resource-arn {deployment.table(role)['TableArn']}",
    )


def _refuses_all(statement: Any) -> bool:
    """Whether it is for everybody, but for the one role that may break the glass."""
    condition = statement.get("Condition", {})
    return (
        statement["Effect"] == "Deny"
        and statement.get("Principal") in ("*", {"AWS": "*"})
        and not isinstance(statement.get("Action", ""), str)
        and all(
            operator == "ArnNotEquals" and list(keys) == ["aws:PrincipalArn"]
            for operator, keys in condition.items()
        )
    )


def _protection(deployment: Deployment, role: TableRole) -> Verdict:
    # An emulator may give a template's parameter back as the text it was.
    if str(deployment.table(role).get("DeletionProtectionEnabled")).lower() == "true":
        return fine("on")
    return wrong(
        "off: one call deletes the table and all that is in it",
        "Turn it on: " + _aws(deployment, role, "update-table", "--deletion-protection-enabled"),
    )


def _recovery(deployment: Deployment, role: TableRole) -> Verdict:
    if deployment.point_in_time_recovery(role):
        return fine("on")
    return wrong(
        "off: what is overwritten or deleted by mistake cannot be restored",
        "Turn it on: "
        + _aws(
            deployment,
            role,
            "update-continuous-backups",
            "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true",
        ),
    )


def _expiry(deployment: Deployment, role: TableRole) -> Verdict:
    found = deployment.time_to_live(role)
    if found.get("TimeToLiveStatus") not in ("ENABLED", "ENABLING"):
        return fine("off")
    attribute = found.get("AttributeName", "")
    return wrong(
        f"on, by the attribute {attribute}: "
        + (
            "rows of the history are deleted"
            if role is TableRole.HISTORY
            else "the replica deletes what the source still has"
        ),
        "Turn it off: "
        + _aws(
            deployment,
            role,
            "update-time-to-live",
            f"--time-to-live-specification Enabled=false,AttributeName={attribute}",
        ),
    )


def _versioning(deployment: Deployment, bucket: str) -> Verdict:
    if deployment.is_versioned(bucket):
        return fine("on")
    return wrong(
        "off: rows point at one version of an object, which can be overwritten now",
        f"Turn it on: aws s3api put-bucket-versioning --bucket {bucket} "
        "--versioning-configuration Status=Enabled",
    )


def _lock(deployment: Deployment, bucket: str) -> Verdict:
    retention = deployment.retention(bucket)
    if retention is not None:
        return fine(f"{retention.get('Mode')}, {retention.get('Days')} days")
    return wrong(
        "off: whoever may delete versions of objects can take images away from rows",
        "Turn it on, for as long as records have to be kept: aws s3api "
        f"put-object-lock-configuration --bucket {bucket} --object-lock-configuration "
        "'ObjectLockEnabled=Enabled,Rule={DefaultRetention={Mode=GOVERNANCE,Days=365}}'",
    )


def _lifecycle(deployment: Deployment, bucket: str) -> Verdict:
    expiring = [
        rule.get("ID", "unnamed")
        for rule in deployment.lifecycle(bucket)
        if rule["Status"] == "Enabled"
        and rule.keys() & {"Expiration", "NoncurrentVersionExpiration"}
    ]
    if not expiring:
        return fine("nothing expires")
    return wrong(
        f"objects expire by {', '.join(expiring)}: rows of the history lose their images",
        f"Take the rules out: aws s3api delete-bucket-lifecycle --bucket {bucket}",
    )


def _kept_aside(deployment: Deployment, prefix: str) -> Verdict:
    found = deployment.kept_aside(prefix)
    if not found.count:
        return fine("none")
    stack = deployment.stack
    where = f"s3://{stack.quarantine_bucket}/{prefix}"
    newest = "" if found.newest is None else f", the newest of {found.newest:%Y-%m-%dT%H:%M:%SZ}"
    return wrong(
        f"{'at least ' if found.at_least else ''}{found.count:,} waiting{newest}",
        f"Read the reason in them (aws s3 ls --recursive {where}), put it right and bring them "
        f"back: itemtrail redrive --stack {stack.name}",
    )


def _key_of(table: "TableDescriptionTypeDef") -> KeySchema:
    types = {one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]}
    return KeySchema(
        {one["AttributeName"]: types[one["AttributeName"]] for one in table["KeySchema"]}
    )


def _aws(deployment: Deployment, role: TableRole, command: str, options: str = "") -> str:
    where = f"--region {deployment.region(role)} --table-name {deployment.table_name(role)}"
    return f"aws dynamodb {command} {where} {options}".rstrip()


def _making_the_index(deployment: Deployment, role: TableRole) -> str:
    key = [
        {"AttributeName": name, "KeyType": kind}
        for name, kind in zip(_INDEX_KEY, ("HASH", "RANGE"), strict=True)
    ]
    projection = {"ProjectionType": "INCLUDE", "NonKeyAttributes": [_INDEX_ATTRIBUTE]}
    made = [{"Create": {"IndexName": _INDEX, "KeySchema": key, "Projection": projection}}]
    types = " ".join(f"AttributeName={name},AttributeType=S" for name in _INDEX_KEY)
    options = (
        f"--attribute-definitions {types} --global-secondary-index-updates '{json.dumps(made)}'"
    )
    return _aws(deployment, role, "update-table", options)
