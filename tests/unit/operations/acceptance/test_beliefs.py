"""Every belief, on an account that is as it is believed, and on one that is not."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from operations.acceptance import services
from operations.acceptance.belief import BeliefOutcome
from operations.acceptance.beliefs import BELIEFS
from operations.acceptance.run import accept
from tests.accepted_account import DENIED, Account
from tests.deployed_policies import ADMINISTRATOR
from tests.templates import STREAM

ROOT = Path(__file__).parents[4]
CONFIRMED, REFUTED, NOT_TRIED = BeliefOutcome
TRIABLE = [belief.id for belief in BELIEFS if belief.attempt is not None]
# `(check: ID)`, or the word as a link.
_MARK = re.compile(r"check(?:\]\([^)]*\))?: ([a-z][a-z0-9]*(?:-[a-z0-9]+)+)")


@pytest.fixture
def account(monkeypatch):
    """An account as it is believed to be."""
    made = Account()
    monkeypatch.setattr(services.URLLib3Session, "send", lambda _, request: made.send(request))
    return made


def outcomes(run):
    """What came of each belief."""
    return {tried.belief.id: tried.result.outcome for tried in run.tried}


def all_but(name):
    """What is left out where one is tried."""
    return [belief.id for belief in BELIEFS if belief.id != name]


def evidence_of(run, name):
    """By what it is known."""
    (evidence,) = [tried.result.evidence for tried in run.tried if tried.belief.id == name]
    return evidence


def test_all_is_confirmed_on_an_account_as_it_is_believed_to_be(account):
    """What a program can try is confirmed, and the rest is not tried; nothing of it remains."""
    run = accept(account.trial)

    untriable = {belief.id for belief in BELIEFS} - set(TRIABLE)
    assert outcomes(run) == dict.fromkeys(TRIABLE, CONFIRMED) | dict.fromkeys(untriable, NOT_TRIED)
    assert run.is_clean
    assert (account.items, account.made) == ({}, set())
    overflow = account.stack.overflow_bucket
    assert [bucket for bucket, _ in account.objects] == [overflow]
    (rows, *objects) = run.stays
    assert "for ever" in rows
    assert len(objects) == len(re.findall("version in the quarantine", str(objects))) + 1


# ---- Each refuted ----------------------------------------------------------------------------


def _allow(action, who=None):
    def change(account):
        account.allowed.add((who or ADMINISTRATOR, f"dynamodb:{action}"))

    return change


def _allow_role(action, role):
    def change(account):
        account.allowed.add((account.role(role), action))

    return change


def _answer(operation, answer):
    """Have an operation answered otherwise."""
    return lambda account: setattr(account, operation, lambda **_: answer)


def _refuse(operation, code=DENIED):
    """Have an operation refused."""

    def change(account):
        account.refused[operation] = code

    return change


def _set(**facts):
    def change(account):
        for name, value in facts.items():
            setattr(account, name, value)

    return change


def _no_insert(account):
    account.lets_insert = False
    account.logged = [{"errors": {"AccessDenied": 2}}]


def _no_recovery(account):
    account.facts.recovery[account.stack.history_table] = "DISABLED"


def _no_points(account):
    account.facts.metrics = {}


def _no_token(account):
    first = account.TransactWriteItems

    def written(TransactItems, ClientRequestToken):  # noqa: N803 - AWS's names
        return first(TransactItems, ClientRequestToken + str(len(account.tokens)))

    account.TransactWriteItems = written


def _unlocked(account):
    until = account.now + timedelta(days=1)
    retention = {"Mode": "GOVERNANCE", "RetainUntilDate": until}
    account.GetObjectRetention = lambda **_: {"Retention": retention}


def _inserted(**more):
    """Have an INSERT answered as a duplicate's, with more."""
    problem = {"Error": {"Code": "DuplicateItem", "Message": ""}}
    return _answer("BatchExecuteStatement", {"Responses": [problem], **more})


def _no_delivery(account):
    account.condition, account.undelivered = None, 1


def _no_put_with(argument):
    """Have a put with an argument denied."""

    def change(account):
        first = account.PutObject

        def put(**request):
            if argument in request:
                raise LookupError("AccessDenied", "explicit deny in a resource-based policy")
            return first(**request)

        account.PutObject = put

    return change


def _any_put(account):
    account.PutObject = lambda Bucket, Key, **_: account.objects.update({(Bucket, Key): b""}) or {}  # noqa: N803


