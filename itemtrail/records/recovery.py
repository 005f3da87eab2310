"""TODO."""

from collections.abc import Iterator
from datetime import datetime

from itemtrail.records.items import difference
from itemtrail.records.kinds import Record
from operations.recovery.conditional_write import WriteOutcome
from operations.recovery.conflicts import Conflict
from operations.recovery.restore_items import ItemResult, Restored
from operations.recovery.restore_table import TableRestored
from operations.recovery.undo import ItemUndone, Undecided, Undone
from reports.inputs.paths import path_text

UNDECIDED = "nothing tells who made the change: it is not taken back"


def restored(of: Restored, at: datetime) -> Iterator[Record]:
    """What was done to each item, or would be."""
    for one in of.items:
        yield {
            "key": one.plan.keys,
            "at": at,
            "outcome": restore_outcome(one),
            "reason": one.reason or None,
            "certainty": one.plan.then.certainty.value,
            "existed": one.plan.then.exists,
            "exists": one.plan.now.exists,
            "differences": list(map(difference, one.plan.differences)),
            "conflicts": list(map(conflict, one.conflicts)),
        }


def restore_outcome(one: ItemResult) -> str:
    """What became of an item, or would."""
    if one.outcome is not None:
        return one.outcome.value
    if one.plan.refusal is not None:
        return WriteOutcome.REFUSED.value
    return "planned" if one.plan.is_needed else "unneeded"


def conflict(one: Conflict) -> Record:
    """A place that somebody else has changed."""
    return {
        "path": path_text(one.path),
        "expected": one.expected,
        "found": one.actual,
        "wanted": one.wanted,
        "reason": one.reason or None,
    }


def table_restore(of: TableRestored, at: datetime) -> Record:
    """What a restore of a table did, or would do."""
    return {
        "applied": of.applied,
        "clean": of.is_clean,
        "new_table": of.new_table,
        "at": at,
        "method": of.method,
        "reason": of.reason,
        "items": of.items,
        "uncertain": of.uncertain.total(),
        "unwritten": len(of.unwritten),
        "reasons": dict(of.uncertain.most_common()),
        "problems": list(table_restore_lines(of)),
        "notes": list(of.notes),
    }


def table_restore_lines(of: TableRestored) -> Iterator[Record]:
    """The items that the new table lacks, and those of which it is not sure."""
    for missing in of.unwritten:
        yield {
            "problem": "unwritten",
            "key": missing.keys,
            "existed": True,
            "certainty": None,
            "reason": missing.reason,
        }
    for one in of.listed:
        yield {
            "problem": "uncertain",
            "key": one.keys,
            "existed": one.exists,
            "certainty": one.certainty.value,
            "reason": one.reason,
        }


def undone(of: Undone) -> Iterator[Record]:
    """What was done to each item, or would be, and the changes that were perhaps bad too."""
    for one in of.items:
        yield {
            "key": one.keys,
            "outcome": undo_outcome(one),
            "reason": one.reason or None,
            "changes": list(one.changes),
            "edits": list(map(difference, one.edits)),
            "conflicts": list(map(conflict, one.conflicts)),
        }
    yield from map(undecided, of.undecided)


def undo_outcome(one: ItemUndone) -> str:
    """What became of an item, or would."""
    if one.outcome is not None:
        return one.outcome.value
    if one.edits:
        return "planned"
    return "conflict" if one.conflicts else "unneeded"


def undecided(one: Undecided) -> Record:
    """A change that was perhaps made by the actor given."""
    return {
        "key": one.keys,
        "outcome": "undecided",
        "reason": UNDECIDED,
        "changes": [one.sort_key],
        "edits": [],
        "conflicts": [],
    }
