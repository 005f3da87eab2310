"""Writing what a history says of itself: a control row, once."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from operations.execution.request import answer_to
from stream_core.control_row import ControlRow
from stream_core.errors import IntegrityError
from stream_core.history_row import DIGEST, ID, SORT_KEY
from stream_core.retry import Patience

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

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
    item = row.to_item()
    fields = ", ".join(f"'{name}': ?" for name in item)
    statement = f'INSERT INTO "{history_table}" VALUE {{{fields}}}'

    def insert() -> bool:
        answer = dynamodb.batch_execute_statement(
            Statements=[{"Statement": statement, "Parameters": list(item.values())}]
        )
        problem = answer["Responses"][0].get("Error")
        if problem is None or problem.get("Code") in _DUPLICATE:
            return problem is None
        # As if the call had been refused: it holds nothing else.
        code, message = problem.get("Code", "Unnamed"), problem.get("Message", "")
        raise ClientError({"Error": {"Code": code, "Message": message}}, "BatchExecuteStatement")

    if answer_to(insert, patience, history_table):
        return
    key = {ID: item[ID], SORT_KEY: item[SORT_KEY]}
    stored = answer_to(
        lambda: dynamodb.get_item(TableName=history_table, Key=key, ConsistentRead=True),
        patience,
        history_table,
    )
    if stored.get("Item", {}).get(DIGEST) != item[DIGEST]:
        raise IntegrityError(
            f"'{history_table}' has another control row {row.sort_key}: verify says whether it "
            "was altered"
        )
