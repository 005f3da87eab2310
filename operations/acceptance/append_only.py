"""Whether rows can be added and not changed: by the function, and by who may do anything else."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from operations.acceptance.belief import (
    DENIALS,
    AttemptResult,
    Belief,
    UntriedError,
    confirmed,
    is_denied,
    not_tried,
    refuted,
    table_denies,
)
from operations.acceptance.simulator import ALLOWED, SimulatedRequest, decision
from operations.acceptance.trial import NAME, Trial
from stream_core.history_row import ID, SORT_KEY

_TEMPLATE = "template.yaml"
_NO_POLICIES = "the emulator enforces no policy of a table"
_SUCCESS = "no error"
_CONDITION_FAILED = "ConditionalCheckFailedException"
_SESSION = ":assumed-role/"
# By the codes that each batch's log line counts: CloudWatch Logs User Guide, filter pattern syntax.
_DENIED_BATCHES = f"{{ {' || '.join(f'($.errors.{code} > 0)' for code in sorted(DENIALS))} }}"
# No row has this key, and none is made with it.
_NO_ROW = {ID: {"S": NAME}, SORT_KEY: {"S": "0"}}
# Can never hold: a call that nothing denies changes nothing.
_NEVER = {
    "ConditionExpression": "attribute_exists(#id) AND attribute_not_exists(#id)",
    "ExpressionAttributeNames": {"#id": ID},
}
KEY_FIELDS = f"{{'{ID}': ?, '{SORT_KEY}': ?}}"
"""What an INSERT says of a row that is there already: its key is enough to be a duplicate."""
_OF_NO_ROW = f'WHERE "{ID}" = ? AND "{SORT_KEY}" = ?'


def insert_is_allowed(trial: Trial) -> AttemptResult:
    """The deployed function has written the canary's row, under its role and the table's policy."""
    if trial.canary.row is not None:
        return confirmed(f"the function wrote the row {trial.canary.row.sort_key}")
    began = int(trial.canary.began.timestamp() * 1000)
    pages = (
        trial.client("logs")
        .get_paginator("filter_log_events")
        .paginate(
            logGroupName=f"/aws/lambda/{trial.stack.name}-history-writer",
            startTime=began,
            filterPattern=_DENIED_BATCHES,
        )
    )
    # A page may be empty and not the last.
    if any(page["events"] for page in pages):
        return refuted(
            "no row came, and the function's writes were answered by a denial since then"
        )
    return not_tried(
        "no row came, and none of the function's writes was denied: see put-becomes-row"
    )


def _put(trial: Trial) -> None:
    trial.client("dynamodb").put_item(TableName=_history(trial), Item=_NO_ROW, **_NEVER)


def _update(trial: Trial) -> None:
    trial.client("dynamodb").update_item(TableName=_history(trial), Key=_NO_ROW, **_NEVER)


def _delete(trial: Trial) -> None:
    trial.client("dynamodb").delete_item(TableName=_history(trial), Key=_NO_ROW, **_NEVER)


def _batch_write(trial: Trial) -> None:
    # It takes no condition; to delete what is not there changes nothing.
    requests = {_history(trial): [{"DeleteRequest": {"Key": _NO_ROW}}]}
    trial.client("dynamodb").batch_write_item(RequestItems=requests)


def _partiql_update(trial: Trial) -> None:
    # PartiQL's UPDATE makes no item.
    _execute(trial, 'UPDATE "{}" SET "Digest" = 1')


def _partiql_delete(trial: Trial) -> None:
    _execute(trial, 'DELETE FROM "{}"')


def _expire(trial: Trial) -> None:
    # To turn off what is off changes nothing.
    trial.client("dynamodb").update_time_to_live(
        TableName=_history(trial),
        TimeToLiveSpecification={"Enabled": False, "AttributeName": "Expires"},
    )


def _execute(trial: Trial, statement: str) -> None:
    """Carry out a statement about the history's row that is not there."""
    trial.client("dynamodb").execute_statement(
        Statement=f"{statement.format(_history(trial))} {_OF_NO_ROW}",
        Parameters=list(_NO_ROW.values()),
    )


def _history(trial: Trial) -> str:
    return trial.stack.history_table


def _denied(
    action: str, call: Callable[[Trial], None], passed: str = _CONDITION_FAILED
) -> Callable[[Trial], AttemptResult]:
    """An attempt: the table's policy denies a call to whoever runs this."""

    def attempt(trial: Trial) -> AttemptResult:
        break_glass = trial.stack.parameters.get("BreakGlassRoleArn", "")
        if break_glass and _role_name(break_glass) == _role_name(trial.caller):
            return not_tried("these are the break-glass role's credentials, which may")
        return table_denies(
            lambda: call(trial), passed=passed, allows=lambda: _own_policies_allow(trial, action)
        )

    return attempt


