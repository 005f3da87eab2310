"""For which table a plan was made, and whether that is the one it would be carried out on."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from operations.deployed_tables import DeployedTables
from operations.errors import RefusedError
from operations.execution.pace import Pace
from operations.execution.plan_file import Plan, PlanHeader, PlanTable
from reports.access.table_description import TableDescription, describe
from reports.errors import TableNotFoundError
from reports.states.watermark import Watermark

_MOST_REASONS, _OTHER_REASONS = 20, "other reasons"


@dataclass(frozen=True)
class PlanMaker:
    """Who makes plans, and with what.

    Attributes:
        who: who is at work, as AWS or the machine knows it.
        tool: name and version of the program.
    """

    who: str
    tool: str

    def header(
        self,
        deployment: DeployedTables,
        command: str,
        arguments: Mapping[str, Any],
        table: TableDescription,
        pace: Pace,
    ) -> PlanHeader:
        """The header of a plan.

        Args:
            deployment: the source table and its history.
            command: the command that makes it.
            arguments: what was asked for, with times resolved.
            table: the table that it writes to.
            pace: says what time it is.

        Raises:
            TableNotFoundError: there is no such table.
        """
        history, watermark = None, None
        if deployment.history_table is not None:
            history = _name_of(deployment, deployment.history_table)
            watermark = deployment.reader.watermark
        return PlanHeader(
            command,
            arguments,
            PlanTable(table.arn, table.table_id, table.created_at),
            history,
            _stream_of(deployment),
            watermark.at if isinstance(watermark, Watermark) else None,
            pace.machine.now(),
            self.who,
            self.tool,
        )


def require_fit(
    plan: Plan, command: str, table: TableDescription | None, deployment: DeployedTables
) -> None:
    """See that a plan is a command's own, and for the tables as they are now.

    Args:
        plan: what is to be carried out.
        command: the command that is to do it.
        table: the table that it would write to; None: it was only to be read, and is gone.
        deployment: the source table and its history.

    Raises:
        RefusedError: it is another command's, for another table, be it one of the same name, rests
            on another history, or the source has another stream by now.
    """
    header = plan.header
    if header.command != command:
        raise RefusedError(
            f"the plan is of itemtrail {header.command}, not of {command}: give it to that command"
        )
    _require_same_history(header, deployment)
    if table is None:
        return
    require_same_table(header.table.arn, header.table.table_id, table)
    if header.stream_arn != _stream_of(deployment):
        raise RefusedError(
            f"the stream of '{deployment.source_table}' was switched since the plan was made, and "
            "what was written in between may be in no history: make the plan anew"
        )


def require_same_table(arn: str, table_id: str, table: TableDescription) -> None:
    """See that a table is the one of a plan.

    Raises:
        RefusedError: it is another one, be it of the same name.
    """
    if arn != table.arn:
        raise RefusedError(f"the plan is for {arn}, not for {table.arn or table.name}")
    if table_id != table.table_id:
        raise RefusedError(
            f"the plan is for an older table of the name '{table.name}', which was deleted: make "
            "the plan anew"
        )


def _require_same_history(header: PlanHeader, deployment: DeployedTables) -> None:
    """See that a plan rests on the history that is named; a repair may do without one."""
    if header.history is None or deployment.history_table is None:
        return
    history = _name_of(deployment, deployment.history_table)
    if header.history != history:
        raise RefusedError(f"the plan rests on the history {header.history}, not on {history}")


def _stream_of(deployment: DeployedTables) -> str | None:
    """The stream of the source; None: it never had one, or is gone."""
    try:
        return describe(deployment.dynamodb, deployment.source_table).stream_arn
    except TableNotFoundError:
        return None


def _name_of(deployment: DeployedTables, table: str) -> str:
    """The name of a table that no other one has, where the engine gives it."""
    described = describe(deployment.dynamodb, table)
    return described.arn or described.name


def by_reason(unplanned: Iterable[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """Counts by what it is and why; of more reasons than a person reads, the most frequent ones."""
    counts: dict[str, Counter[str]] = {}
    for name, reason in unplanned:
        counts.setdefault(name, Counter())[reason] += 1
    return {name: _most_frequent(reasons) for name, reasons in counts.items()}


def _most_frequent(reasons: Counter[str]) -> dict[str, int]:
    frequent = dict(reasons.most_common(_MOST_REASONS))
    remaining = reasons.total() - sum(frequent.values())
    return frequent | ({_OTHER_REASONS: remaining} if remaining else {})


def unplanned_lines(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """What a plan leaves out, in words: a line a reason."""
    return [
        f"{number:,} {name}: {reason}"
        for name, reasons in counts.items()
        for reason, number in reasons.items()
    ]
