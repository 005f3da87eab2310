"""The whole table as it was at an instant, the cheaper of two ways."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from reports.access.by_time import expected_requests
from reports.access.clients import CONCURRENCY
from reports.access.parallel import in_order
from reports.access.progress import Progress
from reports.access.row_reader import MOST_A_CALL, RowReader
from reports.access.table_description import describe
from reports.errors import UncertainError
from reports.inputs.keys import key_text
from reports.states.timeline import Certainty, ItemState, judge
from reports.table.known_items import (
    KnownItem,
    Span,
    evidence_of_each,
    in_batches,
    known_items,
)
from reports.table.rewind import UNSEEN, rewound
from stream_core.history_row import time_text

_MB, _UNIT = 1024 * 1024, 4096
# A request takes about as long as reading so many units of 4 KB more.
_REQUEST = 16
# Read within a second or two; what it tells is surer than rewinding, so it need not be cheaper.
_LITTLE = 2000
_ENTRY_BYTES = 200


@dataclass
class TableAsOf:
    """A table as of an instant.

    Attributes:
        at: the instant asked for, UTC.
        method: `history`: every row's place was read, and of each item the rows on both sides of
            the instant; `rewind`: the live table was read, and what changed since taken back.
        reason: why this way, and what the answer cannot tell, in words.
        states: the items that existed, in no order, and those that did not but are not sure not
            to have; read while it is iterated.
    """

    at: datetime
    method: Literal["history", "rewind"]
    reason: str
    states: Iterator[ItemState]


def table_states(
    reader: RowReader, at: datetime, now: datetime, *, certain: bool, progress: Progress
) -> TableAsOf:
    """Every item of a table as it was at an instant, changes stamped at that instant included.

    Args:
        reader: reads both tables, and the index of the history.
        at: the instant.
        now: the present.
        certain: refuse a state that is not `exact`; the history is read for it then, because the
            live table vouches for nothing.
        progress: is called with the live items, the rows, the hours and the items done.

    Raises:
        UncertainError: `certain` was asked for, and the answer is weaker; for a single item this
            is raised while the states are iterated.
    """
    if certain:
        _refuse_what_no_history_knows(reader, at, now)
    method, reason = _choose(reader, at, now, certain=certain)
    if method == "rewind":
        states = rewound(reader, at, now, progress)
        if at < now:
            reason += f"; {UNSEEN}"
    else:
        states = _from_history(reader, at, now, progress)
    if at < now and not reader.watermark_at(at).covers(at):
        # Of an item of which nothing has arrived there is no line that could say so.
        reason += f"; {reader.watermark.doubt(now)}"
    if at < reader.horizon:
        reason += f"; what was deleted before the history began at {_began(reader)} does not show"
    return TableAsOf(at, method, reason, _reported(states, certain=certain))


def _refuse_what_no_history_knows(reader: RowReader, at: datetime, now: datetime) -> None:
    why = None
    if at > now:
        why = "the time lies in the future"
    elif at < reader.horizon:
        why = f"the history began later, at {_began(reader)}"
    if why is not None:
        raise UncertainError(f"the state of the table as of {time_text(at)} is unknown: {why}")
    if at < now and not reader.watermark_at(at).covers(at):
        raise UncertainError(
            f"the state of the table as of {time_text(at)} is only bounded: "
            f"{reader.watermark.doubt(now)}"
        )


def _began(reader: RowReader) -> str:
    return f"{reader.horizon:%Y-%m-%dT%H:%M:%SZ}"


def _choose(
    reader: RowReader, at: datetime, now: datetime, *, certain: bool
) -> tuple[Literal["history", "rewind"], str]:
    if certain:
        return "history", "only the history makes a state certain"
    if reader.source_table is None:
        return "history", "no source table was given to rewind from"
    if not reader.horizon <= at <= now:
        return "history", "the time lies outside the recorded history"
    if reader.source is not None and at < reader.source.created_at:
        return "history", "the table was made anew since: the live one tells nothing of before"
    live_items = describe(reader.dynamodb, reader.source_table).items or 0
    return _cheaper(reader, at, now, live_items)


def _cheaper(
    reader: RowReader, at: datetime, now: datetime, live_items: int
) -> tuple[Literal["history", "rewind"], str]:
    """Weigh both ways by the tables' sizes, which AWS counts anew every six hours.

    The live table is read either way, so it does not count. Changes are taken to be spread evenly
    over the time of the history.
    """
    history = describe(reader.dynamodb, reader.history_table)
    rows, size = history.items or 0, history.size_bytes or 0
    if not rows:
        return "history", "AWS has not counted the history's rows yet, so they are few or young"
    row_bytes = size // rows
    age = (now - reader.horizon).total_seconds()
    since = round(rows * (now - at).total_seconds() / age) if age else rows
    items = min(rows, live_items or rows)
    changed = min(since, items)
    queries = expected_requests(at, now, rows, since)
    fetched = items + changed
    history_cost = _cost(size // _MB + fetched // MOST_A_CALL, size + fetched * row_bytes)
    if history_cost < _LITTLE:
        return "history", f"with about {rows} rows it is small enough to be read"
    rewind_cost = _cost(queries + 3 * changed, since * _ENTRY_BYTES + 2 * changed * row_bytes)
    since_text = f"about {since} of {rows} rows and {queries} requests to the index"
    if rewind_cost < history_cost:
        return "rewind", f"cheaper than reading the whole history: {since_text} lead back"
    return "history", f"no dearer than rewinding the live table, where {since_text} lead back"


def _cost(requests: int, size: int) -> float:
    return requests * _REQUEST + size / _UNIT


def _from_history(
    reader: RowReader, at: datetime, now: datetime, progress: Progress
) -> Generator[ItemState, None, None]:
    def judged(batch: Sequence[KnownItem]) -> list[ItemState]:
        states = []
        for evidence in evidence_of_each(reader, batch, at, now):
            state = judge(evidence)
            # A change is missing, or was recorded during the reading: asking anew tells.
            if state.is_contradicted:
                state = judge(reader.evidence(evidence.keys, at, now))
            states.append(state)
        return states

    known = known_items(reader, Span.instant(at), now, progress)
    with (
        closing(known),
        closing(in_order(judged, in_batches(known), ahead=CONCURRENCY)) as batches,
    ):
        for states in batches:
            yield from states


def require_exact(state: ItemState) -> None:
    """Refuse a state that is less than certain.

    Raises:
        UncertainError: it is.
    """
    if state.certainty is not Certainty.EXACT:
        raise UncertainError(
            f"the state of {key_text(state.keys)} as of {time_text(state.at)} is only "
            f"{state.certainty}: {state.reason}"
        )


def _reported(
    states: Generator[ItemState, None, None], *, certain: bool
) -> Generator[ItemState, None, None]:
    with closing(states):
        for state in states:
            if certain:
                require_exact(state)
            if state.exists or state.certainty is not Certainty.EXACT:
                yield state
