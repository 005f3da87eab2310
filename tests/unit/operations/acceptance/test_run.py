"""An acceptance run as a whole: what it refuses, leaves out, and takes away however it ends."""

from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from operations.acceptance import services
from operations.acceptance.belief import BeliefOutcome
from operations.acceptance.run import accept, planned
from operations.errors import RefusedError
from tests.accepted_account import DENIED, KEYS, Account
from tests.factories import text

OTHERS = KEYS | {"Name": text("somebody's")}


@pytest.fixture
def account(monkeypatch):
    """An account as it is believed to be."""
    made = Account()
    monkeypatch.setattr(services.URLLib3Session, "send", lambda _, request: made.send(request))
    return made


def test_item_that_is_there_is_not_touched(account):
    """A canary's key has to be free: an item in use is neither written nor deleted."""
    account.items["canary"] = OTHERS
    account.DeleteItem = _refused_condition

    with pytest.raises(RefusedError, match="name a key with --canary"):
        accept(account.trial)

    assert account.items["canary"] == OTHERS
    assert [operation for operation, _, _ in account.requests].count("UpdateItem") == 0


def _refused_condition(ConditionExpression, **_):  # noqa: N803 - AWS's names
    assert ConditionExpression == "#mark = :run"
    raise LookupError("ConditionalCheckFailedException", "it is not this run's")


def test_only_this_runs_item_is_deleted(account):
    """Somebody may write an item of the canary's key meanwhile: that one stays."""
    accept(account.trial)

    deletes = [
        request
        for operation, _, request in account.requests
        if operation == "DeleteItem" and request["TableName"] == account.stack.source_table
    ]
    assert len(deletes) == 3
    for request in deletes:
        assert request["ConditionExpression"] == "#mark = :run"
        assert request["ExpressionAttributeValues"] == {":run": text("abc123")}


def test_canary_that_may_not_be_written_ends_the_run(account):
    """Without its item there is nothing to try with."""
    account.refused["TransactWriteItems"] = DENIED

    with pytest.raises(ClientError):
        accept(account.trial)

    assert (account.made, account.trial.clean_up.stays) == (set(), [])


@pytest.mark.parametrize("operation", ["Invoke", "ReceiveMessage", "PutObject", "GetMetricData"])
def test_all_is_taken_away_after_ctrl_c(account, operation):
    """Wherever it comes."""

    def interrupted(**_):
        raise KeyboardInterrupt

    setattr(account, operation, interrupted)

    with pytest.raises(KeyboardInterrupt):
        accept(account.trial)

    assert (account.items, account.made) == ({}, set())


def test_what_cannot_be_taken_away_is_listed(account):
    """By its name, and the rest is taken away all the same."""
    account.refused["DeleteQueue"] = DENIED

    run = accept(account.trial)

    assert f"the queue {account.trial.name}, which could not be taken away: {DENIED}" in run.stays
    assert (account.items, account.made) == ({}, {f"https://queue/{account.trial.name}"})


def test_a_second_ctrl_c_lists_what_is_there_still(account):
    """Who does not want to wait for the end is told what to take away."""

    def interrupted(**_):
        raise KeyboardInterrupt

    account.SetAlarmState = account.Unsubscribe = interrupted

    with pytest.raises(KeyboardInterrupt):
        accept(account.trial)

    stays = account.trial.clean_up.stays
    assert "the subscription subscription, which was not taken away" in stays
    assert f"the queue {account.trial.name}, which was not taken away" in stays
    assert "the canary, which was not taken away" in stays


def test_an_answer_that_is_not_understood_ends_no_clean_up(account):
    """The rest is taken away all the same."""
    account.DeleteQueue = lambda **_: 1 / 0

    run = accept(account.trial)

    assert account.made == {f"https://queue/{account.trial.name}"}
    assert f"the queue {account.trial.name}, which could not be taken away" in str(run.stays)


def test_a_stack_that_consumes_nothing_is_not_waited_for(account):
    """Its run ends within ten minutes, and says of what was not waited for that it is not tried."""
    account.lets_insert, account.filled_state = False, "INSUFFICIENT_DATA"
    account.GetMetricStatistics = lambda **_: {"Datapoints": []}
    account.SetAlarmState = lambda **_: {}

    run = accept(account.trial)

    assert run.ended - run.at < timedelta(minutes=11)
    outcomes = {tried.belief.id: tried.result.outcome for tried in run.tried}
    assert outcomes["put-becomes-row"] is BeliefOutcome.REFUTED
    assert outcomes["throttle-is-counted"] is BeliefOutcome.NOT_TRIED
    assert (account.items, account.made) == ({}, set())


