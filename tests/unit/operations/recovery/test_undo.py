"""One bad job is taken back, and no good write is lost by it (on moto)."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from operations.execution.item_writer import WriteOutcome
from operations.execution.pace import Pace
from operations.recovery.bad_changes import Undecided, select_bad
from operations.recovery.compensation import Terms, compensate
from operations.recovery.conditions import GUARDED_IN_PART
from operations.recovery.conflicts import Conflict
from operations.recovery.plan_items import undone_items
from operations.recovery.touches import touch_of
from operations.recovery.undo import plan_undo
from reports.access.machine import Machine
from reports.errors import ReportError
from reports.states.differences import Difference
from reports.states.selection import Selection
from stream_core.attribute_values import same_item
from stream_core.change import EventName
from stream_core.errors import IntegrityError
from stream_core.history_row import HistoryRow
from tests.carried_out import carried_out_undo, outcomes_of
from tests.factories import FIRST_SEQUENCE, change, item, number, text
from tests.fakes import DENIED
from tests.followed_table import FollowedTable
from tests.recorded_table import HISTORY

KEY = {"Id": text("1")}
PERHAPS_A_COUNTER = "it was written again since: if it is only ever added to, --counter says so"
COUNTING = Terms({("N",)})
NIGHTLY = Selection(actor="nightly job", actor_attribute=("By",))


class DamagedTable(FollowedTable):
    """Where bad changes are taken back; every write is a second after the last."""

    def __init__(self, session):
        super().__init__(session)
        self.now = self.began
        self.bad = []

    def write(self, new, identifier="1", *, bad=False, at_once=False):
        """A write with its history row; None deletes the item."""
        if not at_once:
            self.later(seconds=1)
        self.other_writer(identifier, new)
        row = self.rows(identifier)[-1]
        self.bad += [(row.id, row.sort_key)] if bad else []
        return row

    def only_bad(self):
        """A selection of just the changes that were marked."""
        return Marked(frozenset(self.bad))

    def select(self, **options):
        chosen = {"since": self.began, "until": self.now, "pace": Pace()} | options
        return select_bad(self.deployment, **chosen)

    def plan(self, *, pace=None, terms=None, **options):
        pace = pace or self.pace()
        selected = self.select(**{"where": self.only_bad(), "pace": pace} | options)
        return plan_undo(self.deployment, selected, terms=terms, pace=pace)

    def undo(self, *, pace=None, **options):
        pace = pace or self.pace()
        return carried_out_undo(self.deployment, self.plan(pace=pace, **options), pace)


class Marked(Selection):
    """Accepts the rows it was given, as a selection by any of its means would."""

    def __init__(self, marked):
        super().__init__()
        object.__setattr__(self, "marked", marked)

    def accepts(self, row):
        return (row.id, row.sort_key) in self.marked


@pytest.fixture
def world(session, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return DamagedTable(session)


def test_a_bad_change_is_taken_back_and_later_ones_stay(world):
    """By attribute: only what the bad change touched is written."""
    world.write(item("1", Price=number(10), Stock=number(5)))
    world.write(item("1", Price=number(99), Stock=number(5)), bad=True)
    world.write(item("1", Price=number(99), Stock=number(4), Note=text("good")))

    result = world.undo()

    assert result.is_clean
    assert outcomes_of(result) == {WriteOutcome.WRITTEN: 1}
    assert world.item() == item("1", Price=number(10), Stock=number(4), Note=text("good"))
    ((operation, request),) = world.racing.written
    assert operation == "Update"
    assert re.findall("#[0-9]+", request["UpdateExpression"]) == ["#1"]
    assert request["ExpressionAttributeNames"]["#1"] == "Price"


def test_a_dry_run_shows_what_would_be_written(world):
    """And writes nothing."""
    world.write(item("1", Price=number(10)))
    row = world.write(item("1", Price=number(99), Sale={"BOOL": True}), bad=True)

    result = world.plan()

    (one,) = result.items
    assert (result.applied, one.outcome, one.changes) == (False, None, (row.sort_key,))
    assert one.edits == (
        Difference(("Price",), number(99), number(10)),
        Difference(("Sale",), {"BOOL": True}, None),
    )
    assert world.item()["Price"] == number(99)
    assert world.racing.written == []


def test_several_bad_changes_compose(world):
    """Back to what was before the first of them, past the good ones to other attributes."""
    world.write(item("1", A=number(1), B=number(1)))
    world.write(item("1", A=number(2), B=number(1)), bad=True)
    world.write(item("1", A=number(2), B=number(2)))
    world.write(item("1", A=number(3), B=number(2)), bad=True, at_once=True)

    assert world.undo().is_clean
    assert world.item() == item("1", A=number(1), B=number(2))


def test_a_good_change_in_between_is_where_it_goes_back_to(world):
    """What the bad job wrote after it is taken back; what it wrote before is gone."""
    world.write(item("1", A=number(1)))
    world.write(item("1", A=number(2)), bad=True)
    world.write(item("1", A=number(3)))
    world.write(item("1", A=number(4)), bad=True)

    result = world.undo()

    assert world.item() == item("1", A=number(3))
    assert result.conflicts == [
        Conflict(KEY, ("A",), number(2), number(3), number(1), PERHAPS_A_COUNTER)
    ]


@pytest.mark.parametrize("theirs", [number(7), number(2)])
def test_what_was_written_again_since_stays(world, theirs):
    """Also if it is the very value the bad change had left: then it was meant."""
    world.write(item("1", A=number(1)))
    world.write(item("1", A=number(2)), bad=True)
    world.write(item("1", A=number(5)))
    world.write(item("1", A=theirs))

    result = world.undo()

    assert not result.is_clean
    assert result.conflicts == [
        Conflict(KEY, ("A",), number(2), theirs, number(1), PERHAPS_A_COUNTER)
    ]
    assert world.item() == item("1", A=theirs)
    assert world.racing.written == []


BEHIND = (
    "the item is not what its last row left it: the change that made it so is still on its way, or "
    "is missing; try again later, and see what verify says of it"
)


@pytest.mark.parametrize("is_selected", [True, False])
def test_an_item_of_which_a_change_is_not_recorded_yet_is_told(world, is_selected):
    """It may be good, or bad as well; also where the item was named, and has no bad change yet."""
    world.write(item("1", A=number(1), B=number(1)))
    world.write(item("1", A=number(2), B=number(2)), bad=is_selected)
    theirs = item("1", A=number(2), B=number(2), C=number(9))
    world.put(theirs)

    result = world.undo(keys=[KEY])

    (behind,) = result.items
    assert (behind.outcome, behind.reason, behind.edits) == (WriteOutcome.REFUSED, BEHIND, ())
    assert not result.is_clean
    assert (world.item(), world.racing.written) == (theirs, [])


def test_a_row_that_is_a_moment_late_is_waited_for(world):
    """The item shows a change a second or so before its history does."""
    world.write(item("1", A=number(1), B=number(1)))
    old = item("1", A=number(2), B=number(1))
    world.write(old, bad=True)
    new = item("1", A=number(2), B=number(2))
    world.put(new)
    bad_until = world.now
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 2:
            world.record(old, new, "1", bad_until + timedelta(seconds=1), FIRST_SEQUENCE * 2)

    world.undo(pace=Pace(machine=Machine(now=lambda: world.now, sleep=sleep)), until=bad_until)

    assert pauses == [1, 1]
    assert world.item() == item("1", A=number(1), B=number(2))


def test_a_history_that_stands_still_is_waited_for_once(world):
    """And not for each of many items: all in all as long as the run's patience lasts."""
    for identifier in map(str, range(30)):
        world.write(item(identifier), identifier, bad=True)
        world.put(item(identifier, A=number(1)))
    pauses = []

    result = world.undo(
        pace=Pace(patience_s=10, machine=Machine(now=lambda: world.now, sleep=pauses.append))
    )

    assert outcomes_of(result) == {WriteOutcome.REFUSED: 30}
    # Items that are looked at side by side may begin their last pause together.
    assert 10 <= sum(pauses) <= 10 + 32


