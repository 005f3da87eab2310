"""Saying in the history that rows come late because they are redriven.

A row that is written long after its own time is what a forger leaves; a redrive announces itself,
so that a dataset's check can tell whose rows those are.
"""

import json
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from operations.control_rows import write_control_row
from operations.errors import OperationError
from operations.execution.pace import Pace
from stream_core.control_row import REDRIVE, REDRIVE_LASTS, RunRow

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@dataclass
class Announcement:
    """Run rows of one redrive; a new one wherever the last might not cover what is written next.

    Attributes:
        who: who redrives, by the name that a plan's run has.
    """

    dynamodb: "DynamoDBClient"
    history_table: str
    who: str
    pace: Pace
    _run: str = field(default_factory=lambda: secrets.token_hex(8))
    _announced: list[datetime] = field(default_factory=list)

    def make(self, stream_arn: str) -> None:
        """Announce what is written within the next half hour, unless that is announced.

        Where the history refuses it, records are brought back nevertheless: rows that nothing
        explains are found by the check, and what is lost is worse.

        Args:
            stream_arn: the stream of the records.
        """
        now = self.pace.machine.now()
        if self._announced and now - self._announced[-1] < REDRIVE_LASTS / 2:
            return
        row = RunRow(
            f"{REDRIVE}-{self._run}-{len(self._announced) + 1}",
            REDRIVE,
            json.dumps({}),
            plan_digest="",
            who=self.who,
            tool=f"itemtrail {version('itemtrail')}",
            stream_arn=stream_arn,
            table_id="",
            started=now,
        )
        with suppress(OperationError, ClientError, BotoCoreError):
            write_control_row(self.dynamodb, self.history_table, row, self.pace.patience())
            self._announced.append(now)
