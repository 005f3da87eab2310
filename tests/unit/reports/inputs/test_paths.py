"""Attribute paths: one spelling each, read back to the same path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.errors import PathFormatError
from reports.inputs.paths import as_path, leaves, path_text, read_path, value_at
from tests.factories import item, number, text
from tests.strategies import items, names

paths = st.builds(
    lambda first, rest: (first, *rest), names, st.lists(names | st.integers(0, 12), max_size=3)
)


@given(paths)
def test_a_path_is_read_as_it_is_spelled(path):
    """Whatever an attribute is called, its path has one text, and the text one path."""
    assert read_path(path_text(path)) == path


@given(paths, paths)
def test_two_paths_never_share_a_text(one, other):
    """An attribute named `a.b` is not `b` in `a`."""
    assert (path_text(one) == path_text(other)) == (one == other)


@pytest.mark.parametrize(
    "wrong",
    [
        *("", ".", "a.", ".a", "a..b", "[0]", "a[", "a[x]", 'a."b', "a[0]b", " a", "a "),
        *("'order-id'", "lines.0.price", "lines.0", "0", 'address["city"]'),
    ],
)
def test_what_is_no_path_is_refused_with_an_example(wrong):
    """The message shows how a path is written."""
    with pytest.raises(PathFormatError, match=r"address\.city"):
        read_path(wrong)


@pytest.mark.parametrize("name", ["order-id", "updated-by", "größe", "2fa", "a b", "aws:rep:x"])
def test_an_odd_name_needs_no_quotes_unless_it_could_be_a_path(name):
    """A shell takes the quotes away; with them it is the same path."""
    assert read_path(name) == read_path(f'"{name}"') == (name,)
    assert read_path(f"a.{name}[0].{name}") == ("a", name, 0, name)


def test_a_path_is_text_or_its_steps():
    """Anything else is refused by the name of the argument."""
    assert as_path("a.b[0]", "attribute") == as_path(("a", "b", 0), "attribute") == ("a", "b", 0)
    assert as_path(None, "attribute") is None
    for wrong in (5, (), (0,), ("a", 1.5), ("a", True), "a..b"):
        with pytest.raises(
            PathFormatError, match=r"^attribute: .* is not an attribute path: write"
        ):
            as_path(wrong, "attribute")


def test_the_value_at_a_path_is_found_or_absent():
    """Through maps and lists; anything else on the way is an absence, not an error."""
    one = item("1", a={"M": {"b": {"L": [number(1), {"NULL": True}]}}}, s=text("x"))

    assert value_at(one, ("a", "b", 0)) == number(1)
    assert value_at(one, ("a", "b", 1)) == {"NULL": True}
    assert value_at(one, ("a", "b", 2)) is None
    assert value_at(one, ("a", 0)) is None
    assert value_at(one, ("s", "b")) is None
    assert value_at(None, ("a",)) is None


@given(items)
def test_the_leaves_are_the_whole_item(one):
    """Each leaf is what its path leads to, and holds no other."""
    found = list(leaves(one))

    assert {path[0] for path, _ in found} == one.keys()
    for path, value in found:
        assert value_at(one, path) == value
        assert value in ({"M": {}}, {"L": []}) or not value.keys() & {"M", "L"}


def test_paths_are_unambiguous():
    """An attribute named `a.b` is not `a` then `b`, and a quote in a name ends nothing."""
    paths = [("a", "b"), ("a.b",), ("a", 0), ("a[0]",), ('a"."b',), ('"a"', "b"), ("",), ("é",)]

    assert len({path_text(path) for path in paths}) == len(paths)
    assert path_text(("a.b",)) == '"a.b"'
