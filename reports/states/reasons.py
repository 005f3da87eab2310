"""Why a state is no surer, in words. Pure."""

from typing import TYPE_CHECKING

from reports.states.row_states import begins_known, leaves_known, state_before
from reports.states.watermark import Watermark, may_arrive_after
from stream_core.attribute_values import Item
from stream_core.history_row import HistoryRow, time_text

if TYPE_CHECKING:
    from reports.states.evidence import Evidence

DISORDER = "the times of the changes contradict their sequence numbers"


def fault_of(row: HistoryRow) -> str:
    """What is wrong with a row that is not what was written."""
    return f"is not what was written ({row.fault})"


def fault_beside(before: HistoryRow | None, after: HistoryRow | None) -> str | None:
    """Which of two rows is not what was written; None: nothing is known against either."""
    for name, row in (("before", before), ("after", after)):
        if row is not None and row.fault is not None:
            return f"the row {name} {fault_of(row)}"
    return None


def beside_a_fault(
    evidence: "Evidence", before: HistoryRow, reason: str
) -> tuple[Item | None, bool, str]:
    """What can still be said of a state next to such a row: the item, whether it is known, why."""
    after = evidence.after
    if leaves_known(before):
        return before.change.new_image, after is not None or evidence.live_was_read, reason
    if after is not None and begins_known(after):
        return state_before(after), True, f"{reason}; the row after begins like this"
    if after is None and evidence.live_was_read:
        return evidence.live, True, f"{reason}; this is the live item"
    return None, False, reason


def of_a_gap(evidence: "Evidence", after: HistoryRow) -> str:
    """Why the rows before and after do not fit each other."""
    if evidence.is_disordered or evidence.last_by_time is not None:
        return f"{DISORDER}, and a change is missing"
    if after.change.created_at > may_arrive_after(evidence.watermark, evidence.now):
        return "a change between the rows before and after is still on its way, or is missing"
    return "a change is missing between the rows before and after"


def of_a_later_change(evidence: "Evidence") -> str:
    """Why the last row does not fit the live item."""
    if evidence.last_by_time is not None:
        return f"{DISORDER}, and the last row in neither order left the live item"
    return (
        "the live item has changed since the last row: that change "
        f"{_on_its_way(evidence)}, or it is missing"
    )


def _on_its_way(evidence: "Evidence") -> str:
    watermark = evidence.watermark
    if isinstance(watermark, Watermark):
        return f"was made after {time_text(watermark.at)} and is still on its way"
    return "is still on its way"


def of_the_horizon(evidence: "Evidence") -> str:
    """That the time asked for lies before the history."""
    return f"the history began later, at {evidence.horizon:%Y-%m-%dT%H:%M:%SZ}"
