"""What is restored into which table, and the tag that a table has of it until it is finished."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from operations.recovery.table.selection import ItemSelection
from reports.access.table_description import TableDescription
from reports.inputs.keys import KeySchema
from stream_core.history_row import time_text

TAG = "itemtrail:restore"
"""The tag's name."""
_UNFINISHED, _FINISHED = "unfinished", "finished"
_NAMES = ("at", "source", "history", "selection")
_WORDS = {
    "at": "the instant",
    "source": "the source table",
    "history": "the history table",
    "selection": "which items are selected",
}
_DIGITS = 16


@dataclass(frozen=True)
class TableOrder:
    """What is to be restored.

    Attributes:
        new_table: the name of the table that it is restored into.
        at: the instant, changes stamped at it included.
        selection: which items.
        key_schema: the source's key, partition key first; needed where the source is gone.
        with_ttl: have items of the new table expire as those of the source do.
        allows_uncertain: restore also what is not certain to have been so.
    """

    new_table: str
    at: datetime
    selection: ItemSelection = field(default_factory=ItemSelection)
    key_schema: KeySchema | None = None
    with_ttl: bool = False
    allows_uncertain: bool = False


@dataclass(frozen=True)
class OrderTag:
    """An order as a table's tag has it: what tells it from other orders, in 256 characters.

    Attributes:
        is_finished: everything was written.
        was_made: the table was made for it; else it was there, and empty.
        run: the run that has the table, or finished it; no part of the order.
        at, source, history, selection: of the order, the last three by what identifies them.
    """

    at: str
    source: str
    history: str
    selection: str
    was_made: bool = True
    is_finished: bool = False
    run: str = "none"

    @classmethod
    def of_order(
        cls, order: TableOrder, source: TableDescription | str, history: TableDescription
    ) -> "OrderTag":
        """The tag of an order that is not finished.

        Args:
            order: what is to be restored.
            source: the source table; its name, where it is gone.
            history: the history table.
        """
        return cls(time_text(order.at), _id_of(source), _id_of(history), order.selection.digest)

    @classmethod
    def read(cls, text: str) -> "OrderTag | None":
        """The tag with this value; None: it is no such tag."""
        state, _, words = text.partition(" ")
        parts = dict(word.partition("=")[::2] for word in words.split())
        if state not in (_UNFINISHED, _FINISHED) or not parts.keys() >= {*_NAMES, "made"}:
            return None
        values: dict[str, Any] = {name: parts[name] for name in _NAMES}
        values["run"] = parts.get("run", "none")
        return cls(**values, was_made=parts["made"] == "yes", is_finished=state == _FINISHED)

    def __str__(self) -> str:
        state = _FINISHED if self.is_finished else _UNFINISHED
        made = "yes" if self.was_made else "no"
        parts = [f"{name}={getattr(self, name)}" for name in _NAMES]
        return " ".join([state, f"made={made}", *parts, f"run={self.run}"])

    def held_by(self, run: str) -> "OrderTag":
        """The tag of the same order, carried out by a run."""
        return replace(self, run=run)

    def finished(self) -> "OrderTag":
        """The tag once everything was written."""
        return replace(self, is_finished=True)

    def differences(self, other: "OrderTag") -> Iterator[str]:
        """In what another order is not the same, in words."""
        for name in _NAMES:
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                yield f"{_WORDS[name]} ({mine}, not {theirs})"


def _id_of(table: TableDescription | str) -> str:
    """What no other table has, in characters that a tag may have."""
    if isinstance(table, str):
        return f"gone-{_digest(table)}"
    return table.table_id or _digest(table.arn or table.name)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:_DIGITS]
