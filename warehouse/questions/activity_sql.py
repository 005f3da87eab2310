"""Questions about activity: the changes themselves, how many there are, how long states last."""

import json
from collections.abc import Sequence

import pyarrow as pa
from sqlglot import exp

from reports.inputs.paths import Path
from warehouse.dataset.schema import ROWS
from warehouse.questions.dialects import DUCKDB
from warehouse.questions.placement import (
    is_foreign,
    is_replication_only,
    joins_the_one_before,
    placed,
)
from warehouse.questions.question import (
    TIME,
    Bounds,
    Question,
    Range,
    condition,
    path_literal,
    query,
)

_MAY_BE_NULL = frozenset(
    {"old_image", "new_image", "old_hash", "new_hash", "aws_region", "size_bytes"}
    | {"user_identity", "overflow", "written_at", "written_after"}
)
HISTORY_ROWS = pa.schema(
    [field.with_nullable(field.name in _MAY_BE_NULL) for field in ROWS],
)


def _counts(*names: str) -> list[pa.Field]:
    return [pa.field(name, pa.int64(), nullable=False) for name in names]


_DAY = pa.field("day", pa.date32(), nullable=False)
_SPAN = [pa.field(name, TIME, nullable=False) for name in ("first_at", "last_at")]
CHANGES_PER_DAY = pa.schema([_DAY, *_counts("changes", "inserted", "modified", "removed", "items")])
CHURN = pa.schema([_DAY, *_counts("inserted", "removed", "net")])
CHANGES_PER_ATTRIBUTE = pa.schema(
    [pa.field("path", pa.string(), nullable=False), *_counts("changes", "items"), *_SPAN]
)
CHANGES_PER_ACTOR = pa.schema(
    [
        pa.field("actor", pa.string()),
        pa.field("source", pa.string()),
        *_counts("changes", "inserted", "modified", "removed", "doubtful", "items"),
        *_SPAN,
    ]
)
DWELL = pa.schema(
    [
        pa.field("type", pa.string()),
        pa.field("value", pa.string()),
        *_counts("items", "stays", "entered", "lasting", "uncertain"),
        pa.field("total_seconds", pa.float64(), nullable=False),
        pa.field("mean_seconds", pa.float64(), nullable=False),
    ]
)

_SCALARS = frozenset({"S", "N", "B", "BOOL", "NULL"})

