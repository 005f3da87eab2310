"""Counting what a backfill did, item by item: each is in exactly one of the counts."""

from dataclasses import dataclass, field, fields
from typing import TypeAlias

from stream_core.item_id import key_digest

Reasons: TypeAlias = list[tuple[str, str]]
"""Ids, each with a reason; an item may have several."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An item that is not as it should be.

    Attributes:
        key_digest: names the item; keys are left out.
        reason: why, in words.
    """

    key_digest: str
    reason: str


@dataclass
class Counts:
    """What became of items.

    Attributes:
        scanned: items read.
        baselines: of these, how many got a baseline.
        already_there: how many needed none, because their history has its beginning.
        gone: how many were deleted before their baseline could be taken: their REMOVE shows them.
        changed_first: how many were changed before their baseline, and have no older row.
        settled: items of which the replica now has what the source has, deleted ones included.
        deleted: of these, items that the source has no more: deleted from the replica if there.
    """

    scanned: int = 0
    baselines: int = 0
    already_there: int = 0
    gone: int = 0
    changed_first: int = 0
    settled: int = 0
    deleted: int = 0

    def add(self, other: "Counts") -> None:
        """Count some other items too."""
        for count in fields(Counts):
            setattr(self, count.name, getattr(self, count.name) + getattr(other, count.name))

    def as_json(self) -> dict[str, int]:
        """For a state file."""
        return {count.name: getattr(self, count.name) for count in fields(Counts)}


@dataclass
class PageResult:
    """What became of a page of items.

    Attributes:
        undone: ids of items that have to be tried again, with their page, and why.
        refused: ids of items that will never be done, and why.
    """

    counts: Counts = field(default_factory=Counts)
    undone: Reasons = field(default_factory=list)
    refused: Reasons = field(default_factory=list)

    def add(self, other: "PageResult") -> None:
        """Count some other items too, or some more about these."""
        self.counts.add(other.counts)
        self.undone += other.undone
        self.refused += other.refused


def problems_of(reasons: Reasons) -> list[Problem]:
    """Reasons without the ids."""
    return [Problem(key_digest(identifier), reason) for identifier, reason in reasons]
