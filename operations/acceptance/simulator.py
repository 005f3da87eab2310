"""The stack's roles in IAM's own policy simulator: what each may, and what it may not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from operations.acceptance.belief import (
    AttemptResult,
    Belief,
    UntriedError,
    confirmed,
    not_tried,
    refuted,
)
from operations.acceptance.trial import Trial
from reports.deployment.stack import Consumer
from reports.deployment.table_policy import REWRITES
from stream_core.history_row import DIGEST, ID, SORT_KEY
from stream_core.item_id import CONTROL_ID

ALLOWED = "allowed"
"""What the simulator says of a request that is allowed."""
_EMULATOR = (
    "the emulator passes over conditions, and stacks of one name in several regions have one role"
)
# Policies that the account's own administrators have put above all of its roles.
_FROM_ABOVE = (
    ("OrganizationsDecisionDetail", "AllowedByOrganizations"),
    ("PermissionsBoundaryDecisionDetail", "AllowedByPermissionsBoundary"),
)
_CHANGES = tuple(sorted(REWRITES))


@dataclass(frozen=True)
class SimulatedRequest:
    """A request of a role, and whether it is to be allowed.

    Attributes:
        context: the condition keys of the request; a list is one of several values.
    """

    action: str
    resource: str
    is_allowed: bool
    context: Mapping[str, str | Sequence[str]] = field(default_factory=dict)


def _of_history_writer(trial: Trial) -> list[SimulatedRequest]:
    stack = trial.stack
    history = trial.table_arn(stack.history_table)
    objects = f"arn:{trial.partition}:s3:::{stack.overflow_bucket}/overflow/1"
    digest = {
        "dynamodb:Attributes": [ID, SORT_KEY, DIGEST],
        "dynamodb:Select": "SPECIFIC_ATTRIBUTES",
    }
    image = {**digest, "dynamodb:Attributes": [ID, "NewImage"]}
    insert, read = "dynamodb:PartiQLInsert", "dynamodb:BatchGetItem"
    return [
        SimulatedRequest(insert, history, True, {"dynamodb:LeadingKeys": ["42"]}),
        SimulatedRequest(insert, history, False, {"dynamodb:LeadingKeys": [CONTROL_ID]}),
        SimulatedRequest(read, history, True, digest),
        SimulatedRequest(read, history, False, image),
        SimulatedRequest(read, history, False),
        *(SimulatedRequest(action, history, False) for action in _CHANGES),
        SimulatedRequest("s3:PutObject", objects, True, {"s3:ResourceAccount": trial.account}),
        SimulatedRequest("s3:PutObject", objects, False, {"s3:ResourceAccount": "111111111111"}),
        *(
            SimulatedRequest(f"s3:{action}", objects, False)
            for action in ("GetObject", "DeleteObject")
        ),
    ]


def _of_replica_writer(trial: Trial) -> list[SimulatedRequest]:
    return [*_on_replica(trial), *_nothing_of_history(trial)]


def _of_second_look(trial: Trial) -> list[SimulatedRequest]:
    reading = _in_own_account(trial, "dynamodb:BatchGetItem")
    return [*_on_replica(trial), *reading, *_nothing_of_history(trial)]


def _on_replica(trial: Trial) -> list[SimulatedRequest]:
    source = trial.table_arn(trial.stack.source_table)
    settles = trial.stack.parameters.get("Settle") != "false"
    return [
        *_in_own_account(trial, "dynamodb:BatchWriteItem"),
        SimulatedRequest("dynamodb:BatchGetItem", source, settles),
        *(SimulatedRequest(action, source, False) for action in _CHANGES),
    ]


def _in_own_account(trial: Trial, action: str) -> list[SimulatedRequest]:
    """What is allowed on the replica; in another account a role there is assumed instead."""
    stack = trial.stack
    replica = trial.table_arn(stack.replica_table, stack.replica_region)
    return [] if stack.replica_role_arn else [SimulatedRequest(action, replica, True)]


def _nothing_of_history(trial: Trial) -> list[SimulatedRequest]:
    history = trial.table_arn(trial.stack.history_table)
    actions = ("dynamodb:PartiQLInsert", "dynamodb:BatchGetItem", *_CHANGES)
    return [SimulatedRequest(action, history, False) for action in actions]


def _of_report_reader(trial: Trial) -> list[SimulatedRequest]:
    history, source = map(trial.table_arn, (trial.stack.history_table, trial.stack.source_table))
    objects = f"arn:{trial.partition}:s3:::{trial.stack.overflow_bucket}/overflow/1"
    return [
        *(
            SimulatedRequest(f"dynamodb:{name}", history, True)
            for name in ("Query", "BatchGetItem")
        ),
        SimulatedRequest("dynamodb:GetItem", source, True),
        SimulatedRequest("s3:GetObject", objects, True),
        SimulatedRequest("dynamodb:PartiQLInsert", history, False),
        *(
            SimulatedRequest(action, table, False)
            for table in (history, source)
            for action in _CHANGES
        ),
        *(SimulatedRequest(f"s3:{name}", objects, False) for name in ("PutObject", "DeleteObject")),
    ]


def _simulated(
    role: str, requests: Callable[[Trial], list[SimulatedRequest]], consumer: Consumer
) -> Callable[[Trial], AttemptResult]:
    """An attempt: the simulator decides about a role's requests as it has to."""

    def attempt(trial: Trial) -> AttemptResult:
        if role not in trial.roles or consumer not in trial.stack.consumers:
            return not_tried(f"the stack has no {role}")
        wanted = requests(trial)
        decisions = [decision(trial, trial.roles[role], request) for request in wanted]
        differing = [
            f"{request.action} {_with(request.context)}is {said}"
            for request, said in zip(wanted, decisions, strict=True)
            if (said == ALLOWED) != request.is_allowed
        ]
        if differing:
            return refuted("; ".join(differing))
        return confirmed(f"all of {len(wanted)} requests are decided as they have to be")

    return attempt


