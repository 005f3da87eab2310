"""How long a difference has to last before it counts."""

from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import pytest

from operations.execution.pace import Pace
from operations.replica.watch import Conclusion, Watch
from tests.comparison import a_world
from tests.factories import text


class SlowTables:
    """An item that the replica lacks, at every look; a look takes so long.

    Attributes:
        looks_s: when each look began.
    """

    def __init__(self, world, look_s):
        self.world, self.look_s = world, look_s
        self.looks_s = []

    def states(self, keys):
        self.looks_s.append(self.world.now)
        self.world.now += self.look_s
        return {identifier: ({"Id": text(identifier)}, None) for identifier in keys}


@pytest.fixture
def watched():
    """Watch an item that the replica lacks; gives the looks and the results."""

    def start(look_s, patience_s):
        with a_world() as world, ThreadPoolExecutor(1) as threads:
            tables = SlowTables(world, look_s)
            watch = Watch(tables, threads, Pace(patience_s=patience_s, machine=world.machine))
            watch.add({"1": {"Id": text("1")}})
            results = list(chain.from_iterable(watch.results(0)))
        return tables.looks_s, results

    return start


def test_a_difference_lasts_from_look_to_look(watched):
    """From the end of the first look to the beginning of the last one."""
    looks_s, _ = watched(look_s=5, patience_s=10)

    assert looks_s[-1] - (looks_s[0] + 5) >= 10


def test_a_difference_counts_as_soon_as_it_has_lasted(watched):
    """At the very moment: no further look is made."""
    looks_s, (result,) = watched(look_s=0, patience_s=15)

    assert looks_s[-1] - looks_s[0] == 15
    assert result.conclusion is Conclusion.DIFFERS


def test_an_item_that_never_moved_is_not_restless():
    """However late it is looked at for the first time."""
    with a_world() as world, ThreadPoolExecutor(1) as threads:
        watch = Watch(SlowTables(world, 0), threads, Pace(patience_s=15, machine=world.machine))
        watch.add({"1": {"Id": text("1")}})
        world.now += 1000
        (result,) = chain.from_iterable(watch.results(0))

    assert result.conclusion is Conclusion.DIFFERS


def test_an_item_that_is_watched_already_stays_as_it_is():
    """It is looked at when it was to be looked at."""
    with a_world() as world, ThreadPoolExecutor(1) as threads:
        tables = SlowTables(world, 0)
        watch = Watch(tables, threads, Pace(patience_s=15, machine=world.machine))
        watch.add({"1": {"Id": text("1")}})
        world.now += 0.5
        watch.add({"1": {"Id": text("1")}})
        list(watch.results(0))

    assert tables.looks_s[0] == 1


def test_an_item_that_moved_is_looked_at_again_soon():
    """The pauses begin anew; until then each is longer than the last."""

    class Moving(SlowTables):
        def states(self, keys):
            has_moved = len(self.looks_s) >= 2
            return {
                identifier: (source and {**source, "Moved": {"BOOL": has_moved}}, replica)
                for identifier, (source, replica) in super().states(keys).items()
            }

    with a_world() as world, ThreadPoolExecutor(1) as threads:
        tables = Moving(world, 0)
        watch = Watch(tables, threads, Pace(patience_s=15, machine=world.machine))
        watch.add({"1": {"Id": text("1")}})
        list(watch.results(0))

    assert tables.looks_s[:4] == [1, 2, 4, 5]
