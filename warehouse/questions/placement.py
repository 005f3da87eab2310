"""Where each row of an item stands: SQL finds the items whose times go back, Python places rows.

Rows are kept by time. What `reports.states.stream_order` says of a later change that is stamped
earlier is not written a second time, in SQL: the few rows that it moves become a relation beside
`rows`, and questions about states order by `place` and `since` instead of key and stamp.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby, pairwise
from typing import Any

from sqlglot import exp

from reports.states.spans import is_superseded
from reports.states.stream_order import in_their_time, placed_rows
from stream_core.change import Change, EventName
from stream_core.history_row import HistoryRow, time_text
from warehouse.dataset.schema import original_text
from warehouse.errors import DatasetError
from warehouse.questions.question import Bounds, MovedRow, condition, query, text_literal

DISORDERED = """
SELECT DISTINCT id
FROM (
  SELECT
    id, LPAD(sequence_number, 40, '0') AS number,
    LAG(LPAD(sequence_number, 40, '0'))
      OVER (PARTITION BY id, event_source_arn ORDER BY sort_key) AS previous_number
  FROM rows
  WHERE event_name <> 'SNAPSHOT'
) AS numbered
WHERE number < previous_number
"""
"""The items of which the sequence numbers of a stream contradict the times."""

_CHAINS = """
SELECT id, sort_key, event_name, created_at, sequence_number, event_source_arn
FROM rows
WHERE id IN (SELECT id FROM :disordered)
ORDER BY id, sort_key
"""
_IN_PLACE = """
SELECT
  *, sort_key AS place, created_at AS since, FALSE AS is_moved, :is_foreign AS is_foreign
FROM rows
"""
_PLACED = """
SELECT
  stored.*, COALESCE(moved.place, stored.sort_key) AS place,
  COALESCE(moved.since, stored.created_at) AS since, NOT moved.id IS NULL AS is_moved,
  :is_foreign AS is_foreign
FROM rows AS stored
LEFT JOIN :moved ON moved.id = stored.id AND moved.sort_key = stored.sort_key
WHERE moved.id IS NULL OR NOT moved.place IS NULL
"""
_REPLICATION_ONLY = """
event_name = 'MODIFY' AND ARRAY_LENGTH(changed) = 0 AND old_hash IS DISTINCT FROM new_hash
"""
# A baseline that a change of its second follows is passed over; of others nothing is part.
_JOINS = """
NOT is_foreign AND :is_replication_only AND old_hash IS NOT DISTINCT FROM CASE
  WHEN LAG(event_name) OVER (PARTITION BY id ORDER BY place) = 'SNAPSHOT'
    AND LAG(created_at) OVER (PARTITION BY id ORDER BY place) = created_at
    THEN LAG(CASE WHEN event_name <> 'SNAPSHOT' THEN new_hash END, 2)
      OVER (PARTITION BY id ORDER BY place)
  ELSE LAG(CASE WHEN event_name <> 'SNAPSHOT' THEN new_hash END)
    OVER (PARTITION BY id ORDER BY place)
