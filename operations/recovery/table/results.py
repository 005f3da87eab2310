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
        exists: whether there was such an item, as far as is known.
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
        uncertain: how many states are not exact, by how sure they are and the reason why.
        listed: the first of those.
        allows_uncertain: whether those that existed, as far as is known, are in the new table too;
            else they are left out, and the table is not finished.
        unwritten: what the new table did not take, or has otherwise.
        unknown: keys that were named, and neither the source nor its history knows.
        extraneous: how many items the new table has that are not in the order.
        extraneous_keys: the first of those.
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
    uncertain: Counter[tuple[Certainty, str]]
    listed: tuple[Uncertain, ...]
    unwritten: tuple[Unwritten, ...]
    notes: tuple[str, ...]
    settings: TableSettings
    allows_uncertain: bool = False
    already_there: int = 0
    unknown: tuple[Item, ...] = ()
    extraneous: int = 0
    extraneous_keys: tuple[Item, ...] = ()
    left_out: tuple[str, ...] = ()
    ended: str | None = None
    may_go_on: bool = False

    @property
    def reasons(self) -> dict[str, int]:
        """How sure the states are that are not exact, and why: the most frequent first."""
        return {
            f"{certainty.value}: {reason}": number
            for (certainty, reason), number in self.uncertain.most_common()
        }

    @property
    def left_uncertain(self) -> int:
        """Of how many items it has to be allowed that they are not certain, before it is done."""
        return 0 if self.allows_uncertain else self.uncertain.total()

    @property
    def is_finished(self) -> bool:
        """Whether all that was asked for is in the new table, and nothing else."""
        problems = (self.unwritten, self.extraneous, self.left_uncertain, self.ended)
        return not any(problems)

    @property
    def is_clean(self) -> bool:
        """Whether that is so, every state is exact, and every key is known."""
        return self.is_finished and not self.uncertain and not self.unknown
