"""The command line: commands, and every error as one line."""

import os
import sys
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import click
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
)
from botocore.parsers import ResponseParserError

from itemtrail.commands.accept import accept
from itemtrail.commands.backfill import backfill
from itemtrail.commands.deployment import doctor, status
from itemtrail.commands.enable import enable
from itemtrail.commands.items import as_of, blame, diff, history, timeline
from itemtrail.commands.many_items import between, changes, table_as_of
from itemtrail.commands.redrive import redrive
from itemtrail.commands.replica import compare, repair
from itemtrail.commands.report import report
from itemtrail.commands.restore import restore
from itemtrail.commands.undo import undo
from itemtrail.commands.verify import verify
from itemtrail.datasets.commands import archive, query
from itemtrail.exit_status import CLEAN, FAILED, INTERRUPTED
from itemtrail.local.demo import demo
from itemtrail.local.local_stack import LocalStackError
from itemtrail.output.answer import tell
from stream_core.errors import ItemtrailError
from stream_core.retry import error_code

# What can go wrong on the way, and is no mistake of ours.
_EXPECTED = (
    click.ClickException,
    ItemtrailError,
    ClientError,
    BotoCoreError,
    ResponseParserError,
    OSError,
)
_WHAT_TO_DO: dict[type[Exception], str] = {
    NoRegionError: "no AWS region: give --region, or set AWS_REGION or the profile's region",
    NoCredentialsError: "no AWS credentials: give --profile, or sign in as for the AWS CLI",
    ResponseParserError: "the endpoint does not answer as AWS does: check --endpoint-url",
}
_WIDEST_HELP = 72


class ClosedPipeError(Exception):
    """Whoever read our output has seen enough."""


class Sections(click.Group):
    """Commands listed by what they ask about."""

    sections: Mapping[str, Sequence[click.Command]]

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; click would end a program whose reader has left as a failed one."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ClosedPipeError from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List every command under its section."""
        for title, members in self.sections.items():
            with formatter.section(title):
                formatter.write_dl(
                    [
                        (str(command.name), command.get_short_help_str(_WIDEST_HELP))
                        for command in members
                    ]
                )


@click.group(cls=Sections, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="itemtrail")
def commands() -> None:
    """Audit trail, history and replica of a DynamoDB table.

    \b
    Example:
      itemtrail demo
      itemtrail history 42 --stack employee-trail
      itemtrail changes --since '1h ago' --stack employee-trail
      itemtrail verify --stack employee-trail
    """  # noqa: D301


commands.sections = {
    "About an item": (history, as_of, diff, blame, timeline),
    "About many items": (changes, between, table_as_of, verify, report),
    "About the deployment": (status, doctor, accept),
    "Starting": (enable, backfill),
    "Healing": (compare, repair, redrive),
    "Going back": (restore, undo),
    "Histories larger than one machine": (archive, query),
    "On this machine": (demo,),
}
for _command in chain.from_iterable(commands.sections.values()):
    commands.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line; exits with a number of `exit_status`."""
    # Texts of a table may hold what the terminal's encoding cannot show, lone surrogates too.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        # Alone, it is a question; click 8.2 and later take it for a mistake.
        words = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
        status = commands.main(words, "itemtrail", standalone_mode=False, obj=words)
        sys.stdout.flush()
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except (BrokenPipeError, ClosedPipeError):
        _drop_output()
        sys.exit(CLEAN)
    except _EXPECTED as error:
        if isinstance(error, OSError):
            _drop_output()
        if isinstance(error, LocalStackError) and error.detail:
            click.echo(error.detail, err=True)
        tell(f"Error: {' '.join(_explained(error).split())}")
        sys.exit(FAILED)
    sys.exit(status)


def _drop_output() -> None:
    """Let Python, which flushes at its end, write into nothing."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _explained(error: Exception) -> str:
    """What went wrong and what to do, as one sentence or two."""
    match error:
        case click.UsageError(ctx=context):
            program = context.command_path if context else "itemtrail"
            return f"{error.format_message().rstrip('.')}. Try: {program} --help"
        case EndpointConnectionError() | ConnectTimeoutError():
            return f"{error} Check --endpoint-url, --region and the network."
        case ClientError():
            text = error.response["Error"].get("Message", "")
            return f"{error.operation_name} was refused: {error_code(error)} {text}"
        case OSError(filename=str(name), strerror=str(why)):
            return f"{name}: {why}"
        case OSError(filename=None, strerror=str(why)):
            return f"the answer cannot be written: {why}"
        case _:
            return _WHAT_TO_DO.get(type(error), str(error))
