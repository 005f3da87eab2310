"""Times as people write and read them: ISO 8601, or so long ago; always UTC inside."""

import re
from datetime import UTC, datetime, timedelta

from reports.errors import TimeFormatError

_AGO = re.compile(r"(\d{1,9})\s*([a-z]+)\s+ago", re.IGNORECASE)
_UNITS = {
    "seconds": ("s", "sec", "secs", "second", "seconds"),
    "minutes": ("m", "min", "mins", "minute", "minutes"),
    "hours": ("h", "hour", "hours"),
    "days": ("d", "day", "days"),
    "weeks": ("w", "week", "weeks"),
}
_UNIT = {spelling: unit for unit, spellings in _UNITS.items() for spelling in spellings}


def read_time(time: str | datetime, now: datetime | None = None) -> datetime:
    """A moment in UTC; a time without an offset is taken as UTC.

    Args:
        time: a `datetime`, ISO 8601 text, `now`, or text such as `2h ago`.
        now: what relative times count from; the clock's time by default.

    Raises:
        TimeFormatError: the text is none of these.
    """
    if isinstance(time, datetime):
        return _utc(time)
    moment = now or datetime.now(UTC)
    text = time.strip()
    if text.lower() == "now":
        return moment
    try:
        ago = _AGO.fullmatch(text)
        if ago:
            return moment - timedelta(**{_UNIT[ago[2].lower()]: int(ago[1])})
        return _utc(datetime.fromisoformat(text))
    except (ValueError, KeyError, OverflowError):
        raise TimeFormatError(
            f"'{time}' is not a time: use ISO 8601, e.g. 2026-01-31T18:46:00Z, or e.g. '2h ago'"
        ) from None


def moment_text(moment: datetime) -> str:
    """A moment for a person to read, in UTC, to the millisecond where it is no whole second."""
    utc = moment.astimezone(UTC)
    milliseconds = utc.microsecond // 1000
    return f"{utc:%Y-%m-%d %H:%M:%S}" + (f".{milliseconds:03d}" if milliseconds else "")


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
