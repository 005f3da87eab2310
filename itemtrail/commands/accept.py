"""The command that tries on a real account what is only believed: accept."""

import secrets
from dataclasses import dataclass
from pathlib import Path

import click

from itemtrail.exit_status import CLEAN, FINDINGS
from itemtrail.options.operation_target import HistoryTarget, apply_option
from itemtrail.options.plan import yes_option
from itemtrail.options.target import Target, output_option, stack_options
from itemtrail.output.answer import Answer, chosen_form, give, tell
from itemtrail.output.approval import Approval, Stakes, require_approval
from itemtrail.output.dry_run import dry_run
from itemtrail.output.json_and_csv import document_text
from itemtrail.output.progress import ProgressBar
from itemtrail.records.acceptance import acceptance_record, belief_records
from itemtrail.records.kinds import BELIEF, Record
from itemtrail.tables.acceptance import acceptance_blocks, intention_blocks
from itemtrail.tables.layout import notes, summary_line
from operations.acceptance.beliefs import BELIEFS
from operations.acceptance.canary import Canary
from operations.acceptance.run import AcceptanceRun, planned
from operations.acceptance.run import accept as run_acceptance
from operations.acceptance.trial import NAME, Trial
from operations.errors import RefusedError
from reports.access.private_files import replace_file
from reports.deployment.stack import Consumer, Stack
from reports.inputs.keys import KeySchema, key_text
from stream_core.attribute_values import Item


@dataclass(frozen=True)
class _CanaryChoice:
    """Which item is to be written, in whose table.

    Attributes:
        key: its key as text; None: one that says what it is, where the key is a text.
        table: the table's name, of a table that was not made to try things out.
    """

    key: str | None
    table: str | None

    def keys_in(self, stack: Stack, schema: KeySchema, run: str) -> Item:
        """The key of the canary.

        Raises:
            RefusedError: the table is not named and no sample, or no key is named and none fits.
            KeyShapeError: the key is not one of the table.
        """
        source = stack.source_table
        if self.table not in (None, source):
            raise RefusedError(f"'{stack.name}' follows {source}, not {self.table}")
        if self.table is None and not stack.parameters.get("SampleSourceTableName"):
            raise RefusedError(
                f"{source} is a table in use: the run would write, change and delete an item "
                "there, and its history would have the rows for ever. If that is meant, give "
                f"--canary-table {source}; else deploy a stack with SampleSourceTableName"
            )
        if self.key is not None:
            return schema.key_of_line(self.key)
        if set(schema.types.values()) != {"S"}:
            raise RefusedError(
                f"the key of {source} is {schema}: give one with --canary that no item has"
            )
        return schema.key_of(dict.fromkeys(schema.types, f"{NAME}-{run}"))


@click.command(short_help="Try on a real account what is only believed.")
@click.option(
    "--canary",
    metavar="KEY",
    help=f"Key of the item to write, which must not exist; {NAME}-… where the key is a text.",
)
@click.option(
    "--canary-table",
    metavar="NAME",
    help="The followed table, if it was not made by the stack to try things out: allows the run "
    "to write there.",
)
@click.option(
    "--skip",
    "skipped",
    metavar="ID",
    multiple=True,
    type=click.Choice([belief.id for belief in BELIEFS]),
    help="Do not try this belief; may be repeated.",
)
@click.option(
    "--file",
    metavar="FILE",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the record of the run into this file too, as JSON: to be filed with an issue.",
)
@click.option("--show-account", is_flag=True, help="Do not mask the account's number.")
@apply_option
@yes_option
@stack_options
@output_option
def accept(  # noqa: PLR0913 - an option each
    *,
    canary: str | None,
    canary_table: str | None,
    skipped: tuple[str, ...],
    file: Path | None,
    output: str | None,
    target: Target,
    apply: bool,
    yes: bool,
    show_account: bool,
) -> int:
    """Try on a real account what the product rests on and only an account can settle.

    Writes one item, the canary, and looks what becomes of it; makes calls that have to be denied;
    and says of each belief whether it was confirmed, refuted or not tried, and by what that is
    known. A dry run unless --apply, which says first what it does, and asks. What it makes it takes
    away again, also after Ctrl-C; rows of a history stay. Exits with 1 if anything was refuted.

    \b
    Example:
      itemtrail accept --stack employee-trail --canary 987654321
      itemtrail accept --stack employee-trail --canary 987654321 --apply --yes \\
        --file acceptance.json
    """  # noqa: D301
    if file is not None and not file.parent.is_dir():
        # Not after half an hour.
        raise click.UsageError(
            f"--file {file}: there is no folder {file.parent}", click.get_current_context()
        )
    form, session = chosen_form(output), target.session()
    stack = Stack.read(session, target.stack or "", target.endpoint_url)
    stack.require(Consumer.HISTORY_WRITER)
    trial = _trial(stack, target, _CanaryChoice(canary, canary_table))
    account = None if show_account else trial.account
    if not apply:
        _show_plan(trial, skipped, form, account)
        return CLEAN
    source = stack.source_table
    text = f"the item {key_text(trial.canary.keys)} of {source} would be written and deleted"
    stakes = Stakes(source, text, changes=1)
    require_approval(intention_blocks(trial), form, stakes, Approval(yes=yes))
    acceptance = _carried_out(trial, skipped)
    record = acceptance_record(acceptance, account)
    if file is not None:
        replace_file(file, document_text(record).encode("ascii"))
    give(_answer(stack.name, record, is_clean=acceptance.is_clean), form)
    return CLEAN if acceptance.is_clean else FINDINGS


def _trial(stack: Stack, target: Target, choice: _CanaryChoice) -> Trial:
    """What is to be tried, and on which item."""
    tables, _ = HistoryTarget(
        stack=target.stack,
        profile=target.profile,
        region=target.region,
        endpoint_url=target.endpoint_url,
    ).find()
    run = secrets.token_hex(6)
    keys = choice.keys_in(stack, tables.reader.key_schema, run)
    return Trial(stack, Canary(tables, keys, run))


def _carried_out(trial: Trial, skipped: tuple[str, ...]) -> AcceptanceRun:
    with ProgressBar() as progress:
        try:
            return run_acceptance(trial, skipped, progress)
        except BaseException:
            for what in trial.clean_up.stays:
                tell(f"not finished; this stays: {what}")
            raise


def _answer(stack: str, record: Record, *, is_clean: bool) -> Answer:
    beliefs = record["beliefs"]
    return Answer(
        BELIEF,
        beliefs,
        acceptance_blocks(stack, beliefs),
        lambda: record,
        [
            *notes(f"this stays: {what}" for what in record["stays"]),
            summary_line(_summary(is_clean=is_clean), good=is_clean),
        ],
        is_applied=True,
    )


def _show_plan(trial: Trial, skipped: tuple[str, ...], form: str, account: str | None) -> None:
    beliefs = list(belief_records(planned(trial, skipped), account))
    would = f"they would be tried with the item {key_text(trial.canary.keys)}"
    give(
        Answer(
            BELIEF,
            beliefs,
            [*intention_blocks(trial), *acceptance_blocks(trial.stack.name, beliefs)],
            summary=[summary_line(dry_run(would), good=False)],
        ),
        form,
    )


def _summary(*, is_clean: bool) -> str:
    if is_clean:
        return "nothing was refuted"
    return "something is not as it is believed: file the record (--file) with an issue"
