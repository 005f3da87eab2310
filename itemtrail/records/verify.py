"""TODO."""

from itemtrail.records.kinds import Record
from reports.verification.continuity import Finding
from reports.verification.verdicts import Verification


def finding(one: Finding) -> Record:
    """Something wrong with a history."""
    return {
        "finding": one.kind.value,
        "key": one.keys,
        "since": one.since,
        "until": one.until,
        "sort_key": one.sort_key,
        "detail": one.detail,
        "declared": one.declared,
    }


def verification(of: Verification) -> Record:
    """Both verdicts on a history, what was read for them, and what was found."""
    return {
        "clean": of.clean,
        "integrity": of.integrity.value,
        "completeness": of.completeness.value,
        "items": of.items,
        "rows": of.rows,
        "overflow_objects": of.overflow_objects,
        "findings": list(map(finding, of.findings)),
        "notes": of.notes,
    }
