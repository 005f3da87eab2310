"""What a deployment must be like so that nothing is lost, held against what it is."""

from itertools import chain

import boto3

from reports.access.parallel import in_order
from reports.deployment.advice import Advice, DeploymentCheck
from reports.deployment.stack import Stack
from reports.deployment.stack_reader import StackReader
from reports.deployment.stream_checks import mapping_checks, stream_checks
from reports.deployment.table_checks import bucket_checks, table_checks


def examine(session: boto3.Session, stack: Stack, endpoint_url: str | None = None) -> list[Advice]:
    """Look at everything of a stack that can go wrong silently; only reads.

    Raises:
        ReportError: the stack lacks an output that says where something is.
    """
    with StackReader(session, stack, endpoint_url) as reader:
        checks = chain(
            stream_checks(reader),
            mapping_checks(reader),
            table_checks(reader),
            bucket_checks(reader),
        )
        return list(in_order(DeploymentCheck.advice, checks))
