"""What `undo` shows: the plan, and the result."""

from collections.abc import Iterable, Iterator
from itertools import chain

from rich.console import RenderableType

from itemtrail.records.undo import undo_outcome
from itemtrail.tables.outcomes import OutcomeRow, outcome_blocks, outcome_row
from operations.recovery.bad_changes import UNDECIDED, Undecided
from operations.recovery.undo import ItemUndone


def undo_blocks(
    items: Iterable[ItemUndone],
    undecided: Iterable[Undecided],
    title: str,
    *,
    is_each: bool = False,
) -> Iterator[RenderableType]:
    """What is taken back, and which changes were perhaps bad too."""
    unclear = (
        outcome_row(change.keys, "undecided", (), reason=f"{change.event_name.value}: {UNDECIDED}")
        for change in undecided
    )
    rows = chain(map(_outcome_row, items), unclear)
    return outcome_blocks(title, rows, is_each=is_each)


def _outcome_row(result: ItemUndone) -> OutcomeRow:
    return outcome_row(
        result.keys,
        undo_outcome(result),
        result.edits,
        result.conflicts,
        is_delete=result.is_delete,
        reason=result.reason,
        notes=result.notes,
    )
