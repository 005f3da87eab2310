"""What `query` does, once it is known that a query engine is installed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
from rich.console import RenderableType
from sqlglot import exp, parse, parse_one
from sqlglot.errors import SqlglotError

from itemtrail import exit_status
from itemtrail.datasets.arrow_output import give_batches
from itemtrail.extras import load
from itemtrail.options.kinds import asked_at
from itemtrail.output.answer import Answer, give, tell
from itemtrail.output.progress import ProgressBar
from itemtrail.records import kinds as record_kinds
from itemtrail.records.kinds import Record
from itemtrail.tables import cells
from itemtrail.tables.layout import Row, folded, table_of
from reports.errors import ReportError
from reports.inputs.paths import Path as AttributePath
from reports.states.watermark import NoWatermark, declared_watermark
from stream_core.history_row import time_text
from warehouse import engines
from warehouse.check import lines_of
from warehouse.dataset.manifest import Dataset
from warehouse.dataset.schema import original_text
from warehouse.engines import athena
from warehouse.engines.duck import DuckEngine
from warehouse.engines.engine import Engine
from warehouse.questions.continuity_sql import FINDINGS
from warehouse.questions.question import Question, text_literal, time_literal

_ROWS = "rows"
_FINDINGS = "findings"
_VIEW_COLUMNS = (folded("view", 2), folded("column", 2), folded("type", 2))
# They become part of a query's text.
_MOST_FINDINGS = 10_000


@dataclass(frozen=True)
class Views:
    """What the views are asked for; see `Engine.views`."""

    at: datetime | None = None
    since: datetime | None = None
    until: datetime | None = None
    actor_attribute: AttributePath | None = None
    attribute: AttributePath | None = None

    def define(self, engine: Engine) -> list[str]:
        """Define them; the names of all that can be asked: the rows and the views."""
        return [_ROWS, *engine.views(**vars(self)), _FINDINGS]

    @property
    def times(self) -> str:
        """How the times were understood: an answer of SQL does not have them as such."""
        times = {"as of": self.at, "from": self.since, "to": self.until}
        return " ".join(f"{word} {time_text(time)}" for word, time in times.items() if time)


def open_dataset(folder: Path, recorded_until: datetime | None) -> Dataset:
    """The dataset in a folder, every change being in it up to a moment that is declared, if any.

    Raises:
        DatasetError: there is none, it is damaged, or it is complete until an earlier moment.
    """
    return Dataset.open(folder).recorded_until(
        declared_watermark(recorded_until, asked_at()) or NoWatermark()
    )


def open_engine(name: str, dataset: Dataset, memory: str | None) -> Engine:
    """The engine of a name on a dataset.

    Raises:
        ReportError: it is not installed.
        DatasetError: its files cannot be read.
    """
    if name == "spark":
        engine: Engine = load(f"{engines.__name__}.spark").SparkEngine(dataset)
        return engine
    return DuckEngine(dataset) if memory is None else DuckEngine(dataset, memory_limit=memory)


def run_query(engine: Engine, text: str, views: Views, form: str) -> int:
    """Give the answer to a query; the exit status tells whether rows are of another table."""
    with engine, ProgressBar() as progress:
        views.define(engine)
        _define_findings(engine, judged=_names(text, _FINDINGS))
        if views.times:
            tell(views.times)
        give_batches(engine.sql(text), form, progress)
    foreign = engine.bounds.foreign
    if not foreign:
        return exit_status.CLEAN
    tell(
        f"rows of another table, {' and '.join(map(original_text, foreign))}: a state next to one "
        f"is unknown, and no count has them; itemtrail archive {engine.dataset.folder} --check "
        "lists them"
    )
    return exit_status.FINDINGS


def list_views(engine: Engine, views: Views, form: str) -> None:
    """List what can be asked, with its columns."""
    with engine:
        names = views.define(engine)
        _define_findings(engine, judged=False)
        lines = [line for name in names for line in _columns(engine, name)]
    give(Answer(record_kinds.VIEW_COLUMN, lines, _blocks(lines)), form)


def print_athena(text: str | None, dataset: Dataset, location: str, views: Views) -> None:
    """Print the statements that define the table in Athena and ask a query of it.

    DuckDB sees the query first, so that names that do not exist are found here.

    Raises:
        ReportError: it asks for findings.
        DatasetError: it is no query.
    """
    if text is None:
        click.echo(athena.statements(location), nl=False)
        return
    if _names(text, _FINDINGS):
        raise ReportError("findings are judged by this program and not by SQL: ask another engine")
    with _Noting(dataset) as engine:
        views.define(engine)
        engine.sql(text).close()
        tree = parse_one(text, dialect="duckdb")
        _put_before(
            tree, [question for question in engine.questions if _names(text, question.name)]
        )
    question = Question("query", tree, pa.schema([]))  # type: ignore[arg-type]
    click.echo(athena.statements(location, question), nl=False)


class _Noting(DuckEngine):
    """Notes the views that are defined."""

    def __init__(self, dataset: Dataset) -> None:
        super().__init__(dataset)
        self.questions: list[Question] = []

    def define(self, question: Question) -> None:
        super().define(question)
        self.questions.append(question)


def _put_before(tree: Any, views: Sequence[Question]) -> None:
    """Make views parts of a query, before its own."""
    own = list(tree.ctes)
    for view in views:
        tree.with_(exp.to_identifier(view.name, quoted=True), as_=view.tree.copy(), copy=False)
    if own:
        clause = own[0].parent
        added = [cte for cte in clause.expressions if not any(cte is mine for mine in own)]
        clause.set("expressions", [*added, *own])


def _columns(engine: Engine, name: str) -> Iterator[Record]:
    view = exp.to_identifier(name, quoted=True).sql(dialect="duckdb")
    for column in engine.sql(f"SELECT * FROM {view} LIMIT 0").schema:  # noqa: S608 - quoted
        yield {"view": name, "column": column.name, "type": str(column.type)}


def _blocks(lines: Sequence[Record]) -> Iterator[RenderableType]:
    yield table_of(_VIEW_COLUMNS, _rows(lines))
    yield ""


def _rows(lines: Sequence[Record]) -> Iterator[Row]:
    view = None
    for line in lines:
        is_next = line["view"] != view
        view = line["view"]
        texts = (view if is_next else "", line["column"], line["type"])
        yield list(map(cells.plain, texts))


def _names(text: str, table: str) -> bool:
    """Whether a query is about a table; one that cannot be read is refused by the engine."""
    try:
        trees = parse(text, dialect="duckdb")
    except SqlglotError:
        return False
    tables = (
        reference for tree in trees if tree is not None for reference in tree.find_all(exp.Table)
    )
    return any(reference.name.lower() == table for reference in tables)


def _define_findings(engine: Engine, *, judged: bool) -> None:
    """Make the findings in chains a view: what Python judges goes to the engine as a query."""
    findings = []
    for line in lines_of(engine.findings()) if judged else ():
        findings.append(line)
        if len(findings) > _MOST_FINDINGS:
            raise ReportError(
                f"there are more than {_MOST_FINDINGS:,} findings, too many for a query: see all "
                "of them with itemtrail archive DATASET --check"
            )
    engine.define(Question(_FINDINGS, _values_query(findings), FINDINGS))


def _values_query(lines: Sequence[dict[str, Any]]) -> exp.Query:
    # A line of nulls, which is filtered out, gives the columns where there is no other.
    nothing = exp.Tuple(expressions=[exp.null() for _ in FINDINGS])
    values = [
        exp.Tuple(expressions=[_literal(line[field]) for field in FINDINGS.names]) for line in lines
    ]
    rows = exp.values([nothing, *values], alias="judged", columns=FINDINGS.names)
    columns = [
        exp.alias_(exp.cast(exp.column(field.name), _sql_type(field.name)), field.name)
        for field in FINDINGS
    ]
    return exp.select(*columns).from_(rows).where("NOT id IS NULL")


def _literal(value: Any) -> Any:
    match value:
        case None:
            return exp.null()
        case datetime():
            return time_literal(value)
        case _:
            return text_literal(value)


def _sql_type(column: str) -> exp.DataType:
    return exp.DataType.build("TIMESTAMPTZ" if column in ("since", "until") else "TEXT")
