"""The command that takes back a bad job: undo."""

from dataclasses import dataclass
from typing import TextIO

import click

from itemtrail.commands.restore import outcome_summary
from itemtrail.exit_status import CLEAN, FINDINGS
from itemtrail.options.keys import KeyedCommand, given_keys, keys_file_option, require_one_way
from itemtrail.options.kinds import PathType
from itemtrail.options.operation_target import (
    OperationTarget,
    rate_option,
    source_target_options,
)
from itemtrail.options.plan import approval_options, each_option
from itemtrail.options.selection import selection_options
from itemtrail.options.stamps import by_option, require_no_key, set_option
from itemtrail.options.target import (
    Period,
    fixed_period_options,
    key_argument,
    output_option,
)
from itemtrail.output.answer import Answer, chosen_form, give, span
from itemtrail.output.approval import Approval, Stakes, require_approval
from itemtrail.output.progress import ProgressBar
from itemtrail.records.kinds import UNDO
from itemtrail.records.undo import undo_records
from itemtrail.tables import cells
from itemtrail.tables.layout import summary_line
from itemtrail.tables.undo import undo_blocks
from operations.deployed_tables import DeployedTables
from operations.execution.pace import Pace
from operations.recovery.bad_changes import Selected, select_bad
from operations.recovery.compensation import Terms
from operations.recovery.stamps import Stamps, is_stamped
from operations.recovery.undo import Undone, take_back
from reports.access.table_description import describe
from reports.inputs.paths import Path
from reports.states.selection import Selection
from stream_core.attribute_values import Item
from stream_core.history_row import time_text


@click.command(cls=KeyedCommand, short_help="Take back one bad job, and lose no good write.")
@key_argument(required=False)
@keys_file_option
@fixed_period_options
@selection_options
@click.option("--all", "everything", is_flag=True, help="Every change of the range, by any writer.")
@click.option(
    "--counter",
    "counters",
    type=PathType(),
    multiple=True,
    help="A number that everyone only adds to (ADD, SET n = n + :x): what was added is taken off, "
    "also where others added since; may be repeated.",
)
@set_option
@by_option
@click.option(
    "--wait",
    is_flag=True,
    help="Wait until every change of the range is known to be in the history; else refused.",
)
@each_option
@rate_option
@approval_options("most")
@source_target_options
@output_option
def undo(  # noqa: PLR0913 - an option each
    *,
    key: tuple[str, ...],
    keys_file: TextIO | None,
    period: Period,
    where: Selection,
    rate: float | None,
    output: str | None,
    target: OperationTarget,
    everything: bool,
    counters: tuple[Path, ...],
    stamps: Stamps,
    by: str,
    wait: bool,
    is_each: bool,
    apply: bool,
    approval: Approval,
) -> int:
    """Take back the changes of a range of time that are chosen, and no other.

    Where something was written since, by another, it is left as it is and listed as a conflict;
    changes to other attributes stay. With --attribute only what became of that value is taken back;
    items that were inserted or deleted with it stay as they are unless --event names that. A dry
    run unless --apply, which shows the plan and asks before it writes. It is refused while changes
    of the range may still be on their way into the history; --wait waits for them. What it writes
    carries, with --actor-attribute, your name there and none that it finds. Exits with 1 if there
    are conflicts, changes whose author the history does not name, or names that it does not know.

    \b
    Example:
      itemtrail undo --since 2026-03-03T18:40Z --until 2026-03-03T18:46Z \\
        --actor payroll --actor-attribute updated_by --stack employee-trail
      itemtrail undo --since 2026-03-03T18:40Z --until 2026-03-03T18:46Z \\
        --attribute status --to closed --stack employee-trail --apply --yes
      itemtrail undo 42 --since 2026-03-03T18:40Z --until 2026-03-03T18:46Z \\
        --stack employee-trail --output json
    """  # noqa: D301
    require_one_way(key, keys_file)
    chosen = key or keys_file or where.event_names or where.attribute or where.actor
    if bool(chosen) == everything:
        raise click.UsageError(
            "--all and a choice exclude each other: leave one of them out"
            if everything
            else "this would take back every change of the range, the good ones too: choose by KEY,"
            " --keys-file, --event, --attribute or --actor, or give --all",
            click.get_current_context(),
        )
    form, (deployment, _) = chosen_form(output), target.find()
    keys = given_keys(deployment.reader.key_schema, key, keys_file)
    stamps = _stamps(stamps, where.actor_path, by)
    require_no_key(stamps, deployment.reader.key_schema)
    order = _UndoOrder(deployment, period, form, rate, is_each, Terms(counters, stamps))
    selected = order.selected(where, keys, wait=wait)
    undone = order.planned(selected)
    if apply:
        order.require_approval(undone, approval)
        undone = order.carried_out(selected)
    order.give(undone)
    return CLEAN if undone.is_clean else FINDINGS


