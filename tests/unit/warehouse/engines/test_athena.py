"""What is printed for Athena: a table over the dataset and a question, in its own words."""

import re

import pytest

pytest.importorskip("duckdb", reason="needs the extra 'warehouse'")

from sqlglot import exp, parse_one

from tests.unit.memory_tables import moment
from tests.warehouse_histories import ODD
from warehouse.dataset.schema import ROWS
from warehouse.engines import athena
from warehouse.errors import DatasetError
from warehouse.questions import activity_sql, continuity_sql, states_sql
from warehouse.questions.question import Bounds, Range

BOUNDS = Bounds(moment(0), moment(99))
RANGE = Range(moment(0.25), moment(60))
QUESTIONS = [
    states_sql.table_as_of(moment(1), BOUNDS),
    states_sql.table_as_of(moment(1), Bounds(None, moment(99))),
    states_sql.versions(BOUNDS),
    states_sql.diff(moment(1), moment(2), BOUNDS),
    activity_sql.changes(RANGE),
    activity_sql.history(),
    activity_sql.changes_per_day(RANGE),
    activity_sql.churn(RANGE),
    activity_sql.changes_per_attribute(RANGE),
    activity_sql.changes_per_actor(RANGE, (ODD, 0)),
    activity_sql.dwell((ODD, "x", 1), BOUNDS),
    continuity_sql.chains_in_doubt(),
]


def as_athena_reads(question):
    """The question as Athena would read it."""
    text = athena.statements("s3://bucket/trail", question)
    created, select = text.split(";\n\n")
    assert isinstance(parse_one(created, dialect="athena"), exp.Create)
    return parse_one(select.removesuffix(";\n"), dialect="athena")


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_every_question_is_in_athenas_own_words(question):
    """It is one query, none of our functions is left in it, and it has the answer's columns."""
    select = as_athena_reads(question)

    assert isinstance(select, exp.Query)
    functions = {function.name for function in select.find_all(exp.Anonymous)}
    assert functions.isdisjoint(
        {"WIRE_VALUE", "WIRE_TYPE", "WIRE_TEXT", "TEXT_FIELD", "MICROSECONDS"}
    )
    assert functions.isdisjoint({"EPOCH_US", "CONTAINS", "TRY_ELEMENT_AT", "JSON_EXTRACT_STRING"})
    assert not list(select.find_all(exp.Placeholder))
    assert "TIMESTAMPTZ" not in select.sql(dialect="duckdb")
    if question.name != "table_as_of":
        assert select.named_selects == question.answer.names


def test_the_table_has_the_columns_of_the_dataset():
    """Partitioned by month without a crawler: every month that there can be is projected."""
    text = athena.statements("s3://bucket/trail/")

    columns = re.findall(r"^  `(\w+)` (\S+?),?$", text, re.MULTILINE)
    assert [name for name, _ in columns] == ROWS.names
    assert dict(columns)["changed"] == "array<string>"
    assert dict(columns)["digest"] == "binary"
    assert "PARTITIONED BY (`month` string)" in text
    assert "'s3://bucket/trail/rows/month=${month}/'" in text


def test_the_table_is_quoted():
    """In the definition and wherever the question reads it: `rows` is a word of SQL."""
    text = athena.statements("s3://b/x", QUESTIONS[0])

    assert "EXISTS `rows` (" in text
    assert text.count('FROM "rows" AS "rows"') == len(re.findall(r"\bFROM \W?rows\b", text)) == 3


def test_what_a_person_gives_stays_a_text():
    """An attribute, or a folder, that looks like SQL is none."""
    select = as_athena_reads(activity_sql.dwell(("' OR 1 = 1 --",), BOUNDS))

    keys = {key.this for key in select.find_all(exp.JSONPathKey)}
    assert keys == {"' OR 1 = 1 --", "S"}
    assert r"LOCATION 's3://b/o\'c/rows/'" in athena.statements("s3://b/o'c")


@pytest.mark.parametrize("location", ["trail", "s3://", "file:///trail"])
def test_a_folder_that_is_not_in_s3_is_refused(location):
    """Athena reads from nowhere else."""
    with pytest.raises(DatasetError, match="write s3://bucket/folder"):
        athena.statements(location)


def test_it_says_what_nobody_tested():
    """Whoever runs it is to know."""
    assert "not tested on Athena" in athena.statements("s3://b/x")
