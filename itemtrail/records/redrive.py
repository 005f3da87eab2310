"""What `redrive` answers, as records."""

from collections.abc import Iterator

from itemtrail.records.kinds import LEFTOVER, LOST, REDRIVE, REDRIVE_LINE, Record, record_of
from operations.redrive.contents import Leftover, Lost
from operations.redrive.run import Redriven


def redrive_record(redriven: Redriven) -> Record:
    """What a redrive did, or would do."""
    return record_of(
        REDRIVE,
        redriven,
        clean=redriven.is_clean,
        counts=dict(sorted(redriven.counts.items())),
        leftovers=list(map(_leftover_record, redriven.leftovers)),
        lost=list(map(_lost_record, redriven.lost)),
    )


def redrive_line_records(redriven: Redriven) -> Iterator[Record]:
    """Every part of a redrive in one shape, what is lost first."""
    blank = dict.fromkeys(REDRIVE_LINE.fields)
    for lost in redriven.lost:
        yield blank | {"outcome": "lost"} | _lost_record(lost)
    for leftover in redriven.leftovers:
        yield blank | {"outcome": "left"} | _leftover_record(leftover)
    for key in redriven.done:
        yield blank | {"outcome": "done", "where": key}


def _leftover_record(leftover: Leftover) -> Record:
    return record_of(LEFTOVER, leftover)


def _lost_record(lost: Lost) -> Record:
    return record_of(
        LOST,
        lost.place,
        where=lost.where,
        reason=lost.reason,
        **{"found": lost.remaining},  # noqa: PIE804 - the field's name
    )
