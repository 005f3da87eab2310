"""The evaluator of policies that other tests rely on, held against the rules of the IAM guide."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.iam import Decision, PolicyError, Request, decide

ALLOWED, IMPLICIT_DENY, EXPLICIT_DENY = Decision
ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/writer"
BREAK_GLASS = f"arn:aws:iam::{ACCOUNT}:role/admins/break-glass"
USER = f"arn:aws:iam::{ACCOUNT}:user/alice"
FOREIGNER = f"arn:aws:iam::{OTHER_ACCOUNT}:role/writer"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
TABLE = f"arn:aws:dynamodb:eu-central-1:{ACCOUNT}:table/Employee"
KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/1234"
OBJECT = "arn:aws:s3:::trail/overflow/2026/a"


def _policy(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _statement(effect="Allow", /, **elements):
    """A statement about everything, but for the elements given; None leaves one out."""
    every = {"Effect": effect, "Action": "*", "Resource": "*"}
    for name in elements:
        every.pop(name.removeprefix("Not"), None)
    return every | {name: one for name, one in elements.items() if one is not None}


def _allow(**elements):
    return _policy(_statement("Allow", **elements))


def _deny(**elements):
    return _policy(_statement("Deny", **elements))


def _request(context=None, /, **different):
    usual = {"principal": ROLE, "action": "dynamodb:GetItem", "resource": TABLE}
    return Request(**usual | different, context=context or {})


def _holds(condition, context=None):
    """Whether a condition holds: a statement with it allows just then."""
    decision = decide(_request(context), [_allow(Condition=condition)])
    assert decision in (ALLOWED, IMPLICIT_DENY)
    return decision is ALLOWED


# ---- How statements add up -----------------------------------------------------------------


def test_nothing_is_allowed_that_no_statement_allows():
    """Without policies, and with one about something else, the answer is an implicit deny."""
    assert decide(_request(), []) is IMPLICIT_DENY
    about_objects = _allow(Action="s3:*"), _allow(Action="s3:*", Principal="*")
    assert decide(_request(), about_objects[:1], about_objects[1:]) is IMPLICIT_DENY


@pytest.mark.parametrize(
    ("identity", "resource", "decision"),
    [
        ([_allow()], [], ALLOWED),
        ([_policy(_statement(Action="s3:*"), _statement())], [], ALLOWED),
        ([_allow(Action="s3:*"), _allow()], [], ALLOWED),
        ([], [_allow(Principal={"AWS": ROLE})], ALLOWED),
        ([_allow()], [_allow(Principal={"AWS": BREAK_GLASS})], ALLOWED),
        ([_allow(), _deny()], [], EXPLICIT_DENY),
        ([_policy(_statement("Deny"), _statement())], [], EXPLICIT_DENY),
        ([_allow()], [_deny(Principal="*")], EXPLICIT_DENY),
        ([_deny()], [_allow(Principal={"AWS": ROLE})], EXPLICIT_DENY),
        ([], [_deny(Principal="*")], EXPLICIT_DENY),
        ([_deny(Action="s3:*")], [], IMPLICIT_DENY),
    ],
)
def test_one_allow_suffices_in_an_account_and_one_deny_decides(identity, resource, decision):
    """Within one account either kind of policy can allow, and a deny in any of them wins."""
    assert decide(_request(), identity, resource) is decision


@pytest.mark.parametrize(
    ("identity", "resource", "decision"),
    [
        ([_allow()], [_allow(Principal={"AWS": FOREIGNER})], ALLOWED),
        ([_allow()], [_allow(Principal={"AWS": OTHER_ACCOUNT})], ALLOWED),
        ([_allow()], [_allow(Principal="*")], ALLOWED),
        ([_allow()], [], IMPLICIT_DENY),
        ([], [_allow(Principal={"AWS": FOREIGNER})], IMPLICIT_DENY),
        ([], [_allow(Principal="*")], IMPLICIT_DENY),
        ([_allow()], [_allow(Principal={"AWS": ROLE})], IMPLICIT_DENY),
        ([_allow()], [_allow(Principal="*"), _deny(Principal="*")], EXPLICIT_DENY),
        ([_deny()], [_allow(Principal="*")], EXPLICIT_DENY),
    ],
)
def test_another_account_needs_an_allow_on_both_sides(identity, resource, decision):
    """Across accounts the identity's account and the resource's must both allow."""
    request = _request(principal=FOREIGNER)

    assert decide(request, identity, resource, same_account=False) is decision


def test_accounts_that_the_arns_contradict_are_refused():
    """Whether it is one account is not taken on faith where the ARNs tell."""
    with pytest.raises(PolicyError, match="same_account=True"):
        decide(_request(principal=FOREIGNER), [_allow()])
    with pytest.raises(PolicyError, match="same_account=False"):
        decide(_request(), [_allow()], same_account=False)

    assert decide(_request(resource=OBJECT), [_allow()], same_account=False) is IMPLICIT_DENY


@pytest.mark.parametrize(
    ("identity", "key_policy", "decision"),
    [
        ([_allow()], [], IMPLICIT_DENY),
        ([], [_allow(Principal={"AWS": ROOT})], IMPLICIT_DENY),
        ([_allow()], [_allow(Principal={"AWS": ROOT})], ALLOWED),
        ([], [_allow(Principal={"AWS": ROLE})], ALLOWED),
        ([_allow()], [_allow(Principal={"AWS": BREAK_GLASS})], IMPLICIT_DENY),
    ],
)
def test_keys_and_roles_open_by_their_own_policy_only(identity, key_policy, decision):
    """An identity policy alone opens no KMS key and no role, not even in their own account."""
    decrypt = _request(action="kms:Decrypt", resource=KEY)
    assume = _request(action="sts:AssumeRole", resource=BREAK_GLASS)
    read_role = _request(action="iam:GetRole", resource=BREAK_GLASS)

    assert decide(decrypt, identity, key_policy) is decision
    assert decide(assume, identity, key_policy) is decision
    assert decide(read_role, [_allow()]) is ALLOWED


# ---- Actions and resources -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("actions", "covered"),
    [
        ("dynamodb:GetItem", True),
        ("DynamoDB:getitem", True),
        ("dynamodb:*", True),
        ("dynamodb:Get*", True),
        ("dynamodb:*Item", True),
        ("dynamodb:Get?tem", True),
        ("*", True),
        (["s3:GetObject", "dynamodb:GetItem"], True),
        ("dynamodb:PutItem", False),
        ("dynamodb:Get", False),
        ("dynamodb:GetItem?", False),
        ("s3:*", False),
        (["s3:GetObject", "dynamodb:PutItem"], False),
    ],
)
def test_action_matches_by_pattern_in_any_case(actions, covered):
    """An Action takes wildcards and no notice of case, and NotAction is its opposite."""
    assert (decide(_request(), [_allow(Action=actions)]) is ALLOWED) == covered
    assert (decide(_request(), [_allow(NotAction=actions)]) is ALLOWED) == (not covered)


@pytest.mark.parametrize(
    ("resources", "covered"),
    [
        (OBJECT, True),
        ("*", True),
        ("arn:aws:s3:::trail/*", True),
        ("arn:aws:s3:::trail/overflow/*", True),
        ("arn:aws:s3:::trail*", True),
        ("arn:aws:s3:::*/a", True),
        ("arn:aws:s3:::trail/overflow/202?/a", True),
        ("arn:*:s3:*:*:trail/*", True),
        ([TABLE, OBJECT], True),
        ("arn:aws:s3:::trail", False),
        ("arn:aws:s3:::trail/quarantine/*", False),
        ("arn:aws:s3:::Trail/*", False),
        ("arn:aws:s3:::trail/overflow/2026/?a", False),
        ("arn:aws:s3:::trail.overflow.2026/*", False),
        ([TABLE, f"{OBJECT}/*"], False),
    ],
)
def test_resource_matches_by_pattern_and_case(resources, covered):
    """A Resource takes wildcards that cross slashes, and case; NotResource is its opposite."""
    request = _request(action="s3:GetObject", resource=OBJECT)

    assert (decide(request, [_allow(Resource=resources)]) is ALLOWED) == covered
    assert (decide(request, [_allow(NotResource=resources)]) is ALLOWED) == (not covered)


@pytest.mark.parametrize(
    ("key", "covered"),
    [
        ("1///test///object.jpg", True),
        ("/test/object.jpg", True),
        ("1/test/", True),
        ("1-test/object.jpg", False),
        ("test/object.jpg", False),
        ("1/2/test.jpg", False),
    ],
)
def test_resource_example_of_the_guide(key, covered):
    """The guide's own example, `bucket/*/test/*`, matches what the guide says."""
    request = _request(action="s3:GetObject", resource=f"arn:aws:s3:::bucket/{key}")

    decision = decide(request, [_allow(Resource="arn:aws:s3:::bucket/*/test/*")])

    assert (decision is ALLOWED) == covered


