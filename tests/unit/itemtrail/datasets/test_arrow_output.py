"""Arrow record batches as Parquet row groups."""

import pyarrow as pa

from itemtrail.datasets import arrow_output


def test_the_last_row_group_has_all_of_its_batches():
    """Batches are smaller than a row group, and every row of them is written."""
    batch = pa.RecordBatch.from_pylist([{"x": 1}] * 3)
    reader = pa.RecordBatchReader.from_batches(batch.schema, [batch] * 4)

    assert [group.num_rows for group in arrow_output._row_groups(reader)] == [12]


def test_a_row_group_ends_when_it_has_bytes_enough(monkeypatch):
    """A row group is held in memory until it is written."""
    monkeypatch.setattr(arrow_output, "_MOST_BYTES", 40)
    batch = pa.RecordBatch.from_pylist([{"x": 1}] * 3)
    reader = pa.RecordBatchReader.from_batches(batch.schema, [batch] * 3)

    assert [group.num_rows for group in arrow_output._row_groups(reader)] == [6, 3]
