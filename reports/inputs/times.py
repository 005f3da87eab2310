"""Times as people write and read them; always UTC inside.

Written forms: `2026-03-31`, `2026-03-31T18:46`, with seconds and a fraction of them, a blank for
the `T`, and after a time `Z` or an offset; `now`, `today`, `yesterday`; `2h` or `2h ago`, in
seconds, minutes, hours, days of 24 hours, weeks, or calendar months and years. Nothing else is
read: what could be taken for several times is no time.

A day is a span of time. Where a range begins it is its first instant, where a range ends its last
one; as an instant it is its last one too, or now while it lasts (see `TimeRole`).
"""

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from dateutil.relativedelta import relativedelta

from reports.errors import TimeFormatError, shown

if TYPE_CHECKING:
    import numpy as np

Time: TypeAlias = "str | date | np.datetime64"
"""A `datetime` or `pandas.Timestamp`, a `date`, ISO 8601 text, or text such as `2h ago`."""
_AGO = re.compile(r"(\d{1,9})\s*([a-z]+)(?:\s+ago)?", re.ASCII | re.IGNORECASE)
_UNITS = {
    "seconds": ("s", "sec", "secs", "second", "seconds"),
    "minutes": ("m", "min", "mins", "minute", "minutes"),
    "hours": ("h", "hour", "hours"),
    "days": ("d", "day", "days"),
    "weeks": ("w", "week", "weeks"),
    "months": ("month", "months"),
    "years": ("y", "year", "years"),
}
_UNIT = {spelling: unit for unit, spellings in _UNITS.items() for spelling in spellings}
_CALENDAR_UNITS = ("months", "years")
_DAYS = {"today": timedelta(0), "yesterday": timedelta(days=1)}
_WRITTEN = re.compile(
    r"\d{4}-\d\d-\d\d"
    r"(?P<time>[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?"
    r"(?P<offset>Z|[+-]\d\d:\d\d)?)?",
    re.ASCII,
)
_MOMENT = timedelta(microseconds=1)


class TimeRole(StrEnum):
    """What a time is for, which decides what a whole day means."""

    START = "start"
    """Where a range begins: a day is its first instant."""
    END = "end"
    """Where a range ends: a day is its last instant."""
    INSTANT = "instant"
    """As of when: a day is its last instant, or now while it lasts."""
    BEFORE = "before"
    """What to compare with: a day is the instant before it, or its first changes would be lost."""


def read_time(
    time: Any,
    now: datetime | None = None,
    *,
    role: TimeRole = TimeRole.INSTANT,
    zone: tzinfo = UTC,
    argument: str = "",
) -> datetime:
    """A moment in UTC, to the microsecond.

    Args:
        time: text in one of the forms above, a `datetime`, a `pandas.Timestamp` or a
            `numpy.datetime64`, each of which is an instant, or a `date` or a `datetime64[D]`,
            which is a day.
        now: what relative times count from; the clock's time by default.
        role: what the time is for.
        zone: the time zone of days, and of times without an offset.
        argument: what the time was given as, for the error.

    Raises:
        TimeFormatError: it is none of these, no such local time, or one that there is twice.
    """
    moment = now or datetime.now(UTC)
    try:
        return _read(time, moment, role, zone)
    except (ValueError, OverflowError) as error:
        # What the standard library says of a text is of no use to who wrote it.
        why = str(error) if isinstance(error, _AmbiguousError) else _FORMS
        name = f"{argument}: " if argument else ""
        raise TimeFormatError(f"{name}{shown(time)} is not a time: {why}") from None


def read_written_time(time: Any, *, role: TimeRole) -> datetime:
    """The same for a time that is kept: nothing that counts from now, days and times in UTC.

    Raises:
        TimeFormatError: it is no time, or another one each time that it is read.
    """
    if not isinstance(time, str) or not _WRITTEN.fullmatch(time):
        raise TimeFormatError(f"{shown(time)} is not a time: {_WRITTEN_FORMS}")
    return read_time(time, role=role)


_WRITTEN_FORMS = "use ISO 8601, e.g. 2026-01-31T18:46:00Z, or a day such as 2026-01-31"
_FORMS = (
    "use ISO 8601, e.g. 2026-01-31T18:46:00Z, a day such as 2026-01-31, or e.g. '2h ago', "
    "'1 month ago', 'yesterday', 'now'"
)