def test_star_crosses_colons_where_the_guide_says_so():
    """A star that ends a part of an ARN crosses colons; for one inside a part nobody tells."""
    stream = f"{TABLE}/stream/2026-01-01T00:00:00.000"
    request = _request(action="dynamodb:GetRecords", resource=stream)

    assert decide(request, [_allow(Resource=f"{TABLE}/stream/*")]) is ALLOWED
    assert decide(request, [_allow(Resource="arn:aws:dynamodb:*:*:*:00.000")]) is ALLOWED
    assert decide(request, [_allow(Resource="arn:aws:dynamodb:*:*:*:00.001")]) is IMPLICIT_DENY
    assert decide(request, [_allow(Resource="arn:aws:dynamodb:*:*:table/Employee*:*")]) is ALLOWED
    with pytest.raises(PolicyError, match="over a colon"):
        decide(request, [_allow(Resource=f"{TABLE}/stream/*.000")])


def test_request_about_no_single_resource_needs_the_star():
    """An action without a resource, such as a listing, is allowed on `*` and on no ARN."""
    request = _request(action="dynamodb:ListTables", resource="*")

    assert decide(request, [_allow()]) is ALLOWED
    assert decide(request, [_allow(Resource="arn:aws:dynamodb:*:*:*")]) is IMPLICIT_DENY


