"""Options that commands share, and what they choose."""

import functools
import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import boto3
import click
from click.core import ParameterSource

from itemtrail.options.kinds import DeclaredTimeType, PathType, TimeType, asked_at
from itemtrail.output.answer import FORMS
from itemtrail.time_zone import time_zone_option
from reports import HistoryTable, ReportError
from reports.access.by_time import MOST_SHARDS
from reports.access.machine import Machine
from reports.deployment.stack import Stack
from reports.inputs.times import TimeRole
from reports.states.watermark import Basis

Command = TypeVar("Command", bound=Callable[..., Any])

# What belongs together: of these the environment's are taken all or none.
_NAMED = frozenset({"stack", "history_table", "source_table", "recorded_until"})


@dataclass(frozen=True)
class TargetTables:
    """The tables to ask, found."""

    session: boto3.Session
    endpoint_url: str | None
    history_table: str
    source_table: str | None
    time_shards: int | None
    stack: str | None
    recorded_until: datetime | None
    overflow_bucket: str | None = None
    basis: str | None = None
    strict: bool = False

    def open(self, machine: Machine | None = None) -> HistoryTable:
        """Prepare to ask them; by default all times of the command count from one moment."""
        return HistoryTable(
            self.history_table,
            self.source_table,
            session=self.session,
            endpoint_url=self.endpoint_url,
            time_shards=self.time_shards,
            stack=self.stack,
            recorded_until=self.recorded_until,
            basis=self.basis,
            overflow_bucket=self.overflow_bucket,
            machine=machine or Machine(now=asked_at),
            strict=self.strict,
        )


@dataclass(frozen=True)
class Target:
    """Which tables to ask, and where."""

    stack: str | None = None
    history_table: str | None = None
    source_table: str | None = None
    time_shards: int | None = None
    recorded_until: datetime | None = None
    basis: str | None = None
    strict: bool = False
    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None

    def open(self) -> HistoryTable:
        """The history table meant."""
        return self.tables().open()

    def tables(self) -> TargetTables:
        """The tables meant, named or found through the stack's outputs."""
        session = self.session()
        history_table, source_table = self.history_table, self.source_table
        time_shards, overflow_bucket = self.time_shards, None
        if self.stack is not None:
            stack = Stack.read(session, self.stack, self.endpoint_url)
            history_table = stack.history_table
            source_table = source_table or stack.source_table
            time_shards = time_shards or stack.time_shards
            # A stack deployed long ago may not tell it, and is asked all the same.
            overflow_bucket = stack.outputs.get("OverflowBucketName")
        if history_table is None:
            raise ReportError(
                "which history? give --stack NAME, or --history-table NAME and --source-table NAME"
            )
        return TargetTables(
            session,
            self.endpoint_url,
            history_table,
            source_table,
            time_shards,
            self.stack,
            self.recorded_until,
            overflow_bucket,
            self.basis,
            self.strict,
        )

    def session(self) -> boto3.Session:
        """A session with the credentials and the region meant."""
        # boto3 would answer with a traceback, or connect to who knows where.
        if self.endpoint_url is not None and not urlsplit(self.endpoint_url).netloc:
            raise ReportError(
                f"'{self.endpoint_url}' is not an endpoint URL: give e.g. http://localhost:8000"
            )
        return boto3.Session(profile_name=self.profile, region_name=self.region)


def stack_option(*, required: bool) -> Callable[[Any], Any]:
    """The option that names a stack."""
    return click.option(
        "--stack",
        metavar="NAME",
        envvar="ITEMTRAIL_STACK",
        show_envvar=True,
        required=required,
        help="Deployed stack to take the tables from.",
    )


_TABLES = (
    click.option(
        "--history-table",
        metavar="NAME",
        envvar="ITEMTRAIL_HISTORY_TABLE",
        show_envvar=True,
        help="History table to ask, instead of a stack's.",
    ),
    click.option(
        "--source-table",
        metavar="NAME",
        envvar="ITEMTRAIL_SOURCE_TABLE",
        show_envvar=True,
        help="Table it is the history of: confirms the newest state of an item.",
    ),
)
RECORDED_UNTIL = click.option(
    "--recorded-until",
    metavar="TIME",
    type=DeclaredTimeType(),
    envvar="ITEMTRAIL_RECORDED_UNTIL",
    show_envvar=True,
    help="Up to when you know the history to be complete; `exact` rests on it then.",
)
BASIS = click.option(
    "--basis",
    type=click.Choice([Basis.COMPARED.value]),
    help="`exact` rests on a proof kept by status --prove --keep, on no metric and nobody's word.",
)
_TIME_SHARDS = click.option(
    "--time-shards",
    metavar="N",
    type=click.IntRange(1, MOST_SHARDS),
    help="Partitions an hour of the index ByTime that rows may be in; else the stack's.",
)
WHERE: tuple[Callable[[Any], Any], ...] = (
    click.option("--profile", metavar="NAME", help="AWS profile, as in the AWS CLI."),
    # The AWS CLI reads this variable; boto3 alone reads only AWS_DEFAULT_REGION.
    click.option(
        "--region", metavar="NAME", envvar="AWS_REGION", help="AWS region, as in the AWS CLI."
    ),
    click.option(
        "--endpoint-url", metavar="URL", help="Another endpoint than AWS, for all services."
    ),
)


