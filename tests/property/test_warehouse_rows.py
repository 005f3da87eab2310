"""For every legal record: the row is the same after Parquet, and after an export and a dataset."""

import io
import tempfile
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.inputs.paths import read_path
from stream_core.attribute_values import own_attributes, same_item
from stream_core.change import EventName, read_record
from stream_core.errors import IntegrityError
from stream_core.history_row import HistoryRow, fits_inline
from stream_core.overflow_object import pack
from tests import export_files as made
from tests.factories import change
from tests.strategies import changes, names, texts
from warehouse.archive.ingest import ingest
from warehouse.dataset.manifest import Dataset
from warehouse.dataset.schema import (
    ROWS,
    checked_row,
    history_row,
    month_of,
    original_text,
    row_of,
    stored_text,
)

TABLE = "arn:aws:dynamodb:eu-west-1:123456789012:table/EmployeeHistory"


@st.composite
def history_rows(draw):
    """Rows as the writers and a backfill make them, their images wherever."""
    seen = replace(
        draw(changes(read_record)),
        event_id=draw(texts.filter(bool)),
        aws_region=draw(st.none() | texts),
        size_bytes=draw(st.none() | st.integers(0, 2**53)),
    )
    if seen.new_image is not None and draw(st.integers(0, 3)) == 0:
        seen = replace(seen, event_name=EventName.SNAPSHOT, old_image=None, sequence_number="0")
    row = HistoryRow.from_change(seen)
    if draw(st.integers(0, 3)) == 0:
        pointer, _ = pack(seen, "overflow")
        row = replace(row, overflow=replace(pointer, version_id=draw(st.none() | texts)))
    return row


def through_parquet(rows):
    """The lines that come back."""
    file = io.BytesIO()
    with pq.ParquetWriter(file, ROWS, compression="zstd") as writer:
        writer.write_batch(pa.RecordBatch.from_pylist(list(map(row_of, rows)), schema=ROWS))
    file.seek(0)
    return pq.read_table(file).to_pylist()


def assert_same(again, row):
    """Everything but the spelling of numbers and the order of sets is as it was."""
    again.check()
    assert (again.digest, again.sort_key, again.overflow) == (
        row.digest,
        row.sort_key,
        row.overflow,
    )
    for name in ("keys", "old_image", "new_image"):
        assert same_item(getattr(again.change, name), getattr(row.change, name))
    values = {"keys": {}, "old_image": None, "new_image": None}
    assert replace(again.change, **values) == replace(row.change, **values)


@given(st.lists(history_rows(), max_size=4))
def test_rows_come_back_from_parquet_as_they_were(rows):
    """A row says all it said before, and its digest holds."""
    lines = through_parquet(rows)

    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        assert_same(history_row(line), row)
        assert row_of(checked_row(line)) == row_of(row)


@given(history_rows(), st.data())
def test_an_altered_line_is_noticed(row, data):
    """Whatever column is given another value, either the digest or the column does not fit."""
    (line,) = through_parquet([row])
    altered = {
        "old_image": '{"Id":{"S":"forged"}}',
        "new_image": '{"Id":{"S":"forged"}}',
        "keys": '{"Id":{"S":"forged"}}',
        "id": "forged",
        "event_name": "DELETE",
        "created_at": row.change.created_at.astimezone(UTC).replace(year=1999),
        "old_hash": bytes(16),
        "new_hash": bytes(16),
        "changed": ["forged"],
        "digest": bytes(32),
        "size_bytes": -1,
        "format": 2,
        "user_identity": '{"type":"forged","principalId":"forged"}',
    }
    name = data.draw(st.sampled_from(sorted(altered)))

    with pytest.raises(IntegrityError):
        checked_row(line | {name: altered[name]})


@given(texts | texts.map("json:{}".format) | texts.map(stored_text))
def test_texts_are_utf_8_and_come_back(text):
    """Half of a surrogate pair has no UTF-8, and is not lost."""
    stored = stored_text(text)

    assert original_text(stored) == text
    assert stored.encode().decode() == stored


@given(texts, texts)
def test_different_texts_stay_different(one, other):
    """No item's rows fall together with those of another."""
    assert (stored_text(one) == stored_text(other)) == (one == other)


@given(history_rows())
def test_hashes_are_equal_where_states_are(row):
    """The state before a change and that after it have the same hash if they are the same."""
    (line,) = through_parquet([row])

    if row.change.event_name is EventName.SNAPSHOT:
        assert line["old_hash"] == line["new_hash"]
        assert line["changed"] == []
    else:
        same = same_item(row.change.old_image, row.change.new_image)
        assert (line["old_hash"] == line["new_hash"]) == same
        own = own_attributes(row.change.old_image), own_attributes(row.change.new_image)
        assert (line["changed"] == []) == same_item(*own)
    assert (line["old_hash"] is None) == (
        row.change.old_image is None and row.change.event_name is not EventName.SNAPSHOT
    )


@given(st.lists(names, unique=True, max_size=3))
def test_paths_are_utf_8(others):
    """An attribute may be called anything, and is found by the path that is stored.

    But for those that a global table adds: they are no change of its owner.
    """
    image = {name: {"NULL": True} for name in others} | {"Id": {"S": "1"}}
    row = HistoryRow.from_change(change(None, image, keys={"Id": {"S": "1"}}))

    (line,) = through_parquet([row])

    assert {read_path(path) for path in line["changed"]} == {
        (name,) for name in own_attributes(image)
    }


def unlike(rows):
    """Rows of which no two have one place."""
    return list({(row.id, row.sort_key): row for row in rows}.values())


class Objects:
    """An S3 client of objects by their keys."""

    def __init__(self, bodies):
        self._bodies = bodies

    def get_object(self, Key, **_place):  # noqa: N803 - names of the API
        return {"Body": io.BytesIO(self._bodies[Key])}


@settings(max_examples=settings.default.max_examples // 4)
@given(st.lists(history_rows(), max_size=6).map(unlike))
def test_rows_come_back_from_a_dataset_as_they_were(rows):
    """From the history table through its export and DuckDB, in files of their month, in order."""
    objects = [pack(row.change, "overflow") for row in rows]
    bodies = {pointer.key: body for pointer, body in objects}
    rows = [
        row if row.overflow or fits_inline(row.to_item(8)) else replace(row, overflow=pointer)
        for row, (pointer, _) in zip(rows, objects, strict=True)
    ]
    with tempfile.TemporaryDirectory() as folder:
        files = made.export_files([row.to_item(8) for row in rows], table_arn=TABLE)
        export = made.write_to(Path(folder) / "export", files)

        result = ingest(Path(folder) / "dataset", export, Objects(bodies))

        dataset = Dataset.open(Path(folder) / "dataset")
        found = {}
        for path in dataset.paths:
            table = pq.read_table(path, partitioning=None)
            assert table.schema.equals(ROWS)
            lines = table.to_pylist()
            places = [(line["id"], line["sort_key"]) for line in lines]
            assert places == sorted(places)
            assert {month_of(line["created_at"]) for line in lines} == {
                Path(path).parent.name.removeprefix("month=")
            }
            found |= {(row.id, row.sort_key): row for row in map(checked_row, lines)}
    assert (result.rows_read, result.rows_added) == (len(rows), len(rows))
    assert found.keys() == {(row.id, row.sort_key) for row in rows}
    for row in rows:
        assert_same(found[row.id, row.sort_key], row)