# ---- Principals ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("principal", "decision"),
    [
        ("*", ALLOWED),
        ({"AWS": "*"}, ALLOWED),
        ({"AWS": ROLE}, ALLOWED),
        ({"AWS": [BREAK_GLASS, ROLE]}, ALLOWED),
        ({"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/writer/session"}, ALLOWED),
        ({"AWS": ROLE, "Service": "lambda.amazonaws.com"}, ALLOWED),
        ({"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/writer/another"}, IMPLICIT_DENY),
        ({"AWS": BREAK_GLASS}, IMPLICIT_DENY),
        ({"AWS": ROLE.replace("writer", "Writer")}, IMPLICIT_DENY),
        ({"AWS": FOREIGNER}, IMPLICIT_DENY),
        ({"AWS": ROOT}, IMPLICIT_DENY),
        ({"AWS": ACCOUNT}, IMPLICIT_DENY),
        ({"Service": "lambda.amazonaws.com"}, IMPLICIT_DENY),
        ({"Service": ["lambda.amazonaws.com", "s3.amazonaws.com"]}, IMPLICIT_DENY),
    ],
)
def test_principal_is_named_in_full(principal, decision):
    """A resource allows whom it names; to name the account is no allow, and a service no role."""
    assert decide(_request(), [], [_allow(Principal=principal)]) is decision


def test_session_is_named_without_the_path_of_its_role():
    """A session's ARN holds the name of the role, and not the path before it."""
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/break-glass/session"
    request = _request(principal=BREAK_GLASS)

    assert decide(request, [], [_allow(Principal={"AWS": session})]) is ALLOWED


@pytest.mark.parametrize("account", [ROOT, ACCOUNT, [OTHER_ACCOUNT, ACCOUNT]])
def test_deny_for_an_account_is_for_all_in_it(account):
    """A deny that names an account, by ARN or number, denies its roles and users."""
    policies = [_deny(Principal={"AWS": account}), _allow(Principal="*")]

    assert decide(_request(), [_allow()], policies) is EXPLICIT_DENY
    assert decide(_request(principal=USER), [_allow()], policies) is EXPLICIT_DENY
    stranger = _request(principal="arn:aws:iam::999999999999:role/writer")
    assert decide(stranger, [_allow()], policies, same_account=False) is ALLOWED


@pytest.mark.parametrize(
    ("excepted", "decision"),
    [
        ([ROOT, ROLE, f"arn:aws:sts::{ACCOUNT}:assumed-role/writer/session"], ALLOWED),
        ([ACCOUNT, ROLE, f"arn:aws:sts::{ACCOUNT}:assumed-role/writer/session"], ALLOWED),
        ([ROOT, ROLE], EXPLICIT_DENY),
        ([ROLE, f"arn:aws:sts::{ACCOUNT}:assumed-role/writer/session"], EXPLICIT_DENY),
        ([ROOT], EXPLICIT_DENY),
        ([ROLE], EXPLICIT_DENY),
        ([ROOT, BREAK_GLASS], EXPLICIT_DENY),
    ],
)
def test_not_principal_excepts_only_whom_it_names_at_every_level(excepted, decision):
    """A deny with NotPrincipal spares a role only if account, role and session are all named."""
    policies = [_deny(NotPrincipal={"AWS": excepted})]

    assert decide(_request(), [_allow()], policies) is decision


