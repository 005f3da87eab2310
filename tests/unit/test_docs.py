"""The documents say what the program does."""

import re
from pathlib import Path

from itemtrail import as_json
from itemtrail.cli import commands
from itemtrail.reference import reference
from reports.differences import differences
from reports.timeline import Evidence, judge
from stream_core.history_row import HistoryRow
from tests.factories import change, item, number

ROOT = Path(__file__).parents[2]
ROW = HistoryRow.of(change(None, item("1", a=number(1))))


def test_the_command_reference_is_the_commands_own_help():
    """docs/cli.md is what `make docs` makes."""
    assert (ROOT / "docs/cli.md").read_text("utf-8") == reference()


def test_every_command_is_in_the_readme():
    """A command nobody reads of does not exist."""
    readme = (ROOT / "README.md").read_text("utf-8")

    assert [name for name in commands.commands if f"itemtrail {name}" not in readme] == []


def test_every_json_field_is_documented():
    """docs/json.md names every field that is printed."""
    at = ROW.change.created_at
    state = judge(Evidence({}, at, at, at, before=ROW))
    answers = [
        as_json.versions([ROW])[0],
        as_json.state(state),
        as_json.comparison(state, state, []),
        as_json.difference(differences(None, item())[0]),
    ]
    text = (ROOT / "docs/json.md").read_text("utf-8")

    documented = set(re.findall(r"`(\w+)`", text))
    assert {field for answer in answers for field in answer} - documented == set()


def test_the_commands_of_the_readme_are_targets_of_the_makefile():
    """`make x` in a document works."""
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))

    for document in ("README.md", "CONTRIBUTING.md"):
        used = set(re.findall(r"`make (\w+)", (ROOT / document).read_text("utf-8")))
        assert used - targets == set()
