"""The evidence on an item where the times around an instant go back: one more read of its rows."""

from dataclasses import replace
from typing import TYPE_CHECKING

from reports.access.faulty_rows import unloaded_row
from reports.states.evidence import Evidence
from reports.states.spans import spoken_for
from reports.states.stream_order import MOST_BACK, MOST_NEIGHBOURS, earliest_before, neighbours
from stream_core.history_row import SORT_KEY, sort_key_after, time_text

if TYPE_CHECKING:
    from reports.access.row_reader import RowReader


def by_number(reader: "RowReader", identifier: str, evidence: Evidence) -> Evidence:
    """The same evidence or, where sequence numbers contradict the times, that of the right rows.

    Args:
        reader: reads the rows around the instant, once.
        identifier: the item's `Id`.
        evidence: what does not fit each other.
    """
    near = [row.change.created_at for row in (evidence.before, evidence.after) if row]
    if not near:
        return evidence
    first, last = earliest_before(min(near)), max(near) + MOST_BACK
    items = {
        item[SORT_KEY]["S"]: item
        for item in reader.items(
            identifier, after=time_text(first), until=sort_key_after(last), limit=MOST_NEIGHBOURS
        )
    }
    rows = (unloaded_row(item) for item in items.values())
    beside = neighbours(spoken_for(rows), evidence.at)
    # Of more rows the first ones alone would tell half of it.
    if beside is None or len(items) == MOST_NEIGHBOURS:
        return evidence
    before, after = (
        row and reader.read(items[row.sort_key]) for row in (beside.before, beside.after)
    )
    return replace(
        evidence,
        before=before,
        after=after,
        since=beside.since,
        until=beside.until,
        is_disordered=beside.are_disordered,
        last_by_time=evidence.last_sort_key,
    )
