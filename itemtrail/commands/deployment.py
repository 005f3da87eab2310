"""The commands that ask about a deployment: status, doctor."""

import click

from itemtrail.exit_status import CLEAN, FINDINGS
from itemtrail.options.target import Target, output_option, stack_options
from itemtrail.output.answer import Answer, chosen_form, give
from itemtrail.records.deployment import advice_record, status_line_records, status_record
from itemtrail.records.kinds import ADVICE, STATUS_LINE
from itemtrail.tables.deployment import advice_blocks, status_blocks
from reports.deployment.doctor import examine
from reports.deployment.stack import Stack, extent_of
from reports.deployment.status import read_status


@click.command(short_help="Tables, mappings, lag, and what could not be written.")
@stack_options
@output_option
def status(output: str | None, target: Target) -> int:
    """Show how a deployment is now: tables, mappings, lag, and what could not be written.

    Of a stack that was deployed for one of history and replica, that one is shown.
    Exits with 1 if a table or a mapping is not active, or something waits in the quarantine bucket.

    \b
    Example:
      itemtrail status --stack employee-trail
      itemtrail status --stack employee-trail --output json
    """  # noqa: D301
    form, session = chosen_form(output), target.session()
    stack = Stack.read(session, target.stack or "", target.endpoint_url)
    deployment_status = read_status(session, stack, target.endpoint_url)
    answer = Answer(
        STATUS_LINE,
        status_line_records(deployment_status),
        status_blocks(deployment_status),
        lambda: status_record(deployment_status),
    )
    give(answer, form)
    return CLEAN if deployment_status.clean else FINDINGS


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
