"""Since when, and by which change, each attribute of an item is what it is. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from reports.inputs.paths import Path, leaves
from reports.states.actor import Actor, actor_of
from reports.states.differences import Difference, changes_of, differences
from reports.states.evidence import Evidence
from reports.states.lives import Boundary, Crossing
from reports.states.reasons import fault_of
from reports.states.row_states import begins_known, leaves_known, state_before
from reports.states.spans import is_superseded
from reports.states.timeline import Certainty, ItemState, judge, judge_span, weaker_of
from reports.states.watermark import Basis
from stream_core.attribute_values import AttributeValue, Item, own_attributes, same_item
from stream_core.history_row import HistoryRow, time_text

_UNNAMED = Actor(None, None, None)


@dataclass(frozen=True, slots=True)
class Blame:
    """One attribute path, and the change that made it what it is.

    Attributes:
        path: to a value that holds no other; a set, an empty list and an empty map are such.
        row: the history row of the change, None where none is recorded; `since` is its time.
        certainty: never better than that of the state; `bounded` where the change itself is
            missing, not recorded yet, or older than the history; `reason` says which.
        basis: what `exact` rests on, else None.
    """

    path: Path
    value: AttributeValue
    row: HistoryRow | None
    actor: Actor
    certainty: Certainty
    reason: str
    basis: Basis | None = None


def blame(
    evidence: Evidence,
    newest_first: Iterable[HistoryRow],
    actor_attribute: Path | None,
) -> list[Blame]:
    """For every attribute path of the state at an instant, the newest change that touched it.

    How sure that is never exceeds `judge_span`: since when a value is what it is, nothing knows of
    which a change may still be on its way. Rows of another table are passed over, and so is all
    that lies before the table was made anew.

    Args:
        evidence: what is known around the instant, with the `lives` of all streams of the history.
        newest_first: its rows up to that instant, from the last one backwards; read only as far
            as needed.
        actor_attribute: the attribute that names who makes a change, if there is one.
    """
    state, span = judge(evidence), judge_span(evidence)
    values = dict(leaves(own_attributes(state.image) or {}))
    blames: dict[Path, Blame] = {}
    surest = weaker_of(state, span)
    recorded = "recorded" if surest.certainty is Certainty.EXACT else surest.reason
    later: HistoryRow | None = None
    ended = ""
    for step in _steps(evidence, state, newest_first):
        row = step.row
        if len(blames) == len(values):
            break
        if step.doubt:
            surest, recorded = _weakened(surest, step.doubt), step.doubt
        if step.has_ended:
            ended = step.doubt
            break
        if not same_item(row.change.new_image, step.following):
            reason = step.doubt or (state.reason if later is None else _gap(row, later))
            lost = differences(row.change.new_image, step.following)
            for path in _touched(lost, values, blames):
                blames[path] = _missing(path, values[path], reason, surest)
            # What is the same on both sides may have been another value in between.
            surest, recorded = _weakened(surest, reason), reason
        change = changes_of(row)
        for path in _touched(change, values, blames):
            actor = actor_of(row, actor_attribute)
            blames[path] = Blame(
                path, values[path], row, actor, surest.certainty, recorded, surest.basis
            )
        later = row
    oldest = ended or ("it was so before the first recorded change" if later else state.reason)
    return [
        blames.get(path) or _missing(path, value, oldest, surest) for path, value in values.items()
    ]


class _Step(NamedTuple):
    """A row on the way back.

    Attributes:
        following: the state that it has to have left: the one before the row after.
        doubt: why nothing from here on back is exact; empty: there is no other reason.
        has_ended: whether the item of the row was gone, with its table, before what follows.
    """

    row: HistoryRow
    following: Item | None
    doubt: str
    has_ended: bool


def _steps(
    evidence: Evidence, state: ItemState, newest_first: Iterable[HistoryRow]
) -> Iterator[_Step]:
    """The rows that tell of a change of the item, from the last one backwards."""
    later: HistoryRow | None = None
    stream, until, doubt = evidence.later_stream, evidence.at, ""
    for row in newest_first:
        if arn := evidence.provenance.other_table(row):
            doubt = f"a row on the way back is of another table, {arn}"
            continue
        if row.fault is not None:
            doubt = f"a row on the way back {fault_of(row)}"
        if is_superseded(row, later) or not (leaves_known(row) and begins_known(row)):
            continue
        following = state_before(later) if later else state.image
        arn, start = row.change.event_source_arn, row.change.created_at
        crossing = evidence.lives.crossing(arn, start, stream)
        has_ended = False
        if crossing is not None:
            fits = same_item(row.change.new_image, following)
            doubt = crossing.reason(start, until, is_gone=following is None)
            has_ended = _has_ended(crossing, until, fits=fits)
        yield _Step(row, following, doubt, has_ended)
        later, doubt = row, ""
        if "/stream/" in arn:
            # A baseline that was taken while there was no stream names none.
            stream, until = arn, start


def _has_ended(crossing: Crossing, until: datetime, *, fits: bool) -> bool:
    """Whether the item of a row was gone, with its table, before what follows the row."""
    over_at = crossing.over_at
    # Stamps are whole seconds.
    if (
        crossing.boundary is Boundary.GAP
        or over_at is None
        or over_at.replace(microsecond=0) > until
    ):
        return False
    return crossing.boundary is Boundary.OTHER_TABLE or not fits


def _weakened(state: ItemState, reason: str) -> ItemState:
    if state.certainty is not Certainty.EXACT:
        return state
    return replace(state, certainty=Certainty.BOUNDED, reason=reason, basis=None)


def _gap(row: HistoryRow, later: HistoryRow) -> str:
    start, end = (time_text(neighbour.change.created_at) for neighbour in (row, later))
    return f"a change is missing between {start} and {end}"


def _touched(
    change: Sequence[Difference], values: dict[Path, Item], blames: dict[Path, Blame]
) -> list[Path]:
    # A value is touched with what holds it, and an emptied map with what it held.
    changed = [difference.path for difference in change]
    return [
        path
        for path in values
        if path not in blames and any(path[: len(other)] == other[: len(path)] for other in changed)
    ]


def _missing(path: Path, value: AttributeValue, reason: str, surest: ItemState) -> Blame:
    is_unknown = surest.certainty is Certainty.UNKNOWN
    certainty = Certainty.UNKNOWN if is_unknown else Certainty.BOUNDED
    return Blame(path, value, None, _UNNAMED, certainty, reason)
