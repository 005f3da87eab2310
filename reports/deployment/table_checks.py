"""Checks of a deployment's tables and buckets."""

import json
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from reports.access.by_time import INDEX
from reports.access.table_description import NOT_FOUND
from reports.deployment.advice import DeploymentCheck, Judgement, failed, passed, unclear
from reports.deployment.stack import Consumer, TableRole
from reports.deployment.stack_reader import (
    FAILED_BATCHES,
    FULL_RECOVERY_DAYS,
    StackReader,
    reason_of,
)
from reports.deployment.table_policy import append_only, control_rows
from reports.states.provenance import Provenance
from stream_core.history_row import ID, SORT_KEY
from stream_core.retry import error_code

_INDEX_KEY = ["TimeBucket", SORT_KEY]
_INDEX_ATTRIBUTE = "EventName"
_DEPLOYED = (TableRole.HISTORY, TableRole.REPLICA)


def table_checks(reader: StackReader) -> Iterator[DeploymentCheck]:
    """What the tables must be like."""
    deployed_roles = reader.stack.table_roles

    def check(name: str, judge: Any, *roles: TableRole) -> Iterator[DeploymentCheck]:
        for role in roles:
            if role in deployed_roles:
                yield DeploymentCheck(name, reader.table_name(role), partial(judge, reader, role))

    yield from check("table", _state, *TableRole)
    yield from check("key", _replica_key, TableRole.REPLICA)
    yield from check("key", _history_key, TableRole.HISTORY)
    yield from check(f"index {INDEX}", _index, TableRole.HISTORY)
    yield from check("provenance", _provenance, TableRole.HISTORY)
    yield from check("append-only", append_only, TableRole.HISTORY)
    yield from check("control rows", control_rows, TableRole.HISTORY)
    yield from check("deletion protection", _protection, *_DEPLOYED)
    yield from check("point-in-time recovery", _recovery, *_DEPLOYED, TableRole.SOURCE)
    yield from check("time to live", _expiry, *_DEPLOYED)


def bucket_checks(reader: StackReader) -> Iterator[DeploymentCheck]:
    """What the buckets must be like, and that nothing waits in them."""
    consumers = reader.stack.consumers
    if Consumer.HISTORY_WRITER in consumers:
        overflow = reader.stack.overflow_bucket
        yield DeploymentCheck("versioning", overflow, partial(_versioning, reader, overflow))
        yield DeploymentCheck("object lock", overflow, partial(_lock, reader, overflow))
        yield DeploymentCheck("expiry", overflow, partial(_lifecycle, reader, overflow))
    for what, prefix in (
        *((f"records of {consumer}", consumer.quarantine) for consumer in consumers),
        ("failed batches", FAILED_BATCHES),
    ):
        yield DeploymentCheck("kept aside", what, partial(_kept_aside, reader, prefix))


def _state(reader: StackReader, role: TableRole) -> Judgement:
    try:
        status = reader.table(role).status
    except ClientError as error:
        if error_code(error) != NOT_FOUND:
            raise
        return failed(
            f"there is no such {role} table in {reader.region(role)}: {reason_of(error)}",
            "See what became of it: aws cloudformation describe-stacks --stack-name "
            f"{reader.stack.name}",
        )
    if status == "ACTIVE":
        return passed(status)
    return failed(status, f"Wait until it is ACTIVE: {_aws(reader, role, 'describe-table')}")


def _replica_key(reader: StackReader, role: TableRole) -> Judgement:
    source, replica = reader.table(TableRole.SOURCE), reader.table(role)
    if replica.key == source.key:
        return passed(str(replica.key_schema))
    names = zip(("Partition", "Sort"), source.key, strict=False)
    parameters = [f"{part}KeyName={name} {part}KeyType={tag}" for part, (name, tag) in names]
    return failed(
        f"its key is {replica.key_schema}, the source's is {source.key_schema}: "
        "nothing can be written",
        "A key cannot be changed: deploy another replica and then the stack with its name, e.g. "
        f"aws cloudformation deploy --region {reader.region(role)} --template-file "
        f"replica.yaml --stack-name {reader.stack.name}-replica-2 --parameter-overrides "
        f"{' '.join(parameters)}",
    )


