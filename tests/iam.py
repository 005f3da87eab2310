"""Whether AWS policies allow a request, by the rules of the IAM User Guide and by nothing else.

Whatever it does not know it refuses with a `PolicyError`: a condition that is passed over proves
nothing. All statements are read for every request, also those about something else. What can only
take rights away (permissions boundaries, session, service control and resource control policies) is
not modelled, nor is the root user, whom no identity policy binds.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, Literal

Context = Mapping[str, str | list[str]]
Policies = Sequence[Mapping[str, Any]]

_REQUESTER = re.compile(r"arn:aws[\w-]*:iam::\d{12}:(role|user)/[^*?]+")
_FORMS = {
    "Action": re.compile(r"\*|[\w-]+:[\w*?]+"),
    "Resource": re.compile(r"\*|arn(:[^:]*){4}:.+"),
    "Service": re.compile(r"[\w.-]+\.amazonaws\.com"),
    "AWS": re.compile(
        r"\*|\d{12}|arn:aws[\w-]*:(iam::\d{12}:(root|(role|user)/[^*?]+)"
        r"|sts::\d{12}:assumed-role/[^*?/]+/[^*?/]+)"
    ),
}
# "AWS global condition context keys" calls these present in every request.
_ALWAYS_PRESENT = {"aws:securetransport", "aws:requestedregion", "aws:currenttime", "aws:useragent"}
_ALWAYS_PRESENT |= {"aws:epochtime", "aws:principaltype", "aws:userid", "aws:viaawsservice"}


class PolicyError(ValueError):
    """A policy or a request that cannot be judged, and so is not."""


class Decision(Enum):
    """What AWS answers, and whether a statement says so or the lack of one."""

    ALLOWED = "allowed"
    IMPLICIT_DENY = "not allowed by any statement"
    EXPLICIT_DENY = "denied by a statement"


@dataclass(frozen=True)
class Request:
    """One call of a role (in some session) or of a user; a list in the context is multivalued."""

    principal: str
    action: str
    resource: str
    context: Context = field(default_factory=dict)
    session: str = "session"

    def __post_init__(self) -> None:
        _require(_REQUESTER.fullmatch(self.principal), f"not a role or user: {self.principal!r}")
        _require(re.fullmatch(r"[\w-]+:\w+", self.action), f"not one action: {self.action!r}")
        _require(_FORMS["Resource"].fullmatch(self.resource), f"not an ARN: {self.resource!r}")
        once = len(self.keys) == 3 + len(self.context)
        _require(once, f"a key twice, or one that the principal gives: {sorted(self.context)}")
        for key, value in self.context.items():
            texts = isinstance(value, list) and all(
                member and isinstance(member, str) for member in value
            )
            _require(texts or isinstance(value, str), f"{key} is no string, nor a list of some")

    @property
    def account(self) -> str:
        """The account of the principal."""
        return self.principal.split(":")[4]

    @property
    def keys(self) -> Context:
        """The condition keys in lower case, with those that follow from the principal."""
        return {
            "aws:principalarn": self.principal,
            "aws:principalaccount": self.account,
            "aws:principalisawsservice": "false",
        } | {key.lower(): value for key, value in self.context.items()}

    @property
    def identities(self) -> tuple[set[str], ...]:
        """The names of the account, then of the role or user, then of the role's session."""
        partition, name = self.principal.split(":")[1], self.principal.rpartition("/")[2]
        root = f"arn:{partition}:iam::{self.account}:root"
        session = f"arn:{partition}:sts::{self.account}:assumed-role/{name}/{self.session}"
        every = {self.account, root}, {self.principal}, {session}
        return every if ":role/" in self.principal else every[:2]


def decide(
    request: Request,
    identity_policies: Policies,
    resource_policies: Policies = (),
    *,
    same_account: bool = True,
) -> Decision:
    """Judge a request by all policies of its principal and all of its resource."""
    owner = request.resource.split(":")[4] if request.resource != "*" else ""
    agreed = not owner or (owner == request.account) == same_account
    _require(agreed, f"{same_account=}, but {request.principal} asks for {request.resource}")
    of_identity = _effects(request, identity_policies, on_resource=False)
    of_resource = _effects(request, resource_policies, on_resource=True)
    if "Deny" in of_identity | of_resource:
        return Decision.EXPLICIT_DENY
    if same_account:
        opened = of_resource or not _closed_until_opened(request)
        allowed = "Allow" in of_resource or (of_identity and opened)
    else:
        allowed = of_identity and of_resource
    return Decision.ALLOWED if allowed else Decision.IMPLICIT_DENY


