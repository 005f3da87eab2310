"""What failures leave behind: invocation records as Lambda writes them, and a stream of shards."""

from dataclasses import dataclass, field

from operations.redrive.objects import StreamRange
from tests.factories import NOON, STREAM_ARN, api_record, item, number
from tests.fakes import client_error

FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:trail-history-writer"
PLACE = StreamRange(
    STREAM_ARN,
    "shardId-00000001573689847184-864758bb",
    "800000000003126276362",
    "800000000003126276399",
    4,
)
TRIMMED = client_error("TrimmedDataAccessException")
GONE = client_error("ResourceNotFoundException")
# The API reference wants "a stream record in the shard", and does not say what else is answered.
NO_SUCH_NUMBER = client_error("ValidationException")


def invocation(payload=None, place=PLACE, function=FUNCTION):
    """Lambda's invocation record; with a payload as S3 gets it, without as a queue does.

    Source: Lambda Developer Guide, "Retain discarded records for a DynamoDB event source".
    """
    document = {
        "requestContext": {
            "requestId": "316aa6d0-8154-xmpl-9af7-85d5f4a6bc81",
            "functionArn": function,
            "condition": "RecordAgeExceeded",
            "approximateInvokeCount": 1,
        },
        "responseContext": {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": "Unhandled",
        },
        "version": "1.0",
        "timestamp": "2019-11-14T00:13:49.717Z",
        "DDBStreamBatchInfo": {
            "shardId": place.shard_id,
            "startSequenceNumber": place.start,
            "endSequenceNumber": place.end,
            "approximateArrivalOfFirstRecord": "2019-11-14T00:13:19Z",
            "approximateArrivalOfLastRecord": "2019-11-14T00:13:19Z",
            "batchSize": place.batch_size,
            "streamArn": place.stream_arn,
        },
    }
    return document if payload is None else {**document, "payload": payload}


@dataclass
class Shard:
    """One shard: sequence numbers, how many of them have expired, and when some were made."""

    sequences: list
    parent: str | None = None
    closed: bool = True
    trimmed: int = 0
    empty_pages: int = 0
    made_at: dict = field(default_factory=dict)


@dataclass
class FakeStreams:
    """A stream of shards; iterators are their name and place, and errors come as scripted."""

    shards: dict
    page: int = 2
    script: list = field(default_factory=list)
    calls: list = field(default_factory=list)

    def get_shard_iterator(self, **request):
        self._note("get_shard_iterator", request)
        shard = self._shard(request["ShardId"])
        kind = request["ShardIteratorType"]
        if kind == "TRIM_HORIZON":
            return {"ShardIterator": (request["ShardId"], shard.trimmed)}
        if int(request["SequenceNumber"]) not in shard.sequences:
            raise NO_SUCH_NUMBER
        place = shard.sequences.index(int(request["SequenceNumber"]))
        place += kind == "AFTER_SEQUENCE_NUMBER"
        if place < shard.trimmed:
            raise TRIMMED
        return {"ShardIterator": (request["ShardId"], place)}

    def get_records(self, **request):
        self._note("get_records", request)
        assert request["Limit"] == 1000
        name, place = request["ShardIterator"]
        shard = self._shard(name)
        if place < shard.trimmed:
            raise TRIMMED
        if shard.empty_pages:
            shard.empty_pages -= 1
            return {"Records": [], "NextShardIterator": (name, place)}
        end = min(place + self.page, len(shard.sequences))
        records = [
            api_record(
                None,
                item(str(sequence), Version=number(sequence)),
                sequence=sequence,
                at=shard.made_at.get(sequence, NOON),
            )
            for sequence in shard.sequences[place:end]
        ]
        if shard.closed and end == len(shard.sequences):
            return {"Records": records}
        return {"Records": records, "NextShardIterator": (name, end)}

    def describe_stream(self, **request):
        self._note("describe_stream", request)
        names = list(self.shards)
        start = names.index(request["ExclusiveStartShardId"]) + 1 if len(request) > 1 else 0
        page = names[start : start + 2]
        description = {
            "Shards": [
                {"ShardId": name, "SequenceNumberRange": self._range(self.shards[name])}
                | ({"ParentShardId": self.shards[name].parent} if self.shards[name].parent else {})
                for name in page
            ]
        }
        if start + 2 < len(names):
            description["LastEvaluatedShardId"] = page[-1]
        return {"StreamDescription": description}

    def _range(self, shard):
        return {"EndingSequenceNumber": "9" * 22} if shard.closed else {}

    def _shard(self, name):
        if name not in self.shards:
            raise GONE
        return self.shards[name]

    def _note(self, operation, request):
        assert request.get("StreamArn", STREAM_ARN) == STREAM_ARN
        self.calls.append(operation)
        if self.script:
            entry = self.script.pop(0)
            if callable(entry):
                entry(self)
            elif entry is not None:
                raise entry
