"""Telling of rows that are not what was written, and ending accordingly."""

from itemtrail.exit_status import FINDINGS
from itemtrail.output.answer import tell
from reports import HistoryTable

# More than these are found by asking `verify` about the whole table.
_MOST_KEYS = 5


def judged(trail: HistoryTable, status: int) -> int:
    """The exit status of an answer, once it was given; whoever asked is told of altered rows."""
    faults = trail.faults
    if not faults:
        return status
    rows, them = ("1 row is", "it") if len(faults) == 1 else (f"{len(faults):,} rows are", "them")
    tell(f"{rows} not what was written, and what rests on {them} is not exact; what is wrong says:")
    advice = list(dict.fromkeys(fault.advice for fault in faults))
    for line in advice[:_MOST_KEYS]:
        tell(f"  {line}")
    if len(advice) > _MOST_KEYS:
        tell(f"  … and {len(advice) - _MOST_KEYS:,} more items: itemtrail verify")
    return FINDINGS
