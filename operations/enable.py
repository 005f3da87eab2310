"""Turn on a table's stream with both images, where that does no harm."""

from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError

from operations.control_rows import write_control_row
from operations.errors import OperationError, RefusedError
from operations.execution.pace import Pace
from reports.access.clients import dynamodb_client
from reports.access.table_description import TableDescription, describe, require_history
from stream_core.change import VIEW_TYPE
from stream_core.control_row import TableLife
from stream_core.retry import Retry, classify, error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PATIENCE_S = 300.0
# Another caller is changing the table.
_BUSY = frozenset({"ResourceInUseException", "LimitExceededException"})


@dataclass(frozen=True)
class Stream:
    """The stream of a table.

    Attributes:
        arn: what to deploy with; None: there is no stream yet.
        recorded: whether a history was given that knows the stream now.
        was_on: whether it was on before, with both images.
        applied: whether it was turned on now.
    """

    table: str
    arn: str | None
    was_on: bool
    applied: bool
    recorded: bool = False


def enable(  # noqa: PLR0913 - what people may choose
    session: boto3.Session,
    endpoint_url: str | None,
    table: str,
    *,
    history_table: str | None = None,
    apply: bool = False,
    pace: Pace,
) -> Stream:
    """Turn a table's stream on, with old and new images, unless it is so already.

    Args:
        session: credentials and region.
        endpoint_url: another endpoint than AWS.
        table: the table's name.
        history_table: its history, where there is one already: it is told that the stream belongs
            to this very table, so that a stream that was off is told from a table made anew.
        apply: do it; otherwise only say what would be done.
        pace: how long to wait until the table is ready before and after.

    Raises:
        RefusedError: the stream is on with another view type, which cannot be changed.
        OperationError: the table was not ready in time.
        TableNotFoundError: there is no such table.
    """
    with closing(dynamodb_client(session, endpoint_url)) as dynamodb:
        switch = _Switch(dynamodb, table, pace)
        described = switch.describe()
        stream = Stream(table, None, was_on=False, applied=False)
        if described.has_stream:
            _require_both_images(described)
            stream = Stream(table, described.stream_arn, was_on=True, applied=False)
        elif apply:
            stream = switch.turn_on()
        if apply and history_table is not None:
            _record(dynamodb, history_table, switch.describe(), pace)
            stream = replace(stream, recorded=True)
        return stream


@dataclass(frozen=True)
class _Switch:
    dynamodb: "DynamoDBClient"
    table: str
    pace: Pace

    def describe(self) -> TableDescription:
        """The table as it is."""
        return describe(self.dynamodb, self.table)

    def turn_on(self) -> Stream:
        """Have the stream on and the table ready."""
        is_asked = False

        def attempt(pending: list[None]) -> list[None]:
            nonlocal is_asked
            described = self.describe()
            if described.status != "ACTIVE":
                return pending
            if described.has_stream:
                return []
            # Asked twice it is refused; asked once it is at work, though it may not show at once.
            is_asked = is_asked or self._ask()
            return pending

        if self.pace.patience(PATIENCE_S).work_off([None], attempt):
            raise OperationError(
                f"table '{self.table}' was not ready within {self.pace.wait_s(PATIENCE_S):.0f} "
                "seconds: run this again"
            )
        described = self.describe()
        # Another caller may have been faster, and have chosen otherwise.
        _require_both_images(described)
        return Stream(self.table, described.stream_arn, was_on=False, applied=is_asked)

    def _ask(self) -> bool:
        """Turn the stream on; False: the table is busy."""
        try:
            self.dynamodb.update_table(
                TableName=self.table,
                StreamSpecification={"StreamEnabled": True, "StreamViewType": VIEW_TYPE},
            )
        except ClientError as error:
            is_busy = error_code(error) in _BUSY or classify(error) is Retry.TRANSIENT
            # Refused as well when another caller has just done it.
            if not is_busy and not self.describe().has_stream:
                raise
            return False
        return True


def _record(
    dynamodb: "DynamoDBClient", history_table: str, table: TableDescription, pace: Pace
) -> None:
    require_history(describe(dynamodb, history_table))
    life = TableLife(table.stream_arn or "", table.table_id, table.created_at)
    write_control_row(dynamodb, history_table, life, pace.patience())


def _require_both_images(table: TableDescription) -> None:
    if table.view_type != VIEW_TYPE:
        raise RefusedError(
            f"the stream of table '{table.name}' is on with {table.view_type}, which cannot be "
            "changed. Its readers need to know first: to disable it ends it for all its "
            "consumers, with what they have not read yet; a new one has another ARN, and begins "
            "with the next change. Then: aws dynamodb update-table --table-name "
            f"{table.name} --stream-specification StreamEnabled=false, enable it here, "
            "and deploy every consumer with the new ARN"
        )
