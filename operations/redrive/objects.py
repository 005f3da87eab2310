"""What was kept aside when records failed, read from the objects and messages it is in. Pure.

A consumer's quarantined record, the invocation record that Lambda puts into a bucket (the batch in
its `payload`, as a text or as an object), and the one it sends to a queue or a topic (where the
batch was in the stream, and no record of it), also inside of the messages those come in.

Source: Lambda Developer Guide, "Retain discarded records for a DynamoDB event source".
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from operations.errors import OperationError
from reports.deployment.stack import Consumer
from reports.deployment.stack_reader import FAILED_BATCHES
from stream_core.change import StreamRecord

_QUARANTINE_FORMAT = 1
_BATCH_INFO = "DDBStreamBatchInfo"


class UnreadableObjectError(OperationError):
    """An object or a file holds nothing that could be redriven; the message quotes none of it."""


@dataclass(frozen=True, slots=True)
class StreamRange:
    """Where a batch was in its stream, which keeps it for 24 hours.

    Attributes:
        start: sequence number of the first record.
        end: sequence number of the last record.
        batch_size: how many records the batch had, where that is known. The shard may hold more
            in between: with a parallelization factor a batch takes only some items' records.
    """

    stream_arn: str
    shard_id: str
    start: str
    end: str
    batch_size: int | None


@dataclass(frozen=True, slots=True)
class FailedBatch:
    """Records that failed together, or where they were.

    Attributes:
        place: given where the records are not.
        function: ARN of the Lambda function that they failed in, None where that is not said.
        short_by: how many records the batch had that are not here.
    """

    records: tuple[StreamRecord, ...] = ()
    place: StreamRange | None = None
    function: str | None = None
    short_by: int = 0


def read_batches(body: bytes) -> list[FailedBatch]:
    """Everything that an object or a file holds: one JSON document, or one in each line.

    Raises:
        UnreadableObjectError: it is none of the forms that are known.
    """
    batches = [batch for document in _documents(body) for batch in _batches(document)]
    if not batches:
        raise UnreadableObjectError("there is nothing in it")
    return batches


def owners_of(key: str, function: str | None, names: Mapping[str, Consumer]) -> frozenset[Consumer]:
    """Whose records they are; both consumers', where that is not known.

    Both take any record of the stream any number of times, so one too many does no harm.

    Args:
        key: the object's key.
        function: ARN of the function that failed.
        names: consumers by the UUIDs of their mappings and the names of their functions.
    """
    for consumer in Consumer:
        if key.startswith(consumer.quarantine):
            return frozenset({consumer})
    mapping = key.removeprefix(FAILED_BATCHES).partition("/")[0] if _is_batch(key) else ""
    owner = names.get(mapping) or names.get(_function_name(function))
    return frozenset({owner} if owner else Consumer)


def _is_batch(key: str) -> bool:
    return key.startswith(FAILED_BATCHES)


def _function_name(arn: str | None) -> str:
    # arn:aws:lambda:eu-west-1:123456789012:function:NAME, sometimes with a version behind it.
    parts = (arn or "").split(":")
    return parts[6] if len(parts) > 6 else ""  # noqa: PLR2004 - the place of the name


def _documents(body: bytes) -> list[Any]:
    try:
        text = body.decode("utf-8-sig")
        try:
            return [json.loads(text)]
        except ValueError:
            # Not by splitlines: texts may hold other separators than the line feed.
            return [json.loads(line) for line in text.split("\n") if line.strip()]
    except (ValueError, RecursionError):
        raise UnreadableObjectError("it is not JSON") from None


def _batches(document: Any) -> Iterator[FailedBatch]:
    match document:
        case {"Record": record, "Format": layout}:
            if layout != _QUARANTINE_FORMAT:
                raise UnreadableObjectError("a quarantined record of a format that is not known")
            yield FailedBatch((record,))
        case {"payload": payload} if payload is not None:
            yield _batch(document, payload)
        case {"DDBStreamBatchInfo": dict(info)}:
            yield FailedBatch(place=_place(info), function=_function_of(document))
        case {"Records": list(records)} if not any(map(_text_within, records)):
            yield FailedBatch(tuple(records))
        case {"Records": list(documents)} | {"Messages": list(documents)} | list(documents):
            for inner in documents:
                yield from _batches(inner)
        case _:
            yield from _within(document)


def _within(document: Any) -> Iterator[FailedBatch]:
    """What a message of a queue or a topic carries."""
    text = _text_within(document)
    if text is None:
        raise UnreadableObjectError(
            "it is neither a quarantined record nor an invocation record of Lambda"
        )
    for inner in _documents(text.encode("utf-8", "surrogatepass")):
        yield from _batches(inner)


def _text_within(document: Any) -> str | None:
    match document:
        case {"body": str(text)} | {"Body": str(text)} | {"Message": str(text)}:
            return text
        case {"Sns": {"Message": str(text)}}:
            return text
    return None


def _batch(document: Mapping[str, Any], payload: Any) -> FailedBatch:
    event = (
        _documents(payload.encode("utf-8", "surrogatepass"))[0] if _is_text(payload) else payload
    )
    match event:
        case {"Records": list(records)} if records:
            expected = _batch_size(document.get(_BATCH_INFO)) or 0
            return FailedBatch(
                tuple(records),
                function=_function_of(document),
                short_by=max(0, expected - len(records)),
            )
    raise UnreadableObjectError("its payload is not a batch of stream records")


def _is_text(payload: Any) -> bool:
    return isinstance(payload, str)


def _place(info: Mapping[str, Any]) -> StreamRange:
    stream_arn, shard_id = info.get("streamArn"), info.get("shardId")
    start, end = info.get("startSequenceNumber"), info.get("endSequenceNumber")
    match stream_arn, shard_id, start, end:
        case str(), str(), str(), str() if _is_number(start) and _is_number(end):
            return StreamRange(stream_arn, shard_id, start, end, _batch_size(info))
    raise UnreadableObjectError(
        "it does not say where its batch was: streamArn, shardId, startSequenceNumber and "
        "endSequenceNumber are needed"
    )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _batch_size(info: Any) -> int | None:
    size = info.get("batchSize") if isinstance(info, dict) else None
    return size if isinstance(size, int) and not isinstance(size, bool) else None


def _function_of(document: Mapping[str, Any]) -> str | None:
    match document.get("requestContext"):
        case {"functionArn": str(arn)}:
            return arn
    return None
