"""Whether the policy of the history table is the one that its stack gave it."""

from collections.abc import Mapping, Sequence
from typing import Any

from reports.deployment.advice import Judgement, failed, passed
from reports.deployment.stack import TableRole
from reports.deployment.stack_reader import StackReader

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
_ELEMENTS = frozenset({"Sid", "Effect", "Principal", "Action", "Resource", "Condition"})


def append_only(reader: StackReader, role: TableRole) -> Judgement:
    """Whether the history's policy refuses everybody but break glass to change a row."""
    policy, arn = reader.resource_policy(role) or {}, reader.table(role).arn
    break_glass = reader.stack.parameters.get("BreakGlassRoleArn", "")
    refused = {
        action
        for statement in _listed(policy.get("Statement", []))
        if _refuses(statement, arn, break_glass)
        for action in map(str, _listed(statement["Action"]))
    }
    missing = [action.partition(":")[2] for action in sorted(REWRITES - refused)]
    spared = f"everybody but {break_glass}" if break_glass else "everybody"
    if not missing:
        return passed(f"its policy refuses {spared} to change or remove rows")
    return failed(
        f"its policy does not refuse {', '.join(missing)}: to be denied is {spared}, on the table "
        "itself and on no other condition; as it is, what was recorded can be changed",
        "Ask CloudTrail who called DeleteResourcePolicy or PutResourcePolicy, then put the policy "
        "of template.yaml back: aws dynamodb put-resource-policy --policy file://policy.json "
        f"--resource-arn {arn}",
    )


def _refuses(statement: Mapping[str, Any], arn: str | None, break_glass: str) -> bool:
    """Whether it denies what it names, on this table, to all but the role that may break glass.

    By the letter: what an element of another form comes to is not worked out.
    """
    return (
        statement.keys() <= _ELEMENTS
        and statement.get("Effect") == "Deny"
        and "Action" in statement
        and statement.get("Principal") in ("*", {"AWS": "*"}, {"AWS": ["*"]})
        and arn in _listed(statement.get("Resource", []))
        and _spares_only(break_glass, statement.get("Condition") or {})
    )


def _spares_only(break_glass: str, condition: Mapping[str, Any]) -> bool:
    if not condition:
        return True
    spared = {"aws:PrincipalArn": break_glass}, {"aws:PrincipalArn": [break_glass]}
    return bool(break_glass) and condition in [{"ArnNotEquals": keys} for keys in spared]


def _listed(value: Any) -> Sequence[Any]:
    """One or several values, as AWS lets both be written."""
    return value if isinstance(value, list) else [value]