def test_a_run_takes_half_an_hour_at_the_most(account):
    """As it says, though all that it waits for is late; what is cut short refutes nothing."""
    account.lag_s, account.condition, account.filled_state = 290, None, "INSUFFICIENT_DATA"
    account.GetMetricStatistics = lambda **_: {"Datapoints": []}

    run = accept(account.trial)

    assert run.ended - run.at < timedelta(minutes=33)
    cut = [tried for tried in run.tried if "the time of the run" in tried.result.evidence]
    assert cut
    assert {tried.result.outcome for tried in cut} == {BeliefOutcome.NOT_TRIED}
    # What is taken away has its own time.
    assert account.made == set()
    assert [what for what in run.stays if "could not be taken away" in what] == []


@pytest.mark.parametrize(
    "refused", [("CreateFunction", "DeleteFunction"), ("CreateBucket", "ListObjectVersions")]
)
def test_what_was_not_made_is_not_listed(account, refused):
    """Who may not make it mostly may not take it away either: nothing of it stays."""
    account.refused |= dict.fromkeys(refused, DENIED)

    run = accept(account.trial)

    assert [what for what in run.stays if "could not be taken away" in what] == []


def test_alarm_is_put_back(account):
    """Into the state that it had."""
    accept(account.trial)

    states = [
        request["StateValue"]
        for operation, _, request in account.requests
        if operation == "SetAlarmState"
    ]
    assert states == ["ALARM", "OK"]


def test_belief_that_is_left_out_is_not_tried(account):
    """Nor is anything made for it."""
    run = accept(account.trial, ["alarm-reaches-subscriber"])

    (result,) = [
        tried.result for tried in run.tried if tried.belief.id == "alarm-reaches-subscriber"
    ]
    assert (result.outcome, result.evidence) == (BeliefOutcome.NOT_TRIED, "left out with --skip")
    assert "CreateQueue" not in [operation for operation, _, _ in account.requests]


def test_answer_that_is_not_understood_ends_no_run(account):
    """An emulator, or AWS one day, may answer otherwise: it is named, and the rest is tried."""
    account.consume = lambda _: "all of them"

    run = accept(account.trial)

    results = {tried.belief.id: tried.result for tried in run.tried}
    assert results["redelivery-is-known"].outcome is BeliefOutcome.NOT_TRIED
    assert results["throttle-is-counted"].outcome is BeliefOutcome.CONFIRMED


def test_error_of_an_attempt_is_named(account):
    """Whatever it is."""
    topic = account.stack.outputs["AlarmTopicArn"]
    account.DescribeAlarms = lambda **_: {"MetricAlarms": [{"AlarmActions": [topic]}]}

    run = accept(account.trial)

    results = {tried.belief.id: tried.result for tried in run.tried}
    assert results["alarm-reaches-subscriber"].outcome is BeliefOutcome.NOT_TRIED
    assert "KeyError 'ActionsEnabled'" in results["alarm-reaches-subscriber"].evidence


def test_progress_names_the_belief(account):
    """And how many there are."""
    calls = []

    accept(account.trial, progress=lambda *call: calls.append(call))

    assert calls[0][0] == "trying insert-is-allowed"
    assert [done for _, done, _ in calls] == list(range(calls[0][2]))


def test_plan_asks_nothing(account):
    """A dry run knows of each belief why it would not be tried, or that it would be."""
    reasons = {tried.belief.id: tried.result.evidence for tried in planned(account.trial)}

    assert account.requests == []
    assert reasons["put-item-denied"] == "a dry run: it would be tried"
    assert "organization" in reasons["scp-spares-management-account"]


def test_history_alone_has_no_replica_to_try(monkeypatch):
    """What the stack was deployed without is not tried, and refutes nothing."""
    account = Account(Consumers="history")
    monkeypatch.setattr(services.URLLib3Session, "send", lambda _, request: account.send(request))

    run = accept(account.trial)

    assert run.is_clean
    untried = {
        tried.belief.id for tried in run.tried if "the stack has no" in tried.result.evidence
    }
    assert untried == {"replica-is-equal", "simulated-replica-writer", "simulated-second-look"}


def test_old_stack_lacks_an_output(account):
    """What is not known of a stack that was deployed long ago is not tried."""
    outputs = {name: value for name, value in account.stack.outputs.items() if "Topic" not in name}
    object.__setattr__(account.stack, "outputs", outputs)

    run = accept(account.trial)

    (evidence,) = [
        tried.result.evidence
        for tried in run.tried
        if tried.belief.id == "alarm-reaches-subscriber"
    ]
    assert evidence == "the stack has no output AlarmTopicArn: deploy template.yaml anew"
