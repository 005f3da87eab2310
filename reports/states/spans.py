"""The states of an item in order, each for as long as it lasted. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import chain, pairwise

from reports.states.evidence import Evidence
from reports.states.global_tables import without_replication
from reports.states.stream_order import placed_rows
from reports.states.timeline import Certainty, ItemState, judge, judge_span
from stream_core.attribute_values import same_item
from stream_core.change import EventName
from stream_core.history_row import HistoryRow


def timeline(
    rows: Iterable[HistoryRow], newest: Evidence, previous: HistoryRow | None = None
) -> Iterator[ItemState]:
    """The states of an item in order, the one before the first row included.

    Args:
        rows: its rows, oldest first.
        newest: what is known at the end; `before` is the last of `rows` to be made.
        previous: the row before the first of `rows`, where they do not start the history.

    Yields:
        A state for the time from when the history began to the first row, unless that is older,
        and one for each row; each lasts until the next one begins. Changes of one second give
        states that last no time by the clock, as do those whose times go back: they come in the
        order of their sequence numbers. Where the evidence is of now and the last row does not fit
        the live item, one more: the live item, of which it is not known since when it is so.
    """
    of_the_past = replace(newest, live_was_read=False, live=None)
    since = previous.change.created_at if previous else None
    for row, was_moved in placed_rows(spoken_for(rows)):
        until = max(since or row.change.created_at, row.change.created_at)
        at = since or newest.horizon
        around = replace(of_the_past, at=at, before=previous, after=row, since=since, until=until)
        yield from _spans(replace(around, is_disordered=was_moved))
        previous, since = row, until
    newest = replace(newest, before=previous, since=since)
    last = previous.change.new_image if previous else None
    if newest.ended_by is not None and newest.ended_by <= newest.at:
        last = None
    # Without an end it lasts until now, also where a range ended earlier.
    yield from _spans(newest, until=max(newest.at, newest.now))
    if previous is not None and newest.is_of_now and not same_item(last, newest.live):
        yield _live_span(judge(newest))


def _before_the_first(evidence: Evidence, until: datetime | None) -> Iterator[ItemState]:
    """What was before an item's first row, since the history began: of before nothing is known."""
    horizon = evidence.horizon
    first = evidence.until or (evidence.after.change.created_at if evidence.after else None)
    if first is None or first > horizon:
        # As sure as it is at its beginning: a backfill vouches for what was after it.
        yield judge_span(replace(evidence, at=horizon), until)


def _spans(evidence: Evidence, until: datetime | None = None) -> Iterator[ItemState]:
    """The state after a row, and after it the absence of an item that ended with its table."""
    ended_by, before = evidence.ended_by, evidence.before
    if before is None:
        yield from _before_the_first(evidence, until)
        return
    if ended_by is None:
        yield judge_span(evidence, until)
        return
    if before.change.created_at < ended_by:
        yield judge_span(replace(evidence, at=before.change.created_at))
    if evidence.after is None or ended_by < evidence.after.change.created_at:
        yield judge_span(replace(evidence, at=max(evidence.at, ended_by)), until)


def spoken_for(rows: Iterable[HistoryRow]) -> Iterator[HistoryRow]:
    """The rows without those baselines that a change of the same second follows.

    A baseline is stamped with its second and sorts first in it, but shows a moment somewhere
    within: that of the change is known better. What a global table does on its own is part of the
    change before.
    """
    return without_replication(
        row
        for row, following in pairwise(chain(rows, [None]))
        if row is not None and not is_superseded(row, following)
    )


def is_superseded(row: HistoryRow, following: HistoryRow | None) -> bool:
    """Whether a row is a baseline that a change of the same second follows."""
    return (
        row.change.event_name is EventName.SNAPSHOT
        and following is not None
        and following.change.created_at == row.change.created_at
    )


def _live_span(state: ItemState) -> ItemState:
    """The live item as the last state of a timeline: it is so now, it is not known since when."""
    return replace(state, certainty=Certainty.BOUNDED, basis=None, is_contradicted=False)