_MADE = """
  event_name <> 'SNAPSHOT' AND created_at >= :since AND created_at <= :until
  AND month BETWEEN :first_month AND :last_month AND NOT (:is_replication_only)
"""
_KINDS = (
    "COUNT(*) FILTER (WHERE event_name = 'INSERT') AS inserted",
    "COUNT(*) FILTER (WHERE event_name = 'MODIFY') AS modified",
    "COUNT(*) FILTER (WHERE event_name = 'REMOVE') AS removed",
)
_CHANGES = "SELECT * FROM rows WHERE :made ORDER BY sort_key, id"
_PER_DAY = """
SELECT CAST(created_at AS DATE) AS day, COUNT(*) AS changes, COUNT(DISTINCT id) AS items
FROM rows WHERE :made GROUP BY CAST(created_at AS DATE) ORDER BY day
"""
_CHURN = """
SELECT
  CAST(created_at AS DATE) AS day,
  COUNT(*) FILTER (WHERE event_name = 'INSERT') - COUNT(*) FILTER (WHERE event_name = 'REMOVE')
    AS net
FROM rows WHERE :made GROUP BY CAST(created_at AS DATE) ORDER BY day
"""
_PER_ATTRIBUTE = """
WITH touched AS (
  SELECT id, created_at, path
  FROM (SELECT id, created_at, changed FROM rows WHERE :made) AS made, UNNEST(changed) AS t(path)
)
SELECT
  path, COUNT(*) AS changes, COUNT(DISTINCT id) AS items,
  MIN(created_at) AS first_at, MAX(created_at) AS last_at
FROM touched GROUP BY path ORDER BY path
"""
# As `reports.states.actor`: DynamoDB names itself, a writer by an attribute of what it wrote.
# `doubtful` are the changes that left the attribute as it was: it may name who wrote before.
_PER_ACTOR = """
WITH named AS (
  SELECT
    id, event_name, created_at, TEXT_FIELD(user_identity, 'principalId') AS principal,
    :new_value AS new_value, :old_value AS old_value
  FROM rows WHERE :made
), attributed AS (
  SELECT
    id, event_name, created_at,
    CASE
      WHEN principal IS NOT NULL THEN principal
      WHEN WIRE_TYPE(new_value) = 'B' THEN CONCAT('base64:', WIRE_TEXT(new_value))
      WHEN WIRE_TYPE(new_value) IN ('S', 'N', 'BOOL') THEN WIRE_TEXT(new_value)
    END AS actor,
    CASE
      WHEN principal IS NOT NULL THEN 'userIdentity'
      WHEN WIRE_TYPE(new_value) IN ('S', 'N', 'B', 'BOOL') THEN 'attribute'
    END AS source,
    CASE
      WHEN principal IS NULL AND WIRE_TYPE(new_value) IN ('S', 'N', 'B', 'BOOL')
        AND old_value = new_value THEN 1
      ELSE 0
    END AS is_doubtful
  FROM named
)
SELECT
  actor, source, COUNT(*) AS changes, CAST(SUM(is_doubtful) AS BIGINT) AS doubtful,
  COUNT(DISTINCT id) AS items, MIN(created_at) AS first_at, MAX(created_at) AS last_at
FROM attributed GROUP BY actor, source ORDER BY changes DESC, actor, source
"""
# A stay begins where an item comes to have a value, as `as_of` has it from instant to
# instant, and ends where it has another one or is gone. Time is summed in whole numbers, seconds
# apart from the rest: a sum of fractions depends on the order in which an engine adds, and one of
# microseconds does not fit into 64 bits.
_DWELL = """
WITH arranged AS (
  SELECT
    id, place, since, created_at, event_name, old_hash, new_hash, event_source_arn,
    is_moved, is_foreign, :joins AS joins,
    WIRE_VALUE(new_image, :path) AS wire, WIRE_VALUE(old_image, :path) AS old_wire,
    LEAD(created_at) OVER (PARTITION BY id ORDER BY place) AS following
  FROM :placed
), linked AS (
  SELECT
    id, place, since, new_hash, wire,
    LAG(place) OVER (PARTITION BY id ORDER BY place) AS previous_key,
    LAG(new_hash) OVER (PARTITION BY id ORDER BY place) AS previous_hash,
    LAG(wire) OVER (PARTITION BY id ORDER BY place) AS previous_wire,
    LEAD(since) OVER (PARTITION BY id ORDER BY place) AS ended,
    LEAD(old_hash) OVER (PARTITION BY id ORDER BY place) AS next_hash,
    LEAD(event_source_arn) OVER (PARTITION BY id ORDER BY place) AS next_stream,
    LEAD(is_foreign) OVER (PARTITION BY id ORDER BY place) AS next_is_foreign,
    LEAD(is_moved) OVER (PARTITION BY id ORDER BY place) AS next_is_moved,
    LEAD(joins) OVER (PARTITION BY id ORDER BY place) AS goes_on,
    event_source_arn, is_foreign,
    event_name, old_hash, old_wire
  FROM arranged
  WHERE following IS NULL OR following <> created_at OR event_name <> 'SNAPSHOT'
), marked AS (
  SELECT
    id, place, since, new_hash, wire, ended,
    CASE
      WHEN previous_key IS NULL OR previous_hash IS NULL THEN 1
      WHEN previous_wire IS DISTINCT FROM wire THEN 1
      ELSE 0
    END AS begins,
    CASE
      WHEN previous_key IS NULL AND event_name = 'SNAPSHOT' THEN 0
      WHEN previous_key IS NULL AND (old_hash IS NULL OR old_wire IS DISTINCT FROM wire) THEN 1
      WHEN previous_key IS NULL THEN 0
      WHEN previous_hash IS NULL OR previous_wire IS DISTINCT FROM wire THEN 1
      ELSE 0
    END AS enters,
    CASE
      WHEN goes_on THEN 0
      WHEN is_foreign OR next_is_foreign OR next_is_moved THEN 1
      WHEN ended IS NOT NULL AND next_hash IS DISTINCT FROM new_hash THEN 1
      WHEN ended > :recorded_until THEN 1
      WHEN event_source_arn <> next_stream AND next_stream LIKE '%/stream/%' THEN 1
      ELSE 0
    END AS breaks
  FROM linked
), numbered AS (
  SELECT
    id, since, new_hash, wire, ended, enters, breaks,
    SUM(begins) OVER (PARTITION BY id ORDER BY place) AS stay
  FROM marked
), stays AS (
  SELECT
    id, wire, MAX(enters) AS enters, MAX(breaks) AS breaks,
    MAX(CASE WHEN ended IS NULL THEN 1 ELSE 0 END) AS lasts,
    CAST(SUM(
      MICROSECONDS(COALESCE(ended, GREATEST(since, :complete_until))) - MICROSECONDS(since)
    ) AS BIGINT) AS micros
  FROM numbered
  WHERE new_hash IS NOT NULL
  GROUP BY id, stay, wire
), sums AS (
  SELECT
    wire, COUNT(DISTINCT id) AS items, COUNT(*) AS stays, CAST(SUM(enters) AS BIGINT) AS entered,
    CAST(SUM(lasts) AS BIGINT) AS lasting, CAST(SUM(breaks) AS BIGINT) AS uncertain,
    CAST(SUM(micros // 1000000) AS DOUBLE) + CAST(SUM(micros % 1000000) AS DOUBLE) / 1000000
      AS total_seconds
  FROM stays
  GROUP BY wire
)
SELECT
  WIRE_TYPE(wire) AS type, WIRE_TEXT(wire) AS value, items, stays, entered, lasting, uncertain,
  total_seconds, total_seconds / stays AS mean_seconds
FROM sums
ORDER BY type, value
"""


