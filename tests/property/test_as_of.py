"""As-of at any instant equals a replay; where rows are gone it is never wrongly exact.

HYPOTHESIS_PROFILE=ten-thousand makes ten thousand histories for each claim.
"""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from reports.states.spans import spoken_for, timeline
from reports.states.timeline import Certainty, judge
from stream_core.attribute_values import same_item
from stream_core.change import EventName
from stream_core.history_row import HistoryRow
from tests.factories import item, number
from tests.recorded_history import LATER, History, baseline_of, row_of
from tests.unit.memory_tables import moment

KEYS = {"Id": {"S": "1"}}
OLD_AGE = item("1", State=number(99))
END = LATER - timedelta(microseconds=1)
"""The last moment of the past: of the present the live item tells."""

# Seconds since the step before, 0 for the same second, and what then happens: the item is put in
# one of few states, so that states come back, or deleted, or a backfill finds it as it is.
STATES = [item("1", State=number(n)) for n in range(3)]
steps = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 1, 2]),
        st.sampled_from([*STATES, None, "baseline"]),
    ),
    max_size=14,
)
# Which row's stamp, and how much earlier or later.
instants = st.tuples(st.integers(0, 14), st.sampled_from([-0.5, 0, 0.5]))


@dataclass(frozen=True)
class Life:
    """What really happened to an item.

    Attributes:
        first: its state before the first change.
        rows: what a complete history has of it, in order.
    """

    first: dict | None
    rows: list[HistoryRow]

    @property
    def changes(self):
        return [row for row in self.rows if row.change.event_name is not EventName.SNAPSHOT]

    @property
    def last(self):
        return self.changes[-1].change.new_image if self.changes else self.first

    def instant(self, which):
        """An instant at, right before or right after one of the changes."""
        place, seconds = which
        stamps = [moment(0), *(row.change.created_at for row in self.rows)]
        return stamps[place % len(stamps)] + timedelta(seconds=seconds)

    def replayed(self, at):
        """What the item really was."""
        place = bisect_right([row.change.created_at for row in self.changes], at)
        return self.changes[place - 1].change.new_image if place else self.first


def lived(given_steps, first=None):
    """The life that the steps make; puts and deletions that change nothing are no part of it.

    A baseline shows the moment at which it was taken, but is stamped with its second and sorts
    first in it.
    """
    rows, state, at = {}, first, 0
    for place, (gap, new) in enumerate(given_steps):
        at += gap
        if new == "baseline":
            if state is not None:
                row = baseline_of(state, at)
                rows.setdefault(row.sort_key, row)
        elif not same_item(state, new):
            row = row_of(state, new, at, place)
            rows[row.sort_key] = row
            state = new
    return Life(first, [row for _, row in sorted(rows.items())])


def history_of(rows, live, began_s=-86_400):
    return History(*rows, live=[live] if live else [], began_s=began_s)


def asked(history, at):
    """What a real reader of these rows is told."""
    return judge(history.reader.evidence(KEYS, at, LATER))


@given(steps, instants)
def test_as_of_equals_a_replay_of_the_writes(given_steps, which):
    """Several changes a second, deletions, rebirths, baselines: the answer is right, and exact."""
    life = lived(given_steps)
    at = life.instant(which)

    answer = asked(history_of(life.rows, life.last), at)

    assert same_item(answer.image, life.replayed(at))
    assert answer.certainty is Certainty.EXACT


@given(steps, instants)
def test_what_was_there_before_the_history_is_right_and_exact_from_its_first_row_on(
    given_steps, which
):
    """Before its first row the answer is the OldImage, and nothing vouches for how long."""
    life = lived(given_steps, first=OLD_AGE)
    at = life.instant(which)

    answer = asked(history_of(life.rows, life.last), at)

    assert same_item(answer.image, life.replayed(at))
    is_recorded = bool(life.rows) and life.rows[0].change.created_at <= at
    assert answer.certainty is (Certainty.EXACT if is_recorded else Certainty.BOUNDED)


