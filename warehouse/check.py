"""A whole dataset held against itself: every row what was written, every row following the last."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from reports.continuity import INTEGRITY, Finding, FindingClass
from reports.gaps import Gap, declare
from reports.keys import KeySchema
from reports.progress import Progress, silent
from reports.verdicts import Verdict, Verification
from warehouse.continuity_sql import FINDINGS
from warehouse.digests import check_of
from warehouse.engine import Engine
from warehouse.schema import image_of

_COUNTS = """
SELECT COUNT(DISTINCT id) AS items, COUNT(*) AS "rows", COUNT(overflow) AS overflow_objects
FROM rows
"""
_NO_LIVE_ITEM = (
    "the last row of each item is not held against the live item, nor is an overflow object read "
    "again: itemtrail verify does both"
)


def key_schema(engine: Engine) -> KeySchema | None:
    """The key of the source table, as a row shows it; None: there is no row."""
    for line in lines_of(engine.sql("SELECT keys FROM rows LIMIT 1")):
        return KeySchema.of_keys(image_of(line["keys"]) or {})
    return None


def check(
    engine: Engine, gaps: Sequence[Gap] = (), *, now: datetime, progress: Progress = silent
) -> Verification:
    """Check every row's digest, its place and its columns, and that each follows from the last.

    Completeness is `unproven` at best: no live item is looked at.

    Args:
        engine: what asks the dataset; of this process, where progress is to be told.
        gaps: findings of which the cause is known.
        now: rows stamped later are from the future.
        progress: told of rows.

    Raises:
        DatasetError: the dataset cannot be read.
    """
    rows = engine.dataset.rows
    judge = check_of(now)
    done = 0

    def counted(batch: pa.RecordBatch) -> pa.RecordBatch:
        nonlocal done
        found = judge(batch)
        done += batch.num_rows
        progress("rows", done, rows)
        return found

    altered = list(_findings(engine.map_rows(counted, FINDINGS)))
    missing = list(_findings(engine.findings()))
    (counts,) = lines_of(engine.sql(_COUNTS))
    findings = declare([*altered, *missing], gaps)
    broken = {finding.found for finding in findings if finding.declared is None}
    return Verification(
        sorted(findings, key=_place),
        **counts,
        integrity=Verdict.BROKEN if broken & INTEGRITY else Verdict.HOLDS,
        completeness=Verdict.BROKEN if broken - INTEGRITY else Verdict.UNPROVEN,
        notes=[_NO_LIVE_ITEM],
    )


def lines_of(batches: Iterable[pa.RecordBatch]) -> Iterator[dict[str, Any]]:
    """The lines of an answer, as dictionaries."""
    for batch in batches:
        yield from batch.to_pylist()


def _findings(batches: Iterable[pa.RecordBatch]) -> Iterator[Finding]:
    for line in lines_of(batches):
        yield Finding(
            FindingClass(line["found"]),
            image_of(line["keys"]) or {},
            _utc(line["since"]),
            _utc(line["until"]),
            line["sort_key"],
            line["detail"],
        )


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)


def _place(finding: Finding) -> tuple[str, str, str]:
    return str(finding.keys), finding.sort_key or "", finding.found.value
