"""Redrive."""

import json

from reports.deployment.stack import Consumer
from tests.unit.itemtrail.library import Library
from tests.unit.itemtrail.outputs import lines_of


def test_redrive_tells_loudly_what_is_lost(run):
    """Before all else on a screen, and on stderr beside what a program reads."""
    status, out, _ = run("redrive", "--apply", "--output", "table")
    _, _, err = run("redrive", "--apply")

    lines = lines_of(out)
    assert status == 1
    assert lines.index("LOST: these are no longer in the stream") < lines.index(
        "conflict another digest (history_writer) quarantine/history_writer/2.json"
    )
    assert "1 lost for good" in lines
    assert err.splitlines() == [
        "LOST: 3 have expired (shard-1, named in letters.json)",
        "1 of 3 objects with 5 records done with, 1 left, 1 LOST",
    ]


def test_redrive_line_by_line_has_every_part(run):
    """Lost, left and done, in one shape."""
    _, out, _ = run("redrive", "--output", "jsonl")

    lines = [json.loads(line) for line in out.splitlines()]
    assert [(one["outcome"], one["where"]) for one in lines] == [
        ("lost", "letters.json"),
        ("left", "quarantine/history_writer/2.json"),
        ("done", "quarantine/history_writer/1.json"),
    ]


def test_redrive_is_asked_for_by_what_the_options_say(run, tmp_path):
    """Every option reaches the library as it was given."""
    (tmp_path / "letters.json").write_text("{}")
    library = Library()

    run("redrive", "--consumer", "replica_writer", "--pointers", "letters.json", library=library)
    run("redrive", "--rate", "3", library=library)

    _, named = library.asked["redrive"]
    assert (named["consumers"], named["files"]) == (tuple(Consumer), ())
    assert named["rate"] == 3