def _stamps(stamps: Stamps, actor_path: Path | None, by: str) -> Stamps:
    """What is to be written beside, and who undoes where every writer leaves its name."""
    if actor_path is None or is_stamped(actor_path, stamps):
        return stamps
    return {**stamps, actor_path: {"S": by}}


@dataclass(frozen=True)
class _UndoOrder:
    """What was asked for."""

    deployment: DeployedTables
    period: Period
    form: str
    rate: float | None
    is_each: bool
    terms: Terms

    def selected(self, where: Selection, keys: list[Item] | None, *, wait: bool) -> Selected:
        """The changes to take back."""
        with ProgressBar() as progress:
            return select_bad(
                self.deployment,
                since=self.period.since,
                until=self.period.until,
                where=where,
                keys=keys,
                wait=wait,
                pace=Pace(progress=progress),
            )

    def planned(self, selected: Selected) -> Undone:
        """What would be done."""
        return self._take_back(selected, apply=False)

    def require_approval(self, planned: Undone, approval: Approval) -> None:
        """Show the plan, and return only if it is approved."""
        edits = [item.edits for item in planned.items if item.edits]
        deletes = sum(edit.new is None for (edit, *_) in edits if not edit.path)
        stakes = Stakes.of_items(
            self.deployment.source_table, len(edits) - deletes, deletes, size=self._size
        )
        blocks = undo_blocks(planned, f"Plan: {self._title}", is_each=self.is_each)
        require_approval(blocks, self.form, stakes, approval)

    def carried_out(self, selected: Selected) -> Undone:
        """Do it, and what became of it."""
        return self._take_back(selected, apply=True)

    def give(self, undone: Undone) -> None:
        """Show what it came to."""
        good = undone.applied and undone.is_clean
        answer = Answer(
            UNDO,
            undo_records(undone),
            undo_blocks(undone, self._title, is_each=self.is_each),
            summary=[summary_line(self._summary(undone), good=good)],
            times=span(*self.period),
        )
        give(answer, self.form)

    def _take_back(self, selected: Selected, *, apply: bool) -> Undone:
        with ProgressBar() as progress:
            return take_back(
                self.deployment,
                selected,
                terms=self.terms,
                apply=apply,
                pace=Pace(self.rate, progress=progress),
            )

    def _size(self) -> int | None:
        return describe(self.deployment.dynamodb, self.deployment.source_table).items

    @property
    def _title(self) -> str:
        since, until = self.period
        return f"Undo of changes from {cells.when(since)} to {cells.zoned(until)}"

    def _summary(self, undone: Undone) -> str:
        outcomes = [str(record["outcome"]) for record in undo_records(undone)]
        if not outcomes:
            nothing = "there is no such change: nothing to take back"
            return "; ".join([nothing, *self._notes(undone)])
        summary = outcome_summary(outcomes, applied=undone.applied)
        conflicts = len(undone.conflicts)
        if conflicts:
            summary += f"; {cells.count_of(conflicts, 'place')} in conflict"
        if not undone.applied:
            # A relative time is another one when the command is run again.
            since, until = map(time_text, self.period)
            summary += f"; the same range again: --since {since} --until {until}"
        return "; ".join([summary, *self._notes(undone)])

    def _notes(self, undone: Undone) -> list[str]:
        """What was not found, and what was passed over."""
        notes = list(undone.unknown)
        if undone.whole_items:
            passed_over = (
                f"{cells.count_of(undone.whole_items, 'change')} of whole items passed over"
            )
            notes.append(f"{passed_over}: --event INSERT or --event REMOVE takes such back")
        return notes