def test_not_principal_spares_a_user_by_account_and_name():
    """A user has no session, so that account and user are all that there is to name."""
    policies = [_deny(NotPrincipal={"AWS": [ROOT, USER]})]

    assert decide(_request(principal=USER), [_allow()], policies) is ALLOWED
    assert decide(_request(), [_allow()], policies) is EXPLICIT_DENY


@pytest.mark.parametrize("operator", ["ArnNotEquals", "ArnNotLike", "StringNotEquals"])
def test_break_glass_role_alone_passes_a_deny_of_everyone_else(operator):
    """A deny but for one aws:PrincipalArn stops any other role, user or account, in any session."""
    guard = _deny(Principal="*", Condition={operator: {"aws:PrincipalArn": BREAK_GLASS}})
    everything = _allow(Principal="*")

    def decision(principal, session="s", *, same=True):
        request = _request(principal=principal, session=session)
        return decide(request, [_allow()], [everything, guard], same_account=same)

    assert decision(BREAK_GLASS) is decision(BREAK_GLASS, "another session") is ALLOWED
    assert decision(ROLE) is decision(ROLE, "break-glass") is EXPLICIT_DENY
    assert decision(USER) is EXPLICIT_DENY
    namesake = BREAK_GLASS.replace(ACCOUNT, OTHER_ACCOUNT)
    assert decision(namesake, same=False) is EXPLICIT_DENY
    assert decision(BREAK_GLASS.replace("admins/", "")) is EXPLICIT_DENY


def test_condition_sees_the_role_and_not_its_session():
    """`aws:PrincipalArn` of an assumed role is the role's ARN, whatever the session is called."""
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/writer/session"

    assert _holds({"ArnEquals": {"aws:PrincipalArn": ROLE}})
    assert not _holds({"ArnEquals": {"aws:PrincipalArn": session}})


def test_principal_gives_its_own_keys():
    """The account of the principal is known, and that it is no AWS service."""
    assert _holds({"StringEquals": {"aws:PrincipalAccount": ACCOUNT}})
    assert _holds({"Bool": {"aws:PrincipalIsAWSService": "false"}})


# ---- Condition operators -------------------------------------------------------------------

ARN = "arn:aws:s3:::trail/a/b"
# Operator, value in the policy, values that match it, values that do not.
OPERATORS = [
    ("StringEquals", "Blue", ["Blue"], ["blue", "Blu", "Blues", ""]),
    ("StringEquals", "B*", ["B*"], ["Blue"]),
    ("StringEquals", ["red", "blue"], ["red", "blue"], ["green"]),
    ("StringEqualsIgnoreCase", "Blue", ["Blue", "BLUE"], ["Blues"]),
    ("StringLike", "B?u*", ["Blue", "Blu", "Blu/e:x\n"], ["blue", "Bu", "xBlue"]),
    ("StringLike", ["", "home/*"], ["", "home/", "home/a/b"], ["home", "ahome/"]),
    ("StringLike", "a.b[c]", ["a.b[c]"], ["axb[c]", "a.bc"]),
    ("ArnEquals", ARN, [ARN], [ARN.replace("trail", "Trail"), f"{ARN}/c"]),
    ("ArnLike", "arn:aws:s3:::trail/*", [ARN, f"{ARN}:c"], ["arn:aws:s3:::trail"]),
    ("ArnEquals", "arn:*:s3:*:*:t?ail/*", [ARN], ["arn:aws:s3:::rail/a"]),
    ("ArnLike", "arn:aws:*:*:*:x", ["arn:aws:sns:r:1:x"], ["arn:aws:sns:r:1:y:x"]),
    ("ArnLike", [ARN, "arn:aws:sns:*:*:x"], [ARN, "arn:aws:sns:r:1:x"], ["arn:aws:sns:r:1:y"]),
    ("Bool", "true", ["true"], ["false"]),
    ("Bool", False, ["false"], ["true"]),
    ("Bool", ["true", "false"], ["true", "false"], []),
    ("NumericEquals", "10", ["10", "10.0"], ["9", "100"]),
    ("NumericEquals", ["10", 20], ["10", "20"], ["15"]),
    ("NumericLessThan", "1.2", ["1.1", "1", "-3"], ["1.2", "1.3", "10"]),
    ("NumericLessThanEquals", 10, ["9", "10"], ["10.5", "11"]),
    ("NumericGreaterThan", "10", ["11", "100"], ["10", "9"]),
    ("NumericGreaterThanEquals", "10", ["10", "10.5"], ["9"]),
]
NEGATED = {
    "StringEquals": "StringNotEquals",
    "StringEqualsIgnoreCase": "StringNotEqualsIgnoreCase",
    "StringLike": "StringNotLike",
    "ArnEquals": "ArnNotEquals",
    "ArnLike": "ArnNotLike",
    "NumericEquals": "NumericNotEquals",
}


