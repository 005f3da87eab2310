"""An item that is brought back after its time is deleted again: that is said beforehand."""

from datetime import UTC, datetime, timedelta

import pytest

from operations.recovery.expiry import TimeToLive
from tests.factories import item, number, text
from tests.fakes import DENIED

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)


class Table:
    """A table with a time to live."""

    def __init__(self, answer):
        self.answer, self.calls = answer, 0

    def describe_time_to_live(self, TableName):  # noqa: N803 - the API's name
        assert TableName == "Employee"
        self.calls += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"TimeToLiveDescription": self.answer}


ON = {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}


def note(expires, answer=None):
    brought_back = item("1", expires=expires)
    return TimeToLive(Table(answer or ON), "Employee", NOW).note(brought_back)


def seconds(moment):
    return number(int(moment.timestamp()))


def test_what_has_expired_will_expire_again():
    """With the attribute that says so, and what it says."""
    hour_ago = NOW - timedelta(hours=1)

    assert note(seconds(hour_ago)) == (
        "it will expire again: its time to live (expires) ended at 2026-03-03T11:00:00.000000Z, "
        "and DynamoDB deletes it within days"
    )
    assert note(seconds(hour_ago), ON | {"TimeToLiveStatus": "ENABLING"}) is not None
    assert note(seconds(NOW)) is not None


@pytest.mark.parametrize(
    "expires",
    [
        seconds(NOW + timedelta(seconds=1)),
        seconds(NOW - timedelta(days=5 * 365 + 1)),
        text("2026-03-03T11:00:00Z"),
        {"NULL": True},
        number("9" * 38),
        number("-1e125"),
        number("1.5"),
    ],
)
def test_what_does_not_expire_has_no_note(expires):
    """The future, what DynamoDB takes for a mistake, and what is no time."""
    assert note(expires) is None


@pytest.mark.parametrize("status", ["DISABLED", "DISABLING"])
def test_without_a_time_to_live_nothing_expires(status):
    """Also where it once was on."""
    assert note(seconds(NOW), {"TimeToLiveStatus": status, "AttributeName": "expires"}) is None
    assert note(seconds(NOW), {"TimeToLiveStatus": status}) is None


def test_an_item_without_the_attribute_stays():
    """It never expires."""
    assert TimeToLive(Table(ON), "Employee", NOW).note(item("1")) is None


def test_where_it_may_not_be_asked_that_is_said():
    """No note would be read as: it stays."""
    assert note(seconds(NOW), DENIED) == (
        "whether it will expire again is not known: DescribeTimeToLive, AccessDeniedException"
    )


def test_the_table_is_asked_once():
    """However many items come back."""
    table = Table(ON)
    time_to_live = TimeToLive(table, "Employee", NOW)

    for _ in range(3):
        time_to_live.note(item("1"))

    assert table.calls == 1
