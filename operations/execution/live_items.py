"""Items of a table as they are, a hundred a call."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from operations.errors import NoAnswerError
from operations.execution.request import answer_to
from stream_core.attribute_values import Item
from stream_core.item_id import item_id
from stream_core.retry import Patience

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Ask = Callable[[Callable[[], Any]], Any]
"""Makes a request once, and gives its answer."""


def live_items(
    client: "DynamoDBClient",
    table: str,
    keys: Sequence[Item],
    patience: Patience,
    ask: Ask = lambda request: request(),
) -> dict[str, Item]:
    """Items that are there, by id, read consistently.

    Args:
        client: reads them.
        table: the table's name.
        keys: at most 100 keys, each once.
        patience: how long to go on asking for what is throttled.
        ask: makes each request; by default nothing is done beside that.

    Raises:
        NoAnswerError: not all of them were answered for before patience ran out.
        ClientError, BotoCoreError: the table may not be read, or refuses the keys.
    """
    images: dict[str, Item] = {}

    def attempt(wanted: list[Item]) -> list[Item]:
        request: Any = {table: {"Keys": wanted, "ConsistentRead": True}}
        answer = answer_to(
            lambda: ask(lambda: client.batch_get_item(RequestItems=request)), patience, table
        )
        for image in answer["Responses"].get(table, []):
            images[item_id({name: image[name] for name in keys[0]})] = image
        unprocessed: Any = answer.get("UnprocessedKeys", {}).get(table, {"Keys": []})
        return list(unprocessed["Keys"])

    if patience.work_off(list(keys), attempt):
        raise NoAnswerError(
            f"'{table}' does not answer (UnprocessedKeys): try again later, or slower"
        )
    return images
