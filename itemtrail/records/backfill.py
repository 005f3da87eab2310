"""What the operations answer, as flat records, as `records.py` has the questions' answers."""

from collections.abc import Iterator

from itemtrail.records.kinds import Record
from operations.backfill.plan import Backfill
from operations.backfill.results import Problem
from operations.enable import Stream


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
