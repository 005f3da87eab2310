"""What runs say of their writes before they make them: which changes of a table are theirs.

A run announces what it is about to write, and looks afterwards at what others have announced and
done: of two runs at one item at least one sees the other. Whoever writes nothing of what was
announced withdraws that, as what may be under way is in the way of others for a quarter of an hour.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from stream_core.attribute_values import Item
from stream_core.history_row import time_text
from stream_core.sealed_row import sealed_item

OWN_PREFIX = "!own#"
"""Sort keys of announced writes begin so, then with the `item_hash` and `#`."""
PORTION_PREFIX = "!portion#"
"""Sort keys of announced portions begin so, then with their moment."""
_WITHDRAWN = "#withdrawn"
# 128 bits of an `Id`, which may itself be 2 KB, as long as a sort key may be no longer than 1 KB.
_ITEM_DIGITS = 32


@dataclass(frozen=True, slots=True)
class OwnWrite:
    """That a run is about to write an item.

    Attributes:
        run: the run's id.
        number: of the item in the run's plan.
        item: of the item's `Id`, see `item_hash`; it may be long, and names a person perhaps.
        before, after: the digest of the item's own attributes before the write and after it;
            None: there is no item.
        at: the moment by the service's clock, UTC; a write that is tried again later is announced
            again.
        stream_arn: as in `RunRow`.
        is_withdrawn: that it was announced, and surely is not written.
    """

    run: str
    number: int
    item: str
    before: bytes | None
    after: bytes | None
    at: datetime
    stream_arn: str
    is_withdrawn: bool = False

    @property
    def sort_key(self) -> str:
        """Its place: those of an item together."""
        place = f"{OWN_PREFIX}{self.item}#{self.run}#{self.number}#{time_text(self.at)}"
        return f"{place}{_WITHDRAWN}" if self.is_withdrawn else place

    def withdrawn(self) -> "OwnWrite":
        """What says that it is not written."""
        return replace(self, is_withdrawn=True)

    def to_item(self) -> Item:
        """The item to store."""
        content: Item = {
            "Run": {"S": self.run},
            "Number": {"N": str(self.number)},
            "Item": {"S": self.item},
            "Before": _digest_value(self.before),
            "After": _digest_value(self.after),
            "At": {"S": time_text(self.at)},
        }
        if self.is_withdrawn:
            content["Withdrawn"] = {"BOOL": True}
        return sealed_item(self.sort_key, self.stream_arn, content)

    @classmethod
    def of_content(cls, stream_arn: str, content: Item) -> "OwnWrite":
        """The announcement with such a content."""
        return cls(
            content["Run"]["S"],
            int(content["Number"]["N"]),
            content["Item"]["S"],
            content["Before"].get("B"),
            content["After"].get("B"),
            datetime.fromisoformat(content["At"]["S"]),
            stream_arn,
            "Withdrawn" in content,
        )


@dataclass(frozen=True, slots=True)
class AnnouncedPortion:
    """That a process has announced writes of some items: who looks finds them by the time.

    Attributes:
        run: the run's id.
        process: tells the processes of a run apart.
        items: of each item, see `item_hash`.
        at: the moment by the service's clock, UTC.
        stream_arn: as in `RunRow`.
    """

    run: str
    process: str
    items: tuple[str, ...]
    at: datetime
    stream_arn: str

    @property
    def sort_key(self) -> str:
        """Its place: by the time."""
        return f"{PORTION_PREFIX}{time_text(self.at)}#{self.run}#{self.process}"

    def to_item(self) -> Item:
        """The item to store."""
        content: Item = {
            "Run": {"S": self.run},
            "Process": {"S": self.process},
            "Items": {"B": bytes.fromhex("".join(self.items))},
            "At": {"S": time_text(self.at)},
        }
        return sealed_item(self.sort_key, self.stream_arn, content)

    @classmethod
    def of_content(cls, stream_arn: str, content: Item) -> "AnnouncedPortion":
        """The portion with such a content."""
        hashes: str = content["Items"]["B"].hex()
        starts = range(0, len(hashes), _ITEM_DIGITS)
        return cls(
            content["Run"]["S"],
            content["Process"]["S"],
            tuple(hashes[start : start + _ITEM_DIGITS] for start in starts),
            datetime.fromisoformat(content["At"]["S"]),
            stream_arn,
        )


def item_hash(identifier: str) -> str:
    """What stands for an item's `Id` in the sort keys of announced writes."""
    encoded = identifier.encode("utf-8", "surrogatepass")
    return hashlib.sha256(encoded).hexdigest()[:_ITEM_DIGITS]


def standing(rows: Iterable[object]) -> list[OwnWrite]:
    """The announced writes among some rows of an item, without those that were withdrawn."""
    writes = [row for row in rows if isinstance(row, OwnWrite)]
    withdrawn = {write for write in writes if write.is_withdrawn}
    return [
        write for write in writes if not write.is_withdrawn and write.withdrawn() not in withdrawn
    ]


def _digest_value(value: bytes | None) -> Item:
    return {"NULL": True} if value is None else {"B": value}