class TestWholeItems:
    """What a bad job inserted or deleted."""

    def test_an_inserted_item_is_deleted(self, world):
        """If nobody has touched it since."""
        world.write(item("1", A=number(1)), bad=True)

        assert world.undo().is_clean
        assert world.item() is None

    def test_an_inserted_item_that_is_used_stays(self, world):
        """With what is expected and found."""
        inserted, used = item("1", A=number(1)), item("1", A=number(1), B=number(1))
        world.write(inserted, bad=True)
        world.write(used)

        result = world.undo()

        assert result.conflicts == [
            Conflict(KEY, (), {"M": inserted}, {"M": used}, None, "it was written again since")
        ]
        assert world.item() == used

    def test_an_inserted_item_is_not_left_half_way(self, world):
        """What the bad job changed in it later stays with it, if it stays."""
        world.write(item("1", A=number(1)), bad=True)
        world.write(item("1", A=number(2)), bad=True)
        world.write(item("1", A=number(2), B=number(1)))

        result = world.undo()

        (conflict,) = result.conflicts
        assert conflict.expected == {"M": item("1", A=number(2))}
        assert world.item() == item("1", A=number(2), B=number(1))

    def test_a_deleted_item_is_put_back(self, world):
        """As it was before the first bad change, through several of them."""
        world.write(item("1", A=number(1)))
        world.write(item("1", A=number(2)), bad=True)
        world.write(None, bad=True)

        assert world.undo().is_clean
        assert world.item() == item("1", A=number(1))

    def test_an_item_made_again_stays(self, world):
        """It is another one."""
        world.write(item("1", A=number(1)))
        world.write(None, bad=True)
        world.write(item("1", A=number(5)))

        result = world.undo()

        assert [one.path for one in result.conflicts] == [()]
        assert world.item() == item("1", A=number(5))

    def test_an_item_deleted_since_stays_deleted(self, world):
        """Nothing of the bad change is left in it."""
        world.write(item("1", A=number(1)))
        world.write(item("1", A=number(2)), bad=True)
        world.write(None)

        result = world.undo()

        assert result.conflicts == [
            Conflict(KEY, ("A",), number(2), None, number(1), "the item is gone")
        ]
        assert world.item() is None


