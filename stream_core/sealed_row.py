"""What all control rows have in common, whatever they say; see `control_row`."""

from typing import Final

from stream_core.attribute_values import Item, digest
from stream_core.history_row import DIGEST, FORMAT, ID, SORT_KEY
from stream_core.item_id import CONTROL_ID

UNSEALED: Final = (DIGEST, "Format")
"""What their digest leaves out."""
_EVENT = "CONTROL"


def sealed_item(sort_key: str, stream_arn: str, content: Item) -> Item:
    """The item of a control row, with its digest.

    Args:
        sort_key: its place.
        stream_arn: the stream of the table that it is about, or the ARN of that table.
        content: what it says.
    """
    sealed: Item = {
        ID: {"S": CONTROL_ID},
        SORT_KEY: {"S": sort_key},
        "EventName": {"S": _EVENT},
        "EventSourceARN": {"S": stream_arn},
        "NewImage": {"M": content},
    }
    return {**sealed, DIGEST: {"B": digest(sealed)}, "Format": {"N": FORMAT}}
