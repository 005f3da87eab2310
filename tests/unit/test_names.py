"""The check of names finds what it is for."""

import pytest

from tests.names import problems, refusal


@pytest.mark.parametrize("name", ["one", "_found", "of", "ROWS_TOLD", "untold_rows", "nobody"])
def test_a_riddle_is_refused(name):
    """With the reason, whatever its case."""
    assert refusal(name)


@pytest.mark.parametrize("name", ["row", "found_rows", "one_day", "confined", "offset", "leftover"])
def test_a_name_that_says_what_it_is_passes(name):
    """A longer name may hold such a word, or its letters."""
    assert refusal(name) is None


def test_a_name_of_two_meanings_is_refused(tmp_path):
    """Two public classes of one name, in two modules."""
    for module in ("reports/a.py", "operations/b.py"):
        path = tmp_path / module
        path.parent.mkdir()
        path.write_text("class Run:\n    pass\n")

    (line,) = problems(tmp_path)

    assert line == "operations/b.py, reports/a.py: Run has more than one meaning"


def test_every_kind_of_name_is_looked_at(tmp_path):
    """Arguments, keywords, attributes, functions, variables, and a module's own name."""
    path = tmp_path / "reports" / "telling.py"
    path.parent.mkdir()
    path.write_text("def told(of, *, left):\n    fine = of.found(one=left)\n")

    names = [line.split(": ")[1] for line in problems(tmp_path)]

    assert names[0] == "a module is named by a noun, not by what it does"
    assert sorted(set(names[1:])) == ["fine", "found", "left", "of", "one", "told"]
