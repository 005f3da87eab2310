"""Whole-table answers equal a model's replay of its own writes, whichever way they are found."""

from dataclasses import dataclass

from hypothesis import assume, given
from hypothesis import strategies as st

from reports.access.progress import silent
from reports.access.row_reader import RowReader
from reports.states.selection import Selection
from reports.states.timeline import Certainty, judge
from reports.table.as_of import _from_history, table_states
from reports.table.changes import changed_rows
from reports.table.rewind import UNSEEN, rewound
from reports.table.versions import item_versions, table_versions
from stream_core.change import EventName
from tests.factories import NOON, item, number
from tests.unit.memory_tables import Recorded, moment

NAMES = ("a", "b", "c")
# From a second to two hours, so that seconds, hours and shards all have several changes.
GAPS = (0, 0, 0, 1, 2, 1800, 5000)
VALUES = (0, 1, 2)


@dataclass(frozen=True)
class Step:
    """What happens next: after so many seconds an item is put, deleted (None), or baselined."""

    gap: int
    name: str
    value: int | None
    is_baseline: bool = False


steps = st.lists(
    st.builds(
        Step,
        st.sampled_from(GAPS),
        st.sampled_from(NAMES),
        st.sampled_from([*VALUES, None]),
        st.sampled_from([False, False, False, True]),
    ),
    max_size=16,
)
# Items that were there before the history began.
old_items = st.sets(st.sampled_from(NAMES), max_size=2)
shard_counts = st.sampled_from([1, 2, 5, 100])


def state_of(name, value):
    return None if value is None else item(name, Version=number(value))


class Replay:
    """A table in which things happened, and what it really was at any time."""

    def __init__(self, given_steps, existing, shards, page=1000):
        self.recorded = Recorded(shards=shards, page=page)
        self.existing = existing
        self.states = {name: [(moment(-86_400), state_of(name, 9))] for name in existing}
        self.changes = []
        self.baselines = []
        for name in existing:
            self.recorded.client.put("Employee", state_of(name, 9))
        at = 0
        for step in given_steps:
            at += step.gap
            self._happens(step, at)
        self.end = at

    def _happens(self, step, at):
        if step.is_baseline:
            row = self.recorded.baseline(step.name, at)
            if row is not None:
                self.baselines.append(row)
            return
        row = self.recorded.write(step.name, state_of(step.name, step.value), at)
        if row is not None:
            self.changes.append(row)
            self.states.setdefault(step.name, []).append((moment(at), row.change.new_image))

    def as_of(self, at):
        """Every item that there was."""
        found = {}
        for name, states in self.states.items():
            image = None
            for begun, state in states:
                image = state if begun <= at else image
            if image is not None:
                found[name] = image
        return found

    def between(self, start, end):
        """Every version that was active, item by item, oldest first: begun, ended, image."""
        found = {}
        for name in self.states:
            states = self._told(name)
            ends = [*(begun for begun, _ in states[1:]), None]
            versions = [
                (begun, ended, image)
                for (begun, image), ended in zip(states, ends, strict=True)
                if image is not None
                and begun <= end
                and (ended is None or ended > start or begun == ended == start)
            ]
            if versions:
                found[name] = versions
        return found

    def _told(self, name):
        """An item's states; a baseline begins one too, unless it says less than a change does."""
        states = self.states[name]
        changed = {begun for begun, _ in states}
        told = {
            (row.change.created_at, row.id): row.change.new_image
            for row in self.baselines
            if row.id == name and row.change.created_at not in changed
        }
        more = [(begun, image) for (begun, _), image in told.items()]
        return sorted([*states, *more], key=lambda state: state[0])

    @property
    def now(self):
        return moment(self.end + 60)

    @property
    def reader(self):
        return self.recorded.reader


@st.composite
def replays(draw):
    return Replay(
        draw(steps), draw(old_items), draw(shard_counts), draw(st.sampled_from([1, 3, 1000]))
    )


def drawn_moment(data, replay):
    """An instant anywhere around and between the changes, whole seconds and fractions."""
    stamps = [row.change.created_at.timestamp() - NOON for row in replay.changes]
    seconds = data.draw(st.sampled_from([0, *stamps]) | st.integers(-2, replay.end + 2))
    return moment(seconds + data.draw(st.sampled_from([0, 0, 0, 0.5, -0.000001])))


def existing(states):
    found = {}
    for state in states:
        if state.exists:
            assert state.keys["Id"]["S"] not in found, "an item came twice"
            found[state.keys["Id"]["S"]] = state.image
    return found


def from_history(replay, at):
    return list(_from_history(replay.reader, at, replay.now, silent))


def by_name(states):
    return {state.keys["Id"]["S"]: state for state in states}