class TestNestedValues:
    """Maps are changed inside, lists as a whole."""

    def test_a_place_in_a_map_is_taken_back_alone(self, world):
        """Its neighbours are somebody else's."""
        world.write(item("1", M={"M": {"a.b": number(1), "c": number(1)}}))
        world.write(item("1", M={"M": {"a.b": number(2), "c": number(1)}}), bad=True)
        world.write(item("1", M={"M": {"a.b": number(2), "c": number(7), "d": number(1)}}))

        assert world.undo().is_clean
        assert world.item()["M"]["M"] == {"a.b": number(1), "c": number(7), "d": number(1)}

    def test_a_map_that_is_gone_is_a_conflict(self, world):
        """There is nowhere to put it."""
        world.write(item("1", M={"M": {"a": number(1), "b": number(1)}}))
        world.write(item("1", M={"M": {"b": number(1)}}), bad=True)
        world.write(item("1"))

        result = world.undo()

        assert result.conflicts == [
            Conflict(KEY, ("M", "a"), None, None, number(1), "what it was in is gone")
        ]
        assert world.item() == item("1")

    def test_a_list_is_taken_back_as_a_whole(self, world):
        """A position would be another member's, once somebody has added one in front."""
        world.write(item("1", L={"L": [number(1), number(2)]}, A=number(1)))
        world.write(item("1", L={"L": [number(1), number(9)]}, A=number(9)), bad=True)
        world.write(item("1", L={"L": [number(0), number(1), number(9)]}, A=number(9)))

        result = world.undo()

        assert [one.path for one in result.conflicts] == [("L",)]
        assert world.item() == item("1", L={"L": [number(0), number(1), number(9)]}, A=number(1))

    def test_every_type_comes_back(self, world):
        """Sets, binary, empty values and types that changed."""
        before = item(
            "1", S={"SS": ["b", "a"]}, B={"B": b"\x00"}, E=text(""), L={"L": [{"NULL": True}]}
        )
        world.write(before)
        world.write(item("1", S=number(1), B=text("AA=="), L={"M": {}}), bad=True)

        assert world.undo().is_clean
        assert same_item(world.item(), before)


class TestStamps:
    """What is written beside what is taken back."""

    NAMED = Terms(stamps={("By",): text("grace")})

    def test_nobody_else_is_named_for_what_an_undo_writes(self, world):
        """Neither who wrote before the job, nor the job itself; an item that goes has no name."""
        world.write(item("1", A=number(1), By=text("ada")))
        world.write(item("1", A=number(2), By=text("job")), bad=True)
        world.write(item("2", By=text("ada")), "2")
        world.write(None, "2", bad=True)
        world.write(item("3", By=text("job")), "3", bad=True)
        bad_until = world.now

        first = world.undo(terms=self.NAMED)
        after = [world.item(one) for one in "123"]
        again = world.undo(terms=self.NAMED, until=bad_until)

        assert after == [
            item("1", A=number(1), By=text("grace")),
            item("2", By=text("grace")),
            None,
        ]
        assert (first.is_clean, again.is_clean) == (True, True)
        assert (outcomes_of(again), [world.item(one) for one in "123"]) == ({}, after)

    def test_where_nothing_is_taken_back_nothing_is_written(self, world):
        """And that another one is named there since is no conflict."""
        world.write(item("1", A=number(1), By=text("ada")))
        world.write(item("1", A=number(2), By=text("job")), bad=True)
        world.write(item("1", A=number(3), By=text("bob")))

        result = world.undo(terms=self.NAMED)

        assert [conflict.path for conflict in result.conflicts] == [("A",)]
        assert world.item() == item("1", A=number(3), By=text("bob"))

    def test_what_is_written_beside_hides_no_conflict_of_what_is_taken_back(self, world):
        """Where that very value is what was asked for, another writer's since is left."""
        world.write(item("1", A=number(1), By=text("ada"), At=number(1)))
        world.write(item("1", A=number(2), By=text("job"), At=number(2)), bad=True)
        world.write(item("1", A=number(2), By=text("bob"), At=number(2)))
        places = {("By",): text("grace"), ("At",): number(9), ("A",): number(7)}

        result = world.undo(terms=Terms(stamps=places))

        assert [conflict.path for conflict in result.conflicts] == [("By",)]
        assert world.item() == item("1", A=number(7), By=text("bob"), At=number(9))

    def test_another_name_beside_what_was_taken_back_already_is_no_conflict(self, world):
        """Two people undo the same job: the second finds nothing to do."""
        world.write(item("1", A=number(1), By=text("ada")))
        world.write(item("1", A=number(2), By=text("job")), bad=True)
        bad_until = world.now
        world.undo(terms=self.NAMED)

        again = world.undo(terms=Terms(stamps={("By",): text("bob")}), until=bad_until)

        assert again.is_clean
        assert world.item() == item("1", A=number(1), By=text("grace"))

    def test_what_has_no_place_in_an_item_is_refused(self, world):
        """A text has no attributes in it."""
        world.write(item("1", A=number(1), By=text("ada")))
        world.write(item("1", A=number(2), By=text("job")), bad=True)

        result = world.undo(terms=Terms(stamps={("By", "Who"): text("grace")}))

        assert result.items[0].reason == "there is no place for By.Who in it"
        assert world.item()["A"] == number(2)


