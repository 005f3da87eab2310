"""What `enable` and `backfill` answer, as records."""

from collections.abc import Iterator

from itemtrail.records.kinds import BACKFILL, MARK, PROBLEM, STREAM, Record, record_of
from operations.backfill.plan import Backfill
from operations.enable import Stream


def backfill_record(backfill: Backfill) -> Record:
    """What a backfill did, or would do."""
    return record_of(
        BACKFILL,
        backfill,
        clean=backfill.finished and not backfill.problems and not backfill.unfinished,
        problems=list(problem_records(backfill)),
        mark=None if backfill.mark is None else record_of(MARK, backfill.mark),
        **backfill.counts.as_json(),
    )


def problem_records(backfill: Backfill) -> Iterator[Record]:
    """The items that a backfill could not do."""
    for problems, passing in ((backfill.problems, False), (backfill.unfinished, True)):
        for problem in problems:
            yield record_of(PROBLEM, problem, passing=passing)


def stream_record(stream: Stream) -> Record:
    """The stream of a table."""
    return record_of(STREAM, stream, stream_arn=stream.arn)
