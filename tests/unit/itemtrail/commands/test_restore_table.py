"""A restore into a new table: what is asked for, what is shown before and after, how it goes on."""

import json
from dataclasses import replace

import pytest

from operations.errors import RefusedError
from operations.execution.plan_file import Plan, read_plan, write_plan
from operations.recovery.table.new_table import Standing
from operations.recovery.table.selection import ItemSelection
from reports.states.item_conditions import ItemCondition, Operator
from tests.factories import text
from tests.unit.itemtrail.library import (
    AGO,
    AT,
    EVERY_ORDER,
    HEADER,
    SETTINGS,
    TABLE_PLAN,
    WHOLE,
    Library,
)
from tests.unit.itemtrail.outputs import lines_of, only_line

INTO = EVERY_ORDER["restore --into"]
APPLY = ("--apply", "--yes")


def test_what_is_in_the_new_table_is_shown(run):
    """What was there, what is missing, what is uncertain and why; how it is set up."""
    library = Library()

    status, out, _ = run(*INTO, "--output", "table", *APPLY, library=library)

    (_, plan), named = library.asked["restore_table"]
    assert (plan.order.at, plan.order.new_table, named["apply"]) == (AT, "Employee-march", True)
    lines = lines_of(out)
    assert status == 1
    assert "3 of them, which were there before" in lines
    assert (
        "2 items of which it is not certain what they were, left out without --allow-uncertain"
        in (lines)
    )
    assert "2 bounded: a change is missing" in lines
    assert "Id=1 uncertain bounded" in lines
    assert any(line.startswith("Id=1 extraneous it is not") for line in lines)
    assert "Id=2 unwritten the table answers ValidationException" in lines
    assert "Id=3 unknown neither the table nor its history knows such a key: is it right?" in lines
    assert "set up with key Id, billed on demand" in lines
    assert "left out: a resource policy: it has one" in lines
    assert "note deletion protection is not on" in lines
    assert " ".join(lines).endswith(
        "7 items in Employee-march, 3 there before, 1 not taken, 1 there that are not in the "
        "order, 1 unknown, 2 uncertain and left out without --allow-uncertain, "
        "ended: the table answers nothing"
    )


def test_what_is_allowed_to_be_uncertain_is_said_to_be_there(run):
    """In the order, and in the answer, with how sure it is and why."""
    library = Library(restore_table=replace(WHOLE, allows_uncertain=True))

    status, out, _ = run(*INTO, "--allow-uncertain", "--output", "table", *APPLY, library=library)

    (_, plan), _ = library.asked["restore_table"]
    assert plan.order.allows_uncertain
    lines = lines_of(out)
    assert status == 1
    assert "2 items of which it is not certain what they were" in lines
    assert "2 bounded: a change is missing" in lines
    assert "2 uncertain, ended" in lines[-1]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_what_is_there_beside_the_order_is_named(run, form):
    """A count alone finds nobody's write."""
    _, out, _ = run(*INTO, "--output", form)

    (line,) = (line for line in out.splitlines() if "extraneous" in line)
    assert '"Id":{"S":"1"}' in line.replace('""', '"')
    assert "it is not in the order" in line


def test_the_key_of_a_source_that_is_gone_is_given(run):
    """Its names may hold the sign itself."""
    library = Library()

    run(*INTO, "--key-attribute", "Id:N", "--key-attribute", "a:b:S", library=library)

    (_, order), _ = library.asked["plan_table"]
    assert list(order.key_schema.types.items()) == [("Id", "N"), ("a:b", "S")]


def test_a_selection_is_asked_for(run, tmp_path):
    """By keys in a file, by how they begin, by values; a number below zero is a value."""
    (tmp_path / "keys.txt").write_text("1\n2\n", "utf-8")
    library = Library()

    run(
        *INTO,
        *("--keys-file", "keys.txt", "--key-prefix", "a", "--key-prefix", "b"),
        *("--where", "Salary", "<", "-5", "--where", "a.b", "=", "x y", "--ttl"),
        library=library,
    )

    (_, order), _ = library.asked["plan_table"]
    assert order.with_ttl
    assert order.selection == ItemSelection(
        ({"Id": text("1")}, {"Id": text("2")}),
        ("a", "b"),
        (
            ItemCondition(("Salary",), Operator.LESS, "-5"),
            ItemCondition(("a", "b"), Operator.EQUAL, "x y"),
        ),
    )


def test_the_plan_is_shown_and_asked_about_first(run):
    """How the new table is set up, and what it does not get; without a yes nothing is made."""
    library = Library()

    status, out, err = run(*INTO, "--output", "table", "--apply", library=library)

    assert (status, library.order) == (2, ["plan_table"])
    lines = lines_of(out)
    assert lines[0] == "Plan: Employee as of 2018-03-03 14:06:00 UTC"
    assert "set up with tags payroll" not in lines
    assert "set up with tags team" in lines
    assert any(line.startswith("left out: the time to live (by Expires)") for line in lines)
    assert "would be written into the new table Employee-march; nothing was written" in err


def test_one_that_was_begun_is_said_to_go_on(run):
    """Its settings are as they are, and only what is missing is written."""
    begun = replace(TABLE_PLAN, standing=Standing(is_there=True, tag=TABLE_PLAN.tag))
    library = Library(plan_table=begun)

    _, _, err = run(*INTO, "--apply", library=library)

    assert "was begun in Employee-march, and what is missing would be written" in err


