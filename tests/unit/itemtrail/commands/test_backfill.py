"""Enable and backfill."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from operations.enable import Stream
from operations.execution.plan_file import read_plan, write_plan
from reports.access.private_files import state_folder
from reports.inputs.keys import KeySchema
from reports.verification.gaps import read_gaps
from tests.unit.itemtrail.library import ARN, AT, BACKFILLED, GAP, HEADER, Library
from tests.unit.itemtrail.outputs import lines_of, only_line


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        ((ARN, True, False), "the stream of Employee is on already, with both images: nothing was"),
        ((ARN, False, True), "the stream of Employee is on now, with both images"),
        ((ARN, False, False), "another program has just turned the stream of Employee on"),
        ((None, False, False), "the stream of Employee, which is off, would be on with both"),
    ],
)
def test_enable_says_what_was_and_what_is(run, stream, expected):
    """Each of the four ends has its words, and none is a finding."""
    arn, was_on, applied = stream
    found = Stream("Employee", arn, was_on=was_on, applied=applied)

    status, out, err = run("enable", "Employee", "--apply", enable=found)

    assert status == 0
    assert json.loads(out)["stream_arn"] == arn
    assert expected in only_line(err)


def test_the_arn_of_a_stream_can_be_copied(run, monkeypatch):
    """It stays in one line, however narrow the screen is."""
    monkeypatch.setenv("COLUMNS", "40")

    _, out, _ = run("enable", "Employee", "--output", "table")

    assert ARN in out.splitlines()


def test_backfill_is_asked_for_by_what_the_options_say(run):
    """Every option reaches the library as it was given."""
    library = Library()

    run(
        *("backfill", "--segments", "3", "--rate", "2.5", "--state", "there.json", "--no-replica"),
        *("--from-export", "s3://bucket/AWSDynamoDB/1", "--apply", "--yes", "--deletes", "Copy"),
        library=library,
    )

    _, named = library.asked["backfill"]
    assert named == {
        "stack": None,
        "export": "s3://bucket/AWSDynamoDB/1",
        "export_id": None,
        "segments": 3,
        "apply": True,
        "state_path": Path("there.json"),
        "deletes": "Copy",
        "rate": 2.5,
        "history": True,
        "replica": False,
    }


def test_backfill_keeps_its_state_beside_by_default(run):
    """The file is named for the table, so that two backfills do not meet."""
    library = Library()

    run("backfill", library=library)

    name = "backfill-Employee-us-east-1.json"
    assert library.asked["backfill"][1]["state_path"] == state_folder() / name


def test_an_interrupted_backfill_says_how_to_go_on(run, tmp_path):
    """The same command with the same file; a dry run has nothing to go on with."""
    library = Library(backfill=KeyboardInterrupt())
    (tmp_path / "state.json").write_text("{}")
    order = ("backfill", "--state", "state.json")

    status, _, err = run(*order, "--apply", "--yes", library=library)
    _, _, silent = run(*order, library=library)

    assert status == 130
    assert "interrupted: run the same command again, it goes on from state.json" in (
        err.splitlines()
    )
    assert silent.strip() == ""


def test_an_unfinished_backfill_lists_what_is_left_and_how_to_go_on(run):
    """What is refused for good is told apart from what is to be tried again."""
    _, out, _ = run("backfill", "--apply", "--yes", "--output", "table")

    lines = lines_of(out)
    assert "4 baselines written into the history" in lines
    assert "0123456789abcdef the table answers ValidationException" in lines
    assert "fedcba9876543210 not settled in the replica: no answer" in lines
    assert lines[-1] == (
        "not finished: 4 baselines written, 9 items settled in the replica, 1 refused for good, "
        "1 not done; run the same command again: it goes on from state.json"
    )


def test_a_finished_backfill_gives_the_declaration_for_verify(run, tmp_path):
    """As JSON within the answer, else in one line to copy; `verify --gaps` can read it."""
    done = replace(BACKFILLED, finished=True, problems=[], unfinished=[], go_on=None, gap=GAP)

    _, out, _ = run("backfill", "--apply", "--yes", backfill=done)
    _, table, _ = run("backfill", "--apply", "--yes", "--output", "table", backfill=done)
    _, _, err = run("backfill", "--apply", "--yes", "--output", "jsonl", backfill=done)

    assert json.loads(out)["gap"] == GAP
    (line,) = [one for one in table.splitlines() if one.startswith("[")]
    (tmp_path / "gaps.json").write_text(line)
    (gap,) = read_gaps(tmp_path / "gaps.json", KeySchema({"Id": "S"}))
    assert (gap.cause, gap.until) == (GAP["cause"], AT)
    assert f"for verify --gaps: {line}" in err.splitlines()


COUNTED = replace(BACKFILLED, applied=False, finished=True, unfinished=[], go_on=None)


@pytest.fixture
def kept(run):
    """A plan in a file, and how the library was asked for it."""
    library = Library(backfill=COUNTED)
    asked = run("backfill", "--segments", "3", "--plan-out", "the.plan", library=library), library
    assert asked[0][0] == 1
    return asked


def test_a_backfill_keeps_what_it_would_come_to(kept, tmp_path):
    """Arguments and counts, and no line an item; what is refused for good is left out of it."""
    (_, _, err), library = kept

    plan = read_plan(tmp_path / "the.plan")
    assert library.asked["backfill"][1]["apply"] is False
    assert (plan.header.command, plan.items) == ("backfill", ())
    assert plan.header.arguments == {
        "consumers": ["history_writer", "replica_writer"],
        "segments": 3,
        "replica": {"arn": HEADER.table.arn, "id": HEADER.table.table_id},
    }
    assert plan.header.totals == {"baselines in the history": 4, "items settled in the replica": 9}
    assert plan.header.counts == {"refused": {"the table answers ValidationException": 1}}
    assert f"itemtrail backfill --plan the.plan --apply --approve {plan.digest}" in err


@pytest.mark.usefixtures("kept")
def test_a_plan_of_a_backfill_is_shown(run):
    """What it would come to, and what it leaves out; no table is asked."""
    library = Library()

    status, out, err = run("backfill", "--plan", "the.plan", "--show", library=library)
    _, table, _ = run("backfill", "--plan", "the.plan", "--show", "--output", "table")

    assert (status, library.order) == (1, [])
    assert json.loads(out)["totals"] == {
        "baselines in the history": 4,
        "items settled in the replica": 9,
    }
    expected = "there would be 4 baselines in the history and 9 items settled in the replica"
    assert expected in err
    assert any(expected in line for line in lines_of(table))
    assert "\n  1 refused: the table answers ValidationException\n" in err


@pytest.mark.usefixtures("kept")
def test_a_plan_of_a_backfill_is_carried_out_as_it_is(run, tmp_path):
    """Without a question, with what it says, wherever the state is kept; nothing is counted."""
    plan, library = read_plan(tmp_path / "the.plan"), Library()
    order = ("backfill", "--plan", "the.plan", "--apply", "--approve", plan.digest)

    run(*order, "--state", "there.json", "--rate", "5", "--deletes", "Copy", library=library)

    _, named = library.asked["backfill"]
    assert library.order == ["backfill"]
    assert named == {
        "stack": None,
        "export": None,
        "export_id": None,
        "segments": 3,
        "apply": True,
        "state_path": Path("there.json"),
        "deletes": "Copy",
        "rate": 5,
        "history": True,
        "replica": True,
    }


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"replica": "arn"}, "the plan is for of another, not for arn:aws"),
        ({"replica": "id"}, "the plan is for an older table of the name 'Employee'"),
        ({"history": "Other-history"}, "rests on the history Other-history, not on"),
        ({"stream_arn": f"{HEADER.stream_arn}-old"}, "the stream of 'Employee' was switched"),
        ({"table": replace(HEADER.table, table_id="older")}, "an older table of the name"),
    ],
)
@pytest.mark.usefixtures("kept")
def test_a_plan_of_a_backfill_for_something_else_is_refused(run, tmp_path, header, expected):
    """Another replica, history or stream, or a table made anew under the name."""
    plan, changed = read_plan(tmp_path / "the.plan"), dict(header)
    if "replica" in header:
        plan.header.arguments["replica"][changed.pop("replica")] = "of another"
    write_plan(tmp_path / "the.plan", replace(plan, header=replace(plan.header, **changed)))
    library = Library()

    status, _, err = run("backfill", "--plan", "the.plan", "--apply", library=library)

    assert (status, library.order) == (2, [])
    assert expected in only_line(err)


def test_a_backfill_that_was_not_counted_whole_keeps_no_plan(run, tmp_path):
    """It would be approved for less than it does."""
    ended = replace(COUNTED, finished=False, ended="nothing is answered")

    status, _, err = run("backfill", "--plan-out", "the.plan", backfill=ended)

    assert status == 2
    assert "no plan was kept: not all of the table could be read (nothing is answered)" in err
    assert not (tmp_path / "the.plan").exists()


def test_a_copy_of_an_export_is_found_from_anywhere(run, tmp_path):
    """A plan is carried out in another folder, too."""
    run("backfill", "--from-export", "copy", "--plan-out", "the.plan", backfill=COUNTED)

    assert read_plan(tmp_path / "the.plan").header.arguments["export"] == str(tmp_path / "copy")


def test_a_plan_says_which_export_it_is_of(run, tmp_path):
    """Another one may be put at the same place before it is carried out."""
    counted = replace(COUNTED, export_id="arn:1 md5")
    first, later, outdated = Library(backfill=counted), Library(), Library()
    from_export = ("backfill", "--from-export", "copy")

    run(*from_export, "--plan-out", "the.plan", "--apply", "--yes", library=first)
    run("backfill", "--plan", "the.plan", "--apply", library=later)
    run(*from_export, "--plan-out", "old.plan", backfill=COUNTED)
    run("backfill", "--plan", "old.plan", "--apply", library=outdated)

    assert read_plan(tmp_path / "the.plan").header.arguments["export_id"] == "arn:1 md5"
    for library in (first, later):
        assert library.asked["backfill"][1]["export_id"] == "arn:1 md5"
    assert not outdated.asked["backfill"][1]["export_id"]


def test_what_a_backfill_writes_is_shown_before_it_is_asked_for(run):
    """The tables, and about how many items; it is not counted for that."""
    library = Library()

    status, _, err = run("backfill", "--apply", library=library)

    assert (status, library.order) == (2, [])
    assert [*map(str.strip, err.splitlines())][:5] == [
        "Plan: backfill of Employee",
        "",
        "about 1,234 items",
        "a baseline of each without a beginning there, into the history Employee-history",
        "each that differs there, into the replica Employee-replica",
    ]
