"""What a deployment must be like so that nothing is lost, held against what it is."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import chain

import boto3

from reports.access.parallel import in_order
from reports.deployment.advice import Advice, DeploymentCheck, Judgement, failed, unclear
from reports.deployment.alarm_checks import alarm_checks
from reports.deployment.stack import Stack
from reports.deployment.stack_reader import StackReader
from reports.deployment.stream_checks import mapping_checks, stream_checks
from reports.deployment.table_checks import bucket_checks, table_checks

# What emulators take from a template and then neither keep nor enforce.
_NOT_EMULATED = frozenset(
    {
        "alarm topic",
        "alarms",
        "append-only",
        "control rows",
        "mapping metrics",
        "object lock",
        "point-in-time recovery",
    }
)
_ON_AWS_ONLY = "On AWS the template sets it: look there, with Emulator=false"


def examine(session: boto3.Session, stack: Stack, endpoint_url: str | None = None) -> list[Advice]:
    """Look at everything of a stack that can go wrong silently; only reads.

    Of a stack that was deployed for an emulator, what emulators do not keep cannot be told.

    Raises:
        ReportError: the stack lacks an output that says where something is.
    """
    with StackReader(session, stack, endpoint_url) as reader:
        checks = chain(
            _emulator_checks(reader),
            stream_checks(reader),
            mapping_checks(reader),
            table_checks(reader),
            bucket_checks(reader),
            alarm_checks(reader),
        )
        advice = list(in_order(DeploymentCheck.advice, checks))
        is_emulator = stack.is_emulated and not reader.is_on_aws()
        return list(map(_as_emulated, advice)) if is_emulator else advice


def _emulator_checks(reader: StackReader) -> Iterator[DeploymentCheck]:
    if reader.stack.is_emulated:
        subject = f"stack {reader.stack.name}"
        yield DeploymentCheck("emulator", subject, partial(_emulator, reader))


def _emulator(reader: StackReader) -> Judgement:
    if reader.is_on_aws():
        return failed(
            "deployed on AWS with Emulator=true: the alarms about a stalled stream, the dashboard "
            "and the saved queries are missing",
            "Deploy with Emulator=false",
        )
    return unclear(
        "deployed with Emulator=true: an emulator enforces no policy and no lock", _ON_AWS_ONLY
    )


def _as_emulated(advice: Advice) -> Advice:
    if advice.ok is not False or advice.check not in _NOT_EMULATED:
        return advice
    return replace(
        advice, ok=None, observation=f"an emulator: {advice.observation}", to_do=_ON_AWS_ONLY
    )