@pytest.mark.parametrize(
    "words",
    [
        ("--at", "2018-03-03T15:06+01:00"),
        ("--at=2018-03-03T15:06+01:00",),
        ("--before", "2018-03-03T14:06:01Z"),
    ],
)
def test_what_goes_on_with_it_is_told_with_its_times_resolved(run, words):
    """`2h ago` would be another order: it is said before anything is written, and at the end."""
    library = Library()

    status, out, err = run("restore", "--into", "New_table", *words, *APPLY, library=library)

    (_, _), named = library.asked["restore_table"]
    at = "2018-03-03T14:06:00.999999Z" if "--before" in words else "2018-03-03T14:06:00.000000Z"
    command = f"itemtrail restore --into New_table --at {at} --apply --yes"
    assert named["command"] == command
    assert f"whatever ends it sooner, this goes on with it: {command}" in err
    assert err.splitlines()[-1] == f"to go on with it: {command}"
    assert (status, json.loads(out)["go_on"]) == (1, command)


def test_nothing_is_gone_on_with_where_all_is_done(run):
    """Or where nothing was to be done."""
    library = Library(restore_table=replace(WHOLE, may_go_on=False))

    _, out, err = run(*INTO, *APPLY, library=library)

    assert json.loads(out)["go_on"] is None
    assert "to go on with it" not in err


def test_a_plan_of_a_table_is_kept_shown_and_carried_out(run, tmp_path):
    """The order and what the table is made with, and no line for each item."""
    choice = ("--where", "a", "=", "1", "--key-prefix", "x", "--ttl", "--key-attribute", "Id:S")
    first = Library()
    status, _, err = run(*INTO, *choice, "--plan-out", "the.plan", library=first)
    plan = read_plan(tmp_path / "the.plan")

    assert (status, first.order) == (1, ["plan_table", "restore_table"])
    assert first.asked["restore_table"][1]["apply"] is False
    assert plan.items == ()
    assert plan.header.totals == {"items in Employee-march": 7}
    assert plan.header.counts.keys() == {"unknown", "unwritten", "uncertain"}
    assert plan.header.counts["uncertain"] == {"bounded: a change is missing": 2}
    assert f"the plan is in the.plan: {plan.digest}" in err

    shown, out, err = run("restore", "--plan", "the.plan", "--show", "--output", "table")
    lines = lines_of(out)
    assert shown == 1
    assert any(line.startswith("Plan: arn:") for line in lines)
    assert "set up with key Id, billed on demand" in lines
    assert "left out: a resource policy: it has one" in lines
    assert "  2 uncertain: bounded: a change is missing" in err.splitlines()
    assert " ".join(lines).endswith(
        f"there would be 7 items in Employee-march; the plan is {plan.digest}"
    )

    library = Library()
    done, _, _ = run(
        *("restore", "--plan", "the.plan", "--apply", "--approve", plan.digest), library=library
    )
    (_, order, settings), _ = library.asked["plan_table"]
    assert done == 1
    assert library.order == ["plan_table", "restore_table"]
    assert order == first.asked["plan_table"][0][1]
    assert settings == SETTINGS
    assert library.asked["restore_table"][1]["apply"] is True


def test_a_kept_plan_says_what_it_allows_to_be_uncertain(run, tmp_path):
    """How sure it is and why, in the plan and when it is shown; and that is carried out."""
    library = Library(restore_table=replace(WHOLE, allows_uncertain=True, unknown=(), unwritten=()))
    run(*INTO, "--allow-uncertain", "--plan-out", "the.plan", library=library)
    plan = read_plan(tmp_path / "the.plan")
    status, out, _ = run("restore", "--plan", "the.plan", "--show", "--output", "table")
    library = Library()
    run("restore", "--plan", "the.plan", "--apply", "--yes", library=library)

    assert plan.header.counts == {}
    assert status == 1
    assert "2 of which it is not certain what they were, bounded: a change is missing" in " ".join(
        lines_of(out)
    )
    (_, order, _), _ = library.asked["plan_table"]
    assert order.allows_uncertain


def test_a_plan_of_a_table_is_approved_by_its_digest(run):
    """Another one is not carried out."""
    run(*INTO, "--plan-out", "the.plan")
    library = Library()

    status, _, err = run(
        *("restore", "--plan", "the.plan", "--apply", "--approve", "sha256:0"), library=library
    )

    assert (status, library.order) == (2, [])
    assert "which is not what was approved" in only_line(err)


def test_a_table_that_another_order_has_begun_is_refused_before_the_question(run):
    """Nobody is asked about what cannot be done."""
    library = Library(plan_table=RefusedError("was begun by another restore"))

    status, out, err = run(*INTO, "--apply", library=library)

    assert (status, out, library.order) == (2, "", ["plan_table"])
    assert only_line(err) == "Error: was begun by another restore"


def test_a_plan_of_a_table_that_is_no_such_order_is_refused(run, tmp_path):
    """As from a later version of this program."""
    arguments = {"into": "Employee-march", "at": AGO}
    write_plan(
        tmp_path / "the.plan", Plan(replace(HEADER, command="restore", arguments=arguments), ())
    )

    status, _, err = run("restore", "--plan", "the.plan", "--show")

    assert status == 2
    assert "order of a table cannot be read: make the plan anew" in only_line(err)