def _closed_until_opened(request: Request) -> bool:
    """Keys and roles admit nobody, of their own account neither, whom their policy does not."""
    service, kind = request.action.lower().partition(":")[0], request.resource.split(":")[-1]
    return (service, kind.partition("/")[0]) in {("kms", "key"), ("sts", "role")}


def _require(truth: object, message: str, about: object = "") -> None:
    # The text of a whole statement is made for an error alone: there are many statements.
    if not truth:
        raise PolicyError(f"{message}: {about!r}" if about else message)


# ---- Statements ----------------------------------------------------------------------------

# What a statement says; to delegate is to allow what an identity policy of the account allows.
_Effect = Literal["Deny", "Allow", "Delegate"]


def _effects(request: Request, policies: Policies, *, on_resource: bool) -> set[_Effect]:
    """What those statements say that apply; none is left unread, whether it applies or not."""
    effects = []
    for policy in policies:
        _require(isinstance(policy, dict), "not a policy", policy)
        _require(policy.get("Version") == "2012-10-17", "not of Version 2012-10-17", policy)
        _require(policy.keys() <= {"Version", "Id", "Statement"}, "unknown element", policy)
        statements = _listed(policy.get("Statement", []), "Statement")
        effects += [
            _effect(request, statement, on_resource=on_resource) for statement in statements
        ]
    return {effect for effect in effects if effect}


def _effect(request: Request, statement: Any, *, on_resource: bool) -> _Effect | None:
    _require(isinstance(statement, dict), "not a statement", statement)
    present = statement.keys() - {"Sid", "Condition"}
    needed = [{"Effect"}, {"Action", "NotAction"}, {"Resource", "NotResource"}]
    needed += [{"Principal", "NotPrincipal"}] if on_resource else []
    one_of_each = len(present) == len(needed) and all(present & names for names in needed)
    _require(one_of_each, "missing, unknown or contradictory elements", statement)
    _require(statement["Effect"] in ("Allow", "Deny"), "unknown Effect", statement)
    granted = _granted(request, statement) if on_resource else "Allow"
    met = [_met(statement, "Action", _action_like, request.action)]
    met += [_met(statement, "Resource", _resource_like, request.resource)]
    met += _conditions(statement["Condition"], request.keys) if "Condition" in statement else []
    if not granted or not all(met):
        return None
    return "Deny" if statement["Effect"] == "Deny" else granted


def _granted(request: Request, statement: Mapping[str, Any]) -> Literal["Allow", "Delegate"] | None:
    """Whether the statement of a resource is about who asks: by name, by account or not at all."""
    excepts = "NotPrincipal" in statement
    names = _principals(statement["NotPrincipal" if excepts else "Principal"])
    known = [bool(names & identity) for identity in request.identities]
    if excepts:
        good = statement["Effect"] == "Deny" and "*" not in names
        _require(good, "NotPrincipal is to deny, and not to deny nobody", statement)
        # AWS checks the account, the role and the session in turn: each must be excepted.
        return None if all(known) else "Allow"
    if "*" in names or any(known[1:]):
        return "Allow"
    return "Delegate" if known[0] else None


def _principals(value: Any) -> set[str]:
    kinds = {"AWS": "*"} if value == "*" else value
    known = isinstance(kinds, dict) and kinds and kinds.keys() <= {"AWS", "Service"}
    _require(known, "unknown principal", value)
    return {text for kind, names in kinds.items() for text in _strings(kind, names)}


def _met(
    statement: Mapping[str, Any], name: str, like: Callable[[str, str], bool], value: str
) -> bool:
    """Whether one pattern of an element matches or, of its Not form, none does."""
    patterns = _strings(name, statement.get(name, statement.get(f"Not{name}")))
    return any(like(pattern, value) for pattern in patterns) == (name in statement)


def _strings(kind: str, values: Any) -> list[str]:
    members = _listed(values, kind)
    for member in members:
        if not (isinstance(member, str) and _FORMS[kind].fullmatch(member)):
            raise PolicyError(f"{kind} cannot be {member!r}")
        _require("${" not in member, "policy variables are not evaluated", member)
    return members


def _listed(value: Any, what: str) -> list[Any]:
    """One or several values, as AWS lets both be written."""
    values = value if isinstance(value, list) else [value]
    _require(values, f"{what} is empty")
    return values


# ---- Patterns ------------------------------------------------------------------------------


