"""What `undo` shows: the plan, and the result."""

from collections.abc import Iterator

from rich.console import RenderableType

from itemtrail.records.undo import UNDECIDED, undo_outcome
from itemtrail.tables.outcomes import OutcomeRow, outcome_blocks, outcome_row
from operations.recovery.undo import ItemUndone, Undone


def undo_blocks(undone: Undone, title: str, *, is_each: bool = False) -> Iterator[RenderableType]:
    """What is taken back, and which changes were perhaps bad too."""
    undecided = [
        outcome_row(change.keys, "undecided", (), reason=f"{change.event_name.value}: {UNDECIDED}")
        for change in undone.undecided
    ]
    rows = [*map(_outcome_row, undone.items), *undecided]
    return outcome_blocks(title, rows, is_each=is_each)


def _outcome_row(result: ItemUndone) -> OutcomeRow:
    outcome = undo_outcome(result)
    return outcome_row(result.keys, outcome, result.edits, result.conflicts, reason=result.reason)
