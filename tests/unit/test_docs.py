"""The documents say what the program does."""

import re
from pathlib import Path

import pytest

import itemtrail
from benchmarks.cost import AS_OF, PRICES, rows
from itemtrail.cli import commands
from itemtrail.records import kinds as record_kinds
from itemtrail.records.kinds import RecordKind
from itemtrail.reference import reference
from tests.templates import PLAIN, Evaluation, transformed

ROOT = Path(__file__).parents[2]


def test_the_command_reference_is_the_commands_own_help():
    """docs/cli.md is what `make docs` makes."""
    assert (ROOT / "docs/cli.md").read_text("utf-8") == reference()


def test_every_public_name_is_documented():
    """What `from itemtrail import …` offers has a line in the page about it."""
    page = (ROOT / "docs/reports.md").read_text("utf-8")

    assert [name for name in itemtrail.__all__ if f"`{name}`" not in page] == []


def test_every_command_is_in_the_readme():
    """A command nobody reads of does not exist."""
    readme = (ROOT / "README.md").read_text("utf-8")

    assert [name for name in commands.commands if f"itemtrail {name}" not in readme] == []


SECTIONS = {
    "history": [record_kinds.VERSION],
    "as-of, table-as-of": [record_kinds.STATE, record_kinds.ROW],
    "between, timeline": [record_kinds.SPAN],
    "changes": [record_kinds.CHANGE],
    "blame": [record_kinds.BLAME],
    "diff": [record_kinds.COMPARISON, record_kinds.DIFFERENCE, record_kinds.DIFFERENCE_LINE],
    "verify": [record_kinds.VERIFICATION, record_kinds.FINDING],
    "status": [
        record_kinds.STATUS,
        record_kinds.STATUS_LINE,
        record_kinds.WATERMARK,
        record_kinds.PROOF,
        record_kinds.MISSING_RECORD,
        record_kinds.TABLE_STATUS,
        record_kinds.CONSUMER_STATUS,
        record_kinds.KEPT_ASIDE,
    ],
    "doctor": [record_kinds.ADVICE],
    "accept": [record_kinds.ACCEPTANCE, record_kinds.BELIEF],
    "enable": [record_kinds.STREAM],
    "backfill": [record_kinds.BACKFILL, record_kinds.MARK, record_kinds.PROBLEM],
    "compare": [record_kinds.DISCREPANCY],
    "repair": [record_kinds.REPAIR, record_kinds.REPAIR_LINE],
    "redrive": [
        record_kinds.REDRIVE,
        record_kinds.LEFTOVER,
        record_kinds.LOST,
        record_kinds.STREAM_READING,
        record_kinds.MISSING_RECORD,
        record_kinds.PLANNED_ROW,
        record_kinds.REDRIVE_LINE,
    ],
    "plans": [record_kinds.PLAN, record_kinds.PLAN_ITEM],
    "restore": [
        record_kinds.RESTORE,
        record_kinds.CONFLICT,
        record_kinds.TABLE_RESTORE,
        record_kinds.TABLE_RESTORE_LINE,
    ],
    "undo": [record_kinds.UNDO],
    "archive": [record_kinds.ARCHIVE, record_kinds.ARCHIVED_EXPORT],
    "query": [record_kinds.VIEW_COLUMN],
}


def test_every_kind_of_record_has_a_section():
    """No kind is left out of the list above, and docs/json.md has no other section."""
    kinds = {one.name for one in vars(record_kinds).values() if isinstance(one, RecordKind)}
    text = (ROOT / "docs/json.md").read_text("utf-8")

    assert {kind.name for section in SECTIONS.values() for kind in section} == kinds
    assert re.findall("^## (.+)$", text, re.MULTILINE) == list(SECTIONS)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_field_is_documented_with_its_kind(section):
    """docs/json.md names every field that is printed, what kind it is of, and no other field."""
    documented = set(_documented(section))

    assert documented == {
        (name, kind.value) for record in SECTIONS[section] for name, kind in record.fields.items()
    }


def _documented(section):
    """The fields in the tables of a section of docs/json.md, each with its kind."""
    text = (ROOT / "docs/json.md").read_text("utf-8")
    body = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    for line in body.splitlines():
        if line.startswith("| `"):
            fields, kinds, _ = line.strip("| ").split(" | ", 2)
            names = re.findall(r"`(\w+)`", fields)
            yield from zip(names, kinds.split(", ") * len(names), strict=False)


def test_the_costs_are_those_worked_out():
    """The table of docs/deployment.md is what `python -m benchmarks.cost` prints."""
    page = (ROOT / "docs/deployment.md").read_text("utf-8")

    assert [row for row in rows(PRICES) if row not in page] == []
    assert f"as known in {AS_OF}" in page


def test_the_costs_of_a_month_are_for_the_alarms_that_there_are():
    """Of all that the template has by default, those of two metrics for two."""
    page = (ROOT / "docs/deployment.md").read_text("utf-8")
    alarms = Evaluation(transformed(), PLAIN).of_type("AWS::CloudWatch::Alarm").values()
    of_two = [alarm for alarm in alarms if len(alarm["Properties"].get("Metrics", [])) > 1]

    assert f"{len(alarms)} alarms {len(alarms) * 0.10:.2f}" in page
    assert f"(two of two metrics each: {len(of_two) * 0.10:.2f} more)" in page
    assert len(of_two) == 2


def test_the_commands_of_the_readme_are_targets_of_the_makefile():
    """`make x` in a document works."""
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))

    for document in ("README.md", "CONTRIBUTING.md"):
        used = set(re.findall(r"`make (\w+)", (ROOT / document).read_text("utf-8")))
        assert used - targets == set()


def test_the_run_book_goes_back_to_before_what_is_taken_back():
    """`undo --since T` takes back the second of T, which `restore --at T` would leave as it is."""
    page = (ROOT / "docs/operations.md").read_text("utf-8")
    taken_back = set(re.findall(r"undo\b.*--since (\d\S+)", page))

    assert taken_back
    assert taken_back.isdisjoint(re.findall(r"(?:restore\b.*--at|diff .*--from) (\d\S+)", page))
    assert taken_back & set(re.findall(r"restore\b.*--before (\d\S+)", page))


def _refusals():
    """What the run-book says that the program says, in the parts that do not depend on anything."""
    page = (ROOT / "docs/operations.md").read_text("utf-8")
    sections = re.findall(r"### It (?:did not finish|refuses)\n(.*?)\n#", page, re.DOTALL)
    first_cells = re.findall(r"^\| (`.*?) \|", "\n".join(sections), re.MULTILINE)
    said = re.findall(r"`([^`]*)`", "\n".join(first_cells))
    return [part.strip(" '") for text in said for part in re.split(r"…|ID|df42\w+|[0-9]+", text)]


def test_what_the_run_book_quotes_the_program_says():
    """Who searches the page at night for what is on the screen has to find it."""
    files = [
        file for folder in ("itemtrail", "operations") for file in (ROOT / folder).rglob("*.py")
    ]
    source = "\n".join(file.read_text("utf-8") for file in files)
    # A sentence is in several pieces, and may begin within one.
    said = re.sub(r'"\s*\n\s*(?:\+ )?f?"', "", source)

    parts = [part for part in _refusals() if len(part) > len("of items")]
    assert len(parts) > 10
    assert [part for part in parts if part not in said] == []
