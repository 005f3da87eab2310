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
        pace: Pace,
    ) -> PlanHeader:
        """The header of a plan that writes to the source table.

        Args:
            deployment: the source table and its history.
            command: the command that makes it.
            arguments: what was asked for, with times resolved.
            pace: says what time it is.

        Raises:
            TableNotFoundError: there is no such table.
        """
        source = describe(deployment.dynamodb, deployment.source_table)
        watermark = deployment.reader.watermark
        history = describe(deployment.dynamodb, str(deployment.history_table))
        return PlanHeader(
            command,
            arguments,
            PlanTable(source.arn, source.table_id, source.created_at),
            history.arn or history.name,
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