def rewound_as_the_cheaper_way(replay, at):
    """The answer, and its states by name."""
    replay.recorded.counted(rows=10_000_000)
    answer = table_states(replay.reader, at, replay.now, certain=False, progress=silent)
    assert answer.method == "rewind"
    return answer, by_name(answer.states)


@given(replays(), st.data())
def test_both_ways_give_the_items_of_a_replay(replay, data):
    """Several changes a second, deletes, rebirths, baselines, repeated states.

    What the history gives is, to the reason, what every item gives when asked for by itself.
    """
    at = min(drawn_moment(data, replay), replay.now)

    rewinding = existing(rewound(replay.reader, at, replay.now, silent))
    reading = from_history(replay, at)

    assert existing(reading) == rewinding == replay.as_of(at)
    for state in reading:
        assert state == judge(replay.reader.evidence(state.keys, at, replay.now))
        if state.keys["Id"]["S"] not in replay.existing:
            assert state.certainty is Certainty.EXACT


@given(replays(), st.data())
def test_a_certain_answer_of_a_complete_history_is_given(replay, data):
    """Unless items were there before the history was: they are refused, not guessed."""
    assume(not replay.existing)
    at = min(drawn_moment(data, replay), replay.now)

    answer = table_states(replay.reader, at, replay.now, certain=True, progress=silent)

    assert existing(answer.states) == replay.as_of(at)


@given(replays(), st.data())
def test_a_missing_row_never_makes_a_wrong_answer_exact(replay, data):
    """Whichever way is taken; but nobody can tell a lost delete of what was never recorded."""
    assume(replay.changes)
    lost = data.draw(st.sampled_from(replay.changes))
    replay.recorded.forget(lost)
    at = min(drawn_moment(data, replay), replay.now)
    truth = replay.as_of(at)

    answers = [*from_history(replay, at), *rewound(replay.reader, at, replay.now, silent)]

    for state in answers:
        name = state.keys["Id"]["S"]
        if state.certainty is Certainty.EXACT and state.image != truth.get(name):
            assert state.image is None
            assert lost.change.event_name is EventName.REMOVE
            assert name in replay.existing


@given(replays(), st.data(), st.integers(1, 4), st.integers(0, 2))
def test_two_ways_to_a_lossy_history_never_contradict_each_other(replay, data, lost, hidden):
    """Rows are lost, or not in the index: where the answers differ, the weaker one says why."""
    assume(replay.changes)
    for row in data.draw(st.permutations(replay.changes))[:lost]:
        replay.recorded.forget(row)
    for row in data.draw(st.permutations(replay.recorded.rows))[:hidden]:
        replay.recorded.client.lagging.add((row.id, row.sort_key))
    # Rewinding is for what lies within the history.
    at = min(drawn_moment(data, replay), replay.now)

    reading = by_name(from_history(replay, at))
    answer, rewinding = rewound_as_the_cheaper_way(replay, at)

    for name, state in reading.items():
        other = rewinding.get(name)
        if other is None:
            # Not there, for sure; or it says that it would not see it.
            is_absent = not state.exists and state.certainty is Certainty.EXACT
            assert is_absent or UNSEEN in answer.reason
        elif state.image != other.image:
            assert other.certainty is not Certainty.EXACT
            assert "lost or not in the index" in other.reason
    for name, state in rewinding.items():
        if name not in reading:
            assert state.certainty is not Certainty.EXACT


@given(replays(), st.data(), st.booleans())
def test_changes_equal_the_models_own_list(replay, data, knows_shards):
    """In order, whatever the number of shards, whole or by item."""
    start, end = sorted(drawn_moment(data, replay) for _ in range(2))
    reader = replay.reader
    if not knows_shards:
        reader = RowReader(reader.dynamodb, None, reader.history_table, reader.source_table)

    found = list(changed_rows(reader, start, end, Selection()))

    assert found == [row for row in replay.changes if start <= row.change.created_at <= end]
    for name in NAMES:
        one = changed_rows(reader, start, end, Selection(), identifier=name)
        assert list(one) == [row for row in found if row.id == name]


@given(replays(), st.data())
def test_versions_between_equal_the_models_own(replay, data):
    """Every version that was active and no other, in order; the same for the table and an item."""
    start, end = sorted(drawn_moment(data, replay) for _ in range(2))
    found = {}
    for state in table_versions(replay.reader, start, end, replay.now, silent):
        found.setdefault(state.keys["Id"]["S"], []).append(state)

    told = {
        name: [(one.valid_from, one.valid_to, one.image) for one in states]
        for name, states in found.items()
    }

    assert told == replay.between(start, end)
    for states in found.values():
        keys = states[0].keys
        alone = item_versions(replay.reader, keys, start, end, replay.now)
        assert list(alone) == states
