"""What `verify` answers, as records."""

from itemtrail.records.kinds import FINDING, VERIFICATION, Record, record_of
from reports.verification.continuity import Finding
from reports.verification.verdicts import Verification


def finding_record(finding: Finding) -> Record:
    """Something that is not as it must be in a history."""
    return record_of(FINDING, finding, finding=finding.kind.value, key=finding.keys)


def verification_record(verification: Verification) -> Record:
    """Both verdicts on a history, what was read for them, and the findings."""
    return record_of(
        VERIFICATION,
        verification,
        findings=list(map(finding_record, verification.findings)),
    )
