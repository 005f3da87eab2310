"""Times are read and shown without bending anything."""

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from reports import TimeFormatError
from reports.inputs.times import moment_text, read_time

NOW = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2018-03-03T18:46:00Z", datetime(2018, 3, 3, 18, 46, tzinfo=UTC)),
        ("2018-03-03T20:46:00+02:00", datetime(2018, 3, 3, 18, 46, tzinfo=UTC)),
        ("2018-03-03 18:46", datetime(2018, 3, 3, 18, 46, tzinfo=UTC)),
        ("2018-03-03", datetime(2018, 3, 3, tzinfo=UTC)),
        ("now", NOW),
        ("2h ago", NOW - timedelta(hours=2)),
        ("15 minutes ago", NOW - timedelta(minutes=15)),
        ("1 Day ago", NOW - timedelta(days=1)),
        (datetime(2018, 3, 3, 18, 46), datetime(2018, 3, 3, 18, 46, tzinfo=UTC)),  # noqa: DTZ001
    ],
)
def test_times_are_iso_8601_or_so_long_ago(given, expected):
    """A time without an offset is UTC, and relative times count back from now."""
    assert read_time(given, NOW) == expected
    assert read_time(given, NOW).tzinfo is UTC


@pytest.mark.parametrize(
    "given", ["", "yesterday", "2018-13-01", "2 fortnights ago", "99999999w ago"]
)
def test_other_times_are_refused_with_an_example(given):
    """What is no time is named, with a form that would do."""
    with pytest.raises(TimeFormatError, match=r"use ISO 8601, e\.g\. 2026-01-31T18:46:00Z"):
        read_time(given, NOW)


def test_a_time_without_an_offset_is_utc_wherever_the_machine_is(monkeypatch):
    """A report means the same in Zurich and in Seattle."""
    monkeypatch.setenv("TZ", "Europe/Zurich")
    time.tzset()
    try:
        assert read_time("2026-03-03T18:46:00") == datetime(2026, 3, 3, 18, 46, tzinfo=UTC)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("microsecond", "shown"),
    [(0, ""), (999, ""), (1_000, ".001"), (120_000, ".120"), (999_999, ".999")],
)
def test_a_moment_is_shown_in_utc_to_the_millisecond(microsecond, shown):
    """A whole second without a fraction, as the stamps of a stream are."""
    nepal = timezone(timedelta(hours=5, minutes=45))
    moment = datetime(2026, 3, 3, 12, 0, 7, microsecond, tzinfo=UTC).astimezone(nepal)

    assert moment_text(moment) == f"2026-03-03 12:00:07{shown}"
