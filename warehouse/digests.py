"""Every line of a dataset held against itself: nothing but what was written has its digest."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pyarrow as pa

from reports.continuity import Finding, FindingClass
from reports.row_checks import RowChecks
from reports.row_reader import RowReader
from stream_core.failures import IntegrityError
from stream_core.history_row import ID, HistoryRow
from warehouse.continuity_sql import FINDINGS, finding_line
from warehouse.schema import checked_row

Check = Callable[[pa.RecordBatch], pa.RecordBatch]


def check_of(now: datetime) -> Check:
    """A function from rows of the dataset to what is wrong with them.

    A line is made a history row again; its digest, its place, and the columns that follow from
    its images have to be those of the row. Engines run the function where the rows are.

    Args:
        now: rows stamped later are from the future.
    """

    def check(batch: pa.RecordBatch) -> pa.RecordBatch:
        found = [line for row in batch.to_pylist() for line in _faults(row, now)]
        return pa.RecordBatch.from_pylist(found, schema=FINDINGS)

    return check


def _faults(line: dict[str, Any], now: datetime) -> Iterator[dict[str, Any]]:
    try:
        row = checked_row(line)
    except IntegrityError as error:
        faults = {FindingClass.DIGEST_MISMATCH: [str(error)]}
        keys, at, sort_key = {ID: {"S": line["id"]}}, _time_of(line), line["sort_key"]
    else:
        faults = _misplaced(row, now)
        keys, at, sort_key = row.change.keys, row.change.created_at, row.sort_key
    for found, details in faults.items():
        yield finding_line(line["id"], Finding(found, keys, at, at, sort_key, "; ".join(details)))


def _time_of(line: dict[str, Any]) -> datetime | None:
    at = line["created_at"]
    return None if at is None else at.astimezone(UTC)


def _misplaced(row: HistoryRow, now: datetime) -> dict[FindingClass, list[str]]:
    # As `verify` looks at a stored row. The images are in it, so that nothing has to be fetched.
    stored = replace(row, overflow=None).to_item(1)
    nobody = cast("Any", None)
    reader = RowReader(nobody, nobody, "", None)
    return RowChecks(reader, row.id, None, None, now).check(stored).faults
