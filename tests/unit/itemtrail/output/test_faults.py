"""What a command says of rows that are not what was written, and how it ends."""

from dataclasses import replace

import pytest

from itemtrail.cli import main
from itemtrail.options import target as options
from reports.access.faulty_rows import RowFault
from tests.unit.itemtrail.trail import EVERY_QUESTION, KEYS, ROWS, TARGET, Trail

QUESTIONS = ["history", "as-of", "diff", "blame", "timeline", "changes", "between", "table-as-of"]
WORDS = "1 row is not what was written, and what rests on it is not exact; what is wrong says:"


class Altered(Trail):
    """A trail whose first row was altered."""

    def __init__(self):
        super().__init__([replace(ROWS[0], fault="digest mismatch"), *ROWS[1:]])
        self.faults = [RowFault(KEYS, ROWS[0].sort_key, "digest mismatch")]


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "table"])
def test_an_altered_row_is_told_with_what_to_ask_and_ends_with_1(run, question, form):
    """After the answer, whose form stays what it is."""
    status, out, err = run(*EVERY_QUESTION[question], "--output", form, trail=Altered())

    assert status == 1
    assert out
    assert err.splitlines()[-2:] == [WORDS, "  itemtrail verify Id=1"]


@pytest.mark.parametrize("question", ["history", "changes"])
@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "table"])
def test_a_row_is_marked_where_rows_are_shown(run, question, form):
    """In every form, and the others are not."""
    _, out, _ = run(*EVERY_QUESTION[question], "--output", form, trail=Altered())

    assert out.count("digest mismatch") == 1


def test_of_many_items_a_few_are_named(run):
    """A key with a blank is quoted; the whole table has the rest."""
    trail = Trail()
    trail.faults = [
        RowFault({"Id": {"S": f"item {n}"}}, str(m), "x") for n in range(7) for m in "ab"
    ]

    _, _, err = run("history", "1", trail=trail)

    told = err.splitlines()
    assert told[0].startswith("14 rows are not what was written, and what rests on them")
    assert told[1] == "  itemtrail verify 'Id=item 0'"
    assert len(told) == 7
    assert told[-1] == "  … and 2 more items: itemtrail verify"


@pytest.mark.parametrize(
    ("foreign", "words"),
    [
        ([True], "1 row is of another table, and what rests on it is not exact"),
        ([True, False, True], "1 row is not what was written, 2 rows are of another table, and"),
    ],
)
def test_a_row_of_another_table_is_not_called_altered(run, foreign, words):
    """It may be just what was written there."""
    trail = Trail()
    trail.faults = [RowFault(KEYS, str(n), "x", is_foreign) for n, is_foreign in enumerate(foreign)]

    _, _, err = run("history", "1", trail=trail)

    assert err.splitlines()[0].startswith(words)


@pytest.mark.parametrize("question", [*QUESTIONS, "report"])
@pytest.mark.parametrize("strict", [[], ["--strict"]])
def test_every_question_may_be_strict(monkeypatch, question, strict):
    """The history table is told."""
    opened = []

    class Opened(Trail):
        def __init__(self, *_, **named):
            opened.append(named["strict"])
            raise SystemExit(0)

    monkeypatch.setattr(options, "HistoryTable", Opened)
    words = EVERY_QUESTION.get(question, ("report", "1"))
    with pytest.raises(SystemExit):
        main([*words, *TARGET, "--region", "us-east-1", *strict])

    assert opened == [bool(strict)]
