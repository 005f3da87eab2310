"""Which items of a table are restored: by key, by how the key begins, by their values. Pure."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from operations.errors import RefusedError
from reports.inputs.keys import KeySchema
from reports.inputs.paths import path_text
from reports.states.item_conditions import ItemCondition
from reports.states.timeline import ItemState
from stream_core.attribute_values import Item, wire_json
from stream_core.item_id import item_id

_DIGITS = 16
ALL_ITEMS = "all"


@dataclass(frozen=True)
class ItemSelection:
    """Which items are meant; all of what is given must be true, nothing means every item.

    Attributes:
        keys: these, in wire form; None: none are named.
        prefixes: those whose partition key, a text, begins with any of these.
        conditions: those of whose values all of this was true.
    """

    keys: tuple[Item, ...] | None = None
    prefixes: tuple[str, ...] = ()
    conditions: tuple[ItemCondition, ...] = ()

    def __bool__(self) -> bool:
        return self.keys is not None or bool(self.prefixes) or bool(self.conditions)

    def __str__(self) -> str:
        parts = [] if self.keys is None else [f"{len(self.ids):,} keys"]
        if self.prefixes:
            parts.append(f"keys that begin with {' or '.join(self.prefixes)}")
        parts += map(str, self.conditions)
        return ", ".join(parts) or "every item"

    @cached_property
    def ids(self) -> dict[str, Item]:
        """The keys that are named, each once, by id."""
        return {item_id(key): key for key in self.keys or ()}

    @property
    def digest(self) -> str:
        """What tells it from any other one; `all` for every item."""
        if not self:
            return ALL_ITEMS
        content = self.content()
        if self.keys is not None:
            content["keys"] = sorted(self.ids)
        content["prefixes"] = sorted(set(self.prefixes))
        content["where"] = sorted(content["where"])
        return hashlib.sha256(wire_json(content)).hexdigest()[:_DIGITS]

    def content(self) -> dict[str, Any]:
        """It as JSON."""
        return {
            "keys": None if self.keys is None else list(self.ids.values()),
            "prefixes": list(self.prefixes),
            "where": [
                [path_text(condition.path), condition.operator.value, condition.value]
                for condition in self.conditions
            ],
        }

    def accepts(self, state: ItemState, partition_key: str) -> bool:
        """Whether an item is meant, by its key and by what it was.

        What an item was that may not have existed is not known: its values are not asked for.
        """
        if self.keys is not None and item_id(state.keys) not in self.ids:
            return False
        if self.prefixes and not state.keys[partition_key]["S"].startswith(self.prefixes):
            return False
        image = state.image
        return image is None or all(condition.accepts(image) for condition in self.conditions)

    def require_fit(self, schema: KeySchema) -> None:
        """See that a table can have such items.

        Raises:
            RefusedError: prefixes are given, and its partition key is no text.
        """
        (name, tag), *_ = schema.types.items()
        if self.prefixes and tag != "S":
            raise RefusedError(
                f"the partition key is {name} ({tag}), and only a text has a beginning: say which "
                f"items by their values (--where {name} '>=' VALUE), or name their keys"
            )