def _history_key(reader: StackReader, role: TableRole) -> Judgement:
    table = reader.table(role)
    if table.key == ((ID, "S"), (SORT_KEY, "S")):
        return passed(str(table.key_schema))
    return failed(
        f"its key is {table.key_schema}: this is no history table",
        "Look which table the stack made: aws cloudformation describe-stack-resources "
        f"--stack-name {reader.stack.name}",
    )


def _index(reader: StackReader, role: TableRole) -> Judgement:
    indexes = reader.table(role).fields.get("GlobalSecondaryIndexes", [])
    index: Any = next((entry for entry in indexes if entry.get("IndexName") == INDEX), None)
    if index is None:
        return failed(
            "there is none: changes in a range of time cannot be queried",
            f"Create it again: {_index_command(reader, role)}",
        )
    key = [attribute["AttributeName"] for attribute in index["KeySchema"]]
    projection = index["Projection"]
    has_event = projection["ProjectionType"] == "ALL" or _INDEX_ATTRIBUTE in projection.get(
        "NonKeyAttributes", []
    )
    if key != _INDEX_KEY or not has_event:
        return failed(
            f"its key is {' and '.join(key)}, and it "
            f"{'holds' if has_event else 'does not hold'} {_INDEX_ATTRIBUTE}",
            f"Delete the index, then create it again: {_index_command(reader, role)}",
        )
    return _index_state(reader, role, index.get("IndexStatus"))


def _index_state(reader: StackReader, role: TableRole, status: str | None) -> Judgement:
    if status == "ACTIVE":
        return passed(status)
    ask = _aws(reader, role, "describe-table")
    if status is None:
        return unclear("the endpoint does not say whether it is ACTIVE", f"Check it: {ask}")
    return failed(
        f"{status}: until it is ACTIVE it is not complete", f"Wait, and look again: {ask}"
    )


def _provenance(reader: StackReader, role: TableRole) -> Judgement:
    source = reader.table(TableRole.SOURCE)
    followed = Provenance(source.arn or source.name)
    arns = [row.get("EventSourceARN", {}).get("S", "") for row in reader.some_history_rows()]
    foreign = Counter(arn for arn in arns if not followed.is_followed(arn))
    looked_at = f"{len(arns)} rows that a scan meets first"
    if not arns:
        return passed("no row was met that could be of another table")
    if not foreign:
        return passed(f"none of the {looked_at} is of another table; verify reads all")
    names = ", ".join(f"{arn or 'no table'} ({count})" for arn, count in foreign.most_common())
    function = reader.stack.function(Consumer.HISTORY_WRITER)
    return failed(
        f"{foreign.total()} of the {looked_at} are not of {followed.table}, but of {names}",
        f"List all such rows as FOREIGN: itemtrail verify --stack {reader.stack.name}; and see "
        "what the function reads: aws lambda list-event-source-mappings "
        f"--region {reader.region(role)} --function-name {function}",
    )


def _protection(reader: StackReader, role: TableRole) -> Judgement:
    # An emulator may give a template's parameter back as the text it was.
    if str(reader.table(role).fields.get("DeletionProtectionEnabled")).lower() == "true":
        return passed("on")
    return failed(
        "off: one call deletes the table and all that is in it",
        "Turn it on: " + _aws(reader, role, "update-table", "--deletion-protection-enabled"),
    )


def _recovery(reader: StackReader, role: TableRole) -> Judgement:
    days = reader.recovery_days(role)
    # How far back the source goes is its owner's to say.
    wanted = FULL_RECOVERY_DAYS if role in _DEPLOYED else 1
    if days >= wanted:
        return passed(f"on, {days} days back")
    period = f",RecoveryPeriodInDays={wanted}" if days else ""
    return failed(
        f"{days} days back instead of {wanted}: what was lost before that cannot be restored"
        if days
        else "off: what is overwritten or deleted by mistake cannot be restored",
        "Set it: "
        + _aws(
            reader,
            role,
            "update-continuous-backups",
            "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true" + period,
        ),
    )