@cache
def _regex(glob: str, inner_star: str) -> re.Pattern[str]:
    """A pattern in which a `*` at the end of an ARN's part matches anything, colons too."""
    text = re.sub(r"\\\*(?=:|\Z)", ".*", re.escape(glob))
    return re.compile(text.replace(r"\*", inner_star).replace(r"\?", "."), re.DOTALL)


def _like(glob: str, text: str) -> bool:
    return _regex(glob, ".*").fullmatch(text) is not None


def _action_like(glob: str, action: str) -> bool:
    return _like(glob.lower(), action.lower())


def _resource_like(glob: str, resource: str) -> bool:
    """Whether a Resource means a resource; AWS does not say if its inner `*` crosses colons."""
    within = _regex(glob, "[^:]*").fullmatch(resource) is not None
    _require(within == _like(glob, resource), f"does {glob} reach over a colon of {resource}?")
    return within


def _arn_like(wanted: list[str], parts: list[str]) -> bool:
    return all(map(_like, wanted, parts))


# ---- Conditions ----------------------------------------------------------------------------


def _text(value: Any) -> str:
    _require(isinstance(value, str), "not a string", value)
    return str(value)


def _arn(value: Any) -> list[str]:
    parts = _text(value).split(":", 5)
    _require(len(parts) == 6 and parts[0] == "arn", "not an ARN", value)
    return parts


def _caseless(value: Any) -> str:
    return _text(value).lower()


def _boolean(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else value
    _require(text in ("true", "false"), "neither true nor false", value)
    return str(text)


def _number(value: Any) -> Decimal:
    text = str(value)
    _require(re.fullmatch(r"-?\d+(\.\d+)?", text), "not a number", value)
    return Decimal(text)


# How a value is read, how the policy's is compared with the request's, and whether to negate that.
_Operator = tuple[Callable[[Any], Any], Callable[[Any, Any], bool], bool]
_OPERATORS: dict[str, _Operator] = {
    "StringEquals": (_text, operator.eq, False),
    "StringNotEquals": (_text, operator.eq, True),
    "StringEqualsIgnoreCase": (_caseless, operator.eq, False),
    "StringNotEqualsIgnoreCase": (_caseless, operator.eq, True),
    "StringLike": (_text, _like, False),
    "StringNotLike": (_text, _like, True),
    "ArnEquals": (_arn, _arn_like, False),
    "ArnNotEquals": (_arn, _arn_like, True),
    "ArnLike": (_arn, _arn_like, False),
    "ArnNotLike": (_arn, _arn_like, True),
    "Bool": (_boolean, operator.eq, False),
    "NumericEquals": (_number, operator.eq, False),
    "NumericNotEquals": (_number, operator.eq, True),
    "NumericLessThan": (_number, operator.gt, False),
    "NumericLessThanEquals": (_number, operator.ge, False),
    "NumericGreaterThan": (_number, operator.lt, False),
    "NumericGreaterThanEquals": (_number, operator.le, False),
}
_NAME = re.compile(rf"(?:(ForAllValues|ForAnyValue):)?({'|'.join(_OPERATORS)})(IfExists)?")


def _conditions(block: Any, keys: Context) -> list[bool]:
    """Which conditions hold."""
    _require(isinstance(block, dict) and block, "not a condition", block)
    held = []
    for name, wanted in block.items():
        _require(isinstance(wanted, dict) and wanted, "not a condition", block)
        held += [_holds(name, key, _listed(some, key), keys) for key, some in wanted.items()]
    return held


def _holds(name: str, key: str, wanted: list[Any], keys: Context) -> bool:
    """Whether one operator on one key holds."""
    context = keys.get(key.lower(), [])
    _require(":" in key, "not a condition key", key)
    _require("${" not in f"{key} {wanted}", "policy variables are not evaluated", wanted)
    _require(context != [] or key.lower() not in _ALWAYS_PRESENT, f"the request must say its {key}")
    if name == "Null":
        context, name = str(context == []).lower(), "Bool"
    match = _NAME.fullmatch(name)
    if match is None:
        raise PolicyError("unknown condition operator", name)
    of_set, operator_name, if_exists = match.groups()
    read, like, negated = _OPERATORS[operator_name]
    values = [read(value) for value in wanted]
    if context == [] or (of_set and context == ""):
        return bool(if_exists) or of_set == "ForAllValues" or (negated and not of_set)
    _require(
        of_set or isinstance(context, str), f"{key} is multivalued: {name} needs For…Value(s):"
    )
    members = [read(value) for value in _listed(context, key)]
    met = [any(like(value, member) for value in values) != negated for member in members]
    return all(met) if of_set == "ForAllValues" else any(met)
