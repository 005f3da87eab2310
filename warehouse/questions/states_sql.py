"""Questions about states: the table at an instant, every version, the difference between two.

The rules are those of `reports.states.timeline` for a history whose source table is not read: the
newest row up to an instant has the state, the oldest one after it vouches for that. They are
written out in SQL so that an engine can apply them where the rows are; a test holds both to each
other.
"""

from datetime import datetime

import pyarrow as pa
from sqlglot import exp

from reports.states.reasons import DISORDER
from reports.states.timeline import Certainty, beginnings
from reports.states.watermark import Watermark
from stream_core.history_row import time_text
from warehouse.dataset.schema import STATE_BYTES
from warehouse.questions.placement import joins_the_one_before, placed
from warehouse.questions.question import (
    TIME,
    Bounds,
    Question,
    Range,
    condition,
    query,
    text_literal,
    time_literal,
)

_HASH = pa.binary(STATE_BYTES)
_STATE = [
    pa.field("certainty", pa.string(), nullable=False),
    pa.field("basis", pa.string()),
    pa.field("reason", pa.string(), nullable=False),
    pa.field("valid_from", TIME),
    pa.field("valid_to", TIME),
]
TABLE_AS_OF = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("keys", pa.string(), nullable=False),
        pa.field("exists", pa.bool_(), nullable=False),
        pa.field("image", pa.string()),
        pa.field("image_hash", _HASH),
        *_STATE,
        pa.field("sort_key", pa.string(), nullable=False),
    ]
)
VERSIONS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("keys", pa.string(), nullable=False),
        pa.field("image", pa.string(), nullable=False),
        *_STATE,
        pa.field("is_current", pa.bool_(), nullable=False),
        pa.field("sequence_number", pa.string(), nullable=False),
        pa.field("sort_key", pa.string(), nullable=False),
    ]
)
DIFF = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("keys", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("old_image", pa.string()),
        pa.field("new_image", pa.string()),
        pa.field("old_certainty", pa.string(), nullable=False),
        pa.field("old_basis", pa.string()),
        pa.field("old_reason", pa.string(), nullable=False),
        pa.field("new_certainty", pa.string(), nullable=False),
        pa.field("new_basis", pa.string()),
        pa.field("new_reason", pa.string(), nullable=False),
    ]
)

# Two sort keys an item, then the rows they name: joins spill to disk, an aggregate that carries
# the images cannot. A baseline speaks for its second only where no change does, so that it is
# looked for behind all of them.
_STATES = """
WITH marks AS (
  SELECT
    id,
    MAX(place) FILTER (WHERE since <= :at) AS before_key,
    MIN(:first_place) FILTER (WHERE since > :at) AS after_key,
    MAX(CASE WHEN created_at <= :at AND since > :at THEN 1 ELSE 0 END) AS is_disordered
  FROM :placed
  GROUP BY id
), evidence AS (
  SELECT
    marks.id,
    COALESCE(earlier.keys, later.keys) AS keys,
    CASE
      WHEN marks.before_key IS NOT NULL THEN earlier.new_image
      WHEN later.event_name = 'SNAPSHOT' THEN later.new_image
      ELSE later.old_image
    END AS image,
    CASE
      WHEN marks.before_key IS NOT NULL THEN earlier.new_hash ELSE later.old_hash
    END AS image_hash,
    CASE
      WHEN :at > :complete_until THEN 'incomplete'
      WHEN earlier.is_foreign OR later.is_foreign THEN 'foreign'
      WHEN marks.before_key IS NULL AND :at < :horizon THEN 'horizon'
      WHEN marks.before_key IS NULL AND is_disordered = 1 THEN 'disordered'
      WHEN marks.before_key IS NULL AND later.event_name = 'INSERT' THEN 'inserted'
      WHEN marks.before_key IS NULL THEN 'no baseline'
      WHEN marks.after_key IS NULL THEN 'last row'
      WHEN earlier.event_source_arn <> later.event_source_arn
        AND later.event_source_arn LIKE '%/stream/%' THEN 'other stream'
      WHEN earlier.new_hash IS DISTINCT FROM later.old_hash
        AND (is_disordered = 1 OR earlier.is_moved OR later.is_moved) THEN 'disordered gap'
      WHEN earlier.new_hash IS DISTINCT FROM later.old_hash
        AND later.since > :missing_until THEN 'on its way'
      WHEN earlier.new_hash IS DISTINCT FROM later.old_hash THEN 'missing'
      WHEN is_disordered = 1 THEN 'disordered'
      WHEN :at <= :recorded_until THEN 'fits'
      ELSE 'fits so far'
    END AS verdict,
    CASE
      WHEN earlier.is_foreign THEN earlier.event_source_arn ELSE later.event_source_arn
    END AS foreign_arn,
    CASE
      WHEN marks.before_key IS NULL AND :at >= :horizon THEN :horizon ELSE earlier.since
    END AS valid_from,
    CASE
      WHEN marks.before_key IS NULL AND :at < :horizon THEN LEAST(later.since, :horizon)
      ELSE later.since
    END AS valid_to,
    COALESCE(earlier.sort_key, later.sort_key) AS sort_key
  FROM marks
  LEFT JOIN :earlier
    ON earlier.id = marks.id AND earlier.place = marks.before_key
  LEFT JOIN :later
    ON later.id = marks.id AND later.place = REPLACE(marks.after_key, '#~', '#')
)
SELECT
  id, keys, image_hash IS NOT NULL AS "exists", image, image_hash,
  :certainty AS certainty, :basis AS basis, :reason AS reason, valid_from, valid_to, sort_key
FROM evidence
"""
# Of a moved baseline it is known which changes it stands between.
_FIRST_PLACE = """
CASE WHEN event_name = 'SNAPSHOT' AND NOT is_moved THEN REPLACE(place, '#', '#~') ELSE place END
"""

