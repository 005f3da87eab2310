"""What a deployment must be like so that nothing is lost, held against what it is."""

from itertools import chain

import boto3

from reports.access.parallel import in_order
from reports.deployment.advice import Advice, Check
from reports.deployment.stack import Stack
from reports.deployment.stack_reader import Deployment
from reports.deployment.stream_checks import mapping_checks, stream_checks
from reports.deployment.table_checks import bucket_checks, table_checks

__all__ = ["Advice", "examine"]


def examine(session: boto3.Session, stack: Stack, endpoint_url: str | None = None) -> list[Advice]:
    """Look at everything of a stack that can go wrong silently; only reads.

    Raises:
        ReportError: the stack lacks an output that says where something is.
    """
    with Deployment(session, stack, endpoint_url) as deployment:
        checks = chain(
            stream_checks(deployment),
            mapping_checks(deployment),
            table_checks(deployment),
            bucket_checks(deployment),
        )
        return list(in_order(Check.told, checks))
