"""What `restore --into` answers, as records."""

from collections.abc import Iterator
from datetime import datetime

from itemtrail.records.kinds import TABLE_RESTORE, TABLE_RESTORE_LINE, Record, record_of
from operations.recovery.restore_items import UNKNOWN_KEY
from operations.recovery.table.results import TableRestored

_EXTRANEOUS = (
    "it is not in the order: somebody else wrote it, or an earlier run knew otherwise; where it is "
    "not meant to be, delete it there and give the same command again"
)


def table_restore_record(restored: TableRestored, at: datetime, go_on: str | None) -> Record:
    """What a restore of a table did, or would do.

    Args:
        restored: what it came to.
        at: the instant.
        go_on: the command that goes on with it; None: there is nothing to go on with.
    """
    return record_of(
        TABLE_RESTORE,
        restored,
        clean=restored.is_clean,
        finished=restored.applied and restored.is_finished,
        at=at,
        uncertain=restored.uncertain.total(),
        unwritten=len(restored.unwritten),
        unknown=len(restored.unknown),
        problems=list(table_restore_line_records(restored)),
        settings=dict(restored.settings.request),
        left_out=list(restored.left_out),
        notes=list(restored.notes),
        go_on=go_on,
    )


def table_restore_line_records(restored: TableRestored) -> Iterator[Record]:
    """The items that the new table lacks or should not have, that nothing knows, or not surely."""
    for unwritten in restored.unwritten:
        yield record_of(
            TABLE_RESTORE_LINE,
            unwritten,
            problem="unwritten",
            key=unwritten.keys,
            existed=True,
            certainty=None,
        )
    for key in restored.unknown:
        yield record_of(
            TABLE_RESTORE_LINE,
            key,
            problem="unknown",
            key=key,
            existed=False,
            certainty=None,
            reason=UNKNOWN_KEY,
        )
    for key in restored.extraneous_keys:
        yield record_of(
            TABLE_RESTORE_LINE,
            key,
            problem="extraneous",
            key=key,
            existed=False,
            certainty=None,
            reason=_EXTRANEOUS,
        )
    for uncertain in restored.listed:
        yield record_of(
            TABLE_RESTORE_LINE,
            uncertain,
            problem="uncertain",
            key=uncertain.keys,
            existed=uncertain.exists,
        )
