"""What `undo` shows: the plan, and the result."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from itemtrail.records.undo import UNDECIDED, undo_outcome
from itemtrail.tables import cells
from itemtrail.tables.outcomes import OutcomeRow, outcome_blocks, outcome_lines
from operations.recovery.undo import ItemUndone, Undone


def undo_blocks(undone: Undone, title: str) -> Iterator[RenderableType]:
    """What is taken back, and which changes were perhaps bad too."""
    undecided = [
        (
            cells.key_cell(change.keys),
            "undecided",
            Text(f"{change.event_name.value}: {UNDECIDED}"),
        )
        for change in undone.undecided
    ]
    return outcome_blocks(title, [*map(_outcome_row, undone.items), *undecided])


def _outcome_row(result: ItemUndone) -> OutcomeRow:
    what = outcome_lines(result.edits, result.keys, result.conflicts, result.reason)
    return cells.key_cell(result.keys), undo_outcome(result), what