class TestShares:
    """Where others changed the same value since, what is theirs stays in it."""

    def test_what_was_added_to_a_counter_is_taken_off(self, world):
        """On the condition that it still is the number that it is taken off."""
        world.write(item("1", N=number(10), M=number(10)))
        world.write(item("1", N=number("12.5"), M=number(99)), bad=True)
        world.write(item("1", N=number("13.5"), M=number(50)))

        result = world.undo(terms=COUNTING)

        assert [conflict.path for conflict in result.conflicts] == [("M",)]
        assert world.item() == item("1", N=number(11), M=number(50))
        ((_, request),) = world.racing.written
        assert number("13.5") in request["ExpressionAttributeValues"].values()

    def test_what_is_added_in_that_moment_stays_too(self, world):
        """The number that was seen is no more: it is left, and taken off by the next undo."""
        world.write(item("1", N=number(10)))
        world.write(item("1", N=number(15)), bad=True)
        bad_until = world.now
        world.write(item("1", N=number(16)))
        world.racing.script("transact_write_items", lambda: world.write(item("1", N=number(18))))

        (conflict,) = world.undo(terms=COUNTING, until=bad_until).conflicts
        left = world.item()

        assert (conflict.expected, conflict.actual) == (number(16), number(18))
        assert left == item("1", N=number(18))
        assert world.undo(terms=COUNTING, until=bad_until).is_clean
        assert world.item() == item("1", N=number(13))

    def test_a_number_that_a_table_does_not_hold_is_a_conflict(self, world):
        """And the counter stays as it is, with why."""
        world.write(item("1", N=number("0.5")))
        world.write(item("1", N=number(0)), bad=True)
        world.write(item("1", N=number("9" * 38)))

        (conflict,) = world.undo(terms=COUNTING).conflicts

        assert conflict.reason == (
            "the number without it is none that DynamoDB holds: N has more than 38 significant "
            "digits"
        )
        assert (conflict.actual, conflict.wanted) == (number("9" * 38), number("0.5"))
        assert world.item() == item("1", N=number("9" * 38))

    @pytest.mark.parametrize("removed", [True, False])
    def test_a_counter_that_another_writer_removed_is_theirs(self, world, removed):
        """Or made anew: what was added before is not in it any more."""
        world.write(item("1", N=number(10)))
        world.write(item("1", N=number(15)), bad=True)
        world.write(item("1"))
        if not removed:
            world.write(item("1", N=number(1)))
        after = world.item()

        (conflict,) = world.undo(terms=COUNTING).conflicts

        assert conflict.reason == "it was written again since"
        assert world.item() == after

    @pytest.mark.parametrize(
        ("before", "bad", "good", "after"),
        [
            ({"SS": ["a"]}, {"SS": ["a", "x"]}, {"SS": ["a", "b", "x"]}, {"SS": ["a", "b"]}),
            ({"NS": ["1", "2"]}, {"NS": ["1"]}, {"NS": ["1.0", "3"]}, {"NS": ["1.0", "2", "3"]}),
            (None, {"BS": [b"x"]}, {"BS": [b"x", b"y"]}, {"BS": [b"y"]}),
            ({"SS": ["a"]}, {"SS": ["a", "x"]}, {"SS": ["x"]}, None),
        ],
    )
    def test_members_of_a_set_are_taken_back_one_by_one(self, world, before, bad, good, after):
        """Those that another writer added or removed since are theirs."""
        for value, is_bad in ((before, False), (bad, True), (good, False)):
            world.write(item("1", **({} if value is None else {"S": value})), bad=is_bad)

        assert world.undo().is_clean
        assert same_item(world.item(), item("1", **({} if after is None else {"S": after})))

    def test_a_member_that_was_written_again_since_is_a_conflict(self, world):
        """The others go all the same."""
        world.write(item("1", S={"SS": ["a"]}))
        world.write(item("1", S={"SS": ["a", "x", "y"]}), bad=True)
        world.write(item("1", S={"SS": ["a", "y"]}))
        world.write(item("1", S={"SS": ["a", "x", "y"]}))

        (conflict,) = world.undo().conflicts

        assert conflict.reason == "some of its members were added or removed again since"
        assert (conflict.actual, conflict.wanted) == ({"SS": ["a", "x"]}, {"SS": ["a"]})
        assert world.item() == item("1", S={"SS": ["a", "x"]})

    def test_a_set_that_another_writer_made_is_theirs(self, world):
        """Which members it was to have, and which came back, cannot be told."""
        world.write(item("1", S={"SS": ["a"]}))
        world.write(item("1"), bad=True)
        world.write(item("1", S={"SS": ["b"]}))

        assert [conflict.path for conflict in world.undo().conflicts] == [("S",)]
        assert world.item() == item("1", S={"SS": ["b"]})

    def test_what_was_appended_to_a_list_goes(self, world):
        """Wherever it stands now, as long as that can be told."""
        lists = [["a"], ["a", "x"], ["0", "a", "x"], ["0", "b", "x"], ["0", "b", "x", "c"]]
        for n, members in enumerate(lists):
            world.write(item("1", L={"L": list(map(text, members))}), bad=n == 1)

        assert world.undo().is_clean
        assert world.item() == item("1", L={"L": [text("0"), text("b"), text("c")]})

    def test_a_member_of_a_list_that_another_writer_put_there_again_is_theirs(self, world):
        """As every value is: then it was meant."""
        lists = [["a"], ["a", "x"], ["a", "y"], ["a", "x"]]
        for n, members in enumerate(lists):
            world.write(item("1", L={"L": list(map(text, members))}), bad=n == 1)

        assert [conflict.path for conflict in world.undo().conflicts] == [("L",)]
        assert world.item() == item("1", L={"L": [text("a"), text("x")]})

    @pytest.mark.parametrize("members", [["x"], ["a", "y"], ["b", "x", "a"], []])
    def test_a_list_in_which_it_cannot_be_told_stays(self, world, members):
        """One member less, and whose is the one that is left?"""
        for n, value in enumerate((["a"], ["a", "x"], members)):
            world.write(item("1", L={"L": list(map(text, value))}), bad=n == 1)

        assert [conflict.path for conflict in world.undo().conflicts] == [("L",)]
        assert world.item() == item("1", L={"L": list(map(text, members))})

    def test_what_this_program_has_written_is_settled_and_never_bad(self, world):
        """The same undo twice takes nothing off twice, and puts the corruption back never."""
        world.write(item("1", N=number(10), A=text("good")))
        world.write(item("1", N=number(15), A=text("bad")), bad=True)
        world.write(item("1", N=number(16), A=text("bad")))
        everything = {"where": Selection(attribute=("N",)), "terms": COUNTING}
        bad_until = world.now - timedelta(seconds=1)
        world.later(seconds=1)
        world.undo(until=bad_until, **everything)
        after = world.item()

        again = world.undo(until=bad_until, **everything)
        later = world.undo(since=world.now, where=Selection(attribute=("N",)))

        assert after == item("1", N=number(11), A=text("bad"))
        assert world.item() == after
        assert again.is_clean
        assert outcomes_of(again) == {}
        assert later.items == ()

    def test_what_may_have_been_taken_back_already_is_a_conflict(self, world):
        """Where no run could announce it, or somebody did the same by hand."""
        world.write(item("1", N=number(10), A=text("good")))
        world.write(item("1", N=number(15), A=text("bad")), bad=True)
        world.write(item("1", N=number(16), A=text("bad")))
        bad_until = world.now
        world.racing.denies = "batch_execute_statement"
        world.undo(terms=COUNTING)

        again = world.undo(terms=COUNTING, until=bad_until)

        assert [(conflict.path, conflict.reason) for conflict in again.conflicts] == [
            (("N",), "a later change took just as much off: it may have been taken back already")
        ]
        assert world.item() == item("1", N=number(11), A=text("good"))

    def test_what_another_took_off_for_itself_is_no_undo(self, world):
        """It did not bring back what else the bad change had done."""
        world.write(item("1", N=number(10), A=text("good")))
        world.write(item("1", N=number(15), A=text("bad")), bad=True)
        world.write(item("1", N=number(10), A=text("bad")))

        assert world.undo(terms=COUNTING).is_clean
        assert world.item() == item("1", N=number(5), A=text("good"))


