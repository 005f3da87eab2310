"""Writing what a history says of itself: control rows, each once."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from more_itertools import chunked

from operations.errors import OperationError
from operations.execution.request import answer_to, codes_text
from stream_core.attribute_values import Item
from stream_core.control_row import ControlRow
from stream_core.errors import IntegrityError
from stream_core.history_row import DIGEST, ID, SORT_KEY
from stream_core.retry import Patience, Retry, classify_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import BatchStatementRequestTypeDef

MOST_STATEMENTS = 25
"""Of one call, by the API reference of BatchExecuteStatement."""
_DUPLICATE = frozenset({"DuplicateItem", "DuplicateItemException"})


def write_control_row(
    dynamodb: "DynamoDBClient", history_table: str, row: ControlRow, patience: Patience
) -> None:
    """Insert a control row; harmless to repeat.

    Raises:
        IntegrityError: there is another one in its place.
        OperationError: the history does not answer; go on later.
        ClientError: it is refused.
    """
    write_control_rows(dynamodb, history_table, [row], patience)


def write_control_rows(
    dynamodb: "DynamoDBClient", history_table: str, rows: Iterable[ControlRow], patience: Patience
) -> None:
    """Insert control rows, 25 a call; harmless to repeat.

    Raises:
        IntegrityError: there is another one in the place of one of them.
        OperationError: the history does not answer; go on later.
        ClientError: one is refused.
    """
    for some in chunked(rows, MOST_STATEMENTS):
        for row in insert_control_rows(dynamodb, history_table, some, patience):
            stored = stored_control_row(dynamodb, history_table, row, patience)
            if stored.get(DIGEST) != row.to_item()[DIGEST]:
                raise IntegrityError(
                    f"'{history_table}' has another control row {row.sort_key}: verify says "
                    "whether it was altered"
                )


def insert_control_rows(
    dynamodb: "DynamoDBClient", history_table: str, rows: Sequence[ControlRow], patience: Patience
) -> list[ControlRow]:
    """Insert at most 25 control rows; returns those in whose place there is one already.

    Raises:
        OperationError: the history does not answer; go on later.
        ClientError: one is refused.
    """
    there: list[ControlRow] = []
    errors: set[str] = set()

    def attempt(pending: list[ControlRow]) -> list[ControlRow]:
        throttled: list[ControlRow] = []
        statements = [_insert(history_table, row.to_item()) for row in pending]
        answer = answer_to(
            lambda: dynamodb.batch_execute_statement(Statements=statements),
            patience,
            history_table,
        )
        for row, response in zip(pending, answer["Responses"], strict=True):
            problem = response.get("Error")
            if problem is None:
                continue
            code, message = problem.get("Code", "Unnamed"), problem.get("Message", "")
            if code in _DUPLICATE:
                there.append(row)
            elif classify_code(code, message) is Retry.TRANSIENT:
                errors.add(code)
                throttled.append(row)
            else:
                # As if the call had been refused.
                raise ClientError(
                    {"Error": {"Code": code, "Message": message}}, "BatchExecuteStatement"
                )
        return throttled

    if patience.work_off(list(rows), attempt):
        raise OperationError(
            f"'{history_table}' does not answer ({codes_text(errors)}): try again later, or slower"
        )
    return there


def stored_control_row(
    dynamodb: "DynamoDBClient", history_table: str, row: ControlRow, patience: Patience
) -> Item:
    """What is stored in the place of a control row; nothing, if nothing is.

    Raises:
        OperationError: the history does not answer; go on later.
        ClientError: it may not be read.
    """
    item = row.to_item()
    key = {ID: item[ID], SORT_KEY: item[SORT_KEY]}
    answer = answer_to(
        lambda: dynamodb.get_item(TableName=history_table, Key=key, ConsistentRead=True),
        patience,
        history_table,
    )
    return answer.get("Item", {})


def _insert(history_table: str, item: Item) -> "BatchStatementRequestTypeDef":
    fields = ", ".join(f"'{name}': ?" for name in item)
    return {
        "Statement": f'INSERT INTO "{history_table}" VALUE {{{fields}}}',
        "Parameters": list(item.values()),
    }