def _own_policies_allow(trial: Trial, action: str) -> bool:
    """Whether IAM's simulator has the caller's own policies allow an action on the history.

    Those of its organization are among them; a root user, or who may not ask, is not known of.
    """
    caller = trial.caller
    try:
        if _SESSION in caller:
            # A session does not say where its role is.
            caller = trial.client("iam").get_role(RoleName=_role_name(caller))["Role"]["Arn"]
        request = SimulatedRequest(f"dynamodb:{action}", trial.table_arn(_history(trial)), True)
        return decision(trial, caller, request) == ALLOWED
    except (ClientError, UntriedError):
        return False


def _role_name(arn: str) -> str:
    """The name of a role, by its own ARN or by that of a session of it."""
    parts = arn.split("/")
    return parts[1] if _SESSION in arn else parts[-1]


def duplicate_is_charged(trial: Trial) -> AttemptResult:
    """INSERT the canary's row once more: it is there, and so nothing can be written."""
    row = trial.row
    fields = {ID: {"S": row.id}, SORT_KEY: {"S": row.sort_key}}
    answer: Any = trial.client("dynamodb").batch_execute_statement(
        Statements=[
            {
                "Statement": f'INSERT INTO "{_history(trial)}" VALUE {KEY_FIELDS}',
                "Parameters": list(fields.values()),
            }
        ],
        ReturnConsumedCapacity="TOTAL",
    )
    (response,) = answer["Responses"]
    code = response.get("Error", {}).get("Code", _SUCCESS)
    if is_denied(code):
        return not_tried(f"these credentials may not insert: {code}")
    if "Duplicate" not in code:
        text = f"the INSERT of a row that is there was answered with {code}"
        return refuted(text) if code == _SUCCESS else not_tried(text)
    if not (used := answer.get("ConsumedCapacity")):
        return not_tried(f"{code}, and the answer does not say what it cost")
    units = sum(entry["CapacityUnits"] for entry in used)
    text = f"{code}, and {units:g} write units"
    return confirmed(text) if units else refuted(text)


def recovery_is_on(trial: Trial) -> AttemptResult:
    """Point-in-time recovery, which CloudFormation turns on when the policy is there already."""
    backups = trial.client("dynamodb").describe_continuous_backups(TableName=_history(trial))
    recovery = backups["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    status = recovery.get("PointInTimeRecoveryStatus")
    if status is None:
        return not_tried("the answer does not say whether point-in-time recovery is on")
    text = f"point-in-time recovery of the history is {status}"
    return confirmed(text) if status == "ENABLED" else refuted(text)


def _belief(
    name: str, sentence: str, attempt: Callable[[Trial], AttemptResult], untried: str = _NO_POLICIES
) -> Belief:
    return Belief(name, sentence, _TEMPLATE, attempt, untried)


BELIEFS = (
    _belief(
        "insert-is-allowed",
        "A PartiQL INSERT needs dynamodb:PartiQLInsert and none of the other PartiQL rights, also "
        "through BatchExecuteStatement and under the table's policy.",
        insert_is_allowed,
        "the emulator enforces no rights",
    ),
    _belief(
        "put-item-denied",
        "The table's policy denies PutItem on the history, to an administrator too.",
        _denied("PutItem", _put),
    ),
    _belief(
        "update-item-denied",
        "The table's policy denies UpdateItem on the history, to an administrator too.",
        _denied("UpdateItem", _update),
    ),
    _belief(
        "delete-item-denied",
        "The table's policy denies DeleteItem on the history, to an administrator too.",
        _denied("DeleteItem", _delete),
    ),
    _belief(
        "batch-write-denied",
        "The table's policy denies BatchWriteItem on the history, to an administrator too.",
        _denied("BatchWriteItem", _batch_write),
    ),
    _belief(
        "partiql-update-denied",
        "The table's policy denies a PartiQL UPDATE of the history, to an administrator too.",
        _denied("PartiQLUpdate", _partiql_update),
    ),
    _belief(
        "partiql-delete-denied",
        "The table's policy denies a PartiQL DELETE from the history, to an administrator too.",
        _denied("PartiQLDelete", _partiql_delete),
    ),
    _belief(
        "time-to-live-denied",
        "The table's policy denies UpdateTimeToLive on the history, to an administrator too.",
        _denied("UpdateTimeToLive", _expire, "ValidationException"),
    ),
    _belief(
        "recovery-is-on",
        "CloudFormation turns point-in-time recovery on although the table's policy is there "
        "already.",
        recovery_is_on,
        "the emulator ignores point-in-time recovery in a template",
    ),
    Belief(
        "duplicate-is-charged",
        "An INSERT that is refused as a duplicate costs write units.",
        "docs/deployment.md",
        duplicate_is_charged,
        "the emulator charges nothing",
    ),
)
