"""Telling of rows that are not what was written, and ending accordingly."""

from itemtrail.exit_status import FINDINGS
from itemtrail.output.answer import tell
from reports import HistoryTable

# More than these are found by asking `verify` about the whole table.
_MOST_KEYS = 5


def judged(trail: HistoryTable, status: int) -> int:
    """The exit status of an answer, once it was given; whoever asked is told of faulty rows."""
    faults = trail.faults
    if not faults:
        return status
    foreign = sum(fault.is_foreign for fault in faults)
    counted = [
        *_so_many(len(faults) - foreign, "not what was written"),
        *_so_many(foreign, "of another table"),
    ]
    them = "it" if len(faults) == 1 else "them"
    tell(f"{', '.join(counted)}, and what rests on {them} is not exact; what is wrong says:")
    advice = list(dict.fromkeys(fault.advice for fault in faults))
    for line in advice[:_MOST_KEYS]:
        tell(f"  {line}")
    if len(advice) > _MOST_KEYS:
        tell(f"  … and {len(advice) - _MOST_KEYS:,} more items: itemtrail verify")
    return FINDINGS


def _so_many(count: int, what: str) -> list[str]:
    rows = "1 row is" if count == 1 else f"{count:,} rows are"
    return [f"{rows} {what}"] if count else []
