"""Restore: the plan comes first, and what was not done is not hidden."""

from dataclasses import replace
from datetime import UTC, datetime

from itemtrail.output import approval
from tests.unit.itemtrail.library import AGO, AT, ONE, RANGE, REFUSED, TWO, Library
from tests.unit.itemtrail.outputs import lines_of, only_line


def test_restore_shows_the_plan_before_it_is_carried_out(run):
    """What would become different first, then what became of it."""
    library = Library()

    status, out, _ = run(
        "restore", "1", "--at", AGO, "--apply", "--yes", "--output", "table", library=library
    )

    lines = lines_of(out)
    assert (status, library.order) == (1, ["plan_restore", "write_restored"])
    assert lines[0] == "Plan: 3 items back to 2018-03-03 14:06:00 UTC"
    assert "Id=1 planned ~ Name: Murali Allada → Murali" in lines
    assert "Id=1 conflict ~ Name: Murali Allada → Murali" in lines
    assert "! Name is Grace, not Murali Allada; wanted Murali (again)" in lines
    assert lines[-1] == "0 items written, 1 conflict, 1 refused, 1 unneeded"


def test_restore_of_an_item_that_was_not_there_says_so(run):
    """The item goes as a whole, and why nothing is done about it is told."""
    _, out, _ = run("restore", "1", "--at", AGO, "--output", "table")

    lines = lines_of(out)
    assert "Id=2 refused - the item: nothing but its key" in lines
    assert "what it was is only bounded: a change is missing" in lines
    assert lines[-1] == (
        "dry run, nothing was written: with --apply 1 item would be written, 1 refused, 1 unneeded"
    )


def test_restore_of_an_altered_history_shows_no_change_at_all(run):
    """What the item was is not known: it is not as if it had not been there."""
    altered = replace(REFUSED, differences=(), refusal="its history is not intact: digest")

    _, out, _ = run("restore", "2", "--at", AGO, "--output", "table", plan_restore=[altered])

    assert "Id=2 refused its history is not intact: digest" in lines_of(out)
    assert "the item:" not in out


def test_a_plan_that_nobody_reads_is_not_carried_out(run, monkeypatch):
    """Whoever pipes it into a program that ends has not seen what would be done."""

    def leave(*_):
        raise BrokenPipeError

    monkeypatch.setattr(approval, "draw", leave)
    monkeypatch.setattr("itemtrail.cli._drop_output", lambda: None)
    library = Library()
    order = ("--at", AGO, "--apply", "--yes", "--output", "table")

    status, _, err = run("restore", "1", *order, library=library)
    undone, _, _ = run("undo", "1", *RANGE, *order[2:], library=library)

    assert (status, undone) == (2, 2)
    assert "its reader left before the end of the plan; nothing was written" in only_line(err)
    assert "write_restored" not in library.order
    assert "write_undone" not in library.order


def test_restore_is_asked_for_by_what_the_options_say(run, tmp_path):
    """Keys, the instant and the permission reach the library as they were given."""
    (tmp_path / "keys.txt").write_text("1\n2\n")
    library = Library()

    order = ("restore", "--keys-file", "keys.txt", "--at", AGO, "--allow-uncertain", "--rate", "5")
    run(*order, library=library)

    (_, keys, at), named = library.asked["plan_restore"]
    assert (keys, at, named) == (
        [ONE, TWO],
        AT,
        {"allow_uncertain": True, "stamps": {}, "rate": 5.0},
    )


def test_restore_to_before_a_second_leaves_its_changes_out(run):
    """As undo takes them back; a day is the moment it begins, and both times are one too many."""
    moments = []
    for words in (
        ("--before", "2018-03-03T14:06:00.5Z"),
        ("--before", "2018-03-03"),
        ("--at", "2018-03-03T14:06:00.5Z"),
    ):
        library = Library()
        run("restore", "1", *words, library=library)
        (_, _, at), _ = library.asked["plan_restore"]
        moments.append(at)
    both, _, err = run("restore", "1", "--at", AGO, "--before", AGO)
    neither, _, _ = run("restore", "1")

    assert moments == [
        datetime(2018, 3, 3, 14, 5, 59, 999_999, tzinfo=UTC),
        datetime(2018, 3, 2, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2018, 3, 3, 14, 6, 0, 500_000, tzinfo=UTC),
    ]
    assert (both, neither) == (2, 2)
    assert "as of when? give just one of --at and --before" in err


def test_restore_writes_what_is_set_beside_it(run):
    """To items; a new table is as the old one was."""
    library = Library()

    run("restore", "1", "--at", AGO, "--set", "by=ada", library=library)
    status, _, err = run("restore", "--into", "new", "--at", AGO, "--set", "by=ada")

    assert library.asked["plan_restore"][1]["stamps"] == {("by",): {"S": "ada"}}
    assert status == 2
    assert "--set is for items: with --into all is restored as it was" in err


def test_a_whole_table_is_not_restored_in_one_transaction(run):
    """It has no room for it."""
    status, _, err = run("restore", "--into", "new", "--at", AGO, "--atomic")

    assert status == 2
    assert "--atomic is for items" in err
