"""Redrive."""

import json
from dataclasses import replace

from operations.redrive.result import PlannedRow
from reports.deployment.stack import Consumer
from stream_core.change import read_record
from stream_core.history_row import HistoryRow, RedrivenFrom
from tests.factories import item, lambda_record, number
from tests.unit.itemtrail.library import AGO, ARN, AT, FROM_STREAM, REDRIVEN, Library
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


def test_a_dry_run_shows_each_change_and_what_vouches_for_it(run):
    """Not only how many there are: whoever applies it has seen what becomes history."""
    change = read_record(lambda_record(item("7", Salary=number(1)), item("7", Salary=number(9))))
    source = RedrivenFrom("s3://quarantine/b.json", None, "ann")
    planned = tuple(
        PlannedRow(where, HistoryRow.from_change(change, came_from))
        for where, came_from in (("a.json", None), ("b.json", source))
    )
    answer = replace(REDRIVEN, applied=False, lost=(), planned=planned)

    _, out, _ = run("redrive", "--output", "table", redrive=answer)
    _, jsonl, _ = run("redrive", "--output", "jsonl", redrive=answer)
    _, document, _ = run("redrive", redrive=answer)

    assert out.count("~ Salary: 1 → 9") == 2
    assert (out.count("the stream"), out.count("the object alone")) == (1, 1)
    lines = [json.loads(line) for line in jsonl.splitlines()][:2]
    assert [(one["outcome"], one["where"], one["in_stream"]) for one in lines] == [
        ("planned", "a.json", True),
        ("planned", "b.json", False),
    ]
    assert lines[0]["differences"] == [
        {"path": "Salary", "change": "changed", "old": {"N": "1"}, "new": {"N": "9"}}
    ]
    assert [one["where"] for one in json.loads(document)["planned"]] == ["a.json", "b.json"]


def test_redrive_is_asked_for_by_what_the_options_say(run, tmp_path):
    """Every option reaches the library as it was given."""
    (tmp_path / "letters.json").write_text("{}")
    library = Library()

    run("redrive", "--consumer", "replica_writer", "--pointers", "letters.json", library=library)
    run("redrive", "--rate", "3", library=library)

    _, named = library.asked["redrive"]
    assert (named["consumers"], named["files"]) == (tuple(Consumer), ())
    assert named["rate"] == 3


def test_a_redrive_from_the_stream_lists_what_has_no_row(run):
    """Each change, with its item and its place, beside what was read."""
    status, out, _ = run("redrive", "--from-stream", "--output", "table")
    _, jsonl, err = run("redrive", "--from-stream", "--apply", "--output", "jsonl")
    _, document, _ = run("redrive", "--from-stream")

    lines = lines_of(out)
    assert status == 1
    assert {"2 shards of the stream", "9 records in them", "6 have their row", "2 have none"} <= {
        *lines
    }
    assert "4 items they are about that would be settled" in lines
    assert sum(line.startswith("2018-03-03") for line in lines) == 2
    found = [json.loads(line) for line in jsonl.splitlines()]
    assert [one["outcome"] for one in found] == ["lost", "missing", "missing", "left"]
    assert [one["key"] for one in found[1:3]] == [{"Id": {"S": "1"}}, {"Id": {"S": "2"}}]
    assert err.splitlines()[-1] == (
        "1 written of 2 without a row, 9 records read, 4 settled, 1 left, 1 LOST"
    )
    stream = json.loads(document)["stream"]
    assert (stream["stream_arn"], stream["missing_records"], stream["stored"]) == (ARN, 2, 6)
    assert stream["missing"][0]["sequence_number"] == "4"


def test_a_dry_run_from_the_stream_exits_with_1_only_where_something_is_missing(run):
    """What is missing is a finding until it is written."""
    missing = replace(FROM_STREAM, leftovers=(), lost=())
    whole = replace(missing, stream=replace(missing.stream, missing=(), missing_records=0))

    found, _, err = run("redrive", "--from-stream", redrive_from_stream=missing)
    written, _, _ = run("redrive", "--from-stream", "--apply", redrive_from_stream=missing)
    none, _, _ = run("redrive", "--from-stream", redrive_from_stream=whole)

    assert (found, written, none) == (1, 0, 0)
    assert err.splitlines()[-1] == (
        "dry run, nothing was written: with --apply 2 of 9 records would be written, which have "
        "no row, 4 items would be settled"
    )


def test_what_only_the_replica_is_asked_for_says_nothing_of_rows(run):
    """They were not looked for."""
    reading = replace(FROM_STREAM.stream, stored=None, missing=(), missing_records=0)
    answer = replace(FROM_STREAM, leftovers=(), lost=(), stream=reading)

    _, out, _ = run("redrive", "--from-stream", "--output", "table", redrive_from_stream=answer)

    assert "row" not in out.replace("dry run", "")
    assert "with --apply 4 items would be settled" in out


def test_a_redrive_from_the_stream_is_asked_for_by_what_the_options_say(run):
    """Every option reaches the library as it was given."""
    library = Library()

    run(
        *("redrive", "--from-stream", "--consumer", "history_writer", "--rate", "3"),
        *("--since", AGO, "--stream-arn", ARN),
        library=library,
    )

    _, named = library.asked["redrive_from_stream"]
    assert named["consumers"] == (Consumer.HISTORY_WRITER,)
    assert (named["since"], named["stream_arn"], named["rate"]) == (AT, ARN, 3)
    assert "redrive" not in library.asked
