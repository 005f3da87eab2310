"""What `undo` answers, as records."""

from collections.abc import Iterable, Iterator

from itemtrail.records.items import difference_record
from itemtrail.records.kinds import UNDO, Record, record_of
from itemtrail.records.restore import conflict_record
from operations.recovery.bad_changes import UNDECIDED, Undecided
from operations.recovery.undo import ItemUndone


def undo_records(items: Iterable[ItemUndone], undecided: Iterable[Undecided]) -> Iterator[Record]:
    """What was done to each item, or would be, and the changes that were perhaps bad too."""
    for result in items:
        yield record_of(
            UNDO,
            result,
            key=result.keys,
            outcome=undo_outcome(result),
            reason=result.reason or None,
            edits=list(map(difference_record, result.edits)),
            conflicts=list(map(conflict_record, result.conflicts)),
            notes=list(result.notes),
        )
    for change in undecided:
        yield {
            "key": change.keys,
            "outcome": "undecided",
            "reason": UNDECIDED,
            "changes": [change.sort_key],
            "edits": [],
            "conflicts": [],
            "notes": [],
        }


def undo_outcome(result: ItemUndone) -> str:
    """What became of an item, or would."""
    if result.outcome is not None:
        return result.outcome.value
    if result.edits:
        return "planned"
    return "conflict" if result.conflicts else "unneeded"
