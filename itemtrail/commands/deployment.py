"""The commands that ask about a deployment: status, doctor."""

import boto3
import click

from itemtrail.exit_status import CLEAN, FINDINGS
from itemtrail.options.target import Target, output_option, stack_options
from itemtrail.output.answer import Answer, chosen_form, give
from itemtrail.output.progress import ProgressBar
from itemtrail.records.deployment import advice_record, status_line_records, status_record
from itemtrail.records.kinds import ADVICE, STATUS_LINE
from itemtrail.tables.deployment import advice_blocks, status_blocks
from operations.deployed_tables import DeployedTables
from operations.execution.pace import Pace
from operations.proof import Proof
from operations.proof import prove as hold_stream_against
from reports.access.clients import CLIENT_CONFIG
from reports.deployment.doctor import examine
from reports.deployment.stack import Consumer, Stack, extent_of
from reports.deployment.stack_reader import StackReader
from reports.deployment.status import read_status
from reports.deployment.watermark import kept_aside


@click.command(short_help="Tables, mappings, lag, and what could not be written.")
@click.option(
    "--prove",
    is_flag=True,
    help="Also hold every record of the stream against the history; takes two minutes or more.",
)
@stack_options
@output_option
def status(output: str | None, target: Target, *, prove: bool) -> int:
    """Show how a deployment is now: tables, mappings, lag, and what could not be written.

    And up to when the history is complete: by the deployment's metrics or, with --prove, by reading
    the stream as a third reader, about one read unit a record.

    Of a stack that was deployed for one of history and replica, that one is shown.
    Exits with 1 if a table or a mapping is not active, something waits in the quarantine bucket, or
    a record is missing.

    \b
    Example:
      itemtrail status --stack employee-trail
      itemtrail status --stack employee-trail --output json
      itemtrail status --prove --stack employee-trail
    """  # noqa: D301
    form, session = chosen_form(output), target.session()
    stack = Stack.read(session, target.stack or "", target.endpoint_url)
    deployment_status = read_status(session, stack, target.endpoint_url)
    with ProgressBar() as progress:
        proof = _proof(session, stack, target.endpoint_url, progress) if prove else None
        answer = Answer(
            STATUS_LINE,
            status_line_records(deployment_status, proof),
            status_blocks(deployment_status, proof),
            lambda: status_record(deployment_status, proof),
        )
        give(answer, form, progress)
    is_whole = proof is None or not proof.missing
    return CLEAN if deployment_status.clean and is_whole else FINDINGS


def _proof(
    session: boto3.Session, stack: Stack, endpoint_url: str | None, progress: ProgressBar
) -> Proof:
    deployment = DeployedTables(
        stack.source_table, session, endpoint_url, history_table=stack.history_table
    )
    streams = session.client("dynamodbstreams", endpoint_url=endpoint_url, config=CLIENT_CONFIG)
    with StackReader(session, stack, endpoint_url) as reader:
        stream_arn = reader.mapping(Consumer.HISTORY_WRITER)["EventSourceArn"]
        return hold_stream_against(
            streams,
            stream_arn,
            deployment.reader,
            lambda: list(kept_aside(reader)),
            Pace(progress=progress),
        )


@click.command(short_help="What would lose changes, and what to do about it.")
@stack_options
@output_option
def doctor(output: str | None, target: Target) -> int:
    """Look for what would lose changes or make answers wrong, and say what to do about it.

    Looks at the stream, its readers, the mappings' settings, the tables' keys and protection, and
    the buckets; changes nothing. Exits with 1 unless everything is as it must be.

    \b
    Example:
      itemtrail doctor --stack employee-trail
      itemtrail doctor --stack employee-trail --output json
    """  # noqa: D301
    form, session = chosen_form(output), target.session()
    stack = Stack.read(session, target.stack or "", target.endpoint_url)
    advice = examine(session, stack, target.endpoint_url)
    answer = Answer(
        ADVICE,
        map(advice_record, advice),
        advice_blocks(f"{stack.name}, {extent_of(stack.consumers)}", advice),
    )
    give(answer, form)
    return CLEAN if all(check.ok for check in advice) else FINDINGS
