"""How exactly an engine stamps changes."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def tick_of(table_arn: str) -> timedelta:
    """How exactly the engine behind a table stamps changes.

    API reference, StreamRecord: to the second. DynamoDB Local, whose region is `ddblocal`, does it
    to the minute: within it a baseline stamped to the second would sort after later changes.
    """
    _, _, _, region, *_ = [*table_arn.split(":"), "", "", "", ""]
    return timedelta(minutes=1) if region == "ddblocal" else timedelta(seconds=1)


def stamp(moment: datetime, tick: timedelta) -> datetime:
    """A time rounded down, as the engine rounds the times of changes."""
    return moment - (moment - _EPOCH) % tick