def _with(context: Mapping[str, str | Sequence[str]]) -> str:
    named = ", ".join(f"{key}={value}" for key, value in context.items())
    return f"with {named} " if named else ""


def decision(trial: Trial, role: str, request: SimulatedRequest) -> str:
    """What the simulator says of a request of a role or a user.

    Raises:
        UntriedError: what is above the role denies it.
    """
    answer = trial.client("iam").simulate_principal_policy(
        PolicySourceArn=role,
        ActionNames=[request.action],
        ResourceArns=[request.resource],
        ContextEntries=[_entry(key, value) for key, value in request.context.items()],
    )
    (result,) = answer["EvaluationResults"]
    for detail, key in _FROM_ABOVE:
        if result.get(detail, {}).get(key) is False:
            raise UntriedError(f"{request.action}: what is above the role denies it ({detail})")
    return str(result["EvalDecision"])


def _entry(key: str, value: str | Sequence[str]) -> dict[str, Any]:
    is_text = isinstance(value, str)
    return {
        "ContextKeyName": key,
        "ContextKeyType": "string" if is_text else "stringList",
        "ContextKeyValues": [value] if is_text else list(value),
    }


def _belief(name: str, sentence: str, attempt: Callable[[Trial], AttemptResult]) -> Belief:
    return Belief(name, sentence, "docs/deployment.md", attempt, _EMULATOR)


BELIEFS = (
    _belief(
        "simulated-history-writer",
        "IAM's simulator: the history writer's role inserts, reads digests and puts objects, and "
        "nothing else.",
        _simulated("HistoryWriterRole", _of_history_writer, Consumer.HISTORY_WRITER),
    ),
    _belief(
        "simulated-replica-writer",
        "IAM's simulator: the replica writer's role writes its replica, and not the history.",
        _simulated("ReplicaWriterRole", _of_replica_writer, Consumer.REPLICA_WRITER),
    ),
    _belief(
        "simulated-second-look",
        "IAM's simulator: the second look's role reads and writes its replica, not the history.",
        _simulated("SecondLookRole", _of_second_look, Consumer.REPLICA_WRITER),
    ),
    _belief(
        "simulated-report-reader",
        "IAM's simulator: the report reader's role reads, and writes nothing.",
        _simulated("ReportReaderRole", _of_report_reader, Consumer.HISTORY_WRITER),
    ),
)
