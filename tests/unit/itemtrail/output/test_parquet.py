"""Parquet, and what it needs."""

import contextlib
import gc
import importlib
import io
import re

import click
import pyarrow as pa
import pyarrow.parquet
import pytest

from itemtrail.extras import how_to_install
from itemtrail.output import parquet
from itemtrail.output.answer import Answer, chosen_form
from reports.errors import ReportError
from tests.unit.itemtrail.stdout import FULL, KIND, Stdout


def test_parquet_goes_out_row_group_by_row_group(stdout, monkeypatch):
    """A row group ends when it has rows or text enough."""
    monkeypatch.setattr(parquet, "_MOST_ROWS", 2)
    stdout.take("parquet", [FULL] * 5)
    by_rows = pyarrow.parquet.ParquetFile(io.BytesIO(stdout.buffer.getvalue())).metadata

    stdout.clear()
    monkeypatch.setattr(parquet, "_MOST_TEXT", 1)
    stdout.take("parquet", [FULL] * 3)
    by_text = pyarrow.parquet.ParquetFile(io.BytesIO(stdout.buffer.getvalue())).metadata

    assert [by_rows.row_group(group).num_rows for group in range(3)] == [2, 2, 1]
    assert by_text.num_row_groups == 3


def test_parquet_is_not_thrown_at_a_terminal(screen):
    """Binary would garble it: the line says where to send it."""
    with (
        contextlib.redirect_stdout(screen),
        pytest.raises(click.UsageError, match="binary: send it into a file, e"),
    ):
        chosen_form("parquet")

    assert screen.text == ""


def test_parquet_without_pyarrow_says_how_to_get_it(stdout, monkeypatch):
    """Before anything is read, and in one line."""

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)

    with (
        contextlib.redirect_stdout(stdout),
        pytest.raises(ReportError, match=re.escape(how_to_install("parquet"))),
    ):
        chosen_form("parquet")
    assert stdout.text == ""


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "table"])
def test_no_other_form_needs_pyarrow(stdout, monkeypatch, form):
    """It is large, and an extra."""

    def missing(name):
        raise AssertionError(name)

    monkeypatch.setattr(importlib, "import_module", missing)

    assert chosen_form(form) == form
    stdout.give(Answer(KIND, [FULL], ["a table"]), form)
    assert stdout.text


@pytest.mark.parametrize(("is_terminal", "form"), [(True, "table"), (False, "json")])
def test_the_form_depends_on_who_reads_it(is_terminal, form):
    """A person gets a table, a program JSON, unless told otherwise."""
    with contextlib.redirect_stdout(Stdout(is_terminal=is_terminal)):
        assert chosen_form(None) == form
        assert chosen_form("csv") == "csv"


def test_a_parquet_file_that_was_cut_short_cannot_be_read(stdout):
    """A footer would make a whole file of what was written until then."""
    batch = pa.RecordBatch.from_pylist([{"x": 1}])

    def interrupted():
        yield batch
        raise KeyboardInterrupt

    with contextlib.redirect_stdout(stdout), pytest.raises(KeyboardInterrupt):
        parquet.write_batches(batch.schema, interrupted())
    gc.collect()

    with pytest.raises(pa.ArrowInvalid):
        _ = stdout.table
