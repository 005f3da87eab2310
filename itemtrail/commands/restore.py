"""The command that brings back what was: restore."""

from dataclasses import dataclass
from datetime import datetime
from typing import TextIO

import click

from itemtrail.exit_status import FINDINGS
from itemtrail.options.keys import given_keys, keys_file_option, require_one_way
from itemtrail.options.kinds import TimeType
from itemtrail.options.operation_target import (
    OperationTarget,
    apply_option,
    rate_option,
    source_target_options,
)
from itemtrail.options.target import key_argument, output_option, tell_of_unknown_shards
from itemtrail.output.answer import Answer, chosen_form, give, tell
from itemtrail.output.dry_run import dry_run, show_plan
from itemtrail.output.progress import Waiting
from itemtrail.records import kinds as record_kinds
from itemtrail.records import recovery as operation_records
from itemtrail.tables import cells
from itemtrail.tables import recovery as plan_tables
from itemtrail.tables.cells import closing
from operations.deployed_tables import DeployedTables
from operations.execution.rate import Rate
from operations.recovery import restore_items as restoring
from operations.recovery import restore_table as table_restoring
from operations.recovery.restore_items import ItemPlan, ItemResult, Restored
from operations.recovery.restore_table import TableRestored
from reports.inputs.keys import KeySchema, key_text
from stream_core.attribute_values import Item


@click.command(short_help="Items, or a whole table, back to an instant.")
@key_argument(required=False)
@keys_file_option
@click.option("--at", type=TimeType(), required=True, help="The instant, e.g. 2026-01-31T18:46Z.")
@click.option(
    "--into",
    "new_table",
    metavar="TABLE",
    help="Restore the whole table, into this new one; the source is only read.",
)
@click.option(
    "--key-attribute",
    "key_attributes",
    metavar="NAME:TYPE",
    multiple=True,
    help="With --into, where the source is gone: its key, e.g. Id:N; the partition key first.",
)
@click.option(
    "--allow-uncertain", is_flag=True, help="Also where it is not certain what an item was."
)
@rate_option
@apply_option
@source_target_options
@output_option
def restore(  # noqa: PLR0913 - an option each
    *,
    key: tuple[str, ...],
    keys_file: TextIO | None,
    at: datetime,
    new_table: str | None,
    key_attributes: tuple[str, ...],
    rate: float | None,
    output: str | None,
    target: OperationTarget,
    allow_uncertain: bool,
    apply: bool,
) -> int:
    """Bring items, or with --into the whole table, back to what they were at an instant.

    Shows first what would become different. A dry run unless --apply; then an item is written only
    if it still is what was shown. Exits with 1 if one is not, if it is not certain what it was, or
    if it could not be written. Changes stamped at the instant are included.

    \b
    Example:
      itemtrail restore 42 --at 2026-03-03T18:40Z --stack employee-trail
      itemtrail restore 42 --at 2026-03-03T18:40Z --stack employee-trail --apply
      itemtrail restore --keys-file keys.txt --at 2026-03-03T18:40Z --stack employee-trail \\
        --output jsonl
      itemtrail restore --into Employee-march --at 2026-03-03T18:40Z --stack employee-trail --apply
    """  # noqa: D301
    require_one_way(key, keys_file)
    if (new_table is not None) == bool(key or keys_file):
        raise click.UsageError(
            "restore what? give just one of KEY, --keys-file, and --into for the whole table",
            click.get_current_context(),
        )
    if allow_uncertain and new_table is not None:
        raise click.UsageError(
            "--allow-uncertain is for items: with --into all is restored, and what is not certain "
            "is listed",
            click.get_current_context(),
        )
    schema = _schema(key_attributes, new_table)
    form, (deployment, _) = chosen_form(output), target.find()
    order = _Order(deployment, at, form, Rate(rate), apply)
    if new_table is not None:
        return order.whole_table(new_table, schema)
    keys = given_keys(deployment.reader.key_schema, key, keys_file) or []
    return order.items(keys, allow_uncertain=allow_uncertain)


