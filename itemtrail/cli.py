"""The command line: commands, and every error as one line."""

import os
import sys
from collections.abc import Sequence

import click
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
)

from itemtrail.demo import demo
from itemtrail.local_stack import LocalStackError
from itemtrail.questions import as_of, diff, history
from stream_core.failures import ItemtrailError, error_code

_FAILED = 2
_INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="itemtrail")
def commands() -> None:
    """Audit trail, history and replica of a DynamoDB table.

    \b
    Example:
      itemtrail demo
      itemtrail history 42 --stack employee-trail
    """  # noqa: D301


for _command in (history, as_of, diff, demo):
    commands.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line; exits with 0 clean, 1 findings, 2 usage or failure, 130 interrupted."""
    # Texts of a table may hold what the terminal's encoding cannot show, lone surrogates too.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        status = commands.main(args=arguments, prog_name="itemtrail", standalone_mode=False)
        sys.stdout.flush()
    except (click.Abort, KeyboardInterrupt):
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has seen enough; say nothing when Python flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except (click.UsageError, ItemtrailError, ClientError, BotoCoreError) as error:
        if isinstance(error, LocalStackError) and error.detail:
            click.echo(error.detail, err=True)
        click.echo(f"Error: {' '.join(_explained(error).split())}", err=True)
        sys.exit(_FAILED)
    sys.exit(status)


def _explained(error: Exception) -> str:
    """What went wrong and what to do, as one sentence or two."""
    match error:
        case click.UsageError(ctx=context):
            program = context.command_path if context else "itemtrail"
            return f"{error.format_message().rstrip('.')}. Try: {program} --help"
        case EndpointConnectionError() | ConnectTimeoutError():
            return f"{error} Check --endpoint-url, --region and the network."
        case NoRegionError():
            return "no AWS region: give --region, or set AWS_REGION or the profile's region"
        case NoCredentialsError():
            return "no AWS credentials: give --profile, or sign in as for the AWS CLI"
        case ClientError():
            text = error.response["Error"].get("Message", "")
            return f"{error.operation_name} was refused: {error_code(error)} {text}"
        case _:
            return str(error)


if __name__ == "__main__":
    main()
