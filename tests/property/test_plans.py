"""For every plan: what is read is what was kept, whatever its items hold."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.errors import PlanFileError
from operations.execution.plan_file import (
    Plan,
    PlanHeader,
    PlanItem,
    PlanTable,
    action_on,
    read_plan,
    state_digest,
    write_plan,
)
from operations.recovery.conflicts import as_value
from reports.states.differences import Difference
from tests.strategies import items, names, texts, values

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(tzinfo=UTC)
)
ARGUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
HEADERS = st.builds(
    PlanHeader,
    texts,
    st.dictionaries(texts, ARGUMENTS, max_size=3),
    st.builds(PlanTable, texts, texts, MOMENTS),
    st.none() | texts,
    st.none() | texts,
    st.none() | MOMENTS,
    MOMENTS,
    texts,
    texts,
    st.dictionaries(texts, st.integers(0), max_size=2),
    st.dictionaries(texts, st.integers(0), max_size=2),
    st.dictionaries(st.lists(names, min_size=1, max_size=3).map(tuple), values, max_size=2),
)
PATHS = st.lists(names | st.integers(0, 99), min_size=1, max_size=3).map(tuple)
EDITS = st.builds(Difference, PATHS, st.none() | values, st.none() | values)


@st.composite
def planned_items(draw):
    """An item that is put, deleted or updated."""
    old, new = draw(st.sampled_from([(True, True), (True, False), (False, True)]))
    before, after = draw(items) if old else None, draw(items) if new else None
    edits = (
        draw(st.lists(EDITS, max_size=2).map(tuple))
        if old and new
        else (Difference((), as_value(before), as_value(after)),)
    )
    digests = state_digest(before), state_digest(after)
    notes = tuple(draw(st.lists(texts, max_size=2)))
    because = tuple(draw(st.lists(texts, max_size=2)))
    seen = draw(st.none() | texts)
    return PlanItem(1, draw(items), action_on(*digests), edits, *digests, because, notes, seen)


PLANS = st.builds(
    lambda header, listed: Plan(
        header, tuple(replace(item, number=number) for number, item in enumerate(listed, 1))
    ),
    HEADERS,
    st.lists(planned_items(), max_size=3),
)


@given(PLANS)
def test_plans_are_lossless(tmp_path_factory, plan):
    """Lone surrogates, binary values, deep nesting and every spelling of a number included."""
    path = tmp_path_factory.getbasetemp() / "plan"

    kept = write_plan(path, plan)

    again = read_plan(path)
    assert again == plan
    assert again.digest == kept


@given(PLANS, st.data())
def test_no_other_file_passes_for_a_plan(tmp_path_factory, plan, data):
    """Cut anywhere, or with any byte changed to any other."""
    path = tmp_path_factory.getbasetemp() / "plan"
    write_plan(path, plan)
    content = path.read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    byte = data.draw(st.binary(max_size=1).filter(lambda byte: byte != content[at : at + 1]))
    rest = content[at + 1 :] if byte else b""
    path.write_bytes(content[:at] + byte + rest)

    with pytest.raises(PlanFileError):
        read_plan(path)
