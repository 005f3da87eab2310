"""The command that turns a table's stream on: enable."""

import click

from itemtrail.exit_status import CLEAN
from itemtrail.options.operation_target import apply_option, place_options
from itemtrail.options.target import Target, output_option
from itemtrail.output.answer import Answer, chosen_form, give
from itemtrail.output.dry_run import dry_run
from itemtrail.records.backfill import stream_record
from itemtrail.records.kinds import STREAM
from itemtrail.tables.backfill import stream_blocks
from itemtrail.tables.layout import summary_line
from operations.enable import Stream
from operations.enable import enable as enable_stream
from operations.execution.pace import Pace


@click.command(short_help="Turn a table's stream on, with both images.")
@click.argument("table")
@click.option(
    "--history-table",
    metavar="NAME",
    help="Its history, where there is one already: told that the stream is of this very table.",
)
@apply_option
@place_options
@output_option
def enable(table: str, output: str | None, target: Target, *, apply: bool) -> int:
    """Turn the stream of TABLE on, with old and new images, as the deployment needs it.

    A dry run unless --apply. A stream that is on with another view type has readers that need to
    know first: it is left as it is, and the message says what to do instead (exit 2). Where the
    stream of a table was off that has a history already, name that with --history-table.

    \b
    Example:
      itemtrail enable Employee
      itemtrail enable Employee --apply
    """  # noqa: D301
    form, session = chosen_form(output), target.session()
    stream = enable_stream(
        session,
        target.endpoint_url,
        table,
        history_table=target.history_table,
        apply=apply,
        pace=Pace(),
    )
    record = stream_record(stream)
    summary = summary_line(_stream_summary(stream), good=stream.was_on or stream.applied)
    give(Answer(STREAM, [record], stream_blocks(stream), lambda: record, [summary]), form)
    return CLEAN


def _stream_summary(stream: Stream) -> str:
    if stream.was_on:
        return f"the stream of {stream.table} is on already, with both images: nothing was changed"
    if stream.applied:
        return f"the stream of {stream.table} is on now, with both images"
    if stream.arn is not None:
        return f"another program has just turned the stream of {stream.table} on, with both images"
    return dry_run(f"the stream of {stream.table}, which is off, would be on with both images")
