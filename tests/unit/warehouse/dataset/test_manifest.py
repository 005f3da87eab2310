"""A dataset is what its manifest lists, and all of that."""

import json
import re
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reports.states.watermark import Basis, Watermark
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
    export = Ingested("arn", "FULL_EXPORT", "id", None, UNTIL, 3, 3, "md5")
    since = UNTIL - timedelta(days=1)
    made = Dataset(
        tmp_path,
        TABLE,
        UNTIL - timedelta(days=9),
        UNTIL,
        (export, replace(export, arn="later", kind="INCREMENTAL_EXPORT", since=since, rows=0)),
        (DataFile.from_file(tmp_path, NAME, "arn"),),
    )
    made.save()
    return made


def test_what_was_saved_is_opened(dataset):
    """Every field of it, times with their offset."""
    opened = Dataset.open(str(dataset.folder))

    assert opened == dataset
    assert opened.rows == 3
    assert [file.month for file in opened.files] == ["2018-03"]


def test_up_to_when_every_change_is_in_it_is_kept(dataset):
    """With what that rests on; it can be no later than it is complete."""
    assert dataset.watermark is None
    vouched = dataset.recorded_until(Watermark(UNTIL, Basis.AGED, "why"))
    vouched.save()

    assert Dataset.open(dataset.folder) == vouched
    late = Watermark(UNTIL + timedelta(microseconds=1), Basis.DECLARED, "why")
    with pytest.raises(DatasetError, match=r"is complete until 2026-11-20T09:14:02\.117000Z, s"):
        dataset.recorded_until(late)
    replace(dataset, watermark=late).save()
    with pytest.raises(DatasetError, match="has all changes until later than it is complete"):
        Dataset.open(dataset.folder)


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
    "content",
    [b"", b"{", b"[]", b"{}", b"\xff", b'{"format": 1}', b'{"format": 2}', b"7", b"[" * 100_000],
    ids=range(9),
)
def test_a_manifest_that_is_damaged_is_refused(dataset, content):
    """In one line that says what to do."""
    (dataset.folder / "manifest.json").write_bytes(content)

    with pytest.raises(DatasetError, match="is not the manifest of a dataset of this program"):
        Dataset.open(dataset.folder)


@pytest.mark.parametrize("version", [1, 3])
def test_a_manifest_of_another_version_is_refused(dataset, version):
    """Its fields may mean something else there; the table is there to be exported again."""
    path = dataset.folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": version}))

    with pytest.raises(DatasetError, match=r"of this program and version: .*exported into one$"):
        Dataset.open(dataset.folder)


def with_edited(dataset, edit):
    """The dataset with a manifest that was edited by hand."""
    path = dataset.folder / "manifest.json"
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "edit",
    [
        lambda content: content.update(files=[]),
        lambda content: content["files"].append(content["files"][0]),
        lambda content: content.update(files=None),
        lambda content: content.update(horizon="?"),
        lambda content: content.update(horizon="2018-01-01T00:00:00"),
        lambda content: content.update(complete_until="2100-01-01T00:00:00+00:00"),
        lambda content: content["exports"][0].update(until="2100-01-01T00:00:00+00:00"),
        lambda content: content["files"][0].update(more=1),
        lambda content: content["files"][0].update(rows=4),
    ],
)
def test_a_manifest_that_was_edited_is_refused(dataset, edit):
    """Whatever in it: an answer rests on all that it says."""
    with_edited(dataset, edit)

    with pytest.raises(
        DatasetError, match=r"manifest\.json is not as this program wrote it: the d"
    ):
        Dataset.open(dataset.folder)


