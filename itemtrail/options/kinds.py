"""Kinds of values on the command line: times, paths, shares, durations."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from click.core import ParameterSource

from itemtrail.time_zone import time_zone
from reports import TimeFormatError
from reports.errors import PathFormatError
from reports.inputs.paths import Path, read_path
from reports.inputs.times import TimeRole, read_time, read_written_time


def asked_at() -> datetime:
    """The present of a command, UTC: all times on its line count from the same moment.

    So a moment that was written as `now` is known again as the present.
    """
    context = click.get_current_context()
    moment: datetime = context.find_root().meta.setdefault(__name__, datetime.now(UTC))
    return moment


class TimeType(click.ParamType):
    """A time on the command line; what a whole day means depends on its role.

    It lies in the past, but for an end: nothing is known of the future, and a day has its end there
    while it lasts.
    """

    name = "time"

    def __init__(self, role: TimeRole = TimeRole.INSTANT) -> None:
        """Take the role that the option gives a time."""
        self._role = role

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read it, or say how it should look, or that it lies in the future."""
        try:
            moment = read_time(value, asked_at(), role=self._role, zone=time_zone())
        except TimeFormatError as error:
            self.fail(str(error), param, ctx)
        if self._role is not TimeRole.END and moment > asked_at():
            self.fail(
                f"'{value}' lies in the future, of which nothing is known: give a time until now, "
                "by this machine's clock",
                param,
                ctx,
            )
        return moment


class DeclaredTimeType(TimeType):
    """The end of what a person vouches for, which does not move on: a day is its last instant."""

    def __init__(self) -> None:
        """Take the role of an end."""
        super().__init__(TimeRole.END)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read it; a variable is kept, and must not count from now."""
        source = ctx.get_parameter_source(param.name) if ctx and param and param.name else None
        if source is ParameterSource.ENVIRONMENT:
            try:
                return read_written_time(value, role=TimeRole.END)
            except TimeFormatError as error:
                self.fail(str(error), param, ctx)
        return super().convert(value, param, ctx)


class PathType(click.ParamType):
    """An attribute path on the command line."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Read it, or say how it should look."""
        try:
            return read_path(value)
        except PathFormatError as error:
            self.fail(str(error), param, ctx)


class ShareType(click.ParamType):
    """A part of all items on the command line: `1%` or `0.01`."""

    name = "share"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read it, or say how it should look."""
        text = str(value).strip()
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = 0.0
        # Whether 1 is one in a hundred or all of them, nobody can tell.
        if 0 < share < 1 or (share == 1 and text.endswith("%")):
            return share
        return self.fail(f"'{value}' is no part of the items: write e.g. 1% or 0.01", param, ctx)


_DURATION = re.compile(r"(\d{1,6})\s*([mhd])", re.IGNORECASE)
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class DurationType(click.ParamType):
    """A length of time on the command line."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Read it, or say how it should look."""
        match = _DURATION.fullmatch(str(value).strip())
        if match is None or not int(match[1]):
            self.fail(f"'{value}' is no length of time: write e.g. 30m, 24h or 7d", param, ctx)
        return timedelta(**{_UNITS[match[2].lower()]: int(match[1])})