# The sorting is of what follows from what; the images go along because they are the answer.
_VERSIONS = """
WITH arranged AS (
  SELECT
    *,
    LEAD(created_at) OVER (PARTITION BY id ORDER BY place) AS following,
    :joins AS joins
  FROM :placed
), linked AS (
  SELECT
    id, keys, new_image, new_hash,
    LAST_VALUE(CASE WHEN joins THEN NULL ELSE sort_key END IGNORE NULLS)
      OVER (PARTITION BY id ORDER BY place ROWS UNBOUNDED PRECEDING) AS sort_key,
    LAST_VALUE(CASE WHEN joins THEN NULL ELSE sequence_number END IGNORE NULLS)
      OVER (PARTITION BY id ORDER BY place ROWS UNBOUNDED PRECEDING) AS sequence_number,
    LAST_VALUE(CASE WHEN joins THEN NULL ELSE since END IGNORE NULLS)
      OVER (PARTITION BY id ORDER BY place ROWS UNBOUNDED PRECEDING) AS since,
    LAST_VALUE(CASE WHEN joins THEN NULL ELSE event_source_arn END IGNORE NULLS)
      OVER (PARTITION BY id ORDER BY place ROWS UNBOUNDED PRECEDING) AS event_source_arn,
    LAST_VALUE(CASE WHEN joins THEN NULL ELSE is_foreign END IGNORE NULLS)
      OVER (PARTITION BY id ORDER BY place ROWS UNBOUNDED PRECEDING) AS is_foreign,
    LEAD(joins) OVER (PARTITION BY id ORDER BY place) AS goes_on,
    LEAD(event_source_arn) OVER (PARTITION BY id ORDER BY place) AS next_stream,
    LEAD(is_foreign) OVER (PARTITION BY id ORDER BY place) AS next_is_foreign,
    LEAD(is_moved) OVER (PARTITION BY id ORDER BY place) AS next_is_moved,
    LEAD(since) OVER (PARTITION BY id ORDER BY place) AS valid_to,
    LEAD(old_hash) OVER (PARTITION BY id ORDER BY place) AS next_state
  FROM arranged
  WHERE following IS NULL OR following <> created_at OR event_name <> 'SNAPSHOT'
), marks AS (
  SELECT id, MIN(:first_place) AS first_key
  FROM :placed
  GROUP BY id
), states AS (
  SELECT
    id, keys, new_image AS image, since AS valid_from, valid_to, sequence_number, sort_key,
    CASE
      WHEN since > :complete_until THEN 'incomplete'
      WHEN is_foreign OR next_is_foreign THEN 'foreign'
      WHEN valid_to IS NULL THEN 'last row'
      WHEN event_source_arn <> next_stream AND next_stream LIKE '%/stream/%' THEN 'other stream'
      WHEN new_hash IS DISTINCT FROM next_state AND next_is_moved THEN 'disordered gap'
      WHEN new_hash IS DISTINCT FROM next_state AND valid_to > :missing_until THEN 'on its way'
      WHEN new_hash IS DISTINCT FROM next_state THEN 'missing'
      WHEN next_is_moved THEN 'disordered'
      WHEN valid_to <= :recorded_until THEN 'fits'
      ELSE 'fits so far'
    END AS verdict,
    CASE WHEN is_foreign THEN event_source_arn ELSE next_stream END AS foreign_arn
  FROM linked
  WHERE new_image IS NOT NULL AND NOT COALESCE(goes_on, FALSE)
  UNION ALL
  SELECT
    marks.id, initial.keys,
    CASE WHEN event_name = 'SNAPSHOT' THEN new_image ELSE old_image END AS image,
    :horizon AS valid_from, since AS valid_to, sequence_number, sort_key,
    CASE
      WHEN is_foreign THEN 'foreign'
      WHEN is_moved THEN 'disordered'
      ELSE 'no baseline'
    END AS verdict,
    event_source_arn AS foreign_arn
  FROM marks
  JOIN :initial
    ON initial.id = marks.id AND initial.place = REPLACE(marks.first_key, '#~', '#')
  WHERE initial.old_hash IS NOT NULL AND since > :horizon
)
SELECT
  id, keys, image, :certainty AS certainty, :basis AS basis, :reason AS reason,
  valid_from, valid_to, valid_to IS NULL AS is_current, sequence_number, sort_key
FROM states
"""