def _silent_partiql(account):
    first = account.ExecuteStatement

    def executed(Statement, Parameters):  # noqa: N803 - AWS's names
        if Statement.startswith("INSERT"):
            account.items["canary"] = account.inserted(Statement, Parameters)
            return {"Items": []}
        return first(Statement, Parameters)

    account.ExecuteStatement = executed


def _silent_recovery(account):
    status = {"ContinuousBackupsStatus": "ENABLED"}
    account.DescribeContinuousBackups = lambda **_: {"ContinuousBackupsDescription": status}


def _throttled_insert(account):
    problem = {"Error": {"Code": "ThrottlingError", "Message": ""}}
    account.BatchExecuteStatement = lambda **_: {"Responses": [problem]}


def _no_insert_of_the_role(account):
    account._probed = lambda _: {"code": DENIED, "request": "1"}


def _probe_answers(code):
    """Have every call of the temporary function answered with a code."""
    return _set(_probed=lambda _: {"code": code, "request": "1"})


def _repeat_answers(code):
    def change(account):
        first = account.TransactWriteItems

        def written(**request):
            if account.tokens:
                raise LookupError(code, "once more")
            return first(**request)

        account.TransactWriteItems = written

    return change


def _may_nothing(account):
    """Denied by nobody knows which policy, and the simulator may not be asked."""
    account.refused |= {"PutItem": DENIED, "SimulatePrincipalPolicy": DENIED}


def _throttled_writer(account):
    account.met = {"ThrottlingException": 1}
    account.consume = lambda _: {"Unstored": 1}


def _denied_from_above(account):
    first = account.SimulatePrincipalPolicy

    def simulated(**request):
        answer = first(**request)
        above = {"AllowedByOrganizations": False}
        answer["EvaluationResults"][0]["OrganizationsDecisionDetail"] = above
        return answer

    account.SimulatePrincipalPolicy = simulated


def _stopped_stream(account):
    first = account.ExecuteStatement

    def executed(**request):
        account.lets_insert = account.lets_insert and "INSERT" not in request["Statement"]
        return first(**request)

    account.ExecuteStatement = executed


OTHERWISE = {
    "insert-is-allowed": _no_insert,
    "put-item-denied": _allow("PutItem"),
    "update-item-denied": _allow("UpdateItem"),
    "delete-item-denied": _allow("DeleteItem"),
    "batch-write-denied": _allow("BatchWriteItem"),
    "partiql-update-denied": _allow("PartiQLUpdate"),
    "partiql-delete-denied": _allow("PartiQLDelete"),
    "time-to-live-denied": _allow("UpdateTimeToLive"),
    "recovery-is-on": _no_recovery,
    "duplicate-is-charged": _inserted(ConsumedCapacity=[{"CapacityUnits": 0.0}]),
    "role-inserts-alone": _allow_role("dynamodb:UpdateItem", "HistoryWriterRole"),
    "control-rows-are-denied": _set(gives_keys=False),
    "whole-rows-are-not-read": _allow_role("dynamodb:BatchGetItem", "HistoryWriterRole"),
    "via-service-of-partition": _set(has_s3_condition=False),
    "reader-sees-its-stack": _refuse("DescribeStacks"),
    "simulated-history-writer": _allow_role("s3:DeleteObject", "HistoryWriterRole"),
    "simulated-replica-writer": _allow_role("dynamodb:PutItem", "ReplicaWriterRole"),
    "simulated-second-look": _allow_role("dynamodb:PartiQLInsert", "SecondLookRole"),
    "simulated-report-reader": _allow_role("s3:PutObject", "ReportReaderRole"),
    "put-becomes-row": _set(lag_s=100),
    "replica-is-equal": _answer("GetItem", {}),
    "token-repeats-succeed": _no_token,
    "redelivery-is-known": _set(consume=lambda _: {"DigestConflicts": 1}),
    "poison-is-isolated": _set(consume=lambda _: {"Duplicates": 1}),
    "failure-is-delivered": _no_delivery,
    "old-record-is-not-tried": _set(was_tried=True),
    "filter-comes-before-age": _set(filters_first=False),
    "overflow-is-locked": _unlocked,
    "customer-key-under-lock": _no_put_with("SSECustomerKey"),
    "put-without-condition-denied": _any_put,
    "key-has-grants": _answer("ListGrants", {"Grants": []}),
    "alarm-reaches-subscriber": _answer("SetAlarmState", {}),
    "missing-points-are-filled": _set(filled_state="OK"),
    "old-signature-is-refused": _set(
        send=lambda _: type("A", (), {"status_code": 200, "text": ""})
    ),
    "idle-mapping-is-counted": _no_points,
    "throttle-is-counted": _answer("GetMetricStatistics", {"Datapoints": []}),
    "partiql-insert-streams": _silent_partiql,
}
# What cannot be known where another belief is false.
_ALONG = {
    "insert-is-allowed": {"put-becomes-row"},
    "redelivery-is-known": {"poison-is-isolated"},
    "role-inserts-alone": {"simulated-history-writer"},
    "whole-rows-are-not-read": {"simulated-history-writer"},
}


