"""The commands that ask about a deployment: status, doctor."""

from collections.abc import Sequence
from dataclasses import dataclass

import boto3
import click

from itemtrail.exit_status import CLEAN, FINDINGS, UNSEEN
from itemtrail.options.target import Target, output_option, stack_options
from itemtrail.output.answer import Answer, chosen_form, give, tell
from itemtrail.output.progress import ProgressBar
from itemtrail.records.deployment import advice_record, status_line_records, status_record
from itemtrail.records.kinds import ADVICE, STATUS_LINE
from itemtrail.tables.deployment import advice_blocks, status_blocks
from operations.deployed_tables import DeployedTables
from operations.errors import OperationError
from operations.execution.pace import Pace
from operations.proof import Proof
from operations.proof import keep as keep_proof
from operations.proof import prove as hold_stream_against
from reports.access.clients import CLIENT_CONFIG
from reports.deployment.advice import Advice
from reports.deployment.doctor import examine
from reports.deployment.stack import Consumer, Stack, extent_of
from reports.deployment.stack_reader import UNREADABLE, StackReader, reason_of
from reports.deployment.status import read_status
from reports.deployment.watermark import kept_aside
from stream_core.errors import IntegrityError
from stream_core.history_row import time_text


@click.command(short_help="Tables, mappings, lag, and what could not be written.")
@click.option(
    "--prove",
    is_flag=True,
    help="Also hold every record of the stream against the history; takes two minutes or more.",
)
@click.option(
    "--keep",
    is_flag=True,
    help="With --prove: keep in the history what it came to, for answers to rest on.",
)
@stack_options
@output_option
def status(output: str | None, target: Target, *, prove: bool, keep: bool) -> int:
    """Show how a deployment is now: tables, mappings, lag, and what could not be written.

    And up to when the history is complete: by the deployment's metrics or, with --prove, by reading
    the stream as a third reader, about one read unit a record. With --keep that is written into the
    history: later answers rest on it, and --basis compared has them rest on nothing else.

    Of a stack that was deployed for one of history and replica, that one is shown.
    Exits with 1 if a table or a mapping is not active, something waits in the quarantine bucket,
    a record is missing, or the proof cannot be kept.

    \b
    Example:
      itemtrail status --stack employee-trail
      itemtrail status --stack employee-trail --output json
      itemtrail status --prove --keep --stack employee-trail
    """  # noqa: D301
    if keep and not prove:
        raise click.UsageError("--keep is for --prove", click.get_current_context())
    form, session = chosen_form(output), target.session()
    stack = Stack.read(session, target.stack or "", target.endpoint_url)
    deployment_status = read_status(session, stack, target.endpoint_url)
    comparison = _Comparison(session, stack, target.endpoint_url)
    with ProgressBar() as progress:
        proof = comparison.proof(progress) if prove else None
        answer = Answer(
            STATUS_LINE,
            status_line_records(deployment_status, proof),
            status_blocks(deployment_status, proof),
            lambda: status_record(deployment_status, proof),
        )
        give(answer, form, progress)
    is_whole = proof is None or not proof.missing
    is_kept = proof is None or not keep or comparison.kept(proof)
    return CLEAN if deployment_status.clean and is_whole and is_kept else FINDINGS


@dataclass(frozen=True)
class _Comparison:
    """Holding the stream of a stack against its history."""

    session: boto3.Session
    stack: Stack
    endpoint_url: str | None

    def proof(self, progress: ProgressBar) -> Proof:
        """What it comes to."""
        streams = self.session.client(
            "dynamodbstreams", endpoint_url=self.endpoint_url, config=CLIENT_CONFIG
        )
        with StackReader(self.session, self.stack, self.endpoint_url) as reader:
            return hold_stream_against(
                streams,
                reader.mapping(Consumer.HISTORY_WRITER)["EventSourceArn"],
                self._deployment.reader,
                lambda: list(kept_aside(reader)),
                Pace(progress=progress),
            )

    def kept(self, proof: Proof) -> bool:
        """Whether it is in the history now; a person is told, also why it is not."""
        try:
            until = keep_proof(proof, self._deployment, Pace()).until
        except (OperationError, IntegrityError, *UNREADABLE) as error:
            tell(f"the proof is not kept: {reason_of(error)}")
            return False
        tell(f"kept in the history: --basis compared goes by it until {time_text(until)}")
        return True

    @property
    def _deployment(self) -> DeployedTables:
        return DeployedTables(
            self.stack.source_table,
            self.session,
            self.endpoint_url,
            history_table=self.stack.history_table,
        )


@click.command(short_help="What would lose changes, and what to do about it.")
@stack_options
@output_option
def doctor(output: str | None, target: Target) -> int:
    """Look for what would lose changes or make answers wrong, and say what to do about it.

    Looks at the stream, its readers, the mappings' settings, the tables' keys and protection, the
    buckets, and whether alarms are heard; changes nothing. Policy and lock are held against what
    the stack was given. Exits with 1 if something is not as it must be; with 3 if nothing is known
    to be wrong, and something could not be checked, as a replica in another account.

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
    return _status_of(advice)


def _status_of(advice: Sequence[Advice]) -> int:
    if any(check.ok is False for check in advice):
        return FINDINGS
    return UNSEEN if any(check.ok is None for check in advice) else CLEAN