def target_options(command: Command) -> Command:
    """Add the options that say which tables to ask; they arrive as `target`."""
    return targeted(
        command, (stack_option(required=False), *_TABLES, RECORDED_UNTIL, BASIS, *WHERE)
    )


def indexed_target_options(command: Command) -> Command:
    """The same for questions that read the index by time."""
    options = (stack_option(required=False), *_TABLES, RECORDED_UNTIL, BASIS, _TIME_SHARDS, *WHERE)
    return targeted(command, options)


def stack_options(command: Command) -> Command:
    """The same for questions about a whole deployment."""
    return targeted(command, (stack_option(required=True), *WHERE))


def gaps_option(command: Command) -> Command:
    """Add the option that names the file of declared gaps."""
    return click.option(
        "--gaps",
        "gaps_file",
        type=click.Path(exists=True, dir_okay=False, path_type=pathlib.Path),
        help="JSON file of the gaps that are known; what they cover is listed as declared.",
    )(command)


def output_option(command: Command) -> Command:
    """Add the options that say in which form to answer, and in which time zone."""
    option = click.option(
        "--output",
        type=click.Choice(FORMS),
        help="Form of the answer; a table on a terminal, JSON in a pipe by default.",
    )
    return option(time_zone_option(command))


def strict_option(command: Command) -> Command:
    """Add the option that says whether to stop at a row that is not what was written."""
    return click.option(
        "--strict",
        is_flag=True,
        help="Stop (exit 2) at a row that is not what was written, instead of marking it.",
    )(command)


def key_argument(*, required: bool = True) -> Callable[[Command], Command]:
    """Add the key of the item asked about."""
    return click.argument("key", nargs=-1, required=required)


def actor_attribute_option(command: Command) -> Command:
    """Add the option that says which attribute names who makes a change."""
    return click.option(
        "--actor-attribute",
        type=PathType(),
        help="Attribute in which every writer leaves its name, e.g. updated_by.",
    )(command)


class Period(NamedTuple):
    """A range of time, both ends included."""

    since: datetime
    until: datetime


def period_options(command: Command) -> Command:
    """Add the options of a range of time; they arrive as `period`."""
    return _ranged(command, "; now by default", default="now")


def fixed_period_options(command: Command) -> Command:
    """The same for what writes: the range has to end where somebody said, not where it grows to.

    Where a plan or a run is given that says all, there may be none.
    """
    return _ranged(command, "", required=True)


class _UnlessPlanned(click.Option):
    """An option that is required, unless the plan in a file, or the run that is named, says all."""

    def value_is_missing(self, value: Any) -> bool:
        """Whether something has yet to be said."""
        params = click.get_current_context().params
        is_said = any(params.get(name) is not None for name in ("plan_file", "run"))
        return not is_said and super().value_is_missing(value)


def _ranged(command: Command, otherwise: str, **until: Any) -> Command:
    @functools.wraps(command)
    def with_period(since: datetime | None, until: datetime | None, **options: Any) -> Any:
        if since is None or until is None:
            # What a plan says is not said beside it: that is told elsewhere.
            if since is not until and options.get("run") is not None:
                raise click.UsageError(
                    "--since and --until go together", click.get_current_context()
                )
            return command(period=None, **options)
        if since > until:
            raise click.UsageError(
                "--since is later than --until: swap them", click.get_current_context()
            )
        return command(period=Period(since, until), **options)

    first = click.option(
        "--since",
        type=TimeType(TimeRole.START),
        required=True,
        cls=_UnlessPlanned,
        help="The first instant, itself included; a day from its start. `2h ago` is by this "
        "machine's clock.",
    )
    last = click.option(
        "--until",
        type=TimeType(TimeRole.END),
        cls=_UnlessPlanned,
        help=f"The last instant, itself included, as is the whole of a day{otherwise}.",
        **until,
    )
    return first(last(with_period))  # type: ignore[return-value]


def targeted(
    command: Command, options: tuple[Callable[[Any], Any], ...], kind: type[Target] = Target
) -> Command:
    """Add options that say what a command is about; they arrive as `target`, which is of a kind."""

    @functools.wraps(command)
    def with_target(**values: Any) -> Any:
        names = kind.__dataclass_fields__.keys() & values.keys()
        chosen = _preferred({name: values.pop(name) for name in names})
        return command(target=kind(**chosen), **values)

    wrapped: Any = with_target
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]


def _preferred(values: dict[str, Any]) -> dict[str, Any]:
    """The tables meant: those of the command line or, where it names none, of the environment."""
    context = click.get_current_context()

    def named(by: ParameterSource) -> set[str]:
        return {
            name
            for name in ("stack", "history_table")
            if values.get(name) is not None and context.get_parameter_source(name) is by
        }

    if len(named(ParameterSource.COMMANDLINE)) > 1:
        raise click.UsageError("use just one of --stack and --history-table", context)
    if named(ParameterSource.COMMANDLINE):
        # The environment's source table belongs to the environment's history.
        return {
            name: value
            for name, value in values.items()
            if name not in _NAMED
            or context.get_parameter_source(name) is not ParameterSource.ENVIRONMENT
        }
    if len(named(ParameterSource.ENVIRONMENT)) > 1:
        raise click.UsageError(
            "ITEMTRAIL_STACK and ITEMTRAIL_HISTORY_TABLE are both set: unset one, or give "
            "--stack or --history-table",
            context,
        )
    return values
