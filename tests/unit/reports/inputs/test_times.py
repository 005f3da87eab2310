"""Times are read and shown without bending anything."""

import time
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from reports import TimeFormatError
from reports.inputs.times import TimeRole, moment_text, read_time, read_written_time

NOW = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2018-03-03T18:46:00Z", datetime(2018, 3, 3, 18, 46, tzinfo=UTC)),
        ("2018-03-03T20:46:00+02:00", datetime(2018, 3, 3, 18, 46, tzinfo=UTC)),
        ("2018-03-03 18:46", datetime(2018, 3, 3, 18, 46, tzinfo=UTC)),
        ("2018-03-03T18:46:00.123456789Z", datetime(2018, 3, 3, 18, 46, 0, 123_456, tzinfo=UTC)),
        ("now", NOW),
        ("2h ago", NOW - timedelta(hours=2)),
        ("2h", NOW - timedelta(hours=2)),
        ("15 minutes ago", NOW - timedelta(minutes=15)),
        ("1 Day ago", NOW - timedelta(days=1)),
        (datetime(2018, 3, 3, 18, 46), datetime(2018, 3, 3, 18, 46, tzinfo=UTC)),  # noqa: DTZ001
    ],
)
def test_times_are_iso_8601_or_so_long_ago(given, expected):
    """A time without an offset is UTC, and relative times count back from now."""
    assert read_time(given, NOW) == expected
    assert read_time(given, NOW).tzinfo is UTC


LAST = timedelta(days=1) - timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-02-27", datetime(2026, 2, 27, tzinfo=UTC)),
        (date(2026, 2, 27), datetime(2026, 2, 27, tzinfo=UTC)),
        (np.datetime64("2026-02-27"), datetime(2026, 2, 27, tzinfo=UTC)),
        ("yesterday", datetime(2026, 3, 2, tzinfo=UTC)),
        ("Yesterday", datetime(2026, 3, 2, tzinfo=UTC)),
    ],
)
def test_a_day_is_all_of_it(text, day):
    """From its first instant, until its last one; as an instant its end, or right before it."""
    assert read_time(text, NOW, role=TimeRole.START) == day
    assert read_time(text, NOW, role=TimeRole.END) == day + LAST
    assert read_time(text, NOW, role=TimeRole.INSTANT) == day + LAST
    assert read_time(text, NOW, role=TimeRole.BEFORE) == day - timedelta(microseconds=1)


@pytest.mark.parametrize("text", ["today", "2026-03-03"])
def test_a_day_that_lasts_is_as_of_now(text):
    """Its end lies in the future, of which nothing is known; a range may reach there."""
    assert read_time(text, NOW) == NOW
    assert read_time(text, NOW, role=TimeRole.START) == datetime(2026, 3, 3, tzinfo=UTC)
    assert read_time(text, NOW, role=TimeRole.END) == datetime(2026, 3, 3, tzinfo=UTC) + LAST


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 month ago", datetime(2026, 2, 28, 12, tzinfo=UTC)),
        ("25 months ago", datetime(2024, 2, 29, 12, tzinfo=UTC)),
        ("1y", datetime(2025, 3, 31, 12, tzinfo=UTC)),
    ],
)
def test_months_and_years_are_those_of_the_calendar(text, expected):
    """A month before 31 March is the last of February, not 30 days ago."""
    assert read_time(text, datetime(2026, 3, 31, 12, tzinfo=UTC)) == expected


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (pd.Timestamp("2026-03-01T10:00:00.123456789"), (10, 123_456)),
        (pd.Timestamp("2026-03-01T15:30", tz="Asia/Kolkata"), (10, 0)),
        (np.datetime64("2026-03-01T10:00:00.123456789"), (10, 123_456)),
    ],
)
def test_times_of_numpy_and_pandas_are_instants(time, expected):
    """As plain datetimes in UTC, what is finer than a microsecond cut off."""
    moment = read_time(time, NOW)

    assert (moment.hour, moment.microsecond) == expected
    assert type(moment) is datetime


