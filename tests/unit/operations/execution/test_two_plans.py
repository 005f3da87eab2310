"""Two plans of one bad job, and good writes before, between and after: none of them is ever lost.

The oracle knows nothing of plans. It keeps for each atom of the item, which is a member of a set or
of a list, or a value, who touched it last and what the good writers left there. A run may change an
atom only from what a bad write left to what a good one had left. What is added to the counter is a
power of two for each bad write, so that any difference tells which of them were taken off.
"""

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from operations.execution.item_writer import WriteOutcome
from tests.factories import item, number, text
from tests.unit.operations.execution.test_since_plan import PlannedTable

ATOMS = [("A",), *((place, name) for place in ("S", "L") for name in ("x", "y", "z"))]
SAME = "same"
# A good writer touches the atom that the job touched last, or another, or adds to the counter.
ANY = st.sampled_from(ATOMS) | st.integers(1, 7)
GOOD = st.just(SAME) | ANY
BAD = st.sampled_from([*ATOMS, "N"])


@dataclass
class Ledger:
    """What an item is made of, and what is known of each atom.

    Attributes:
        values: of each atom: whether the member is there, or the value.
        good: what good writers left there.
        dirty: atoms that a bad writer touched last.
        count: the number.
        owed: what bad writers have added to it, and no run has taken off.
    """

    values: dict = field(default_factory=lambda: dict.fromkeys(ATOMS, 0))
    good: dict = field(default_factory=lambda: dict.fromkeys(ATOMS, 0))
    order: list = field(default_factory=list)
    dirty: set = field(default_factory=set)
    count: int = 100
    owed: set = field(default_factory=set)
    bad_writes: int = 0

    def write(self, what, *, is_bad):
        """A write of one writer; its atom becomes something else."""
        if what == "N":
            share = 2**self.bad_writes
            self.bad_writes += 1
            self.owed.add(share)
            self.count += share
        elif isinstance(what, int):
            self.count += what
        else:
            self._touch(what, 1 - self.values[what], is_bad=is_bad)

    def _touch(self, atom, value, *, is_bad):
        self.values[atom] = value
        if atom[0] == "L":
            self.order = [one for one in self.order if one != atom[1]] + [atom[1]] * value
        if is_bad:
            self.dirty.add(atom)
        else:
            self.dirty.discard(atom)
            self.good[atom] = value

    def image(self, by):
        """The item."""
        members = [name for place, name in ATOMS[1:4] if self.values[place, name]]
        return item(
            "1",
            N=number(self.count),
            A=number(self.values["A",]),
            S={"SS": ["always", *members]},
            L={"L": [text("first"), *map(text, self.order)]},
            By=text(by),
        )

    def judge(self, image):
        """See that what a run made of the item takes back bad writes, each at most once."""
        found = {("A",): int(image["A"]["N"])}
        names = [member["S"] for member in image["L"]["L"]][1:]
        found |= {("S", name): int(name in image["S"]["SS"]) for name in "xyz"}
        found |= {("L", name): names.count(name) for name in "xyz"}
        for atom, value in found.items():
            if value != self.values[atom]:
                assert atom in self.dirty, f"{atom} was good, and was written over"
                assert value == self.good[atom], f"{atom} is what nobody good had left"
                self._touch(atom, value, is_bad=False)
        assert names == self.order
        taken = self.count - int(image["N"]["N"])
        shares = {2**place for place in range(self.bad_writes) if taken >> place & 1}
        assert sum(shares) == taken
        assert shares <= self.owed, "a bad write was taken back twice"
        self.owed -= shares
        self.count -= taken


@dataclass
class World:
    """A table with such an item.

    Attributes:
        last: what the job did last.
        is_off: whether a good writer has taken that off the counter.
    """

    table: PlannedTable
    last: object
    is_off: bool = False
    ledger: Ledger = field(default_factory=Ledger)

    def write(self, what, *, is_bad=False):
        if what == SAME:
            what = self.same()
        self.ledger.write(what, is_bad=is_bad)
        self.table.later(seconds=1)
        self.table.other_writer("1", self.ledger.image("job" if is_bad else "app"))

    def same(self):
        """There and back where the job was: so much off the counter, or on it again."""
        if self.last != "N":
            return self.last
        share = 2 ** (self.ledger.bad_writes - 1)
        self.is_off = not self.is_off and share in self.ledger.owed
        return -share if self.is_off else share

    def carry_out(self, plan):
        """What became of it; the oracle has seen that it was right."""
        if not plan.items:
            return None
        result = self.table.carry_out(plan)
        self.ledger.judge(self.table.item())
        return result.outcome


@dataclass(frozen=True)
class Story:
    """What happens to the item.

    Attributes:
        before: who wrote what, from first to last, before the plans; the job is the last one.
        between: what good writers wrote between the plans and the first run.
        after: what they wrote between the two runs.
        counts: whether the number is known for a counter.
        is_late: whether the history shows nothing of the first run, nor of what follows.
    """

    before: list
    last: object
    between: list
    after: list
    counts: bool
    is_late: bool


STORIES = st.builds(
    Story,
    before=st.lists(st.tuples(st.just(False), ANY) | st.tuples(st.just(True), BAD), max_size=5),
    last=BAD,
    between=st.lists(GOOD, max_size=3),
    after=st.lists(GOOD, max_size=3),
    counts=st.booleans(),
    is_late=st.booleans(),
)


@pytest.mark.bank
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(STORIES)
def test_no_good_write_is_lost_and_no_bad_one_taken_back_twice(
    moto_session, tmp_path_factory, story
):
    """Whatever is written around two runs of two plans for one bad job."""
    with mock_aws():
        world = World(PlannedTable(moto_session), story.last)
        world.table.folder = tmp_path_factory.mktemp("run")
        world.table.other_writer("1", world.ledger.image("app"))
        for is_bad, what in [*story.before, (True, story.last)]:
            world.write(what, is_bad=is_bad)
        counters = [("N",)] if story.counts else []
        first, second = (world.table.undo(counters=counters) for _ in range(2))
        for what in story.between:
            world.write(what)

        world.table.is_late = story.is_late
        outcome = world.carry_out(first)
        if outcome is not WriteOutcome.WRITTEN:
            world.table.is_late = False
            world.table.deliver()
        for what in story.after:
            world.write(what)
        event(f"first {outcome}, then {world.carry_out(second)}")

        assert story.between or outcome in (None, WriteOutcome.WRITTEN)
