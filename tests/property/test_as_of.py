"""As-of at any instant equals a replay; where rows are gone it is never wrongly exact."""

from bisect import bisect_right
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from reports.timeline import Certainty, Evidence, judge
from stream_core.attribute_values import same_item
from stream_core.history_row import HistoryRow, sort_key_after
from tests.factories import FIRST_SEQUENCE, NOON, change, item, number

START = datetime.fromtimestamp(NOON, UTC)
KEYS = {"Id": {"S": "1"}}

# Seconds since the change before, 0 for the same second; and whether the item is then there.
steps = st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=12)


def written(given_steps):
    """The changes of one item as rows, and after each its moment and state, all states distinct."""
    rows, moments, states = [], [], []
    state, at = None, 0
    for number_, (gap, is_there) in enumerate(given_steps):
        new = item("1", Version=number(number_)) if is_there or state is None else None
        at += gap
        sequence = FIRST_SEQUENCE + 10 * number_
        rows.append(HistoryRow.of(change(state, new, at=NOON + at, sequence=sequence)))
        moments.append(START + timedelta(seconds=at))
        states.append(new)
        state = new
    return rows, moments, states


def asked(rows, at, live):
    """What a reader of these rows is told."""
    place = bisect_right([row.sort_key for row in rows], sort_key_after(at))
    return judge(
        Evidence(
            KEYS,
            at,
            now=START + timedelta(days=1),
            horizon=START - timedelta(days=1),
            before=rows[place - 1] if place else None,
            after=rows[place] if place < len(rows) else None,
            live_was_read=True,
            live=live,
        )
    )


def replayed(moments, states, at):
    """What the item really was."""
    place = bisect_right(moments, at)
    return states[place - 1] if place else None


@given(steps, st.integers(-2, 40), st.booleans())
def test_as_of_equals_a_replay_of_the_writes(given_steps, seconds, between):
    """Several changes a second, deletions and rebirths: the answer is right, and exact."""
    rows, moments, states = written(given_steps)
    at = START + timedelta(seconds=seconds + (0.5 if between else 0))

    answer = asked(rows, at, live=states[-1])

    assert same_item(answer.image, replayed(moments, states, at))
    assert answer.certainty is Certainty.EXACT


@given(steps, st.data())
def test_a_missing_row_never_makes_a_wrong_answer_exact(given_steps, data):
    """Unless the missing rows lead from nothing back to nothing, which leaves no trace at all."""
    rows, moments, states = written(given_steps)
    kept = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    left = [row for row, keep in zip(rows, kept, strict=True) if keep]
    at = START + timedelta(seconds=data.draw(st.integers(-2, 40)))

    answer = asked(left, at, live=states[-1])

    if answer.certainty is Certainty.EXACT and answer.image is not None:
        assert same_item(answer.image, replayed(moments, states, at))


@given(steps, st.data())
def test_one_missing_row_always_shows(given_steps, data):
    """The instants around a single missing row are never called exact."""
    rows, moments, states = written(given_steps)
    missing = data.draw(st.integers(0, len(rows) - 1))
    left = rows[:missing] + rows[missing + 1 :]

    answer = asked(left, moments[missing], live=states[-1])

    if not same_item(answer.image, replayed(moments, states, moments[missing])):
        assert answer.certainty is not Certainty.EXACT