def test_each_belief_that_can_be_tried_can_be_refuted():
    """Below there is an account for each in which it is otherwise."""
    assert set(OTHERWISE) == set(TRIABLE)


@pytest.mark.parametrize("name", TRIABLE)
def test_belief_is_refuted_where_it_is_otherwise(account, name):
    """Also where it is the only one that is tried."""
    OTHERWISE[name](account)

    run = accept(account.trial, all_but(name))

    assert outcomes(run)[name] is REFUTED
    assert (account.items, account.made) == ({}, set())


@pytest.mark.bank
@pytest.mark.parametrize("name", TRIABLE)
def test_nothing_else_is_refuted_with_it(account, name):
    """No other that can still be tried; the run goes on to its end and takes all away."""
    OTHERWISE[name](account)

    run = accept(account.trial)

    refuted = {belief for belief, outcome in outcomes(run).items() if outcome is REFUTED}
    assert refuted == {name} | _ALONG.get(name, set())
    assert not run.is_clean
    assert (account.items, account.made) == ({}, set())


@pytest.mark.parametrize(
    ("name", "otherwise"),
    [
        ("overflow-is-locked", _set(has_lock=False)),
        ("customer-key-under-lock", _set(has_lock=False)),
        ("put-without-condition-denied", _no_put_with("IfNoneMatch")),
        ("alarm-reaches-subscriber", _answer("DescribeAlarms", {"MetricAlarms": []})),
        ("role-inserts-alone", _allow_role("dynamodb:PutItem", "HistoryWriterRole")),
    ],
)
def test_there_is_more_than_one_way_to_be_otherwise(account, name, otherwise):
    """A lock that does not hold, an alarm that tells nobody, another right of the role."""
    otherwise(account)

    assert outcomes(accept(account.trial, all_but(name)))[name] is REFUTED


# ---- Not tried -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "otherwise", "reason"),
    [
        ("put-item-denied", _may_nothing, "does not name the table's policy"),
        ("put-item-denied", _refuse("PutItem", "ThrottlingException"), "ThrottlingException"),
        ("role-inserts-alone", _refuse("CreateFunction"), "iam:PassRole"),
        ("failure-is-delivered", _refuse("CreateFunction"), "iam:PassRole"),
        ("old-record-is-not-tried", _set(condition=None), "see failure-is-delivered"),
        ("simulated-history-writer", _refuse("SimulatePrincipalPolicy"), DENIED),
        ("redelivery-is-known", _set(lets_insert=False), "see put-becomes-row"),
        (
            "insert-is-allowed",
            _set(lets_insert=False, logged=[{"errors": {"ThrottlingException": 1}}]),
            "none of the function's writes was denied",
        ),
        (
            "idle-mapping-is-counted",
            lambda a: a.facts.metrics.update(PolledEventCount=[3.0]),
            "idle",
        ),
        ("reader-sees-its-stack", _refuse("AssumeRole"), "AssumeRole"),
        ("control-rows-are-denied", _set(control_rows=[]), "itemtrail enable Employee"),
        ("control-rows-are-denied", _no_insert_of_the_role, "see role-inserts-alone"),
        ("duplicate-is-charged", _inserted(), "does not say what it cost"),
        ("duplicate-is-charged", _inserted(ConsumedCapacity=[]), "does not say what it cost"),
        ("duplicate-is-charged", _throttled_insert, "ThrottlingError"),
        ("recovery-is-on", _silent_recovery, "does not say"),
        ("role-inserts-alone", _probe_answers("ThrottlingException"), "ThrottlingException"),
        ("whole-rows-are-not-read", _probe_answers("ThrottlingException"), "ThrottlingException"),
        ("control-rows-are-denied", _probe_answers("ThrottlingError"), "ThrottlingError"),
        ("via-service-of-partition", _probe_answers("SlowDown"), "SlowDown"),
        ("token-repeats-succeed", _repeat_answers("ThrottlingException"), "ThrottlingException"),
        ("redelivery-is-known", _throttled_writer, "ThrottlingException"),
        ("poison-is-isolated", _throttled_writer, "ThrottlingException"),
        ("overflow-is-locked", _set(may_delete_versions=False), "that nothing locks"),
        ("customer-key-under-lock", _set(may_delete_versions=False), "that nothing locks"),
        ("old-signature-is-refused", _set(refuses_old_with="ThrottlingException"), "HTTP 400"),
        ("simulated-history-writer", _denied_from_above, "OrganizationsDecisionDetail"),
        ("failure-is-delivered", _set(condition=None), "DestinationDeliveryFailures counts 0"),
        ("old-record-is-not-tried", _set(condition=""), "names no condition"),
        ("filter-comes-before-age", _set(condition=None), "see failure-is-delivered"),
        ("missing-points-are-filled", _set(filled_state="INSUFFICIENT_DATA"), "not evaluated"),
        ("partiql-insert-streams", _stopped_stream, "itemtrail doctor"),
    ],
)
def test_belief_of_which_nothing_is_known_is_not_tried(account, name, otherwise, reason):
    """What these credentials may not do, and what another failure hides, refutes nothing."""
    otherwise(account)

    run = accept(account.trial, all_but(name))

    assert outcomes(run)[name] is NOT_TRIED
    assert reason in evidence_of(run, name)