def _expiry(reader: StackReader, role: TableRole) -> Judgement:
    expiry = reader.time_to_live(role)
    if expiry.get("TimeToLiveStatus") not in ("ENABLED", "ENABLING"):
        return passed("off")
    attribute = expiry.get("AttributeName", "")
    return failed(
        f"on, by the attribute {attribute}: "
        + (
            "rows of the history are deleted"
            if role is TableRole.HISTORY
            else "the replica deletes what the source still has"
        ),
        "Turn it off: "
        + _aws(
            reader,
            role,
            "update-time-to-live",
            f"--time-to-live-specification Enabled=false,AttributeName={attribute}",
        ),
    )


def _versioning(reader: StackReader, bucket: str) -> Judgement:
    if reader.is_versioned(bucket):
        return passed("on")
    return failed(
        "off: rows point at one version of an object, which can be overwritten now",
        f"Turn it on: aws s3api put-bucket-versioning --bucket {bucket} "
        "--versioning-configuration Status=Enabled",
    )


def _lock(reader: StackReader, bucket: str) -> Judgement:
    retention: Any = reader.retention(bucket) or {}
    parameters = reader.stack.parameters
    # A stack that was deployed long ago says neither.
    mode, days = parameters.get("OverflowLockMode", ""), int(parameters.get("OverflowLockDays", 0))
    locked_days = retention.get("Days", 0) + 365 * retention.get("Years", 0)
    lock = f"{retention.get('Mode')}, {locked_days} days" if retention else "off"
    if retention and mode in ("", retention.get("Mode")) and locked_days >= max(1, days):
        return passed(lock)
    wanted = f"Mode={mode or 'GOVERNANCE'},Days={days or 365}"
    return failed(
        f"{lock}, and the stack was given {mode}, {days} days: images of rows can be removed "
        "sooner, or by others"
        if retention
        else "off: a principal that may delete object versions can remove the images of rows",
        "Set it as the stack has it, for objects to come: aws s3api "
        f"put-object-lock-configuration --bucket {bucket} --object-lock-configuration "
        f"'ObjectLockEnabled=Enabled,Rule={{DefaultRetention={{{wanted}}}}}'",
    )


def _lifecycle(reader: StackReader, bucket: str) -> Judgement:
    expiry_rules = [
        rule.get("ID", "unnamed")
        for rule in reader.lifecycle(bucket)
        if rule["Status"] == "Enabled"
        and rule.keys() & {"Expiration", "NoncurrentVersionExpiration"}
    ]
    if not expiry_rules:
        return passed("nothing expires")
    return failed(
        f"objects expire by {', '.join(expiry_rules)}: rows of the history lose their images",
        f"Take the rules out: aws s3api delete-bucket-lifecycle --bucket {bucket}",
    )


def _kept_aside(reader: StackReader, prefix: str) -> Judgement:
    kept = reader.kept_aside(prefix)
    if not kept.count:
        return passed("none")
    stack = reader.stack
    where = f"s3://{stack.quarantine_bucket}/{prefix}"
    newest = "" if kept.newest is None else f", the newest of {kept.newest:%Y-%m-%dT%H:%M:%SZ}"
    return failed(
        f"{'at least ' if kept.at_least else ''}{kept.count:,} waiting{newest}",
        f"Read the reason in them (aws s3 ls --recursive {where}), put it right and bring them "
        f"back: itemtrail redrive --stack {stack.name}",
    )


def _aws(reader: StackReader, role: TableRole, command: str, options: str = "") -> str:
    where = f"--region {reader.region(role)} --table-name {reader.table_name(role)}"
    return f"aws dynamodb {command} {where} {options}".rstrip()


def _index_command(reader: StackReader, role: TableRole) -> str:
    key = [
        {"AttributeName": name, "KeyType": kind}
        for name, kind in zip(_INDEX_KEY, ("HASH", "RANGE"), strict=True)
    ]
    projection = {"ProjectionType": "INCLUDE", "NonKeyAttributes": [_INDEX_ATTRIBUTE]}
    made = [{"Create": {"IndexName": INDEX, "KeySchema": key, "Projection": projection}}]
    types = " ".join(f"AttributeName={name},AttributeType=S" for name in _INDEX_KEY)
    options = (
        f"--attribute-definitions {types} --global-secondary-index-updates '{json.dumps(made)}'"
    )
    return _aws(reader, role, "update-table", options)
