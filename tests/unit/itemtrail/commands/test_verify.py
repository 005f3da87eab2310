"""Verify: both verdicts, the findings, and the keys and gaps it takes."""

import json

import pytest

from reports.inputs.keys import KeySchema
from tests.factories import text
from tests.unit.itemtrail.outputs import only_line
from tests.unit.itemtrail.trail import BROKEN, KEYS, VERIFIED, Trail


@pytest.mark.parametrize(("found", "expected"), [(VERIFIED, 0), (BROKEN, 1)])
def test_verify_exits_with_1_unless_both_verdicts_hold(run, found, expected):
    """A script reads the exit status, or the verdicts, findings and notes."""
    status, out, err = run("verify", trail=Trail(found=found))

    answer = json.loads(out)
    assert (status, err) == (expected, "")
    assert answer["clean"] is (expected == 0)
    assert (answer["integrity"], answer["completeness"]) == (found.integrity, found.completeness)
    declared = [one.declared for one in found.findings]
    assert [one["declared"] for one in answer["findings"]] == declared
    assert answer["notes"] == found.notes


def test_verify_shows_both_verdicts_apart(run):
    """Two lines, never one; what was declared is told as such, notes are below."""
    _, out, _ = run("verify", "--output", "table", trail=Trail(found=BROKEN))

    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == "Verification of the whole table"
    assert {"integrity holds", "completeness broken"} <= set(lines)
    assert "2 findings, 1 of them declared" in lines
    assert "declared: outage of 3 March" in out
    assert "note the index was not read" in lines


def test_verify_line_by_line_has_the_verdicts_on_stderr(run):
    """Lines are findings; what is said of all of them is apart."""
    _, out, err = run("verify", "--output", "jsonl", trail=Trail(found=BROKEN))

    assert len(out.splitlines()) == 2
    assert only_line(err) == "integrity holds; completeness broken: 2 findings, 1 of them declared"


def test_verify_takes_keys_from_a_file(run, tmp_path):
    """A key a line as on the command line, or as JSON, blank lines left out."""
    file = tmp_path / "keys.txt"
    file.write_text('1\n\nId=2\nNew York\n{"Id": {"S": "O\'Hare"}}\n')
    trail = Trail()

    status, _, _ = run("verify", "--keys-file", str(file), trail=trail)

    (keys, gaps), _ = trail.asked
    assert (status, gaps) == (0, [])
    assert keys == [{"Id": text(each)} for each in ("1", "2", "New York", "O'Hare")]


def test_verify_takes_keys_of_two_attributes_from_stdin(run, monkeypatch, tmp_path):
    """Two attributes are told apart as a shell would."""
    file = tmp_path / "keys.txt"
    file.write_bytes(b"Artist='No One' Title=Blue\r\n")
    trail = Trail()
    trail.key_schema = KeySchema({"Artist": "S", "Title": "S"})

    with file.open(newline="") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        run("verify", "--keys-file", "-", trail=trail)

    assert trail.asked[0][0] == [{"Artist": text("No One"), "Title": text("Blue")}]


def test_verify_reads_the_declared_gaps(run, tmp_path):
    """The file reaches the history as gaps."""
    file = tmp_path / "gaps.json"
    file.write_text('[{"cause": "outage of 3 March", "class": "ORDER", "key": {"Id": "1"}}]')
    trail = Trail()

    run("verify", "1", "--gaps", str(file), trail=trail)

    (keys, (gap,)), _ = trail.asked
    assert (keys, gap.cause) == ([KEYS], "outage of 3 March")
