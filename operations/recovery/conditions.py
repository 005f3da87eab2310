"""Writes that change an item only if it still is what it was seen to be. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from operations.errors import OperationError
from reports.inputs.paths import Path, value_at
from reports.states.differences import Difference
from stream_core.attribute_values import AttributeValue, Item, item_size
from stream_core.history_row import MAX_ITEM_BYTES

# Developer Guide, "Constraints": an expression has at most 300 operators and functions and 4 KB.
# Each clause is one, and so is each AND between two of them.
_MOST_CLAUSES = 150
_MOST_BYTES = 4096
# What an update sets must fit into an item, with what the update itself is reckoned at.
_MOST_SET_BYTES = MAX_ITEM_BYTES - 1024

GUARDED_IN_PART = (
    "guarded in part: it has more than a condition can name, and what another writer changes at "
    "the same moment is put back"
)


class UnwritableError(OperationError):
    """One conditional write cannot express so many changes."""


@dataclass
class _Expressions:
    """The parts of a request, with short names for everything."""

    names: dict[str, str] = field(default_factory=dict)
    values: dict[str, AttributeValue] = field(default_factory=dict)
    clauses: list[str] = field(default_factory=list)
    length: int = 0

    def path(self, path: Path) -> str:
        return ".".join(self._name(str(step)) for step in path)

    def value(self, value: AttributeValue) -> str:
        placeholder = f":{len(self.values)}"
        self.values[placeholder] = value
        return placeholder

    def require(self, clause: str) -> None:
        self.clauses.append(clause)
        self.length += len(clause) + len(" AND ")

    def require_value(self, path: Path, value: AttributeValue | None) -> None:
        if value is None:
            self.require(f"attribute_not_exists({self.path(path)})")
        else:
            self.require(f"{self.path(path)} = {self.value(value)}")

    @property
    def has_room(self) -> bool:
        """Whether another short clause surely fits."""
        return len(self.clauses) < _MOST_CLAUSES and self.length + 64 < _MOST_BYTES

    @property
    def is_too_long(self) -> bool:
        return len(self.clauses) > _MOST_CLAUSES or self.length > _MOST_BYTES

    def request(self, **more: Any) -> dict[str, Any]:
        request = {
            "ConditionExpression": " AND ".join(self.clauses),
            "ExpressionAttributeNames": self.names,
            **more,
        }
        return request | ({"ExpressionAttributeValues": self.values} if self.values else {})

    def _name(self, name: str) -> str:
        for placeholder, known in self.names.items():
            if known == name:
                return placeholder
        placeholder = f"#{len(self.names)}"
        self.names[placeholder] = name
        return placeholder


def update_request(keys: Item, edits: Sequence[Difference], seen: Item) -> dict[str, Any]:
    """An update that makes some changes if each place still holds what it held.

    Args:
        keys: the item's key.
        edits: what to change, no path within another and none within a list.
        seen: attributes that have to be unchanged as well, as many as the condition has room for.

    Raises:
        UnwritableError: there is more to change than one update can express.
    """
    if sum(map(_weight, edits)) > _MOST_SET_BYTES:
        raise UnwritableError("the changes are larger than an update may be")
    expressions = _Expressions()
    # Otherwise an item deleted meanwhile would be made anew, with these attributes only.
    expressions.require(f"attribute_exists({expressions.path((next(iter(keys)),))})")
    sets: list[str] = []
    removes: list[str] = []
    for edit in edits:
        _require_place(expressions, edit)
        path = expressions.path(edit.path)
        if edit.new is None:
            removes.append(path)
        else:
            sets.append(f"{path} = {expressions.value(edit.new)}")
    update = " ".join(
        f"{verb} {', '.join(parts)}"
        for verb, parts in (("SET", sets), ("REMOVE", removes))
        if parts
    )
    if expressions.is_too_long or len(update) > _MOST_BYTES:
        raise UnwritableError(f"{len(edits)} changes are more than an update can name")
    _require_unchanged(expressions, seen, {edit.path[0] for edit in edits} | keys.keys())
    return expressions.request(Key=keys, UpdateExpression=update)


def delete_request(keys: Item, seen: Item) -> dict[str, Any]:
    """A delete of an item whose attributes, as far as there is room, are what was seen."""
    expressions = _Expressions()
    expressions.require(f"attribute_exists({expressions.path((next(iter(keys)),))})")
    _require_unchanged(expressions, seen, set(keys))
    return expressions.request(Key=keys)


def replace_request(keys: Item, seen: Item, image: Item) -> dict[str, Any]:
    """A put in the place of an item that, as far as there is room, is what was seen."""
    expressions = _Expressions()
    expressions.require(f"attribute_exists({expressions.path((next(iter(keys)),))})")
    absent = dict.fromkeys(name for name in image if name not in seen)
    _require_unchanged(expressions, {**seen, **absent}, set(keys))
    return expressions.request(Item=image)


def put_request(keys: Item, image: Item) -> dict[str, Any]:
    """A put of an item that is not there."""
    expressions = _Expressions()
    expressions.require(f"attribute_not_exists({expressions.path((next(iter(keys)),))})")
    return expressions.request(Item=image)


def is_guarded_in_part(
    keys: Item, edits: Sequence[Difference], before: Item | None, after: Item | None
) -> bool:
    """Whether no condition can name all that a write would take with it.

    It is made all the same, and what it took of another writer's is put back.
    """
    if before is None:
        return False
    if after is None:
        named = set(delete_request(keys, before)["ExpressionAttributeNames"].values())
        return not named.issuperset(before)
    try:
        update_request(keys, edits, {})
    except UnwritableError:
        return True
    return False


def guard_notes(
    keys: Item, edits: Sequence[Difference], before: Item | None, after: Item | None
) -> tuple[str, ...]:
    """What is to be known of a write before it is approved, as far as its condition goes."""
    return (GUARDED_IN_PART,) if is_guarded_in_part(keys, edits, before, after) else ()


def _require_place(expressions: _Expressions, edit: Difference) -> None:
    if edit.old is None and len(edit.path) > 1:
        # A map that is gone would have the update refused as malformed, and not as a conflict.
        parent, kind = expressions.path(edit.path[:-1]), expressions.value({"S": "M"})
        expressions.require(f"attribute_type({parent}, {kind})")
    expressions.require_value(edit.path, edit.old)


def _weight(edit: Difference) -> int:
    """Bytes that DynamoDB reckons for a change, or a few more."""
    named = sum(len(str(step).encode("utf-8", "surrogatepass")) + 4 for step in edit.path)
    return 19 + named + (0 if edit.new is None else item_size({"": edit.new}))


def _require_unchanged(
    expressions: _Expressions,
    seen: Mapping[str, AttributeValue | None],
    without: Iterable[str | int],
) -> None:
    skipped = set(without)
    for name, value in seen.items():
        if name not in skipped and expressions.has_room:
            expressions.require_value((name,), value)


def edits_at(paths: Iterable[Path], old: Item | None, new: Item | None) -> Iterator[Difference]:
    """What two states hold at some paths."""
    for path in paths:
        yield Difference(path, value_at(old, path), value_at(new, path))
