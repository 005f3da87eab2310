"""Spark as the engine: for histories larger than one machine, or where it runs anyway."""

import io
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema
from pyspark.sql.types import StructType
from sqlglot import exp, parse
from sqlglot.errors import SqlglotError

from warehouse.dataset.manifest import ROWS_FOLDER, Dataset
from warehouse.dataset.schema import MONTH, ROWS
from warehouse.engines.engine import Engine
from warehouse.errors import DatasetError
from warehouse.questions.dialects import DUCKDB, SPARK, spelled
from warehouse.questions.question import Question

_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    # As DuckDB has them: an overflow or a wrong cast is an error, and never null.
    "spark.sql.ansi.enabled": "true",
    # A month is a text, and no number or date.
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    "spark.sql.execution.arrow.useLargeVarTypes": "false",
    # Rows hold images: ten thousand of them at a time might not fit.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "4096",
}
_OF_ITS_OWN: dict[str, bool | float | int | str | None] = {
    "spark.driver.memory": "4g",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
_WILD = re.compile(r"[\\*?\[\]{}]")
_Function: TypeAlias = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


class SparkEngine(Engine):
    """Questions answered by Spark.

    It reads the files that the dataset lists, never its folder. Of a session that is given it
    takes a new one with settings and views of its own.

    Example:
        >>> with SparkEngine(Dataset.open("trail")) as engine:
        ...     table = engine.answer(table_as_of(at, engine.bounds)).read_all()
    """

    def __init__(self, dataset: Dataset, session: SparkSession | None = None) -> None:
        """Open a dataset.

        Args:
            dataset: what to ask.
            session: where to run; by default on this machine, for as long as the engine is open.

        Raises:
            DatasetError: Spark cannot be started, or cannot read the files.
        """
        super().__init__(dataset)
        self._owned: SparkSession | None = None
        if session is None:
            session = self._owned = _started()
        self._session = session.newSession()
        for name, value in _SETTINGS.items():
            self._session.conf.set(name, value)
        self._rows().createOrReplaceTempView("rows")
        self.place_rows()

    def sql(self, text: str) -> pa.RecordBatchReader:
        """See `Engine.sql`."""
        try:
            trees = parse(text, dialect=DUCKDB)
        except SqlglotError as error:
            raise DatasetError(f"not SQL: {_first_line(error)}") from error
        if len(trees) != 1 or not isinstance(trees[0], exp.Query):
            raise DatasetError("give one query that reads: a SELECT")
        return _streamed(self.frame(trees[0]))

    def ask(self, tree: exp.Query) -> pa.RecordBatchReader:
        """See `Engine.ask`."""
        return _streamed(self.frame(tree))

    def frame(self, tree: exp.Query) -> DataFrame:
        """The answer to a query as a frame of Spark, for a job that goes on with it there.

        Example:
            >>> question = states_sql.versions(engine.bounds)
            >>> engine.frame(question.tree).write.parquet("s3://bucket/versions/")
        """
        try:
            return self._session.sql(spelled(tree, SPARK))
        except PySparkException as error:
            raise _query_error(error) from error

    def define(self, question: Question) -> None:
        """See `Engine.define`."""
        self.frame(question.tree).createOrReplaceTempView(question.name)

    def map_rows(
        self, function: Callable[[pa.RecordBatch], pa.RecordBatch], answer: pa.Schema
    ) -> pa.RecordBatchReader:
        """See `Engine.map_rows`; the function runs where the rows are."""

        def map_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            return map(function, batches)

        mapped = _mapped(self._session.table("rows"), map_batches, from_arrow_schema(answer))
        answers = (batch.cast(answer) for batch in _streamed(mapped))
        return pa.RecordBatchReader.from_batches(answer, answers)

    def close(self) -> None:
        """Stop Spark, if it was started for this engine."""
        if self._owned is not None:
            self._owned.stop()

    def _rows(self) -> DataFrame:
        columns = from_arrow_schema(ROWS.append(pa.field(MONTH, pa.string())))
        if not self.dataset.paths:
            return self._session.createDataFrame([], columns)
        folder = self.dataset.folder.absolute() / ROWS_FOLDER
        reader = self._session.read.schema(columns).option("basePath", _address(folder))
        try:
            return reader.parquet(*map(_pattern, self.dataset.paths))
        except PySparkException as error:
            raise _query_error(error) from error


def _address(path: Path) -> str:
    # Of the file system of this machine, whatever the default one is.
    return f"file://{path}"


def _pattern(path: str) -> str:
    # Spark takes a path for a pattern.
    return _address(Path(_WILD.sub(r"\\\g<0>", path)))


def _started() -> SparkSession:
    builder = SparkSession.builder.appName("itemtrail").config(map=_OF_ITS_OWN)
    # Its workers are to have what this program has, which the first Python on the path may not.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    # It logs queries that fail, and what is in them, before it raises the error.
    logging.getLogger("SQLQueryContextLogger").disabled = True
    try:
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("FATAL")
    except (PySparkException, RuntimeError, OSError) as error:
        raise DatasetError(
            f"Spark does not start: {_first_line(error)}: it needs Java 17 or newer"
        ) from error
    return session


def _streamed(frame: DataFrame) -> pa.RecordBatchReader:
    """The lines of a frame as they come, never all of them at once."""
    schema = pa.schema(
        [field.with_nullable(True) for field in to_arrow_schema(frame.schema, timezone="UTC")]
    )
    return pa.RecordBatchReader.from_batches(schema, _batches(frame, schema))


def _batches(frame: DataFrame, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    # Spark hands out either everything or Python rows one by one. So each batch travels as
    # bytes in such a row; a function within a function needs nothing of ours on the workers.
    def packed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            sink = io.BytesIO()
            with pa.ipc.new_stream(sink, batch.schema) as stream:
                stream.write_batch(batch)
            yield pa.RecordBatch.from_arrays([pa.array([sink.getvalue()])], names=["batch"])

    try:
        lines = _mapped(frame, packed, "batch binary").toLocalIterator(prefetchPartitions=True)
        for row in lines:
            for batch in pa.ipc.open_stream(bytes(row.batch)):
                yield batch.cast(schema)
    except PySparkException as error:
        raise _query_error(error) from error


def _mapped(frame: DataFrame, function: _Function, answer: StructType | str) -> DataFrame:
    with warnings.catch_warnings():
        # It warns of any pandas of today, which no question uses.
        warnings.filterwarnings("ignore", "PySpark does not yet fully", FutureWarning)
        return frame.mapInArrow(function, answer)


def _query_error(error: PySparkException) -> DatasetError:
    # The text of an error at run time may quote an item; its class does not.
    condition = error.getCondition()
    return DatasetError(f"Spark cannot answer: {condition or type(error).__name__}")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
