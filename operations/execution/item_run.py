"""What became of one item of a plan."""

from dataclasses import dataclass

from operations.execution.decision import Decided
from operations.execution.item_writer import WriteOutcome
from operations.execution.plan_file import PlanItem
from operations.recovery.conflicts import Conflict
from stream_core.attribute_values import Item


@dataclass(frozen=True, slots=True)
class ItemRun:
    """What became of one item of a plan.

    Attributes:
        reason: why it was not written, or what to know about it; no item data.
        conflicts: where the item is no longer what the plan saw.
        is_proven: it is known that no more was deleted than the plan saw.
    """

    item: PlanItem
    outcome: WriteOutcome
    reason: str = ""
    conflicts: tuple[Conflict, ...] = ()
    is_proven: bool = True

    @property
    def is_clean(self) -> bool:
        """Whether the item is what the plan wanted."""
        is_so = self.outcome in (WriteOutcome.WRITTEN, WriteOutcome.UNNEEDED)
        return is_so and self.is_proven and not self.conflicts


@dataclass(frozen=True, slots=True)
class Unproven:
    """What became of an item, if the history shows it.

    Attributes:
        result: what is said if it does not.
        seen: all that a delete was to take with it, or a put in its place; None: no such write.
        is_answered: whether that delete is known to have been carried out.
    """

    result: ItemRun
    seen: Item | None = None
    is_answered: bool = True


@dataclass(frozen=True, slots=True)
class Aside:
    """An item that is to be looked at again in a while: others are at it, or its history is behind.

    Attributes:
        step: what is said of it if that lasts too long.
    """

    item: PlanItem
    step: Decided