@pytest.mark.parametrize(("operator", "wanted", "matching", "others"), OPERATORS)
def test_operator_compares(operator, wanted, matching, others):
    """An operator holds for what matches one of its values, and for nothing else nor nothing."""
    condition = {operator: {"x:key": wanted}}

    assert [one for one in matching + others if _holds(condition, {"x:key": one})] == matching
    assert not _holds(condition)
    assert not _holds(condition, {"x:other": "1"})


@pytest.mark.parametrize(
    ("operator", "wanted", "matching", "others"), [one for one in OPERATORS if one[0] in NEGATED]
)
def test_negated_operator_holds_for_all_the_rest(operator, wanted, matching, others):
    """A negated operator holds for what matches none of its values, and for a missing key."""
    condition = {NEGATED[operator]: {"x:key": wanted}}

    assert [one for one in matching + others if _holds(condition, {"x:key": one})] == others
    assert _holds(condition)


@pytest.mark.parametrize(("operator", "wanted", "matching", "others"), OPERATORS)
def test_if_exists_adds_the_missing_key_and_nothing_else(operator, wanted, matching, others):
    """With IfExists an operator holds without the key, and is itself with it."""
    for name in filter(None, (operator, NEGATED.get(operator))):
        for one in matching + others:
            with_it = _holds({f"{name}IfExists": {"x:key": wanted}}, {"x:key": one})
            assert with_it == _holds({name: {"x:key": wanted}}, {"x:key": one})
        assert _holds({f"{name}IfExists": {"x:key": wanted}})


@pytest.mark.parametrize(
    ("wanted", "present", "absent"),
    [("true", False, True), ("false", True, False), (True, False, True), (False, True, False)],
)
def test_null_asks_if_the_key_is_there(wanted, present, absent):
    """Null is true of a missing key, and false of one with any value."""
    condition = {"Null": {"x:key": wanted}}

    assert _holds(condition, {"x:key": "anything"}) is present
    assert _holds(condition, {"x:key": ["a", "b"]}) is present
    assert _holds(condition) is absent
    assert _holds(condition, {"x:key": []}) is absent


def test_keys_know_no_case_and_values_do():
    """A condition key is the same in any case, and its value is not."""
    condition = {"StringEquals": {"AWS:principalTAG/Team": "Blue"}}

    assert _holds(condition, {"aws:PrincipalTag/team": "Blue"})
    assert not _holds(condition, {"aws:PrincipalTag/team": "blue"})


@pytest.mark.parametrize(
    ("context", "holds"),
    [
        ({"x:a": "1", "x:b": "2", "x:c": "3"}, True),
        ({"x:a": "0", "x:b": "2", "x:c": "3"}, False),
        ({"x:a": "1", "x:b": "0", "x:c": "3"}, False),
        ({"x:a": "1", "x:b": "2", "x:c": "0"}, False),
        ({"x:a": "1", "x:b": "2"}, False),
    ],
)
def test_all_operators_and_keys_must_hold(context, holds):
    """Operators, and the keys of one operator, are joined by AND."""
    condition = {"StringEquals": {"x:a": "1", "x:b": "2"}, "StringLike": {"x:c": "3*"}}

    assert _holds(condition, context) is holds


# ---- Sets ----------------------------------------------------------------------------------

SETS = [
    # In the request; then every one is wanted, some are, none is, some are not.
    (["Id"], True, True, False, False),
    (["Id", "Digest"], True, True, False, False),
    (["Id", "Image"], False, True, False, True),
    (["Image"], False, False, True, True),
    (["Image", "Actor"], False, False, True, True),
    ("Id", True, True, False, False),
    ("Image", False, False, True, True),
    (None, True, False, True, False),
    ([], True, False, True, False),
    ("", True, False, True, False),
]


