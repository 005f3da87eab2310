"""TODO."""

from collections.abc import Iterator

from itemtrail.records.kinds import Record
from operations.replica.discrepancies import Discrepancy, DiscrepancyKind
from operations.replica.repair import Repaired

RESTLESS = "it changed all the time: nothing can be said of it now"


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