class TestSelection:
    """Which changes are bad is asked of the history."""

    def test_by_attribute_and_value(self, world):
        """Only changes that put just this value there."""
        for n, to in enumerate(("closed", "open", "closed")):
            world.write(item(str(n), Status=text("new")), str(n))
            world.write(item(str(n), Status=text(to)), str(n))

        result = world.undo(where=Selection(attribute=("Status",), new="closed"))

        assert result.is_clean
        found = [world.item(str(n))["Status"]["S"] for n in range(3)]
        assert found == ["new", "open", "new"]

    def test_by_attribute_whole_items_are_touched_only_where_that_is_asked_for(self, world):
        """A good insert, whose value is looked for too, is not deleted with the bad change."""
        world.write(item("1", Status=text("new")))
        world.write(item("1", Status=text("closed")))
        world.write(item("2", Status=text("closed"), Note=text("good")), "2")
        world.write(item("3", Status=text("closed")), "3")
        world.write(None, "3")
        closed = Selection(attribute=("Status",), new="closed")

        result = world.undo(where=closed)
        asked = world.undo(where=replace(closed, event_names=frozenset({EventName.INSERT})))

        assert [one.keys for one in result.items] == [KEY]
        assert (result.whole_items, asked.whole_items) == (2, 0)
        assert result.is_clean
        assert world.item("1")["Status"] == text("new")
        assert (world.item("2"), world.item("3")) == (None, None)

    def test_by_attribute_only_that_value_is_taken_back(self, world):
        """What else the same change did stays, as does what it did beside it in a map or a list."""
        first = {"M": {"x": number(1), "y": number(1)}}
        world.write(item("1", A=number(1), B=number(1), M=first, L={"L": [first, first]}))
        bad = {"M": {"x": number(2), "y": number(2)}}
        world.write(item("1", A=number(2), B=number(2), M=bad, L={"L": [bad, bad]}))

        bad_until = world.now
        for attribute in (("A",), ("M", "x"), ("L", 0, "y")):
            world.undo(where=Selection(attribute=attribute), until=bad_until)

        half = {"M": {"x": number(2), "y": number(1)}}
        assert world.item() == item(
            "1",
            A=number(1),
            B=number(2),
            M={"M": {"x": number(1), "y": number(2)}},
            L={"L": [half, bad]},
        )

    @pytest.mark.parametrize(
        ("attribute", "before", "bad", "after"),
        [
            (("M", "x"), None, {"x": number(1), "y": number(2)}, {"y": number(2)}),
            (("M", "x"), {"x": number(1), "y": number(2)}, None, {"x": number(1)}),
            (("M", "m", "x"), {"m": {"M": {"x": number(1)}}}, None, {"m": {"M": {"x": number(1)}}}),
        ],
    )
    def test_a_value_whose_place_came_or_went_with_it(self, world, attribute, before, bad, after):
        """The map that it was in is made for it alone, or keeps what else is in it."""
        world.write(item("1", **({} if before is None else {"M": {"M": before}})))
        world.write(item("1", **({} if bad is None else {"M": {"M": bad}})))

        world.undo(where=Selection(attribute=attribute))

        assert world.item() == item("1", M={"M": after})

    def test_what_cannot_come_back_alone_comes_back_whole(self, world):
        """A position that came with others behind it is no place of its own."""
        world.write(item("1", L={"L": [number(1)]}))
        world.write(item("1", L={"L": [number(1), number(2), number(3)]}))
        world.write(item("2", M={"M": {"x": number(1)}}), "2")
        world.write(item("2", M=text("x")), "2")

        world.undo(where=Selection(attribute=("L", 1)), keys=[KEY])
        world.undo(where=Selection(attribute=("M", "x")), keys=[{"Id": text("2")}])

        assert world.item() == item("1", L={"L": [number(1)]})
        assert world.item("2") == item("2", M={"M": {"x": number(1)}})

    @pytest.mark.parametrize("bad", [[20], [5, 10, 20]])
    def test_in_a_list_that_lost_or_gained_members_no_position_is_a_name(self, world, bad):
        """The price of one would become that of another: the list comes back whole."""
        lines = [{"M": {"Price": number(price)}} for price in (10, 20)]
        world.write(item("1", L={"L": lines}))
        world.write(item("1", L={"L": [{"M": {"Price": number(price)}} for price in bad]}))

        world.undo(where=Selection(attribute=("L", 0, "Price")))

        assert world.item() == item("1", L={"L": lines})

    def test_an_attribute_that_no_change_knows_is_named(self, world):
        """It is misspelt, most probably; and of no changes at all nothing can be said."""
        world.write(item("1", Status=text("new"), By=text("Ada")))

        misspelt = world.undo(where=Selection(attribute=("Statos",)))
        unlike = world.undo(where=replace(NIGHTLY, actor_attribute=("Xyz", "By")))
        quiet = world.undo(where=Selection(attribute=("Statos",)), since=world.now, keys=[])

        assert misspelt.unknown == (
            "no change of the range knows the attribute Statos of --attribute: is Status meant?",
        )
        assert unlike.unknown == (
            "no change of the range knows the attribute Xyz.By of --actor-attribute",
        )
        assert not misspelt.is_clean
        assert (quiet.unknown, quiet.is_clean) == ((), True)

    def test_a_key_that_is_named_is_answered(self, world):
        """One without a bad change needs nothing, and one that nothing knows is no success."""
        world.write(item("1", A=number(1)))

        result = world.undo(keys=[KEY, {"Id": text("nowhere")}], where=Selection(attribute=("B",)))

        known, unknown = result.items
        assert (known.outcome, known.changes, known.edits) == (None, (), ())
        assert (unknown.outcome, unknown.reason) == (
            WriteOutcome.REFUSED,
            "neither the table nor its history knows such a key: is it right?",
        )
        assert not result.is_clean

    def test_by_actor_with_the_deletes_that_nobody_signed(self, world):
        """A delete does not say who made it: it is not taken back, and listed."""
        world.write(item("1", A=number(1), By=text("Ada")))
        world.write(item("1", A=number(2), By=text("nightly job")))
        world.write(item("2", A=number(1), By=text("nightly job")), "2")
        gone = world.write(None, "2")

        result = world.undo(where=NIGHTLY)

        assert world.item() == item("1", A=number(1), By=text("Ada"))
        assert result.undecided == (Undecided({"Id": text("2")}, gone.sort_key, EventName.REMOVE),)
        assert not result.is_clean

    def test_by_key(self, world):
        """Other items are neither read nor written."""
        for identifier in ("1", "2"):
            world.write(item(identifier, A=number(1)), identifier)
            world.write(item(identifier, A=number(2)), identifier, bad=True)

        result = world.undo(keys=[KEY, KEY])

        assert len(result.items) == 1
        assert world.item("1")["A"] == number(1)
        assert world.item("2")["A"] == number(2)

    def test_by_time_both_ends_included(self, world):
        """Stamps are whole seconds."""
        world.write(item("1", A=number(1)))
        first = world.write(item("1", A=number(2))).change.created_at
        last = world.write(item("1", A=number(3))).change.created_at
        world.write(item("1", A=number(3), B=number(1)))

        result = world.undo(where=None, since=first, until=last)

        assert result.is_clean
        assert world.item() == item("1", A=number(1), B=number(1))

    def test_a_later_change_that_is_stamped_earlier_came_since(self, world):
        """Its number says so: what it wrote stays, and what it did not touch is taken back."""
        first, bad, good = (
            item("1", A=number(n), B=number(m)) for n, m in ((1, 1), (2, 2), (3, 2))
        )
        world.record(None, first, "1", world.at(0), 1)
        world.bad.append(("1", world.record(first, bad, "1", world.at(2), 2).sort_key))
        world.record(bad, good, "1", world.at(1), 3)
        world.put(good)

        result = world.undo(until=world.at(3))

        assert [conflict.path for conflict in result.conflicts] == [("A",)]
        assert result.conflicts[0].reason == PERHAPS_A_COUNTER
        assert world.item() == item("1", A=number(3), B=number(1))

    def test_a_baseline_is_no_change(self, world):
        """Not even if it is asked for by name."""
        row = world.write(item("1", A=number(1)))
        baseline = row.to_item(4) | {"EventName": text("SNAPSHOT")}
        snapshot = HistoryRow.from_item(baseline)
        again = HistoryRow.from_change(snapshot.change)
        world.client.put_item(TableName=HISTORY, Item=again.to_item(4))

        result = world.undo(where=Selection(frozenset({EventName.SNAPSHOT})))

        assert result.items == ()

    def test_a_range_that_ends_before_it_starts_is_refused(self, world):
        """Rather than taken for an empty one."""
        with pytest.raises(ReportError, match="ends before it starts"):
            world.undo(since=world.now + timedelta(hours=1))


