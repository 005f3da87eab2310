"""Whether the policy of the history table is the one that its stack gave it."""

from collections.abc import Mapping, Sequence
from typing import Any

from reports.deployment.advice import Judgement, failed, passed
from reports.deployment.stack import TableRole
from reports.deployment.stack_reader import StackReader
from stream_core.item_id import CONTROL_ID

REWRITES = frozenset(
    f"dynamodb:{action}"
    for action in (
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
"""What the policy of the history table in template.yaml refuses."""
_INSERT = "dynamodb:PartiQLInsert"


def append_only(reader: StackReader, role: TableRole) -> Judgement:
    """Whether the history's policy refuses everybody but break glass to change a row."""
    break_glass = reader.stack.parameters.get("BreakGlassRoleArn", "")
    spared = {"ArnNotEquals": {"aws:PrincipalArn": break_glass}}
    refused = _refused(reader, role, [{}, spared] if break_glass else [{}])
    missing = [action.partition(":")[2] for action in sorted(REWRITES - refused)]
    who = f"everybody but {break_glass}" if break_glass else "everybody"
    if not missing:
        return passed(f"its policy refuses {who} to change or remove rows")
    return failed(
        f"its policy does not refuse {', '.join(missing)}: to be denied is {who}, on the table "
        "itself and on no other condition; as it is, what was recorded can be changed",
        _put_back(reader, role),
    )


def control_rows(reader: StackReader, role: TableRole) -> Judgement:
    """Whether the history's policy refuses the writer's role to insert control rows."""
    stack, arn = reader.stack, reader.table(role).arn or ""
    _, partition, _, _, account, *_ = f"{arn}:::::".split(":")
    writer = f"arn:{partition}:iam::{account}:role/{stack.name}-HistoryWriterRole-*"
    condition = {
        "ForAnyValue:StringEquals": {"dynamodb:LeadingKeys": CONTROL_ID},
        "ArnLike": {"aws:PrincipalArn": writer},
    }
    if _INSERT in _refused(reader, role, [condition]):
        return passed(f"its policy refuses {writer} to insert {CONTROL_ID}")
    return failed(
        f"its policy does not refuse {writer} to insert {CONTROL_ID}: its own policy alone does, "
        "and whoever may change that could have the function forge runs and marks",
        _put_back(reader, role),
    )


def _put_back(reader: StackReader, role: TableRole) -> str:
    return (
        "Ask CloudTrail who called DeleteResourcePolicy or PutResourcePolicy, then put the policy "
        "of template.yaml back: aws dynamodb put-resource-policy --policy file://policy.json "
        f"--resource-arn {reader.table(role).arn}"
    )


def _refused(
    reader: StackReader, role: TableRole, conditions: Sequence[Mapping[str, Any]]
) -> set[str]:
    """What the policy of a table denies to everybody, on one of some conditions.

    By the letter: what an element of another form comes to is not worked out.
    """
    policy, arn = reader.resource_policy(role) or {}, reader.table(role).arn
    return {
        action
        for statement in _listed(policy.get("Statement", []))
        if _denies(statement, arn) and _plain(statement.get("Condition") or {}) in conditions
        for action in map(str, _listed(statement["Action"]))
    }


def _denies(statement: Mapping[str, Any], arn: str | None) -> bool:
    return (
        statement.get("Effect") == "Deny"
        and "Action" in statement
        and statement.get("Principal") in ("*", {"AWS": "*"}, {"AWS": ["*"]})
        and arn in _listed(statement.get("Resource", []))
    )


def _plain(condition: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """A condition in which a list of one value is that value: AWS lets both be written."""
    return {
        operator: {
            key: value[0] if isinstance(value, list) and len(value) == 1 else value
            for key, value in keys.items()
        }
        for operator, keys in condition.items()
    }


def _listed(value: Any) -> Sequence[Any]:
    """One or several values, as AWS lets both be written."""
    return value if isinstance(value, list) else [value]
