"""Who is at work, for runs, plans and values of `--by`."""

import getpass

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

# Nobody waits for a name where the service is out of reach.
_QUICK = Config(connect_timeout=2, read_timeout=2, retries={"total_max_attempts": 1})


def caller_name(session: boto3.Session, endpoint_url: str | None) -> str:
    """The ARN of whose credentials are used; where that is not told, the `operator_name`."""
    try:
        client = session.client("sts", endpoint_url=endpoint_url, config=_QUICK)
        return client.get_caller_identity()["Arn"]
    except (ClientError, BotoCoreError, KeyError):
        return operator_name()


def operator_name() -> str:
    """The name of the person at this machine, as the machine knows it; else `unknown`."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        # A container may have no name for its user.
        return "unknown"
