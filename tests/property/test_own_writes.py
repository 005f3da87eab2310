"""Whoever writes an item how often from and to the same states: a run's changes are its own."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from reports.states.own_writes import OwnWrites, state_digest
from stream_core.announcement import OwnWrite, item_hash
from stream_core.control_row import RunRow
from stream_core.history_row import HistoryRow
from tests.factories import FIRST_SEQUENCE, NOON, STREAM_ARN, change, item, number
from tests.unit.memory_tables import moment

RUN = RunRow(
    *("0123456789ab", "undo", "{}", "sha256:00", "ada", "itemtrail"),
    *(STREAM_ARN, "12345a12", moment(0)),
)
RUNS = {name: replace(RUN, run=name) for name in ("one", "other")}


class Told:
    """An item that runs and others write in turn, and what they announced and recorded.

    Attributes:
        makers: who made the change of each row; None: another writer.
    """

    def __init__(self):
        self.second = 0
        self.value = 0
        self.rows, self.makers, self.announced = [], [], []

    def write(self, maker, value, waited_s, delay_s):
        """Announce, if it is a run that writes, and write some seconds later."""
        self.second += waited_s
        old, new = (item("1", Count=number(count)) for count in (self.value, value))
        if maker is not None:
            states = state_digest(old), state_digest(new)
            at = moment(self.second + 0.5)
            self.announced.append(OwnWrite(maker, 1, item_hash("1"), *states, at, STREAM_ARN))
            self.second += delay_s
        self.value = value
        place = len(self.rows)
        record = change(old, new, at=NOON + self.second, sequence=FIRST_SEQUENCE + place)
        self.rows.append(HistoryRow.from_change(record))
        self.makers.append(maker)

    @property
    def own_writes(self):
        return OwnWrites(
            RUNS,
            lambda _item: self.announced[::-1],
            lambda _id, after, until: [r for r in self.rows if after < r.sort_key <= until],
        )


STEP = st.tuples(
    st.sampled_from([None, None, *RUNS]),
    st.integers(0, 1),
    st.integers(1, 400),
    st.integers(0, 400),
)


@given(steps=st.lists(STEP, max_size=12), data=st.data())
def test_the_changes_of_runs_are_theirs_and_no_others(steps, data):
    """In whatever order rows are read, and from wherever a range begins."""
    told = Told()
    for maker, value, waited_s, delay_s in steps:
        if value != told.value:
            told.write(maker, value, waited_s, delay_s)
    numbers = range(len(told.rows))

    own = told.own_writes
    found = {n: own.run_of(told.rows[n]) for n in data.draw(st.permutations(numbers))}
    first = data.draw(st.integers(0, len(told.rows)))
    since = moment(0) if first == len(told.rows) else told.rows[first].change.created_at
    ranged = [row for row in told.rows if row.change.created_at >= since]
    noted = list(told.own_writes.noted_in_order(ranged, since))

    assert [found[n] and found[n].run for n in numbers] == told.makers
    assert [row.run for row in noted] == told.makers[len(told.rows) - len(ranged) :]
