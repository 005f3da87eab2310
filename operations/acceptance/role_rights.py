"""What roles of the stack may and may not, asked with that role and no other."""

from contextlib import closing
from typing import Any

from botocore.exceptions import ClientError

from operations.acceptance.append_only import KEY_FIELDS
from operations.acceptance.belief import (
    AttemptResult,
    Belief,
    confirmed,
    is_denied,
    not_tried,
    refuted,
    request_text,
)
from operations.acceptance.kept_objects import take_away
from operations.acceptance.probe import ProbeAnswer, ask
from operations.acceptance.trial import Trial
from reports.access.clients import CLIENT_CONFIG
from reports.deployment.stack import Consumer
from stream_core.history_row import DIGEST, ID, SORT_KEY, HistoryRow
from stream_core.item_id import CONTROL_ID
from stream_core.retry import error_code

_TEMPLATE = "template.yaml"
_NO_RIGHTS = "the emulator enforces no rights"
_DIGEST_ALONE = {
    "ProjectionExpression": "#id, #time, #digest",
    "ExpressionAttributeNames": {"#id": ID, "#time": SORT_KEY, "#digest": DIGEST},
}


def role_inserts_alone(trial: Trial) -> AttemptResult:
    """INSERT reaches the table, where the row is already; nothing else does."""
    table, row = trial.stack.history_table, trial.row
    # Nothing of them could change a row if they were allowed: the conditions never hold.
    never: Any = {
        "TableName": table,
        "ConditionExpression": "attribute_exists(#id) AND attribute_not_exists(#id)",
        "ExpressionAttributeNames": {"#id": ID},
    }
    key = _key(row)
    changes = [
        ask(trial, "put_item", Item=key, **never),
        ask(trial, "update_item", Key=key, **never),
        ask(trial, "delete_item", Key=key, **never),
    ]
    return _judged([_insert(trial, row.id, row.sort_key)], changes)


def control_rows_are_denied(trial: Trial) -> AttemptResult:
    """INSERT of a control row that is there already, so that nothing could be written."""
    stored = next(trial.canary.tables.reader.control_items(), None)
    if stored is None:
        return not_tried(
            "the history has no control row yet, and none is invented: itemtrail enable "
            f"{trial.stack.source_table} --history-table {trial.stack.history_table} --apply "
            "writes one"
        )
    inserted = _insert(trial, trial.row.id, trial.row.sort_key)
    if inserted.is_denied:
        return not_tried(f"{inserted}, of any row: see role-inserts-alone")
    return _judged([inserted], [_insert(trial, CONTROL_ID, stored[SORT_KEY]["S"])])


def whole_rows_are_not_read(trial: Trial) -> AttemptResult:
    """A read of the canary's row that names no attributes is denied, and one of its digest not."""
    table, key = trial.stack.history_table, _key(trial.row)
    whole = ask(trial, "batch_get_item", RequestItems={table: {"Keys": [key]}})
    digest = ask(
        trial,
        "batch_get_item",
        RequestItems={table: {"Keys": [key], **_DIGEST_ALONE}},
    )
    return _judged([digest], [whole])


def key_is_used_through_s3(trial: Trial) -> AttemptResult:
    """An object of the quarantine bucket, which encrypts it with the trail's key."""
    key = f"{Consumer.HISTORY_WRITER.quarantine}{trial.name}"
    trial.clean_up.later("the object in quarantine", lambda: take_away(trial, key))
    place = {"Bucket": trial.stack.quarantine_bucket, "Key": key}
    return _judged([ask(trial, "put_object", service="s3", **place, Body=trial.name)], [])


def reader_sees_its_stack(trial: Trial) -> AttemptResult:
    """The report reader's role may describe the stack by its name."""
    role = trial.output("ReportReaderRoleArn")
    answer = trial.client("sts").assume_role(RoleArn=role, RoleSessionName=trial.name)
    credentials = answer["Credentials"]
    tables = trial.canary.tables
    formation: Any = tables.session.client(
        "cloudformation",
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
        endpoint_url=tables.endpoint_url,
        config=CLIENT_CONFIG,
    )
    with closing(formation):
        try:
            formation.describe_stacks(StackName=trial.stack.name)
        except ClientError as error:
            text = request_text(error)
            return refuted(text) if is_denied(error_code(error)) else not_tried(text)
    return confirmed("DescribeStacks by the stack's name was answered")


def _judged(rights: list[ProbeAnswer], denied: list[ProbeAnswer]) -> AttemptResult:
    """What answers show that have to be carried out, and others that have to be denied.

    An answer that is neither, as of a throttle, shows nothing.
    """
    text = ", ".join(map(str, [*rights, *denied]))
    if any(answer.is_denied for answer in rights) or any(
        answer.is_carried_out for answer in denied
    ):
        return refuted(text)
    is_clear = all(answer.is_carried_out for answer in rights) and all(
        answer.is_denied for answer in denied
    )
    return confirmed(text) if is_clear else not_tried(text)


def _insert(trial: Trial, identifier: str, sort_key: str) -> ProbeAnswer:
    statement = f'INSERT INTO "{trial.stack.history_table}" VALUE {KEY_FIELDS}'
    parameters = [{"S": identifier}, {"S": sort_key}]
    return ask(
        trial,
        "batch_execute_statement",
        Statements=[{"Statement": statement, "Parameters": parameters}],
    )


def _key(row: HistoryRow) -> dict[str, dict[str, str]]:
    return {ID: {"S": row.id}, SORT_KEY: {"S": row.sort_key}}


BELIEFS = (
    Belief(
        "role-inserts-alone",
        "With the history writer's role INSERT reaches the table; PutItem, UpdateItem and "
        "DeleteItem are refused.",
        _TEMPLATE,
        role_inserts_alone,
        _NO_RIGHTS,
    ),
    Belief(
        "control-rows-are-denied",
        "DynamoDB gives a PartiQL INSERT its dynamodb:LeadingKeys, so that the writer's role is "
        "denied the partition of control rows.",
        _TEMPLATE,
        control_rows_are_denied,
        _NO_RIGHTS,
    ),
    Belief(
        "whole-rows-are-not-read",
        "The writer's role reads a row's digest by BatchGetItem; a read that names no attributes "
        "is refused.",
        _TEMPLATE,
        whole_rows_are_not_read,
        _NO_RIGHTS,
    ),
    Belief(
        "via-service-of-partition",
        "In every partition KMS names the service that uses a key as SERVICE.REGION and a suffix "
        "(kms:ViaService), so that the writer's role may use the trail's key through S3.",
        _TEMPLATE,
        key_is_used_through_s3,
        _NO_RIGHTS,
    ),
    Belief(
        "reader-sees-its-stack",
        "The report reader's role may describe its stack by the name alone.",
        _TEMPLATE,
        reader_sees_its_stack,
        _NO_RIGHTS,
    ),
)
