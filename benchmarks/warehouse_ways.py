"""One way of asking a dataset for the table half-way, in a process of its own, with its memory.

    python -m benchmarks.warehouse_ways duckdb FOLDER
    python -m benchmarks.warehouse_ways spark FOLDER
    python -m benchmarks.warehouse_ways pandas FOLDER

prints how long it took, the peak of memory until then, and the answer's count and digest. All
make the digest as the answer comes: its cost is in the time.
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from benchmarks.spent import Clock, digest_of
from benchmarks.warehouse_files import middle
from itemtrail.extras import how_to_install
from warehouse.dataset.manifest import ROWS_FOLDER, Dataset
from warehouse.dataset.schema import STATE_BYTES
from warehouse.questions.states_sql import table_as_of

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import SparkSession

# What DuckDB and Spark's JVM may take; a process has more than that in use.
DUCKDB_MEMORY, SPARK_MEMORY = "2GB", "3g"
_ANSWER = ("id", "exists", "image", "image_hash", "certainty")


def main() -> None:
    """Ask, and print the answer as JSON."""
    way, folder = sys.argv[1:]
    figures = {"duckdb": _duckdb, "spark": _spark, "pandas": _pandas}[way](Path(folder))
    sys.stdout.write(f"{json.dumps(figures)}\n")


def _duckdb(folder: Path) -> dict[str, Any]:
    from warehouse.engines.duck import DuckEngine  # noqa: PLC0415 - no memory of it in the other ways

    clock = Clock()
    with DuckEngine(Dataset.open(folder), memory_limit=DUCKDB_MEMORY) as engine:
        digest = digest_of(_checked(_lines(engine.answer(table_as_of(middle(), engine.bounds)))))
        return clock.elapsed() | digest


def _spark(folder: Path) -> dict[str, Any]:
    clock = Clock()
    try:
        from pyspark.sql import SparkSession  # noqa: PLC0415 - optional

        from warehouse.engines.spark import SparkEngine  # noqa: PLC0415
    except ImportError as error:
        return {"missing": f"{sys.executable} has no {error.name}: {how_to_install('spark')}"}
    if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        return {"missing": "there is no Java"}
    session = _session(SparkSession.builder)
    start = clock.elapsed()["seconds"]
    clock = Clock()
    with SparkEngine(Dataset.open(folder), session) as engine:
        digest = digest_of(_checked(_lines(engine.answer(table_as_of(middle(), engine.bounds)))))
        figures = clock.elapsed() | digest | {"start_s": start}
    session.stop()
    return figures


def _session(builder: "SparkSession.Builder") -> "SparkSession":
    # Its workers run what is first in the path otherwise.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = (
        builder.master("local[2]")
        .config("spark.driver.memory", SPARK_MEMORY)
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("FATAL")
    session.range(1).count()
    return session


def _pandas(folder: Path) -> dict[str, Any]:
    import pandas as pd  # noqa: PLC0415 - no memory of it in the other ways

    clock = Clock()
    columns = ["id", "sort_key", "created_at", "event_name", "old_image", "new_image"]
    hashes = ["old_hash", "new_hash"]
    frame = pd.read_parquet(folder / ROWS_FOLDER, columns=[*columns, *hashes])
    answer = _plain_table_as_of(frame)
    digest = digest_of(_checked(answer.itertuples(index=False, name=None)))
    return clock.elapsed() | digest


def _plain_table_as_of(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The rows before and after, side by side: what they say, and whether they fit.

    What a person would write who knows this history: it has no baselines.
    """
    is_before = frame["created_at"] <= middle()
    before = frame[is_before].sort_values(["id", "sort_key"]).groupby("id").tail(1)
    after = frame[~is_before].sort_values(["id", "sort_key"]).groupby("id").head(1)
    both = (
        before.set_index("id")
        .add_suffix("_before")
        .join(after.set_index("id").add_suffix("_after"), how="outer")
    )
    has_before, has_after = both["sort_key_before"].notna(), both["sort_key_after"].notna()
    state, following = both["new_hash_before"], both["old_hash_after"]
    fits = (state == following) | (state.isna() & following.isna())
    inserted = both["event_name_after"] == "INSERT"
    both["image"] = both["new_image_before"].where(has_before, both["old_image_after"])
    both["image_hash"] = state.where(has_before, following)
    both["exists"] = both["image_hash"].notna()
    both["certainty"] = "bounded"
    both.loc[has_before & ~has_after, "certainty"] = "unknown"
    both.loc[has_after & fits.where(has_before, inserted), "certainty"] = "exact"
    certain = both[both["exists"] | (both["certainty"] != "exact")]
    return certain.reset_index()[list(_ANSWER)]


def _lines(answer: pa.RecordBatchReader) -> Iterator[tuple[Any, ...]]:
    for batch in answer:
        yield from zip(*(batch[name].to_pylist() for name in _ANSWER), strict=True)


def _checked(lines: Iterable[tuple[Any, ...]]) -> Iterator[bytes]:
    """What each line says, without its image, which is held against its hash.

    Raises:
        AssertionError: an image is not the one of its hash.
    """
    for identifier, exists, image, image_hash, certainty in lines:
        if exists and hashlib.sha256(image.encode("ascii")).digest()[:STATE_BYTES] != image_hash:
            raise AssertionError(f"the image of {identifier} is another one's")
        line = repr((identifier, bool(exists), image_hash if exists else None, certainty))
        yield line.encode("ascii")


if __name__ == "__main__":
    main()
