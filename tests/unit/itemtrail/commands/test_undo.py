"""Undo: what is chosen, the plan, and the same range again."""

import getpass
import json
from datetime import UTC, datetime, timedelta

import pytest

from operations.recovery.undo import Undone
from reports.states.watermark import Basis, Watermark
from tests.factories import number, text
from tests.unit.itemtrail.library import AGO, ONE, RANGE, Library
from tests.unit.itemtrail.outputs import lines_of, only_line


def test_undo_is_asked_for_by_what_the_options_say(run):
    """The range, the choice and the key reach the library as they were given."""
    library = Library()
    choice = ("--event", "modify", "--attribute", "Name", "--from", "a", "--actor", "payroll")

    run("undo", "1", *RANGE, *choice, "--actor-attribute", "by", library=library)

    _, named = library.asked["select_bad"]
    assert (named["since"], named["until"]) == (
        datetime(2018, 3, 1, tzinfo=UTC),
        datetime(2018, 4, 1, 23, 59, 59, 999_999, tzinfo=UTC),
    )
    assert named["keys"] == [ONE]
    where = named["where"]
    assert (where.event_names, where.attribute, where.old) == ({"MODIFY"}, ("Name",), "a")
    assert (where.actor, where.actor_attribute) == ("payroll", ("by",))


@pytest.mark.parametrize("until", ["now", "today", "2999-01-01"])
def test_a_range_ends_with_the_last_second_that_is_over(run, until):
    """So a history that is declared complete until now has all of it."""
    library, before = Library(), datetime.now(UTC)

    run("undo", "1", "--since", "1h ago", "--until", until, library=library)

    last = library.asked["select_bad"][1]["until"]
    over = last + timedelta(microseconds=1)
    assert before - timedelta(seconds=1) < over <= datetime.now(UTC)
    assert over.microsecond == 0
    assert Watermark(over + timedelta(milliseconds=1), Basis.DECLARED, "").covers(last)


def test_a_range_of_the_second_that_is_now_is_none(run):
    """One line says so."""
    status, _, err = run("undo", "1", "--since", "now", "--until", "now")

    assert status == 2
    assert "--since is in the second of now, which is not over" in only_line(err)


def test_undo_of_everything_in_a_range_has_to_be_asked_for(run):
    """The good writes of the range would go too: that is never what is meant by leaving out."""
    library = Library()

    status, out, err = run("undo", *RANGE, "--apply", library=library)
    allowed, _, _ = run("undo", *RANGE, "--all", library=library)

    assert (status, out) == (2, "")
    assert "this would take back every change of the range, the good ones too: choose by KEY" in (
        only_line(err)
    )
    assert allowed == 1
    assert library.order == ["select_bad", "plan_undo"]


@pytest.mark.parametrize(
    "choice",
    [
        ("1",),
        ("--event", "remove"),
        ("--attribute", "a"),
        ("--actor", "payroll", "--actor-attribute", "by"),
    ],
)
def test_undo_of_a_choice_needs_no_other_word(run, choice):
    """Each kind of choice will do; together with --all it is not clear what is meant."""
    chosen, _, _ = run("undo", *RANGE, *choice)
    unclear, _, err = run("undo", *RANGE, *choice, "--all")

    assert (chosen, unclear) == (1, 2)
    assert "--all and a choice exclude each other: leave one of them out" in err


def test_undo_shows_the_plan_before_it_is_carried_out(run):
    """Edits, conflicts, and the changes of which nothing tells whose they were."""
    library = Library()

    _, out, _ = run("undo", "1", *RANGE, "--apply", "--yes", "--output", "table", library=library)

    lines = lines_of(out)
    assert library.order == ["select_bad", "plan_undo", "write_undone"]
    assert lines[0] == (
        "Plan: Undo of changes from 2018-03-01 00:00:00 to 2018-04-01 23:59:59.999 UTC"
    )
    assert "Id=1 written + Salary: 1" in lines
    assert "! Name is Grace, not Murali Allada; wanted Murali (again)" in lines
    assert "Id=3 to delete - the item: Name: Murali Allada Photo: base64:AAE=" in lines
    assert "Id=3 conflict - the item: Name: Murali Allada Photo: base64:AAE=" in lines
    assert "it has changed since the plan was made" in lines
    assert (
        "Id=2 undecided REMOVE: the history does not say who made the change: it is not taken back"
        in lines
    )


def test_undo_says_how_to_have_the_same_range_again(run):
    """`1h ago` is another moment when the command is run again with --apply."""
    _, _, err = run("undo", "1", *RANGE)

    assert err.endswith(
        "\nthe same range again: --since 2018-03-01T00:00:00.000000Z --until "
        "2018-04-01T23:59:59.999999Z\n"
        "dry run, nothing was written: with --apply 1 item would be written and 1 deleted, "
        "1 undecided; 1 place in conflict\n"
    )