class TestOthersWhoWrite:
    """While the undo runs."""

    def test_a_change_between_reading_and_writing_is_seen(self, world):
        """What is touched becomes a conflict; the rest is taken back all the same."""
        world.write(item("1", A=number(1), B=number(1)))
        world.write(item("1", A=number(2), B=number(2)), bad=True)
        theirs = item("1", A=number(7), B=number(2))
        world.racing.script("transact_write_items", lambda: world.write(theirs))

        result = world.undo()

        assert [one.path for one in result.conflicts] == [("A",)]
        assert outcomes_of(result) == {WriteOutcome.WRITTEN: 1}
        assert world.item() == item("1", A=number(7), B=number(1))

    def test_a_change_of_another_attribute_is_no_obstacle(self, world):
        """What is written still is what was seen."""
        world.write(item("1", A=number(1)))
        world.write(item("1", A=number(2)), bad=True)
        theirs = item("1", A=number(2), B=number(7))
        world.racing.script("transact_write_items", lambda: world.write(theirs))

        assert world.undo().is_clean
        assert world.item() == item("1", A=number(1), B=number(7))

    def test_an_inserted_item_that_comes_into_use_stays(self, world):
        """What was added in the last moment is not deleted with it."""
        world.write(item("1", A=number(1)), bad=True)
        theirs = item("1", A=number(1), B=number(7))
        world.racing.script("transact_write_items", lambda: world.write(theirs))

        result = world.undo()

        assert [one.path for one in result.conflicts] == [()]
        assert world.item() == theirs

    def test_somebody_who_is_always_in_the_way_is_told(self, world):
        """After some attempts, and nothing is written over."""

        def state(value, theirs=0):
            names = [f"A{n}" for n in range(6)]
            return item(
                "1", **{name: number(7 if n < theirs else value) for n, name in enumerate(names)}
            )

        world.write(state(1))
        world.write(state(2), bad=True)
        for n in range(1, 6):
            world.racing.script("transact_write_items", lambda n=n: world.write(state(2, n)))

        result = world.undo()

        assert outcomes_of(result) == {WriteOutcome.CONFLICT: 1}
        assert result.items[0].reason == "it has changed meanwhile"
        assert world.item() == state(2, 5)


