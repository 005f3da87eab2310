"""Settle any number of items for a caller that does not follow the stream.

As many are in memory as are settled side by side, and an interruption leaves none half settled.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from threading import current_thread, main_thread

from more_itertools import chunked

from operations.execution.under_way import UnderWay
from replica_writer.settle import Settled, Settler
from replica_writer.tables import MAX_WRITES, Keys
from stream_core.attribute_values import Item
from stream_core.clients import CONCURRENCY
from stream_core.errors import RefusedRecordError
from stream_core.item_id import item_id
from stream_core.retry import Patience

# As many writes as may be under way at the same time; items of this many keys are in memory.
KEYS_A_CALL = CONCURRENCY * MAX_WRITES


@dataclass(frozen=True)
class SettledAll:
    """What became of some items, by id; those named nowhere equal the source.

    Attributes:
        writes: items written or deleted, corrections included.
        deletes: of these, how many were deleted.
        corrections: of these, how many because the source differed from what was written.
        restless: ids that changed in the source after every write, for as long as was waited.
        unstored: ids to try again later: throttled, unreachable, not allowed (see `errors`).
        refused: ids that the replica refuses for good, and its answer.
        errors: codes of the errors met, and how often.
    """

    writes: int = 0
    deletes: int = 0
    corrections: int = 0
    restless: frozenset[str] = frozenset()
    unstored: frozenset[str] = frozenset()
    refused: Mapping[str, RefusedRecordError] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def failed(self) -> frozenset[str]:
        """Ids that are not known to equal the source."""
        return self.restless | self.unstored | self.refused.keys()


def settle_all(
    settler: Settler, keys: Keys, patience: Callable[[], Patience], under_way: UnderWay
) -> SettledAll:
    """Make items of the replica equal to the source; harmless to repeat, at any time.

    An interrupt takes effect when the call under way has ended: between a write and the read
    after it, the replica could be left with a state that the source no longer has. Of a process
    that is killed there, `under_way` knows what has to be settled again.

    Args:
        settler: the two tables; it must be allowed to read the source.
        keys: the items' keys by id, any number.
        patience: makes the patience for each call of some hundred items.
        under_way: keeps the keys of each call for as long as it lasts.

    Raises:
        ValueError: the settler has no source to read.
    """
    total = Settled()
    for portion in map(dict, chunked(keys.items(), KEYS_A_CALL)):
        number = under_way.begin(portion.values())
        _to_its_end(partial(_settle, settler, portion, patience(), total))
        under_way.end(number, total.unsettled & portion.keys())
    return SettledAll(
        total.writes,
        total.deletes,
        total.corrections,
        frozenset(total.restless),
        frozenset(total.unsettled - total.restless),
        total.refused,
        total.errors,
    )


def _to_its_end(work: Callable[[], None]) -> None:
    if current_thread() is not main_thread():
        # Only the main thread is interrupted.
        work()
        return
    # Leaving this block waits for the thread, whatever leaves it.
    with ThreadPoolExecutor(1) as apart:
        apart.submit(work).result()


def _settle(settler: Settler, keys: Keys, patience: Patience, total: Settled) -> None:
    settled = settler.settle(keys, patience)
    if not settled.is_announced:
        # No second look will be taken at an item whose write had no answer.
        settled.lost = set(
            patience.work_off(
                list(settled.lost),
                lambda lost: _settled_again(settler, keys, lost, patience, total),
            )
        )
    total.add(settled)


def _settled_again(
    settler: Settler, keys: Keys, lost: list[str], patience: Patience, total: Settled
) -> list[str]:
    """Settle items once more; returns those of which a write had no answer again."""
    settled = settler.settle({identifier: keys[identifier] for identifier in lost}, patience)
    unanswered = list(settled.lost)
    settled.lost = set()
    total.add(settled)
    return unanswered


def by_id(keys: Iterable[Item]) -> dict[str, Item]:
    """Keys by the id of their item; a key that comes twice is there once."""
    return {item_id(key): key for key in keys}
