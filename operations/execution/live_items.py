"""Items of a table as they are, a hundred a call."""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from more_itertools import chunked

from operations.errors import NoAnswerError
from operations.execution.pace import Pace
from operations.execution.request import answer_to
from reports.access.parallel import in_order
from reports.access.row_reader import MOST_A_CALL
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


def live_of_each(
    client: "DynamoDBClient", table: str, keys: Iterable[Item], pace: Pace
) -> Generator[tuple[Item, Item | None], None, None]:
    """Each key with its item, None where there is none; in the order of the keys, read ahead.

    Args:
        client: reads them.
        table: the table's name.
        keys: the keys, each once.
        pace: how many items a second are read, and how long the table may refuse to answer.

    Raises:
        NoAnswerError: the table does not answer any more.
        ClientError, BotoCoreError: as for `live_items`.
    """

    def read(some: list[Item]) -> list[tuple[Item, Item | None]]:
        pace.rate.take(len(some))
        images = live_items(client, table, some, pace.patience())
        return [(key, images.get(item_id(key))) for key in some]

    with closing(in_order(read, chunked(keys, pace.at_once(MOST_A_CALL)))) as portions:
        for portion in portions:
            yield from portion
