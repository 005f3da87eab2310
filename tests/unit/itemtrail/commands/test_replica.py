"""Compare and repair."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from operations.execution.plan_file import Plan, PlanAction, PlanItem, write_plan
from operations.replica.discrepancies import DiscrepancyKind
from tests.factories import text
from tests.unit.itemtrail.library import (
    CLEAN,
    EVERY_ORDER,
    HEADER,
    NEW,
    OLD,
    ONE,
    PLANNED,
    REPAIRED,
    THREE,
    TWO,
    Library,
)
from tests.unit.itemtrail.outputs import lines_of


def test_compare_shows_how_and_why_each_item_differs(run):
    """How far an item lags behind is told beside it, what to do once below."""
    status, out, err = run("compare", "--output", "table")

    lines = lines_of(out)
    assert (status, err) == (1, "")
    assert "different LAGGING ¹ Id=1 1 min 30 s, 2 changes behind" in lines
    assert "~ Name: Murali Allada → Murali" in lines
    assert "missing ? ² Id=2 nothing but its key" in lines
    assert r"extraneous CORRUPT ³ Id=3 A: \x1b[2J" in lines
    assert "¹ `repair` it" in lines
    assert "³ it never was so; find out who writes" in lines
    assert "3 of 100 items differ, 1 changed all the time" in lines
    assert "changed all the time: Id=9" in lines


def test_compare_for_a_program_has_the_states_and_the_statement_apart(run):
    """Lines are data; what they come to is on stderr."""
    _, out, err = run("compare")

    first, second, _ = json.loads(out)
    assert (first["source"], first["replica"]) == (
        {**NEW, "Photo": {"B": "AAE="}},
        OLD,
    )
    assert (first["changes_behind"], first["behind_s"]) == (2, 90)
    assert (second["reason"], second["replica"]) == (None, None)
    assert err.splitlines()[0] == "3 of 100 items differ, 1 changed all the time"


@pytest.mark.parametrize(("given", "share"), [("1%", 0.01), ("0.01", 0.01), ("100%", 1.0)])
def test_a_sample_is_a_part_of_all(run, given, share):
    """Per cent or a fraction; the confidence is told, and how to look at the same items again."""
    library = Library(compare=([], replace(CLEAN, sample=0.01)))

    status, _, err = run("compare", "--sample", given, "--seed", "7", library=library)

    named = library.asked["compare"][1]
    assert (status, named["sample"], named["seed"]) == (0, share, 7)
    assert "with a confidence of 95% no more than 2.951% of all items do" in err
    assert "the same items again: --sample 0.01 --seed 7" in err.splitlines()


def test_compare_is_asked_for_by_what_the_options_say(run):
    """Every option reaches the library as it was given."""
    library = Library()

    run("compare", "--segments", "3", "--rate", "9", library=library)

    assert library.asked["compare"][1] == {
        "segments": 3,
        "sample": None,
        "seed": None,
        "rate": 9.0,
    }


def test_repair_without_a_key_heals_what_a_comparison_finds(run):
    """A person sees what was found first; what changed all the time is healed too."""
    library = Library()

    status, out, _ = run("repair", "--apply", "--yes", "--output", "table", library=library)

    assert status == 1
    assert library.order == ["compare", "repair", "repair"]
    assert library.asked["repair"][0][1] == [ONE, TWO, THREE, {"Id": text("9")}]
    assert library.asked["repair"][1]["are_named"] is False
    lines = lines_of(out)
    assert lines.index("extraneous CORRUPT ³ Id=3 A: \\x1b[2J") < lines.index(
        "2 as in the source now"
    )
    assert "Id=2 the replica refuses it: ValidationException" in lines
    assert "Id=1 it changed all the time: nothing can be said of it now" in lines
    assert lines[-1] == "2 of 4 as in the source now, 2 not: repair again when the cause is removed"


def test_repair_for_a_program_tells_what_the_comparison_came_to(run):
    """On stderr; the answer is the repair's own."""
    _, out, err = run("repair")

    answer = json.loads(out)
    assert (answer["missing"], answer["different"], answer["extraneous"]) == (3, 1, 0)
    assert err.splitlines()[0].startswith("3 of 100 items differ")
    assert err.splitlines()[-1].startswith("dry run, nothing was written: with --apply 4 items")


@pytest.mark.parametrize("form", ["json", "jsonl", "csv"])
def test_a_dry_run_says_of_each_item_what_would_be_done(run, form):
    """Also for a program: counts alone cannot be looked at."""
    plan = tuple(
        PlanItem(n, key, action, (), "", "")
        for n, (key, action) in enumerate(zip((ONE, TWO, THREE), PlanAction, strict=True), 1)
    )
    planned = replace(REPAIRED, applied=False, plan=plan, unhealed=(), restless=())

    _, out, _ = run("repair", "1", "--output", form, repair=planned)

    if form == "csv":
        lines = [(line["problem"], line["action"]) for line in csv.DictReader(io.StringIO(out))]
    else:
        lines = json.loads(out)["planned"] if form == "json" else map(json.loads, out.splitlines())
        lines = [(line["problem"], line["action"]) for line in lines]
    assert sorted(lines) == [("different", "update"), ("extraneous", "delete"), ("missing", "put")]


def test_a_dry_run_that_is_held_back_says_what_lifts_that(run):
    """It would not be carried out as it is."""
    held = replace(REPAIRED, applied=False, ended="held", differing={DiscrepancyKind.EXTRANEOUS: 9})

    _, out, _ = run("repair", "1", "--output", "table", repair=held)

    assert " ".join(lines_of(out)[-3:]).endswith(
        "held dry run, nothing was written: with --apply and the replica's name (--deletes) 0 "
        "items of the replica would be written and 9 deleted from it"
    )


def test_repair_of_given_keys_compares_nothing_else(run, tmp_path):
    """One key, or a file of them."""
    (tmp_path / "keys.txt").write_text("1\n2\n")
    library = Library()

    run("repair", "--keys-file", "keys.txt", "--rate", "5", "--state", "kept", library=library)

    assert library.order == ["repair"]
    (_, keys), named = library.asked["repair"]
    assert keys == [ONE, TWO]
    assert named == {
        "apply": False,
        "deletes": None,
        "state_path": Path("kept"),
        "planned": None,
        "are_named": True,
        "rate": 5.0,
    }


def test_deletes_that_were_held_back_are_carried_out_by_name_only(run):
    """Who has named the replica for a plan that says why it is held back has lifted that."""
    why = "9 of about 9 items would be deleted from the replica 'Copy', and the source is empty"
    library = Library(repair=replace(REPAIRED, applied=False, ended=why))

    _, _, err = run("repair", "1", "--apply", "--yes", "--output", "json", library=library)

    assert why in " ".join(err.split())
    assert library.asked["repair"][1]["deletes"] == "Employee-replica"


@pytest.mark.parametrize("command", ["repair", "redrive"])
def test_who_interrupts_is_told_how_to_go_on(run, tmp_path, command):
    """What was settled stays so; of a dry run there is nothing to tell."""
    library = Library(**{command: KeyboardInterrupt()})
    write_plan(tmp_path / "the.plan", Plan(replace(HEADER, command="repair"), PLANNED))
    what = {"repair": ("--plan", "the.plan"), "redrive": ()}[command]

    status, _, err = run(command, *what, "--apply", library=library)
    _, _, dry = run(*EVERY_ORDER[command], library=library)

    assert status == 130
    assert "interrupted: what is settled stays so; the same command goes on, and" in err
    assert "interrupted" not in dry
