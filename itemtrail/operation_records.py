"""What the operations answer, as flat records, as `records.py` has the questions' answers."""

from collections.abc import Iterator
from datetime import datetime

from itemtrail.record_kinds import REDRIVE_LINE, Record
from itemtrail.records import difference
from operations.backfill import Backfill
from operations.conditional_write import Verdict
from operations.conflicts import Conflict
from operations.discrepancies import Discrepancy, DiscrepancyKind
from operations.enable import Stream
from operations.kept_aside import Leftover, Lost
from operations.redrive import Redriven
from operations.repair import Repaired
from operations.restore import ItemResult, Restored
from operations.restore_table import TableRestored
from operations.tally import Problem
from operations.undo import ItemUndone, Undecided, Undone
from reports.paths import path_text

RESTLESS = "it changed all the time: nothing can be said of it now"
UNDECIDED = "nothing tells who made the change: it is not taken back"


def backfill(of: Backfill) -> Record:
    """What a backfill did, or would do."""
    return {
        "applied": of.applied,
        "finished": of.finished,
        "clean": of.finished and not of.problems and not of.unfinished,
        **of.counts.as_json(),
        "problems": list(backfill_problems(of)),
        "go_on": of.go_on,
        "gap": of.gap,
    }


def backfill_problems(of: Backfill) -> Iterator[Record]:
    """The items that a backfill could not do."""
    for problems, passing in ((of.problems, False), (of.unfinished, True)):
        for one in problems:
            yield _problem(one, passing=passing)


def _problem(one: Problem, *, passing: bool) -> Record:
    return {"key_digest": one.key_digest, "passing": passing, "reason": one.reason}


def stream(of: Stream) -> Record:
    """The stream of a table."""
    return {
        "table": of.table,
        "stream_arn": of.arn,
        "was_on": of.was_on,
        "applied": of.applied,
    }


def discrepancy(one: Discrepancy) -> Record:
    """An item of the replica that is not as in the source."""
    told = one.explanation
    return {
        "key": one.keys,
        "kind": one.kind.value,
        "reason": one.reason and one.reason.value,
        "meaning": told.meaning,
        "to_do": told.to_do,
        "at": one.at,
        "changes_behind": told.changes_behind,
        "behind_since": told.behind_since,
        "behind_s": None if one.behind is None else round(one.behind.total_seconds()),
        "source": one.source,
        "replica": one.replica,
    }


def repair(of: Repaired) -> Record:
    """What a repair did, or would do."""
    return {
        "applied": of.applied,
        "clean": of.is_clean,
        "looked_at": of.looked_at,
        "equal": of.equal,
        **{kind.value: of.differing.get(kind, 0) for kind in DiscrepancyKind},
        "healed": of.healed,
        "unhealed": list(unhealed(of)),
    }


def unhealed(of: Repaired) -> Iterator[Record]:
    """The items that are not known to be equal."""
    for one in of.unhealed:
        yield {"key": one.keys, "reason": one.why}
    for keys in of.restless:
        yield {"key": keys, "reason": RESTLESS}


def redrive(of: Redriven) -> Record:
    """What a redrive did, or would do."""
    return {
        "applied": of.applied,
        "clean": of.is_clean,
        "objects": of.objects,
        "records": of.records,
        "counts": dict(sorted(of.counts.items())),
        "done": list(of.done),
        "leftovers": list(map(leftover, of.leftovers)),
        "lost": list(map(lost, of.lost)),
    }


def leftover(one: Leftover) -> Record:
    """Something that stays where it is."""
    return {
        "where": one.where,
        "why": one.why.value,
        "reason": one.reason,
        "consumer": one.consumer and one.consumer.value,
        "sequence_number": one.sequence_number,
        "key_digest": one.key_digest,
    }


def lost(one: Lost) -> Record:
    """Part of a stream that nobody has any more."""
    return {
        "where": one.where,
        "reason": one.reason,
        "found": one.found,
        "stream_arn": one.place.stream_arn,
        "shard_id": one.place.shard_id,
        "start": one.place.start,
        "end": one.place.end,
    }


def redrive_lines(of: Redriven) -> Iterator[Record]:
    """Every part of a redrive in one shape, what is lost first."""
    nothing = dict.fromkeys(REDRIVE_LINE.fields)
    for expired in of.lost:
        yield nothing | {"outcome": "lost"} | lost(expired)
    for one in of.leftovers:
        yield nothing | {"outcome": "left"} | leftover(one)
    for key in of.done:
        yield nothing | {"outcome": "done", "where": key}


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
    if one.verdict is not None:
        return one.verdict.value
    if one.plan.refusal is not None:
        return Verdict.REFUSED.value
    return "planned" if one.plan.is_needed else "unneeded"


def conflict(one: Conflict) -> Record:
    """A place that somebody else has changed."""
    return {
        "path": path_text(one.path),
        "expected": one.expected,
        "found": one.found,
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
    if one.verdict is not None:
        return one.verdict.value
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