END
"""
# They become part of a query's text.
_MOST_MOVED = 10_000


def chains(items: Sequence[str] | None) -> exp.Query:
    """What places the rows of items, item by item.

    Args:
        items: the `id` of each; None: all that have to be placed, which are found first.
    """
    if items is None:
        return query(_CHAINS, {"disordered": query(DISORDERED, {}).subquery("disordered")})
    values = exp.values([(item,) for item in items], alias="disordered", columns=["id"])
    return query(_CHAINS, {"disordered": values})


def moved_rows(lines: Iterable[Mapping[str, Any]], foreign: Sequence[str]) -> list[MovedRow]:
    """The rows of the answer to `chains` that are not where their times put them.

    Raises:
        DatasetError: they are too many to be told to an engine.
    """
    moved: list[MovedRow] = []
    for _, item in groupby(lines, key=lambda line: line["id"]):
        moved += _moved_of_one([_row(line, foreign) for line in item])
        if len(moved) > _MOST_MOVED:
            raise DatasetError(
                f"the times of more than {_MOST_MOVED:,} rows contradict their sequence numbers, "
                "too many for a query: see them with itemtrail archive DATASET --check"
            )
    return moved


def placed(bounds: Bounds, name: str) -> exp.Expr:
    """The rows with their `place`, `since` when each holds, `is_moved` and `is_foreign`.

    Args:
        bounds: say which ones are moved, and which are foreign.
        name: what they are called in the query that they become part of.
    """
    values = {"is_foreign": is_foreign(bounds.foreign)}
    if not bounds.moved:
        return query(_IN_PLACE, values).subquery(name)
    return query(_PLACED, values | {"moved": _relation(bounds.moved)}).subquery(name)


def is_foreign(foreign: Sequence[str]) -> exp.Expr:
    """Whether a row is of a table that is not the followed one, as a condition."""
    if not foreign:
        return exp.false()
    return exp.column("event_source_arn").isin(*map(text_literal, foreign))


def is_replication_only() -> exp.Expr:
    """Whether a change touched nothing but attributes of a global table, as a condition.

    As `reports.states.global_tables`: `changed` leaves these out, the hashes do not.
    """
    return condition(_REPLICATION_ONLY, {})


def joins_the_one_before() -> exp.Expr:
    """Whether a row of `placed` is such a change, part of the one before it, as a condition.

    Where the two do not fit, a change is missing in between, and the row stays to show it.
    """
    return condition(_JOINS, {"is_replication_only": is_replication_only()})


def _relation(moved: Sequence[MovedRow]) -> exp.Expr:
    tuples = [
        exp.Tuple(
            expressions=[
                text_literal(row.id),
                text_literal(row.sort_key),
                exp.null() if row.place is None else text_literal(row.place),
                text_literal(time_text(row.since)),
            ]
        )
        for row in moved
    ]
    columns = MovedRow._fields
    values = exp.values(tuples, alias="told", columns=columns)
    typed = {"place": exp.DataType.Type.TEXT, "since": exp.DataType.Type.TIMESTAMPTZ}
    return (
        exp.select(
            *(
                exp.alias_(exp.cast(exp.column(name), typed[name]), name) if name in typed else name
                for name in columns
            )
        )
        .from_(values)
        .subquery("moved")
    )


def _moved_of_one(rows: Sequence[HistoryRow]) -> Iterator[MovedRow]:
    is_kept = [not is_superseded(row, after) for row, after in pairwise(chain(rows, [None])) if row]
    kept = [row for row, stays in zip(rows, is_kept, strict=True) if stays]
    in_place = list(placed_rows(kept))
    if not any(placed_row.was_moved for placed_row in in_place):
        return
    for row, stays in zip(rows, is_kept, strict=True):
        if not stays:
            yield MovedRow(row.id, row.sort_key, None, row.change.created_at)
    held = in_their_time(placed_row.row for placed_row in in_place)
    for slot, placed_row, (row, since, _) in zip(kept, in_place, held, strict=True):
        if placed_row.was_moved:
            yield MovedRow(row.id, row.sort_key, slot.sort_key, since)


def _row(line: Mapping[str, Any], foreign: Sequence[str]) -> HistoryRow:
    """As much of a row as its place depends on, under the names of the dataset."""
    stream = line["event_source_arn"]
    change = Change(
        item_id=line["id"],
        event_id=None,
        event_name=EventName(line["event_name"]),
        event_source_arn=stream,
        aws_region=None,
        sequence_number=original_text(line["sequence_number"]),
        created_at=line["created_at"],
        size_bytes=None,
        keys={},
        old_image=None,
        new_image=None,
    )
    fault = "it is of another table" if stream in foreign else None
    return HistoryRow(line["sort_key"], change, b"", fault=fault)
