"""Options that commands share, and what they choose."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import boto3
import click
from botocore.exceptions import ClientError

from reports import HistoryTable, ReportError, TableNotFoundError, TimeFormatError
from reports.clients import CLIENT_CONFIG
from reports.times import read_time
from stream_core.failures import error_code

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Target:
    """Which tables to ask, and where."""

    stack: str | None
    history_table: str | None
    source_table: str | None
    profile: str | None
    region: str | None
    endpoint_url: str | None

    def open(self) -> HistoryTable:
        """The history table meant, named or found through the stack's outputs."""
        # boto3 would answer with a traceback, or connect to who knows where.
        if self.endpoint_url is not None and not urlsplit(self.endpoint_url).netloc:
            raise ReportError(
                f"'{self.endpoint_url}' is not an endpoint URL: give e.g. http://localhost:8000"
            )
        session = boto3.Session(profile_name=self.profile, region_name=self.region)
        history_table, source_table = self.history_table, self.source_table
        if self.stack is not None:
            outputs = _outputs(session, self.stack, self.endpoint_url)
            history_table = history_table or outputs.get("HistoryTableName")
            source_table = source_table or outputs.get("SourceTableName")
        if history_table is None:
            raise ReportError(
                "which history? give --stack NAME, or --history-table NAME and --source-table NAME"
            )
        return HistoryTable(
            history_table, source_table, session=session, endpoint_url=self.endpoint_url
        )


class TimeType(click.ParamType):
    """A time on the command line."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read it, or say how it should look."""
        try:
            return read_time(value)
        except TimeFormatError as error:
            self.fail(str(error), param, ctx)


def target_options(command: Command) -> Command:
    """Add the options that say which tables to ask; they arrive as `Target`'s fields."""
    for option in reversed(
        (
            click.option("--stack", metavar="NAME", help="Deployed stack to take the tables from."),
            click.option("--history-table", metavar="NAME", help="History table to ask."),
            click.option(
                "--source-table",
                metavar="NAME",
                help="Table it is the history of: confirms the newest state of an item.",
            ),
            click.option("--profile", metavar="NAME", help="AWS profile, as in the AWS CLI."),
            click.option("--region", metavar="NAME", help="AWS region, as in the AWS CLI."),
            click.option(
                "--endpoint-url", metavar="URL", help="Another endpoint than AWS, for all services."
            ),
        )
    ):
        command = option(command)
    return command


def output_option(command: Command) -> Command:
    """Add the option that says in which form to answer."""
    return click.option(
        "--output",
        type=click.Choice(["table", "json", "jsonl"]),
        help="Form of the answer; a table on a terminal, JSON in a pipe by default.",
    )(command)


def chosen_output(output: str | None) -> str:
    """The form to answer in."""
    return output or ("table" if sys.stdout.isatty() else "json")


def key_argument(command: Command) -> Command:
    """Add the key of the item asked about."""
    return click.argument("key", nargs=-1, required=True)(command)


def _outputs(session: boto3.Session, stack: str, endpoint_url: str | None) -> dict[str, str]:
    formation = session.client("cloudformation", endpoint_url=endpoint_url, config=CLIENT_CONFIG)
    try:
        description = formation.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if error_code(error) != "ValidationError":
            raise
        raise TableNotFoundError(
            f"no stack '{stack}' in {formation.meta.region_name}: check --stack and --region"
        ) from error
    return {one["OutputKey"]: one["OutputValue"] for one in description.get("Outputs", [])}
