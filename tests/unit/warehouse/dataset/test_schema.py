"""A line of the dataset says what its row says, in columns that engines can work with."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pytest

from reports.states.differences import changed_paths
from stream_core.attribute_values import canonical_json
from stream_core.errors import IntegrityError
from stream_core.history_row import OverflowPointer
from tests.factories import item, number, text
from tests.recorded_history import baseline_of, row_of
from warehouse.dataset.schema import (
    ROWS,
    checked_row,
    history_row,
    image_of,
    month_of,
    original_text,
    stored_text,
)
from warehouse.dataset.schema import row_of as line_of

OLD = item("1", Count=number("1.50"), Tags={"SS": ["b", "a"]}, Deep={"M": {"x": text("1")}})
NEW = item("1", Count=number(2), Tags={"SS": ["a", "b"]}, Deep={"M": {"x": text("2")}})


def half_of_sha256(image):
    return hashlib.sha256(canonical_json(image)).digest()[:16]


def test_a_line_has_the_columns_of_the_schema():
    """Each of them, in order, but when the row was written, which is not in it."""
    assert [*line_of(row_of(OLD, NEW)), "written_at", "written_after"] == ROWS.names


def test_a_modification_as_a_line():
    """Images are canonical JSON, states have hashes, and paths say what changed."""
    row = row_of(OLD, NEW, at_s=60, user_identity=("Service", "dynamodb.amazonaws.com"))

    line = line_of(row)

    assert line["id"] == "1"
    assert line["sort_key"] == row.sort_key
    assert line["created_at"] == datetime(2018, 3, 3, 14, 7, tzinfo=UTC)
    assert line["event_name"] == "MODIFY"
    assert json.loads(line["keys"]) == {"Id": {"S": "1"}}
    assert line["old_image"] == (
        '{"Count":{"N":"1.5"},"Deep":{"M":{"x":{"S":"1"}}},"Id":{"S":"1"},"Tags":{"SS":["a","b"]}}'
    )
    assert image_of(line["new_image"]) == NEW
    assert (line["old_hash"], line["new_hash"]) == (half_of_sha256(OLD), half_of_sha256(NEW))
    assert line["changed"] == ["Count", "Deep.x"] == changed_paths(row)
    assert json.loads(line["user_identity"]) == {
        "type": "Service",
        "principalId": "dynamodb.amazonaws.com",
    }
    assert (line["digest"], line["format"], line["overflow"]) == (row.digest, 1, None)


@pytest.mark.parametrize(
    ("row", "before", "after"),
    [
        (row_of(None, NEW), None, NEW),
        (row_of(OLD, None), OLD, None),
        (baseline_of(OLD), OLD, OLD),
    ],
)
def test_hashes_are_of_the_states_around_a_change(row, before, after):
    """Null where there was no item; a baseline changes nothing."""
    line = line_of(row)

    assert line["old_hash"] == (before and half_of_sha256(before))
    assert line["new_hash"] == (after and half_of_sha256(after))
    assert line["old_image"] == (
        None if row.change.old_image is None else canonical_json(before).decode()
    )


def test_images_from_the_overflow_bucket_are_in_the_line():
    """Beside the pointer, which a digest does not cover but a reader may want to follow."""
    pointer = OverflowPointer("bucket", "overflow/x.json.gz", "00" * 32, 7, "version")
    row = replace(row_of(OLD, NEW), overflow=pointer)

    line = line_of(row)

    assert image_of(line["new_image"]) == NEW
    assert history_row(line).overflow == pointer


def test_rows_make_a_batch():
    """Of the schema, in their order."""
    rows = [row_of(OLD, NEW), baseline_of(OLD)]

    batch = pa.RecordBatch.from_pylist(list(map(line_of, rows)), schema=ROWS)

    assert batch.schema == ROWS
    assert [history_row(line).digest for line in batch.to_pylist()] == [r.digest for r in rows]


def test_a_month_is_that_of_utc():
    """Whatever the offset the time is told in."""
    almost = datetime(2026, 12, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))

    assert month_of(almost) == "2026-11"
    assert month_of(datetime(1, 1, 1, tzinfo=UTC)) == "0001-01"


@pytest.mark.parametrize("name", line_of(row_of(OLD, NEW)))
def test_a_line_that_lacks_a_column_is_refused(name):
    """It is no row of which something is guessed."""
    line = line_of(row_of(OLD, NEW))
    del line[name]

    with pytest.raises(IntegrityError, match=r"no line of a history row|is not that of"):
        checked_row(line)


@pytest.mark.parametrize(
    "altered",
    [
        {"keys": "secret"},
        {"keys": None},
        {"new_image": '{"secret":{}}'},
        {"new_image": '{"secret":{"B":"?"}}'},
        {"event_name": "secret"},
        {"sort_key": "secret"},
        {"overflow": '{"secret":1}'},
        {"user_identity": "[]"},
    ],
)
def test_a_line_of_no_row_is_refused(altered):
    """Without telling what it holds."""
    with pytest.raises(IntegrityError, match="no line of a history row") as refused:
        history_row(line_of(row_of(OLD, NEW)) | altered)
    assert "secret" not in str(refused.value)


def test_an_image_that_was_altered_is_noticed():
    """By the digest, as in the history table."""
    line = line_of(row_of(OLD, NEW)) | {"new_image": canonical_json(OLD).decode()}

    with pytest.raises(IntegrityError, match="digest mismatch in the history row 2018-03-03T14"):
        checked_row(line)


def test_a_column_that_does_not_follow_from_the_row_is_noticed():
    """Engines work with hashes and paths, which no digest covers."""
    line = line_of(row_of(OLD, NEW)) | {"new_hash": half_of_sha256(OLD)}

    with pytest.raises(IntegrityError, match="new_hash is not that of the history row 2018-03"):
        checked_row(line)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("", ""),
        ("é\u0000😀", "é\u0000😀"),
        ("\ud800", 'json:"\\ud800"'),
        ("json:", 'json:"json:"'),
        ('json:"\\ud800"', 'json:"json:\\"\\\\ud800\\""'),
    ],
)
def test_texts_without_utf_8_are_spelled_in_ascii(text, stored):
    """Others stay as they are, unless they look like it."""
    assert stored_text(text) == stored
    assert original_text(stored) == text


def test_halves_of_characters_in_names_are_escaped_in_paths():
    """As JSON escapes them, which a path is read as."""
    line = line_of(row_of(None, item("1", **{"a\ud800": text("x")})))

    assert line["changed"] == ["Id", '"a\\ud800"']