# Only an item with a row in between can differ: for all others the same two rows have both states.
_DIFF = """
WITH touched AS (
  SELECT DISTINCT id FROM rows
  WHERE created_at > :since AND created_at <= :until
    AND month BETWEEN :first_month AND :last_month
), old_states AS (SELECT * FROM :old), new_states AS (SELECT * FROM :new)
SELECT
  new_states.id, new_states.keys,
  CASE
    WHEN NOT old_states."exists" THEN 'added'
    WHEN NOT new_states."exists" THEN 'removed'
    ELSE 'changed'
  END AS kind,
  old_states.image AS old_image, new_states.image AS new_image,
  old_states.certainty AS old_certainty, old_states.basis AS old_basis,
  old_states.reason AS old_reason,
  new_states.certainty AS new_certainty, new_states.basis AS new_basis,
  new_states.reason AS new_reason
FROM new_states JOIN old_states ON old_states.id = new_states.id
WHERE old_states.image_hash IS DISTINCT FROM new_states.image_hash
"""


_FOREIGN_ARN = "{}"
_FOREIGN = f"a row next to the instant is of another table, {_FOREIGN_ARN}: see what verify finds"
_OTHER_STREAM = (
    "the rows before and after are of different streams: changes in between are missing, or the "
    "table was made anew; itemtrail as-of tells which, with the source table"
)


def table_as_of(at: datetime, bounds: Bounds) -> Question:
    """Every item as it was at an instant, changes stamped at that instant included.

    As `HistoryTable.table_states`: the items that existed, and those that did not but
    are not sure not to have.
    """
    states = _states(at, bounds)
    tree = query(
        """SELECT * FROM :states WHERE "exists" OR certainty <> 'exact'""",
        {"states": states.subquery("states")},
    )
    return Question("table_as_of", tree, TABLE_AS_OF)


def versions(bounds: Bounds) -> Question:
    """Every version of every item, as a dimension of type 2, in no order.

    The state before an item's first row is one too, since the history began; a baseline begins
    one unless a change of its second says more.
    """
    relations = {name: placed(bounds, name) for name in ("placed", "initial")}
    values = {"joins": joins_the_one_before(), "first_place": condition(_FIRST_PLACE, {})}
    tree = query(
        _VERSIONS,
        {**bounds.values(), **_verdicts(_meanings(bounds), bounds), **relations, **values},
    )
    return Question("versions", tree, VERSIONS)


