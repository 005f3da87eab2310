"""What `restore` answers, as records."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from itemtrail.records.items import difference_record
from itemtrail.records.kinds import (
    CONFLICT,
    RESTORE,
    Record,
    record_of,
)
from operations.execution.item_run import ItemRun
from operations.execution.item_writer import WriteOutcome
from operations.recovery.conflicts import Conflict
from operations.recovery.restore_items import ItemResult
from reports.inputs.paths import path_text


def restore_records(items: Iterable[ItemResult], at: datetime) -> Iterator[Record]:
    """What was done to each item, or would be."""
    for result in items:
        yield record_of(
            RESTORE,
            result,
            key=result.plan.keys,
            at=at,
            outcome=restore_outcome(result),
            reason=result.reason or None,
            certainty=result.plan.then.certainty.value,
            notes=list(result.plan.notes),
            existed=result.plan.then.exists,
            exists=result.plan.now.exists,
            differences=list(map(difference_record, result.plan.differences)),
            conflicts=list(map(conflict_record, result.conflicts)),
        )


def planned_restore_records(results: Iterable[ItemRun], at: datetime) -> Iterator[Record]:
    """What was done to each item of a plan that was kept; why it is not sure, its notes say."""
    for result in results:
        item = result.item
        yield record_of(
            RESTORE,
            item,
            key=item.keys,
            at=at,
            outcome=result.outcome.value,
            reason=result.reason or None,
            certainty=None if item.certainty is None else item.certainty.value,
            notes=list(item.notes),
            existed=item.after is not None,
            exists=item.before is not None,
            differences=list(map(difference_record, item.edits)),
            conflicts=list(map(conflict_record, result.conflicts)),
        )


def restore_outcome(result: ItemResult) -> str:
    """What became of an item, or would."""
    if result.outcome is not None:
        return result.outcome.value
    if result.plan.refusal is not None:
        return WriteOutcome.REFUSED.value
    return "planned" if result.plan.is_needed else "unneeded"


def conflict_record(conflict: Conflict) -> Record:
    """A place that somebody else has changed."""
    return record_of(
        CONFLICT,
        conflict,
        path=path_text(conflict.path),
        **{"found": conflict.actual},  # noqa: PIE804 - the field's name
        reason=conflict.reason or None,
    )
