"""Two states of an item differ by value and type, by the path of each attribute."""

import pytest

from reports.inputs.paths import path_text
from reports.states.differences import change_text, differences
from tests.factories import item, number, text


def found(old, new):
    return [(path_text(one.path), one.kind, one.old, one.new) for one in differences(old, new)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"SS": ["a", "b"]}, {"SS": ["b", "a"]}),
        ({"NS": ["1", "2.0"]}, {"NS": ["2", "1"]}),
        (number("1.50"), number("1.5")),
        ({"BS": [b"", b"x"]}, {"BS": [b"x", b""]}),
        ({"L": [{"M": {"a": {"SS": ["x", "y"]}}}]}, {"L": [{"M": {"a": {"SS": ["y", "x"]}}}]}),
    ],
)
def test_order_of_sets_and_spelling_of_numbers_is_no_difference(old, new):
    """FACTS 9.16, 9.17: sets compare as sets, numbers by value."""
    assert found(item(a=old), item(a=new)) == []


def test_null_absent_and_empty_are_three_things():
    """FACTS 9.18: NULL, absence and the empty string all differ from each other."""
    null, empty = {"NULL": True}, text("")

    assert found(item(a=null), item()) == [("a", "removed", null, None)]
    assert found(item(), item(a=empty)) == [("a", "added", None, empty)]
    assert found(item(a=null), item(a=empty)) == [("a", "changed", null, empty)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"BOOL": True}, number(1)),
        (text("1"), number(1)),
        ({"SS": ["AA=="]}, {"BS": [b"\x00"]}),
        ({"L": []}, {"M": {}}),
    ],
)
def test_a_changed_type_is_a_change(old, new):
    """FACTS 9.20: values that Python or JSON would call equal are told apart by their type."""
    assert found(item(a=old), item(a=new)) == [("a", "changed", old, new)]


def test_differences_inside_maps_and_lists_have_paths_of_their_own():
    """Maps and lists are followed inside, position by position."""
    old = item(a={"M": {"b": {"L": [number(1), number(2)]}, "c": text("x")}})
    new = item(a={"M": {"b": {"L": [number(1), number(3), number(4)]}, "d": text("x")}})

    assert found(old, new) == [
        ("a.b[1]", "changed", number(2), number(3)),
        ("a.b[2]", "added", None, number(4)),
        ("a.c", "removed", text("x"), None),
        ("a.d", "added", None, text("x")),
    ]


def test_an_item_that_comes_or_goes_differs_in_every_attribute():
    """None stands for an absent item."""
    assert [one[1] for one in found(None, item(a=number(1)))] == ["added", "added"]
    assert [one[1] for one in found(item(a=number(1)), None)] == ["removed", "removed"]
    assert found(None, None) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            item(Amount=number("300.5"), Status=text("reopened")),
            item(Amount=number("400.5"), Status=text("open")),
            "Amount 300.5 → 400.5, Status reopened → open",
        ),
        (item(), item(Note=text("x")), "Note absent → x"),
        (None, item(Note=text("x")), "nothing → Note x"),
        (item(Note=text("x")), None, "Note x → nothing"),
        (None, item(), "nothing → an item of its key"),
        (
            item(Note=text("y" * 90)),
            item(Note={"NULL": True}),
            f"Note {'y' * 60}… (90 characters) → NULL",
        ),
        (
            item(),
            item(**{f"A{n}": number(n) for n in range(10)}),
            f"{', '.join(f'A{n} absent → {n}' for n in range(8))} and 2 more",
        ),
    ],
)
def test_a_change_is_told_in_a_line(old, new, told):
    """Without the key, and however large the item is."""
    assert change_text(old, new, {"Id": text("1")}) == told
