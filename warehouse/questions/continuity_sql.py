"""Continuity: SQL finds the items whose rows may not follow from each other, Python judges them.

What a broken link is called is no matter of SQL, so that `reports.verification.continuity` has the
last word, as it has for the live table. An item that the SQL passes over has no finding: it begins
with an INSERT or a baseline, each row, baselines included, begins with the state that the row
before left, and the sequence numbers of a stream grow. Then no link is broken either once baselines
are put aside, and each shows a state of the changes next to it.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import pyarrow as pa

from reports.verification.continuity import Finding, Link, judge_chain
from stream_core.attribute_values import canonical_json
from stream_core.change import EventName
from warehouse.dataset.schema import STATE_BYTES, image_of
from warehouse.questions.placement import DISORDERED, is_foreign
from warehouse.questions.question import TIME, Question, query

FINDINGS = pa.schema(
    [
        pa.field("found", pa.string(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("keys", pa.string(), nullable=False),
        pa.field("since", TIME),
        pa.field("until", TIME),
        pa.field("sort_key", pa.string()),
        pa.field("detail", pa.string(), nullable=False),
    ]
)
_LINKS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("keys", pa.string(), nullable=False),
        pa.field("sort_key", pa.string(), nullable=False),
        pa.field("event_name", pa.string(), nullable=False),
        pa.field("created_at", TIME, nullable=False),
        pa.field("event_source_arn", pa.string(), nullable=False),
        pa.field("old_hash", pa.binary(STATE_BYTES)),
        pa.field("new_hash", pa.binary(STATE_BYTES)),
    ]
)
# Rows of one batch of findings.
_BATCH = 1000

_CHAINS_IN_DOUBT = """
WITH linked AS (
  SELECT
    id, event_name, old_hash,
    LAG(sort_key) OVER (PARTITION BY id ORDER BY sort_key) AS previous_key,
    LAG(new_hash) OVER (PARTITION BY id ORDER BY sort_key) AS previous_hash
  FROM rows
  WHERE NOT :is_foreign
), in_doubt AS (
  SELECT DISTINCT id FROM linked
  WHERE
    (previous_key IS NULL AND event_name <> 'SNAPSHOT' AND old_hash IS NOT NULL)
    OR (previous_key IS NOT NULL AND previous_hash IS DISTINCT FROM old_hash)
  UNION
  SELECT id FROM :disordered
)
SELECT id, keys, sort_key, event_name, created_at, event_source_arn, old_hash, new_hash
FROM rows
WHERE id IN (SELECT id FROM in_doubt) AND NOT :is_foreign
ORDER BY id, sort_key
"""


def chains_in_doubt(foreign: Sequence[str] = ()) -> Question:
    """The rows, without their images, of the items that may have a finding, item by item.

    Args:
        foreign: the streams, or tables, whose rows are in no chain of the followed table's items.
    """
    values = {
        "disordered": query(DISORDERED, {}).subquery("disordered"),
        "is_foreign": is_foreign(foreign),
    }
    return Question("chains_in_doubt", query(_CHAINS_IN_DOUBT, values), _LINKS)


def judged(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The findings in chains, as `verification.continuity` has them without a live item."""
    lines = (line for batch in batches for line in batch.to_pylist())
    findings: list[dict[str, Any]] = []
    for identifier, chain in groupby(lines, key=lambda line: line["id"]):
        rows = list(chain)
        keys = image_of(rows[0]["keys"]) or {}
        findings += [
            finding_line(identifier, finding) for finding in judge_chain(keys, map(_link, rows))
        ]
        if len(findings) >= _BATCH:
            yield pa.RecordBatch.from_pylist(findings, schema=FINDINGS)
            findings = []
    if findings:
        yield pa.RecordBatch.from_pylist(findings, schema=FINDINGS)


def finding_line(identifier: str, finding: Finding) -> dict[str, Any]:
    """A finding as a line of an answer."""
    return {
        "found": finding.kind.value,
        "id": identifier,
        "keys": canonical_json(finding.keys).decode("ascii"),
        "since": finding.since,
        "until": finding.until,
        "sort_key": finding.sort_key,
        "detail": finding.detail,
    }


def _link(line: dict[str, Any]) -> Link:
    return Link(
        line["sort_key"],
        EventName(line["event_name"]),
        line["created_at"],
        before=line["old_hash"],
        after=line["new_hash"],
        stream=line["event_source_arn"],
    )