@pytest.mark.parametrize(("given", "every", "some", "none", "others"), SETS)
def test_set_operators(given, every, some, none, others):
    """ForAllValues holds of no values, ForAnyValue does not; negation is of each value alone."""
    context = {} if given is None else {"dynamodb:Attributes": given}

    def holds(operator):
        return _holds({operator: {"dynamodb:Attributes": ["Id", "Digest"]}}, context)

    assert holds("ForAllValues:StringEquals") is holds("ForAllValues:StringLike") is every
    assert holds("ForAnyValue:StringEquals") is holds("ForAnyValue:StringLike") is some
    assert holds("ForAllValues:StringNotEquals") is holds("ForAllValues:StringNotLike") is none
    assert holds("ForAnyValue:StringNotEquals") is holds("ForAnyValue:StringNotLike") is others


def test_set_operators_of_arns():
    """A set of ARNs is compared as ARNs are."""
    condition = {"ForAnyValue:ArnLike": {"x:arns": "arn:aws:s3:::trail/*"}}

    assert _holds(condition, {"x:arns": ["arn:aws:sns:r:1:x", ARN]})
    assert not _holds(condition, {"x:arns": ["arn:aws:sns:r:1:x"]})


def test_set_operators_with_if_exists_hold_without_the_key():
    """IfExists makes any operator true of a missing key, ForAnyValue as well."""
    assert _holds({"ForAnyValue:StringEqualsIfExists": {"x:key": "a"}})
    assert _holds({"ForAllValues:StringNotEqualsIfExists": {"x:key": "a"}})
    assert not _holds({"ForAnyValue:StringEqualsIfExists": {"x:key": "a"}}, {"x:key": ["b"]})


def test_only_the_digest_may_be_read():
    """The condition on attributes needs its second half: without a projection none is named."""
    names = {"ForAllValues:StringEquals": {"dynamodb:Attributes": ["Id", "Digest"]}}
    whole = names | {"StringEquals": {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"}}

    assert _holds(names, {"dynamodb:Select": "ALL_ATTRIBUTES"})
    assert not _holds(whole, {"dynamodb:Select": "ALL_ATTRIBUTES"})
    projected = {"dynamodb:Select": "SPECIFIC_ATTRIBUTES", "dynamodb:Attributes": ["Id"]}
    assert _holds(whole, projected)
    assert not _holds(whole, projected | {"dynamodb:Attributes": ["Id", "NewImage"]})


# ---- What is not known ---------------------------------------------------------------------


def _changed(**different):
    return _policy(_statement() | different)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("*", "not a policy"),
        ({"Statement": [_statement()]}, "Version"),
        (_allow() | {"Version": "2008-10-17"}, "Version"),
        (_allow() | {"Statements": []}, "unknown element"),
        ({"Version": "2012-10-17"}, "Statement is empty"),
        (_policy(), "Statement is empty"),
        (_policy("Allow"), "not a statement"),
        (_allow(Action=None), "elements"),
        (_allow(Resource=None), "elements"),
        (_allow(Effect=None), "elements"),
        (_changed(NotAction="s3:*"), "elements"),
        (_changed(NotResource="*"), "elements"),
        (_changed(Conditions={}), "elements"),
        (_changed(action="*"), "elements"),
        (_allow(Principal="*"), "elements"),
        (_allow(Effect="allow"), "unknown Effect"),
        (_allow(Action=[]), "Action is empty"),
        (_allow(Action="GetItem"), "Action cannot be"),
        (_allow(Action=["*", 1]), "Action cannot be"),
        (_allow(NotAction="dynamodb:Get Item"), "Action cannot be"),
        (_allow(Resource="Employee"), "Resource cannot be"),
        (_allow(Resource="arn:aws:s3*"), "Resource cannot be"),
        (_allow(Resource={"Fn::GetAtt": ["Table", "Arn"]}), "Resource cannot be"),
        (_allow(NotResource=["*", None]), "Resource cannot be"),
        (_allow(Resource="arn:aws:s3:::home/${aws:username}"), "policy variables"),
        (_allow(Condition={"StringEquals": {"x:key": "${aws:username}"}}), "policy variables"),
    ],
)
def test_malformed_policy_is_refused(policy, message):
    """A document that AWS would refuse, or that holds what is not evaluated, raises."""
    with pytest.raises(PolicyError, match=message):
        decide(_request(), [policy])


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({}, "not a condition"),
        ([], "not a condition"),
        ({"StringEquals": {}}, "not a condition"),
        ({"StringEquals": {"x:key": []}}, "is empty"),
        ({"StringEquals": {"key": "a"}}, "not a condition key"),
        ({"StringEqual": {"x:key": "a"}}, "unknown condition operator"),
        ({"stringequals": {"x:key": "a"}}, "unknown condition operator"),
        ({"StringEqualsIfExist": {"x:key": "a"}}, "unknown condition operator"),
        ({"IfExists": {"x:key": "a"}}, "unknown condition operator"),
        ({"ForAllValues": {"x:key": "a"}}, "unknown condition operator"),
        ({"ForAllValue:StringEquals": {"x:key": "a"}}, "unknown condition operator"),
        ({"ForAllValues:Null": {"x:key": "true"}}, "unknown condition operator"),
        ({"NullIfExists": {"x:key": "true"}}, "unknown condition operator"),
        ({"NotBool": {"x:key": "true"}}, "unknown condition operator"),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, "unknown condition operator"),
        ({"DateLessThan": {"x:key": "2026-01-01T00:00:00Z"}}, "unknown condition operator"),
        ({"StringEquals": {"x:key": 111122223333}}, "not a string"),
        ({"StringLike": {"x:key": [None]}}, "not a string"),
        ({"ArnEquals": {"x:key": "*"}}, "not an ARN"),
        ({"ArnLike": {"aws:PrincipalArn": ["arn:aws:iam::*"]}}, "not an ARN"),
        ({"Bool": {"x:key": "yes"}}, "neither true nor false"),
        ({"Null": {"x:key": "True"}}, "neither true nor false"),
        ({"NumericEquals": {"x:key": True}}, "not a number"),
        ({"NumericLessThan": {"x:key": "NaN"}}, "not a number"),
    ],
)
@pytest.mark.parametrize(
    "elsewhere", [{}, {"Action": "s3:GetObject"}, {"Resource": OBJECT}, {"Effect": "Deny"}]
)
def test_unknown_condition_is_refused_wherever_it_is(condition, message, elsewhere):
    """A condition that cannot be read raises, in a statement about something else as well."""
    policy = _allow(**elsewhere, Condition=condition)

    with pytest.raises(PolicyError, match=message):
        decide(_request(), [_deny(), policy])