@pytest.mark.parametrize(
    "time",
    [
        *("1520085960", "1796012712345", "20260301", "2026-W10", "2026-W10-1", "2026-060"),
        *("2026-03-01x10:00", "2026-03-01Z", "2026-03-01+01:00", "2026-03-01T24:00:00Z"),
        *("2026-03-01T10", "2026-03-01T1000", "2026-03-01T10:00:00,5", "2016-12-31T23:59:60Z"),
        *("2026-03", "2026-02-30", "2026-03-01T10:00 Z", "0001-01-01T00:00+14:00", "9999999 y"),
        *(1520085960, 1.5, None, True, [], pd.NaT, pd.NA, pd.DataFrame({"a": [1]})),
        *(np.datetime64("NaT"), np.datetime64("2026-03"), np.int64(1520085960)),
    ],
    ids=repr,
)
def test_what_could_be_several_times_is_none(time):
    """Never the year 1796: one line names the argument, what was given, and forms that would do."""
    with pytest.raises(TimeFormatError, match=r"^at: .* is not a time: use ISO 8601") as raised:
        read_time(time, NOW, argument="at")

    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("time", ["1M", "1 M ago"])
def test_a_capital_m_is_neither_minutes_nor_months(time):
    """Elsewhere it means months; other units may be written in capitals."""
    with pytest.raises(TimeFormatError, match="M may be minutes or months: use"):
        read_time(time, NOW)

    assert read_time("2H AGO", NOW) == NOW - timedelta(hours=2)


ZURICH = ZoneInfo("Europe/Zurich")


def test_a_day_of_a_time_zone_begins_and_ends_by_its_clocks():
    """In Zurich, 25 October 2026 has 25 hours, and 29 March has 23."""
    ends = [
        [read_time(day, NOW, role=role, zone=ZURICH) for role in (TimeRole.START, TimeRole.END)]
        for day in ("2026-10-25", "2026-03-29")
    ]

    assert ends[0][0] == datetime(2026, 10, 24, 22, tzinfo=UTC)
    assert [end - start + timedelta(microseconds=1) for start, end in ends] == [
        timedelta(hours=25),
        timedelta(hours=23),
    ]
    assert read_time("2026-03-01T10:00", NOW, zone=ZURICH).hour == 9
    assert read_time("2026-03-01T10:00Z", NOW, zone=ZURICH).hour == 10


@pytest.mark.parametrize(
    ("time", "why"),
    [("2026-03-29T02:30", "skip it"), ("2026-10-25T02:30", r"twice: .* \+02:00 or \+01:00")],
)
def test_a_local_time_that_is_no_time_or_two_is_refused(time, why):
    """Which was meant cannot be told; an offset tells it."""
    with pytest.raises(TimeFormatError, match=f"clocks in Europe/Zurich .*{why}"):
        read_time(time, NOW, zone=ZURICH)

    assert read_time(f"{time}+01:00", NOW, zone=ZURICH).minute == 30


def test_a_time_that_is_there_twice_is_shown_with_its_offset():
    """Only then: no two moments are shown alike."""
    moments = [datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1, 2)]

    assert [moment_text(moment, ZURICH) for moment in moments] == [
        "2026-10-25 02:30:00 +02:00",
        "2026-10-25 02:30:00 +01:00",
        "2026-10-25 03:30:00",
    ]


@pytest.mark.parametrize("time", ["2h ago", "today", "now", 5])
def test_a_time_that_is_kept_does_not_count_from_now(time):
    """It would be another one each time it is read."""
    with pytest.raises(TimeFormatError, match="is not a time"):
        read_written_time(time, role=TimeRole.END)


@pytest.mark.parametrize("given", ["", "2018-13-01", "2 fortnights ago", "99999999w ago"])
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
