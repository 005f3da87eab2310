"""Trying again pauses ever longer, with jitter, and ends while there is time to answer."""

import pytest
from botocore.exceptions import EndpointConnectionError

from stream_core.clients import CLIENT_CONFIG
from stream_core.retry import MARGIN_MS, CallError, Retry, classify, classify_code
from tests.factories import Clock
from tests.fakes import client_error, read_timeout


def succeeding_after(failures):
    """An attempt that leaves everything undone so many times; what it was given is kept."""
    seen = []

    def attempt(pending):
        seen.append(list(pending))
        return pending if len(seen) <= failures else []

    return seen, attempt


def test_done_work_is_not_tried_again():
    """Only what an attempt hands back is tried again."""
    clock, seen = Clock(), []

    def attempt(pending):
        seen.append(pending)
        return pending[1:]

    remaining = clock.patience.work_off([1, 2, 3], attempt)

    assert remaining == []
    assert seen == [[1, 2, 3], [2, 3], [3]]
    assert len(clock.pauses_s) == 2


def test_nothing_to_do_is_not_attempted():
    """No work means no request and no pause."""
    clock = Clock()
    seen, attempt = succeeding_after(0)

    assert clock.patience.work_off([], attempt) == []
    assert (seen, clock.pauses_s) == ([], [])


def test_pauses_double_up_to_a_ceiling():
    """Backoff is exponential from 50 ms and never longer than 5 s."""
    clock = Clock(left_ms=1e9)
    _, attempt = succeeding_after(10)

    clock.patience.work_off(["x"], attempt)

    assert clock.pauses_s == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5])


def test_pauses_are_a_random_part_of_their_ceiling():
    """Full jitter: concurrent invocations do not come back all at once."""
    clock = Clock(jitter=0.25)
    _, attempt = succeeding_after(2)

    clock.patience.work_off(["x"], attempt)

    assert clock.pauses_s == pytest.approx([0.0125, 0.025])


def test_trying_ends_before_the_invocation_does():
    """FACTS 9.65: what is left when time runs short is returned, with the margin unspent."""
    clock = Clock(left_ms=MARGIN_MS + 400)
    seen, attempt = succeeding_after(1_000)

    remaining = clock.patience.work_off(["x", "y"], attempt)

    assert remaining == ["x", "y"]
    assert len(seen) == 4
    assert clock.pauses_s == pytest.approx([0.05, 0.1, 0.2])
    assert clock.left_ms >= MARGIN_MS


def test_work_is_tried_once_without_time_for_a_second_attempt():
    """An invocation that starts late still does what it can."""
    clock = Clock(left_ms=MARGIN_MS)
    seen, attempt = succeeding_after(1)

    assert clock.patience.work_off(["x"], attempt) == ["x"]
    assert (seen, clock.pauses_s) == ([["x"]], [])


def test_nothing_is_started_that_may_outlast_the_invocation():
    """What is not started is left over, and no request is made."""
    clock = Clock(left_ms=MARGIN_MS - 1)
    seen, attempt = succeeding_after(0)

    assert clock.patience.work_off(["x"], attempt) == ["x"]
    with pytest.raises(CallError, match="no time") as caught:
        clock.patience.call(lambda: seen.append("called"))

    assert (caught.value.retry, caught.value.is_answered) == (Retry.UNKNOWN, True)
    assert seen == []


@pytest.mark.parametrize(
    ("error", "retry", "answered"),
    [
        (KeyError("Responses"), Retry.UNKNOWN, False),
        (ValueError("cut"), Retry.UNKNOWN, False),
        (read_timeout(), Retry.TRANSIENT, False),
        (client_error("InternalServerError", 500), Retry.TRANSIENT, False),
        (client_error("", 503), Retry.TRANSIENT, False),
        (client_error("ThrottlingException"), Retry.TRANSIENT, True),
        (client_error("ValidationException"), Retry.PERMANENT, True),
        (EndpointConnectionError(endpoint_url="https://x"), Retry.TRANSIENT, True),
    ],
)
def test_an_error_of_any_kind_is_a_failed_call(error, retry, answered):
    """What is not positively an answer is no success, and may have taken effect."""

    def fail():
        raise error

    with pytest.raises(CallError) as caught:
        Clock().patience.call(fail)

    assert (caught.value.retry, caught.value.is_answered) == (retry, answered)


@pytest.mark.parametrize(
    "message",
    [
        "The provided key element does not match the schema",
        "One or more parameter values were invalid: Missing the key Pk in the item",
        "One or more parameter values were invalid: Type mismatch for key Id expected: N actual: S",
    ],
)
def test_a_refusal_of_the_tables_keys_is_no_fault_of_a_record(message):
    """Every item of a table with another key schema would be refused so."""
    assert classify(client_error("ValidationException", message=message)) is Retry.UNKNOWN
    assert classify_code("ValidationError", message) is Retry.UNKNOWN


def test_an_index_may_refuse_one_item():
    """Only items whose attribute has another type than the index are refused so."""
    message = "Type mismatch for Index Key Age Expected: N Actual: S IndexName: ByAge"

    assert classify_code("ValidationException", message) is Retry.PERMANENT


def test_a_refused_role_is_no_fault_of_a_record():
    """STS answers a role that cannot be with the code of a bad record."""
    error = client_error("ValidationError", operation="AssumeRole")

    assert classify(error) is Retry.UNKNOWN


def test_a_body_that_is_too_large_is_a_refusal():
    """So that the call is halved until it passes."""
    assert classify(client_error("413", 413)) is Retry.PERMANENT


def test_the_margin_outlasts_a_request_that_never_ends():
    """FACTS 9.65: even a last attempt that hangs leaves time to say what is not stored."""
    longest_request_s = CLIENT_CONFIG.connect_timeout + CLIENT_CONFIG.read_timeout

    assert longest_request_s * 1000 < MARGIN_MS
    assert CLIENT_CONFIG.retries["total_max_attempts"] == 1
