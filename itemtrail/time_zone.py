"""The time zone in which times are read and shown: UTC, or the one that --tz names."""

from collections.abc import Callable
from datetime import UTC, tzinfo
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import click

Command = TypeVar("Command", bound=Callable[..., Any])

_PLACE = f"{__name__}.zone"


def time_zone() -> tzinfo:
    """The zone of the command that runs."""
    context = click.get_current_context(silent=True)
    zone: tzinfo = UTC if context is None else context.meta.get(_PLACE, UTC)
    return zone


def time_zone_option(command: Command) -> Command:
    """Add the option that names a time zone."""
    return click.option(
        "--tz",
        metavar="ZONE",
        envvar="ITEMTRAIL_TZ",
        show_envvar=True,
        # The times beside it are read in it.
        is_eager=True,
        expose_value=False,
        callback=_choose,
        help="Time zone of days and of times without an offset, also in tables; e.g. "
        "Europe/Zurich, UTC by default. JSON, CSV and Parquet stay in UTC.",
    )(command)


def _choose(context: click.Context, option: click.Parameter, name: str | None) -> None:
    if name is None or name.upper() == "UTC":
        return
    try:
        context.meta[_PLACE] = ZoneInfo(name)
    except (OSError, KeyError, ValueError):
        raise click.BadParameter(
            f"'{name}' is not a time zone: use a name such as Europe/Zurich, or UTC",
            context,
            option,
        ) from None
