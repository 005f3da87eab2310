"""Deliver records once more, outside of any stream: to the history, or to the replica.

Each record is accounted for by itself, so that what it came in can be put away or left. A row that
several records stand for is sent once.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from history_writer.writer import HistoryWriter
from operations.execution.request import codes_text
from operations.execution.settlement import settle_all
from operations.execution.under_way import UnderWay
from replica_writer.settle import Settler
from stream_core.batch import Delivery, Outcome
from stream_core.errors import IntegrityError
from stream_core.history_row import sort_key_of
from stream_core.retry import Patience, error_code

_Slot: TypeAlias = dict[tuple[str, str], list[Delivery]]


class Cause(StrEnum):
    """Why something stays where it is."""

    MALFORMED = "malformed"
    """The record cannot be read; it stays so until it is mended by hand."""
    VIEW_TYPE = "view type"
    """The stream did not carry both images."""
    FOREIGN = "foreign"
    """The record is of another stream than the one that is followed."""
    CONTRADICTED = "contradicted"
    """The stream has it otherwise, or not at all, though it should: look at once."""
    CONFLICT = "conflict"
    """The history has the same change with other content: look at once."""
    REFUSED = "refused"
    """The table refuses it for good."""
    UNSTORED = "unstored"
    """Throttled, unreachable, not allowed: redrive it again when that is over."""
    RESTLESS = "restless"
    """The item changes faster than it is read: redrive it again later."""
    SHORT = "short"
    """The object holds fewer records than its batch had."""
    UNREADABLE = "unreadable"
    """What it holds is not known, or cannot be got at."""
    OWNER = "owner"
    """Whose it is is not known, and not both consumers were asked for."""
    UNMOVED = "unmoved"
    """Everything in it is dealt with, and yet it could not be put away."""


@dataclass(frozen=True, slots=True)
class Undelivered:
    """Why a record is still not delivered; the reason holds no item data."""

    why: Cause
    reason: str


@dataclass
class Redelivery:
    """What became of some records; those that are not in `failed` are delivered.

    Attributes:
        failed: by the `id()` of the record.
        counts: what was written.
    """

    failed: dict[int, Undelivered] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def fail(self, deliveries: Iterable[Delivery], undelivered: Undelivered) -> None:
        """Note that some records are not delivered."""
        self.failed |= {id(delivery.record): undelivered for delivery in deliveries}

    def is_unsent(self, deliveries: Iterable[Delivery]) -> bool:
        """Whether none of some deliveries got through, for reasons that may pass."""
        outcomes = [self.failed.get(id(delivery.record)) for delivery in deliveries]
        return all(outcome and outcome.why is Cause.UNSTORED for outcome in outcomes)


def to_history(
    writer: HistoryWriter, deliveries: Sequence[Delivery], patience: Patience
) -> Redelivery:
    """Have each change in the history; harmless to repeat, in any order."""
    redelivery = Redelivery()
    for slots in _calls(deliveries):
        first_of = {id(slot[0].record): slot for slot in slots.values()}
        outcome = writer.store([slot[0] for slot in slots.values()], patience)
        redelivery.counts += outcome.counts
        for record, undelivered in _undelivered(outcome):
            redelivery.fail(first_of[record], undelivered)
    return redelivery


def to_replica(
    settler: Settler,
    deliveries: Sequence[Delivery],
    patience: Callable[[], Patience],
    under_way: UnderWay,
) -> Redelivery:
    """Have the items that records are about equal to the source; nothing of a record is written."""
    redelivery = Redelivery()
    by_item: dict[str, list[Delivery]] = {}
    for delivery in deliveries:
        by_item.setdefault(delivery.change.item_id, []).append(delivery)
    keys = {identifier: group[0].change.keys for identifier, group in by_item.items()}
    settled = settle_all(settler, keys, patience, under_way)
    redelivery.counts["Settled"] = len(keys) - len(settled.failed)
    unstored = Undelivered(Cause.UNSTORED, codes_text(settled.errors))
    restless = Undelivered(Cause.RESTLESS, "the item changes all the time")
    for identifier in settled.failed:
        undelivered = restless if identifier in settled.restless else unstored
        if identifier in settled.refused:
            undelivered = _refused(settled.refused[identifier])
        redelivery.fail(by_item[identifier], undelivered)
    return redelivery


def _calls(deliveries: Iterable[Delivery]) -> list[_Slot]:
    """Deliveries by row, so that no call has two that differ for the same row.

    The writer judges the rows of a call by each other before it asks the table: of a change and a
    forgery of it, the one that comes second would be refused, whichever is stored.
    """
    calls: list[_Slot] = []
    for delivery in deliveries:
        change = delivery.change
        row = change.item_id, sort_key_of(change.created_at, change.sequence_number)
        for slots in calls:
            slot = slots.setdefault(row, [])
            if not slot or slot[0].change == change:
                slot.append(delivery)
                break
        else:
            calls.append({row: [delivery]})
    return calls


def _undelivered(outcome: Outcome) -> Iterator[tuple[int, Undelivered]]:
    unstored = Undelivered(Cause.UNSTORED, codes_text(outcome.errors))
    for record in outcome.unstored:
        yield id(record), unstored
    for refusal in outcome.refused:
        if isinstance(refusal.error, IntegrityError):
            yield id(refusal.record), Undelivered(Cause.CONFLICT, str(refusal.error))
        else:
            yield id(refusal.record), _refused(refusal.error)


def _refused(error: Exception) -> Undelivered:
    return Undelivered(Cause.REFUSED, f"the table answers {error_code(error)}")