def diff(since: datetime, until: datetime, bounds: Bounds) -> Question:
    """The items that were not the same at two instants, and how sure both states are.

    Raises:
        DatasetError: the second instant is the earlier one.
    """
    states = {
        name: _among_touched(_states(at, bounds, f"{name}_")).subquery(name)
        for name, at in (("old", since), ("new", until))
    }
    return Question("diff", query(_DIFF, {**Range(since, until).values(), **states}), DIFF)


def _states(at: datetime, bounds: Bounds, prefix: str = "") -> exp.Query:
    meanings = _meanings(bounds) | {"inserted": _inserted(at, bounds)}
    values = {"at": time_literal(at), **bounds.values(), **_verdicts(meanings, bounds)}
    values |= {name: placed(bounds, name) for name in ("placed", "earlier", "later")}
    values["first_place"] = condition(_FIRST_PLACE, {})
    # Spark takes the names of all parts of a query for one space.
    named = _STATES.replace("marks", f"{prefix}marks").replace("evidence", f"{prefix}evidence")
    return query(named, values)


def _among_touched(states: exp.Query) -> exp.Query:
    (marks,) = (cte.this for cte in states.ctes if cte.alias.endswith("marks"))
    marks.where("id IN (SELECT id FROM touched)", copy=False, dialect="duckdb")
    return states


def _meanings(bounds: Bounds) -> dict[str, tuple[str, str]]:
    """The certainty and the reason, in the words of `reports.states.timeline`, of each verdict."""
    began = (
        "it is unknown when the history began: nothing vouches for the time before its first row"
        if bounds.horizon is None
        else f"the history began later, at {bounds.horizon:%Y-%m-%dT%H:%M:%SZ}"
    )
    complete = f"the dataset is complete until {time_text(bounds.complete_until)}, and no longer"
    fits = "the rows before and after fit each other"
    return {
        "fits": ("exact", fits),
        "fits so far": ("bounded", f"{fits}, but {bounds.doubt}"),
        "missing": ("bounded", "a change is missing between the rows before and after"),
        "on its way": (
            "bounded",
            "a change between the rows before and after is still on its way, or is missing",
        ),
        "disordered": ("bounded", DISORDER),
        "disordered gap": ("bounded", f"{DISORDER}, and a change is missing"),
        "foreign": ("unknown", _FOREIGN),
        "other stream": ("bounded", _OTHER_STREAM),
        "no baseline": ("bounded", "the first row has no baseline before it"),
        "last row": (
            "unknown",
            "no later row, and no source table was given to confirm the last one",
        ),
        "horizon": ("unknown", began),
        "incomplete": ("unknown", complete),
    }


def _inserted(at: datetime, bounds: Bounds) -> tuple[str, str]:
    """The same of an item that is inserted after an instant, and has no row before it."""
    certainty, reason = beginnings(bounds.complete_since, at)
    reason = f"the first row inserts the item, {reason}"
    if certainty is Certainty.EXACT and not bounds.watermark.covers(at):
        return "bounded", f"{reason}, but {bounds.doubt}"
    return certainty.value, reason


def _verdicts(meanings: dict[str, tuple[str, str]], bounds: Bounds) -> dict[str, exp.Expr]:
    """What a query says of its column `verdict`."""
    certainty, basis, reason = (exp.case(exp.column("verdict")) for _ in range(3))
    named = bounds.watermark.basis if isinstance(bounds.watermark, Watermark) else None
    for verdict, (how_sure, why) in meanings.items():
        certainty.when(text_literal(verdict), text_literal(how_sure), copy=False)
        reason.when(text_literal(verdict), _words(why), copy=False)
        if how_sure == "exact" and named is not None:
            basis.when(text_literal(verdict), text_literal(named), copy=False)
    unnamed = exp.cast(exp.null(), exp.DataType.Type.TEXT)
    return {
        "certainty": certainty,
        "basis": basis.else_(unnamed) if basis.args.get("ifs") else unnamed,
        "reason": reason,
    }


def _words(reason: str) -> exp.Expr:
    """A reason, with the column `foreign_arn` where it names another table."""
    parts = reason.split(_FOREIGN_ARN)
    if len(parts) == 1:
        return text_literal(reason)
    before, after = parts
    return exp.func("CONCAT", text_literal(before), exp.column("foreign_arn"), text_literal(after))
