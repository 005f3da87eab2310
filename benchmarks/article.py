"""What a user would otherwise do: the article's handler, moved to Python 3, record by record.

`replicate` is its replica; `append` writes its history with one conditional put a record.
"""

from typing import Any

from boto3.dynamodb.types import TypeDeserializer

_deserialize = TypeDeserializer().deserialize


def _python(image: dict[str, Any]) -> dict[str, Any]:
    return {name: _deserialize(value) for name, value in image.items()}


def replicate(event: dict[str, Any], table: Any) -> None:
    """Put or delete each item."""
    for record in event["Records"]:
        if record["eventName"] == "REMOVE":
            table.delete_item(Key=_python(record["dynamodb"]["Keys"]))
        else:
            table.put_item(Item=_python(record["dynamodb"]["NewImage"]))


def append(event: dict[str, Any], table: Any) -> None:
    """Put each change as a row, unless there is one."""
    for record in event["Records"]:
        body = record["dynamodb"]
        keys = _python(body["Keys"])
        row = {
            "Id": str(keys["Id"]),
            "ApproximateCreationDateTime": (
                f"{body['ApproximateCreationDateTime']}#{body['SequenceNumber']}"
            ),
            "EventName": record["eventName"],
            "Keys": keys,
        }
        for name in ("OldImage", "NewImage"):
            if name in body:
                row[name] = _python(body[name])
        table.put_item(Item=row, ConditionExpression="attribute_not_exists(Id)")
