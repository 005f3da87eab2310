"""On any history DuckDB gives the live reports' answers, or those of a plain reckoning."""

import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("duckdb", reason="needs the extra 'warehouse'")

from tests.warehouse_histories import answers_of, expected, told_of_backfill, world_dataset, worlds
from warehouse.engines.duck import DuckEngine


@contextmanager
def engine_of(world):
    with (
        tempfile.TemporaryDirectory() as folder,
        DuckEngine(world_dataset(Path(folder), world)) as engine,
    ):
        yield told_of_backfill(engine, world)


# Each asks fourteen questions.
@settings(max_examples=settings.default.max_examples // 4)
@given(worlds(), st.data())
def test_every_answer_is_that_of_the_live_reports(world, data):
    """Several changes a second, deletes, rebirths, baselines, lost rows, odd names and values."""
    instants = data.draw(st.lists(st.sampled_from(world.instants()), min_size=1, max_size=4))
    since, until = sorted(data.draw(st.sampled_from(world.instants())) for _ in range(2))

    with engine_of(world) as engine:
        answers = answers_of(engine, instants, since, until)

    for question, answer in expected(world, instants, since, until).items():
        assert answers[question] == answer, question