class _AmbiguousError(ValueError):
    """There is no such local time, or what is written is several."""


def _read(time: Any, now: datetime, role: TimeRole, zone: tzinfo) -> datetime:
    if isinstance(time, datetime):
        return _instant(time, zone)
    if isinstance(time, date):
        return _of_day(time, now, role, zone)
    if type(time).__name__ == "datetime64":
        # numpy spells its times in ISO 8601, in UTC as pandas takes them, and days as days.
        return _read_text(str(time), now, role, UTC)
    if isinstance(time, str):
        return _read_text(time.strip(), now, role, zone)
    raise ValueError


def _read_text(text: str, now: datetime, role: TimeRole, zone: tzinfo) -> datetime:
    word = text.lower()
    if word == "now":
        return now
    if word in _DAYS:
        return _of_day(now.astimezone(zone).date() - _DAYS[word], now, role, zone)
    if ago := _AGO.fullmatch(text):
        if ago[2] == "M":
            raise _AmbiguousError("M may be minutes or months: use e.g. '1m' or '1 month'")
        return _ago(int(ago[1]), _UNIT.get(ago[2].lower()), now, zone)
    written = _WRITTEN.fullmatch(text)
    if written is None:
        raise ValueError
    if written["time"] is None:
        return _of_day(date.fromisoformat(text), now, role, zone)
    return _instant(datetime.fromisoformat(text), zone)


def _ago(count: int, unit: str | None, now: datetime, zone: tzinfo) -> datetime:
    if unit is None:
        raise ValueError
    if unit not in _CALENDAR_UNITS:
        return now - timedelta(**{unit: count})
    # The same time of the day by the clock of the place, whatever its summer time is.
    then: datetime = now.astimezone(zone) - relativedelta(**{unit: count})
    return then.astimezone(UTC)


def _of_day(day: date, now: datetime, role: TimeRole, zone: tzinfo) -> datetime:
    first = _midnight(day, zone)
    if role is TimeRole.START:
        return first
    if role is TimeRole.BEFORE:
        return first - _MOMENT
    if day == date.max:
        last = datetime.max.replace(tzinfo=zone).astimezone(UTC)
    else:
        last = _midnight(day + timedelta(days=1), zone) - _MOMENT
    return now if role is TimeRole.INSTANT and first <= now < last else last


def _midnight(day: date, zone: tzinfo) -> datetime:
    """The first instant of a day, where the clock skips midnight the one that it goes on with."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def _instant(moment: datetime, zone: tzinfo) -> datetime:
    if moment != moment:  # noqa: PLR0124 - pandas' NaT, a `datetime` by its class
        raise ValueError
    if moment.tzinfo is None:
        moment = _local(moment, zone)
    # A pandas.Timestamp becomes a plain datetime, its nanoseconds cut off.
    utc = moment.astimezone(UTC)
    return datetime.combine(utc.date(), utc.time(), UTC)


def _local(moment: datetime, zone: tzinfo) -> datetime:
    # PEP 495: where clocks go back the first comes earlier, where they skip a time it comes later.
    first, second = (moment.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return first
    if first > second:
        raise _AmbiguousError(f"clocks in {zone} skip it: give it with an offset, or in UTC with Z")
    offsets = " or ".join(_offset(utc.astimezone(zone)) for utc in (first, second))
    raise _AmbiguousError(f"clocks in {zone} show it twice: add an offset, {offsets}")


def _offset(moment: datetime) -> str:
    return moment.isoformat()[-len("+01:00") :]


def moment_text(moment: datetime, zone: tzinfo = UTC) -> str:
    """A moment for a person to read, to the millisecond where it is no whole second.

    Where clocks are set back, a time that is there twice has its offset from UTC behind it.
    """
    local = moment.astimezone(zone)
    milliseconds = local.microsecond // 1000
    text = f"{local:%Y-%m-%d %H:%M:%S}" + (f".{milliseconds:03d}" if milliseconds else "")
    if zone is not UTC and local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset():
        text += f" {_offset(local)}"
    return text