@given(steps, st.sampled_from([None, OLD_AGE]), instants, st.data())
def test_a_missing_row_never_makes_a_wrong_answer_exact(given_steps, first, which, data):
    """Unless what is missing leaves no trace at all: see the two functions below."""
    life = lived(given_steps, first)
    at = life.instant(which)
    kept = data.draw(st.lists(st.booleans(), min_size=len(life.rows), max_size=len(life.rows)))
    left = [row for row, keep in zip(life.rows, kept, strict=True) if keep]

    answer = asked(history_of(left, life.last), at)

    if answer.certainty is Certainty.EXACT and not same_item(answer.image, life.replayed(at)):
        assert leads_back(life, left, answer) or was_never_seen(life, left, answer)


def leads_back(life, left, answer):
    """Whether changes without a row went from the state that was answered back to it."""
    return any(
        same_item(away.change.old_image, answer.image)
        and same_item(back.change.new_image, answer.image)
        and away.change.created_at <= answer.at < back.change.created_at
        # Nothing that is looked at is left of what surely lies between them.
        and not [row for row in spoken_for(left) if lies_between(away, row, back)]
        for away in lost(life, left)
        for back in lost(life, left)
    )


def lies_between(away, row, back):
    if row.change.event_name is EventName.SNAPSHOT:
        # It sorts first in its second, and shows any moment of it.
        return away.change.created_at < row.change.created_at < back.change.created_at
    return away.sort_key < row.sort_key < back.sort_key


def was_never_seen(life, left, answer):
    """Whether an item from before the history went away with all that was looked at of it."""
    return (
        life.first is not None
        and answer.image is None
        and any(
            gone.change.new_image is None
            and answer.at < gone.change.created_at
            and not [row for row in spoken_for(left) if row.sort_key < gone.sort_key]
            for gone in lost(life, left)
        )
    )


def lost(life, left):
    return [row for row in life.changes if row not in left]


@given(steps, st.data())
def test_one_missing_change_always_shows(given_steps, data):
    """The instants around a single missing row are never called exact, unless rightly so."""
    life = lived([*given_steps, (1, STATES[0]), (1, STATES[1])])
    missing = data.draw(st.sampled_from(life.changes))
    left = [row for row in life.rows if row is not missing]
    at = missing.change.created_at

    answer = asked(history_of(left, life.last), at)

    if not same_item(answer.image, life.replayed(at)):
        assert answer.certainty is not Certainty.EXACT


@given(steps, st.sampled_from([None, OLD_AGE]), st.data(), st.sampled_from([-86_400, 0, 1, 2]))
def test_the_states_of_a_timeline_tile_the_time_and_agree_with_as_of(
    given_steps, first, data, began_s
):
    """Each lasts until the next begins, whole or damaged, and is what as-of answers meanwhile.

    Before the history began neither knows anything.
    """
    life = lived(given_steps, first)
    kept = data.draw(st.lists(st.booleans(), min_size=len(life.rows), max_size=len(life.rows)))
    left = [row for row, keep in zip(life.rows, kept, strict=True) if keep]
    history = history_of(left, life.last, began_s)

    states = list(timeline(left, history.reader.evidence(KEYS, END, LATER)))

    assert states[-1].valid_to is None
    assert [state.valid_to for state in states[:-1]] == [state.valid_from for state in states[1:]]
    begins = [state.valid_from for state in states]
    assert begins == sorted(begins)
    tick = timedelta(microseconds=1)
    for at in {moment(-1), END, *begins, *(begin - tick for begin in begins)}:
        answer = asked(history, at)
        if at < begins[0]:
            assert answer.certainty is Certainty.UNKNOWN
            continue
        lasting = states[bisect_right(begins, at) - 1]
        assert same_item(lasting.image, answer.image)
        assert lasting.certainty is answer.certainty
        assert (lasting.valid_from, lasting.valid_to) == (answer.valid_from, answer.valid_to)
        assert lasting.row is None or lasting.row.sort_key == answer.row.sort_key
