"""The source table and its stream: shards that split and rotate, records in Lambda's form."""

import base64
import json
import zlib
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.factories import NOON
from tests.simulation.scheduler import SECOND

_LIMIT = 10**21
"""Sequence numbers soon have 22 digits, so that the order of texts is not that of numbers."""
_STEP = 10**18

TABLE_ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/source"
STREAM_ARN = f"{TABLE_ARN}/stream/2018-03-01T10:00:00.000"
_GLOBAL_TABLE = "aws:rep:"


@dataclass(eq=False)
class Record:
    """One stream record.

    Attributes:
        text: the JSON that is delivered.
        stream: which stream of the table it is of, in their order.
        true: the record that would be delivered if it was not malformed.
    """

    number: int
    item: str
    sequence: int
    stream: int
    at: int
    true: dict[str, Any]
    text: str
    write: Any

    @property
    def whole(self):
        return self.text == json.dumps(self.true, ensure_ascii=False)

    def __str__(self):
        return f"#{self.number}"


@dataclass(eq=False)
class Shard:
    """Part of the stream; its items go on in its children once it is closed."""

    name: str
    parent: "Shard | None" = None
    records: list[Record] = field(default_factory=list)
    children: list["Shard"] = field(default_factory=list)

    def open_for(self, item):
        """The open shard that takes an item's changes now."""
        if not self.children:
            return self
        place = zlib.crc32(f"{self.name} {item}".encode()) % len(self.children)
        return self.children[place].open_for(item)

    def leaves(self):
        """The open shards."""
        if not self.children:
            return [self]
        return [leaf for child in self.children for leaf in child.leaves()]


class Source:
    """A table with NEW_AND_OLD_IMAGES; each change of it is a record of its stream."""

    def __init__(self, settings, rng, clock_rng):
        self.items = {}
        self.log = []
        self.root = Shard("shard-0")
        self._settings = settings
        self._rng = rng
        self._clock_rng = clock_rng
        self._of_item = defaultdict(list)
        self._first_sequence = self._sequence = _LIMIT - rng.randint(1, 20) * _STEP // 2
        self._shards = 0
        self._streams = 0

    def write(self, write, now):
        """Apply a write; returns the shard and the record, or None if nothing changed."""
        keys = item_keys(self._settings.key_shape, write.item)
        item = item_name(keys)
        old = self.items.get(item)
        new = None if write.attributes is None else {**keys, **write.attributes}
        if new is not None and self._settings.global_table:
            new |= {
                f"{_GLOBAL_TABLE}deleting": {"BOOL": False},
                f"{_GLOBAL_TABLE}updatetime": {"N": f"{now / SECOND}"},
                f"{_GLOBAL_TABLE}updateregion": {"S": "eu-west-1"},
            }
        if new == old:
            return None  # Developer Guide: what changes nothing is not in the stream.
        if new is None:
            del self.items[item]
        else:
            self.items[item] = new
        return self._append(item, keys, old, new, write, now)

    def state(self, item):
        """What the replica of an item is to be: None for an absent one."""
        return _owned(self.items.get(item))

    def states(self):
        """What the replica of each item is to be."""
        return {item: self.state(item) for item in self.items}

    def states_since(self, item, since):
        """What the replica of an item might be at a time, and whatever might come after it."""
        later = [record for record in self._of_item[item] if record.at > since]
        if not later:
            return [self.state(item)]
        bodies = [record.true["dynamodb"] for record in later]
        return [
            _owned(bodies[0].get("OldImage")),
            *(_owned(body.get("NewImage")) for body in bodies),
        ]

    def remake(self):
        """Switch the stream off and on; what is in the old one stays there."""
        self._streams += 1
        self._shards += 1
        self.root = Shard(f"shard-{self._shards} of stream {self._streams}")
        self._sequence = self._first_sequence

    def split(self, children):
        """Close one open shard; its items go on in new ones."""
        shard = self._rng.choice(self.root.leaves())
        for _ in range(children):
            self._shards += 1
            shard.children.append(Shard(f"shard-{self._shards}", shard))
        return shard

    def _append(self, item, keys, old, new, write, now):  # noqa: PLR0913, PLR0917
        self._sequence += self._rng.randint(1, _STEP)
        number = len(self.log)
        told = now - self._clock_rng.randint(0, self._settings.clock_back) * SECOND
        true = stream_record(number, keys, old, new, self._sequence, told)
        if self._streams:
            true["eventSourceARN"] = f"{TABLE_ARN}/stream/2018-03-02T10:0{self._streams}:00.000"
        sent = malform(true, write.malformed)
        record = Record(
            number,
            item,
            self._sequence,
            self._streams,
            now,
            true,
            json.dumps(sent, ensure_ascii=False),
            write,
        )
        shard = self.root.open_for(item)
        shard.records.append(record)
        self.log.append(record)
        self._of_item[item].append(record)
        return shard, record


def item_keys(shape, number):
    """The key of an item."""
    text = f"item|{number}"
    binary = base64.b64encode(text.encode()).decode()
    return {
        "S": {"Id": {"S": text}},
        "N": {"Id": {"N": str(number)}},
        "B": {"Id": {"B": binary}},
        # The same partition for all: only both attributes name an item.
        "S+N": {"Pk": {"S": "p"}, "Sk": {"N": str(number)}},
        "S+S": {"A": {"S": f"a{'|' * (number % 2)}"}, "B": {"S": f"{'|' * (number // 2)}b"}},
    }[shape]


def _owned(item):
    """An item without what a global table adds to it."""
    if item is None:
        return None
    return {name: item[name] for name in item if not name.startswith(_GLOBAL_TABLE)}


def item_name(keys):
    """A key as text."""
    return json.dumps(keys, sort_keys=True)


def stream_record(number, keys, old, new, sequence, now):  # noqa: PLR0913, PLR0917
    """A record as Lambda delivers it."""
    images = {"OldImage": old, "NewImage": new}
    return {
        "eventID": f"event-{number}",
        "eventName": "INSERT" if old is None else "REMOVE" if new is None else "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": {
            "ApproximateCreationDateTime": NOON + now // SECOND,
            "Keys": keys,
            **{name: image for name, image in images.items() if image is not None},
            "SequenceNumber": str(sequence),
            "SizeBytes": 59,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventSourceARN": STREAM_ARN,
    }


def malform(record, how):
    """A record broken in one way, or left as it is."""
    if not how:
        return record
    broken = json.loads(json.dumps(record))
    body = broken["dynamodb"]
    image = "NewImage" if "NewImage" in body else "OldImage"
    if how == "another key":
        name = min(body["Keys"])
        ((tag, content),) = body["Keys"][name].items()
        body[image][name] = {tag: f"{content}{content}" if tag == "B" else f"{content}9"}
    elif how == "no body":
        del broken["dynamodb"]
    elif how == "no sequence":
        del body["SequenceNumber"]
    elif how == "no time":
        del body["ApproximateCreationDateTime"]
    elif how == "no image":
        del body[image]
    else:
        body[image]["Broken"] = {"B": "A"} if how == "base64" else {"S": "a", "N": "1"}
    return broken
