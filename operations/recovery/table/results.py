"""What a restore of a table came to."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal, TypeAlias

from operations.recovery.table.settings import TableSettings
from reports.states.timeline import Certainty
from stream_core.attribute_values import Item

Method: TypeAlias = Literal["history", "rewind", "keys"]


@dataclass(frozen=True, slots=True)
class Uncertain:
    """An item whose state as of the instant is not exact.

    Attributes:
        exists: whether there was such an item, as far as is known; if so, it is in the new table.
    """

    keys: Item
    exists: bool
    certainty: Certainty
    reason: str


@dataclass(frozen=True, slots=True)
class Unwritten:
    """An item that is not in the new table as it was, and should be."""

    keys: Item
    reason: str


@dataclass(frozen=True)
class TableRestored:
    """What a restore of a table did, or, in a dry run, would do.

    Attributes:
        applied: whether anything was written.
        method, reason: how the states were found, see `reports.table.as_of.TableAsOf`; `keys`:
            each by its key.
        items: how many are in the new table as they were, or would be.
        settings: what the new table is made with.
        already_there: of these, how many an earlier run of the same order wrote.
        uncertain: how many states are not exact, by the reason why.
        listed: the first of those.
        unwritten: what the new table did not take, or has otherwise.
        unknown: keys that were named, and neither the source nor its history knows.
        extraneous: how many items the new table has of an earlier run that are not in the order.
        left_out: what the source has and the new table does not get, in words.
        notes: what else to know about the new table.
        ended: why it ended before everything was done.
        may_go_on: whether something is left to do, and the same order goes on with it.
    """

    applied: bool
    new_table: str
    method: Method
    reason: str
    items: int
    uncertain: Counter[str]
    listed: tuple[Uncertain, ...]
    unwritten: tuple[Unwritten, ...]
    notes: tuple[str, ...]
    settings: TableSettings
    already_there: int = 0
    unknown: tuple[Item, ...] = ()
    extraneous: int = 0
    left_out: tuple[str, ...] = ()
    ended: str | None = None
    may_go_on: bool = False

    @property
    def is_finished(self) -> bool:
        """Whether all that was asked for is in the new table, and nothing else."""
        return not self.unwritten and not self.extraneous and self.ended is None

    @property
    def is_clean(self) -> bool:
        """Whether that is so, every state is exact, and every key is known."""
        return self.is_finished and not self.uncertain and not self.unknown
