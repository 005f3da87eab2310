"""What a comparison finds: items of the replica that are not as in the source, and how many."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from operations.replica.reasons import Explanation, Reason
from operations.replica.sample import CONFIDENCE, share_at_most
from stream_core.attribute_values import Item


class DiscrepancyKind(StrEnum):
    """How an item differs."""

    MISSING = "missing"
    """It is in the source and not in the replica."""
    DIFFERENT = "different"
    """It is in both, with different attributes."""
    EXTRANEOUS = "extraneous"
    """It is in the replica and not in the source."""

    @classmethod
    def between(cls, source: Item | None, replica: Item | None) -> "DiscrepancyKind":
        """How two different states of an item differ."""
        if source is None:
            return cls.EXTRANEOUS
        return cls.MISSING if replica is None else cls.DIFFERENT


@dataclass(frozen=True)
class Discrepancy:
    """An item that differs, and has done so at every look for a while.

    Attributes:
        keys: the item's key in wire form.
        at: when it was looked at last, UTC.
        source: the item in the source, None where it is absent.
        replica: the item in the replica, None where it is absent.
        explanation: why, as far as the history tells.
    """

    keys: Item
    kind: DiscrepancyKind
    at: datetime
    explanation: Explanation
    source: Item | None = field(default=None, repr=False)
    replica: Item | None = field(default=None, repr=False)

    @property
    def reason(self) -> Reason | None:
        """Why, None where nothing tells."""
        return self.explanation.reason

    @property
    def behind(self) -> timedelta | None:
        """With LAGGING, how long ago the state ended that the replica has."""
        since = self.explanation.behind_since
        # Two clocks are compared, which may differ by a little.
        return None if since is None else max(self.at - since, timedelta(0))


@dataclass(frozen=True)
class ComparisonSummary:
    """What a comparison has come to.

    Attributes:
        source_items: items of the source that were met.
        replica_items: items of the replica that were met.
        looked_at: different items of which the states were compared.
        kinds: how many differ, by kind.
        reasons: how many differ, by reason; None for those without one.
        restless: keys of items that differed and changed all the time; not counted above.
        passing: items that differed at first sight and were equal later.
        sample: the share of items that was looked at; 1 for all.
        seed: what chose the sample; given again, it chooses the same items.
        is_complete: everything was looked at that was to be.
    """

    source_items: int
    replica_items: int
    looked_at: int
    kinds: Mapping[DiscrepancyKind, int]
    reasons: Mapping[Reason | None, int]
    restless: tuple[Item, ...]
    passing: int
    sample: float
    seed: int
    is_complete: bool

    @property
    def differing(self) -> int:
        """How many items differ."""
        return sum(self.kinds.values())

    @property
    def is_clean(self) -> bool:
        """Whether all was looked at and nothing differs; restless items do not count."""
        return self.is_complete and not self.differing

    @property
    def share_at_most(self) -> float | None:
        """Of all items, at most this share differs, with a confidence of 95 %.

        The restless ones are taken for differing, to be safe. None where all were looked at, and
        nothing has to be concluded, or where the comparison is not complete.
        """
        if self.sample >= 1 or not self.is_complete:
            return None
        return share_at_most(self.differing + len(self.restless), self.looked_at)

    @property
    def statement(self) -> str:
        """The result in a sentence."""
        text = f"{self.differing:,} of {self.looked_at:,} items differ"
        if self.restless:
            text += f", {len(self.restless):,} changed all the time"
        if not self.is_complete:
            return f"{text}; the comparison was not finished"
        bound = self.share_at_most
        if bound is None:
            return text
        return (
            f"{text}, chosen at random: with a confidence of {CONFIDENCE:.0%} no more than "
            f"{bound:.3%} of all items do"
        )