@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"Principal": "lambda.amazonaws.com"},
        {"Principal": {}},
        {"Principal": {"AWS": []}},
        {"Principal": {"AWS": 111122223333}},
        {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/*"}},
        {"Principal": {"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/writer/*"}},
        {"Principal": {"AWS": "lambda.amazonaws.com"}},
        {"Principal": {"Service": ROLE}},
        {"Principal": {"Federated": "www.amazon.com"}},
        {"Principal": {"AWS": ROLE, "CanonicalUser": "79a5"}},
        {"Principal": "*", "Resource": None},
        {"NotPrincipal": {"AWS": [ROOT, ROLE]}},
        {"NotPrincipal": "*", "Effect": "Deny"},
    ],
)
def test_malformed_principal_is_refused(elements):
    """A resource policy says in a known way whom it is about, and excepts in a deny only."""
    with pytest.raises(PolicyError):
        decide(_request(), [], [_allow(**elements)])


@pytest.mark.parametrize(
    "different",
    [
        {"principal": "writer"},
        {"principal": f"arn:aws:sts::{ACCOUNT}:assumed-role/writer/session"},
        {"principal": ROOT},
        {"action": "GetItem"},
        {"action": "dynamodb:*"},
        {"resource": "Employee"},
        {"context": {"aws:PrincipalArn": BREAK_GLASS}},
        {"context": {"x:key": "a", "X:Key": "b"}},
        {"context": {"x:key": ["a", ""]}},
        {"context": {"x:key": True}},
        {"context": {"x:key": None}},
    ],
)
def test_malformed_request_is_refused(different):
    """A request is one action of one principal on one resource, with each key once."""
    usual = {"principal": ROLE, "action": "dynamodb:GetItem", "resource": TABLE}

    with pytest.raises(PolicyError):
        Request(**usual | different)


def test_request_must_say_what_every_request_has():
    """A condition on a key that AWS always sends does not take it for missing."""
    secure = {"Bool": {"aws:SecureTransport": "false"}}

    with pytest.raises(PolicyError, match="aws:SecureTransport"):
        decide(_request(), [_allow(), _deny(Condition=secure)])

    plain = _request({"aws:SecureTransport": "false"})
    assert decide(plain, [_allow(), _deny(Condition=secure)]) is EXPLICIT_DENY


def test_values_that_do_not_fit_their_operator_are_refused():
    """Several values without a set operator, and a value of another type, raise."""
    with pytest.raises(PolicyError, match="multivalued"):
        _holds({"StringEquals": {"x:key": "a"}}, {"x:key": ["a"]})
    with pytest.raises(PolicyError, match="not an ARN"):
        _holds({"ArnNotEquals": {"x:key": ARN}}, {"x:key": "a"})
    with pytest.raises(PolicyError, match="neither true nor false"):
        _holds({"Bool": {"x:key": "true"}}, {"x:key": "1"})


# ---- Properties ----------------------------------------------------------------------------

_small = st.sampled_from(["a", "b", "c"])
_conditions = st.builds(
    lambda name, wanted: {name: {"x:key": wanted}},
    st.sampled_from(["StringEquals", "StringNotEquals", "StringLike", "StringEqualsIfExists"]),
    st.lists(_small, min_size=1, max_size=2),
)
_elements = st.fixed_dictionaries(
    {
        "Action": st.sampled_from(["*", "dynamodb:Get*", "s3:*"]),
        "Resource": st.sampled_from(["*", TABLE, OBJECT]),
    },
    optional={"Condition": _conditions},
)
_principals = st.sampled_from(["*", {"AWS": ROLE}, {"AWS": ROOT}, {"AWS": BREAK_GLASS}])
_effects = st.sampled_from(["Allow", "Deny"])
_identity = st.builds(lambda effect, one: _policy(one | {"Effect": effect}), _effects, _elements)
_resource = st.builds(
    lambda effect, one, who: _policy(one | {"Effect": effect, "Principal": who}),
    _effects,
    _elements,
    _principals,
)
_requests = st.builds(
    lambda context, action: _request(context, action=action),
    st.fixed_dictionaries({}, optional={"x:key": _small}),
    st.sampled_from(["dynamodb:GetItem", "s3:GetObject"]),
)


@given(_requests, st.lists(_identity, max_size=3), st.lists(_resource, max_size=3), _identity)
def test_a_statement_works_in_its_own_direction_only(request_, identity, resource, more):
    """Whatever the policies, one more Deny allows nothing, and one more Allow denies nothing."""
    before = decide(request_, identity, resource)
    after = decide(request_, [*identity, more], resource)

    if more["Statement"][0]["Effect"] == "Deny":
        assert after in (before, EXPLICIT_DENY)
    else:
        assert after is before or (before, after) == (IMPLICIT_DENY, ALLOWED)


@given(_requests, st.lists(_identity, max_size=3), st.lists(_resource, max_size=3))
def test_neither_order_nor_grouping_matters(request_, identity, resource):
    """Statements decide the same in any order, and in one document as in several."""
    together = [_policy(*(one["Statement"][0] for one in reversed(identity)))] if identity else []

    assert decide(request_, together, resource[::-1]) is decide(request_, identity, resource)


@given(_requests, st.lists(_identity, max_size=3), st.lists(_resource, max_size=3))
def test_other_accounts_get_no_more_than_ones_own(request_, identity, resource):
    """What is allowed across accounts, where both must allow, is allowed within one."""
    across = Request(request_.principal, request_.action, OBJECT, request_.context)

    if decide(across, identity, resource, same_account=False) is ALLOWED:
        assert decide(across, identity, resource) is ALLOWED


_values = st.text("ab*?", max_size=3)


@given(
    st.sampled_from(["StringEquals", "StringEqualsIgnoreCase", "StringLike"]),
    st.lists(_values, min_size=1, max_size=3),
    st.none() | st.lists(_values.filter(bool), max_size=3),
)
def test_every_and_any_are_each_others_negation(operator, wanted, values):
    """All values match unless any of them matches none, and none match unless any of them does."""
    context = {} if values is None else {"x:key": values}

    def holds(name):
        return _holds({name: {"x:key": wanted}}, context)

    negated = NEGATED[operator]
    assert holds(f"ForAllValues:{operator}") != holds(f"ForAnyValue:{negated}")
    assert holds(f"ForAllValues:{negated}") != holds(f"ForAnyValue:{operator}")


@given(
    st.lists(st.sampled_from(["*", "?", "a", "/", ":", ".", "[", "\\", "\n"]), max_size=8),
    st.data(),
)
def test_pattern_matches_what_is_made_from_it(pattern, data):
    """A pattern matches whatever its wildcards are filled with, and needs all of the rest."""
    filler = {"*": st.text("a/:.\n", max_size=3), "?": st.text("a/:.\n", min_size=1, max_size=1)}
    text = "".join(data.draw(filler[one]) if one in filler else one for one in pattern)

    def holds(value):
        return _holds({"StringLike": {"x:key": "".join(pattern)}}, {"x:key": value})

    assert holds(text)
    if "*" not in pattern:
        assert not holds(f"{text}a")
        assert not holds(f"a{text}")
