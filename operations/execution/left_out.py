"""What a plan leaves out, and why: whoever approves the plan sees that too. Pure."""

from dataclasses import dataclass
from typing import Any

from operations.execution.plan_line import plan_line, read_value
from operations.recovery.conflicts import Conflict
from stream_core.attribute_values import Item, read_item


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An item that is not as it should be, or places in it, of which nothing is written.

    Attributes:
        outcome: what it is, as in the command's answer: `conflict`, `refused`, `undecided`.
        reason: why, where the conflicts do not tell.
        because: sort keys of the history rows that it is about.
    """

    keys: Item
    outcome: str
    reason: str = ""
    conflicts: tuple[Conflict, ...] = ()
    because: tuple[str, ...] = ()


def left_out_line(left_out: LeftOut) -> bytes:
    """It as a line of a plan."""
    return plan_line(
        {
            "left_out": left_out.outcome,
            "key": left_out.keys,
            "reason": left_out.reason,
            "conflicts": [
                {
                    "path": conflict.path,
                    "expected": conflict.expected,
                    "found": conflict.actual,
                    "wanted": conflict.wanted,
                    "reason": conflict.reason,
                }
                for conflict in left_out.conflicts
            ],
            "because": left_out.because,
        }
    )


def read_left_out(content: dict[str, Any]) -> LeftOut:
    """It as a line of a plan has it."""
    keys = read_item(content["key"])
    return LeftOut(
        keys,
        content["left_out"],
        content["reason"],
        tuple(_read_conflict(keys, conflict) for conflict in content["conflicts"]),
        tuple(content["because"]),
    )


def _read_conflict(keys: Item, content: dict[str, Any]) -> Conflict:
    path = tuple(content["path"])
    expected, actual, wanted = (
        read_value(path, content[name]) for name in ("expected", "found", "wanted")
    )
    return Conflict(keys, path, expected, actual, wanted, content["reason"])
