"""Places in an item: what is at one, and the item with something else there. Pure."""

from reports.inputs.paths import Path
from stream_core.attribute_values import AttributeValue

_GONE = "the item is gone"
_NO_PLACE = "what it was in is gone"


def overlap(first: Path, second: Path) -> bool:
    """Whether two places are the same, or one is within the other."""
    return first[: len(second)] == second[: len(first)]


def value_in(state: AttributeValue | None, path: Path) -> tuple[AttributeValue | None, str]:
    """What is at a place, and why nothing can be put there, if so."""
    value = state
    for depth, step in enumerate(path):
        match value:
            case {"M": dict(members)}:
                value = members.get(str(step))
            case _:
                return None, _NO_PLACE if depth else _GONE
    return value, ""


def with_value(
    state: AttributeValue | None, path: Path, value: AttributeValue | None
) -> AttributeValue | None:
    """A value with another at a place within it."""
    if not path:
        return value
    members = dict((state or {})["M"])
    name = str(path[0])
    inner = with_value(members.get(name), path[1:], value)
    if inner is None:
        members.pop(name, None)
    else:
        members[name] = inner
    return {"M": members}
