"""Enable and backfill."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from operations.enable import Stream
from reports.inputs.keys import KeySchema
from reports.verification.gaps import read_gaps
from tests.unit.itemtrail.library import ARN, AT, BACKFILLED, GAP, Library
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

    assert library.asked["backfill"][1]["state_path"] == Path(".itemtrail-backfill-Employee.json")


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
