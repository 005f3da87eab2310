"""Factories: stream records in both shapes, changes, and time that only passes when told to."""

import base64
import json
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

from reports.access.machine import Machine
from reports.states.lives import Lives
from reports.states.watermark import Basis, Watermark
from stream_core.batch import Delivery
from stream_core.change import read_record
from stream_core.control_row import BackfillMark
from stream_core.retry import MARGIN_MS, Patience

TABLE_ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/Employee"
STREAM_ARN = f"{TABLE_ARN}/stream/2018-03-01T10:00:00.000"
NOON = 1520085960.0
"""2018-03-03T14:06:00Z, as Lambda gives it."""
FIRST_SEQUENCE = 100000000003218256368
"""From the Developer Guide's walkthrough of the low-level API: 21 digits."""
RECORDED = Watermark(datetime.max.replace(tzinfo=UTC), Basis.DECLARED, "declared by the test")
"""No change is on its way."""


_EVER = datetime.min.replace(tzinfo=UTC)


def vouched(since=_EVER):
    """What a history says of itself where a backfill began then, whatever the stream."""
    until = datetime.max.replace(tzinfo=UTC)

    class Vouched(Lives):
        def mark(self, stream_arn):
            return BackfillMark(stream_arn, "", since, until, "scan", {}, "run", "itemtrail")

    return Vouched()


COMPLETE = {"watermark": RECORDED, "lives": vouched()}
"""And no item lacks a beginning: so is evidence where nothing else is at stake."""


def complete(reader):
    """A reader of a history of which the same is known."""
    for name, value in COMPLETE.items():
        setattr(reader, name, value)
    return reader


_EVENTS = Path(__file__).parent / "events"


def load_event(name):
    """A stored payload of `tests/events`."""
    return json.loads((_EVENTS / f"{name}.json").read_text("utf-8"))


def text(value):
    return {"S": value}


def number(value):
    return {"N": str(value)}


def item(identifier="1", **attributes):
    """An item whose key is `Id`, in wire form."""
    return {"Id": text(identifier), **attributes}


def lambda_form(value):
    """The same wire values as Lambda writes them into JSON: binary as base64 text."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, dict):
        return {name: lambda_form(member) for name, member in value.items()}
    if isinstance(value, list):
        return [lambda_form(member) for member in value]
    return value


def sets_sorted(value):
    """Wire values with sets in one order, so that `==` means the same item."""
    if isinstance(value, dict):
        return {
            name: sorted(part)
            if name in ("SS", "NS", "BS") and isinstance(part, list)
            else sets_sorted(part)
            for name, part in value.items()
        }
    return [sets_sorted(part) for part in value] if isinstance(value, list) else value


def api_record(  # noqa: PLR0913 - every part of a record can be what a test is about
    old=None,
    new=None,
    *,
    keys=None,
    sequence=FIRST_SEQUENCE,
    at=NOON,
    user_identity=None,
    key_names=("Id",),
):
    """A record as `GetRecords` of boto3 returns it: datetime, bytes, no event source ARN."""
    known = new if new is not None else old
    if keys is None:
        keys = {name: known[name] for name in key_names}
    event_name = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
    images = {"OldImage": old, "NewImage": new}
    record = {
        "eventID": f"event-{sequence}",
        "eventName": event_name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": {
            "ApproximateCreationDateTime": datetime.fromtimestamp(at, UTC),
            "Keys": keys,
            **{name: image for name, image in images.items() if image is not None},
            "SequenceNumber": str(sequence),
            "SizeBytes": 59,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    }
    if user_identity:
        kind, principal = user_identity
        record["userIdentity"] = {"Type": kind, "PrincipalId": principal}
    return deepcopy(record)


def lambda_record(old=None, new=None, **options):
    """The same record as Lambda hands it to a function: what its JSON reads to."""
    record = api_record(old, new, **options)
    body = record["dynamodb"]
    body["ApproximateCreationDateTime"] = body["ApproximateCreationDateTime"].timestamp()
    if "userIdentity" in record:
        identity = record["userIdentity"]
        record["userIdentity"] = {
            "type": identity["Type"],
            "principalId": identity["PrincipalId"],
        }
    record["eventSourceARN"] = STREAM_ARN
    return json.loads(json.dumps(lambda_form(record)))


def without(record, field_name):
    """A record without one field of its `dynamodb` part."""
    poorer = deepcopy(record)
    del poorer["dynamodb"][field_name]
    return poorer


def with_image(record, image, field_name="NewImage"):
    """A record with an image put in as it is, legal or not."""
    changed = deepcopy(record)
    changed["dynamodb"][field_name] = image
    return changed


def change(old=None, new=None, **options):
    """A change, read from a Lambda record."""
    return read_record(lambda_record(old, new, **options))


def delivery(record):
    """A record with the change it reads to."""
    return Delivery(record, read_record(record))


def deliveries(records):
    return [delivery(record) for record in records]


def inserts(count, *, first=FIRST_SEQUENCE, prefix="item"):
    """Records that insert so many different items."""
    return [
        lambda_record(new=item(f"{prefix}-{n:03d}", Count=number(n)), sequence=first + n)
        for n in range(count)
    ]


def versions(count, *, first=FIRST_SEQUENCE, identifier="1", at=NOON):
    """Records of one item: an insert, then a modification each, all in one second."""
    images = [item(identifier, Version=number(n)) for n in range(count)]
    return [
        lambda_record(old, new, sequence=first + n, at=at)
        for n, (old, new) in enumerate(zip([None, *images], images, strict=False))
    ]


def nested(depth, innermost=None):
    """A value inside so many lists."""
    value = innermost or {"BOOL": True}
    for _ in range(depth):
        value = {"L": [value]}
    return value


@dataclass
class Clock:
    """Time for `Patience`: a pause is recorded and takes its length, nothing really waits.

    Attributes:
        left_ms: what is left of the invocation.
        pauses_s: the pauses that were taken.
        jitter: what the random numbers of the backoff are.
    """

    left_ms: float = 60_000
    pauses_s: list[float] = field(default_factory=list)
    jitter: float = 1.0

    def sleep(self, seconds):
        self.pauses_s.append(seconds)
        self.left_ms -= seconds * 1000

    def remaining_ms(self):
        return int(self.left_ms)

    @property
    def machine(self):
        """A machine with this time."""
        return Machine(
            clock=lambda: -self.left_ms / 1000, sleep=self.sleep, jitter=lambda: self.jitter
        )

    @property
    def patience(self):
        return Patience(self.remaining_ms, self.sleep, lambda: self.jitter)


def one_attempt():
    """Patience that has run out: everything is tried once."""
    return Clock(left_ms=MARGIN_MS).patience


def lambda_context(left_ms=MARGIN_MS):
    """A Lambda context; by default every request is made once, without a pause."""
    return SimpleNamespace(
        get_remaining_time_in_millis=lambda: left_ms,
        function_name="itemtrail",
        memory_limit_in_mb=512,
        invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:itemtrail",
        aws_request_id="0f1e2d3c",
    )
