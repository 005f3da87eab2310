"""What the stream says of records: it has them, has them otherwise, or cannot say."""

from datetime import UTC, datetime, timedelta

import pytest

from operations.redrive.delivery import Cause, Undelivered
from operations.redrive.evidence import StreamEvidence
from operations.redrive.stream_reader import StreamReader
from reports.access.machine import Machine
from stream_core.change import read_record
from tests.factories import NOON, STREAM_ARN, Clock, api_record, item, number, text
from tests.fakes import DENIED
from tests.left_behind import GONE, TRIMMED, FakeStreams, Shard

FIRST = 800000000003126276362
MADE = datetime.fromtimestamp(NOON, UTC)


def change(sequence, *, at=NOON, **attributes):
    """The change of the record that the fake stream has, or of one that differs from it."""
    new = item(str(sequence), Version=number(sequence), **attributes)
    return read_record(api_record(None, new, sequence=sequence, at=at), STREAM_ARN)


def evidence(streams, *, now=MADE + timedelta(hours=1)):
    return StreamEvidence(
        StreamReader(streams, lambda: Clock().patience), STREAM_ARN, Machine(now=lambda: now)
    )


def causes(verdicts):
    """Causes of refusals; True and False as they are."""
    return [one.why if isinstance(one, Undelivered) else one for one in verdicts]


def test_the_stream_vouches_for_what_it_has():
    """A page has many of them: the stream is asked twice for ten."""
    streams = FakeStreams({"a": Shard(list(range(FIRST, FIRST + 10)))}, page=10)

    verdicts = evidence(streams).judge([change(FIRST + place) for place in range(10)])

    assert verdicts == [True] * 10
    assert streams.calls == ["describe_stream", "get_shard_iterator", "get_records"]


def test_every_shard_is_looked_in():
    """No record says which one it is in; an open shard may give nothing for a while."""
    streams = FakeStreams(
        {
            "a": Shard([FIRST, FIRST + 5]),
            "b": Shard([FIRST + 1, FIRST + 7], closed=False, empty_pages=3),
            "c": Shard([FIRST + 2], closed=False),
        }
    )

    verdicts = evidence(streams).judge([change(FIRST + place) for place in (7, 2, 0, 5, 1)])

    assert verdicts == [True] * 5


@pytest.mark.parametrize("sequence", [FIRST - 1, FIRST + 1, FIRST + 99])
def test_a_number_that_the_stream_does_not_have_is_contradicted(sequence):
    """Before, between and after its own; those it has are vouched for all the same."""
    streams = FakeStreams({"a": Shard([FIRST, FIRST + 2]), "b": Shard([], closed=False)})

    verdicts = evidence(streams).judge([change(sequence), change(FIRST), change(FIRST + 2)])

    assert causes(verdicts) == [Cause.CONTRADICTED, True, True]


@pytest.mark.parametrize(
    "forged",
    [change(FIRST, Salary=number(1)), change(FIRST, at=NOON + 1), change(FIRST, Name=text("x"))],
)
def test_what_the_stream_has_otherwise_is_contradicted(forged):
    """Its images and its time count, and not its number alone."""
    streams = FakeStreams({"a": Shard([FIRST])})

    assert causes(evidence(streams).judge([forged])) == [Cause.CONTRADICTED]


@pytest.mark.parametrize(("hours", "verdict"), [(23.99, True), (24, False), (48, False)])
def test_of_what_is_older_than_a_day_the_stream_says_nothing(hours, verdict):
    """Whether it still has it or not: it need not."""
    streams = FakeStreams({"a": Shard([FIRST])})

    verdicts = evidence(streams, now=MADE + timedelta(hours=hours)).judge([change(FIRST)])

    assert verdicts == [verdict]
    assert ("get_records" in streams.calls) is verdict


def test_what_expired_before_its_day_was_over_is_contradicted():
    """A stream keeps 24 hours, so that a gap in them is one."""
    streams = FakeStreams({"a": Shard([FIRST, FIRST + 1], trimmed=1)})

    assert causes(evidence(streams).judge([change(FIRST)])) == [Cause.CONTRADICTED]
    assert causes(evidence(streams).judge([change(FIRST + 1)])) == [True]


def test_what_was_made_after_the_stream_was_looked_at_is_left_for_the_next_time():
    """It may not be there yet; one from the future is no more believed."""
    streams = FakeStreams({"a": Shard([FIRST], closed=False)})

    verdicts = evidence(streams).judge([change(FIRST + 1, at=NOON + 7200)])

    assert causes(verdicts) == [Cause.UNREADABLE]


@pytest.mark.parametrize("problem", [GONE, DENIED])
@pytest.mark.parametrize("calls", [0, 1])
def test_what_cannot_be_read_vouches_for_nothing_and_contradicts_nothing(problem, calls):
    """The stream, or its records: an older record is as it is anyway."""
    streams = FakeStreams({"a": Shard([FIRST])}, script=[*[None] * calls, *[problem] * 9])
    old = change(FIRST - 5, at=NOON - 86_400)

    verdicts = evidence(streams).judge([change(FIRST), old])

    is_shard_gone = problem is GONE and calls
    expected = Cause.CONTRADICTED if is_shard_gone else Cause.UNREADABLE
    assert causes(verdicts) == [expected, False]


def test_what_a_hand_has_mended_is_held_against_nothing(monkeypatch):
    """The stream's own record cannot be read."""
    streams = FakeStreams({"a": Shard([FIRST])})
    broken = api_record(None, {"Id": {"S": "x"}, "B": {"B": "A"}}, sequence=FIRST)
    monkeypatch.setattr(
        streams, "get_records", lambda **_: {"Records": [broken], "NextShardIterator": None}
    )

    assert evidence(streams).judge([change(FIRST)]) == [False]


def test_a_horizon_that_passes_by_meanwhile_is_read_on_from():
    """What has expired since the iterator was made is not there; the rest is."""
    streams = FakeStreams({"a": Shard([FIRST, FIRST + 1])}, script=[None, TRIMMED])

    assert evidence(streams).judge([change(FIRST + 1)]) == [True]
