"""Which writes are made by one transaction. Pure.

All writes of a transaction are begun at one moment, and no others are: whoever goes on with a run
knows by that which it has to repeat together.
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from more_itertools import constrained_batches, map_reduce

from operations.execution.decision import Write
from operations.execution.plan_file import PlanItem
from operations.recovery.conditions import is_guarded_in_part
from stream_core.attribute_values import item_size

Planned: TypeAlias = tuple[PlanItem, Write]

MOST_TOGETHER = 25
"""A larger transaction saves little, and more of them meet another writer."""
MOST_BYTES = 4 * 1024 * 1024
"""Of one transaction: API reference, TransactWriteItems."""


def groups_of(writes: Iterable[Planned], most: int) -> list[Sequence[Planned]]:
    """Writes by the transaction that is to make them.

    Args:
        writes: new ones; what is guarded in part is made by itself.
        most: so many items at most.
    """
    kinds = map_reduce(writes, _is_alone)
    together = constrained_batches(
        kinds.get(False, []), MOST_BYTES, most, get_len=size_of, strict=False
    )
    return [*together, *([planned] for planned in kinds.get(True, []))]


def size_of(planned: Planned) -> int:
    """What a write counts for in its transaction, in bytes, as far as that is known."""
    _, step = planned
    return max(item_size(image) for image in (step.before, step.after) if image is not None)


def _is_alone(planned: Planned) -> bool:
    item, step = planned
    is_plain = is_guarded_in_part(item.keys, step.edits, step.before, step.after)
    return is_plain or step.repeats is not None
