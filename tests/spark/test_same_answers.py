"""Spark, DuckDB and the live reports give the same answers on the same random histories.

Runs where pyspark and Java are; `make test` without them says why it does not.
"""

import logging
import os
import shutil
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

pytest.importorskip("duckdb", reason="needs the extra 'warehouse'")
pytest.importorskip("pyspark", reason="needs the extra 'spark'")
if shutil.which("java") is None:
    pytest.skip("Spark needs Java", allow_module_level=True)

from pyspark import SparkContext
from pyspark.sql import SparkSession

from tests.factories import item, number, text
from tests.recorded_history import row_of, rows_of
from tests.unit.memory_tables import moment
from tests.warehouse_histories import (
    answers_of,
    dataset_of,
    expected,
    told_of_backfill,
    world_dataset,
    worlds,
)
from warehouse.check import FAULTS, check_of
from warehouse.dataset.schema import history_row
from warehouse.engines.duck import DuckEngine
from warehouse.engines.spark import SparkEngine
from warehouse.errors import DatasetError
from warehouse.questions.activity_sql import changes, changes_per_day
from warehouse.questions.question import Range
from warehouse.questions.states_sql import table_as_of

LATER = moment(86400)


@pytest.fixture(scope="module")
def spark():
    """A session as a job would bring it, small enough for a test."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    logging.getLogger("SQLQueryContextLogger").disabled = True
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "America/New_York")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("FATAL")
    yield session
    session.stop()
    # Else its threads open connections while other tests run, of which some allow none.
    gateway = SparkContext._gateway
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait()
    SparkContext._gateway = SparkContext._jvm = None


@pytest.fixture
def both(spark):
    """The two engines over one dataset."""
    opened = []

    def open_both(dataset):
        opened.append(DuckEngine(dataset))
        opened.append(SparkEngine(dataset, spark))
        return opened[-2:]

    yield open_both
    for engine in opened:
        engine.close()


@settings(
    # A question takes Spark a second, however few the rows are; nor is it asked again to shrink.
    max_examples=3,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(worlds(max_steps=40), st.data())
def test_all_three_give_the_same_answers(both, tmp_path_factory, world, data):
    """To every question, lines, types and order; the history's table is the only thing they share.

    Spark runs in a session of another time zone, which must not show.
    """
    instants = data.draw(st.lists(st.sampled_from(world.instants()), min_size=1, max_size=3))
    since, until = sorted(data.draw(st.sampled_from(world.instants())) for _ in range(2))
    engines = both(world_dataset(tmp_path_factory.mktemp("dataset"), world))
    duck, spark = (told_of_backfill(engine, world) for engine in engines)

    live = expected(world, instants, since, until)

    assert answers_of(duck, instants, since, until) == live
    assert answers_of(spark, instants, since, until) == live


HISTORY = [
    *rows_of(item("1", State=text("open")), item("1", State=text("done")), None),
    row_of(None, item("2", State=number(1)), 30, 9),
]


def test_types_and_null_ness_are_the_same(both, tmp_path):
    """Of every question, also where there is no line; and of free SQL, down to the schema."""
    for rows in ([], HISTORY):
        folder = tmp_path / str(len(rows))
        folder.mkdir()
        duck, spark = both(dataset_of(folder, rows, LATER))

        for engine in (duck, spark):
            names = engine.views(attribute=("State",))
        question = table_as_of(LATER, duck.bounds)
        assert duck.answer(question).schema == spark.answer(question).schema
        for name in names:
            answers = [one.sql(f'SELECT * FROM "{name}"').read_all() for one in (duck, spark)]  # noqa: S608
            assert answers[0].schema == answers[1].schema, name
            lines = [sorted(map(repr, answer.to_pylist())) for answer in answers]
            assert lines[0] == lines[1], name
            assert bool(lines[0]) is bool(rows) or name == "chains_in_doubt"


def test_free_sql_is_the_same(both, tmp_path):
    """One dialect, whichever engine runs: DuckDB's."""
    duck, spark = both(dataset_of(tmp_path, HISTORY, LATER))
    for engine in (duck, spark):
        engine.views(at=moment(45))
    query = """
        SELECT id, "exists", count(*) FILTER (WHERE event_name = 'MODIFY') AS modified,
          max(created_at)::TIMESTAMPTZ AS last, list_contains(first(changed), 'State') AS touched
        FROM table_as_of JOIN history USING (id) GROUP BY ALL ORDER BY id
    """

    answers = [engine.sql(query).read_all() for engine in (duck, spark)]

    assert answers[0].num_rows == 2
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    "text_",
    ["DROP VIEW rows", "SELECT 1; SELECT 2", "SELEC 1", "SELECT * FROM nowhere", "SELECT ("],
)
def test_spark_refuses_what_is_no_query(both, tmp_path, text_):
    """One line that says so, and the dataset is still there."""
    _, engine = both(dataset_of(tmp_path, HISTORY, LATER))

    with pytest.raises(DatasetError) as refused:
        engine.sql(text_)

    assert len(str(refused.value).splitlines()) == 1
    assert engine.sql("SELECT count(*) AS n FROM rows").read_all().to_pylist() == [{"n": 4}]


def test_spark_reads_only_the_files_that_are_listed(both, tmp_path):
    """A file that an ingest left behind is in the folder, and no part of the dataset."""
    dataset = dataset_of(tmp_path, HISTORY, LATER)
    listed = replace(dataset, files=dataset.files[:1])

    _, engine = both(listed)

    counted = engine.sql("SELECT count(*) AS n FROM rows").read_all()
    assert counted.to_pylist() == [{"n": dataset.files[0].rows}]
    assert dataset.files[0].rows < len(HISTORY)


def test_both_find_the_altered_line(both, tmp_path):
    """Every digest is computed anew where the rows are, by the same function."""
    dataset = dataset_of(tmp_path, HISTORY, LATER)
    path = dataset.paths[0]
    lines = pa.parquet.read_table(path)
    place = lines.schema.get_field_index("new_image")
    forged = [one and one.replace("open", "shut") for one in lines.column(place).to_pylist()]
    pa.parquet.write_table(lines.set_column(place, "new_image", pa.array(forged)), path)

    found = [
        engine.map_rows(check_of(LATER), FAULTS).read_all().to_pylist() for engine in both(dataset)
    ]

    assert found[0] == found[1]
    assert [one["found"] for one in found[0]] == ["DIGEST_MISMATCH"]
    ((line,),) = [[one for one in lines.to_pylist() if one["sort_key"] == found[0][0]["sort_key"]]]
    assert "open" in history_row(line).change.new_image["State"]["S"]


def test_times_are_those_of_utc(both, tmp_path):
    """A day is a day of UTC, wherever Spark and this machine are."""
    at = datetime(2018, 3, 3, 23, 30, tzinfo=UTC)
    moved = row_of(None, item("1"), (at - moment(0)) / timedelta(seconds=1))

    for engine in both(dataset_of(tmp_path, [moved], LATER)):
        (day,) = engine.answer(changes_per_day(Range())).read_all().to_pylist()
        (change,) = engine.answer(changes(Range(at, at))).read_all().to_pylist()
        assert day["day"] == at.date()
        assert change["created_at"] == at