OTHER_NAME = "rows/month=2018-03/two.parquet"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (lambda _made: {"files": ()}, "lists 0 rows of arn, which brought 3"),
        (lambda made: {"files": made.files * 2}, rf"lists {NAME} twice"),
        (
            lambda made: {"files": (*made.files, replace(made.files[0], name=OTHER_NAME))},
            rf"lists {OTHER_NAME} twice, under whatever name",
        ),
        (lambda made: {"exports": made.exports[1:]}, "lists rows of arn, and not that export"),
        (lambda _made: {"exports": ()}, "lists rows of arn, and not that export"),
        (
            lambda made: {"exports": (replace(made.exports[0], rows=2), *made.exports[1:])},
            "lists 3 rows of arn, which brought 2",
        ),
        (
            lambda _made: {"complete_until": UNTIL + timedelta(seconds=1)},
            "is complete until another time than its exports",
        ),
        *(
            (
                lambda made, name=name: {"files": (replace(made.files[0], name=name),)},
                f"lists {re.escape(name)}, which is no place of a file of rows",
            )
            for name in (
                "../one.parquet",
                "rows/month=2018-03/../month=2018-03/one.parquet",
                "/rows/month=2018-03/one.parquet",
                "rows/month=2018-03/one",
                "s3://bucket/rows/month=2018-03/one.parquet",
                "rows/month=2018-03/c:one.parquet",
                "rows/month=2018-03/*.parquet",
                "rows/month=2018-03/[a-z].parquet",
                "rows/month=2018-03/..\\one.parquet",
                "rows/month=2018-03/..parquet",
                "rows/month=2018-03/\0.parquet",
                "rows/month=٢٠١٨-03/one.parquet",
            )
        ),
        *(
            (
                lambda made, field=field: {
                    "files": (replace(made.files[0], **{field: UNTIL}),),
                },
                f"lists {NAME}, which has changes of another month",
            )
            for field in ("first", "last")
        ),
    ],
)
def test_a_manifest_that_does_not_agree_with_itself_is_refused(dataset, changes, message):
    """A short or a doubled answer is none; the message says what to do."""
    replace(dataset, **changes(dataset)).save()

    with pytest.raises(DatasetError, match=rf"manifest\.json {message}.*: the dataset is damaged"):
        Dataset.open(dataset.folder)


def test_a_file_in_the_folder_of_another_month_is_refused(dataset):
    """A question about its own month would pass it over."""
    moved = "rows/month=1999-01/one.parquet"
    (dataset.folder / moved).parent.mkdir()
    (dataset.folder / NAME).rename(dataset.folder / moved)
    replace(dataset, files=(DataFile.from_file(dataset.folder, moved, "arn"),)).save()

    with pytest.raises(DatasetError, match=f"lists {moved}, which has changes of another month"):
        Dataset.open(dataset.folder)


def test_a_file_of_another_time_is_refused(dataset):
    """As many bytes and rows as were written, and of the same month."""
    file = dataset.files[0]
    replace(dataset, files=(replace(file, last=file.last - timedelta(seconds=1)),)).save()

    with pytest.raises(DatasetError, match=r"one\.parquet has changes of another time than when"):
        Dataset.open(dataset.folder)


def test_a_file_that_does_not_say_of_which_time_it_is_is_refused(dataset):
    """Nothing else tells cheaply that it belongs to its month."""
    path = dataset.folder / NAME
    pq.write_table(pq.read_table(path), path, write_statistics=False)
    file = replace(dataset.files[0], bytes=path.stat().st_size)
    replace(dataset, files=(file,)).save()

    with pytest.raises(DatasetError, match="has changes of another time"):
        Dataset.open(dataset.folder)
    with pytest.raises(pa.ArrowInvalid, match="does not say of which time"):
        DataFile.from_file(dataset.folder, NAME, "arn")


def test_altered_files_are_found_by_their_bytes(dataset):
    """Opening looks at sizes and footers; all bytes of all files are another matter."""
    assert dataset.altered_files() == []
    path = dataset.folder / NAME
    content = bytearray(path.read_bytes())
    content[10] ^= 1
    path.write_bytes(content)
    told = []

    assert Dataset.open(dataset.folder).altered_files(lambda *done: told.append(done)) == [NAME]
    assert told == [("files", 1, 1)]

    path.unlink()
    with pytest.raises(DatasetError, match=r"one\.parquet cannot be read: No such file"):
        dataset.altered_files()


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


def test_a_manifest_is_its_owners_alone(dataset):
    """Until somebody lets others read it: then they may read its successors too."""
    manifest = dataset.folder / "manifest.json"
    modes = [stat.S_IMODE(manifest.stat().st_mode)]

    for mode in (0o664, 0o444):
        manifest.chmod(mode)
        dataset.save()
        modes.append(stat.S_IMODE(manifest.stat().st_mode))

    assert modes == [0o600, 0o644, 0o644]


@pytest.mark.parametrize("what", ["rows", "rows/month=2018-03", NAME])
def test_a_file_elsewhere_is_none_of_the_dataset(dataset, tmp_path_factory, what):
    """A link leads there, from whatever is above it."""
    elsewhere = tmp_path_factory.mktemp("other") / "elsewhere"
    (dataset.folder / what).rename(elsewhere)
    (dataset.folder / what).symlink_to(elsewhere)

    with pytest.raises(DatasetError, match=r"cannot be read: it leads out of .*dataset is damaged"):
        Dataset.open(dataset.folder)


def test_a_dataset_may_be_named_by_a_link(dataset, tmp_path):
    """What is within it is."""
    link = tmp_path / "link"
    link.symlink_to(dataset.folder)

    assert Dataset.open(link).rows == dataset.rows
