"""What a question is: SQL in DuckDB's dialect, defined once, and the columns of its answer.

The SQL is kept as a tree. What a person gives (an instant, an attribute, an `Id`) is put into the
tree as a literal, never into a text; `dialects` spells the tree for each engine.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import NamedTuple

import pyarrow as pa
from sqlglot import exp, parse_one

from reports.inputs.paths import Path
from reports.states.watermark import NoWatermark, Watermark, may_arrive_after
from stream_core.history_row import time_text
from warehouse.dataset.manifest import Dataset
from warehouse.dataset.origin import foreign_streams
from warehouse.dataset.schema import month_of, stored_text
from warehouse.errors import DatasetError

EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)
TIME = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Question:
    """A question to a dataset.

    Attributes:
        name: what its view is called.
        tree: a query of the view `rows`, in DuckDB's dialect.
        answer: the columns of the answer, the same from every engine.
        finish: what is left to do with a batch of it, where engines do not spell it alike.
    """

    name: str
    tree: exp.Query
    answer: pa.Schema
    finish: Callable[[pa.RecordBatch], pa.RecordBatch] | None = None

    def fitted(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """A batch from an engine with the answer's columns, their types and their null-ness.

        Raises:
            DatasetError: it does not fit: the dataset holds something else than history rows.
        """
        columns = []
        for field in self.answer:
            column = batch.column(field.name)
            if column.null_count and not field.nullable:
                raise DatasetError(f"the dataset is damaged: `{field.name}` is missing in a row")
            columns.append(column if column.type == field.type else column.cast(field.type))
        fitted = pa.RecordBatch.from_arrays(columns, schema=self.answer)
        return fitted if self.finish is None else self.finish(fitted)


class MovedRow(NamedTuple):
    """A row that does not stand where its time puts it, or that another one was moved past.

    Attributes:
        id, sort_key: which row, as the dataset spells them.
        place: the sort key of the row whose place it takes; None: it has none, since it is a
            baseline that a change of its second follows.
        since: when it begins to hold.
    """

    id: str
    sort_key: str
    place: str | None
    since: datetime


@dataclass(frozen=True)
class Bounds:
    """Between which times a dataset answers, and which of its rows are not what they seem.

    Attributes:
        horizon: when the history began; None: not known.
        complete_until: what the history table held by then is in the dataset.
        watermark: up to when every change was in the table by then, or why that is not known.
        complete_since: when the first finished backfill began: an item that was there then has a
            row; None without one.
        foreign: the streams, or tables, of rows that tell nothing of the followed table, as the
            dataset spells them.
        moved: the rows that do not stand where their times put them.
    """

    horizon: datetime | None
    complete_until: datetime
    watermark: Watermark | NoWatermark = NoWatermark()  # noqa: RUF009 - it is frozen
    complete_since: datetime | None = None
    foreign: tuple[str, ...] = ()
    moved: tuple[MovedRow, ...] = ()

    @classmethod
    def from_dataset(cls, dataset: Dataset) -> "Bounds":
        """Those of a dataset."""
        return cls(
            dataset.horizon,
            dataset.complete_until,
            dataset.watermark or NoWatermark(),
            dataset.complete_since,
            tuple(map(stored_text, foreign_streams(dataset))),
        )

    @property
    def doubt(self) -> str:
        """Why what ends after the watermark is not exact, in words."""
        return self.watermark.doubt(self.complete_until)

    def values(self) -> dict[str, exp.Expr]:
        """The bounds for a query's `:horizon`, `:complete_until` and what else depends on them.

        Where it is unknown when the history began, only its first row proves that it had.
        """
        horizon = (
            _parsed("(SELECT MIN(created_at) FROM rows)")
            if self.horizon is None
            else time_literal(self.horizon)
        )
        last = self.watermark.last if isinstance(self.watermark, Watermark) else EARLIEST
        missing_until = may_arrive_after(self.watermark, self.complete_until)
        return {
            "horizon": horizon,
            "complete_until": time_literal(self.complete_until),
            # A state that ends by then is as it was told for good.
            "recorded_until": time_literal(last),
            # A change that was made later, and is not recorded, may still be on its way.
            "missing_until": time_literal(missing_until),
        }


@dataclass(frozen=True)
class Range:
    """A range of time, both ends included.

    Raises:
        DatasetError: it ends before it starts.
    """

    since: datetime = EARLIEST
    until: datetime = LATEST

    def __post_init__(self) -> None:
        if self.since > self.until:
            raise DatasetError(
                f"the range from {time_text(self.since)} ends before it starts, at "
                f"{time_text(self.until)}: give the earlier time first"
            )

    def values(self) -> dict[str, exp.Expr]:
        """The range for a query's `:since` and `:until`, and the partitions that it touches."""
        return {
            "since": time_literal(self.since),
            "until": time_literal(self.until),
            "first_month": text_literal(month_of(self.since)),
            "last_month": text_literal(month_of(self.until)),
        }


def query(sql: str, values: Mapping[str, exp.Expr]) -> exp.Query:
    """The tree of a query, with values for its placeholders (`:name`)."""
    filled = condition(sql, values)
    if not isinstance(filled, exp.Query):
        raise TypeError(f"no query: {sql}")
    return filled


def condition(sql: str, values: Mapping[str, exp.Expr]) -> exp.Expr:
    """The tree of a condition, or of any part of a query, with values for its placeholders."""
    # Every place gets a copy of its own: the trees are changed on their way to an engine.
    return _parsed(sql).transform(
        lambda node: values[node.name].copy() if isinstance(node, exp.Placeholder) else node
    )


def time_literal(moment: datetime) -> exp.Expr:
    """An instant, exact to the microsecond."""
    return exp.cast(text_literal(time_text(moment)), exp.DataType.Type.TIMESTAMPTZ)


def text_literal(text: str) -> exp.Expr:
    """A text, whatever is in it."""
    return exp.Literal.string(text)


def path_literal(path: Path) -> exp.Expr:
    """The path of an attribute, as `WIRE_VALUE` takes it: JSON."""
    return text_literal(json.dumps(path))


@cache
def _parsed(sql: str) -> exp.Expr:
    """The tree of a text of ours: to be copied, never changed."""
    return parse_one(sql, dialect="duckdb")