def changes(made: Range) -> Question:
    """The history rows of the changes made in a range, in the order of time and then of `id`.

    A baseline is no change, nor is what a global table does to its own attributes.
    """
    return Question("changes", _whole_rows(_CHANGES, _made(made)), HISTORY_ROWS)


def history() -> Question:
    """All history rows, in no order."""
    return Question("history", _whole_rows("SELECT * FROM rows", {}), HISTORY_ROWS)


def changes_per_day(made: Range, foreign: Sequence[str] = ()) -> Question:
    """How many changes of each kind were made on each day (UTC), and to how many items."""
    return Question(
        "changes_per_day",
        _counted(_PER_DAY, _counting(made, foreign), CHANGES_PER_DAY),
        CHANGES_PER_DAY,
    )


def churn(made: Range, foreign: Sequence[str] = ()) -> Question:
    """How many items came and went on each day (UTC) on which any was changed."""
    return Question("churn", _counted(_CHURN, _counting(made, foreign), CHURN), CHURN)


def changes_per_attribute(made: Range, foreign: Sequence[str] = ()) -> Question:
    """How many changes touched each attribute path, in how many items, and when."""
    tree = query(_PER_ATTRIBUTE, _counting(made, foreign))
    return Question("changes_per_attribute", tree, CHANGES_PER_ATTRIBUTE)


def changes_per_actor(
    made: Range, attribute: Path | None = None, foreign: Sequence[str] = ()
) -> Question:
    """How many changes each actor made, and how many have no name (`actor` is null).

    Args:
        made: when.
        attribute: the path of the attribute in which writers leave their name; without it only
            DynamoDB's own changes (expiries by TTL) have an actor. A set, list or map there
            is no name.
        foreign: the streams whose rows are not counted.
    """
    values = _counting(made, foreign)
    for name in ("new", "old"):
        values[f"{name}_value"] = (
            exp.cast(exp.null(), exp.DataType.Type.TEXT)
            if attribute is None
            else exp.func("WIRE_VALUE", exp.column(f"{name}_image"), path_literal(attribute))
        )
    tree = _counted(_PER_ACTOR, values, CHANGES_PER_ACTOR)
    return Question("changes_per_actor", tree, CHANGES_PER_ACTOR)


def dwell(attribute: Path, bounds: Bounds) -> Question:
    """How long items have each value of an attribute, from their first row on.

    A line has the value's type and text (of a set, list or map its JSON; both null: the item has
    no such attribute), the `items` that had it, how many `stays` those had in it, and of these how
    many were seen to be `entered`, how many are `lasting`, and how many are `uncertain`: a change
    is missing within or at the end, or may still be on its way. Stays that last are counted until
    the dataset is complete.
    """
    values = {"path": path_literal(attribute), **bounds.values()}
    values |= {"joins": joins_the_one_before(), "placed": placed(bounds, "placed")}
    return Question("dwell", query(_DWELL, values), DWELL, _in_canonical_json)


def _made(made: Range) -> dict[str, exp.Expr]:
    values = made.values() | {"is_replication_only": is_replication_only()}
    return {"made": condition(_MADE, values)}


def _counting(made: Range, foreign: Sequence[str]) -> dict[str, exp.Expr]:
    """The same where changes are counted: a row of another table is no change of an item."""
    changes = _made(made)["made"]
    return {"made": exp.and_(changes, exp.not_(is_foreign(foreign))) if foreign else changes}


def _whole_rows(sql: str, values: dict[str, exp.Expr]) -> exp.Query:
    """A query of rows, with every column but the partition's."""
    return query(sql, values).select(*ROWS.names, append=False, dialect=DUCKDB)


def _counted(sql: str, values: dict[str, exp.Expr], answer: pa.Schema) -> exp.Query:
    """A query that counts changes by their kind too, in the order of its answer's columns."""
    tree = query(sql, values).select(*_KINDS, dialect=DUCKDB)
    columns = {column.alias_or_name: column for column in tree.selects}
    return tree.select(*(columns[name] for name in answer.names), append=False)


def _in_canonical_json(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Sets, lists and maps as the dataset spells them, whatever an engine made of them."""
    values = [
        text
        if text is None or tag in _SCALARS
        else json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
        for tag, text in zip(*(batch.column(n).to_pylist() for n in ("type", "value")), strict=True)
    ]
    place = batch.schema.get_field_index("value")
    return batch.set_column(place, batch.schema.field(place), pa.array(values, pa.string()))
