"""What `redrive` answers, as records."""

from collections.abc import Iterator

from itemtrail.records.items import difference_record
from itemtrail.records.kinds import (
    LEFTOVER,
    LOST,
    MISSING_RECORD,
    PLANNED_ROW,
    REDRIVE,
    REDRIVE_LINE,
    STREAM_READING,
    Record,
    record_of,
)
from operations.redrive.contents import Leftover, Lost
from operations.redrive.result import PlannedRow, Redriven, StreamReading
from operations.stored_rows import MissingRecord
from reports.states.differences import changes_of


def redrive_record(redriven: Redriven) -> Record:
    """What a redrive did, or would do."""
    return record_of(
        REDRIVE,
        redriven,
        clean=redriven.is_clean,
        counts=dict(sorted(redriven.counts.items())),
        leftovers=list(map(_leftover_record, redriven.leftovers)),
        lost=list(map(_lost_record, redriven.lost)),
        stream=None if redriven.stream is None else _stream_record(redriven.stream),
        planned=list(map(_planned_record, redriven.planned)),
    )


def redrive_line_records(redriven: Redriven) -> Iterator[Record]:
    """Every part of a redrive in one shape, what is lost first."""
    blank = dict.fromkeys(REDRIVE_LINE.fields)
    for lost in redriven.lost:
        yield blank | {"outcome": "lost"} | _lost_record(lost)
    for record in redriven.stream.missing if redriven.stream else ():
        yield blank | {"outcome": "missing"} | _missing_record(record)
    for planned in redriven.planned:
        yield blank | {"outcome": "planned"} | _planned_record(planned)
    for leftover in redriven.leftovers:
        yield blank | {"outcome": "left"} | _leftover_record(leftover)
    for key in redriven.done:
        yield blank | {"outcome": "done", "where": key}


def _stream_record(stream: StreamReading) -> Record:
    return record_of(STREAM_READING, stream, missing=list(map(_missing_record, stream.missing)))


def _missing_record(record: MissingRecord) -> Record:
    return record_of(MISSING_RECORD, record, key=record.keys)


def _planned_record(planned: PlannedRow) -> Record:
    change = planned.row.change
    return record_of(
        PLANNED_ROW,
        change,
        where=planned.where,
        key=change.keys,
        in_stream=planned.row.redriven_from is None,
        differences=list(map(difference_record, changes_of(planned.row))),
    )


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
