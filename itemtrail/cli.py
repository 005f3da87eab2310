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
    except click.UsageError as error:
        program = error.ctx.command_path if error.ctx else "itemtrail"
        _fail(f"{error.format_message().rstrip('.')}. Try: {program} --help")
    except click.ClickException as error:
        _fail(error.format_message())
    except (click.Abort, KeyboardInterrupt):
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has seen enough; say nothing when Python flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except ItemtrailError as error:
        _fail(str(error))
    except (ClientError, BotoCoreError) as error:
        _fail(_explained(error))
    sys.exit(status)


def _fail(message: str) -> None:
    click.echo(f"Error: {' '.join(message.split())}", err=True)
    sys.exit(_FAILED)


def _explained(error: ClientError | BotoCoreError) -> str:
    """What AWS, or the way to it, says, and what to do."""
    if isinstance(error, EndpointConnectionError | ConnectTimeoutError):
        return f"{error} Check --endpoint-url, --region and the network."
    if isinstance(error, NoRegionError):
        return "no AWS region: give --region, or set AWS_REGION or the profile's region"
    if isinstance(error, NoCredentialsError):
        return "no AWS credentials: give --profile, or sign in as for the AWS CLI"
    if isinstance(error, ClientError):
        operation, text = error.operation_name, error.response["Error"].get("Message", "")
        return f"{operation} was refused: {error_code(error)} {text}"
    return str(error)


if __name__ == "__main__":
    main()
