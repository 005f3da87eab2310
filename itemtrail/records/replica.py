"""What `compare` and `repair` answer, as records."""

from collections.abc import Iterator

from itemtrail.records.kinds import DISCREPANCY, REPAIR, REPAIR_LINE, Record, record_of
from operations.execution.plan_file import PlanAction
from operations.replica.discrepancies import Discrepancy, DiscrepancyKind
from operations.replica.repair import Repaired

_PROBLEMS = {
    PlanAction.PUT: DiscrepancyKind.MISSING,
    PlanAction.UPDATE: DiscrepancyKind.DIFFERENT,
    PlanAction.DELETE: DiscrepancyKind.EXTRANEOUS,
}
_RESTLESS = "it changed all the time: nothing can be said of it now"


def discrepancy_record(discrepancy: Discrepancy) -> Record:
    """An item of the replica that is not as in the source."""
    explanation, behind = discrepancy.explanation, discrepancy.behind
    return record_of(
        DISCREPANCY,
        discrepancy,
        key=discrepancy.keys,
        meaning=explanation.meaning,
        to_do=explanation.to_do,
        changes_behind=explanation.changes_behind,
        behind_since=explanation.behind_since,
        behind_s=None if behind is None else round(behind.total_seconds()),
    )


def repair_record(repaired: Repaired) -> Record:
    """What a repair did, or would do."""
    return record_of(
        REPAIR,
        repaired,
        clean=repaired.is_clean,
        planned=list(planned_records(repaired)),
        unhealed=list(unhealed_records(repaired)),
        **{kind.value: repaired.differing.get(kind, 0) for kind in DiscrepancyKind},
    )


def repair_line_records(repaired: Repaired) -> Iterator[Record]:
    """What would be done to each item, then the items that are not known to be equal."""
    yield from planned_records(repaired)
    yield from unhealed_records(repaired)


def planned_records(repaired: Repaired) -> Iterator[Record]:
    """How each item differs, and what would be done to it; nothing of what was carried out."""
    for item in () if repaired.applied else repaired.plan:
        problem, action = _PROBLEMS[item.action].value, item.action.value
        yield record_of(
            REPAIR_LINE, item, key=item.keys, problem=problem, action=action, reason=None
        )


def unhealed_records(repaired: Repaired) -> Iterator[Record]:
    """The items that are not known to be equal."""
    for item in repaired.unhealed:
        yield record_of(
            REPAIR_LINE, item, key=item.keys, problem="unhealed", action=None, reason=item.why
        )
    for keys in repaired.restless:
        yield record_of(
            REPAIR_LINE, keys, key=keys, problem="restless", action=None, reason=_RESTLESS
        )
