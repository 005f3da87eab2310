"""What `compare` and `repair` answer, as records."""

from collections.abc import Iterator

from itemtrail.records.kinds import DISCREPANCY, REPAIR, UNHEALED, Record, record_of
from operations.replica.discrepancies import Discrepancy, DiscrepancyKind
from operations.replica.repair import Repaired

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
        unhealed=list(unhealed_records(repaired)),
        **{kind.value: repaired.differing.get(kind, 0) for kind in DiscrepancyKind},
    )


def unhealed_records(repaired: Repaired) -> Iterator[Record]:
    """The items that are not known to be equal."""
    for item in repaired.unhealed:
        yield record_of(UNHEALED, item, key=item.keys, reason=item.why)
    for keys in repaired.restless:
        yield {"key": keys, "reason": _RESTLESS}
