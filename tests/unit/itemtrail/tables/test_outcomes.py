"""What becomes of items: to which the same is done they are one line, with a count and examples."""

import pytest
from rich.console import Console

from itemtrail.tables.outcomes import outcome_blocks, outcome_row
from operations.recovery.conflicts import Conflict
from reports.states.differences import Difference
from tests.factories import item, number, text

CLOSED = Difference(("status",), text("closed"), text("open"))


def keys(identifier):
    return {"Id": text(str(identifier))}


def lines(rows, **options):
    console = Console(width=200)
    with console.capture() as captured:
        console.print(*outcome_blocks("Plan", rows, **options))
    return [" ".join(line.split()) for line in captured.get().splitlines()]


def rows(count, *changes, **more):
    return [
        outcome_row(keys(each), "planned", changes or (CLOSED,), **more) for each in range(count)
    ]


def test_500_equal_changes_are_one_line():
    """With how many they are, and three examples."""
    shown = lines(rows(500))

    assert shown.count("500 items: Id=0, Id=1, Id=2, … planned ~ status: closed → open") == 1
    assert len([line for line in shown if "status" in line]) == 1


def test_each_lists_all():
    """Whoever wants to see every key can."""
    shown = lines(rows(500), is_each=True)

    assert [line for line in shown if "status" in line] == [
        f"Id={each} planned ~ status: closed → open" for each in range(500)
    ]


@pytest.mark.parametrize("outcome", ["conflict", "refused", "mixed", "unsent", "undecided", "odd"])
def test_what_has_to_be_looked_at_is_listed_each(outcome):
    """A conflict, or a key that nothing knows, is one that has to be named."""
    shown = lines([outcome_row(keys(each), outcome, [CLOSED]) for each in range(5)])

    assert len([line for line in shown if outcome in line]) == 5


def test_few_are_listed_each():
    """Three examples of three items would say less."""
    shown = lines(rows(3))

    assert len([line for line in shown if "status" in line]) == 3


@pytest.mark.parametrize(
    "other",
    [
        outcome_row(keys(9), "conflict", [CLOSED]),
        outcome_row(keys(9), "planned", [Difference(("status",), text("closed"), text("new"))]),
        outcome_row(keys(9), "planned", [Difference(("status",), text("old"), text("open"))]),
        outcome_row(keys(9), "planned", [Difference(("state",), text("closed"), text("open"))]),
        outcome_row(keys(9), "planned", [CLOSED, CLOSED]),
        outcome_row(keys(9), "planned", [CLOSED], reason="it has changed"),
        outcome_row(keys(9), "planned", [CLOSED], notes=["it will expire again"]),
        outcome_row(keys(9), "planned", [CLOSED], [Conflict(keys(9), ("a",), None, None, None)]),
    ],
)
def test_what_differs_in_anything_is_a_line_of_its_own(other):
    """Nothing that is done to one item only is hidden among the rest."""
    shown = lines([*rows(4), other])

    assert any(line.startswith("4 items: Id=0, Id=1, Id=2, … planned") for line in shown)
    assert any(line.startswith("Id=9 ") for line in shown)


def test_values_that_are_cut_alike_are_no_equal_changes():
    """A long value is shown by its beginning; the items are told apart by all of it."""
    long = [
        outcome_row(
            keys(each),
            "planned",
            [Difference(("note",), None, text("x" * 500 + str(each)))],
        )
        for each in range(4)
    ]

    assert not any("items" in line for line in lines(long))


def test_whole_items_that_differ_in_their_key_alone_are_alike():
    """Each is deleted with the same attributes."""
    deleted = [
        outcome_row(
            keys(each),
            "planned",
            [Difference((), {"M": item(str(each), a=number(1))}, None)],
            [Conflict(keys(each), (), None, {"M": item(str(each))}, None)],
        )
        for each in range(4)
    ]

    assert any(
        line.startswith("4 items: Id=0, Id=1, Id=2, … planned - the item: a: 1")
        for line in lines(deleted)
    )
