"""For which table a plan was made, and whether that is the one it would be carried out on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from operations.deployed_tables import DeployedTables
from operations.errors import RefusedError
from operations.execution.pace import Pace
from operations.execution.plan_file import Plan, PlanHeader, PlanTable
from reports.access.table_description import TableDescription, describe
from reports.states.watermark import Watermark


@dataclass(frozen=True)
class PlanMaker:
    """Who makes plans, and with what.

    Attributes:
        who: the person's name, as the machine knows it.
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
            described = describe(deployment.dynamodb, deployment.history_table)
            history, watermark = described.arn or described.name, deployment.reader.watermark
        source = describe(deployment.dynamodb, deployment.source_table)
        return PlanHeader(
            command,
            arguments,
            PlanTable(table.arn, table.table_id, table.created_at),
            history,
            source.stream_arn,
            watermark.at if isinstance(watermark, Watermark) else None,
            pace.machine.now(),
            self.who,
            self.tool,
        )


def require_fit(plan: Plan, command: str, table: TableDescription) -> None:
    """See that a plan is a command's own, and for a table as it is now.

    Raises:
        RefusedError: it is another command's, or for another table, be it one of the same name.
    """
    header = plan.header
    if header.command != command:
        raise RefusedError(
            f"the plan is of itemtrail {header.command}, not of {command}: give it to that command"
        )
    planned = header.table
    if planned.arn != table.arn:
        raise RefusedError(f"the plan is for {planned.arn}, not for {table.arn or table.name}")
    if planned.table_id != table.table_id:
        raise RefusedError(
            f"the plan is for an older table of the name '{table.name}', which was deleted: make "
            "the plan anew"
        )
