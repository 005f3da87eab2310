"""A dataset is what its manifest lists, and all of that."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.disk import durable_steps, full_disk, recorded_steps
from tests.factories import item
from tests.recorded_history import rows_of
from warehouse.dataset.manifest import DataFile, Dataset, Ingested
from warehouse.dataset.schema import ROWS, row_of
from warehouse.errors import DatasetError

TABLE = "arn:aws:dynamodb:eu-west-1:123456789012:table/EmployeeHistory"
UNTIL = datetime(2026, 11, 20, 9, 14, 2, 117_000, tzinfo=UTC)
NAME = "rows/month=2018-03/one.parquet"


@pytest.fixture
def dataset(tmp_path):
    """A dataset of three rows in one file."""
    path = tmp_path / NAME
    path.parent.mkdir(parents=True)
    rows = rows_of(*[item("1", n={"N": str(n)}) for n in range(3)])
    pq.write_table(pa.Table.from_pylist(list(map(row_of, rows)), schema=ROWS), path)
    export = Ingested("arn", "FULL_EXPORT", "id", None, UNTIL, 3, "md5")
    made = Dataset(
        tmp_path,
        TABLE,
        UNTIL - timedelta(days=9),
        UNTIL,
        (export, replace(export, kind="INCREMENTAL_EXPORT", since=UNTIL - timedelta(days=1))),
        (DataFile(NAME, 3, path.stat().st_size, "arn"),),
    )
    made.save()
    return made


def test_what_was_saved_is_opened(dataset):
    """Every field of it, times with their offset."""
    opened = Dataset.open(str(dataset.folder))

    assert opened == dataset
    assert opened.rows == 3
    assert [file.month for file in opened.files] == ["2018-03"]


def test_a_horizon_may_not_be_known(dataset):
    """Exports do not tell it."""
    replace(dataset, horizon=None).save()

    assert Dataset.open(dataset.folder).horizon is None


def test_paths_are_absolute(dataset, monkeypatch):
    """An engine may run elsewhere."""
    monkeypatch.chdir(dataset.folder.parent)

    paths = Dataset.open(dataset.folder.name).paths

    assert paths == [str(dataset.folder / NAME)]


def test_files_that_are_not_listed_are_no_part_of_it(dataset):
    """Whatever their names."""
    (dataset.folder / NAME).with_name("two.parquet").write_bytes(b"")

    assert Dataset.open(dataset.folder).paths == [str(dataset.folder / NAME)]


def test_a_folder_without_a_manifest_is_no_dataset(tmp_path):
    """The error says how one is made."""
    with pytest.raises(DatasetError, match=r"is no dataset: it has no manifest\.json; ingest an"):
        Dataset.open(tmp_path)
    with pytest.raises(DatasetError, match="is no dataset"):
        Dataset.open(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b"\xff", b'{"format": 1}', b'{"format": 2}', b"7"]
)
def test_a_manifest_that_is_damaged_is_refused(dataset, content):
    """In one line that says what to do."""
    (dataset.folder / "manifest.json").write_bytes(content)

    with pytest.raises(DatasetError, match="is not the manifest of a dataset of this program"):
        Dataset.open(dataset.folder)


@pytest.mark.parametrize("changes", [{"format": 2}, {"horizon": "?"}, {"files": [{"name": "x"}]}])
def test_a_manifest_of_another_format_is_refused(dataset, changes):
    """Its fields may mean something else there."""
    path = dataset.folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    with pytest.raises(DatasetError, match="is not the manifest of a dataset of this program"):
        Dataset.open(dataset.folder)


def test_a_manifest_that_cannot_be_read_is_named(dataset):
    """With the system's word for it."""
    path = dataset.folder / "manifest.json"
    path.unlink()
    path.mkdir()

    with pytest.raises(DatasetError, match=r"manifest\.json cannot be read: Is a directory"):
        Dataset.open(dataset.folder)


def rewritten(path, table, compression="snappy"):
    pq.write_table(table, path, compression=compression)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "is not there"),
        (lambda path: path.write_bytes(b""), "cannot be read as Parquet"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "cannot be read as Parquet"),
        (lambda path: rewritten(path, pq.read_table(path)[:2]), "has 2 rows, not 3"),
        (lambda path: rewritten(path, pq.read_table(path), "zstd"), r"has \d+ bytes, not \d+"),
    ],
)
def test_a_file_that_is_not_as_it_was_written_is_refused(dataset, damage, message):
    """Before any question is answered from it."""
    damage(dataset.folder / NAME)

    with pytest.raises(DatasetError, match=f"one.parquet {message}.*: the dataset is damaged"):
        Dataset.open(dataset.folder)


def test_a_file_with_other_columns_is_refused(dataset):
    """A column that is missing reads as null in some engines."""
    path = dataset.folder / NAME
    rewritten(path, pa.table({"id": ["1", "2", "3"]}))
    file = replace(dataset.files[0], bytes=path.stat().st_size)
    replace(dataset, files=(file,)).save()

    with pytest.raises(DatasetError, match="has other columns than history rows have here"):
        Dataset.open(dataset.folder)


def test_a_manifest_survives_a_power_failure(dataset, monkeypatch):
    """The dataset is what it was, or what it is to be, and never without a manifest."""
    steps = recorded_steps(monkeypatch)

    dataset.save()

    assert steps == durable_steps(dataset.folder / "manifest.json")


def test_a_manifest_that_cannot_be_replaced_stays(dataset, monkeypatch):
    """And nothing is left beside it."""
    full_disk(monkeypatch)

    with pytest.raises(DatasetError, match="cannot be written: No space left on device"):
        replace(dataset, horizon=None).save()
    monkeypatch.undo()
    assert Dataset.open(dataset.folder) == dataset
    assert sorted(path.name for path in dataset.folder.iterdir()) == ["manifest.json", "rows"]


def test_others_may_read_the_manifest(dataset):
    """Spark may run as somebody else."""
    assert (dataset.folder / "manifest.json").stat().st_mode & 0o777 == 0o644
