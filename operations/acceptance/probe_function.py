"""The code of the temporary function: makes one call with its role's rights, or fails on purpose.

It is sent to Lambda as it stands here, alone: it imports nothing of ours.
"""

from typing import Any

import boto3
from botocore.exceptions import ClientError


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Make the call that the event names; a batch of stream records fails.

    Raises:
        RuntimeError: the event is a batch.
    """
    if "Records" in event:
        raise RuntimeError("itemtrail accept: this batch fails on purpose")
    client: Any = boto3.client(event["service"])
    try:
        answer = getattr(client, event["operation"])(**event["parameters"])
    except ClientError as error:
        return {"code": error.response["Error"]["Code"], "request": _request(error.response)}
    problems = [entry["Error"] for entry in _statements(answer) if "Error" in entry]
    return {"code": problems[0]["Code"] if problems else None, "request": _request(answer)}


def _statements(answer: Any) -> list[Any]:
    responses = answer.get("Responses")
    return responses if isinstance(responses, list) else []


def _request(answer: Any) -> str:
    return str(answer["ResponseMetadata"].get("RequestId", "unknown"))
