"""DuckDB as the engine: embedded, on one machine, spilling to disk what does not fit in memory."""

import tempfile
from collections.abc import Callable, Iterator

import duckdb
import pyarrow as pa
from sqlglot import exp

from warehouse.dataset.manifest import Dataset
from warehouse.dataset.schema import MONTH, ROWS
from warehouse.engines.engine import Engine
from warehouse.errors import DatasetError
from warehouse.questions.dialects import DUCKDB, spelled
from warehouse.questions.question import Question, text_literal

# Large enough that a batch costs nothing, small enough that images of 400 KB fit into memory.
_BATCH_ROWS = 4096
# What DuckDB says about these is about the query; about others it may quote an item.
_ABOUT_THE_QUERY = (
    duckdb.ParserException,
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.PermissionException,
    duckdb.SyntaxException,
    duckdb.NotImplementedException,
    duckdb.OutOfMemoryException,
)


class DuckEngine(Engine):
    """Questions answered by DuckDB.

    It reads the files of the dataset and no others, and writes only to a temporary folder of its
    own: after it is set up, DuckDB itself refuses everything else.

    Example:
        >>> with DuckEngine(Dataset.open("trail")) as engine:
        ...     table = engine.answer(table_as_of(at, engine.bounds)).read_all()
    """

    def __init__(self, dataset: Dataset, *, memory_limit: str = "4GB") -> None:
        """Open a dataset.

        Args:
            dataset: what to ask.
            memory_limit: how much memory DuckDB may take, e.g. `4GB`; more is put on disk.

        Raises:
            DatasetError: DuckDB does not take such a limit.
        """
        super().__init__(dataset)
        # Beside memory there may be years of history to sort.
        self._spill = tempfile.TemporaryDirectory(prefix="itemtrail-duckdb-")
        try:
            self._connection = duckdb.connect(
                config={
                    "memory_limit": memory_limit,
                    "temp_directory": self._spill.name,
                    "preserve_insertion_order": False,
                    "python_enable_replacements": False,
                    "autoinstall_known_extensions": False,
                }
            )
            self._set_up()
        except duckdb.Error as error:
            self._spill.cleanup()
            raise _query_error(error) from error
        try:
            self.place_rows()
        except DatasetError:
            self.close()
            raise

    def sql(self, text: str) -> pa.RecordBatchReader:
        """See `Engine.sql`."""
        try:
            statements = self._connection.extract_statements(text)
        except duckdb.Error as error:
            raise _query_error(error) from error
        if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
            raise DatasetError("give one query that reads: a SELECT")
        reader = self._read(text)
        schema = pa.schema([field.with_nullable(True) for field in reader.schema])
        return pa.RecordBatchReader.from_batches(schema, _guarded(reader))

    def ask(self, tree: exp.Query) -> pa.RecordBatchReader:
        """See `Engine.ask`."""
        reader = self._read(spelled(tree, DUCKDB))
        return pa.RecordBatchReader.from_batches(reader.schema, _guarded(reader))

    def define(self, question: Question) -> None:
        """See `Engine.define`."""
        name = exp.to_identifier(question.name, quoted=True).sql(dialect=DUCKDB)
        self._connection.execute(
            f"CREATE OR REPLACE VIEW {name} AS {spelled(question.tree, DUCKDB)}"
        )

    def map_rows(
        self, function: Callable[[pa.RecordBatch], pa.RecordBatch], answer: pa.Schema
    ) -> pa.RecordBatchReader:
        """See `Engine.map_rows`."""
        rows = self._read("SELECT * FROM rows")
        batches = (function(batch) for batch in _guarded(rows))
        return pa.RecordBatchReader.from_batches(
            answer, (mapped for mapped in batches if mapped.num_rows)
        )

    def close(self) -> None:
        """Close the database and remove what it put on disk."""
        self._connection.close()
        self._spill.cleanup()

    def _set_up(self) -> None:
        files = exp.array(*map(text_literal, self.dataset.paths)).sql(dialect=DUCKDB)
        columns = ", ".join([*ROWS.names, MONTH])
        run = self._connection.execute
        run("SET GLOBAL TimeZone = 'UTC'")
        if self.dataset.paths:
            run(
                f"CREATE VIEW rows AS SELECT {columns} FROM read_parquet({files}, "  # noqa: S608
                "hive_partitioning = true, hive_types_autocast = false)"
            )
            run(f"SET allowed_paths = {files}")
        else:
            nothing = ROWS.append(pa.field(MONTH, pa.string())).empty_table()
            self._connection.register("nothing", nothing)
            run("CREATE TABLE rows AS SELECT * FROM nothing")
            self._connection.unregister("nothing")
        run("SET enable_external_access = false")
        run("SET lock_configuration = true")

    def _read(self, text: str) -> pa.RecordBatchReader:
        try:
            # Each with a cursor of its own, so that answers can be read side by side.
            return self._connection.cursor().sql(text).to_arrow_reader(_BATCH_ROWS)
        except duckdb.Error as error:
            raise _query_error(error) from error


def _guarded(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    try:
        yield from reader
    except (duckdb.Error, pa.ArrowException) as error:
        raise _query_error(error) from error


def _query_error(error: Exception) -> DatasetError:
    text = str(error).strip().splitlines()[0] if isinstance(error, _ABOUT_THE_QUERY) else ""
    return DatasetError(f"DuckDB cannot answer: {text or type(error).__name__}")
