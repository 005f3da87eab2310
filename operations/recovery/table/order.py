"""What is restored into which table, and the tag that a table has of it until it is finished."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from operations.recovery.table.selection import ItemSelection
from operations.recovery.table.settings import TableSettings
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
_GONE = "gone"
# API reference, Tag: a value has at most 256 of letters, digits, spaces and these.
_MOST_CHARACTERS = 256
_WORD = re.compile(r"[A-Za-z0-9+\-=._:/@]+")


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
        ttl_attribute, recovery_days: of the source, as in `TableSettings`: it may be gone when they
            are needed.
        at, source, history, selection: of the order, the last three by what identifies them.
    """

    at: str
    source: str
    history: str
    selection: str
    was_made: bool = True
    is_finished: bool = False
    run: str = "none"
    ttl_attribute: str | None = None
    recovery_days: int | None = None

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
        name, table_id = (
            (source, _GONE) if isinstance(source, str) else (source.name, _id_of(source))
        )
        source_id = f"{_digest(name)}/{table_id}"
        return cls(time_text(order.at), source_id, _id_of(history), order.selection.digest)

    @classmethod
    def read(cls, text: str) -> "OrderTag | None":
        """The tag with this value; None: it is no such tag."""
        state, _, words = text.partition(" ")
        parts = dict(word.partition("=")[::2] for word in words.split())
        if state not in (_UNFINISHED, _FINISHED) or not parts.keys() >= {*_NAMES, "made"}:
            return None
        values: dict[str, Any] = {name: parts[name] for name in _NAMES}
        values["run"] = parts.get("run", "none")
        values["ttl_attribute"] = parts.get("ttl")
        if (days := parts.get("days", "")).isdecimal():
            values["recovery_days"] = int(days)
        return cls(**values, was_made=parts["made"] == "yes", is_finished=state == _FINISHED)

    def __str__(self) -> str:
        state = _FINISHED if self.is_finished else _UNFINISHED
        made = "yes" if self.was_made else "no"
        parts = [f"{name}={getattr(self, name)}" for name in _NAMES]
        parts.append(f"run={self.run}")
        optional = {"days": self.recovery_days, "ttl": self.ttl_attribute}
        parts += [f"{name}={value}" for name, value in optional.items() if value is not None]
        return " ".join([state, f"made={made}", *parts])

    def held_by(self, run: str) -> "OrderTag":
        """The tag of the same order, carried out by a run."""
        return replace(self, run=run)

    def with_settings(self, settings: TableSettings) -> "OrderTag":
        """The tag with what of the source is needed at the end; a name that does not fit is not."""
        tag = replace(self, recovery_days=settings.recovery_days)
        if _WORD.fullmatch(settings.ttl_attribute or ""):
            with_ttl = replace(tag, ttl_attribute=settings.ttl_attribute)
            tag = with_ttl if len(str(with_ttl.held_by("f" * _DIGITS))) <= _MOST_CHARACTERS else tag
        return tag

    def is_of(self, source: str) -> bool:
        """Whether a table of this name is the source."""
        return self.source.partition("/")[0] == _digest(source)

    def finished(self) -> "OrderTag":
        """The tag once everything was written."""
        return replace(self, is_finished=True)

    def differences(self, other: "OrderTag") -> Iterator[str]:
        """In what another order is not the same, in words; its source may be gone by now."""
        gone_since = f"{self.source.partition('/')[0]}/{_GONE}"
        for name in _NAMES:
            mine, theirs = getattr(self, name), getattr(other, name)
            if theirs not in (mine, gone_since):
                yield f"{_WORDS[name]} ({mine}, not {theirs})"


def _id_of(table: TableDescription) -> str:
    """What no other table has, in characters that a tag may have."""
    return table.table_id or _digest(table.arn or table.name)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:_DIGITS]