def test_a_set_that_others_made_something_else_of_is_theirs(world):
    """And then removed: that it is as before the bad change is no conflict."""
    world.write(item("1", A=number(1)))
    world.write(item("1", A=number(1), S={"SS": ["a"]}), bad=True)
    world.write(item("1", A=number(1), S=number(1)))
    world.write(item("1", A=number(1)))

    (planned,) = world.plan().items

    assert (planned.outcome, planned.edits, planned.conflicts) == (None, (), ())


def test_a_second_undo_finds_nothing_to_do(world):
    """Its own writes are good ones."""
    world.write(item("1", A=number(1)))
    world.write(item("1", A=number(2)), bad=True)
    world.write(item("2"), "2", bad=True)
    bad_until = world.now
    world.undo()
    after = world.item()

    again = world.undo(until=bad_until)

    assert again.is_clean
    assert outcomes_of(again) == {}
    assert world.item() == after


def test_what_cannot_be_written_is_told(world):
    """And can be undone later."""
    world.write(item("1", A=number(1)))
    world.write(item("1", A=number(2)), bad=True)
    world.racing.script("transact_write_items", DENIED)

    result = world.undo()

    assert outcomes_of(result) == {WriteOutcome.UNSENT: 1}
    assert not result.is_clean
    assert world.undo().is_clean


def test_an_item_that_cannot_be_read_does_not_stop_the_others(world):
    """It is told, with the table's code."""
    for identifier in ("1", "2"):
        world.write(item(identifier, A=number(1)), identifier)
        world.write(item(identifier, A=number(2)), identifier, bad=True)
    selected = world.select(where=world.only_bad())
    # Both at once, and then one of them by itself.
    world.racing.script("batch_get_item", DENIED)
    world.racing.script("get_item", DENIED)

    planned = plan_undo(world.deployment, selected, pace=world.pace())
    result = carried_out_undo(world.deployment, planned, world.pace())

    assert sorted(outcomes_of(result).elements()) == [WriteOutcome.UNSENT, WriteOutcome.WRITTEN]
    assert {world.item(one)["A"]["N"] for one in ("1", "2")} == {"1", "2"}


