"""The tables and buckets the consumers see: what DynamoDB and S3 do with a request.

What must never happen is noted when it happens: anything but an INSERT on the history table, a
write to the source, an overflow object that is replaced by another content.
"""

import hashlib
import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from botocore.exceptions import ClientError

from stream_core.attribute_values import item_size, read_item
from tests.service_limits import MAX_ITEM_BYTES, check_values

MAX_DEPTH = 32
_INSERT = re.compile(r'INSERT INTO "([^"]+)" VALUE \{(.*)\}', re.DOTALL)
_NAME = re.compile(r"'((?:[^']|'')*)': \?")


class RefusedError(Exception):
    """A request, or an entry of it, that the service refuses."""

    def __init__(self, code, message="refused"):
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


@dataclass
class Store:
    """Tables by name, items in JSON by key; buckets by name, objects by key.

    Attributes:
        keys: the key attributes of each table.
        refuses: whether a table refuses an item for good.
        broken: rules that were broken.
    """

    keys: dict[str, tuple[str, ...]]
    refuses: object
    tables: dict = field(default_factory=lambda: defaultdict(dict))
    buckets: dict = field(default_factory=lambda: defaultdict(dict))
    broken: list = field(default_factory=list)
    rows_of_event: Counter = field(default_factory=Counter)

    def key(self, table, item):
        """The key of an item, as text."""
        return json.dumps({name: item[name] for name in self.keys[table]}, sort_keys=True)

    def insert(self, statement):
        """Carry out one PartiQL INSERT."""
        match = _INSERT.fullmatch(statement["Statement"])
        if match is None or match[1] != "history":
            self.broken.append(f"statement {statement['Statement'][:60]}")
            raise RefusedError("AccessDenied")
        item = self.row(statement)
        self.check("history", item)
        key = self.key("history", item)
        if key in self.tables["history"]:
            raise RefusedError("DuplicateItem")
        self.tables["history"][key] = item
        # What the history says of itself is of no event.
        if "EventId" in item:
            self.rows_of_event[item["EventId"]["S"]] += 1

    @staticmethod
    def row(statement):
        """The row a statement inserts."""
        names = _NAME.findall(_INSERT.fullmatch(statement["Statement"])[2])
        names = [name.replace("''", "'") for name in names]
        return dict(zip(names, statement["Parameters"], strict=True))

    def write(self, table, request):
        """Carry out one request of a BatchWriteItem."""
        if table != "replica":
            self.broken.append(f"BatchWriteItem on {table}")
            raise RefusedError("AccessDeniedException")
        if "PutRequest" in request:
            item = request["PutRequest"]["Item"]
            if any(name.startswith("aws:rep:") for name in item):
                self.broken.append("attributes of a global table in the replica")
            self.tables[table][self.key(table, item)] = item
        else:
            self.tables[table].pop(self.key(table, request["DeleteRequest"]["Key"]), None)

    def write_key(self, table, request):
        """The key of the item a request writes."""
        put = request.get("PutRequest")
        return self.key(table, put["Item"] if put else request["DeleteRequest"]["Key"])

    def read(self, table, key, names=None):
        """An item, or only some attributes of it."""
        item = self.tables[table].get(self.key(table, key))
        if item is None or names is None:
            return item
        return {name: item[name] for name in names if name in item}

    def put_object(self, bucket, key, body):
        """Store an object; returns its version."""
        versions = self.buckets[bucket].setdefault(key, [])
        if bucket == "overflow" and versions and versions[-1] != body:
            self.broken.append(f"object {bucket}/{key} was replaced by another content")
        versions.append(body)
        return self.versions(bucket, key)[-1]

    def versions(self, bucket, key):
        """The versions of an object, oldest first."""
        return [
            f"{hashlib.sha256(body).hexdigest()[:8]}-{number}"
            for number, body in enumerate(self.buckets[bucket].get(key, []), 1)
        ]

    def check(self, table, item):
        """Refuse an item that a table cannot take."""
        if self.refuses(table, item):
            # By a reckoning of the table's own, which a row without its images passes.
            raise RefusedError("ValidationException", "Nesting Levels have exceeded the limit")
        text = json.dumps(item)
        if len(text) > MAX_ITEM_BYTES and item_size(read_item(item)) > MAX_ITEM_BYTES:
            raise RefusedError("ValidationException", "Item size has exceeded the maximum")
        try:
            check_values(item)
        except ClientError as refusal:
            raise RefusedError(
                "ValidationException", refusal.response["Error"]["Message"]
            ) from None
        if max(map(_depth, item.values())) > MAX_DEPTH:
            raise RefusedError("ValidationException", "Nesting Levels have exceeded the limit")


def _depth(value):
    ((tag, content),) = value.items()
    if tag == "L":
        return 1 + max(map(_depth, content), default=0)
    if tag == "M":
        return 1 + max(map(_depth, content.values()), default=0)
    return 1