def _schema(given: tuple[str, ...], new_table: str | None) -> KeySchema | None:
    if not given:
        return None
    if new_table is None:
        raise click.UsageError("--key-attribute is for --into", click.get_current_context())
    types = dict(one.rpartition(":")[::2] for one in given)
    if "" in types or not set(types.values()) <= {"S", "N", "B"} or len(types) > 2:  # noqa: PLR2004
        raise click.UsageError(
            f"'{' '.join(given)}' is no key: write e.g. --key-attribute Id:N, and a second one for "
            "the sort key; types are S, N and B",
            click.get_current_context(),
        )
    return KeySchema(types)


@dataclass(frozen=True)
class _Order:
    """What was asked for."""

    deployment: DeployedTables
    at: datetime
    form: str
    rate: Rate
    apply: bool

    def items(self, keys: list[Item], *, allow_uncertain: bool) -> int:
        """Restore items; returns the exit status."""
        with Waiting() as waiting:
            plans = restoring.plan_restore(
                self.deployment, keys, self.at, allow_uncertain=allow_uncertain, progress=waiting
            )
        restored = Restored(
            False, tuple(ItemResult(one, reason=one.refusal or "") for one in plans)
        )
        if self.apply:
            restored = self._carried_out(plans, restored)
        summary = _summary(restored)
        title = f"{_subject(restored)} back to {cells.when(self.at)} UTC"
        good = restored.applied and restored.is_clean
        answer = Answer(
            record_kinds.RESTORE,
            operation_records.restored(restored, self.at),
            plan_tables.restore_blocks(restored, title, closing(summary, good=good)),
        )
        give(answer, self.form)
        self._tell(summary)
        return 0 if restored.is_clean else FINDINGS

    def whole_table(self, new_table: str, schema: KeySchema | None) -> int:
        """Restore the whole table; returns the exit status."""
        if self.deployment.time_shards is None:
            tell_of_unknown_shards()
        with Waiting() as waiting:
            found = table_restoring.restore_table(
                self.deployment,
                self.at,
                new_table,
                apply=self.apply,
                key_schema=schema,
                rate=self.rate,
                progress=waiting,
            )
        summary = _table_summary(found)
        title = (
            f"{self.deployment.source_table} as of {cells.when(self.at)} UTC into {found.new_table}"
        )
        good = found.applied and found.is_clean
        answer = Answer(
            record_kinds.TABLE_RESTORE_LINE,
            operation_records.table_restore_lines(found),
            plan_tables.table_restore_blocks(found, title, closing(summary, good=good)),
            lambda: operation_records.table_restore(found, self.at),
        )
        give(answer, self.form)
        self._tell(summary)
        return 0 if found.is_clean else FINDINGS

    def _carried_out(self, plans: list[ItemPlan], planned: Restored) -> Restored:
        if self.form == "table":
            title = f"Plan: {_subject(planned)} back to {cells.when(self.at)} UTC"
            show_plan(plan_tables.restore_blocks(planned, title))
        with Waiting() as waiting:
            return restoring.carry_out(self.deployment, plans, rate=self.rate, progress=waiting)

    def _tell(self, summary: str) -> None:
        if self.form != "table":
            tell(summary)


def _subject(of: Restored) -> str:
    if len(of.items) == 1:
        return key_text(of.items[0].plan.keys)
    return cells.count_of(len(of.items), "item")


def _summary(of: Restored) -> str:
    outcomes = [operation_records.restore_outcome(one) for one in of.items]
    return outcome_summary(outcomes, applied=of.applied)


def outcome_summary(outcomes: list[str], *, applied: bool) -> str:
    """How many items came to what."""
    others = [
        f"{outcomes.count(one):,} {one}"
        for one in dict.fromkeys(sorted(outcomes))
        if one not in ("planned", "written")
    ]
    if applied:
        written = f"{cells.count_of(outcomes.count('written'), 'item')} written"
        return ", ".join([written, *others])
    items = cells.count_of(outcomes.count("planned"), "item")
    return ", ".join([dry_run(f"{items} would be written"), *others])


def _table_summary(of: TableRestored) -> str:
    items = cells.count_of(of.items, "item")
    weak = of.uncertain.total()
    problems = [
        f"{number:,} {what}"
        for number, what in ((len(of.unwritten), "not taken"), (weak, "uncertain"))
        if number
    ]
    text = (
        f"{items} in {of.new_table}"
        if of.applied
        else dry_run(f"{items} would be in {of.new_table}")
    )
    return ", ".join([text, *problems])