def test_an_altered_history_undoes_nothing(world):
    """A forged old image must not be put into the table."""
    world.write(item("1", A=number(1)))
    row = world.write(item("1", A=number(2)), bad=True)
    selected = world.select()
    forged = row.to_item(4) | {"OldImage": {"M": item("1", A=number(1_000_000))}}
    world.client.put_item(TableName=HISTORY, Item=forged)

    with pytest.raises(IntegrityError):
        world.undo()
    result = carried_out_undo(
        world.deployment, plan_undo(world.deployment, selected, pace=world.pace()), world.pace()
    )

    assert outcomes_of(result) == {WriteOutcome.REFUSED: 1}
    assert "its history is not intact" in result.items[0].reason
    assert world.item() == item("1", A=number(2))


def test_a_row_of_another_table_undoes_nothing(world):
    """What was there before in another table must not be put into this one."""
    world.write(item("1", A=number(1)))
    row = world.write(item("1", A=number(2)), bad=True)
    selected = world.select()
    arn = row.change.event_source_arn.replace("/stream/", "-of-others/stream/")
    foreign = HistoryRow.from_change(replace(row.change, event_source_arn=arn))
    world.client.put_item(TableName=HISTORY, Item=foreign.to_item(4))

    with pytest.raises(IntegrityError, match=r"it is of .*-of-others"):
        world.undo()
    result = carried_out_undo(
        world.deployment, plan_undo(world.deployment, selected, pace=world.pace()), world.pace()
    )

    assert outcomes_of(result) == {WriteOutcome.REFUSED: 1}
    assert world.item() == item("1", A=number(2))


def test_rows_that_are_gone_undo_nothing(world):
    """What the change was cannot be told any more."""
    world.write(item("1", A=number(1)))
    row = world.write(item("1", A=number(2)), bad=True)
    selected = world.select()
    world.client.delete_item(
        TableName=HISTORY,
        Key={"Id": text("1"), "ApproximateCreationDateTime": text(row.sort_key)},
    )

    result = plan_undo(world.deployment, selected, pace=world.pace())

    assert "are gone" in result.items[0].reason
    assert not result.is_clean


def test_it_keeps_to_a_rate_and_tells_how_far_it_is(world):
    """So many items a second."""
    for n in range(4):
        world.write(item(str(n), A=number(1)), str(n))
        world.write(item(str(n), A=number(2)), str(n), bad=True)
    pauses, told = [], []
    machine = Machine(now=lambda: world.now, clock=lambda: sum(pauses), sleep=pauses.append)

    world.undo(pace=Pace(1, progress=lambda *what: told.append(what), machine=machine))

    # To be planned, and to be written.
    assert sum(pauses) >= 6
    assert ("changes selected", 4, None) in told
    assert told[-1] == ("items", 4, 4)


def test_a_plan_keeps_to_a_rate_too(world):
    """It reads each item, and its history."""
    for n in range(4):
        world.write(item(str(n), A=number(1)), str(n))
        world.write(item(str(n), A=number(2)), str(n), bad=True)
    pauses = []
    machine = Machine(clock=lambda: sum(pauses), sleep=pauses.append)

    plan_undo(world.deployment, world.select(), pace=Pace(1, machine=machine))

    assert sum(pauses) >= 3


def test_what_global_tables_add_is_left_alone():
    """It is neither taken back nor in the way."""
    rows = [
        HistoryRow.from_change(
            change(
                item("1", A=number(n), **{"aws:rep:updatetime": number(n)}),
                item("1", A=number(n + 1), **{"aws:rep:updatetime": number(n + 1)}),
            )
        )
        for n in range(1)
    ]
    live = item("1", A=number(1), **{"aws:rep:updatetime": number(77)})

    found = compensate(KEY, live, [touch_of(rows[0], is_bad=True)])

    assert found.edits == (Difference(("A",), number(1), number(0)),)
    assert found.conflicts == ()


def test_a_change_made_while_an_item_is_looked_at_is_known_by_its_row(world):
    """The live item is read before the rows: these may say more than it shows, and never less."""
    world.write(item("1", Price=number(10)))
    world.write(item("1", Price=number(99)), bad=True)
    bad_until = world.now
    # The rows of the range are read before, by a call of the same kind.
    later = lambda: world.write(item("1", Price=number(50)))  # noqa: E731
    world.racing.script("batch_get_item", lambda: None, later)

    (undone,) = world.undo(until=bad_until).items

    assert [conflict.reason for conflict in undone.conflicts] == [PERHAPS_A_COUNTER]
    assert world.item() == item("1", Price=number(50))


def test_what_no_condition_can_guard_is_said_before_it_is_approved(world):
    """Of a delete of more than that; a plan that is kept says the same."""
    many = {f"attribute {n}": number(n) for n in range(200)}
    world.write(item("1", **many), bad=True)

    planned = world.plan()

    assert planned.items[0].notes == (GUARDED_IN_PART,)
    assert undone_items(planned.items)[0].notes == (GUARDED_IN_PART,)