@pytest.mark.parametrize("who", ["administrator", "assumed-role/administrator/somebody"])
def test_a_denial_that_names_no_policy_is_the_tables_if_ones_own_policies_allow_it(account, who):
    """Nothing rests on the words of a message: IAM's simulator says what the caller may."""
    account.explains = "denied"
    if "/" in who:
        session = f"arn:aws:sts::111122223333:{who}"
        account.GetCallerIdentity = lambda: {"Arn": session}

    run = accept(account.trial, all_but("partiql-update-denied"))

    assert outcomes(run)["partiql-update-denied"] is CONFIRMED
    assert "simulator" in evidence_of(run, "partiql-update-denied")


def test_record_of_a_table_in_use_is_not_made_to_fail(monkeypatch):
    """Its mapping would read all of the stream, whatever its filter says: it is not even made."""
    account = Account(SampleSourceTableName="", SourceStreamArn=STREAM)
    monkeypatch.setattr(services.URLLib3Session, "send", lambda _, request: account.send(request))

    run = accept(account.trial)

    for name in ("failure-is-delivered", "old-record-is-not-tried", "filter-comes-before-age"):
        assert outcomes(run)[name] is NOT_TRIED
        assert "SampleSourceTableName" in evidence_of(run, name)
    asked = [operation for operation, _, _ in account.requests]
    assert "CreateEventSourceMapping" not in asked


def test_break_glass_role_is_not_tried(monkeypatch):
    """Its credentials may change rows: that they do says nothing of anybody else's."""
    role = "arn:aws:iam::111122223333:role/break-glass"
    account = Account(BreakGlassRoleArn=role)
    monkeypatch.setattr(services.URLLib3Session, "send", lambda _, request: account.send(request))
    session = "arn:aws:sts::111122223333:assumed-role/break-glass/somebody"
    account.GetCallerIdentity = lambda: {"Arn": session}

    run = accept(account.trial)

    assert outcomes(run)["put-item-denied"] is NOT_TRIED
    assert "break-glass" in evidence_of(run, "put-item-denied")


# ---- The list --------------------------------------------------------------------------------


def test_every_mark_in_documents_and_templates_is_a_belief_and_every_belief_is_marked():
    """What only an account can settle is on the list by name, and marked where it is said."""
    files = [*ROOT.glob("docs/*.md"), *ROOT.glob("*.md"), *ROOT.glob("*.yaml")]
    marked = {
        (name, str(file.relative_to(ROOT)))
        for file in files
        for name in _MARK.findall(file.read_text("utf-8"))
    }

    assert marked == {(belief.id, belief.source) for belief in BELIEFS}


def test_nothing_is_marked_without_a_name():
    """A `(check)` that names no belief is on no list."""
    page = (ROOT / "docs/deployment.md").read_text("utf-8")

    assert "(check)" not in page
    assert len({belief.id for belief in BELIEFS}) == len(BELIEFS)


def test_the_page_lists_every_belief():
    """docs/deployment.md has a line a belief, and says which no program tries."""
    page = (ROOT / "docs/deployment.md").read_text("utf-8")
    lines = [
        f"| `{belief.id}` | {belief.sentence} | {_untried(belief)} |".replace("|  |", "| |")
        for belief in BELIEFS
    ]

    assert [line for line in lines if line not in page.replace("|  |", "| |")] == []


def _untried(belief):
    if belief.attempt is None:
        return belief.untried
    return "on an emulator" if belief.untried else ""