def test_what_is_copied_from_the_screen_is_one_line(run, monkeypatch):
    """A line that was broken would be pasted as two commands."""
    monkeypatch.setenv("COLUMNS", "60")

    _, table, _ = run("undo", "1", *RANGE, "--output", "table")

    assert (
        "the same range again: --since 2018-03-01T00:00:00.000000Z --until "
        "2018-04-01T23:59:59.999999Z" in table.splitlines()
    )


def test_undo_says_what_it_passed_over_and_what_it_does_not_know(run):
    """With --attribute whole items stay as they are; a misspelt name is no success."""
    unknown = ("no change of the range knows the attribute Nam of --attribute: is Name meant?",)

    status, _, err = run("undo", *RANGE, "--all", plan_undo=Undone(False, (), (), 2, unknown))

    assert status == 1
    assert err.splitlines()[1:] == [
        (
            "there is no such change: nothing to take back; "
            "no change of the range knows the attribute Nam of --attribute: is Name meant?; "
            "2 changes of whole items passed over: --event INSERT or --event REMOVE takes such back"
        )
    ]


def test_undo_of_nothing_says_so(run):
    """No such change is an answer."""
    status, out, err = run("undo", "1", *RANGE, plan_undo=Undone(False, (), ()))

    assert (status, json.loads(out)) == (0, [])
    assert err.splitlines()[1:] == ["there is no such change: nothing to take back"]


def test_undo_writes_who_undoes_where_every_writer_leaves_its_name(run):
    """The caller, or who is named; what is set there by name goes before."""
    terms = []
    for words in (
        ("--by", "grace"),
        ("--set", "updated_by=job 7", "--set", 'm."a=b".n=1', "--counter", "stock"),
        (),
    ):
        library = Library()
        run("undo", "1", *RANGE, "--actor-attribute", "updated_by", *words, library=library)
        terms.append(library.asked["plan_undo"][1]["terms"])
    library = Library()
    run("undo", "1", *RANGE, "--by", "grace", library=library)

    assert terms[0].stamps == {("updated_by",): text("grace")}
    assert terms[1].stamps == {("updated_by",): text("job 7"), ("m", "a=b", "n"): number(1)}
    assert (terms[0].counters, terms[1].counters) == ((), (("stock",),))
    assert terms[2].stamps == {("updated_by",): text(getpass.getuser())}
    assert library.asked["plan_undo"][1]["terms"].stamps == {}


@pytest.mark.parametrize(
    ("stamp", "refusal"),
    [
        (("Id=2",), "Id is in the table's key, which no write can change"),
        (("a.b=1", "--set", "a=2"), "--set writes a twice: leave one out"),
        (("a=1", "--set", "a.b=2"), "--set writes a.b twice: leave one out"),
        (("a",), "'a' is not PATH=VALUE: write e.g. updated_by=ada"),
        (("l[0]=1",), "'l[0]=1' is within a list: name a place in maps"),
        ((f"a={'9' * 39}",), "N has more than 38 significant digits"),
    ],
)
def test_what_cannot_be_set_is_refused(run, stamp, refusal):
    """For both commands, before anything is asked of a table."""
    for command in (("undo", "1", *RANGE), ("restore", "1", "--at", AGO)):
        library = Library()
        status, _, err = run(*command, "--set", *stamp, library=library)

        assert (status, library.order) == (2, [])
        assert refusal in only_line(err)


def test_undo_of_a_run_needs_no_range(run):
    """The run says which changes; between which times is kept in the plan."""
    library = Library()

    status, _, err = run("undo", "--run", "0123456789ab", library=library)

    assert status == 1
    assert library.asked["select_run"][0][1] == "0123456789ab"
    assert "the same range again" not in err


def test_who_takes_a_run_back_may_leave_a_name(run):
    """Else the names come back that the run found there."""
    library = Library()

    run("undo", "--run", "0123456789ab", "--actor-attribute", "by", "--by", "kim", library=library)

    assert library.asked["plan_undo"][1]["terms"].stamps == {("by",): {"S": "kim"}}


@pytest.mark.parametrize(
    "words", [("1",), ("--all",), RANGE, ("--event", "remove"), ("--wait",), RANGE[:2]]
)
def test_undo_of_a_run_chooses_nothing_else(run, words):
    """Half a run that is taken back would be neither the one nor the other."""
    status, out, err = run("undo", "--run", "0123456789ab", *words)

    assert (status, out) == (2, "")
    assert "leave out what chooses others" in err or "go together" in err


def test_undo_without_a_run_needs_its_range(run):
    """Both ends of it."""
    status, _, err = run("undo", "1", *RANGE[:2])

    assert status == 2
    assert "--until" in err


def test_joining_is_for_a_plan_that_was_kept(run):
    """Another plan is another run, which nobody else has begun."""
    status, _, err = run("undo", "1", *RANGE, "--apply", "--yes", "--join")
    assert status == 2
    assert "--join is for --plan FILE" in err

    library = Library()
    run("undo", "1", *RANGE, "--plan-out", "the.plan")
    run("undo", "--plan", "the.plan", "--apply", "--join", library=library)
    assert library.asked["write_undone"][0][2].joins is True
